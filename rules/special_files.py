"""Family F, its second part: files that are more than their content: programs with capabilities, device nodes."""

from collections.abc import Iterator

from ..scanner.subjects import File
from .engine import Severity, Verdict, fail, not_applicable, rule, undecided
from .files import hidden_by
from .tables import load

_XATTR = "security.capability"
_REVISIONS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}
"""The revisions of linux/capability.h, with the words of 32 bits that each set has."""
_EFFECTIVE = 1

_MODEST = frozenset({"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_SYS_NICE", "CAP_WAKE_ALARM"})
"""Capabilities that programs are often given on purpose, and that gain little: of ping, of servers on low ports."""


def _has_capabilities(file: File) -> bool:
    return bool(file.xattrs) and _XATTR in file.xattrs


@rule(
    "LKF008",
    "file-capabilities",
    Severity.MEDIUM,
    "'{0}' gives '{1}' to whoever runs it (mode '{2}').",
    remedy="Remove them (`setcap -r`), and give the service that needs them the capability in the spec.",
    nist=("3.1.2", "3.4.3"),
    about=_has_capabilities,
)
def file_capabilities(file: File) -> Iterator[Verdict]:
    """A program has file capabilities: a user who runs it gets privileges that the spec gives to nobody.

    What a container gets by them is bounded by the capabilities that its spec allows; `noNewPrivileges` makes them
    ineffective. Low where none of them leads far, or where others cannot execute the file.
    """
    try:
        granted = capabilities(file.xattrs[_XATTR])
    except ValueError as error:
        yield undecided(file.path, file.place, f"Its file capabilities cannot be read: {error}.")
        return
    if mount := hidden_by(file):
        yield not_applicable(file.path, file.place, f"Nobody sees it at run time: a mount on '/{mount}' hides it.")
    elif granted:
        severity = None if granted - _MODEST and file.mode & 0o001 else Severity.LOW
        mode = f"{file.mode:04o}"
        evidence = [f"{_XATTR}: {file.xattrs[_XATTR].hex()}", f"mode {mode}, owner {file.uid}:{file.gid}"]
        yield fail(
            file.path, file.place, file.path, ", ".join(sorted(granted)), mode, evidence=evidence, severity=severity
        )


def capabilities(value: bytes) -> frozenset[str]:
    """The permitted capabilities of an extended attribute, by name. Raises ValueError for one that Linux refuses."""
    if len(value) < 4:  # noqa: PLR2004 - a word
        raise ValueError("the attribute is too short")
    magic = _word(value, 0)
    words = _REVISIONS.get(magic & ~_EFFECTIVE & 0xFFFFFFFF)
    if words is None or len(value) not in {4 + 8 * words, 8 + 8 * words}:
        raise ValueError("the attribute is of no revision that is known")
    low, high = (_word(value, 4 + 8 * number) if number < words else 0 for number in (0, 1))
    table = load("capabilities")
    names = [*table["first"], *table["since"]]
    bits = low | high << 32
    return frozenset(
        names[number] if number < len(names) else f"capability {number}" for number in range(64) if bits >> number & 1
    )


def _word(value: bytes, at: int) -> int:
    return int.from_bytes(value[at : at + 4], "little")


def _is_device(file: File) -> bool:
    return file.kind in {"char", "block"}


@rule(
    "LKF009",
    "device-node-in-image",
    Severity.LOW,
    {
        "default": "'{0}' is a '{1}' device that the image brings (mode '{2}').",
        "open": "'{0}' is a '{1}' device that the image brings and every user may open (mode '{2}').",
    },
    remedy="Remove it: the kernel and runc make the devices that a system and its containers may use.",
    nist=("3.1.2", "3.4.3"),
    about=_is_device,
)
def device_node_in_image(file: File) -> Iterator[Verdict]:
    """An image brings device nodes outside of /dev: a way to the device that nobody looks for.

    A container can open one only where its device cgroup allows it; in the root filesystem nothing is in the way but
    the mode: medium where every user may open it there.
    """
    if mount := hidden_by(file):
        yield not_applicable(file.path, file.place, f"Nobody sees it at run time: a mount on '/{mount}' hides it.")
        return
    kind, mode = {"char": "character", "block": "block"}[file.kind], f"{file.mode:04o}"
    is_open = bool(file.mode & 0o006)
    evidence = [f"mode {mode}, owner {file.uid}:{file.gid}"]
    severity = Severity.MEDIUM if is_open and not file.container else None
    variant = "open" if is_open else "default"
    yield fail(file.path, file.place, file.path, kind, mode, variant=variant, evidence=evidence, severity=severity)


RULES = (file_capabilities, device_node_in_image)
