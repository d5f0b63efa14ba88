"""Family K: the kernel's configuration and how long its series is maintained."""

import os
import re
import time
from collections.abc import Container, Iterator, Mapping

from ..scanner.startup import Any, late
from ..scanner.subjects import ImageReference, Kernel, Place
from .engine import Confidence, Profile, Severity, Verdict, fail, not_applicable, partial, rule, undecided
from .kernel_options import State, state_of
from .tables import load

_DATE = late(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_SERIES = late(r"(?P<series>\d+\.\d+)(?:\.(?:\d+|x))*(?![\d.])(?P<rest>.*)", re.DOTALL)
_UPSTREAM = late(r"(?:-(?:rc\d+|rt\d*|linuxkit|moby|dbg))*\+?")
"""What may follow a kernel.org release number: its own suffixes, and those that LinuxKit's builds add."""
_TAG = late(r"(?:[-_](?:rc\d+|rt\d*|dbg|builder|[0-9a-f]{40}(?:-dirty)?|amd64|arm64|riscv64|s390x))*")
_OFFICIAL = late(r"(?:docker\.io/)?linuxkit/kernel(?:-[\w-]+)?")

_date: str | None = None


def set_today(date: str | None) -> None:
    """Judge as on `date` (YYYY-MM-DD); None goes back to the environment and the clock. Raises ValueError."""
    global _date  # noqa: PLW0603 - one date for a whole run: rules take nothing but their subject
    _date = None if date is None else _checked(date, "the date")


def today() -> str:
    """The date to compare with, YYYY-MM-DD in UTC.

    It is what `set_today` was given, else LKSCAN_DATE, else SOURCE_DATE_EPOCH (seconds), else the system's date. Raises
    ValueError when one of the two variables makes no sense.
    """
    if _date:
        return _date
    if text := os.environ.get("LKSCAN_DATE"):
        return _checked(text, "LKSCAN_DATE")
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not re.fullmatch(r"\d{1,11}", text, re.ASCII):
        raise ValueError(f"SOURCE_DATE_EPOCH must be a number of seconds, not '{text}'")
    return time.strftime("%Y-%m-%d", time.gmtime(int(text) if text else None))


def _checked(text: str, what: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError(f"{what} must be of the form YYYY-MM-DD, not '{text}'")
    return text


def title(kernel: Kernel) -> str:
    """The kernel's path in an image; a kernel that is itself the input is just `kernel`, whatever the file's name."""
    return kernel.place.artifacts[-1] if len(kernel.place.artifacts) > 1 else "kernel"


def unconfigured(kernel: Kernel, options: Container[str] = ()) -> Verdict:
    """What rules about `options` say of a kernel whose configuration nobody found."""
    why = f" ({kernel.config_source})" if kernel.config_source else ""
    traces = [f"CONFIG_{option} ('{text}')" for option, text in kernel.traces if option in options]
    probably = f" By what is written in it, it probably has {', '.join(traces)}." if traces else ""
    return undecided(title(kernel), kernel.place, f"No kernel configuration was found{why}.{probably}")


def _missing(
    kernel: Kernel, state: State, feature: str, variant: str = "default", severity: Severity | None = None
) -> Iterator[Verdict]:
    """The verdict on a feature that ought to be on."""
    if state.value == "off":
        yield _found(kernel, state, feature, load("kernel_options")[feature]["why"], variant=variant, severity=severity)
    elif state.value == "absent":
        yield not_applicable(title(kernel), kernel.place, f"{state.fact}.", key=feature)
    elif state.value == "unknown":
        yield undecided(title(kernel), kernel.place, f"It cannot be decided: {state.fact}.", key=feature)


def _found(
    kernel: Kernel,
    state: State,
    key: str,
    why: str,
    *,
    variant: str = "default",
    severity: Severity | None = None,
    profile: Profile | None = None,
) -> Verdict:
    return fail(
        title(kernel),
        kernel.place,
        kernel.version or "of unknown version",
        f"CONFIG_{state.option}",
        variant=variant,
        key=key,
        evidence=(state.fact, f"configuration from {kernel.config_source}", why),
        severity=severity,
        profile=profile,
    )


@rule(
    "LKK001",
    "kernel-without-stack-protector",
    Severity.MEDIUM,
    {
        "default": "Kernel '{0}' is built without stack canaries: '{1}' is off.",
        "weak": "Kernel '{0}' has stack canaries in few functions only: '{1}' is off.",
    },
    remedy="Build the kernel with CONFIG_STACKPROTECTOR=y and CONFIG_STACKPROTECTOR_STRONG=y.",
    nist=("3.5.2", "3.5.3"),
)
def kernel_without_stack_protector(kernel: Kernel) -> Iterator[Verdict]:
    """The kernel is built without stack canaries, or with them in few functions only."""
    if kernel.config is None:
        yield unconfigured(kernel, ("STACKPROTECTOR",))
        return
    state = state_of(kernel, kernel.config, "STACKPROTECTOR")
    yield from _missing(kernel, state, "STACKPROTECTOR")
    if state.value == "on":
        strong = state_of(kernel, kernel.config, "STACKPROTECTOR_STRONG")
        yield from _missing(kernel, strong, "STACKPROTECTOR_STRONG", "weak", Severity.LOW)


@rule(
    "LKK002",
    "kernel-without-hardened-usercopy",
    Severity.MEDIUM,
    "Kernel '{0}' does not check the bounds of copies to and from user space: '{1}' is off.",
    remedy="Build the kernel with CONFIG_HARDENED_USERCOPY=y and, from 6.15, CONFIG_HARDENED_USERCOPY_DEFAULT_ON=y.",
    nist=("3.5.2", "3.5.3"),
)
def kernel_without_hardened_usercopy(kernel: Kernel) -> Iterator[Verdict]:
    """The kernel copies to and from user space without checking the bounds of the object it copies."""
    if kernel.config is None:
        yield unconfigured(kernel, ("HARDENED_USERCOPY",))
        return
    state = state_of(kernel, kernel.config, "HARDENED_USERCOPY")
    yield from _missing(kernel, state, "HARDENED_USERCOPY")
    if state.value == "on" and kernel.config.get("HARDENED_USERCOPY_DEFAULT_ON") == "n":
        reason = "The checks are built in but start only with hardened_usercopy=on on the command line."
        evidence = (state.fact, "# CONFIG_HARDENED_USERCOPY_DEFAULT_ON is not set")
        yield partial(title(kernel), kernel.place, reason, evidence=evidence)


@rule(
    "LKK003",
    "kernel-without-strict-rwx",
    Severity.MEDIUM,
    "Kernel '{0}' does not keep code and data apart in its own memory: '{1}' is off.",
    remedy="Build the kernel with CONFIG_STRICT_KERNEL_RWX=y and CONFIG_STRICT_MODULE_RWX=y.",
    nist=("3.5.2", "3.5.3"),
)
def kernel_without_strict_rwx(kernel: Kernel) -> Iterator[Verdict]:
    """The kernel's code, or that of its modules, stays writable, or its data executable."""
    if kernel.config is None:
        yield unconfigured(kernel)
        return
    for feature in ("STRICT_KERNEL_RWX", "STRICT_MODULE_RWX"):
        yield from _missing(kernel, state_of(kernel, kernel.config, feature), feature)


@rule(
    "LKK004",
    "kernel-with-dev-mem",
    Severity.MEDIUM,
    {
        "default": "Kernel '{0}' offers all physical memory in /dev/mem: '{1}' is on and STRICT_DEVMEM is not.",
        "devices": "Kernel '{0}' offers devices' registers in /dev/mem: '{1}' is on and IO_STRICT_DEVMEM is not.",
        "strict": "Kernel '{0}' offers /dev/mem, restricted to unclaimed device memory: '{1}' is on.",
    },
    remedy="Build the kernel without CONFIG_DEVMEM, or else with CONFIG_STRICT_DEVMEM=y and CONFIG_IO_STRICT_DEVMEM=y.",
    nist=("3.5.1", "3.5.2"),
)
def kernel_with_dev_mem(kernel: Kernel) -> Iterator[Verdict]:
    """The kernel has /dev/mem, through which a privileged process reaches physical memory."""
    if kernel.config is None:
        yield unconfigured(kernel)
        return
    state = state_of(kernel, kernel.config, "DEVMEM")
    if state.value == "on":
        yield _dev_mem(kernel, kernel.config, state)
    elif state.value != "off":
        yield from _missing(kernel, state, "DEVMEM")


def _dev_mem(kernel: Kernel, config: Mapping[str, str], device: State) -> Verdict:
    """How much of the memory can be reached: all, device memory in use, or only what no driver claims."""
    for feature, variant, severity in (
        ("STRICT_DEVMEM", "default", None),
        ("IO_STRICT_DEVMEM", "devices", Severity.LOW),
    ):
        state = state_of(kernel, config, feature)
        if state.value == "unknown":
            return undecided(title(kernel), kernel.place, f"{device.fact}, but {state.fact}.", key="DEVMEM")
        if state.value != "on":
            why = load("kernel_options")[feature]["why"]
            return _found(kernel, device, "DEVMEM", f"{state.fact}: {why}", variant=variant, severity=severity)
    why = load("kernel_options")["DEVMEM"]["why"]
    return _found(kernel, device, "DEVMEM", why, variant="strict", severity=Severity.LOW, profile=Profile.PEDANTIC)


def _life(subject: str, at: Place, release: str, series: str, confidence: Confidence) -> Iterator[Verdict]:
    """Whether kernel.org still maintains `series`, by the table and today's date."""
    table = load("kernel_series")
    known, made, now = table["series"].get(series), table["as_of"], today()
    if known is None:
        yield undecided(subject, at, f"The table of {made} does not know Linux {series}.")
    elif "eol" not in known:
        if now > made:
            yield undecided(
                subject, at, f"Linux {series} had no announced end of life when the table was made ({made})."
            )
    elif now > known["eol"]:
        evidence = (
            f"Linux {series}: released {known['released']}, end of life {known['eol']} (table of {made})",
            f"compared with {now}",
            f"longterm series maintained on that day: {_maintained(table, now)}",
        )
        severity = Severity.HIGH if now > _a_year_after(known["eol"]) else None
        arguments = release, series, known["eol"]
        yield fail(subject, at, *arguments, key=series, evidence=evidence, severity=severity, confidence=confidence)


def _a_year_after(day: str) -> str:
    """The same day of the following year: by then flaws that nobody mends have been public for long."""
    return f"{int(day[:4]) + 1}{day[4:]}"


def _maintained(table: Mapping[str, Any], now: str) -> str:
    names = [name for name, one in table["series"].items() if one.get("longterm") and one["eol"] >= now]
    return ", ".join(names) or "none that the table knows"


@rule(
    "LKK005",
    "end-of-life-kernel",
    Severity.MEDIUM,
    "Kernel '{0}' belongs to Linux '{1}', which kernel.org stopped maintaining on '{2}'.",
    remedy="Move to a longterm series that is still maintained.",
    nist=("3.5.3",),
)
def end_of_life_kernel(kernel: Kernel) -> Iterator[Verdict]:
    """The kernel is of a series that gets no fixes any more.

    Vendors maintain their kernels for as long as they like, under numbers of their own: those are not judged.
    """
    match = _SERIES.fullmatch(kernel.version)
    if not match:
        yield undecided(title(kernel), kernel.place, "The kernel's release is not known.")
    elif not _UPSTREAM.fullmatch(match["rest"]):
        reason = f"'{kernel.version}' is no plain kernel.org release: its maker decides on its end of life."
        yield undecided(title(kernel), kernel.place, reason)
    else:
        yield from _life(title(kernel), kernel.place, kernel.version, match["series"], Confidence.HIGH)


def _is_kernel_image(reference: ImageReference) -> bool:
    return reference.role == "kernel"


@rule(
    "LKK006",
    "end-of-life-kernel-tag",
    Severity.MEDIUM,
    "Kernel image '{0}' is of Linux '{1}', which kernel.org stopped maintaining on '{2}'.",
    remedy="Name a kernel image of a longterm series that is still maintained.",
    nist=("3.1.1", "3.5.3"),
    about=_is_kernel_image,
)
def end_of_life_kernel_tag(reference: ImageReference) -> Iterator[Verdict]:
    """A spec asks for a kernel of a series that gets no fixes any more.

    The tag of LinuxKit's own kernel images is the release; of other images it is taken for one, with less confidence.
    """
    match = _SERIES.fullmatch(reference.tag)
    if not match or not _TAG.fullmatch(match["rest"]):
        yield undecided(reference.name, reference.place, f"'{reference.text}' does not name a kernel.org release.")
    else:
        confidence = Confidence.HIGH if _OFFICIAL.fullmatch(reference.name) else Confidence.MEDIUM
        yield from _life(reference.name, reference.place, reference.text, match["series"], confidence)


RULES = (
    kernel_without_stack_protector,
    kernel_without_hardened_usercopy,
    kernel_without_strict_rwx,
    kernel_with_dev_mem,
    end_of_life_kernel,
    end_of_life_kernel_tag,
)
