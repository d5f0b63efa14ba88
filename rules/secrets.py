"""Family X: secrets in what an image is made of. No finding ever holds the secret itself, or a part of it."""

import re
from collections.abc import Iterator
from itertools import islice

from ..scanner.startup import late
from ..scanner.subjects import Container, File, KernelCommandLine, Place, Span
from .access import is_host_key
from .detectors import COUNTED, Secret, entropy, find, is_placeholder, key_store
from .engine import Confidence, Severity, Verdict, fail, not_applicable, rule, undecided
from .origins import note, unknown_environment, unread
from .redaction import mark
from .tables import load

_HEAD = 4096
"""Bytes of a file that show whether it is text."""
_FIRST = frozenset((b"\x30", b"\xfe", b"\xce", b"\x05"))
"""With what stores of keys begin."""
_STORE = 64 << 10
"""Bytes of a binary file in which the marks of a store of keys are looked for."""
_LIMIT = 1 << 20
"""Bytes of a text that are searched."""
_SHOWN = 5
"""Secrets of one kind and file that the evidence lists."""
_PAIR = late(
    r"""\b(?P<name>[A-Za-z_][\w.-]{0,63})["']?[ \t]{0,16}[=:][ \t]{0,16}["']?(?P<value>[^][\s"',{}][^]\s"',}]{0,255})"""
)
"""A name and its value, in YAML, JSON, a shell or a command line."""
_OPTION = late(
    r"""(?<![\w-])--?(?P<name>[A-Za-z][\w.-]{0,63})["']?(?:[ \t]{1,16}|,\s{0,16}(?:-[ \t]{0,16})?)["']?"""
    r"""(?P<value>[^][\s"',{}=-][^]\s"',}]{0,255})"""
)
"""An option and its value as the next word, on a command line or in a list."""


_CONFIGURATION = late(r"containers/[^/]+/[^/]+/(?:config|runtime)\.json")
"""What LinuxKit writes of a container: its environment and command are judged as such."""


def _is_searched(file: File) -> bool:
    if file.kind != "file" or is_host_key(file):
        return False
    return not (file.path.endswith(".json") and _CONFIGURATION.fullmatch(file.path))


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

    Texts are searched up to 1 MiB; of binary files only stores of keys are known. SSH host keys are the matter of
    `baked-ssh-host-key`.
    """
    if file.read is None:
        yield _unread(file)
        return
    head = file.read(_HEAD)
    is_text = b"\0" not in head
    if head[:1] in _FIRST and not is_text and (store := key_store(file.read(_STORE), file.size)):
        evidence = ["told by its first bytes; what is in it may be locked with a password"]
        own = None if store == "private key" else Severity.MEDIUM
        severity = Severity.LOW if _sample(file.path) else own
        yield fail(file.path, file.place, file.path, store, key=store, evidence=evidence, severity=severity)
        return
    if not is_text:
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
    for secret in sorted(_in_file(file, text), key=lambda secret: secret.start):
        kinds.setdefault(secret.kind, []).append(secret)
    for kind, found in kinds.items():
        first = found[0]
        evidence = [
            f"line {_position(text, one.start)[0]} of the file: {_described(text, one)}" for one in found[:_SHOWN]
        ]
        if len(found) > _SHOWN:
            evidence.append(f"{len(found) - _SHOWN} more")
        severity, confidence = max(s.severity for s in found), max(s.confidence for s in found)
        if sample := _sample(file.path):
            severity, confidence = min(severity, Severity.LOW), Confidence.LOW
            evidence.append(f"{sample}: most likely a published sample, which an image does not need either")
        yield fail(
            file.path,
            _at(file.place, text, first),
            *(file.path, kind, f"{len(found)}" if len(found) < COUNTED else f"at least {COUNTED}"),
            variant="several" if len(found) > 1 else "default",
            key=kind,
            evidence=evidence,
            severity=severity,
            confidence=confidence,
            members=[_mark(text, one) or str(number) for number, one in enumerate(found, 1)],
        )


def _in_file(file: File, text: bytes) -> Iterator[Secret]:
    """The secrets in a file; in a spec's, which somebody wrote by hand, passwords count that only a name gives away."""
    in_spec = file.place.span is not None
    found = list(find(text, in_spec=in_spec, path=file.inner))
    yield from found
    by_names = _by_names(text.decode("utf-8", "surrogateescape")) if in_spec else iter(())
    for name, secret in islice(by_names, COUNTED):
        if not any(one.start < secret.end and secret.start < one.end for one in found):
            yield secret._replace(remark=f"the value of '{name}'")


def _at(place: Place, text: bytes, secret: Secret) -> Place:
    """The secret's place in a file of an image; in a spec the place of the file's entry, as readers gave it."""
    if place.span:
        return place
    line, column = _position(text, secret.start)
    return Place(place.artifacts, Span(line, column, *_position(text, secret.end)), place.pointer)


def _position(text: bytes, offset: int) -> tuple[int, int]:
    start = text.rfind(b"\n", 0, offset) + 1
    return text.count(b"\n", 0, offset) + 1, len(text[start:offset].decode("utf-8", "replace")) + 1


def _described(text: bytes, secret: Secret) -> str:
    """All that is told of a secret in a text."""
    prefix = f", starts with '{secret.prefix}'" if secret.prefix else ""
    remark = f", {secret.remark}" if secret.remark else ""
    digits = _mark(text, secret)
    return f"{secret.length} characters{prefix}{remark}" + (f", keyed hash {digits}" if digits else "")


def _mark(text: bytes, secret: Secret) -> str:
    return mark(text[secret.start : secret.end], guessable=secret.guessable)


def _sample(path: str) -> str:
    """The directory, or the file's own name, that speaks of a published sample; "" where none does."""
    table = load("secrets")["samples"]
    *folders, name = path.lower().split("/")
    is_named = re.fullmatch(table["files"], name) is not None
    return next((f"below '{part}'" for part in folders if part in table["directories"]), "by its name" * is_named)


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
            origin, digits = container.origin("env", str(index)), mark(_encoded(value), guessable=found.guessable)
            yield fail(
                container.title,
                origin.place,
                *(container.name, name, found.kind),
                key=name,
                evidence=[_described(_encoded(value), found._replace(start=0, end=len(_encoded(value))))],
                severity=found.severity,
                confidence=found.confidence,
                members=[digits] if digits else [],
            )
    if not container.env:
        yield unknown_environment(container)


def _in_variable(name: str, value: str) -> Secret | None:
    by_content = next(find(_encoded(f"{name}={value}"), in_spec=True, named=False), None)
    return by_content or _by_name(name, _encoded(value))


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
        return Secret("password", 0, len(value), "", len(value), Severity.HIGH, Confidence.MEDIUM, guessable=True)
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
    found = next(find(_encoded(text), in_spec=True), None) or next(_by_names(text), None)
    return found is not None


def _in_text(text: str) -> Iterator[tuple[str, Secret]]:
    """What may be secrets in a text: the name that speaks of each, "" for one that is told by its looks."""
    by_looks = list(find(_encoded(text), in_spec=True, named=False))
    yield from (("", secret) for secret in by_looks)
    yield from _by_names(text)


def _by_names(text: str) -> Iterator[tuple[str, Secret]]:
    """What only names speak of, each with its name."""
    for pattern in (_PAIR, _OPTION) if _may_speak(text) else ():
        for pair in pattern.finditer(text):
            value = _encoded(pair["value"])
            secret = _by_name(pair["name"].replace("-", "_").replace(".", "_"), value)
            if secret and not next(find(value, in_spec=True, named=False), None):
                start = len(_encoded(text[: pair.start("value")]))
                yield pair["name"], secret._replace(start=start, end=start + len(value))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


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
    text = " ".join(container.command)
    for name, secret in _told_apart(text).items():
        yield _spoken(text, container.title, origin.place, name, secret, container.name, note(container, origin))


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
        yield _spoken(line.text, line.place.pointer or line.place.artifacts[-1], line.place, name, secret)


def _told_apart(text: str) -> dict[str, Secret]:
    """The secrets of a text, one for each name, or kind where there is none."""
    found: dict[str, Secret] = {}
    for name, secret in _in_text(text):
        found.setdefault(name or f" {secret.kind}", secret)
    return found


def _spoken(text: str, subject: str, place: Place, name: str, secret: Secret, *who: str) -> Verdict:
    """The failure for a secret in a command; `who` is the container's name and the note on where that comes from."""
    named = () if name.startswith(" ") else (name,)
    digits = _mark(_encoded(text), secret)
    return fail(
        subject,
        place,
        *who[:1],
        secret.kind,
        *named,
        note="".join(who[1:]),
        variant="named" if named else "default",
        key=name.strip(),
        evidence=[_described(_encoded(text), secret)],
        severity=secret.severity,
        confidence=secret.confidence,
        members=[digits] if digits else [],
    )


RULES = (secret_in_file, secret_in_environment, secret_in_command, secret_in_kernel_arguments)
