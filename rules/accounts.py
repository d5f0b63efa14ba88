"""Family A, its fourth part: accounts and groups that can do more than they are for."""

from collections.abc import Iterator

from ..scanner.subjects import File
from .engine import Profile, Severity, Verdict, fail, rule
from .origins import unread

_LIMIT = 1 << 20
_NO_SHELLS = frozenset({"nologin", "false", "true", "sync", "halt", "shutdown", "null"})
"""What stands in the place of a shell and gives none."""
_FIRST_PERSON = 1000
"""The first id of people, in all distributions of today; below are root and services."""
_NOBODY = 65_534


def _is_passwd(file: File) -> bool:
    is_named = file.path.endswith("etc/passwd") and file.inner == "etc/passwd"
    return is_named and file.kind in {"file", "hardlink"}


@rule(
    "LKA011",
    "second-root-account",
    Severity.HIGH,
    "'{0}' makes '{1}' root, too: an account of id 0.",
    remedy="Give the account an id of its own; who needs single privileges of root gets them as capabilities.",
    nist=("3.5.4", "3.4.3"),
    about=_is_passwd,
)
def second_root_account(file: File) -> Iterator[Verdict]:
    """An account besides root has the id 0: it is root under another name, with a password of its own."""
    if file.read is None:
        yield unread(file)
        return
    others = [(line, fields[0]) for line, fields in _accounts(file) if _number(fields[2]) == 0 and fields[0] != "root"]
    if others:
        names = tuple(dict.fromkeys(_shown(name) for _, name in others))
        evidence = [f"line {line}: {_shown(name)} has uid 0" for line, name in others]
        yield fail(file.path, file.place, file.path, ", ".join(names), evidence=evidence, members=names)


@rule(
    "LKA012",
    "service-account-with-shell",
    Severity.LOW,
    "'{0}' gives accounts of services a shell: '{1}'.",
    remedy="Give accounts that nobody logs in to /sbin/nologin as their shell.",
    nist=("3.5.4",),
    profile=Profile.PEDANTIC,
    about=_is_passwd,
)
def service_account_with_shell(file: File) -> Iterator[Verdict]:
    """An account below id 1000, which is no person's, has a shell: a key or password put there lets somebody in."""
    if file.read is None:
        yield unread(file)
        return
    found = [
        (line, fields[0], fields[6] or "/bin/sh")
        for line, fields in _accounts(file)
        if (0 < _number(fields[2]) < _FIRST_PERSON or _number(fields[2]) == _NOBODY)
        and fields[6].rpartition("/")[2] not in _NO_SHELLS
    ]
    if found:
        names = tuple(dict.fromkeys(_shown(name) for _, name, _ in found))
        evidence = [f"line {line}: {_shown(name)} has {_shown(shell)}" for line, name, shell in found]
        yield fail(file.path, file.place, file.path, ", ".join(names), evidence=evidence, members=names)


def _is_group_table(file: File) -> bool:
    return file.kind in {"file", "hardlink"} and file.inner in {"etc/group", "etc/gshadow"}


@rule(
    "LKA013",
    "group-password",
    Severity.LOW,
    "'{0}' has passwords by which anybody joins the groups '{1}'.",
    remedy="Put '!' in the place of the password, and list the members instead.",
    nist=("3.5.4",),
    about=_is_group_table,
)
def group_password(file: File) -> Iterator[Verdict]:
    """A group has a password, which all who are to join it share (newgrp): nobody can take it back from one of them."""
    if file.read is None:
        yield unread(file)
        return
    found = [
        (line, fields[0])
        for line, fields in _lines(file, 4)
        if fields[1] not in {"", "x"} and not fields[1].startswith(("!", "*"))
    ]
    if found:
        names = tuple(dict.fromkeys(_shown(name) for _, name in found))
        evidence = [f"line {line}: the password field of {_shown(name)} holds a hash" for line, name in found]
        yield fail(file.path, file.place, file.path, ", ".join(names), evidence=evidence, members=names)


def _accounts(file: File) -> Iterator[tuple[int, list[str]]]:
    return _lines(file, 7)


def _lines(file: File, least: int) -> Iterator[tuple[int, list[str]]]:
    """The lines of a table with at least so many fields, each with its number; remarks and entries of NIS are none."""
    text = file.read(_LIMIT).decode("utf-8", "replace") if file.read else ""
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.rstrip("\r").split(":")
        if len(fields) >= least and fields[0] and fields[0][0] not in "#+-":
            yield number, fields


def _number(field: str) -> int:
    """An id; -1 for what is none."""
    return int(field) if field.isascii() and field.isdigit() and len(field) < 20 else -1  # noqa: PLR2004 - beyond all ids


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


RULES = (second_root_account, service_account_with_shell, group_password)
