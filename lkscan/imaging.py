"""Images on the way from inputs to results: each is read by itself, in a process of its own where that is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from .config.policies import Policy
from .desks import Desk, Staff
from .inputs import Input
from .rules.engine import Rule
from .rules.funnel import Result
from .scanner.source import Limits
from .scanner.startup import Any, NamedTuple
from .scanner.subjects import File, Place, Problem, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sharing import Share, Taker
    from .workers import Ends, Slot, Task


_ANSWER = 512 << 20
"""Bytes that a process may answer: an image with as many files as the limits allow has less than half of it to tell."""


_SHARED = 4 << 20
"""Bytes of an image from which it is worth the milliseconds that a second process costs."""


class Order(NamedTuple):
    """One image and what is to be done with it: `work` gives what `transfer` can carry, with these `rules` in it.

    It gives as many values as `kinds` has types, and of these types. It may read what is in `folders`, too. With
    `helping`, a second process may do this with what the work hands to it.
    """

    image: Input
    limits: Limits
    work: Callable[[Slot | None], Any]
    kinds: tuple[type | tuple[type, ...], ...]
    rules: Iterable[Rule] = ()
    folders: tuple[str, ...] = ()
    helping: Callable[[Slot, Taker], None] | None = None


def judge(images: Sequence[tuple[Input, Policy]], staff: Staff) -> tuple[list[Result], list[Problem]]:
    """A result for each image that could be read at all, in order, and what became of the others."""
    orders = [
        Order(
            one,
            policy.limits,
            partial(_judged, one, policy, contents=staff.contents, evidence=staff.evidence),
            (Result, list),
            policy.known(),
            policy.labels.folders,
            partial(_attend, policy) if not any(rule.owner for rule in policy.rules) else None,
        )
        for one, policy in images
    ]
    parts: list[Result] = []
    problems: list[Problem] = []
    strays: dict[str, bool] = {}
    for (one, policy), found in zip(images, results(orders, staff), strict=True):
        if isinstance(found, Problem):
            problems.append(found)
            continue
        result, used = found
        if policy.entries:
            for path in one.paths:
                policy.entries.meet(path)
            policy.entries.note(map(tuple, used))
        if is_stray(one, result.problems):
            strays.setdefault(one.folder or "", True)
            continue
        strays[one.folder or ""] = False
        parts.append(result)
    return parts, [*problems, *nothing_in(folder for folder, is_all in strays.items() if is_all)]


def _judged(
    one: Input, policy: Policy, slot: Slot | None, *, contents: bool, evidence: bool
) -> tuple[Result, list[tuple[int, str]]]:
    if slot and slot.giver:
        from .sharing import AgainError, Share

        with suppress(AgainError):
            return _taken(one, policy, slot, Share(slot.giver), contents=contents, evidence=evidence)
    return _taken(one, policy, slot, contents=contents, evidence=evidence)


def _taken(
    one: Input, policy: Policy, slot: Slot | None, share: Share | None = None, *, contents: bool, evidence: bool
) -> tuple[Result, list[tuple[int, str]]]:
    desk = Desk(policy, contents=contents, evidence=evidence)
    desk.take(one, slot.watch if slot else None, partial(_reach, slot) if slot else None, share)
    return desk.result(), policy.entries.used if policy.entries else []


def _attend(policy: Policy, slot: Slot, taker: Taker) -> None:
    from .sharing import attend

    attend(policy.rules, slot.reach, taker, slot.watch)


def _reach(slot: Slot, subject: Subject) -> None:
    if isinstance(subject, File):
        slot.reach(subject.place)


def is_stray(one: Input, problems: Sequence[Problem]) -> bool:
    """Whether it was found in a folder, not named, and is no image after all."""
    return one.folder is not None and bool(problems) and all(problem.kind == "unusable" for problem in problems)


def nothing_in(folders: Iterable[str]) -> list[Problem]:
    """What to say of folders in which there is nothing to read."""
    text = "holds no LinuxKit spec, package or image; give the path of a file"
    return [Problem(Place((folder,)), text, "unusable") for folder in folders if folder]


def results(orders: Sequence[Order], staff: Staff) -> Iterator[Any]:
    """What the work on each image gave, in order; a Problem where its process broke."""
    if not staff.jobs:
        for order in orders:
            yield order.work(None)
        return
    from . import transfer, workers

    def work(order: Order, slot: Slot) -> Iterator[bytes]:
        yield transfer.dump(order.work(slot))

    answers = [bytearray() for _ in orders]

    def take(number: int, data: bytes) -> None:
        if len(answers[number]) <= _ANSWER:  # the rest of one that is too long is thrown away, and it is no JSON
            answers[number] += data

    total = sum(_size(path) for order in orders for path in order.image.paths)

    def is_shared(order: Order) -> bool:
        """Whether a processor is idle for it, and it takes long enough."""
        return 2 * len(orders) <= staff.jobs and sum(map(_size, order.image.paths)) >= _SHARED

    tasks = [
        workers.Task(
            (*order.image.paths, *order.folders),
            order.limits,
            partial(work, order),
            order.helping if is_shared(order) else None,
        )
        for order in orders
    ]
    ends = _run(tasks, staff, take, total)
    for order, answer, failure in zip(orders, answers, ends.failures, strict=True):
        try:
            yield Problem(Place((order.image.paths[0],)), failure) if failure else _answered(order, answer)
        except transfer.TransferError as error:
            yield Problem(
                Place((order.image.paths[0],)), f"its reading gave nothing sensible ({error}); please report it"
            )
        answer.clear()


def _answered(order: Order, answer: bytearray) -> Any:  # noqa: ANN401 - what the work gave
    """What a process answered. Raises TransferError where it is not what was asked for."""
    from . import transfer

    found = transfer.load(answer, order.rules)
    if not isinstance(found, list | tuple) or len(found) != len(order.kinds):
        raise transfer.TransferError(type(found).__name__)
    for one, kind in zip(found, order.kinds, strict=True):
        if not isinstance(one, kind):
            raise transfer.TransferError(type(one).__name__)
    return found


def _run(tasks: Sequence[Task], staff: Staff, take: Callable[[int, bytes], None], total: int) -> Ends:
    """Have the work done while the bar shows how much of `total` bytes was read, and tell what could not be shut in."""
    from . import isolation, workers
    from .scanner import image  # noqa: F401 - loaded once, before the processes part

    bar = staff.bar
    try:
        show = partial(bar, total) if bar else None
        ends = workers.run(tasks, staff.jobs, take, show=show, isolated=staff.isolated)
    finally:
        if bar:
            bar.close()
    if ends.lacking and staff.isolated and staff.note:
        lacking = " and ".join(name for bit, name in isolation.NAMES.items() if ends.lacking & bit)
        staff.note(f"images were read with less protection, as this system lacks {lacking} (--no-sandbox: not at all)")
    return ends


def stream(
    path: str,
    work: Callable[[Slot | None], Iterator[bytes]],
    limits: Limits,
    staff: Staff,
    take: Callable[[bytes], None],
) -> str:
    """Hand what the work on one image yields to `take`, as it comes. Returns why it broke, or ""."""
    if not staff.jobs:
        for piece in work(None):
            take(piece)
        return ""
    from .workers import Task

    ends = _run([Task((path,), limits, work)], staff, lambda _, data: take(data), _size(path))
    return ends.failures[0]


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except (OSError, ValueError):
        return 0
