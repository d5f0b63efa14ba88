"""Options that several commands take, and what is made of them: what to read, what to judge, whose labels to trust."""

from __future__ import annotations

from .terminal import UsageError

_MOST_JOBS = 1024

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from .config.policies import Policies, Policy
    from .desks import Staff
    from .rules.engine import Rule
    from .scanner.source import Limits
    from .scanner.subjects import Problem


def add_inputs(parser: argparse.ArgumentParser, *, merge: bool = True) -> None:
    """The options that say what to read; without `merge`, every file is taken for itself."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a spec, a package's build.yml, an image, a directory, or - (stdin)"
    )
    if merge:
        parser.add_argument("--merge", action="store_true", help="join all specs as `linuxkit build a.yml b.yml` does")
    add_labels(parser)


def add_specs(parser: argparse.ArgumentParser) -> None:
    """The option that says what images were built from."""
    parser.add_argument(
        "--spec",
        metavar="FILE",
        action="append",
        default=[],
        help="the spec that the images were built from: findings lead to its lines; repeatable, joined in this order",
    )


def add_labels(parser: argparse.ArgumentParser) -> None:
    """The options that say where images' labels are looked for."""
    parser.add_argument("--packages", metavar="DIR", help="LinuxKit packages whose build.yml gives image defaults")
    parser.add_argument("--cache", metavar="DIR", help="LinuxKit cache or OCI layout to read image labels from")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The options that say how images are read: by how many processes, and what they may cost."""
    add = parser.add_argument
    add("--images", action="store_true", help="of directories, also take the images, not only where there is no spec")
    add("--jobs", metavar="N", type=_jobs, help="read so many images at a time (default: as many as there are CPUs)")
    add_limits(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """The options that say what reading an image may cost."""
    add = parser.add_argument
    add("--max-file", metavar="SIZE", type=_size, help="files of an image above this are not examined whole (256M)")
    add(
        "--limit",
        metavar="NAME=SIZE",
        type=_limit,
        action="append",
        default=[],
        help="another limit of what an image may cost, such as total=32G (names: see the README); repeatable",
    )
    add("--no-sandbox", action="store_true", help="read images without giving up files, network and programs first")


def add_budget(parser: argparse.ArgumentParser) -> None:
    """The option that says how large images and their components may be."""
    parser.add_argument(
        "--budget",
        metavar="NAME=SIZE",
        type=_budget,
        action="append",
        default=[],
        help="the most that an image (35M) or a component of it (services/web=5M) may have, unpacked: "
        "more makes the exit status 1; repeatable",
    )


def _budget(text: str) -> tuple[str, int]:
    from argparse import ArgumentTypeError

    from .limits import LimitsError, budget

    try:
        return budget(text)
    except LimitsError as error:
        raise ArgumentTypeError(str(error)) from None


def _jobs(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _MOST_JOBS:
        raise ValueError
    return value


def _size(text: str) -> int:
    from argparse import ArgumentTypeError

    from .limits import LimitsError, size

    try:
        return size(text)
    except LimitsError as error:
        raise ArgumentTypeError(str(error)) from None


def _limit(text: str) -> tuple[str, int]:
    from argparse import ArgumentTypeError

    from .limits import LimitsError, limit

    try:
        return limit(text)
    except LimitsError as error:
        raise ArgumentTypeError(str(error)) from None


def staff(order: argparse.Namespace) -> Staff:
    """Who reads the images, behind `add_reading`; in this process where there is no way to make another."""
    import os
    import sys

    from .desks import Staff
    from .terminal import complain

    if not hasattr(os, "fork"):
        return Staff()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bar = None
    if sys.stderr.isatty():
        from .progress import Bar

        bar = Bar(sys.stderr) if Bar.is_seen() else None
    return Staff(getattr(order, "jobs", None) or cpus, not order.no_sandbox, bar, complain)


def limits_of(order: argparse.Namespace, path: str) -> Limits:
    """What reading an image may cost, behind `add_limits` and `add_configuration`. Raises UsageError."""
    from .config.files import ConfigurationError
    from .config.policies import Overrides, Policies

    try:
        known = Policies(Overrides(limits=limits_given(order)), config=order.config, search=not order.no_config)
        return known(path).limits
    except ConfigurationError as error:
        raise UsageError(str(error)) from None


def limits_given(order: argparse.Namespace) -> dict[str, int]:
    """The limits that the command line sets; the last word on each counts."""
    return dict([*([("body", order.max_file)] if order.max_file else []), *order.limit])


def add_judgement(parser: argparse.ArgumentParser) -> None:
    """The options that say what to judge, and what to heed."""
    add = parser.add_argument
    add(
        "--profile",
        choices=("regular", "pedantic", "auditor", "linuxkit"),
        help="how much to show: what everyone should mend (the default), hardening worth having, or everything; "
        "`linuxkit` tells whether each of LinuxKit's promises is kept",
    )
    add("--select", metavar="RULES", help="only these rules: ids, names or promise:NAME, comma-separated, * allowed")
    add("--ignore", metavar="RULES", help="all rules but these")
    add("--no-ignores", action="store_true", help="show what comments in specs and the configuration silence, too")
    add("--require-reason", action="store_true", help="heed only those that give a reason")
    add("--date", metavar="YYYY-MM-DD", help="judge ends of life as of this day (default: today)")
    add_configuration(parser)


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """The options that say which configuration counts."""
    add = parser.add_mutually_exclusive_group().add_argument
    add("--config", metavar="FILE", help="the configuration (default: the nearest lkscan.toml above each path)")
    add(
        "--no-config",
        action="store_true",
        help="heed no configuration file, so that none can switch the scan off",
    )


def policies(order: argparse.Namespace) -> Policies:
    """How each path is to be judged, behind `add_judgement` and `add_inputs`. Raises UsageError."""
    from .config.policies import Overrides, Policies

    _set_date(order.date)
    profile = None
    if order.profile:
        from .config.settings import profile as named

        profile = named(order.profile)
    overrides = Overrides(
        profile,
        _listed(order.select),
        _listed(order.ignore),
        getattr(order, "fail_on", None),
        order.packages,
        order.cache,
        require_reason=order.require_reason or None,
        heed=not order.no_ignores,
        limits=limits_given(order) if hasattr(order, "limit") else {},
        budget=dict(getattr(order, "budget", ())),
    )
    return Policies(overrides, config=order.config, search=not order.no_config, scanned=getattr(order, "paths", ()))


def rules(order: argparse.Namespace) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """All rules that there are here, behind `add_configuration`, and what is wrong with the configuration or plugins.

    Where a configuration that was found is broken, its rules are missing. Raises UsageError for one that was named.
    """
    from .config.files import ConfigurationError
    from .config.policies import Policies
    from .rules.catalogue import RULES
    from .scanner.subjects import Place, Problem

    policies = Policies(config=order.config, search=not order.no_config)
    try:
        return policies.rules("-")
    except ConfigurationError as error:
        return RULES, (Problem(Place((error.path,)), error.message),)


def _set_date(text: str | None) -> None:
    from .rules.kernel import set_today, today

    try:
        set_today(text)
        today()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(filter(None, map(str.strip, text.split(","))))


def facts(order: argparse.Namespace) -> Callable[[str], Policy]:
    """How an input of a path is to be read, where nothing is judged, behind `add_inputs` and `add_configuration`.

    Raises UsageError, as does what it gives, when a folder that was named is of no use.
    """
    from .config.policies import Overrides, Policies

    budget = dict(getattr(order, "budget", ()))
    overrides = Overrides(packages=order.packages, cache=order.cache, limits=limits_given(order), budget=budget)
    return Policies(overrides, config=order.config, search=not order.no_config)
