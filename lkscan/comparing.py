"""`lkscan diff`: two inputs read, each judged as ever, and what they are compared by."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

from .config.files import ConfigurationError
from .config.policies import Policies, Policy
from .desks import Desk, Staff
from .imaging import Order, results
from .inputs import Input, gather
from .inspection import content_sum
from .listing import Listing, ListingError
from .rules.builds import Build, Recorder, notes
from .rules.comparing import compare
from .rules.differences import Comparison
from .rules.funnel import Result
from .scanner.source import DamagedError, FileSource
from .scanner.subjects import File, Place, Problem, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot


_PIECE = 1 << 20


def compared(old: str, new: str, policy_of: Policies, staff: Staff) -> Comparison:
    """The comparison of two inputs; what cannot be read of them is in its problems."""
    return compare(*builds([_input(old), _input(new)], policy_of, staff))


def _input(path: str) -> Input | Problem:
    """The one input that a path stands for."""
    first, *others = gather([path])
    if others:
        return Problem(Place((path,)), "holds several specs or images; name one of them", "unusable")
    return first


def builds(inputs: list[Input | Problem], policy_of: Policies, staff: Staff) -> list[Build]:
    """What each of the inputs is made of; images are read by the `staff`."""
    made: dict[int, Build] = {}
    orders: dict[int, Order] = {}
    for number, one in enumerate(inputs):
        if isinstance(one, Problem):
            made[number] = Build(one.place.artifacts[0], None, problems=(one,))
            continue
        try:
            policy = policy_of(one.paths[0])
        except ConfigurationError as error:
            problem = Problem(Place((error.path,)), error.message, "unusable")
            made[number] = Build(one.paths[0], None, problems=(problem,))
            continue
        if one.kind == "image":
            policy = policy.for_images()
            work = partial(_values, one, policy)
            orders[number] = Order(one, policy.limits, work, (Result, bytes), policy.known(), policy.labels.folders)
        else:
            made[number] = _build(one.paths[0], *_values(one, policy, None))
    for number, found in zip(orders, results(list(orders.values()), staff), strict=True):
        path = orders[number].image.paths[0]
        made[number] = Build(path, None, problems=(found,)) if isinstance(found, Problem) else _build(path, *found)
    return [made[number] for number in range(len(inputs))]


def _values(one: Input, policy: Policy, slot: Slot | None) -> tuple[Result, bytes]:
    """The result of a scan, and the notes of a recorder, which `transfer` can carry."""
    listing, desk = Listing(), Desk(policy)
    recorder = Recorder(lambda file: content_sum(file, policy.limits.body) or "", listing.append)

    def reach(subject: Subject) -> None:
        if slot and isinstance(subject, File):
            slot.reach(subject.place)
        recorder.meet(subject)

    desk.take(one, slot.watch if slot else None, reach)
    return desk.result(), listing.packed()


def _build(path: str, result: Result, packed: bytes) -> Build:
    system = result.systems[-1] if result.systems else None
    try:
        found = notes(Listing(packed))
    except (ListingError, KeyError, TypeError, ValueError) as error:
        why = f"its reading gave nothing sensible ({type(error).__name__}); please report it"
        return Build(path, None, problems=(Problem(Place((path,)), why),))
    kernels = [one.place.artifacts[0] for one in system.kernels if len(one.place.artifacts) == 1] if system else []
    sums = {kernel: _sum_of(kernel) for kernel in kernels}
    return Build(path, system, result.findings, result.problems, found.entries, found.programs, sums)


def _sum_of(path: str) -> str:
    """The SHA-256 of a file that was named; "" where it cannot be read any more."""
    total = sha256()
    try:
        source = FileSource(path)
    except OSError:
        return ""
    try:
        for at in range(0, source.size, _PIECE):
            total.update(source.pread(at, _PIECE))
    except DamagedError:
        return ""
    finally:
        source.close()
    return total.hexdigest()
