"""The specs that images were built from, as the user names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .inputs import Input
from .scanner import spec
from .scanner.labels import LabelFinder, read_file
from .scanner.sniff import likely
from .scanner.subjects import Problem, Spec
from .terminal import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tracing import Documents


def load(paths: Sequence[str]) -> Documents:
    """The specs by path. Raises UsageError for what cannot be read, or is no spec that LinuxKit could build from."""
    return [(path, _load(path)) for path in paths]


def _load(path: str) -> bytes:
    try:
        data = read_file(path, spec.SIZE_LIMIT)
    except OSError as error:
        raise UsageError(f"{path}: the spec cannot be read: {error.strerror or error}") from None
    if likely(data, path) != "spec":
        raise UsageError(f"{path}: is no LinuxKit spec")
    for one in spec.read([(path, data)], LabelFinder(), "spec"):
        if isinstance(one, Problem):
            raise UsageError(f"{one.place}: {one.message}")
        if isinstance(one, Spec) and (faults := [fault for fault in one.violations if fault.kind == "yaml"]):
            raise UsageError(f"{faults[0].place}: cannot be read as YAML: {faults[0].message}")
    return data


def traced(inputs: Iterable[Input | Problem], paths: Sequence[str]) -> Iterator[Input | Problem]:
    """The inputs, each image with the specs in the files `paths`. Raises UsageError, too where there is no image."""
    documents = tuple(load(paths))
    images = 0
    for one in inputs:
        if isinstance(one, Input) and one.kind == "image":
            images += 1
            yield one._replace(specs=documents)
        else:
            yield one
    if not images:
        raise UsageError("--spec tells what an image was built from; name an image, too")
