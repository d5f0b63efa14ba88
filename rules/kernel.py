"""Family K: the kernel's configuration and how long its series is maintained."""

import os
import re
import time
from collections.abc import Container, Generator, Iterator, Mapping

from ..scanner.startup import Any, late
from ..scanner.subjects import ImageReference, Kernel, Place
from .engine import Confidence, Profile, Severity, Verdict, fail, not_applicable, partial, rule, undecided
from .kernel_options import State, state_of
from .tables import load

_DATE = late(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_SERIES = late(r"(?P<series>\d+\.\d+)(?:\.(?P<patch>\d{1,9}|x))?(?:\.(?:\d+|x))*(?![\d.])(?P<rest>.*)", re.DOTALL)
_UPSTREAM = late(r"(?:-(?:rc\d+|rt\d*|linuxkit|moby|dbg))*\+?")
"""What may follow a kernel.org release number: its own suffixes, and those that LinuxKit's builds add."""
_MAKER = late(r" (Debian \d\S*) \(\d{4}-\d\d-\d\d\)$")
"""Where Debian's banner has the version that its release hides."""
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


def days_between(first: str, last: str) -> int:
    """How many days lie between two of the form YYYY-MM-DD."""
    return _number(last) - _number(first)


def _number(day: str) -> int:
    """Days since the first of March of year 0, as the Gregorian calendar has them.

    It is what the module datetime knows; to import that would take 1.7 ms, of the forty for a spec.
    """
    year, month = int(day[:4]), int(day[5:7])
    year -= month < 3  # noqa: PLR2004 - a year that starts with March ends with its leap day
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month - 3) % 12) + 2) // 5 + int(day[8:]) - 1


def _is_day(day: str) -> bool:
    """Whether there is such a day: its month is not over by then."""
    year, month = int(day[:4]), int(day[5:7])
    following = f"{year + month // 12:04}-{month % 12 + 1:02}-01"
    return _number(day) < _number(following)


def _checked(text: str, what: str) -> str:
    if not _DATE.fullmatch(text) or not _is_day(text):
        raise ValueError(f"{what} must be a day of the form YYYY-MM-DD, not '{text}'")
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
    match = yield from _plain(kernel)
    if match:
        yield from _life(title(kernel), kernel.place, kernel.version, match["series"], Confidence.HIGH)


def _plain(kernel: Kernel) -> Generator[Verdict, None, re.Match[str] | None]:
    """Its release, where it is one of kernel.org's; else why nothing is decided."""
    match = _SERIES.fullmatch(kernel.version)
    if not match:
        yield undecided(title(kernel), kernel.place, "The kernel's release is not known.")
        return None
    if not _UPSTREAM.fullmatch(match["rest"]):
        tail = _MAKER.search(kernel.banner)
        made = f" (made of {tail[1]})" if tail else ""
        reason = f"'{kernel.version}'{made} is no plain kernel.org release: its maker decides on its end of life."
        yield undecided(title(kernel), kernel.place, reason)
        return None
    return match


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
    match, confidence = _named(reference)
    if match is None:
        yield undecided(reference.name, reference.place, f"'{reference.text}' does not name a kernel.org release.")
    else:
        yield from _life(reference.name, reference.place, reference.text, match["series"], confidence)


def _named(reference: ImageReference) -> tuple[re.Match[str] | None, Confidence]:
    """The release that a tag names, and how sure that is."""
    match = _SERIES.fullmatch(reference.tag)
    confidence = Confidence.HIGH if _OFFICIAL.fullmatch(reference.name) else Confidence.MEDIUM
    return match if match and _TAG.fullmatch(match["rest"]) else None, confidence


def _aged(subject: str, at: Place, release: str, match: re.Match[str], days: int) -> Iterator[Verdict]:
    """Whether a release of a series that is maintained is older than so many days."""
    table, now, series = load("kernel_series"), today(), match["series"]
    known, made = table["series"].get(series), table["as_of"]
    if known is None or now > known.get("eol", now):
        yield not_applicable(subject, at, "Its series is told of by another rule, as ended or unknown.")
        return
    if match["patch"] in {None, "x"} or "-rc" in match["rest"]:
        yield undecided(subject, at, f"'{release}' does not name one release of its series.")
        return
    number = int(match["patch"])
    published = [0, *load("kernel_releases").get(series, ())]
    age = days_between(known["released"], now)
    if number >= len(published):
        if days_between(made, now) > days:
            yield undecided(subject, at, f"The table of {made} does not know Linux {series}.{number}.")
        return
    if age - published[number] > days:
        later = sum(published[number] < day <= age for day in published)
        facts = (
            f"{later} releases of the series came after it, the last known is {series}.{len(published) - 1}",
            f"compared with {now} (table of {made})",
        )
        yield fail(subject, at, release, str(age - published[number]), key=series, evidence=facts)


_RENEW = "Move to the newest release of the series: each mends flaws that are public by then."


@rule(
    "LKK017",
    "outdated-kernel",
    Severity.MEDIUM,
    "Kernel '{0}' came out '{1}' days ago.",
    remedy=_RENEW,
    nist=("3.5.3",),
    parameters={"days": 180},
)
def outdated_kernel(kernel: Kernel, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """The kernel is of a series that is maintained, but of a release that came out long ago.

    `days`: so old may a release be. Vendors count their releases themselves: those are not judged.
    """
    match = yield from _plain(kernel)
    if match:
        yield from _aged(title(kernel), kernel.place, kernel.version, match, parameters["days"])


@rule(
    "LKK018",
    "outdated-kernel-tag",
    Severity.LOW,
    "The kernel of image '{0}' came out '{1}' days ago.",
    remedy=_RENEW,
    nist=("3.1.1", "3.5.3"),
    profile=Profile.PEDANTIC,
    about=_is_kernel_image,
    parameters={"days": 180},
)
def outdated_kernel_tag(reference: ImageReference, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """A spec asks for a kernel of a series that is maintained, but of a release that came out long ago.

    `days`: so old may a release be.
    """
    match, confidence = _named(reference)
    if match is None:
        yield undecided(reference.name, reference.place, f"'{reference.text}' does not name a kernel.org release.")
        return
    for verdict in _aged(reference.name, reference.place, reference.text, match, parameters["days"]):
        yield verdict._replace(confidence=confidence)


_VENDOR = late(
    r"\d+(?:\.\d+)*[-.](?:\d+(?:\.\d+)*[-.])?(?:\w+[-.])*?"
    r"(?:amd64|arm64|generic|lowlatency|azure|aws|gcp|oracle|kvm|raspi|tegra|default|el\d\w*|fc\d+|amzn\d+|cip\d+|lts|virt)"
    r"(?:[-.+].*)?"
)
"""How the releases of distributions' kernels look: `6.1.0-56-amd64`, `5.15.0-105-generic`, `5.14.0-70.el9.x86_64`."""


@rule(
    "LKK020",
    "vendor-kernel",
    Severity.NOTE,
    "Kernel '{0}' is a vendor's, with changes of its own.",
    remedy="Where LinuxKit's promise of an upstream kernel matters, build one from kernel.org's sources.",
    nist=("3.5.3",),
    profile=Profile.AUDITOR,
)
def vendor_kernel(kernel: Kernel) -> Iterator[Verdict]:
    """The kernel is a vendor's, and not identical to the one of kernel.org that its number suggests.

    That a release number is plain does not prove that nothing was changed; nothing in a kernel does.
    """
    match = _SERIES.fullmatch(kernel.version)
    if not match:
        yield undecided(title(kernel), kernel.place, "The kernel's release is not known.")
    elif tail := _MAKER.search(kernel.banner):
        yield fail(title(kernel), kernel.place, kernel.version, evidence=(f"its banner says {tail[1]}",))
    elif _VENDOR.fullmatch(kernel.version):
        yield fail(title(kernel), kernel.place, kernel.version, evidence=(f"its release is {kernel.version}",))
    elif not _UPSTREAM.fullmatch(match["rest"]):
        yield undecided(title(kernel), kernel.place, f"'{match['rest']}' in the release may stand for any change.")


RULES = (
    kernel_without_stack_protector,
    kernel_without_hardened_usercopy,
    kernel_without_strict_rwx,
    kernel_with_dev_mem,
    end_of_life_kernel,
    end_of_life_kernel_tag,
    outdated_kernel,
    outdated_kernel_tag,
    vendor_kernel,
)
