"""A kernel alone: what is judged of it, all options in a list, and what to change as a fragment of a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .inputs import Boot
from .rules.engine import Profile
from .rules.kernel_options import Answer, Given, answers, label, line, wanted
from .rules.tables import load
from .scanner.cmdline import effective
from .scanner.subjects import Kernel, KernelCommandLine, Problem, Subject, Sysctl, System

_WORDS = {"good": "ok", "bad": "FAIL", "absent": "n/a", "unknown": "undecided"}


def alone(found: Iterable[Subject | Problem], boot: Boot) -> Iterator[Subject | Problem]:
    """Of an image's subjects those that are about its kernel, with what `boot` gives in the place of the image's own.

    A Problem where there is no kernel in it.
    """
    for one in found:
        if isinstance(one, Kernel):
            yield _of(one, boot)
        elif isinstance(one, System):
            yield from _whole(one, boot)
        elif (
            isinstance(one, Problem)
            or (isinstance(one, KernelCommandLine) and not boot.lines)
            or (isinstance(one, Sysctl) and not boot.settings)
        ):
            yield one


def _of(kernel: Kernel, boot: Boot) -> Kernel:
    return kernel._replace(arch=boot.arch) if boot.arch else kernel


def _whole(system: System, boot: Boot) -> Iterator[Subject | Problem]:
    if not system.kernels:
        yield Problem(system.place, "holds no kernel, and is no configuration of one", "unusable")
        return
    kernels = tuple(_of(one, boot) for one in system.kernels)
    lines = tuple(effective(kernels, boot.lines)) if boot.lines else system.command_lines
    yield from lines if boot.lines else ()
    yield from boot.settings
    yield system._replace(
        kernels=kernels,
        containers=() if boot.settings else system.containers,
        command_lines=lines,
        sysctls=boot.settings or system.sysctls,
    )


def listing(kernel: Kernel, system: System) -> str:
    """A line for each option of the table: the verdict, the option and the fact that decides.

    Without a configuration, a line for each option that what is written in the kernel suggests.
    """
    if kernel.config is None:
        return "".join(f"{'probably':<10} CONFIG_{option:<38} it holds '{text}'\n" for option, text in kernel.traces)
    found = answers(kernel, given_to(system))
    return "".join(f"{_WORDS[one.value]:<10} CONFIG_{label(one):<38} {one.fact}\n" for one in found)


def fragment(kernel: Kernel, system: System, profile: Profile) -> str:
    """What to change, for the kernel's scripts/kconfig/merge_config.sh: an option a line, each below its reason.

    Options that are on offer only with one of those that change are among them.
    """
    table = load("kernel_options")
    told = list(answers(kernel, given_to(system)))
    asked = {one.key for one in told if Profile[table[one.key].get("profile", "regular").upper()] <= profile}
    change = [one for one in told if one.key in asked and one.value == "bad"]
    names = {name for one in change for name in (one.key, one.option)}
    for one in told:  # the table has parents before what hangs on them
        if one.key in asked and one.value == "absent" and one.parent in names:
            change.append(one)
            names |= {one.key, one.option}
    order = {one.key: number for number, one in enumerate(told)}
    change.sort(key=lambda one: order[one.key])
    lines = [f"# Linux {kernel.version or 'of unknown version'} {kernel.arch}: {len(change)} changes".rstrip()]
    modules = [one for one in change if table[one.key].get("want", "").startswith("has ")]
    for one in change:
        if one not in modules:
            lines += ["", *_reason(one), _line(kernel, one)]
    if modules:
        lines += ["", *(text for one in modules for text in _reason(one)), _started(kernel, modules)]
    return "\n".join(lines) + "\n"


def _reason(one: Answer) -> list[str]:
    row = load("kernel_options")[one.key]
    by = f" ({', '.join(row['sources'])})" if row.get("sources") else ""
    return [f"# {row['why']}{by}"]


def _line(kernel: Kernel, one: Answer) -> str:
    return line({one.option: wanted(kernel, one.key, one.option)}, one.option)


def _started(kernel: Kernel, modules: list[Answer]) -> str:
    """CONFIG_LSM with what is missing in front of what is there; of several that would do, the one that is built in."""
    config = kernel.config or {}
    there = [name for name in config.get("LSM", "").split(",") if name]
    for one in modules:
        some = wanted(kernel, one.key, one.option).split("|")
        name = next((name for name in some if config.get(f"SECURITY_{name.upper()}") == "y"), some[0])
        there = [name, *there]
    return f'CONFIG_LSM="{",".join(there)}"'


def given_to(system: System) -> Given:
    """What the system gives its kernel at boot."""
    from .rules.kernel_groups import boot

    return boot(system)
