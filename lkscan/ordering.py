"""Options that several commands take, and what is made of them: what to read, what to judge, whose labels to trust."""

from __future__ import annotations

import os

from .terminal import UsageError, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .rules.funnel import Options
    from .scanner.labels import LabelFinder


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that say what to read."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a spec, a package's build.yml, an image, a directory, or - (stdin)"
    )
    parser.add_argument("--merge", action="store_true", help="join all specs as `linuxkit build a.yml b.yml` does")
    parser.add_argument("--packages", metavar="DIR", help="LinuxKit packages whose build.yml gives image defaults")
    parser.add_argument("--cache", metavar="DIR", help="LinuxKit cache or OCI layout to read image labels from")


def add_judgement(parser: argparse.ArgumentParser) -> None:
    """The options that say what to judge, and what to heed."""
    add = parser.add_argument
    add(
        "--profile",
        choices=("regular", "pedantic", "auditor"),
        default="regular",
        help="how much to show: what everyone should mend, hardening worth having, or everything",
    )
    add("--select", metavar="RULES", default="", help="only these rules: ids or names, comma-separated, * allowed")
    add("--ignore", metavar="RULES", default="", help="all rules but these")
    add("--no-ignores", action="store_true", help="show what `# lkscan: ignore[...]` in specs silences, too")
    add("--require-reason", action="store_true", help="heed only those directives in specs that give a reason")
    add("--date", metavar="YYYY-MM-DD", help="judge ends of life as of this day (default: today)")


def judgement(order: argparse.Namespace) -> Options:
    """The options behind `add_judgement`. Raises UsageError."""
    from .rules.catalogue import RULES
    from .rules.engine import Profile
    from .rules.funnel import Options, unknown
    from .rules.kernel import set_today, today

    try:
        set_today(order.date)
        today()
    except ValueError as error:
        raise UsageError(str(error)) from None
    select, ignore = (tuple(filter(None, map(str.strip, text.split(",")))) for text in (order.select, order.ignore))
    if strangers := unknown((*select, *ignore), RULES):
        raise UsageError(f"no rule is called {strangers[0]}; `lkscan rules` lists them")
    return Options(
        Profile[order.profile.upper()], select, ignore, heed=not order.no_ignores, require_reason=order.require_reason
    )


def labels(order: argparse.Namespace) -> LabelFinder:
    """Where images' labels are looked for. Raises UsageError when a folder that was named is of no use."""
    from .scanner.labels import LabelError, LabelFinder

    default = os.environ.get("LINUXKIT_CACHE") or os.path.expanduser("~/.linuxkit/cache")
    try:
        if order.cache is None and os.path.isfile(os.path.join(default, "index.json")):
            return _with_default_cache(order.packages, default)
        return LabelFinder(packages=order.packages, cache=order.cache)
    except LabelError as error:
        raise UsageError(str(error)) from None


def _with_default_cache(packages: str | None, cache: str) -> LabelFinder:
    """Nobody asked for LinuxKit's own cache: when it is damaged, it is left out, and that is said."""
    from .scanner.labels import LabelError, LabelFinder

    finder = LabelFinder(packages=packages)
    try:
        return LabelFinder(packages=packages, cache=cache)
    except LabelError as error:
        complain(f"{error}; going on without it")
        return finder
