"""Family K: the kernel's hardening options, told by group."""

from collections.abc import Iterator

from ..scanner.startup import Any
from ..scanner.subjects import Kernel, System
from .engine import Profile, Severity, Verdict, fail, not_applicable, rule, undecided
from .kernel import title, unconfigured
from .kernel_options import Answer, Given, answers, given, is_whole, kernels, label, since, spellings, wanted
from .sysctls import effective
from .tables import load

_SHOWN = 4
"""Options that a message names; the evidence has them all."""


def _has_kernel(system: System) -> bool:
    return bool(system.kernels)


def boot(system: System) -> Given:
    """What the system gives its kernel: its command lines, and the files of settings that somebody applies."""
    return given(system.command_lines, [(name, one.value) for name, one in effective(system).items()])


def _judged(system: System, group: str) -> Iterator[Verdict]:
    """The verdicts on a group of options: one failure for each profile that has something to say."""
    found = boot(system)
    configured = kernels(system)
    for kernel in configured:
        yield from _one(kernel, list(answers(kernel, found, group)))
    if not configured:
        rows = load("kernel_options").items()
        options = {name["name"] for key, row in rows if row.get("group") == group for name in spellings(key, row)}
        yield unconfigured(system.kernels[-1], options)


def _one(kernel: Kernel, told: list[Answer]) -> Iterator[Verdict]:
    table = load("kernel_options")
    bad = [one for one in told if one.value == "bad"]
    for profile in Profile:
        name = str(profile)
        some = [one for one in bad if table[one.key].get("profile", "regular") == name]
        if some:
            yield _failure(kernel, profile, some, told)
    unknown = [label(one) for one in told if one.value == "unknown"]
    if unknown:
        whole = "does not tell" if is_whole(kernel) else "is a fragment, or breaks off, and does not tell"
        reason = f"The configuration {whole} of {_list(unknown)}."
        yield undecided(title(kernel), kernel.place, reason)
    if all(one.value == "absent" for one in told):
        yield not_applicable(title(kernel), kernel.place, "None of these options exists in this kernel.")


def _failure(kernel: Kernel, profile: Profile, bad: list[Answer], told: list[Answer]) -> Verdict:
    table = load("kernel_options")
    severities = {one.key: Severity[table[one.key].get("severity", "medium").upper()] for one in bad}
    bad = sorted(bad, key=lambda one: -severities[one.key])
    return fail(
        title(kernel),
        kernel.place,
        kernel.version or "of unknown version",
        _list([label(one) for one in bad]),
        key="" if profile is Profile.REGULAR else str(profile),
        evidence=[*(_evidence(kernel, one, told) for one in bad), f"configuration from {kernel.config_source}"],
        severity=max(severities.values()),
        profile=profile,
        members=[one.key for one in bad],
    )


def _evidence(kernel: Kernel, one: Answer, told: list[Answer]) -> str:
    """What was found, what is wanted, since when there is such an option, and what it is good for."""
    row: dict[str, Any] = load("kernel_options")[one.key]
    version = since(one.key, one.option)
    age = f" (since {version})" if version else ""
    text = f"{one.fact}, wanted {wanted(kernel, one.key, one.option)}{age}: {row['why']}"
    if argument := _argument(row):
        text += f" The argument {argument} does the same."
    below = [label(other) for other in told if other.parent == one.option]
    return text if not below else f"{text} On offer only with it: {', '.join(below)}."


def _argument(row: dict[str, Any]) -> str:
    """How to write what stands for an option on the command line, where that is worth having."""
    name = row.get("argument", {}).get("name")
    return next((text for text, one in load("hardening_arguments").items() if one["name"] == name), "")


def _list(options: list[str]) -> str:
    some = ", ".join(options[:_SHOWN])
    return some if len(options) <= _SHOWN else f"{some} and {len(options) - _SHOWN} more"


@rule(
    "LKK007",
    "uninitialised-kernel-memory",
    Severity.MEDIUM,
    "Kernel '{0}' hands out or leaves behind memory that is not cleared: '{1}'.",
    remedy="Build the kernel with these options; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.3"),
    about=_has_kernel,
)
def uninitialised_kernel_memory(system: System) -> Iterator[Verdict]:
    """The kernel does not clear memory before it is used, or after it was."""
    yield from _judged(system, "initialisation")


@rule(
    "LKK008",
    "unhardened-kernel-heap",
    Severity.MEDIUM,
    "Kernel '{0}' lacks checks of its heap and of the bounds of objects: '{1}'.",
    remedy="Build the kernel with these options as wanted; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.3"),
    about=_has_kernel,
)
def unhardened_kernel_heap(system: System) -> Iterator[Verdict]:
    """The kernel's allocators and copies let a flaw in one object reach its neighbours."""
    yield from _judged(system, "heap")


@rule(
    "LKK009",
    "weak-kernel-self-protection",
    Severity.MEDIUM,
    "Kernel '{0}' lacks protection of its stacks, its page tables or from devices: '{1}'.",
    remedy="Build the kernel with these options as wanted; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.3"),
    about=_has_kernel,
)
def weak_kernel_self_protection(system: System) -> Iterator[Verdict]:
    """The kernel runs on after its own structures are damaged, or lets devices write to all memory."""
    yield from _judged(system, "self-protection")


@rule(
    "LKK010",
    "predictable-kernel-layout",
    Severity.MEDIUM,
    "Kernel '{0}' is laid out in memory in a way that can be foretold: '{1}'.",
    remedy="Build the kernel with these options; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.3"),
    about=_has_kernel,
)
def predictable_kernel_layout(system: System) -> Iterator[Verdict]:
    """The kernel's addresses, or the layout of its structures, can be foretold."""
    yield from _judged(system, "layout")


@rule(
    "LKK011",
    "kernel-without-cpu-defences",
    Severity.MEDIUM,
    "Kernel '{0}' is built without defences against CPU flaws or of the control flow: '{1}'.",
    remedy="Build the kernel with these options; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.3"),
    about=_has_kernel,
)
def kernel_without_cpu_defences(system: System) -> Iterator[Verdict]:
    """The kernel cannot mend flaws of the CPU, or does not use what the CPU has against diverted control flow."""
    yield from _judged(system, "cpu")


@rule(
    "LKK012",
    "unverified-kernel-code",
    Severity.MEDIUM,
    "Kernel '{0}' runs code that nobody vouches for: '{1}'.",
    remedy="Build the kernel with these options as wanted; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.5"),
    about=_has_kernel,
)
def unverified_kernel_code(system: System) -> Iterator[Verdict]:
    """Root can replace or extend the running kernel: by unsigned modules, kexec, hibernation or helpers."""
    yield from _judged(system, "code")


@rule(
    "LKK013",
    "unprotected-processes",
    Severity.MEDIUM,
    "Kernel '{0}' does not offer processes all protection from one another: '{1}'.",
    remedy="Build the kernel with these options as wanted; `lkscan kernel --fragment` prints them.",
    nist=("3.5.2", "3.5.3"),
    about=_has_kernel,
)
def unprotected_processes(system: System) -> Iterator[Verdict]:
    """The kernel lacks what confines processes, or what keeps their memory apart and hard to guess."""
    yield from _judged(system, "processes")


@rule(
    "LKK014",
    "programmable-kernel-interfaces",
    Severity.MEDIUM,
    "Kernel '{0}' offers powerful interfaces to more than need them: '{1}'.",
    remedy="Build the kernel with these options as wanted, or close them with settings.",
    nist=("3.5.1", "3.5.2"),
    about=_has_kernel,
)
def programmable_kernel_interfaces(system: System) -> Iterator[Verdict]:
    """The kernel lets users program it or hold it up: BPF, io_uring, userfaultfd, user namespaces."""
    yield from _judged(system, "programmable")


@rule(
    "LKK015",
    "legacy-kernel-interfaces",
    Severity.MEDIUM,
    "Kernel '{0}' has interfaces that few need: '{1}'.",
    remedy="Build the kernel without these options; `lkscan kernel --fragment` prints them.",
    nist=("3.5.1", "3.5.2"),
    about=_has_kernel,
)
def legacy_kernel_interfaces(system: System) -> Iterator[Verdict]:
    """The kernel has old, rare or dangerous interfaces that widen what can be attacked."""
    yield from _judged(system, "legacy")


@rule(
    "LKK016",
    "kernel-debugging-interfaces",
    Severity.MEDIUM,
    "Kernel '{0}' has interfaces for debugging and testing: '{1}'.",
    remedy="Build the kernel of what goes into production without these options.",
    nist=("3.5.1", "3.5.2"),
    about=_has_kernel,
)
def kernel_debugging_interfaces(system: System) -> Iterator[Verdict]:
    """The kernel has debuggers, tests or tracing that an attacker can use as well."""
    yield from _judged(system, "debugging")


RULES = (
    uninitialised_kernel_memory,
    unhardened_kernel_heap,
    weak_kernel_self_protection,
    predictable_kernel_layout,
    kernel_without_cpu_defences,
    unverified_kernel_code,
    unprotected_processes,
    programmable_kernel_interfaces,
    legacy_kernel_interfaces,
    kernel_debugging_interfaces,
)
