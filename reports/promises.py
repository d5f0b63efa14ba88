"""Whether LinuxKit's promises are kept: the answers that every report tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from ..rules.engine import Finding, Outcome, Rule
from ..rules.funnel import Result
from ..rules.promises import Promise, chosen
from ..scanner.startup import Literal, NamedTuple
from ..scanner.subjects import System

_UNBUILT = "A spec does not tell; scan the image that is built."
_BUILT = "An image does not tell; scan the spec that it was built from."
_NEEDS: Mapping[str, tuple[Callable[[System], bool], str]] = {
    "kernel": (lambda one: bool(one.kernels), "No kernel was found in it."),
    "release": (
        lambda one: bool(one.kernels) or any(image.role == "kernel" for image in one.images),
        "No kernel was found in it.",
    ),
    "command line": (lambda one: any(line.text.strip() for line in one.command_lines), "No command line is in it."),
    "containers": (lambda one: bool(one.containers), "No containers are in it."),
    "files": (lambda one: bool(one.files), "No files are in it."),
    "binaries": (lambda one: bool(one.binaries), "No programs are in it."),
    "images": (lambda one: bool(one.images), "No images are in it."),
    "spec": (lambda one: one.kind != "image", _BUILT),
}
"""What a promise may need: how to know that it is there, and what to say where it is not."""
_OF_IMAGES = frozenset({"kernel", "files", "binaries"})
"""What only a built image has; and a spec alone:"""
_OF_SPECS = frozenset({"images", "spec"})


class Word(NamedTuple):
    """Whether an input, told by its first path, keeps a promise.

    `rules` are the ids of the rules by which, `findings` the fingerprints of those that break it (accepted ones
    included), `reason` is a sentence for what cannot be decided, "" else.
    """

    path: str
    promise: Promise
    state: Literal["kept", "broken", "not decidable"]
    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    reason: str = ""


def words(result: Result) -> Iterator[Word]:
    """What came of each promise that was asked for, input by input."""
    if result.told is not None:
        yield from result.told.promises
        return
    for paths, tally in result.tallies.items():
        system = next((one for one in result.systems if one.place.artifacts[0] in paths), None)
        if system is not None:
            for promise in chosen(result.promised):
                yield _word(promise, paths, tally, system, result)


def _word(
    promise: Promise, paths: tuple[str, ...], tally: Mapping[tuple[str, Outcome], int], system: System, result: Result
) -> Word:
    """The answer for one promise and input: broken by any finding; kept where nothing is open."""
    about = _about(promise, paths, result)
    bad = [one for one in about if one.outcome is Outcome.FAIL]
    if bad:
        return Word(paths[0], promise, "broken", _ids(bad), tuple(dict.fromkeys(one.fingerprint for one in bad)))
    covering = {one.id for one in result.rules if promise.covers(one)}
    judged = {rule for rule, _ in tally if rule in covering}
    passed = covering if _is_built_so(promise, system) else {one for one in judged if (one, Outcome.PASS) in tally}
    is_whole = all(one.place.artifacts[0] not in paths for one in result.problems)
    reason = (
        _lacking(promise, system, result.rules)
        or _open(about)
        or ("" if is_whole else "It was not read whole.")
        or ("" if passed or not promise.proof else "Nothing that it is about was found in it.")
    )
    if reason:
        return Word(paths[0], promise, "not decidable", _ids(about), reason=reason)
    return Word(paths[0], promise, "kept", tuple(sorted(passed or judged)))


def _about(promise: Promise, paths: tuple[str, ...], result: Result) -> list[Finding]:
    """What was found that the promise is about, and what was not decided; accepted findings are among them."""
    accepted = (one.finding for one in (*result.suppressed, *result.baselined))
    told = (*result.findings, *accepted, *result.others)
    return [one for one in told if one.place.artifacts[0] in paths and promise.concerns(one)]


def _is_built_so(promise: Promise, system: System) -> bool:
    """Whether every kernel has the options that the promise is about: rules are silent where all is well."""
    options = [option for _, option in promise.rules if option]
    configs = [kernel.config or {} for kernel in system.kernels]
    return bool(options) and all(config.get(option) == "y" for config in configs for option in options)


def _open(about: Sequence[Finding]) -> str:
    """What is not decided: the first of the reasons, and how many more there are; "" where nothing is open."""
    if not about:
        return ""
    more = len({one.message for one in about}) - 1
    return about[0].message + (f" ({more} more reasons)" if more > 1 else " (1 more reason)" if more else "")


def _lacking(promise: Promise, system: System, rules: Iterable[Rule]) -> str:
    """Why the silence of the rules would say nothing, in a sentence; "" where it says that the promise is kept."""
    for need in promise.needs:
        is_there, otherwise = _NEEDS[need]
        if need in _OF_IMAGES and system.kind != "image":
            return _UNBUILT
        if not is_there(system):
            return _BUILT if need in _OF_SPECS and system.kind == "image" else otherwise
    known = tuple(rules)
    for pattern, _ in promise.rules:
        if not any(fnmatchcase(rule.id, pattern) or fnmatchcase(rule.name, pattern) for rule in known):
            return f"{pattern} is switched off."
    return ""


def _ids(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({one.rule.id for one in findings}))
