"""What stands for a secret in reports and baselines: a keyed hash, so that another secret in its place is news."""

import os

_KEY = "LKSCAN_KEY"
"""The environment variable with the key of whoever records and compares; a secret itself."""


def mark(secret: bytes, *, guessable: bool) -> str:
    """Ten hexadecimal digits that are the same for the same secret and key, "" where they would help to guess it.

    Without a key of the user's own the key is one that everybody knows: good enough for what is random, but what people
    choose could be found by hashing their words. `guessable` tells that it is such a secret.
    """
    own = os.environ.get(_KEY, "")
    if guessable and not own:
        return ""
    from _blake2 import blake2b  # hashlib's, without OpenSSL, which takes longer to load than a spec to judge

    key = blake2b(own.encode("utf-8", "surrogateescape"), digest_size=32).digest()
    return blake2b(secret, digest_size=5, key=key, person=b"lkscan secret").hexdigest()
