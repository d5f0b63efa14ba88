"""Family S, its second half: directives, of specs or configurations, that do not do what their writer meant."""

from collections.abc import Iterator

from ..scanner.subjects import Change
from .engine import Fix, Severity, Verdict, fail, rule
from .ignores import Ignore

_CONFIGURATION = ("3.1.2",)
_SUBJECT = "directive"


def _is_sound(ignore: Ignore) -> bool:
    return not ignore.flaw


def _has_date(ignore: Ignore) -> bool:
    return _is_sound(ignore) and bool(ignore.until)


def _needs_reason(ignore: Ignore) -> bool:
    return _is_sound(ignore) and ignore.required


@rule(
    "LKS005",
    "unknown-ignore",
    Severity.MEDIUM,
    {
        "default": "The directive names '{0}', and no rule is called so: it silences nothing.",
        "malformed": "The comment is no directive and silences nothing: '{0}'.",
    },
    remedy="Name rules as `lkscan rules` lists them: `# lkscan: ignore[RULE, ...] reason (until YYYY-MM-DD)`; in a "
    'configuration, `rules = ["RULE"]`.',
    nist=_CONFIGURATION,
)
def unknown_ignore(ignore: Ignore) -> Iterator[Verdict]:
    """A directive is malformed or names a rule that does not exist."""
    if ignore.flaw:
        flaw = ignore.flaw.replace("'", '"')
        yield fail(_SUBJECT, ignore.place, flaw, variant="malformed", key=",".join(ignore.patterns))
    else:
        for stranger in ignore.strangers:
            yield fail(_SUBJECT, ignore.place, stranger, key=stranger)


@rule(
    "LKS006",
    "unused-ignore",
    Severity.LOW,
    "The directive for '{0}' silences nothing.",
    remedy="Remove the rule from the directive, or the directive; or move it to where the finding is.",
    nist=_CONFIGURATION,
    about=_is_sound,
    autofix="safe",
)
def unused_ignore(ignore: Ignore) -> Iterator[Verdict]:
    """A directive silences nothing: what it was written for is mended, or stands elsewhere."""
    kept = [pattern for pattern in ignore.patterns if pattern not in ignore.unused]
    text = f"# lkscan: ignore[{', '.join(kept)}] {ignore.reason}".rstrip() if kept else ""
    fix = Fix(
        "take it out of the directive" if kept else "remove the directive", (Change("comment", ignore.place, text),)
    )
    for pattern in ignore.unused:
        yield fail(_SUBJECT, ignore.place, pattern, key=pattern, fix=fix)


@rule(
    "LKS007",
    "expired-ignore",
    Severity.LOW,
    "The directive for '{0}' held until '{1}' and silences nothing any more.",
    remedy="Mend what it silenced and remove it, or look at the reason again and set a new day.",
    nist=_CONFIGURATION,
    about=_has_date,
)
def expired_ignore(ignore: Ignore) -> Iterator[Verdict]:
    """The last day of a directive is over."""
    if ignore.expired:
        patterns = ", ".join(ignore.patterns)
        yield fail(_SUBJECT, ignore.place, patterns, ignore.until, key=patterns)


@rule(
    "LKS008",
    "ignore-without-reason",
    Severity.LOW,
    "The directive for '{0}' gives no reason, and silences nothing without one.",
    remedy="Write why the finding is acceptable here: behind the bracket, or as `reason` in a configuration.",
    nist=_CONFIGURATION,
    about=_needs_reason,
)
def ignore_without_reason(ignore: Ignore) -> Iterator[Verdict]:
    """A directive gives no reason where `--require-reason` asks for one."""
    if not ignore.reasoned:
        patterns = ", ".join(ignore.patterns)
        yield fail(_SUBJECT, ignore.place, patterns, key=patterns)


RULES = (unknown_ignore, unused_ignore, expired_ignore, ignore_without_reason)
