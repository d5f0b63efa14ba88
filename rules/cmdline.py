"""Family C: arguments of the kernel's command line."""

import re
from collections.abc import Iterator

from ..scanner.subjects import KernelCommandLine
from .engine import Confidence, Severity, Verdict, fail, rule, undecided
from .tables import load

_TEMPLATE = re.compile(r"\{\{|\{%")


def _effective(line: KernelCommandLine) -> dict[str, tuple[str, str | None]]:
    """Parameter -> (name as written, value), the last one given: it wins. `-` and `_` are the same in a name."""
    return {name.replace("-", "_"): (name, value) for name, value in line.arguments}


def _matches(values: str | None, value: str | None) -> bool:
    if values is None or value is None:
        return values is None and value is None
    return re.fullmatch(values, value, re.DOTALL) is not None


def _has_arguments(line: KernelCommandLine) -> bool:
    return bool(line.text.strip())


@rule(
    "LKC001",
    "mitigations-disabled",
    Severity.MEDIUM,
    "The kernel is started with '{0}'.",
    remedy="Take the argument off the command line: by default the kernel protects what the CPU at hand needs.",
    nist=("3.5.2", "3.5.3"),
    about=_has_arguments,
)
def mitigations_disabled(line: KernelCommandLine) -> Iterator[Verdict]:
    """The kernel's command line switches off a defence against CPU flaws or against attacks on the kernel.

    One finding for each argument. Where an argument is given twice, the last one counts; what follows `--` is init's.
    """
    subject = line.place.pointer or line.place.artifacts[-1]
    table = load("cmdline")
    for name, (written, value) in sorted(_effective(line).items()):
        row = table.get(name)
        if row is None or not _matches(row.get("values"), value):
            continue
        argument = written if value is None else f"{written}={value}"
        if _TEMPLATE.search(line.text):
            reason = f"A template fills in the command line: whether '{argument}' is part of it cannot be told."
            yield undecided(subject, line.place, reason, key=name)
            continue
        yield fail(
            subject,
            line.place,
            argument,
            note=row["reason"],
            key=name,
            severity=Severity[row["severity"].upper()],
            confidence=Confidence[row["confidence"].upper()] if "confidence" in row else None,
        )


RULES = (mitigations_disabled,)
