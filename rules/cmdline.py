"""Family C: arguments of the kernel's command line, those that do harm and those that are missing."""

import re
from collections.abc import Iterable, Iterator, Mapping

from ..scanner.startup import Any
from ..scanner.subjects import Kernel, KernelCommandLine, System
from .engine import Confidence, Profile, Severity, Verdict, fail, rule, undecided
from .fixes import without_argument
from .kernel_options import Given, answer, given
from .tables import load


def _effective(line: KernelCommandLine) -> dict[str, tuple[str, str | None]]:
    """Parameter -> (name as written, value), the last one given: it wins. `-` and `_` are the same in a name."""
    found = {name.replace("-", "_"): (name, value) for name, value in line.arguments}
    return {name: pair for name, pair in found.items() if name not in line.overridden} if line.overridden else found


def _matches(values: str | None, value: str | None) -> bool:
    if values is None or value is None:
        return values is None and value is None
    return re.fullmatch(values, value, re.DOTALL) is not None


def _is_template(line: KernelCommandLine) -> bool:
    return "{{" in line.text or "{%" in line.text


def _has_arguments(line: KernelCommandLine) -> bool:
    return not line.ignored and bool(line.text.strip())


@rule(
    "LKC001",
    "mitigations-disabled",
    Severity.MEDIUM,
    "The kernel is started with '{0}'.",
    remedy="Take the argument off the command line: by default the kernel protects what the CPU at hand needs.",
    nist=("3.5.2", "3.5.3"),
    about=_has_arguments,
    autofix="unsafe",
)
def mitigations_disabled(line: KernelCommandLine) -> Iterator[Verdict]:
    """The kernel's command line switches off a defence against CPU flaws or against attacks on the kernel.

    One finding for each argument. Where an argument is given twice, the last one counts; what follows `--` is init's.
    """
    yield from _listed(line, load("cmdline"))


def _listed(line: KernelCommandLine, table: Mapping[str, Any]) -> Iterator[Verdict]:
    """One failure for each argument that a table lists."""
    for name, (written, value) in sorted(_effective(line).items()):
        row = table.get(name)
        if row is None or not (_matches(row.get("values"), value) or (value is None and row.get("bare"))):
            continue
        argument = written if value is None else f"{written}={value}"
        if _is_template(line):
            reason = f"A template fills in the command line: whether '{argument}' is part of it cannot be told."
            yield undecided(_subject(line), line.place, reason, key=name)
            continue
        yield fail(
            _subject(line),
            line.place,
            argument,
            note=row["reason"],
            key=name,
            fix=without_argument(line, name, argument),
            severity=Severity[row["severity"].upper()],
            confidence=Confidence[row["confidence"].upper()] if "confidence" in row else None,
            profile=Profile[row["profile"].upper()] if "profile" in row else None,
        )


def _subject(line: KernelCommandLine) -> str:
    return line.place.pointer or line.place.artifacts[-1]


@rule(
    "LKC002",
    "unsafe-boot-argument",
    Severity.MEDIUM,
    "The kernel is started with '{0}', which has no place in production.",
    remedy="Take the argument off the command line of what goes into production.",
    nist=("3.5.4", "3.5.5"),
    about=_has_arguments,
    autofix="unsafe",
)
def unsafe_boot_argument(line: KernelCommandLine) -> Iterator[Verdict]:
    """The kernel's command line opens a shell or a debugger, or takes the root filesystem from the network.

    One finding for each argument. Where an argument is given twice, the last one counts; what follows `--` is init's.
    """
    yield from _listed(line, load("boot_arguments"))


def _boots(system: System) -> bool:
    return any(_has_arguments(line) for line in system.command_lines)


@rule(
    "LKC003",
    "missing-hardening-arguments",
    Severity.LOW,
    "The kernel is started without '{0}'.",
    remedy="Add the arguments to the command line, and measure what clearing memory costs your workload.",
    nist=("3.5.2",),
    profile=Profile.PEDANTIC,
    confidence=Confidence.MEDIUM,
    about=_boots,
)
def missing_hardening_arguments(system: System) -> Iterator[Verdict]:
    """The kernel's command line lacks arguments that the Kernel Self Protection Project recommends.

    One finding with the list. Left out are those that the kernel does not know, ignores as it was built, or does
    without being told, and those that stand for an option of the kernel that is told of. Where its
    configuration is not known, LinuxKit's own kernels stand in.
    """
    lines = [line for line in system.command_lines if _has_arguments(line)]
    line = next((one for one in lines if not _is_template(one)), None)
    if line is None:
        yield undecided(system.kind, lines[0].place, "A template fills in the command line.")
        return
    told = given((one for one in lines if not _is_template(one)), ()).arguments
    missing = {
        argument: row["reason"]
        for argument, row in load("hardening_arguments").items()
        if _is_worth(row, system.kernels) and not _is_given(row, told)
    }
    if missing:
        evidence = [f"{argument}: {reason}" for argument, reason in missing.items()]
        if not any(kernel.config for kernel in system.kernels):
            evidence.append("The kernel's configuration is not known here; LinuxKit's own kernels need them.")
        yield fail(system.kind, line.place, " ".join(missing), evidence=evidence)


def _is_given(row: Mapping[str, Any], told: Mapping[str, str | None]) -> bool:
    name = row["name"].replace("-", "_")
    return name in told and _matches(row.get("values"), told[name])


def _is_worth(row: Mapping[str, Any], kernels: Iterable[Kernel]) -> bool:
    """Whether the argument would change anything for one of the kernels, by its configuration."""
    configured = [kernel for kernel in kernels if kernel.config is not None]
    if not configured:
        return bool(row.get("told", False))
    return any(_changes(row, kernel) and not _is_told(row["name"], kernel) for kernel in configured)


def _is_told(name: str, kernel: Kernel) -> bool:
    """Whether the rules about the kernel's options find the one off that the argument stands for: they name it, too."""
    return any(
        answer(kernel, key, Given()).value == "bad"
        for key, row in load("kernel_options").items()
        if row.get("argument", {}).get("name") == name and row.get("profile") != "auditor"
    )


def _changes(row: Mapping[str, Any], kernel: Kernel) -> bool:
    config = kernel.config or {}
    if kernel.arch not in row.get("archs", (kernel.arch,)) or ("needs" in row and not _is_on(config, row["needs"])):
        return False
    if "since" in row and _release(kernel.version) < _release(row["since"]):
        return False
    return not any(_is_on(config, option) for option in row.get("default", ()))


def _is_on(config: Mapping[str, str], option: str) -> bool:
    """Whether an option is set; with `!` in front, whether it is not."""
    return config.get(option) == "y" if option[0] != "!" else config.get(option[1:]) != "y"


def _release(version: str) -> tuple[int, ...]:
    """(6, 12) of `6.12.59-linuxkit`; (0,) when it is not known."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", version, re.ASCII)
    return (int(match[1]), int(match[2])) if match else (0,)


RULES = (mitigations_disabled, unsafe_boot_argument, missing_hardening_arguments)
