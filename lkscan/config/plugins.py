"""Own rules in Python: what installed packages offer as entry points of the group `lkscan.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..rules.engine import Rule
from ..scanner.startup import Any
from ..scanner.subjects import Place, Problem
from .declarations import flaw

GROUP = "lkscan.rules"


def load(path: str, names: Iterable[str], rules: Iterable[Rule]) -> tuple[list[Rule], list[Problem]]:
    """The rules of the plugins that the configuration `path` names, and what is wrong with any of them.

    Only what is named is imported: to look for all that is installed takes longer than to scan a spec.
    """
    found, problems, known = [], [], list(rules)
    for name in names:
        try:
            offered = list(_offered(name))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code
            problems.append(_problem(path, name, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"))
            continue
        for one in offered:
            if reason := flaw(one, known):
                problems.append(_problem(path, name, f"its rule {str(one.id)[:40]} {reason}"))
            else:
                known.append(one)
                found.append(one)
    return found, problems


def _offered(name: str) -> Iterator[Rule]:
    from importlib.metadata import entry_points

    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise LookupError(f"no installed package has an entry point '{name}' in the group {GROUP}")
    for point in points:
        rules: Any = point.load()
        if not isinstance(rules, (tuple, list)) or not all(_is_rule(one) for one in rules):
            raise TypeError(f"{point.value} is no tuple of rules")
        yield from (one._replace(owner=f"plugin {name}") for one in rules)


def _is_rule(one: object) -> bool:
    """Whether it is what reports rely on: a subject's type, texts, a docstring."""
    return (
        isinstance(one, Rule)
        and isinstance(one.subject, type)
        and all(isinstance(text, str) for text in (one.id, one.name, one.remedy, *one.messages.values(), *one.nist))
        and bool((one.check.__doc__ or "").strip())
    )


def _problem(path: str, name: str, text: str) -> Problem:
    return Problem(Place((path,)), f"plugin {name} is broken: {text}", "failed")
