"""What secrets look like: finds them in a text by what they start with, stand after or lie in, and looks closely."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import count, islice
from math import log2

from ..scanner.startup import Any, NamedTuple, late
from .engine import Confidence, Severity
from .tables import load

_SHORT = 256
"""Bytes of a text that is searched for one literal after the other; to load a library for it takes a millisecond."""
_FEW = 100
"""Short texts after which the library is loaded all the same: a folder of specs has thousands."""
_short_texts = count()
COUNTED = 100
"""Secrets in one text that one detector counts."""
_KEY_LIMIT = 32 << 10
"""Bytes between the first and the last line of a private key."""
_RANDOM = 3.5
"""Entropy (bits a character) that some dozen characters of base64 reach when they encode random bytes."""
_MATERIAL = 48
"""Characters of base64 in the smallest private keys (Ed25519 in PKCS #8)."""
_BOUNDARY = "(?![A-Za-z0-9_-])"
"""What ends a token: nothing that could be a part of it."""


class Secret(NamedTuple):
    """A secret in a text: its kind, where it starts and ends (bytes), and what may be shown of it.

    `prefix` is the same for all of its kind (`AKIA`, `-----BEGIN RSA PRIVATE KEY-----`), `length` counts bytes.
    `guessable`: people choose such secrets, so that a hash of one could be tried out.
    """

    kind: str
    start: int
    end: int
    prefix: str
    length: int
    severity: Severity
    confidence: Confidence = Confidence.HIGH
    remark: str = ""
    guessable: bool = False


def find(text: bytes, *, in_spec: bool, path: str = "", named: bool = True) -> Iterator[Secret]:
    """The secrets in a text, in the order of the detectors.

    What only a spec must not hold counts only `in_spec`; what only files of certain names hold, only at such a `path`;
    what nothing but a name before it speaks of, only if `named`.
    """
    taken: list[tuple[int, int]] = []  # in order, none over another: a hostile text has ten thousand
    present = _present(text, in_spec=in_spec)
    for detector in _wanted(text, present, path, in_spec=in_spec):
        if detector.check == "named" and not named:
            continue
        matches = _matches(text, detector, present)
        judged = (_CHECKS[detector.check](detector, match) for match in matches)
        least = _least(path) if detector.check == "named" else 0
        for secret in islice(filter(None, judged), COUNTED):
            at = bisect_left(taken, (secret.end,))
            if secret.length >= least and not (at and taken[at - 1][1] > secret.start):
                taken.insert(at, (secret.start, secret.end))
                yield secret


def _wanted(text: bytes, present: Iterable[bytes], path: str, *, in_spec: bool) -> list["_Detector"]:
    """The detectors of which a literal is there, or that every file of this name is searched by."""
    detectors, of = _detectors(in_spec=in_spec), _by_literal(in_spec=in_spec)
    found = {number for literal in present for number in of[literal]}
    for number, words in _common(in_spec=in_spec):
        if all(word in text for word in words):
            found.add(number)
    if path and any(hint in path for hint in _hints()):
        found.update(number for number, one in enumerate(detectors) if one.path and re.fullmatch(one.path, path))
    return [detectors[number] for number in sorted(found)]


def _matches(text: bytes, detector: "_Detector", present: Mapping[bytes, list[int]]) -> Iterator[re.Match[bytes]]:
    """Where the pattern matches: anywhere, or only where a literal starts or ends, which needs no search."""
    pattern = _compiled(detector.pattern)
    if not detector.at:
        return pattern.finditer(text)
    if detector.at == "end":
        places = {end for one in detector.literals for end in present.get(one, ())}
    else:
        starts = {end - len(one) for one in detector.literals for end in present.get(one, ())}
        places = {start for start in starts if not _in_a_word(text, start)}
    return filter(None, (pattern.match(text, place) for place in sorted(places)))


def _least(path: str) -> int:
    """How long a value must be at least that only a name speaks of: sources and manuals are full of short samples."""
    table = load("secrets")["prose"]
    return int(table["least"]) if re.fullmatch(table["files"], path.rpartition("/")[2]) else 0


def _present(text: bytes, *, in_spec: bool) -> dict[bytes, list[int]]:
    """Which of the detectors' literals stand in the text, and where each ends."""
    literals = _literals(in_spec=in_spec)
    found: dict[bytes, list[int]] = {}
    if len(text) > _SHORT or _search.cache_info().currsize or next(_short_texts) > _FEW:
        for index, _, end in _search(in_spec=in_spec)(text, overlapping=True):
            found.setdefault(literals[index], []).append(end)
        return found
    for literal in literals:
        at = text.find(literal)
        while at >= 0:
            found.setdefault(literal, []).append(at + len(literal))
            at = text.find(literal, at + 1)
    return found


@cache
def _literals(*, in_spec: bool) -> list[bytes]:
    return list(_by_literal(in_spec=in_spec))


@cache
def _search(*, in_spec: bool) -> Callable[..., list[tuple[int, int, int]]]:
    """What finds all literals in one pass."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    # the default for more than a hundred literals is slower by half, and built in a millisecond less
    return BytesAhoCorasick(_literals(in_spec=in_spec), implementation=Implementation.DFA).find_matches_as_indexes


class _Detector(NamedTuple):
    """A row of the table."""

    kind: str
    literals: tuple[bytes, ...]
    pattern: bytes
    check: str
    shown: int
    entropy: float
    severity: Severity
    confidence: Confidence
    spec_only: bool
    guessable: bool
    path: str
    common: tuple[bytes, ...]
    at: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "_Detector":
        return cls(
            row["kind"],
            tuple(literal.encode() for literal in row.get("literals", ())),
            row["pattern"].encode(),
            row.get("check", "token"),
            row.get("shown", 0),
            row.get("entropy", 0.0),
            Severity[row["severity"].upper()],
            Confidence[row.get("confidence", "high").upper()],
            row.get("spec_only", False),
            row.get("guessable", False),
            row.get("path", ""),
            tuple(word.encode() for word in row.get("common", ())),
            row.get("at", ""),
        )

    def secret(self, match: re.Match[bytes], remark: str = "") -> Secret:
        """The match as a secret."""
        group = "secret" if "secret" in match.re.groupindex else 0
        start, end = match.span(group)
        prefix = match[group][: self.shown].decode()
        length = end - start
        return Secret(
            self.kind, start, end, prefix, length, self.severity, self.confidence, remark, guessable=self.guessable
        )


def _tokens() -> Iterator[_Detector]:
    """The detectors of tokens that are told by what they start with alone."""
    for row in load("secrets")["token"]:
        starts = "|".join(map(re.escape, row["starts"]))
        shown = min(map(len, row["starts"]))
        made = {
            "pattern": f"(?:{starts}){row['body']}{_BOUNDARY}",
            "shown": shown,
            "severity": "critical",
            "entropy": 3.0,
        }
        anchor = {"literals": row["starts"], "at": "start"} if "literals" not in row else {}
        yield _Detector.of({**made, **anchor, **row})


_Check = Callable[[_Detector, re.Match[bytes]], Secret | None]
"""Looks at a match closely: a secret, or None when it opens nothing."""


def _token(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    secret = detector.secret(match)
    value = match.string[secret.start : secret.end]
    random = entropy(value) >= detector.entropy and not is_placeholder(value) and not is_public(value)
    delimited = "secret" in match.re.groupindex or not _in_a_word(match.string, match.start())
    return secret if random and delimited else None


def _in_a_word(text: bytes, at: int) -> bool:
    """Whether what starts there is the tail of something longer; the `n` of an escaped line break is no part of one."""
    return re.search(rb"(?<!\\)[A-Za-z0-9_+/.-]\Z", text[max(0, at - 2) : at]) is not None


def _named(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """A value after a name that speaks of a secret counts if it looks random; names of public keys speak of none."""
    value = match["secret"]
    if not looks_random(value, detector.entropy) or is_placeholder(value) or is_public(value):
        return None
    name = re.search(rb"[A-Za-z0-9_.-]{1,64}\Z", match.string[max(0, match.start() - 64) : match.start()])
    whole = (name[0] if name else b"") + match["rest"]
    if b"public" in whole.lower() or whole.decode() in load("secrets")["published"]["names"]:
        return None
    return detector.secret(match, f"the value of '{whole.decode()}'")


def looks_random(value: bytes, least: float) -> bool:
    """Whether letters and digits are so mixed, at `least` bits a character, that nobody made it up as a name."""
    digits = len(re.findall(rb"[0-9]", value))
    letters = len(re.findall(rb"[A-Za-z]", value))
    return digits > 0 and letters > 0 and entropy(value) >= least and _CLASSES * _changes(value) >= len(value)


_CLASSES = 8
"""Random texts change between small letters, capitals and digits every two or three characters; names do so rarely."""


def _changes(value: bytes) -> int:
    """How often a letter or digit is of another class than the one before it."""
    return len(re.findall(rb"[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z])", value))


def _login(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """`user:password` in base64, as Docker and HTTP have it."""
    user, _, password = decode(match["secret"]).partition(b":")
    known = is_public(match["secret"]) or is_placeholder(password)
    real = user and password and (user + password).isascii() and (user + password).decode().isprintable()
    return detector.secret(match) if real and not known else None


def _jwt(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """A token counts if it says how it is signed and what it is for, and its signature is no filler."""
    header, payload, signature = match[0].split(b".")
    signed = _json(header).get("alg", "none") != "none" and entropy(signature) >= _RANDOM
    claims = load("secrets")["jwt"]["claims"]
    real = any(claim in _json(payload) for claim in claims) and not is_placeholder(decode(payload))
    return detector.secret(match) if signed and real and not _in_a_word(match.string, match.start()) else None


def _json(encoded: bytes) -> Mapping[str, Any]:
    """The object in a part of a JSON Web Token; an empty one when there is none."""
    import json

    try:
        found = json.loads(decode(encoded))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _pem(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """A key counts if base64 of the right kind stands between its first line and its last."""
    text = match.string
    end = text.find(b"-----END", match.end(), match.end() + _KEY_LIMIT)
    body = text[match.end() : max(end, match.end())]
    material = _material(body)
    start = b"b3BlbnNzaC1rZXk" if b"OPENSSH" in match[0] else b"" if b"PGP" in match[0] else b"M"
    if len(material) < _MATERIAL or not material.startswith(start) or entropy(material) < _RANDOM:
        return None
    locked = b"ENCRYPTED" in match[0] or b"ENCRYPTED" in body or _openssh_cipher(material) not in {b"", b"none"}
    severity, remark = (Severity.MEDIUM, "locked with a passphrase") if locked else (detector.severity, "")
    return Secret(
        detector.kind, match.start(), end, match[0].decode(), end - match.start(), severity, detector.confidence, remark
    )


def _encoded_pem(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """A private key in base64 once more, as kubeconfig files and Kubernetes' secrets have it."""
    inner = decode(match[0])
    pattern = next(one.pattern for one in _detectors(in_spec=False) if one.check == "pem")
    key = next(filter(None, (_pem(detector, one) for one in _compiled(pattern).finditer(inner))), None)
    return key and detector.secret(match, key.remark)._replace(severity=key.severity)


def _material(body: bytes) -> bytes:
    """The base64 of a key, freed from the quotes and escapes of the language that it is embedded in."""
    lines = re.sub(rb"\\+[nr]", b"\n", body).split(b"\n")
    return b"".join(run for line in lines if b": " not in line for run in re.findall(rb"[A-Za-z0-9+/=]{16,}", line))


def _openssh_cipher(material: bytes) -> bytes:
    """The cipher that locks a key in OpenSSH's own format, `none` when there is none, "" in other formats."""
    magic, rest = (decoded := decode(material[:64]))[:15], decoded[15:]
    length = int.from_bytes(rest[:4], "big")
    return rest[4 : 4 + length] if magic == b"openssh-key-v1\0" else b""


def _password(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """What people choose need not look random: all that stands for nothing else counts."""
    return None if is_placeholder(match["secret"]) else detector.secret(match)


def _url(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """A password that says that it is one, with its letters escaped or parted, is made up for a manual or a test."""
    letters = re.sub(rb"%[0-9a-f]{2}|[^a-z]", b"", match["secret"].lower())
    return None if b"pass" in letters or b"sword" in letters else _token(detector, match)


_CHECKS: Mapping[str, _Check] = {
    "url": _url,
    "token": _token,
    "named": _named,
    "login": _login,
    "jwt": _jwt,
    "pem": _pem,
    "encoded pem": _encoded_pem,
    "password": _password,
}


_PKCS_12 = late(rb"\x30(?:[\x80\x00-\x7f]|\x81.|\x82..|\x83...|\x84....)\x02\x01\x03\x30", re.DOTALL)
"""A sequence that starts with the version 3 and holds a further sequence (RFC 7292, PFX)."""
_KEY_BAGS = (bytes.fromhex("060b2a864886f70d010c0a0101"), bytes.fromhex("060b2a864886f70d010c0a0102"))
"""The object identifiers of what holds a private key in it: in the clear, or locked with the password (RFC 7292)."""
_JAVA, _KERBEROS = (
    late(rb"(?:\xfe\xed\xfe\xed|\xce\xce\xce\xce)\0\0\0.{5}\0\0\0\x01", re.DOTALL),
    b"\x05\x02\0\0\0",
)
"""A store whose first entry is a private key; those of certificates that are trusted start with another."""
_DER = late(rb"\x30\x82(..)\x02\x01\0(?:\x30[\x0b-\x20]\x06|\x02\x82)", re.DOTALL)
"""A private key of RSA (PKCS #1) or any kind (PKCS #8) that is longer than 255 bytes."""


def key_store(data: bytes, size: int) -> str:
    """What a binary file of this size is that keeps private keys, by its beginning; "" where it is none."""
    key = _DER.match(data)
    if key and int.from_bytes(key[1], "big") + 4 == size:
        return "private key"
    if _JAVA.match(data):
        return "Java key store"
    if data.startswith(_KERBEROS) and size > _KEYTAB:
        return "Kerberos key table"
    return "PKCS #12 key store" if _PKCS_12.match(data) and any(bag in data for bag in _KEY_BAGS) else ""


_KEYTAB = 32
"""Bytes of the smallest key table with a key in it."""


def decode(text: bytes) -> bytes:
    """Base64 of either alphabet, with or without padding; nothing when it is none."""
    try:
        return a2b_base64(
            text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4)
        )
    except Base64Error:
        return b""


def entropy(value: bytes) -> float:
    """Shannon entropy in bits a byte."""
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values())


def is_placeholder(value: bytes) -> bool:
    """Whether the value stands for another that somebody fills in, or is a template's variable."""
    table = load("secrets")["placeholder"]
    text = value.decode("utf-8", "replace").lower()
    return any(part in text for part in (*table["parts"], *table["marks"]))


def is_public(value: bytes) -> bool:
    """Whether everybody knows the value, so that it opens nothing."""
    return value.decode("utf-8", "replace") in _public()


@cache
def _detectors(*, in_spec: bool) -> tuple[_Detector, ...]:
    rows: Iterable[Mapping[str, Any]] = load("secrets")["detector"]
    first = [one for one in map(_Detector.of, rows) if in_spec or not one.spec_only]
    # what is told by a name alone speaks last
    return (
        *(one for one in first if one.check != "named"),
        *_tokens(),
        *(one for one in first if one.check == "named"),
    )


@cache
def _by_literal(*, in_spec: bool) -> Mapping[bytes, list[int]]:
    """The numbers of the detectors that each literal is one of."""
    found: dict[bytes, list[int]] = {}
    for number, one in enumerate(_detectors(in_spec=in_spec)):
        for literal in one.literals:
            found.setdefault(literal, []).append(number)
    return found


@cache
def _common(*, in_spec: bool) -> list[tuple[int, tuple[bytes, ...]]]:
    """The words that are too common to be searched for with the others, with the number of their detector."""
    return [(number, one.common) for number, one in enumerate(_detectors(in_spec=in_spec)) if one.common]


@cache
def _hints() -> list[str]:
    """Parts of paths: without any of them a path is none that a detector has."""
    return list(load("secrets")["paths"]["hints"])


@cache
def _public() -> frozenset[str]:
    return frozenset(row["value"] for row in load("secrets")["public"])


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)
