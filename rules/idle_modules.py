"""Family L: kernel modules that an image brings, and that nothing in it can load."""

import re
from collections.abc import Iterable, Iterator

from ..scanner.ballast import Ballast, Module, plain
from ..scanner.subjects import Container, Rootfs, System
from .engine import Confidence, Profile, Severity, Verdict, fail, rule, undecided
from .rootfs import roots
from .tables import load

_SUBJECT = "modules"
_SHOWN = 5
"""Modules that are named, or folders of them."""
_WORD = re.compile(r"[\w./+-]+")
_FOLDER = re.compile(r"(?:usr/)?lib/modules/[^/]+/(?:kernel/)?")
_SETTINGS = re.compile(r"(?:etc|lib|usr/lib|run)/(?:modules-load\.d|modprobe\.d)/[^/]+\.conf")
_VIRTUAL = ("qcow2", "VMDK", "VHD")
"""Formats of disks that hypervisors read, and machines do not."""
_LOADS = "CAP_SYS_MODULE"


def _has_modules(ballast: Ballast) -> bool:
    return bool(ballast.modules)


@rule(
    "LKL013",
    "idle-kernel-module",
    Severity.LOW,
    {
        "default": "Nothing in the image can load '{0}' of its '{1}' kernel modules: '{2}' bytes.",
        "none": "The kernel loads no modules, and the image brings '{0}' of them: '{2}' bytes.",
        "hardware": "'{0}' of '{1}' kernel modules, '{2}' bytes, are for hardware that virtual machines are not given.",
    },
    remedy="Take modules out of the kernel's tar that the system has no use for, or build a kernel without them.",
    nist=("3.5.1",),
    profile=Profile.PEDANTIC,
    confidence=Confidence.MEDIUM,
    about=_has_modules,
)
def idle_kernel_module(ballast: Ballast) -> Iterator[Verdict]:
    """The image brings kernel modules that nothing in it names, nor can load for the hardware that there is.

    Undecided where a program loads modules on demand, as LinuxKit's own init does. On disks of virtual machines,
    modules for hardware that these are not given are a note, in profile auditor.
    """
    system, modules = ballast.system, ballast.modules
    kernels = [one.config for one in system.kernels if one.config is not None]
    if kernels and len(kernels) == len(system.kernels) and all(one.get("MODULES", "n") != "y" for one in kernels):
        yield _told(ballast, modules, "none", confidence=Confidence.HIGH)
        return
    idle = _unnamed(modules, _words(system))
    why = _open(system) if idle else ""
    if why:
        size = sum(one.size for one in idle)
        what = f"Nothing names '{len(idle):,}' of '{len(modules):,}' kernel modules ({size:,} bytes)"
        yield undecided(_SUBJECT, modules[0].place, f"{what}; whether they are ever loaded can't be told: {why}.")
    elif idle:
        yield _told(ballast, idle, "default")
    if any(one.format.startswith(_VIRTUAL) for one in system.layers):
        foreign = [one for one in idle if _hardware(one)]
        if foreign:
            confidence, severity, profile = Confidence.LOW, Severity.NOTE, Profile.AUDITOR
            yield _told(ballast, foreign, "hardware", confidence=confidence, severity=severity, profile=profile)


def _told(ballast: Ballast, idle: Iterable[Module], variant: str, **facts: Confidence | Severity | Profile) -> Verdict:
    """The failure, with the largest of them and where they lie as the system runs."""
    found = sorted(idle, key=lambda one: (-one.size, one.path))
    groups: dict[str, tuple[int, int]] = {}
    for one in found:
        title = _hardware(one) if variant == "hardware" else _folder(one)
        number, size = groups.get(title, (0, 0))
        groups[title] = number + 1, size + one.size
    rows = sorted(groups.items(), key=lambda row: (-row[1][1], row[0]))
    lines = [
        f"{title}: {number:,} module{'s'[: number != 1]}, {size:,} bytes" for title, (number, size) in rows[:_SHOWN]
    ]
    if rows[_SHOWN:]:
        lines.append(f"and {len(rows) - _SHOWN} more, {sum(size for _, (_, size) in rows[_SHOWN:]):,} bytes")
    lines.append("the largest: " + ", ".join(f"{one.path} ({one.size:,} bytes)" for one in found[:_SHOWN]))
    if ballast.in_memory(one.place for one in found):
        lines.append("They are unpacked into memory at boot.")
    return fail(
        _SUBJECT,
        found[0].place,
        f"{len(found):,}",
        f"{len(ballast.modules):,}",
        f"{sum(one.size for one in found):,}",
        evidence=lines,
        variant=variant,
        key=variant,
        **facts,  # type: ignore[arg-type]  # what `fail` takes
    )


def _folder(module: Module) -> str:
    """The folder of the kernel's source, two steps of it (`drivers/net`)."""
    inner = _FOLDER.sub("", module.path).split("/")[:-1]
    return "/".join(inner[:2]) or "modules"


def _hardware(module: Module) -> str:
    """The kind of hardware that a virtual machine is not given, "" for any other."""
    inner = _FOLDER.sub("", module.path)
    kinds = load("modules")["hardware"].items()
    return next((kind for kind, folders in kinds if inner.startswith(tuple(folders))), "")


def _unnamed(modules: Iterable[Module], words: set[str]) -> list[Module]:
    """The modules that none of these words is a name of, and that none of those needs."""
    by_name: dict[str, list[Module]] = {}
    for one in modules:
        for name in one.names:
            by_name.setdefault(name, []).append(one)
    waiting = [one for name in sorted(words & by_name.keys()) for one in by_name[name]]
    named = {one.place for one in waiting}
    while waiting:
        for need in waiting.pop().needs:
            more = [one for one in by_name.get(need, ()) if one.place not in named]
            waiting += more
            named.update(one.place for one in more)
    return [one for one in modules if one.place not in named]


def _words(system: System) -> set[str]:
    """All words that may name a module: of commands that load some, of settings, and of the kernel's command line."""
    texts = [" ".join(one.command) for one in system.containers if _names_modules(one)]
    texts += [one.text for one in system.command_lines]
    for root in system.roots:
        texts += [
            text.decode("utf-8", "replace") for path, text in root.texts.items() if text and _SETTINGS.match(path)
        ]
    words = {word for text in texts for word in _WORD.findall(text)}
    return {plain(word.rpartition("/")[2].partition(".ko")[0]) for word in words}


def _names_modules(container: Container) -> bool:
    """Whether its command is, or holds, one that loads modules by name."""
    words = {word.rpartition("/")[2] for argument in container.command for word in _WORD.findall(argument)}
    return not words.isdisjoint(load("modules")["commands"])


def _open(system: System) -> str:
    """Who may load modules that nobody names, "" where there is nobody."""
    hosts = [root for root in roots(system) if not root.container]
    if not system.is_linuxkit or not hosts:
        return "what the system starts is not known" if hosts else "the system's own files were not seen"
    if any(name == "kernel.modprobe" for one in system.sysctls for name, *_ in one.settings or ()):
        return "'kernel.modprobe' names a program that loads them"
    for root in hosts:
        if program := _loader(root):
            return f"'{program}' loads what hardware and programs ask for"
    for one in system.containers:
        if _LOADS in one.capabilities and not (_names_modules(one) and _is_told(one)):
            return f"container '{one.name}' may load modules ({_LOADS})"
    return ""


def _is_told(container: Container) -> bool:
    """Whether its command is nothing but the loading of modules: no shell, no alias that is made as it runs."""
    name = container.command[0].rpartition("/")[2]
    return name in load("modules")["commands"] and not any("$" in one for one in container.command)


def _loader(root: Rootfs) -> str:
    """A program that loads modules of its own accord, or for the kernel."""
    names = load("modules")["loaders"]
    known = {what.rpartition("/")[2].removeprefix("-> "): path for path, what in sorted(root.programs.items())}
    known |= {path.rpartition("/")[2]: path for path in sorted(root.programs)}
    return next((known[name] for name in names if name in known), "")


RULES = (idle_kernel_module,)
