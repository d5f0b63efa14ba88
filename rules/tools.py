"""Family L, its second part: programs and files that running a system does not take, and some that help to break in."""

import posixpath
from collections.abc import Collection, Iterable, Iterator

from ..scanner.subjects import Container, Rootfs, System
from .engine import Confidence, Profile, Severity, Verdict, rule, undecided
from .rootfs import note, roots, told, users
from .tables import load

_HOPS = 8
"""Links from one program to another that are followed."""


def _has_roots(system: System) -> bool:
    return bool(roots(system))


def _in(root: Rootfs, kind: str) -> list[str]:
    """The paths of its programs of a kind, for each name the first; what busybox does instead is none."""
    names = set(load("tools")[kind])
    first: dict[str, str] = {}
    for path in sorted(root.programs):
        name = path.rpartition("/")[2]
        is_busybox = kind != "shells" and root.programs[path].endswith(("-> busybox", "/busybox"))
        if name in names and not is_busybox and path.rpartition("/")[0].endswith("bin"):
            first.setdefault(name, path)
    return list(first.values())


def _started(containers: Iterable[Container]) -> set[str]:
    """The names of all programs that the commands of containers name."""
    words = (word for one in containers for argument in one.command for word in argument.split())
    return {word.rpartition("/")[2] for word in words}


def _found(system: System, kind: str, *, host: bool) -> dict[str, tuple[Rootfs, str]]:
    """By title: the root file systems that bring programs of a kind which none of their containers starts."""
    found: dict[str, tuple[Rootfs, str]] = {}
    running = users(system)
    for root in roots(system):
        if (system.is_linuxkit and not root.container) is host:
            started = _started(running.get(root.place.artifacts, ()))
            paths = [path for path in _in(root, kind) if path.rpartition("/")[2] not in started]
            if paths:
                note(found, root, ", ".join(paths))
    return found


def _both(system: System, kind: str) -> Iterator[Verdict]:
    """The failure for the root file system of the host, which counts more, and the one for containers."""
    found = _found(system, kind, host=True)
    names = sorted({path.rpartition("/")[2] for _, paths in found.values() for path in paths.split(", ")})
    yield from told(system, found, ", ".join(names), variant="host", key="host")
    severity, profile = Severity.LOW, Profile.PEDANTIC
    yield from told(system, _found(system, kind, host=False), key="containers", severity=severity, profile=profile)


@rule(
    "LKL010",
    "package-manager",
    Severity.MEDIUM,
    {
        "default": "'{0}' root file systems bring a package manager, which nothing that runs there needs.",
        "host": "The root filesystem brings a package manager, which LinuxKit promises to leave out: '{1}'.",
    },
    remedy="Install what is needed as the image is built, from a stage of its own, and copy only that.",
    nist=("3.5.1", "3.1.2"),
    about=_has_roots,
)
def package_manager(system: System) -> Iterator[Verdict]:
    """A root file system brings a package manager: with it, whoever breaks in installs what the image left out.

    Programs that the container itself starts are left alone. Told once for all containers.
    """
    yield from _both(system, "package_managers")


@rule(
    "LKL007",
    "compiler-in-image",
    Severity.MEDIUM,
    {
        "default": "'{0}' root file systems bring compilers or linkers.",
        "host": "The root filesystem brings compilers or linkers: '{1}'.",
    },
    remedy="Build in a stage of its own, and copy only what was built.",
    nist=("3.5.1", "3.1.2"),
    about=_has_roots,
)
def compiler_in_image(system: System) -> Iterator[Verdict]:
    """A root file system brings what programs are built with: exploits are made to measure where they are used."""
    yield from _both(system, "compilers")


@rule(
    "LKL008",
    "debugger-in-image",
    Severity.MEDIUM,
    {
        "default": "'{0}' root file systems bring debuggers or tools to spy on the network.",
        "host": "The root filesystem brings debuggers or tools to spy on the network: '{1}'.",
    },
    remedy="Leave them out of what runs in production; start a container made for debugging when one is needed.",
    nist=("3.5.1", "3.1.2"),
    about=_has_roots,
)
def debugger_in_image(system: System) -> Iterator[Verdict]:
    """A root file system brings tools that read the memory of processes or the traffic of the network."""
    yield from _both(system, "debuggers")


def _has_containers(system: System) -> bool:
    return any(root.container for root in roots(system))


@rule(
    "LKL009",
    "unused-shell",
    Severity.LOW,
    "'{0}' containers bring a shell, and start none.",
    remedy="Build the image from scratch, or from a base without a shell, with the program and its libraries only.",
    nist=("3.5.1", "3.1.2"),
    profile=Profile.PEDANTIC,
    confidence=Confidence.MEDIUM,
    about=_has_containers,
)
def unused_shell(system: System) -> Iterator[Verdict]:
    """A container brings a shell, though neither its command nor what that starts is one or a script for one.

    A program may still start a shell of its own accord: the confidence is medium. Undecided where the program that a
    container starts is not found.
    """
    found: dict[str, tuple[Rootfs, str]] = {}
    running = users(system)
    for root in roots(system):
        shells, containers = _in(root, "shells"), running.get(root.place.artifacts, [])
        if not shells or not containers:
            continue
        answers = [_starts_shell(one, root) for one in containers]
        if None in answers:
            first = containers[answers.index(None)]
            reason = f"What '{' '.join(first.command[:1])}' of container '{first.name}' is cannot be told."
            yield undecided(first.title, first.place, reason)
        elif True not in answers:
            commands = ", ".join(dict.fromkeys(one.command[0] for one in containers))
            note(found, root, f"{', '.join(shells)}; it starts {commands}")
    yield from told(system, found)


def _starts_shell(container: Container, root: Rootfs) -> bool | None:
    """Whether its command is a shell, a script for one, or starts one of these; None where it is not known."""
    tools = load("tools")
    shells = set(tools["shells"])
    words = [word for word in container.command if not word.startswith("-")]
    if any(word.rpartition("/")[2] in shells for word in words):
        return True
    is_started = bool(words) and words[0].rpartition("/")[2] in tools["starters"]
    for word in words[1:] if is_started else words[:1]:
        what = _what(root, word)
        if what:
            return what.startswith("#!") and _interprets(what, shells)
        if word.startswith("/") and root.is_whole:
            return False  # scripts are known wherever they are
    return None


def _what(root: Rootfs, word: str) -> str:
    """What a program is: `program`, the first line of a script, "" where it is not there or lies elsewhere."""
    paths = [word.strip("/")] if "/" in word else [f"{folder}/{word}" for folder in _FOLDERS]
    for path in paths:
        here = path
        for _ in range(_HOPS):
            what = root.programs.get(here, "")
            if not what.startswith("-> "):
                break
            target = what[3:]
            here = posixpath.normpath(posixpath.join("/", posixpath.dirname(here), target)).lstrip("/")
        if what:
            return what
    return ""


_FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")


def _interprets(line: str, shells: Collection[str]) -> bool:
    """Whether the first line of a script names a shell, by itself or by env."""
    return any(word.rpartition("/")[2] in shells for word in line[2:].split())


_DATABASES = "package databases"
"""What scanners for known holes read: more useful than the rest, though not to the system itself."""


def _weighed(system: System, *, databases: bool) -> dict[str, tuple[Rootfs, str]]:
    """By title: the root file systems with needless files, and a line that sums them up by kind."""
    found: dict[str, tuple[Rootfs, str]] = {}
    for root in roots(system):
        kinds = [one for one in root.needless if one.size and (one.kind == _DATABASES) is databases]
        lines = [
            f"{one.kind} {one.size:,} bytes in {one.files:,} file{'s'[: one.files != 1]} ({', '.join(one.paths)})"
            for one in sorted(kinds, key=lambda one: (-one.size, one.kind))
        ]
        if lines:
            note(found, root, "; ".join(lines))
    return found


@rule(
    "LKL011",
    "needless-files",
    Severity.LOW,
    {
        "default": "'{0}' root file systems bring files to build, to read about or to install things with.",
        "databases": "'{0}' root file systems bring the database of a package manager.",
    },
    remedy="Copy only what runs into the image; what an initrd holds takes memory on every machine.",
    nist=("3.5.1",),
    profile=Profile.PEDANTIC,
    about=_has_roots,
)
def needless_files(system: System) -> Iterator[Verdict]:
    """A root file system brings documentation, translations, headers, caches and the like, each with its bytes.

    Sizes are unpacked. Databases of packages are a note: scanners for known holes read them. Told once for all.
    """
    yield from told(system, _weighed(system, databases=False))
    severity, profile = Severity.NOTE, Profile.AUDITOR
    databases = _weighed(system, databases=True)
    yield from told(system, databases, variant="databases", key="databases", severity=severity, profile=profile)


RULES = (package_manager, compiler_in_image, debugger_in_image, unused_shell, needless_files)
