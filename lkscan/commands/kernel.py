"""`lkscan kernel`: judge a kernel by its configuration, the command line it is started with and settings."""

from __future__ import annotations

import argparse
import os
from functools import cache

from ..config.policies import Policy
from ..desks import Staff, read
from ..inputs import Boot, Input
from ..ordering import add_judgement, add_limits, policies, staff
from ..reporting import add_reporting, reports, tell
from ..scanner.labels import LabelFinder
from ..scanner.source import DamagedError
from ..scanner.startup import Any
from ..scanner.subjects import Kernel, KernelCommandLine, Place, Problem, Subject, Sysctl, System
from ..scanning import accepted, scan_judged
from ..terminal import INCOMPLETE, OK, USAGE, UsageError, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..workers import Slot

_FAMILIES = "KCY"
_LIMIT = 1 << 20
_ARCHITECTURES = ("x86_64", "x86", "arm64", "arm", "riscv64", "s390x", "ppc64", "loongarch64")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = parser.add_argument
    add("paths", metavar="PATH", nargs=1, help="a kernel's configuration (plain or compressed), a kernel, or an image")
    add("--arch", choices=_ARCHITECTURES, default="", help="the architecture (default: as the kernel tells)")
    add("--cmdline", metavar="FILE", help="the command line: a file that holds it, or its text")
    add(
        "--sysctl",
        metavar="FILE",
        action="append",
        default=[],
        help="settings applied at boot, in order, or the output of `sysctl -a`; repeatable",
    )
    what = parser.add_mutually_exclusive_group().add_argument
    what("--fragment", action="store_true", help="print what to change, for the kernel's merge_config.sh")
    what("--list", action="store_true", help="print what became of every option, those in order included")
    add_reporting(parser)
    add_judgement(parser)
    add_limits(parser)
    parser.set_defaults(packages=None, cache=None)


def run(order: argparse.Namespace) -> int:
    """Judge the kernel and print and write the reports, or print the list or the fragment."""
    found = policies(order)

    @cache
    def policy_of(path: str) -> Policy:
        policy = found(path).for_images()
        return policy._replace(rules=tuple(rule for rule in policy.rules if rule.id[2] in _FAMILIES))

    home = Place((order.paths[0],))
    settings = tuple(_settings(path, home) for path in order.sysctl)
    boot = Boot(order.arch, _command_lines(order.cmdline, home), settings)
    one = Input("image", tuple(order.paths), boot=boot)
    if order.fragment or order.list:
        if order.output or order.baseline:
            raise UsageError("--output and --baseline are about reports; --list and --fragment print something else")
        return _facts(one, policy_of(order.paths[0]), staff(order), fragment=order.fragment)
    targets = reports(order)
    return tell(scan_judged([one], policy_of, accepted(order.baseline), staff(order)), order, targets, policy_of)


def _facts(one: Input, policy: Policy, who: Staff, *, fragment: bool) -> int:
    """Print the fragment, or the list, of each kernel whose configuration is known."""
    from .. import kernels
    from ..imaging import Order, results

    def work(slot: Slot | None) -> tuple[list[Subject | Problem]]:
        found = read(one, LabelFinder(), policy.limits, slot.watch if slot else None)
        return ([subject for subject in found if isinstance(subject, Problem | System | Kernel)],)

    (answer,) = results([Order(one, policy.limits, work, (list,))], who)
    subjects: list[Any] = [answer] if isinstance(answer, Problem) else answer[0]
    problems = [subject for subject in subjects if isinstance(subject, Problem)]
    system = next((subject for subject in subjects if isinstance(subject, System)), None)
    known = [subject for subject in subjects if isinstance(subject, Kernel) and subject.config is not None]
    warn(problems)
    if system is None:
        return INCOMPLETE if any(problem.kind == "incomplete" for problem in problems) else USAGE
    if not known:
        print(*(kernels.listing(one, system) for one in system.kernels if not fragment), sep="", end="")
        raise UsageError(f"{one.paths[0]}: no kernel configuration was found ({system.kernels[0].config_source})")
    for kernel in known:
        print(
            kernels.fragment(kernel, system, policy.options.profile) if fragment else kernels.listing(kernel, system),
            end="",
        )
    return INCOMPLETE if problems else OK


def _command_lines(text: str | None, home: Place) -> tuple[KernelCommandLine, ...]:
    if text is None:
        return ()
    if os.path.exists(text):
        return (KernelCommandLine(home.inside(text), " ".join(_text(text).split("\n")).strip()),)
    return (KernelCommandLine(home.inside("--cmdline"), text),)


def _settings(path: str, home: Place) -> Sysctl:
    from ..scanner import sysctl

    try:
        return sysctl.read(_text(path), home.inside(path), path)
    except DamagedError as error:
        raise UsageError(f"{path}: {error}") from None


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _LIMIT:
        raise UsageError(f"{path}: more than {_LIMIT} bytes")
    return data.decode("utf-8", "replace")
