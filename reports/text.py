"""The text report: what an engineer acts on at once, grouped by the place to mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby

from ..rules.engine import Finding, Outcome, Severity
from ..rules.exposure import Exposure
from ..rules.funnel import Result, Suppressed
from ..rules.ignores import Ignore
from ..scanner.startup import late
from ..scanner.subjects import Container, Place, System
from .formats import Options
from .grouping import Group, Input, exposed, inputs, telling, within
from .printable import printable
from .style import Style

_MANY, _SHOWN = 6, 4
"""Of more than `_MANY` rows of one rule in one group, `_SHOWN` are written out and the rest counted."""

_FACTS = 3
"""Lines of evidence under a finding; one more is written out, as it takes no more room than to say so."""

_REASONS = 8
"""Reasons for open verdicts that are written out."""

_NAMES = 3
"""Names of what else a reason is true of."""

_QUOTED = late(r"'[^']*'")

_SILENCED = 20
"""Findings of one sort, suppressed or baselined, that are written out."""

_CONTAINERS = 25
"""Containers in a table of exposure."""

_LABELS = 4
"""What weighs most on a container, in the table of exposure."""

_POSITION, _MESSAGE = 12, 20
"""Columns: of a finding's line:column, and of its message when it has one."""

_TITLE = 48
"""Columns of the titles in the table of exposure; longer ones push their row to the right."""

_LONG = 241
_ENDLESS = late(rf"\S{{{_LONG},}}")
"""A word that only somebody who means harm writes; a reference with its registry, tag and digest is shorter."""

_STATES = {"broken": Severity.HIGH, "not decidable": Severity.NOTE, "kept": Severity.LOW}
"""What can become of a promise, what asks for action first, and the severities whose colours they have."""
_STATE = 15
"""Columns of that."""

_BAR = 10
_WORDS = {
    "UNSAFE": Severity.CRITICAL,
    "EXPOSED": Severity.HIGH,
    "MEDIUM": Severity.MEDIUM,
    "OK": Severity.LOW,
    "TIGHT": Severity.LOW,
    "UNKNOWN": Severity.NOTE,
}


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    style = Style(color=options.color, width=options.width, links=options.root if options.links else None)
    read = inputs(result)
    blocks = [list(_input(one, result, style)) for one in read if one.groups or len(read) == 1 or not _is_linuxkit(one)]
    parts = (_remedies, _suppressed, _baselined, _proved, _open, _problems, _promises, _summary)
    blocks += [list(part(result, style)) for part in parts]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _fit(text: str) -> str:
    """The text as a terminal may get it: nothing to act on, and no flood; the middle of an endless word is left out."""
    text = printable(text)
    return text if len(text) < _LONG else _ENDLESS.sub(lambda word: f"{word[0][:80]}…{word[0][-40:]}", text)


def _is_linuxkit(one: Input) -> bool:
    return one.system is not None and one.system.is_linuxkit


def _input(one: Input, result: Result, style: Style) -> Iterator[str]:
    configuration = all(finding.rule.subject is Ignore for group in one.groups for finding in group.findings)
    facts = _facts(one.system) if one.system else "configuration" if configuration else "broke off"
    yield f"{style.paint('1;4', _fit(one.name))}  {style.dim(facts)}"
    for group in one.groups:
        yield ""
        yield from _group(group, style)
    if one.system and one.system.containers:
        yield ""
        yield from _exposures(one.system.containers, result, style)


def _facts(system: System) -> str:
    kind = "LinuxKit " if system.is_linuxkit else "not made by LinuxKit: "
    numbers = (("container", len(system.containers)), ("file", system.files), ("binary", system.binaries))
    kernels = [f"kernel {kernel.version}" for kernel in system.kernels if kernel.version]
    layers = [system.format] if system.kind == "image" else []
    counts = [_count(number, noun) for noun, number in numbers if number]
    return _fit(f"{kind}{', '.join([system.kind, *layers, *kernels, *counts])}")


def _count(number: int, noun: str) -> str:
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun}"


def _group(group: Group, style: Style) -> Iterator[str]:
    aside = _aside(group)
    title = style.bold(_fit(group.title))
    yield f"{title}  {style.dim(_fit(aside))}" if aside else title
    told: set[tuple[Place, str]] = set()
    for _, rows in groupby(group.findings, key=lambda one: (-one.severity, one.rule.id, one.variant)):
        alike = list(rows)
        shown = alike if len(alike) <= _MANY else alike[:_SHOWN]
        for finding in shown:
            origin = _origin(finding, group)
            heads = [origin] if origin and (finding.place, origin) not in told else []
            told.add((finding.place, origin))
            yield from _finding(finding, [*heads, *_details(finding, {group.title, aside})], style)
        if len(shown) < len(alike):
            more = f"... and {len(alike) - len(shown)} more of {alike[0].rule.name} (--format json lists them all)"
            yield f"{' ' * _POSITION}{style.dim(more)}"


def _aside(group: Group) -> str:
    """What a container is made of: its image, or its place in one."""
    if group.container is None:
        return ""
    return group.container.image.text if group.container.image else within(group.container.place)


def _origin(finding: Finding, group: Group) -> str:
    """What is to be seen at its place; the image that stands in the title of its group is not named again."""
    note = telling(finding.locations[0])
    image = group.container.image if group.container else None
    return note.replace(f"label of {image.text}", "label of its image") if image else note


def _finding(finding: Finding, details: Iterable[str], style: Style) -> Iterator[str]:
    span = finding.place.span
    indent = _MESSAGE if span else _POSITION
    position = f"{span.line}:{span.column}" if span else ""
    gap = " " * (_MESSAGE - _POSITION - len(position)) if span else ""
    name = str(finding.severity)
    pad = " " * (_POSITION - 2 - len(name))
    lines = style.wrapped(_fit(finding.message), indent)
    tag = f"{finding.rule.id} {finding.rule.name}{_mark(finding)}"
    is_apart = style.width and indent + len(lines[-1]) + 2 + len(tag) > style.width
    tag, position = style.dim(tag), style.dim(position)
    if style.links is not None:
        from .links import file, page

        tag = style.link(page(finding.rule), tag)
        if span and len(finding.place.artifacts) == 1:
            position = style.link(file(finding.place, style.links), position)
    if is_apart:
        lines.append(tag)
    else:
        lines[-1] += f"  {tag}"
    yield f"  {style.severity(finding.severity, name)}{pad}{position}{gap}{lines[0]}"
    for line in lines[1:]:
        yield f"{' ' * indent}{line}"
    for detail in dict.fromkeys(details):
        for line in style.hanging(f"{' ' * indent}- ", _fit(detail), indent + 2):
            yield style.dim(line)


def _mark(finding: Finding) -> str:
    """Whether `lkscan fix` can mend it."""
    return "" if finding.fix is None else " [fix]" if finding.fix.safe else " [unsafe fix]"


def _details(finding: Finding, told: AbstractSet[str]) -> Iterator[str]:
    """Where it is and what can be checked by hand, as far as neither the message nor the title (`told`) says it."""
    first, *related = finding.locations
    if finding.origin:
        place, said = finding.origin.place, telling(finding.origin)
        where = str(place) if len(place.artifacts) == 1 else within(place)
        yield f"{where}: {said}" if said else where
    inner = " / ".join(first.place.artifacts[1:])
    if inner and inner not in told and first.place.artifacts[-1] not in finding.message:
        yield f"in {inner}"
    if first.place.pointer and not first.place.span:
        yield f"at {first.place.pointer}"
    places: dict[str, dict[str, None]] = {}
    for one in related:
        places.setdefault(telling(one), {})[_position(one.place, first.place)] = None
    for told_there, listed in places.items():
        is_new = told_there and told_there != telling(first)
        yield f"{', '.join(listed)}: {told_there}" if is_new else f"together with {', '.join(listed)}"
    evidence = [one for one in finding.evidence if one not in finding.message]
    shown = evidence if len(evidence) == _FACTS + 1 else evidence[:_FACTS]
    yield from shown
    if len(shown) < len(evidence):
        yield f"and {_count(len(evidence) - len(shown), 'more fact')} (--format json)"


def _position(place: Place, beside: Place) -> str:
    """`12:7`, or a path of keys, in the same artifact; the path in the same tree; else the whole place."""
    if place.artifacts != beside.artifacts:
        is_near = len(place.artifacts) > 1 and place.artifacts[:-1] == beside.artifacts[:-1]
        return str(place._replace(artifacts=place.artifacts[-1:]) if is_near else place)
    return f"{place.span.line}:{place.span.column}" if place.span else place.pointer or str(place)


def _exposures(containers: Sequence[Container], result: Result, style: Style) -> Iterator[str]:
    scored = [(container, exposed(container, result)) for container in containers]
    scored.sort(key=lambda pair: -pair[1].at_least)
    yield f"{style.bold('Exposure')}  {style.dim('0 sealed off ... 10 the host itself')}"
    width = min(_TITLE, max(len(_fit(container.title)) for container, _ in scored[:_CONTAINERS]))
    for container, one in scored[:_CONTAINERS]:
        yield _exposure(container, one, width, style)
    if len(scored) > _CONTAINERS:
        yield style.dim(f"  ... and {len(scored) - _CONTAINERS} less exposed (--format json lists them all)")


def _exposure(container: Container, one: Exposure, width: int, style: Style) -> str:
    severity = _WORDS[one.word]
    full = round(one.at_least * _BAR / 10)
    bar = style.severity(severity, "█" * full) if severity < Severity.CRITICAL else style.paint("31", "█" * full)
    number = f"{one.at_least:4.1f}" if one.score is not None else f"≥{one.at_least:.1f}".rjust(4)
    title = _fit(container.title).ljust(width)
    head = f"  {bar}{style.dim('░' * (_BAR - full))} {number} {style.severity(severity, one.word)}"
    pad = " " * (max(map(len, _WORDS)) - len(one.word) + 1)
    reasons = style.clipped(_reasons(container, one), _BAR + width + 20)
    return f"{head}{pad}{title}  {style.dim(reasons)}" if reasons else f"{head}{pad}{title.rstrip()}"


def _reasons(container: Container, one: Exposure) -> str:
    if container.error:
        return "LinuxKit would not build it"
    labels = [item.label.partition(" (")[0] for item in one.items if item.bad]
    more = [f"{len(labels) - _LABELS} more"] if len(labels) > _LABELS else []
    reasons = ", ".join([*labels[:_LABELS], *more])
    return "; ".join(filter(None, ["label not known" if one.score is None else "", reasons]))


def _remedies(result: Result, style: Style) -> Iterator[str]:
    numbers = Counter(finding.rule.id for finding in result.findings)
    worst: dict[str, Finding] = {}
    for finding in sorted(result.findings, key=lambda one: (-one.severity, one.rule.id)):
        worst.setdefault(finding.rule.id, finding)
    if worst:
        yield f"{style.bold('What to do')}  {style.dim('`lkscan explain RULE` says more')}"
    for number, finding in worst.items():
        head = f"  {style.severity(min(finding.severity, Severity.HIGH), number)}  "
        times = f" ({numbers[number]} times)" if numbers[number] > 1 else ""
        yield from style.hanging(head, f"{finding.rule.remedy}{times}", len(number) + 4)


def _suppressed(result: Result, style: Style) -> Iterator[str]:
    """Who silenced what."""
    how = "silenced on purpose; --no-ignores shows it"
    yield from _silenced("Suppressed", how, result.suppressed, style, lambda _: "no reason given")


def _baselined(result: Result, style: Style) -> Iterator[str]:
    """What was there when the baseline was recorded."""
    how = "found before, and accepted by the baseline; without --baseline it is shown"
    yield from _silenced("Baselined", how, result.baselined, style, lambda finding: finding.message)


def _silenced(
    title: str, how: str, silenced: Sequence[Suppressed], style: Style, without: Callable[[Finding], str]
) -> Iterator[str]:
    """One line each, with its reason, or what `without` says where none was given."""
    if silenced:
        yield f"{style.bold(title)}  {style.dim(how)}"
    for finding, reason in silenced[:_SILENCED]:
        text = f"{finding.place} {finding.subject}: {reason or without(finding)}"
        yield f"  {style.dim(finding.rule.id)}  {style.clipped(_fit(text), len(finding.rule.id) + 4)}"
    if len(silenced) > _SILENCED:
        yield style.dim(f"  ... and {len(silenced) - _SILENCED} more (--format json lists them all)")


def _proved(result: Result, style: Style) -> Iterator[str]:
    """What was shown, where that is worth telling."""
    if result.proofs:
        yield f"{style.bold('Proved')}  {style.dim('held against what the image is to be')}"
    for one in result.proofs:
        mark = style.severity(Severity.LOW, "=")
        yield from style.hanging(f"  {mark} ", f"{_fit(one.message)}  {one.rule.id}", 4)


def _open(result: Result, style: Style) -> Iterator[str]:
    """What is open and why; reasons that differ in names only are told once, with all rules that they keep open."""
    alike: dict[str, list[Finding]] = {}
    for one in result.others:
        if one.outcome in {Outcome.UNDECIDED, Outcome.PARTIAL}:
            alike.setdefault(_QUOTED.sub("''", _opening(one.reason)), []).append(one)
    if alike:
        yield f"{style.bold('Not decided')}  {style.dim('neither good nor bad: the evidence is missing')}"
    for findings in list(alike.values())[:_REASONS]:
        yield from style.hanging("  ? ", _fit(_reason(findings)), 4)
    if len(alike) > _REASONS:
        yield style.dim(f"  ... and {_count(len(alike) - _REASONS, 'more reason')} (--format json lists them all)")
    containers = (one for system in result.systems for one in system.containers) if alike else ()
    if any(one.image and one.label.kind == "unknown" for one in containers):
        yield from map(style.dim, style.hanging("  ", "--packages DIR or --cache DIR can tell the labels of images", 2))


def _reason(findings: Sequence[Finding]) -> str:
    """One sentence or two for reasons that are alike, and the rules."""
    first = findings[0].reason
    same = len({one.reason for one in findings}) == 1
    named = [name for one in findings if (name := _QUOTED.search(_opening(one.reason)))]
    others = [*dict.fromkeys(name[0] for name in named)][1:]
    listed = ", ".join(others[:_NAMES]) + (f" and {len(others) - _NAMES} more" if len(others) > _NAMES else "")
    more = f" The same goes for {listed}." if others else ""
    subjects = len({(one.place.artifacts[0], one.subject) for one in findings})
    times = f" ({subjects} times)" if subjects > 1 and not named else ""
    rules = " ".join(sorted({one.rule.id for one in findings}))
    return f"{first if same else _opening(first)}{more}  {rules}{times}"


def _opening(reason: str) -> str:
    """Its first sentence."""
    head, stop, _ = reason.partition(". ")
    return f"{head}{stop.strip()}"


def _problems(result: Result, style: Style) -> Iterator[str]:
    told = {finding.place for finding in result.findings}
    problems = [problem for problem in result.problems if problem.place not in told]
    if problems:
        yield f"{style.bold('Not read')}  {style.dim('what is in there was not judged')}"
    for problem in problems:
        head = f"{_fit(str(problem.place))}: {_fit(problem.message)}"
        yield from style.hanging(f"  {style.severity(Severity.HIGH, '!')} ", head, 4)


def _promises(result: Result, style: Style) -> Iterator[str]:
    """Whether LinuxKit's promises are kept, input by input, those that are broken first."""
    if not result.tallies:
        return
    from .promises import words

    for path, told in groupby(words(result), key=lambda word: word.path):
        of = f" by {_fit(path)}" if len(result.tallies) > 1 else ""
        told_by = style.dim(f"what its docs/security.md says, and what is kept of it{of}")
        yield f"{style.bold('Promises of LinuxKit')}  {told_by}"
        for word in sorted(told, key=lambda word: tuple(_STATES).index(word.state)):
            state, name = style.severity(_STATES[word.state], word.state), style.bold(word.promise.name)
            pad = " " * (_STATE - len(word.state))
            yield from style.hanging(f"  {state}{pad}", f"{name}: {word.promise.says}", _STATE + 2)
            why = " ".join(filter(None, (word.reason, " ".join(word.rules))))
            yield from map(style.dim, style.hanging(" " * (_STATE + 2), _fit(why), _STATE + 2))


def _summary(result: Result, style: Style) -> Iterator[str]:
    counts = [(one, result.count(one)) for one in sorted(Severity, reverse=True)]
    parts = [style.severity(one, f"{number} {one}") for one, number in counts if number]
    total = _count(len(result.findings), "finding")
    where = f" in {_count(len(result.systems), 'input')}" if len(result.systems) > 1 else ""
    if not result.systems and not result.findings:
        yield style.bold("Nothing could be scanned.")
        return
    yield f"{style.bold(total if parts else 'No findings')}{where}{': ' if parts else '.'}{', '.join(parts)}"
    yield from (f"  {style.dim(line)}" for line in _tail(result))


def _tail(result: Result) -> Iterator[str]:
    """What to do about it, and what the report leaves out and how to see that."""
    offers = Counter(one.fix.safe for one in result.findings if one.fix)
    if offers[True]:
        more = f", {offers[False]} more with --unsafe" if offers[False] else ""
        yield f"{offers[True]} can be mended by `lkscan fix`{more}"
    elif offers[False]:
        yield f"{offers[False]} can be mended by `lkscan fix --unsafe`"
    if result.hidden:
        yield f"{result.hidden} hidden (--profile pedantic or auditor shows them)"
    if result.suppressed:
        yield f"{len(result.suppressed)} suppressed"
    if result.baselined:
        yield f"{len(result.baselined)} baselined"
    if result.baseline and result.baseline.stale:
        number = _count(len(result.baseline.stale), "entry")
        yield f"{number} of the baseline without a finding (`lkscan baseline --update` drops them)"
    if result.baseline and result.baseline.unseen:
        yield f"{_count(result.baseline.unseen, 'entry')} of the baseline for what was not looked at"
    outcomes = Counter(one.outcome for one in result.others)
    open_ones = [f"{outcomes[one]} {one}" for one in (Outcome.UNDECIDED, Outcome.PARTIAL) if outcomes[one]]
    if open_ones:
        yield f"{', '.join(open_ones)} (--format json gives the reasons)"
    if result.problems:
        yield f"{_count(len(result.problems), 'problem')}: this report is incomplete"
