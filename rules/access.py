"""Family A: who can log in, on a console or over the network, and with what."""

import re
from collections.abc import Iterable, Iterator

from ..scanner.startup import late
from ..scanner.subjects import Change, Container, File, ImageReference
from .engine import Confidence, Fix, Profile, Severity, Verdict, fail, not_applicable, rule, undecided
from .origins import note, unknown_environment, unread

_ACCOUNTS = late(r"(?:containers/[^/]+/[^/]+/(?:rootfs|lower)/)?etc/(?P<table>passwd|(?:getty\.)?shadow)")
_ACCOUNTS_LIMIT = 1 << 20
_FIELDS = {"passwd": 7, "shadow": 8}
_NO_LOGIN = ("nologin", "false")
_LOGIN_WORDS = ("getty", "ssh", "dropbear", "login", "console", "telnet")
_HOST_KEY = late(r"(?:.*/)?etc/ssh/ssh_host_[a-z0-9]+_key")


def is_host_key(file: File) -> bool:
    """Whether sshd would take the file for the private half of a host key."""
    return (
        file.kind in {"file", "hardlink"} and file.path.endswith("_key") and _HOST_KEY.fullmatch(file.path) is not None
    )


def _is_account_table(file: File) -> bool:
    if file.kind not in {"file", "hardlink"} or not file.path.endswith(("passwd", "shadow")):
        return False
    return _ACCOUNTS.fullmatch(file.path) is not None


@rule(
    "LKA001",
    "insecure-getty",
    Severity.HIGH,
    "Container '{0}' sets '{1}': its getty gives a root shell without a password on every console.",
    remedy="Remove INSECURE=true; to log in on a console give root a password in etc/getty.shadow, or leave getty out.",
    nist=("3.5.4",),
    autofix="unsafe",
)
def insecure_getty(container: Container) -> Iterator[Verdict]:
    """A getty logs root in on every console without asking for a password.

    LinuxKit's getty compares INSECURE with exactly `true`; of several entries the last one counts.
    """
    found = [(i, entry) for i, entry in enumerate(container.env) if entry.startswith("INSECURE=")]
    index, entry = found[-1] if found else (-1, "")
    origin = container.origin("env", str(index))
    if _is_getty(container):
        if entry == "INSECURE=true":
            at, evidence = note(container, origin), [f"it runs {one}" for one in _gettys(container)]
            fix = _secured(container, [index for index, _ in found])
            yield fail(container.title, origin.place, container.name, entry, note=at, evidence=evidence, fix=fix)
        elif container.label.kind == "unknown" and not container.env:
            yield unknown_environment(container)
    elif entry != "INSECURE=true" or container.command:
        yield not_applicable(container.title, container.place, "It is not a getty.")
    else:
        reason = "It sets INSECURE=true, but what its image runs is not known: it may be a copy of LinuxKit's getty."
        yield undecided(container.title, origin.place, reason)


def _secured(container: Container, indices: Iterable[int]) -> Fix | None:
    """Take the variable out of the spec; who cannot log in with a password is shut out by that."""
    origins = [container.origin("env", str(index)) for index in indices]
    if any(origin.source != "spec" for origin in origins):
        return None
    changes = tuple(Change("remove", origin.place) for origin in origins)
    return Fix("remove 'INSECURE'", changes, safe=False, effects=(f"{container.title} env",))


def _is_getty(container: Container) -> bool:
    """Whether its image is called getty, or its command runs one."""
    if container.image and container.image.name.rstrip("/").rpartition("/")[2] == "getty":
        return True
    return bool(_gettys(container))


def _gettys(container: Container) -> list[str]:
    """The words of its command that name a getty."""
    return [word for word in container.command if word.rpartition("/")[2] in {"rungetty.sh", "agetty", "getty"}]


@rule(
    "LKA002",
    "empty-password",
    Severity.HIGH,
    "'{0}' lets '{1}' log in with an empty password.",
    remedy="Lock the account with '*' in the password field, or give it a password hash.",
    nist=("3.5.4",),
    about=_is_account_table,
)
def empty_password(file: File) -> Iterator[Verdict]:
    """An account can log in with an empty password.

    Judges etc/passwd, etc/shadow and LinuxKit's etc/getty.shadow, in the root filesystem, in a container's tree and
    in a spec's files. In a container's tree where nothing suggests a login program the severity is low.
    """
    if file.read is None:
        yield unread(file)
        return
    data = file.read(_ACCOUNTS_LIMIT + 1)
    if len(data) > _ACCOUNTS_LIMIT:
        yield undecided(file.path, file.place, "It is larger than 1 MiB: too large for a table of accounts.")
        return
    found = list(_without_password(data.decode("utf-8", "replace"), file.path.rpartition("/")[2].rpartition(".")[2]))
    if found:
        accounts = tuple(dict.fromkeys(account for _, account in found))
        evidence = [f"line {line}: the password field of {account} is empty" for line, account in found]
        severity = None if _has_login(file) else Severity.LOW
        names = ", ".join(accounts)
        yield fail(file.path, file.place, file.path, names, evidence=evidence, severity=severity, members=accounts)


def _without_password(text: str, table: str) -> Iterator[tuple[int, str]]:
    """Line number and name of each account that needs no password and has a shell, as far as this table tells."""
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.rstrip("\r").split(":")
        if len(fields) < _FIELDS[table] or not fields[0] or fields[0][0] in "#+-" or fields[1]:
            continue
        if table == "passwd" and fields[6].rpartition("/")[2] in _NO_LOGIN:
            continue
        yield number, fields[0] if fields[0].isprintable() else ascii(fields[0])


def _has_login(file: File) -> bool:
    """Whether a login program is likely to read this table: the root filesystem's, or a login container's."""
    return not file.container or any(word in f"{file.container} {file.source}" for word in _LOGIN_WORDS)


@rule(
    "LKA003",
    "baked-ssh-host-key",
    Severity.HIGH,
    "'{0}' is an SSH host key that every machine made from this image shares.",
    remedy="Leave host keys out, so that sshd makes its own at first boot; keep them on a persistent volume if needed.",
    nist=("3.1.4",),
    about=is_host_key,
)
def baked_ssh_host_key(file: File) -> Iterator[Verdict]:
    """The private half of an SSH host key is part of the image.

    A spec that writes such a file from a `source:` is reported with medium confidence: the content is not read.
    """
    if file.read is None:
        evidence = ["the path is that of an SSH host key; its content was not read"]
        yield fail(file.path, file.place, file.path, evidence=evidence, confidence=Confidence.MEDIUM)
    elif b"PRIVATE KEY" in file.read(4096):
        yield fail(file.path, file.place, file.path, evidence=["it holds a private key"])
    else:
        yield not_applicable(file.path, file.place, "It has the name of an SSH host key but holds no private key.")


def _is_init(image: ImageReference) -> bool:
    return image.role == "init"


@rule(
    "LKA004",
    "getty-in-init",
    Severity.HIGH,
    "'{0}' under 'init' gives a root shell on the host, without a password, on every console.",
    remedy="Move getty to 'services', where it asks for the password in etc/getty.shadow, or leave it out.",
    nist=("3.5.4",),
    about=_is_init,
)
def getty_in_init(image: ImageReference) -> Iterator[Verdict]:
    """LinuxKit's getty is part of the root filesystem, where its start script sets INSECURE=true by itself.

    Other images called getty are taken for copies of it, with medium confidence.
    """
    if image.name.rpartition("/")[2] == "getty":
        official = image.name in {"linuxkit/getty", "docker.io/linuxkit/getty"}
        evidence = ["its /etc/init.d/001-getty exports INSECURE=true and runs /usr/bin/rungetty.sh at boot"]
        yield fail(
            f"init:{image.name}",
            image.place,
            image.text,
            evidence=evidence,
            confidence=None if official else Confidence.MEDIUM,
        )


_SCRIPT_LIMIT = 1 << 16
"""Bytes of a start script that are looked at."""
_START_SCRIPT = late(r"etc/init\.d/[^/]+|etc/inittab")
_INSECURE = late(
    rb"^[^#\n]{0,1000}?(?P<what>\bINSECURE=[\"']?true\b|\ba?getty\b[^#\n]{0,200}?(?:-a|--autologin)[ =]?root\b"
    rb"|:(?:respawn|askfirst):-?/bin/(?:ba|a)?sh\b)",
    re.MULTILINE,
)


def _is_start_script(file: File) -> bool:
    is_named = file.path.startswith("etc/init")
    return is_named and file.kind in {"file", "hardlink"} and _START_SCRIPT.fullmatch(file.path) is not None


@rule(
    "LKA005",
    "insecure-start-script",
    Severity.HIGH,
    "'{0}' gives a root shell on the host without a password: '{1}'.",
    remedy="Remove the script; let linuxkit/getty run as a service, without INSECURE=true.",
    nist=("3.5.4",),
    about=_is_start_script,
)
def insecure_start_script(file: File) -> Iterator[Verdict]:
    """What init starts at boot puts a root shell on a console, without asking for a password."""
    if file.read is None:
        yield unread(file)
        return
    text = file.read(_SCRIPT_LIMIT)
    found = _INSECURE.search(text)
    if found and (b"getty" in text or b"INSECURE" not in found["what"]):
        line = text.count(b"\n", 0, found.start("what")) + 1
        yield fail(
            file.path,
            file.place,
            file.path,
            found["what"].decode("utf-8", "replace"),
            evidence=[f"line {line} of the file"],
        )


@rule(
    "LKA007",
    "weak-password-hash",
    Severity.MEDIUM,
    "'{0}' keeps the password of '{1}' as a hash that is quick to guess.",
    remedy="Hash it anew with yescrypt ($y$) or SHA-512 ($6$), for instance with `mkpasswd -m sha-512`.",
    nist=("3.5.4", "3.1.4"),
    about=_is_account_table,
)
def weak_password_hash(file: File) -> Iterator[Verdict]:
    """A password is hashed with DES or MD5, which graphics cards guess by the billion a second.

    Judges etc/passwd, etc/shadow and LinuxKit's etc/getty.shadow. No finding holds a hash.
    """
    if file.read is None:
        yield unread(file)
        return
    data = file.read(_ACCOUNTS_LIMIT)
    found = list(_weak(data.decode("utf-8", "replace")))
    if found:
        accounts = ", ".join(dict.fromkeys(account for _, account, _ in found))
        evidence = [
            f"line {line}: the password of {account} is hashed with {method}" for line, account, method in found
        ]
        yield fail(file.path, file.place, file.path, accounts, evidence=evidence)


_WEAK = {
    "MD5 ($1$)": late(r"\$1\$[./0-9A-Za-z]{1,8}\$[./0-9A-Za-z]{22}"),
    "DES, in an extended form (_)": late(r"_[./0-9A-Za-z]{19}"),
    "DES": late(r"[./0-9A-Za-z]{13}"),
}
"""What the hashes of crypt(5) that are weak look like."""


def _weak(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, account and method of each weak hash; an account that is locked with ! keeps its hash."""
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.rstrip("\r").split(":")
        if len(fields) < _FIELDS["passwd"] or fields[0][:1] in {"", "#"}:
            continue
        method = next((name for name, shape in _WEAK.items() if shape.fullmatch(fields[1])), None)
        if method:
            yield number, fields[0] if fields[0].isprintable() else ascii(fields[0]), method


_KEY_FILE = late(r"(?:.*/)?(?:\.ssh/authorized_keys2?|etc/ssh/authorized_keys(?:\.d/.+)?)")
_KEY_LINE = late(rb"^[ \t]*(?!#)(?:[^#\n]{0,2000}[ \t])?(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]{3,40}[ \t]+AAAA", re.MULTILINE)


def _is_key_file(file: File) -> bool:
    is_named = "authorized_keys" in file.path
    return is_named and file.kind in {"file", "hardlink"} and _KEY_FILE.fullmatch(file.path) is not None


@rule(
    "LKA008",
    "authorized-keys-in-image",
    Severity.NOTE,
    {
        "default": "'{0}' lets the holders of '{1}' keys log in on every machine made from this image.",
        "source": "'{0}' lets the holder of a key log in on every machine made from this image.",
    },
    remedy="Check that each key is still wanted; the metadata package can bring keys at boot instead.",
    nist=("3.5.4", "3.3.1"),
    profile=Profile.AUDITOR,
    about=_is_key_file,
)
def authorized_keys_in_image(file: File) -> Iterator[Verdict]:
    """Keys that may log in over ssh are part of the image: taking one back means a new image for every machine."""
    if file.read is not None:
        count = len(_KEY_LINE.findall(file.read(_ACCOUNTS_LIMIT)))
        if count:
            yield fail(file.path, file.place, file.path, str(count))
    elif file.parts and "source" in file.parts:
        yield fail(
            file.path,
            file.parts["source"],
            file.path,
            variant="source",
            note="which keys they are depends on who builds the image",
        )
    else:
        yield unread(file)


RULES = (
    insecure_getty,
    empty_password,
    baked_ssh_host_key,
    getty_in_init,
    insecure_start_script,
    weak_password_hash,
    authorized_keys_in_image,
)
