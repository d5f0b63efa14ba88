"""Family A: who can log in, on a console or over the network, and with what."""

import re
from collections.abc import Iterator

from ..scanner.subjects import Container, File
from .engine import Confidence, Severity, Verdict, fail, not_applicable, rule, undecided
from .provenance import note

_ACCOUNTS = re.compile(r"(?:containers/[^/]+/[^/]+/(?:rootfs|lower)/)?etc/(?P<table>passwd|(?:getty\.)?shadow)")
_ACCOUNTS_LIMIT = 1 << 20
_FIELDS = {"passwd": 7, "shadow": 8}
_NO_LOGIN = ("nologin", "false")
_LOGIN_WORDS = ("getty", "ssh", "dropbear", "login", "console", "telnet")
_HOST_KEY = re.compile(r"(?:.*/)?etc/ssh/ssh_host_[a-z0-9]+_key")


def is_host_key(file: File) -> bool:
    """Whether sshd would take the file for the private half of a host key."""
    return file.kind in {"file", "hardlink"} and _HOST_KEY.fullmatch(file.path) is not None


def _is_account_table(file: File) -> bool:
    return file.kind in {"file", "hardlink"} and _ACCOUNTS.fullmatch(file.path) is not None


@rule(
    "LKA001",
    "insecure-getty",
    Severity.HIGH,
    "Container '{0}' sets '{1}': its getty gives a root shell without a password on every console.",
    remedy="Remove INSECURE=true; to log in on a console give root a password in etc/getty.shadow, or leave getty out.",
    nist=("3.5.4",),
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
            yield fail(container.title, origin.place, container.name, entry, note=at, evidence=evidence)
        elif container.label.kind == "unknown" and not container.env:
            yield undecided(container.title, container.place, "The environment that its image brings is not known.")
    elif entry != "INSECURE=true" or container.command:
        yield not_applicable(container.title, container.place, "It is not a getty.")
    else:
        reason = "It sets INSECURE=true, but what its image runs is not known: it may be a copy of LinuxKit's getty."
        yield undecided(container.title, origin.place, reason)


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
        yield undecided(
            file.path, file.place, f"The content of '{file.path}' is not known here; the built image tells."
        )
        return
    data = file.read(_ACCOUNTS_LIMIT + 1)
    if len(data) > _ACCOUNTS_LIMIT:
        yield undecided(file.path, file.place, "It is larger than 1 MiB: too large for a table of accounts.")
        return
    found = list(_without_password(data.decode("utf-8", "replace"), file.path.rpartition("/")[2].rpartition(".")[2]))
    if found:
        accounts = ", ".join(dict.fromkeys(account for _, account in found))
        evidence = [f"line {line}: the password field of {account} is empty" for line, account in found]
        severity = None if _has_login(file) else Severity.LOW
        yield fail(file.path, file.place, file.path, accounts, evidence=evidence, severity=severity)


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


RULES = (insecure_getty, empty_password, baked_ssh_host_key)
