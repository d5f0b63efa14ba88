"""Family X: secrets in what an image is made of. No finding ever holds the secret itself, or a part of it."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from math import log2

from ..scanner.startup import Any, NamedTuple, late
from ..scanner.subjects import Container, File, KernelCommandLine, Place, Span
from .access import is_host_key
from .engine import Confidence, Severity, Verdict, fail, not_applicable, rule, undecided
from .origins import note, unknown_environment, unread
from .tables import load

_HEAD = 4096
"""Bytes of a file that show whether it is text."""
_LIMIT = 1 << 20
"""Bytes of a text that are searched."""
_SHORT = 256
"""Bytes of a text that is searched for one literal after the other; to load a library for it takes a millisecond."""
_COUNTED = 100
"""Secrets in one text that one detector counts."""
_SHOWN = 5
"""Secrets of one kind and file that the evidence lists."""
_KEY_LIMIT = 32 << 10
"""Bytes between the first and the last line of a private key."""
_PAIR = late(
    r"""\b(?P<name>[A-Za-z_][\w.-]{0,63})["']?[ \t]{0,16}[=:][ \t]{0,16}["']?(?P<value>[^][\s"',{}][^]\s"',}]{0,255})"""
)
"""A name and its value, in YAML, JSON, a shell or a command line."""
_OPTION = late(
    r"""(?<![\w-])--?(?P<name>[A-Za-z][\w.-]{0,63})["']?(?:[ \t]{1,16}|,\s{0,16}(?:-[ \t]{0,16})?)["']?"""
    r"""(?P<value>[^][\s"',{}=-][^]\s"',}]{0,255})"""
)
"""An option and its value as the next word, on a command line or in a list."""


class Secret(NamedTuple):
    """A secret in a text: its kind, where it starts and ends (bytes), and what may be shown of it.

    `prefix` is the same for all of its kind (`AKIA`, `-----BEGIN RSA PRIVATE KEY-----`), `length` counts bytes.
    """

    kind: str
    start: int
    end: int
    prefix: str
    length: int
    severity: Severity
    confidence: Confidence = Confidence.HIGH
    remark: str = ""


def _is_searched(file: File) -> bool:
    return file.kind == "file" and not is_host_key(file)


def _has_environment(container: Container) -> bool:
    return bool(container.env) or container.label.kind == "unknown"


@rule(
    "LKX001",
    "secret-in-file",
    Severity.CRITICAL,
    {
        "default": "'{0}' holds a secret: '{1}'.",
        "several": "'{0}' holds secrets: '{2}' times '{1}'.",
    },
    remedy="Take it out and revoke it; hand secrets over at run time (metadata service, a mounted volume, a TPM).",
    nist=("3.1.4",),
    about=_is_searched,
)
def secret_in_file(file: File) -> Iterator[Verdict]:
    """A file holds a private key, a token, a login or, in a spec, a password hash in clear text.

    Texts are searched up to 1 MiB; binary files are not. SSH host keys are the matter of `baked-ssh-host-key`.
    """
    if file.read is None:
        yield _unread(file)
        return
    head = file.read(_HEAD)
    if b"\0" in head:
        yield not_applicable(file.path, file.place, "It is no text; only texts are searched for secrets.")
        return
    text = file.read(_LIMIT + 1) if len(head) == _HEAD else head
    yield from _report(file, text[:_LIMIT])
    if len(text) > _LIMIT:
        yield undecided(file.path, file.place, "It is larger than 1 MiB: only its beginning was searched for secrets.")


def _unread(file: File) -> Verdict:
    """A spec's file whose content comes from elsewhere: the spec itself, which holds no more than is judged already."""
    if file.parts and "metadata" in file.parts:
        reason = f"LinuxKit writes the spec itself to '{file.path}': its parts are judged where they stand."
        return not_applicable(file.path, file.place, reason)
    return unread(file)


def _report(file: File, text: bytes) -> Iterator[Verdict]:
    """One verdict for each kind of secret in the text, at the first of them."""
    kinds: dict[str, list[Secret]] = {}
    for secret in find(text, in_spec=file.place.span is not None):
        kinds.setdefault(secret.kind, []).append(secret)
    for kind, found in kinds.items():
        first = found[0]
        evidence = [_describe(text, secret) for secret in found[:_SHOWN]]
        if len(found) > _SHOWN:
            evidence.append(f"{len(found) - _SHOWN} more")
        severity, confidence = max(s.severity for s in found), max(s.confidence for s in found)
        if sample := _sample_directory(file.path):
            severity, confidence = min(severity, Severity.LOW), Confidence.LOW
            evidence.append(f"below '{sample}': most likely a published sample, which an image does not need either")
        yield fail(
            file.path,
            _at(file.place, text, first),
            *(file.path, kind, f"{len(found)}" if len(found) < _COUNTED else f"at least {_COUNTED}"),
            variant="several" if len(found) > 1 else "default",
            key=kind,
            evidence=evidence,
            severity=severity,
            confidence=confidence,
            members=map(str, range(1, len(found) + 1)),
        )


def _at(place: Place, text: bytes, secret: Secret) -> Place:
    """The secret's place in a file of an image; in a spec the place of the file's entry, as readers gave it."""
    if place.span:
        return place
    line, column = _position(text, secret.start)
    return Place(place.artifacts, Span(line, column, *_position(text, secret.end)), place.pointer)


def _position(text: bytes, offset: int) -> tuple[int, int]:
    start = text.rfind(b"\n", 0, offset) + 1
    return text.count(b"\n", 0, offset) + 1, len(text[start:offset].decode("utf-8", "replace")) + 1


def _describe(text: bytes, secret: Secret) -> str:
    prefix = f", starts with '{secret.prefix}'" if secret.prefix else ""
    remark = f", {secret.remark}" if secret.remark else ""
    return f"line {_position(text, secret.start)[0]} of the file: {secret.length} characters{prefix}{remark}"


def _sample_directory(path: str) -> str:
    names = load("secrets")["samples"]["directories"]
    return next((part for part in path.lower().split("/")[:-1] if part in names), "")


@rule(
    "LKX002",
    "secret-in-environment",
    Severity.CRITICAL,
    "Container '{0}' gets a secret in its environment variable '{1}': '{2}'.",
    remedy="Take it out and revoke it; let the program read the secret at run time from a file that is mounted for it.",
    nist=("3.1.4",),
    about=_has_environment,
)
def secret_in_environment(container: Container) -> Iterator[Verdict]:
    """A container's environment holds a secret: it stands in the spec, the image and /proc in clear text."""
    for index, entry in enumerate(container.env):
        name, _, value = entry.partition("=")
        if found := _in_variable(name, value):
            origin = container.origin("env", str(index))
            yield fail(
                container.title,
                origin.place,
                *(container.name, name, found.kind),
                key=name,
                evidence=[_describe(b"", found).partition(": ")[2]],
                severity=found.severity,
                confidence=found.confidence,
            )
    if not container.env:
        yield unknown_environment(container)


def _in_variable(name: str, value: str) -> Secret | None:
    data = value.encode("utf-8", "surrogateescape")
    by_content = next(find(f"{name}={value}".encode("utf-8", "surrogateescape"), in_spec=True), None)
    return by_content or _by_name(name, data)


def _by_name(name: str, value: bytes) -> Secret | None:
    """A secret that only the variable's name gives away: a literal value, no path, switch, reference or template."""
    if not _may_speak(name):
        return None
    table = load("secrets")["env"]
    text = value.decode("utf-8", "replace")
    is_reference = text.startswith(tuple(table["references"])) or is_placeholder(value)
    if text.strip().lower() in table["plain"] or is_reference:
        return None
    if re.search(table["passwords"], name):
        return Secret("password", 0, len(value), "", len(value), Severity.HIGH, Confidence.MEDIUM)
    looks_random = len(value) >= table["key_length"] and entropy(value) >= table["key_entropy"]
    if looks_random and re.search(table["keys"], name) and not re.fullmatch(table["words"], text):
        return Secret("key or token", 0, len(value), "", len(value), Severity.HIGH, Confidence.MEDIUM)
    return None


def _may_speak(text: str) -> bool:
    """Whether a name that speaks of a secret may be in a text: without any, no pattern is compiled for it."""
    folded = text.casefold()
    return any(hint in folded for hint in load("secrets")["env"]["hints"])


def looks_secret(text: str) -> bool:
    """Whether a text holds what may be a secret: by its looks, or after a name that speaks of one (`password: …`)."""
    return next(_in_text(text), None) is not None


def _in_text(text: str) -> Iterator[tuple[str, Secret]]:
    """What may be secrets in a text: the name that speaks of each, "" for one that is told by its looks."""
    by_looks = list(find(text.encode("utf-8", "surrogateescape"), in_spec=True))
    yield from (("", secret) for secret in by_looks)
    for pattern in (_PAIR, _OPTION) if _may_speak(text) else ():
        for pair in pattern.finditer(text):
            value = pair["value"].encode("utf-8", "surrogateescape")
            secret = _by_name(pair["name"].replace("-", "_").replace(".", "_"), value)
            if secret and not next(find(value, in_spec=True), None):
                yield pair["name"], secret


def _has_command(container: Container) -> bool:
    return bool(container.command)


@rule(
    "LKX003",
    "secret-in-command",
    Severity.CRITICAL,
    {
        "default": "The command of container '{0}' holds a secret: '{1}'.",
        "named": "The command of container '{0}' holds a secret, the value of '{2}': '{1}'.",
    },
    remedy="Take it out and revoke it; let the program read the secret at run time from a file that is mounted for it.",
    nist=("3.1.4",),
    about=_has_command,
)
def secret_in_command(container: Container) -> Iterator[Verdict]:
    """A container's command holds a secret: it stands in the spec, the image and the list of processes."""
    origin = container.origin("command")
    for name, secret in _told_apart(" ".join(container.command)).items():
        yield _spoken(container.title, origin.place, name, secret, container.name, note(container, origin))


@rule(
    "LKX004",
    "secret-in-kernel-arguments",
    Severity.CRITICAL,
    {
        "default": "The kernel's command line holds a secret: '{0}'.",
        "named": "The kernel's command line holds a secret, the value of '{1}': '{0}'.",
    },
    remedy="Take it out and revoke it; hand secrets over at run time (metadata service, a mounted volume, a TPM).",
    nist=("3.1.4",),
)
def secret_in_kernel_arguments(line: KernelCommandLine) -> Iterator[Verdict]:
    """The kernel's command line holds a secret: every process of every container can read it in /proc/cmdline."""
    for name, secret in _told_apart(line.text).items():
        yield _spoken(line.place.pointer or line.place.artifacts[-1], line.place, name, secret)


def _told_apart(text: str) -> dict[str, Secret]:
    """The secrets of a text, one for each name, or kind where there is none."""
    found: dict[str, Secret] = {}
    for name, secret in _in_text(text):
        found.setdefault(name or f" {secret.kind}", secret)
    return found


def _spoken(subject: str, place: Place, name: str, secret: Secret, *who: str) -> Verdict:
    """The failure for a secret in a command; `who` is the container's name and the note on where that comes from."""
    named = () if name.startswith(" ") else (name,)
    return fail(
        subject,
        place,
        *who[:1],
        secret.kind,
        *named,
        note="".join(who[1:]),
        variant="named" if named else "default",
        key=name.strip(),
        evidence=[_describe(b"", secret).partition(": ")[2]],
        severity=secret.severity,
        confidence=secret.confidence,
    )


def find(text: bytes, *, in_spec: bool) -> Iterator[Secret]:
    """The secrets in a text, in the order of the detectors; what only a spec must not hold counts only `in_spec`."""
    taken: list[tuple[int, int]] = []
    present = _present(text, in_spec=in_spec)
    for detector in _detectors(in_spec=in_spec) if present else ():
        if not present.isdisjoint(detector.literals):
            judged = (_CHECKS[detector.check](detector, match) for match in _compiled(detector.pattern).finditer(text))
            for secret in islice(filter(None, judged), _COUNTED):
                if not any(start < secret.end and secret.start < end for start, end in taken):
                    taken.append((secret.start, secret.end))
                    yield secret


def _present(text: bytes, *, in_spec: bool) -> set[bytes]:
    """Which of the detectors' literals stand in the text."""
    literals = _literals(in_spec=in_spec)
    if len(text) > _SHORT and (search := _search(in_spec=in_spec)):
        return {literals[index] for index, _, _ in search(text, overlapping=True)}
    return {literal for literal in literals if literal in text}


@cache
def _literals(*, in_spec: bool) -> list[bytes]:
    return [literal for detector in _detectors(in_spec=in_spec) for literal in detector.literals]


@cache
def _search(*, in_spec: bool) -> Callable[..., list[tuple[int, int, int]]] | None:
    """What finds all literals in one pass: at a tenth of the time, with the extra `fast`."""
    try:
        from ahocorasick_rs import BytesAhoCorasick
    except ImportError:
        return None
    return BytesAhoCorasick(_literals(in_spec=in_spec)).find_matches_as_indexes


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

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "_Detector":
        return cls(
            row["kind"],
            tuple(literal.encode() for literal in row["literals"]),
            row["pattern"].encode(),
            row.get("check", "token"),
            row.get("shown", 0),
            row.get("entropy", 0.0),
            Severity[row["severity"].upper()],
            Confidence[row.get("confidence", "high").upper()],
            row.get("spec_only", False),
        )

    def secret(self, match: re.Match[bytes]) -> Secret:
        """The match as a secret."""
        group = "secret" if "secret" in match.re.groupindex else 0
        start, end = match.span(group)
        prefix = match[group][: self.shown].decode()
        return Secret(self.kind, start, end, prefix, end - start, self.severity, self.confidence)


_Check = Callable[[_Detector, re.Match[bytes]], Secret | None]
"""Looks at a match closely: a secret, or None when it opens nothing."""


def _token(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    secret = detector.secret(match)
    value = match.string[secret.start : secret.end]
    random = entropy(value) >= detector.entropy and not is_placeholder(value) and value.decode() not in _public()
    delimited = "secret" in match.re.groupindex or not _in_a_word(match)
    return secret if random and delimited else None


def _in_a_word(match: re.Match[bytes]) -> bool:
    """Whether the match is the tail of something longer; the `n` of an escaped line break is no part of a word."""
    return re.search(rb"(?<!\\)[A-Za-z0-9_+/.-]\Z", match.string[max(0, match.start() - 2) : match.start()]) is not None


def _login(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """Docker keeps `user:password` in base64."""
    user, _, password = _decode(match["secret"]).partition(b":")
    real = user and password and (user + password).isascii() and (user + password).decode().isprintable()
    return detector.secret(match) if real and not is_placeholder(password) else None


def _jwt(detector: _Detector, match: re.Match[bytes]) -> Secret | None:
    """A token counts if it says how it is signed and what it is for, and its signature is no filler."""
    header, payload, signature = match[0].split(b".")
    signed = _json(header).get("alg", "none") != "none" and entropy(signature) >= _RANDOM
    claims = load("secrets")["jwt"]["claims"]
    real = any(claim in _json(payload) for claim in claims) and not is_placeholder(_decode(payload))
    return detector.secret(match) if signed and real and not _in_a_word(match) else None


def _json(encoded: bytes) -> Mapping[str, Any]:
    """The object in a part of a JSON Web Token; an empty one when there is none."""
    import json

    try:
        found = json.loads(_decode(encoded))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


_RANDOM = 3.5
"""Entropy (bits a character) that some dozen characters of base64 reach when they encode random bytes."""
_MATERIAL = 48
"""Characters of base64 in the smallest private keys (Ed25519 in PKCS #8)."""


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
    length = end - match.start()
    return Secret(detector.kind, *match.span(), match[0].decode(), length, severity, detector.confidence, remark)


def _material(body: bytes) -> bytes:
    """The base64 of a key, freed from the quotes and escapes of the language that it is embedded in."""
    lines = re.sub(rb"\\+[nr]", b"\n", body).split(b"\n")
    return b"".join(run for line in lines if b": " not in line for run in re.findall(rb"[A-Za-z0-9+/=]{16,}", line))


def _openssh_cipher(material: bytes) -> bytes:
    """The cipher that locks a key in OpenSSH's own format, `none` when there is none, "" in other formats."""
    magic, rest = (decoded := _decode(material[:64]))[:15], decoded[15:]
    length = int.from_bytes(rest[:4], "big")
    return rest[4 : 4 + length] if magic == b"openssh-key-v1\0" else b""


_CHECKS: Mapping[str, _Check] = {"token": _token, "login": _login, "jwt": _jwt, "pem": _pem}


def _decode(text: bytes) -> bytes:
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


@cache
def _detectors(*, in_spec: bool) -> tuple[_Detector, ...]:
    detectors = (_Detector.of(row) for row in load("secrets")["detector"])
    return tuple(one for one in detectors if in_spec or not one.spec_only)


@cache
def _public() -> frozenset[str]:
    return frozenset(row["value"] for row in load("secrets")["public"])


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)


RULES = (secret_in_file, secret_in_environment, secret_in_command, secret_in_kernel_arguments)
