"""Kernels as reports show them: each option against what is recommended."""

from __future__ import annotations

from ..rules.funnel import Result
from ..rules.kernel_groups import boot
from ..rules.kernel_options import Answer, answers, label, wanted
from ..rules.tables import load
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Kernel, System


class Option(NamedTuple):
    """An option of a kernel, and what was made of it.

    `answer` is good, bad, absent or unknown; `fact` what was found, `wanted` the value it ought to have, `sources` who
    says so, and `severity` how grave it is.
    """

    answer: str
    name: str
    fact: str
    wanted: str
    why: str
    sources: str
    severity: str


class Judged(NamedTuple):
    """A kernel and its options; none where it has no configuration."""

    kernel: Kernel
    input: str
    options: tuple[Option, ...]

    def by(self, answer: str) -> list[Option]:
        """Its options of one answer, the grave ones first."""
        return [one for one in self.options if one.answer == answer]


def judged(result: Result) -> list[Judged]:
    """The kernels of all inputs, each against the table of options; of several of one place, the last."""
    found: list[Judged] = []
    for system in result.systems:
        for artifacts, kernel in {one.place.artifacts: one for one in system.kernels}.items():
            options = _options(kernel, system) if result.told is None else result.told.options.get(artifacts, ())
            found.append(Judged(kernel, system.place.artifacts[0], options))
    return found


def _options(kernel: Kernel, system: System) -> tuple[Option, ...]:
    if kernel.config is None:
        return ()
    found = [_option(kernel, one) for one in answers(kernel, boot(system))]
    return tuple(sorted(found, key=lambda one: one.severity != "medium"))


def _option(kernel: Kernel, one: Answer) -> Option:
    row = load("kernel_options")[one.key]
    sources = ", ".join(row.get("sources", ()))
    value = wanted(kernel, one.key, one.option)
    return Option(one.value, label(one), one.fact, value, row["why"], sources, row.get("severity", "medium"))
