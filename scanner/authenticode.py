"""Whether a signature of an EFI program is of the bytes that it is attached to, and whose it is; lief tells."""

from __future__ import annotations

from .startup import Literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import lief

Signature = Literal["matches", "broken", "unread"]


def check(data: bytes) -> tuple[Signature, tuple[str, ...]]:
    """What becomes of the signatures of `data`, a PE file that has some, and who signed.

    `matches`: one is of these bytes; `broken`: none is; `unread`: lief is not installed, or could not tell. No
    certificate is trusted or distrusted: which ones a machine accepts is kept in its firmware.
    """
    try:
        import lief
    except ImportError:
        return "unread", ()
    lief.logging.disable()
    program = lief.PE.parse(data)
    if not isinstance(program, lief.PE.Binary) or not program.signatures:
        return "unread", ()
    found = list(program.signatures)
    signers = tuple(dict.fromkeys(_name(signer) for one in found for signer in one.signers))
    digests = [(one.content_info.digest, one.digest_algorithm) for one in found]
    matches = any(bytes(digest) == bytes(program.authentihash(algorithm)) for digest, algorithm in digests)
    return "matches" if matches else "broken", signers


def _name(signer: lief.PE.SignerInfo) -> str:
    """The common name of the certificate, or else of who issued it."""
    whole = str(signer.cert.subject if signer.cert else signer.issuer)
    return whole.rpartition("CN=")[2] or whole
