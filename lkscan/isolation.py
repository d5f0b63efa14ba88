"""Isolation: a process gives up, for good, what reading hostile bytes does not need.

The bindings that there are (landlock, py-landlock, landlockpy, pyseccomp, seccompy) are pre-releases, a few months old,
unkept or copyleft; what is needed of two interfaces that the kernel keeps stable is shorter than the calls to them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable

import tomli

from .scanner.source import Limits
from .scanner.startup import Any

LANDLOCK, SECCOMP = 1, 2
"""What a kernel may lack, as bits."""
NAMES = {LANDLOCK: "Landlock", SECCOMP: "seccomp"}

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache")
"""Where shared libraries lie: a decoder that is first needed inside is loaded inside."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL = 9
_DAC_READ_SEARCH = 1 << 2
"""The one capability that stays, where it is: root reads files of others."""

# linux/landlock.h: system calls (the same on all machines), rights by version of the interface
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_ALL_RIGHTS = 0xFFFF
_TCP, _SCOPES = 3, 3

# linux/filter.h, linux/seccomp.h
_LOAD, _JUMP, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x45, 0x06
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
"""Where a filter finds the call's number, the machine, and the arguments of eight bytes each."""

_FILES = 256
"""Files that may be open at once; reading an image takes a handful."""
_LIBRARY_FOLDERS = frozenset({"site-packages", "dist-packages", "lib-dynload"})


def enter(readable: Iterable[str], limits: Limits) -> int:
    """From now on this process reads the files `readable` and what Python itself is made of, and changes nothing.

    It opens no file for writing, has no network, starts no program or process, signals nobody, and ends with its
    parent. Returns what the kernel lacks, as bits; nothing fails for that. There is no way back.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NPROC, 0)
    _lower(resource.RLIMIT_NOFILE, _FILES)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_AS, limits.address)
    _lower(resource.RLIMIT_CPU, limits.seconds, 1)  # SIGXCPU, a second before SIGKILL
    if sys.platform != "linux":
        return LANDLOCK | SECCOMP
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    lacking = 0 if _landlock(libc, readable) else LANDLOCK
    _drop_capabilities(libc)
    return lacking | (0 if _seccomp(libc) else SECCOMP)


def _lower(which: int, most: int, more: int = 0) -> None:
    """Set the soft limit to `most` and the hard one to `more` above it, as far as they are not lower already."""
    hard = resource.getrlimit(which)[1]
    bounds = [one if hard == resource.RLIM_INFINITY else min(one, hard) for one in (most, most + more)]
    try:
        resource.setrlimit(which, (bounds[0], bounds[1]))
    except (OSError, ValueError):  # macOS has no limit of the address space
        return


def _landlock(libc: ctypes.CDLL, readable: Iterable[str]) -> bool:
    """Forbid all ways to the file system but reading what lies in some places. Returns whether the kernel does it."""
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    attributes = struct.pack("=QQQ", _RIGHTS.get(version, _ALL_RIGHTS), _TCP, _SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24  # noqa: PLR2004 - versions that brought a field
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    for path in dict.fromkeys([*readable, *_own()]):
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (OSError, ValueError):
            continue
        rights = _READ_FILE | _READ_FOLDER if os.path.isdir(path) else _READ_FILE
        libc.syscall(_ADD, rules, 1, struct.pack("=Qi", rights, descriptor), 0)
        os.close(descriptor)
    done = libc.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _own() -> list[str]:
    """Where the modules and libraries lie that may still be loaded; links are what they lead to.

    Not all of `sys.path`: it has the folder that the user is in, or that of a script, with whatever else lies there.
    """
    packages = [sys.modules[name] for name in ("lkscan", "lkscan.scanner", "lkscan.rules") if name in sys.modules]
    folders = [path for path in sys.path if os.path.basename(path) in _LIBRARY_FOLDERS or path.endswith(".zip")]
    folders += [os.path.dirname(os.__file__), os.path.join(sys.base_prefix, "lib")]
    folders += [path for one in packages for path in one.__path__]
    return [*map(os.path.realpath, folders), *_LIBRARIES]


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    header, sets = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if libc.capget(header, sets) == 0:
        effective, permitted = struct.unpack_from("=II", sets)
        kept = (effective & _DAC_READ_SEARCH, permitted & _DAC_READ_SEARCH)
        libc.capset(header, struct.pack("=6I", *kept, 0, 0, 0, 0))


def _seccomp(libc: ctypes.CDLL) -> bool:
    """Refuse all system calls but those of the table. Returns whether the kernel does it."""
    with open(os.path.join(os.path.dirname(__file__), "syscalls.toml"), "rb") as file:
        table = tomli.load(file)
    machine = table["machines"].get(os.uname().machine)
    if machine is None:
        return False
    program = _program(machine["audit"], table["calls"][machine["calls"]], table["decided"][machine["calls"]])
    buffer = ctypes.create_string_buffer(program)
    description = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, description, 0, 0) == 0)


def _program(audit: int, calls: dict[str, dict[str, int]], decided: dict[str, dict[str, Any]]) -> bytes:
    """A filter: calls of another machine kill the process, those of the table are allowed, all others refused."""
    steps = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    numbers = [number for group in calls.values() for number in group.values()]
    steps += [*_among(numbers), (_JUMP, 0, 0, 1), (_RETURN, 0, 0, _ALLOW)]
    for one in decided.values():
        block = _among(one["among"]) if "among" in one else [(_ANY_BIT, 0, 1, one["without"])]
        steps += [(_EQUAL, 0, len(block) + 3, one["number"]), (_LOAD, 0, 0, _ARGUMENTS + 8 * one["argument"]), *block]
        steps += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, (_RETURN, 0, 0, _REFUSE)))


def _among(values: list[int]) -> list[tuple[int, int, int, int]]:
    """Tests that lead to the second step behind them for one of the values, else to the first."""
    return [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
