"""What `lkscan rules` and `lkscan explain` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..rules.engine import Rule
from .pages import body, facts, family, rank


def listing(rules: Iterable[Rule], *, markdown: bool = False) -> str:
    """Every rule on a line, by family, in columns or as a table in Markdown; `Fix`: what `lkscan fix` mends."""
    rows = [_row(one) for one in sorted(rules, key=rank)]
    heads = ("Id", "Name", "Family", "Severity", "Confidence", "Profile", "NIST SP 800-190", "Fix", "What it finds")
    lines = _markdown(heads, rows) if markdown else _columns(heads, rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _row(rule: Rule) -> tuple[str, ...]:
    grades = (str(rule.severity), str(rule.confidence), str(rule.profile))
    return (rule.id, rule.name, family(rule), *grades, ", ".join(rule.nist), rule.autofix, rule.summary)


def page(rule: Rule) -> str:
    """A rule in full: its facts, then its page."""
    title = f"{rule.id} {rule.name}"
    width = max(len(name) for name, _ in facts(rule))
    lines = [title, "=" * len(title), "", rule.summary, ""]
    lines += [f"{name.ljust(width)}  {value}" for name, value in facts(rule)]
    return "\n".join([*lines, "", body(rule) or rule.remedy]) + "\n"


def promise_pages(pattern: str, rules: Iterable[Rule]) -> str:
    """What LinuxKit promises, and the rules that tell of it, for each promise that a pattern names; "" for none."""
    from ..rules.promises import chosen

    blocks = []
    for promise in chosen((pattern,)):
        title = f"promise:{promise.name}"
        told = [f"  {one.id}  {one.name}" for one in sorted(rules, key=rank) if promise.covers(one)]
        options = [
            f"  Of {pattern} only what it says of {option} counts." for pattern, option in promise.rules if option
        ]
        profile = f"  Broken by findings up to the profile {promise.profile}."
        blocks.append("\n".join([title, "=" * len(title), "", promise.says, "", *told, *options, profile]) + "\n")
    return "\n".join(blocks)


def _columns(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _markdown(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, ("---",) * len(heads), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
