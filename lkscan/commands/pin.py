"""`lkscan pin`: give image references the digests of their tags, in place."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from .. import lockfile, pinning
from ..config.files import ConfigurationError
from ..config.policies import Overrides, Policies
from ..inputs import STDIN, gather
from ..lockfile import Lock, LockError
from ..ordering import add_configuration
from ..pinning import Answer, Document, Outcome
from ..reports.diff import unified
from ..reports.printable import printable
from ..scanner.references import canonical
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Place, Problem
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, complain, paints, warn
from ..writing import WriteError, encode, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..online.registry import Registry
    from ..scanner.labels import LabelFinder

_HOUR = 3600

_EPILOG = """Digests are taken from the lock file, then from LinuxKit's cache or an OCI layout, then,
with --online, from the registry. --update takes them from the registry where --online
is given, else from the cache. The lock file keeps what was found.

exit status:
  0  every reference is pinned, or need not be
  1  some are not, or differ from the lock file; with --check or --diff: something would be written
  2  wrong usage, a path that is no spec, a damaged lock file, or a file that cannot be written
  3  a spec could not be read (the others are still pinned)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("paths", metavar="PATH", nargs="+", help="a spec, or a directory")
    add("--update", action="store_true", help="resolve all tags anew, also those that are pinned or locked")
    add(
        "--check", action="store_true", help="write nothing; exit status 1 when something is not pinned as it is locked"
    )
    add("--diff", action="store_true", help="write nothing; show what would change")
    add("--lock", metavar="FILE", help="lock file (default: the nearest lkscan.lock beside the spec or above it)")
    add("--cache", metavar="DIR", help="LinuxKit cache or OCI layout to take digests from (default: LinuxKit's own)")
    add("--if-linuxkit", action="store_true", help="pass over YAML files that are no LinuxKit spec (for hooks)")
    add("--online", action="store_true", help="ask the registries; without it no network is used")
    add("--timeout", metavar="SECONDS", type=_seconds, default=30.0, help="limit of each wait for a registry (30)")
    add("--ca-cert", metavar="FILE", default="", help="PEM file of authorities to trust besides the system's")
    add(
        "--insecure-registry",
        metavar="HOST",
        action="append",
        default=[],
        help="a registry that may be asked without TLS; repeatable",
    )
    add_configuration(parser)


def run(order: argparse.Namespace) -> int:
    """Pin, write, and say what became of each reference."""
    registry = _registry(order) if order.online else None
    jobs, problems = _read(order)
    warn(problems)
    cached = [_cached(job, order) for job in jobs]
    left = [name for job, known in zip(jobs, cached, strict=True) for name in job.unknown if name not in known]
    answers = _asked(left, registry, update=order.update)
    results = [
        _Result(job, *pinning.pin(job.document, answers | known, job.lock.images, update=order.update))
        for job, known in zip(jobs, cached, strict=True)
    ]
    is_written = not (order.check or order.diff)
    failures = _write(results) if is_written else {}
    for failure in dict.fromkeys(failures.values()):
        complain(failure)
    results = [result for result in results if result.job.document.path not in failures]
    outcomes = [outcome for result in results for outcome in result.outcomes]
    _tell(results, diff=order.diff)
    if outcomes or not order.if_linuxkit:
        summary = _summary(outcomes, is_written=is_written, is_online=order.online)
        print(summary, file=sys.stderr if order.diff else sys.stdout)  # what shows a diff can be given to `git apply`
    states = {outcome.state for outcome in outcomes}
    if any(problem.kind == "incomplete" for problem in problems):
        return INCOMPLETE
    if problems or failures:
        return USAGE
    return FINDINGS if states & {"open", "drift"} or ("pinned" in states and not is_written) else OK


class _Job(NamedTuple):
    """A spec, the lock file that counts for it, the cache to look into, and the references to look for."""

    document: Document
    lock: Lock
    finder: LabelFinder
    unknown: list[str]


class _Result(NamedTuple):
    """What came of it."""

    job: _Job
    text: str
    outcomes: tuple[Outcome, ...]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _HOUR:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds up to {_HOUR}")
    return value


# --- what to pin


def _read(order: argparse.Namespace) -> tuple[list[_Job], list[Problem]]:
    """The specs that were named, and what is none. Raises UsageError for a damaged lock."""
    policies = Policies(Overrides(cache=order.cache), config=order.config, search=not order.no_config)
    jobs: list[_Job] = []
    problems: list[Problem] = []
    locks: dict[str, Lock] = {}
    seen: set[str] = set()
    for argument in order.paths:
        for one in _documents(argument, if_linuxkit=order.if_linuxkit):
            if isinstance(one, Problem):
                problems.append(one)
                continue
            if os.path.realpath(one.path) in seen:
                continue
            seen.add(os.path.realpath(one.path))
            path = order.lock or os.path.normpath(_lock_path(one.path, argument))
            try:
                lock = locks.get(path) or locks.setdefault(path, lockfile.load(path, named=path == order.lock))
                finder = policies(one.path).labels
            except LockError as error:
                raise UsageError(str(error)) from None
            except ConfigurationError as error:
                problems.append(Problem(Place((error.path,)), error.message, "unusable"))
                continue
            jobs.append(_Job(one, lock, finder, pinning.unknown(one, lock.images, update=order.update)))
    return jobs, problems


def _documents(argument: str, *, if_linuxkit: bool) -> Iterator[Document | Problem]:
    if argument == STDIN:
        yield Problem(Place((STDIN,)), "a spec is pinned in its file; name that", "unusable")
        return
    for one in gather([argument], if_linuxkit=if_linuxkit):
        if isinstance(one, Problem):
            yield one
        elif os.path.islink(one.paths[0]):
            yield Problem(Place(one.paths), "is a symbolic link; name the file that it leads to", "unusable")
        elif one.kind == "image":
            yield Problem(Place((argument,)), "is an image; pin the spec that it is built from", "unusable")
        else:
            yield from (pinning.read(path, data) for path, data in one.documents)


def _lock_path(path: str, argument: str) -> str:
    """The nearest lock file; else one beside the spec, or in the folder that was named, is to be made."""
    folder = argument if os.path.isdir(argument) else os.path.dirname(path)
    return lockfile.find(os.path.dirname(path)) or os.path.join(folder, lockfile.NAME)


# --- what to pin it to


def _registry(order: argparse.Namespace) -> Registry:
    """What asks registries. Raises UsageError."""
    try:
        from ..online.credentials import CredentialsError, DockerCredentials
        from ..online.registry import Registry
        from ..online.transport import Transport
    except ModuleNotFoundError as error:
        if error.name != "urllib3":
            raise
        raise UsageError("--online needs the extra 'online': pip install 'lkscan[online]'") from None
    try:
        transport = Transport(
            plain_hosts=frozenset(order.insecure_registry), ca_cert=order.ca_cert, timeout=order.timeout
        )
        return Registry(transport, DockerCredentials().find)
    except CredentialsError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{order.ca_cert or 'proxy'}: cannot be used: {error.strerror or error}") from None


def _cached(job: _Job, order: argparse.Namespace) -> dict[str, Answer]:
    """The digests that the cache has; what is to be renewed from a registry is not looked for there."""
    if order.online and order.update:
        return {}
    found = {name: job.finder.digest(name) for name in job.unknown}
    return {name: Answer(digest, "from the cache") for name, digest in found.items() if digest}


def _asked(names: Iterable[str], registry: Registry | None, *, update: bool) -> dict[str, Answer]:
    """What the registries say of names, or why they were not asked."""
    if registry is None:
        where = "not in the cache" if update else "neither in the lock file nor in the cache"
        return dict.fromkeys(names, Answer("", where))
    return {
        name: Answer(found, f"from {name.partition('/')[0]}") if isinstance(found, str) else Answer("", str(found))
        for name, found in registry.digests(names).items()
    }


# --- what to write and say


def _write(results: Sequence[_Result]) -> dict[str, str]:
    """Write each lock file, then its specs, so that none has what is not locked; why some are not, by their paths."""
    failures: dict[str, str] = {}
    for lock in {result.job.lock.path: result.job.lock for result in results}.values():
        mine = [result for result in results if result.job.lock.path == lock.path]
        found = {canonical(one.reference.text): one.digest for one in _locked(mine)}
        try:
            if found.items() - lock.images.items():
                replace(lock.path, lockfile.render({**lock.images, **found}).encode(), old=lock.data)
        except WriteError as error:
            failures |= {result.job.document.path: str(error) for result in mine}
            continue
        for document, text in ((result.job.document, result.text) for result in mine):
            try:
                if text != document.text:
                    replace(document.path, encode(text, document.data), old=document.data)
            except WriteError as error:
                failures[document.path] = str(error)
    return failures


def _locked(results: Iterable[_Result]) -> Iterator[Outcome]:
    for result in results:
        yield from (one for one in result.outcomes if one.digest and one.state in {"pinned", "kept"})


def _tell(results: Sequence[_Result], *, diff: bool) -> None:
    """A line for each reference that got a digest, or the differences; what is amiss goes to standard error."""
    for result in results:
        for one in result.outcomes:
            where = f"{one.reference.place}: {one.reference.text}"
            if one.state == "open":
                complain(f"{where} is not {'renewed' if one.reference.digest else 'pinned'}: {one.note}")
            elif one.state == "drift":
                complain(f"{where} differs from {result.job.lock.path}, which has {one.digest}; --update settles it")
            elif one.state == "pinned" and not diff:
                print(printable(f"{where} is {one.digest}, {one.note}"))
        if diff:
            document = result.job.document
            print(unified(document.path, document.text, result.text, color=paints(sys.stdout)), end="")


_WORDS = {"kept": "left alone", "open": "not resolved", "drift": "not as in the lock file"}


def _summary(outcomes: Sequence[Outcome], *, is_written: bool, is_online: bool) -> str:
    """How many got a digest, and from where; what became of the others, and why."""
    parts = []
    for state, words in {"pinned": "pinned" if is_written else "to pin", **_WORDS}.items():
        mine = [one for one in outcomes if one.state == state]
        reasons = Counter(one.note for one in mine) if state in {"pinned", "kept"} else Counter[str]()
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        if mine or state == "pinned":
            parts.append(f"{len(mine)} {words}{f' ({listed})' if listed else ''}")
        if mine and state == "open" and not is_online:
            parts[-1] += " (--online would ask the registries)"
    return ", ".join(parts)
