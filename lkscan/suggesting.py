"""Suggestions as a fragment of a spec: what each container needs, every line with its certainty and evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import wrap

from .config.policies import Policy
from .desks import read
from .evidence import Evidence
from .inputs import Input
from .reports.printable import printable
from .rules.engine import Engine
from .rules.funnel import Funnel, Result, choose
from .rules.least import RULES
from .rules.needs import MORE_RUNS, SHARED, Answer, Needs
from .scanner.effective import CAPABILITIES
from .scanner.startup import Any
from .scanner.subjects import SECTIONS, Container, Mount, Problem

_PLAIN = re.compile(r"[A-Za-z0-9_/.][\w/.:,@+=-]*(?<!:)")
_WIDTH = 120
_GAPS = 3
"""Reasons why more may run that are shown of one container; JSON has all."""
_WORDS = {"used": "used", "unknown": "can't tell", "unused": "no use found"}


def fragment(found: Iterable[Needs]) -> Iterator[str]:
    """The lines of a spec with the smallest privileges that evidence allows; the same containers in the same order."""
    listed = list(found)
    for section in SECTIONS:
        members = [one for one in listed if one.container.section == section]
        if members:
            yield f"{section}:"
        for one in members:
            yield from _entry(one)


def _entry(one: Needs) -> Iterator[str]:
    yield f"  - name: {_scalar(one.container.name)}"
    yield from _comment(f"{one.command}: {_number(len(one.reached))} reached{_counted(one)}")
    for gap in one.gaps[:_GAPS]:
        yield from _comment(f"may run more: {gap}")
    if len(one.gaps) > _GAPS:
        yield from _comment(f"may run more: by {len(one.gaps) - _GAPS} more, which --format json tells")
    yield from _capabilities(one)
    settings = {answer.name: answer for answer in one.settings}
    yield from _switch("noNewPrivileges", "true", settings["privileges"], is_set=one.container.no_new_privileges)
    yield from _switch("readonly", "true", settings["root"], is_set=one.container.readonly)
    if one.container.namespace("network") == "host":
        yield from _switch("net", "new", settings["network"])
    for key in ("ipc", "uts", "pid"):
        if one.container.namespace(key) == "host" and settings[key].verdict == "unused":
            yield from _switch(key, "new", settings[key])
    yield from _binds(one)
    if one.masked:
        yield from _comment("no use found: nothing that is reached names these")
        paths = dict.fromkeys([*one.container.masked_paths, *one.masked])
        yield f"    maskedPaths: [{', '.join(map(_scalar, paths))}]"


def _counted(one: Needs) -> str:
    """What became of the capabilities, in short."""
    if not one.capabilities:
        return "; it holds no capability"
    told = (f"{one.count('unused')} dropped", f"{one.count('used')} used", f"{one.count('unknown')} can't be told")
    return f"; of {len(one.capabilities)} capabilities {', '.join(told)}"


def _capabilities(one: Needs) -> Iterator[str]:
    """The list of those that stay: those that are used, then those that can't be told, by the reason."""
    kept = [answer for answer in one.capabilities if answer.verdict != "unused"]
    dropped = [answer for answer in one.capabilities if answer.verdict == "unused"]
    if len(kept) == len(CAPABILITIES):
        yield from _all(kept)
        return
    yield "    capabilities:" if kept else "    capabilities: [none]"
    for answer in kept:
        if answer.verdict == "used":
            yield f"      - {answer.name}  # {_why(answer)}"
    for reason, answers in _grouped(kept):
        yield from _open(reason, answers)
    if dropped:
        yield from _comment(f"no use found, dropped: {', '.join(answer.name for answer in dropped)}")
        yield from _comment(f"({'; '.join(dropped[0].evidence)})")


def _grouped(kept: Sequence[Answer]) -> list[tuple[str, list[Answer]]]:
    """Those that can't be told, by the reason; last the reasons that several share."""
    groups: dict[str, list[Answer]] = {}
    for answer in kept:
        if answer.verdict == "unknown":
            groups.setdefault(answer.reason, []).append(answer)
    return sorted(groups.items(), key=lambda group: len(group[1]) > 1)


def _all(kept: Sequence[Answer]) -> Iterator[str]:
    """Where none can be dropped, a line for each reason says more than one for each capability."""
    yield "    capabilities: [all]  # none of them can be dropped; --format json has the calls"
    used = [answer.name for answer in kept if answer.verdict == "used"]
    if used:
        yield from _comment(f"used: {', '.join(used)}")
    for reason, answers in reversed(_grouped(kept)):
        names = ", ".join(answer.name for answer in answers)
        yield from _comment(f"can't tell ({_reason(reason)}): {names}")


def _reason(reason: str) -> str:
    return f"{reason}, see above" if reason == MORE_RUNS else reason


def _open(reason: str, answers: Sequence[Answer]) -> Iterator[str]:
    """Those that can't be told for one reason: it stands once, and with each the call that is in question, if any."""
    if len(answers) == 1 and reason != MORE_RUNS:
        yield f"      - {answers[0].name}  # {_why(answers[0])}"
        return
    yield from _comment(f"can't tell ({_reason(reason)}):", indent=6)
    is_of_calls = reason != MORE_RUNS and not reason.endswith(SHARED)
    for answer in answers:
        site = answer.evidence[0].rpartition(" [")[0] if answer.evidence and is_of_calls else ""
        yield f"      - {answer.name}" + (f"  # {_line(site)}" if site else "")


def _switch(key: str, value: str, answer: Answer, *, is_set: bool = False) -> Iterator[str]:
    """A setting that is wanted where no use was found of what it takes away."""
    if answer.verdict == "unused" or is_set:
        yield f"    {key}: {value}  # {'set already' if is_set else _why(answer)}"
    else:
        yield from _comment(f"{key}: {value} is not suggested; {_why(answer)}")


def _binds(one: Needs) -> Iterator[str]:
    answers = {answer.name: answer for answer in one.binds}
    if not any(answer.verdict == "unused" for answer in answers.values()):
        return
    yield "    binds:"
    for mount in one.container.mounts:
        if mount.is_bind:
            answer = answers.get(mount.destination)
            is_unused = answer is not None and answer.verdict == "unused"
            yield f"      - {_scalar(bind(mount, is_readonly=is_unused))}" + (f"  # {_why(answer)}" if answer else "")


def bind(mount: Mount, *, is_readonly: bool) -> str:
    """A bind as a spec writes it: `/var/log:/var/log:ro`. LinuxKit adds `rbind`, and its own options where none are."""
    options = [one for one in mount.options if one not in {"rbind", "bind"}]
    if options == ["rw", "rshared"]:
        options = []
    if is_readonly:
        options = [*(one for one in options if one not in {"rw", "ro"}), "ro"]
    return ":".join([mount.source, mount.destination, *([",".join(options)] if options else [])])


def _why(answer: Answer) -> str:
    """The verdict with the first of its evidence, in one line; the gaps of a container stand above."""
    if answer.reason == MORE_RUNS:
        return f"can't tell: {_reason(MORE_RUNS)}"
    return _line(f"{_WORDS[answer.verdict]}: {answer.evidence[0] if answer.evidence else answer.reason}")


def _number(count: int) -> str:
    return "1 program" if count == 1 else f"{count} programs and libraries"


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _comment(text: str, *, indent: int = 4) -> Iterator[str]:
    """A comment in lines that a terminal can show."""
    margin = " " * indent + "# "
    yield from wrap(
        _line(text),
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=f"{margin}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def as_text(found: Sequence[Evidence]) -> Iterator[str]:
    """One fragment for each image, with its name above."""
    for one in found:
        if one.needs:
            yield f"# {printable(one.path)}"
            yield from fragment(one.needs)
        elif not one.problems:
            yield f"# {printable(one.path)}: no containers, so there is nothing to suggest"


def as_json(found: Sequence[Evidence]) -> str:
    """All that is known, for programs."""
    return json.dumps(
        [{"path": one.path, "containers": [_value(needs) for needs in one.needs]} for one in found], indent=2
    )


def _value(one: Needs) -> dict[str, Any]:
    return {
        "name": one.container.name,
        "section": one.container.section,
        "command": list(one.container.command),
        "capabilities": [_answer(answer) for answer in one.capabilities],
        "settings": [_answer(answer) for answer in one.settings],
        "binds": [_answer(answer) for answer in one.binds],
        "maskedPaths": list(one.masked),
        "reached": [reached._asdict() for reached in one.reached],
        "gaps": list(one.gaps),
        "fragment": "\n".join([*fragment([one]), ""]),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "name": answer.name,
        "verdict": _WORDS[answer.verdict],
        "reason": answer.reason,
        "evidence": list(answer.evidence),
    }


def for_spec(one: Input, found: Evidence, policy_of: Callable[[str], Policy]) -> Evidence:
    """The evidence of an image for the spec that it was built from, container by container."""
    known = {needs.title: needs for needs in found.needs}
    matched: list[Needs] = []
    problems = list(found.problems)
    policy = policy_of(one.paths[0])
    for subject in read(one, policy.labels, policy.limits):
        if isinstance(subject, Problem):
            problems.append(subject)
        elif isinstance(subject, Container) and subject.section in SECTIONS:
            needs = known.get(subject.title)
            if needs is None:
                problems.append(
                    Problem(subject.place, f"'{subject.title}' is not in '{found.path}', so nothing can be told")
                )
            else:
                matched.append(for_container(needs, subject))
    return Evidence(one.paths[0], tuple(matched), tuple(problems))


def judged(one: Input, found: Evidence, policy: Policy) -> Result:
    """What the rules about evidence say of a spec, by an image that was built from it."""
    known = {needs.title: needs for needs in found.needs}
    rules = choose(RULES, policy.options)
    engine, funnel = Engine(rules), Funnel(rules, policy.options, policy.known, policy.entries)
    for subject in read(one, policy.labels, policy.limits):
        funnel.meet(subject)
        if isinstance(subject, Container) and subject.title in known:
            for finding in engine.judge(for_container(known[subject.title], subject)):
                funnel.add(finding)
    funnel.close()
    return funnel.result(engine.tally, engine.not_applicable)


def for_container(needs: Needs, container: Container) -> Needs:
    """The needs of a container of a spec, from those of the same one in an image; what that does not hold is open."""
    answers = {one.name: one for one in needs.capabilities}
    writable = {mount.destination for mount in container.mounts if mount.is_bind and mount.writable}
    why = "the image does not grant it, so it was built from another spec"
    return needs._replace(
        container=container,
        capabilities=tuple(
            answers.get(one, Answer(one, "unknown", (), why))
            for one in sorted(
                container.capabilities, key=lambda name: list(answers).index(name) if name in answers else 99
            )
        ),
        binds=tuple(one for one in needs.binds if one.name in writable),
    )
