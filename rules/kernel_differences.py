"""What differs between the kernels of two builds: version, options, command line, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..scanner.subjects import Kernel, KernelCommandLine, Place, System
from .builds import Build
from .container_differences import clipped
from .differences import Difference, Judgement, changed, difference, judged
from .engine import Severity
from .kernel_options import Answer, Given, answers, label
from .sysctls import effective
from .tables import load

_NO_WORD = "The table of settings says nothing of it."
_COMPILERS = ("CC_", "GCC_", "CLANG_", "LD_", "AS_", "LLD_", "PAHOLE_", "RUSTC_", "BUILD_SALT")
"""Beginnings of options that tell of what compiled the kernel."""

_RANKS = {"good": 0.0, "bad": 1.0}


def kernels(builds: tuple[Build, Build], undecided: list[str]) -> Iterator[Difference]:
    """Versions, options and content; of several kernels, those at the same place of the order are compared."""
    old, new = (_kernels(build.system) for build in builds)
    for number, pair in enumerate(zip(old, new, strict=False)):
        subject = "kernel" if len(new) == 1 else f"kernel {number + 1}"
        contents = [build.content(one.place.artifacts) for build, one in zip(builds, pair, strict=True)]
        yield from _kernel(subject, pair, contents, undecided)
    for one in old[len(new) :]:
        yield Difference("kernel", "kernel", "kernel", one.version, "", "neutral", "One kernel less.", one.place)
    for one in new[len(old) :]:
        yield Difference("kernel", "kernel", "kernel", "", one.version, "neutral", "One more kernel.", one.place)


def _kernels(system: System | None) -> list[Kernel]:
    """Of several of one place, which replace one another, the last."""
    return list({one.place.artifacts: one for one in system.kernels}.values()) if system else []


def _kernel(
    subject: str, pair: tuple[Kernel, Kernel], contents: list[str], undecided: list[str]
) -> Iterator[Difference]:
    before, after = pair
    found = list(_facts(subject, before, after))
    if before.config is not None and after.config is not None:
        found += _options(subject, before, after)
    elif before.config is not after.config:
        which = "old" if before.config is None else "new"
        undecided.append(f"{subject}: the configuration of the {which} one is not known; options are not compared.")
    packing = [(one.format, one.compression) for one in pair]
    if not found and all(contents) and contents[0] != contents[1] and packing[0] == packing[1]:
        told = (f"sha256 {content[:12]}" for content in contents)
        reason = "It says it is the same build, and is not the same file."
        found.append(difference("kernel", subject, "content", told, "neutral", reason, after.place))
    yield from found


def _facts(subject: str, before: Kernel, after: Kernel) -> Iterator[Difference]:
    if before.version != after.version:
        yield version(subject, before.version, after.version, after.place)
    elif before.banner != after.banner:
        told = clipped(before.banner), clipped(after.banner)
        yield difference("kernel", subject, "build", told, "neutral", "It was built anew.", after.place)
    if before.arch != after.arch:
        reason = "It is for other machines."
        yield Difference("kernel", subject, "architecture", before.arch, after.arch, "neutral", reason, after.place)


def version(subject: str, before: str, after: str, place: Place) -> Difference:
    """Two releases: an older one lacks fixes; a newer one of the same series has more of them."""
    first, second = _release(before), _release(after)
    verdict: Judgement = "neutral"
    reason = "It is another release."
    if first and second and second < first:
        verdict, reason = "worse", "It is an older release, without the fixes of the newer one."
    elif first and second and second[:2] == first[:2] and second > first:
        verdict, reason = "better", "It is a newer release of the same series, with its fixes."
    severity = Severity.MEDIUM if verdict == "worse" else Severity.NOTE
    return Difference("kernel", subject, "version", before, after, verdict, reason, place, severity)


def _release(text: str) -> tuple[int, ...]:
    match = re.search(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?", text, re.ASCII)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def _options(subject: str, before: Kernel, after: Kernel) -> Iterator[Difference]:
    """Options by what the table makes of them on both sides; the others are neither better nor worse."""
    told = [{one.key: one for one in answers(kernel, Given())} for kernel in (before, after)]
    listed: set[str] = set()
    for key, first in told[0].items():
        second = told[1][key]
        if first.value != second.value and first.value in _RANKS and second.value in _RANKS:
            listed |= {first.option, second.option}
            yield _option(subject, first, second, after)
    for name, one, other in changed(before.config or {}, after.config or {}):
        if name in listed or not _counts(name):
            continue
        values = _value(one), _value(other)
        reason = "The table of options says nothing of it, or the same of both values."
        yield difference("kernel", subject, f"CONFIG_{name}", values, "neutral", reason, after.place)


def _option(subject: str, first: Answer, second: Answer, kernel: Kernel) -> Difference:
    row = load("kernel_options")[second.key]
    verdict = judged(_RANKS[first.value], _RANKS[second.value])
    severity = Severity[row.get("severity", "medium").upper()] if verdict == "worse" else Severity.NOTE
    facts = clipped(first.fact), clipped(second.fact)
    return difference("kernel", subject, f"CONFIG_{label(second)}", facts, verdict, row["why"], kernel.place, severity)


def _counts(name: str) -> bool:
    """Whether an option tells of the kernel, and not of what compiled it."""
    return not name.startswith(_COMPILERS)


def _value(text: str) -> str:
    return "is not set" if text == "n" else clipped(text)


# --- the command line


def arguments(lines: tuple[KernelCommandLine, ...]) -> dict[str, str]:
    """Of all command lines that count: each argument as it is written, with the values it has, one after another."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.ignored:
            continue
        for name, value in line.arguments:
            values = found.setdefault(name.replace("-", "_"), [])
            written = name if value is None else f"{name}={value}"
            if written not in values:
                values.append(written)
    return {name: " ".join(values) for name, values in found.items()}


def command_lines(old: System, new: System, *, one_format: bool, apart: list[str]) -> Iterator[Difference]:
    """Arguments that came, went or have another value; those that a format adds are noted in `apart`."""
    place = next((one.place for one in new.command_lines), new.place)
    for name, before, after in changed(arguments(old.command_lines), arguments(new.command_lines)):
        if not one_format:
            first, second, reasons = _without_formats(name, before, after)
            if reasons:
                apart.append(f"Command line: {_words(before, after)}: {'; '.join(reasons)}.")
            before, after = first, second  # noqa: PLW2901 - what is left of them
            if before == after:
                continue
        dangers = [_danger(name, text) for text in (before, after)]
        verdict = judged(dangers[0][0], dangers[1][0])
        reason = _why_argument(dangers[0], dangers[1])
        severity = Severity.MEDIUM if verdict == "worse" else Severity.NOTE
        told = clipped(before), clipped(after)
        yield difference("cmdline", "command line", name, told, verdict, _sentence(reason), place, severity)


def _without_formats(name: str, before: str, after: str) -> tuple[str, str, list[str]]:
    """The values of an argument without those that a format adds and that are on one side only, with the reasons."""
    row = load("boot_files")["argument"].get(name.replace("_", "-")) or load("boot_files")["argument"].get(name)
    if row is None:
        return before, after, []
    first, second = before.split(), after.split()
    only = set(first) ^ set(second)
    added = {text for text in only if _is_added(row, text)}
    kept = [" ".join(text for text in some if text not in added) for some in (first, second)]
    return kept[0], kept[1], [row["reason"]] if added else []


def _is_added(row: Mapping[str, str], text: str) -> bool:
    _, equals, value = text.partition("=")
    return not equals if "values" not in row else re.fullmatch(row["values"], value) is not None


def _words(before: str, after: str) -> str:
    return (
        f"'{clipped(before)}' is '{clipped(after)}'"
        if before and after
        else f"'{clipped(before or after)}' is in one only"
    )


def _why_argument(before: tuple[float, str], after: tuple[float, str]) -> str:
    """Why an argument of one danger is better or worse than one of another: what it does, or did."""
    (first, was), (second, now) = before, after
    if first == second:
        return "The tables of arguments say nothing of it."
    if second > 0 or second < min(first, 0):
        return now
    return _no_longer(was)


def _no_longer(was: str) -> str:
    return f"It was so before: {was[:1].lower()}{was[1:]}"


def _danger(name: str, text: str) -> tuple[float, str]:
    """How harmful an argument with these values is, and why; less than nothing where it hardens."""
    for word in text.split():
        _, equals, value = word.partition("=")
        for table, danger in (("cmdline", 2.0), ("boot_arguments", 2.0)):
            row = load(table).get(name)
            if row and _fits(row, value if equals else None):
                return danger, str(row["reason"])
        for row in load("hardening_arguments").values():
            if row["name"].replace("-", "_") == name and _fits(row, value if equals else None):
                return -1.0, str(row["reason"])
    return 0.0, ""


def _fits(row: Mapping[str, str], value: str | None) -> bool:
    if value is None:
        return "values" not in row or bool(row.get("bare"))
    return "values" in row and re.fullmatch(row["values"], value, re.DOTALL) is not None


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text[:1].upper()}{text[1:]}."


# --- settings


def settings(old: System, new: System) -> Iterator[Difference]:
    """What files of kernel settings set in the end, and no longer, or otherwise."""
    before, after = ({name: one.value for name, one in effective(system).items()} for system in (old, new))
    found = effective(new)
    were = effective(old)
    for name, first, second in changed(before, after):
        dangers = [_setting_danger(name, value) for value in (first, second)]
        verdict = judged(*dangers)
        gone = abs(dangers[0]) > abs(dangers[1])
        reason = _NO_WORD if verdict == "neutral" else _no_longer(_why(name)) if gone else _why(name)
        place = (found.get(name) or were[name]).sysctl.place
        severity = Severity.LOW if verdict == "worse" else Severity.NOTE
        told = clipped(first), clipped(second)
        yield difference("setting", name, "value", told, verdict, _sentence(reason), place, severity)


def _setting(name: str) -> Mapping[str, str] | None:
    row: Mapping[str, str] | None = load("sysctls")["setting"].get(_general(name))
    return row


def _general(name: str) -> str:
    return re.sub(r"^(net\.ipv[46]\.conf)\.[^.]+\.", r"\1.*.", name)


def _setting_danger(name: str, value: str) -> float:
    """1 for a value that gives a defence away, -1 for one that is worth having, 0 for others and for none."""
    row = _setting(name)
    if row and value and re.fullmatch(row["values"], value):
        return 1.0
    wanted = load("sysctls").get("wanted", {}).get(name) or load("sysctls").get("wanted", {}).get(_general(name))
    return -1.0 if wanted and value and re.fullmatch(str(wanted.get("values", "(?!)")), value) else 0.0


def _why(name: str) -> str:
    row = _setting(name)
    if row:
        return row["reason"]
    table = load("sysctls")["wanted"]
    return str((table.get(name) or table.get(_general(name)) or {}).get("why", "It is a setting worth having."))
