"""`lkscan inspect`: the facts lkscan sees in each input, without judgement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from hashlib import sha256

from .config.files import ConfigurationError
from .config.policies import Policy
from .desks import Staff, read
from .imaging import Order, is_stray, nothing_in, results
from .inputs import Input
from .listing import Listing, ListingError
from .progress import amount
from .reports.printable import printable
from .scanner.startup import Any
from .scanner.subjects import (
    Binary,
    Container,
    EfiProgram,
    File,
    Kernel,
    KernelCommandLine,
    PeeledLayer,
    Place,
    Problem,
    Spec,
    System,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot

_AT_ONCE = 1 << 20
"""Bytes of a file that are held for its digest even where they can be read twice."""
_ALL = 41
"""How many capabilities Linux has, CAP_CHECKPOINT_RESTORE (5.9) being the last."""


@dataclass(slots=True)
class Facts:
    """What was seen in one input. `error` is LinuxKit's reason to refuse a spec, or why the input is unusable."""

    path: str
    kind: str = ""
    error: str | None = None
    is_linuxkit: bool = False
    format: str = ""
    containers: list[Container] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    command_lines: list[KernelCommandLine] = field(default_factory=list)
    layers: tuple[PeeledLayer, ...] = ()
    files: Listing | None = None
    binaries: Listing | None = None
    loaders: list[EfiProgram] = field(default_factory=list)
    modules: int = 0
    problems: list[Problem] = field(default_factory=list)
    is_whole: bool = False
    """Whether its System was met, which comes last."""


_BLANK = Facts("")
_KINDS = tuple(object if (value := getattr(_BLANK, one.name)) is None else type(value) for one in fields(_BLANK))
"""Types of the fields of Facts, in their order; anything may stand where there may be nothing."""


def inspect(
    inputs: Iterable[Input | Problem],
    policy_of: Callable[[str], Policy],
    staff: Staff | None = None,
    *,
    files: bool = False,
    binaries: bool = False,
) -> list[Facts]:
    """The facts of every input, in order; `files` and `binaries` ask for these lists too.

    `policy_of` tells where labels are found and what an image may cost; it may raise ConfigurationError. Specs are
    read here, images by the `staff`.
    """
    found: list[Facts] = []
    orders: dict[int, Order] = {}
    for one in inputs:
        if isinstance(one, Problem):
            found.append(_unread(one, one.place.artifacts[0]))
            continue
        try:
            policy = policy_of(one.paths[0])
        except ConfigurationError as error:
            found.append(_unread(Problem(Place((error.path,)), error.message, "unusable"), one.paths[0], one.kind))
            continue
        work = partial(_values, one, policy, files, binaries)
        if one.kind == "image":
            orders[len(found)] = Order(one, policy.limits, work, _KINDS)
        found.append(Facts(one.paths[0], one.kind) if one.kind == "image" else _facts(work(None)))
    for number, values in zip(orders, results(list(orders.values()), staff or Staff()), strict=True):
        path = found[number].path
        try:
            found[number] = _unread(values, path) if isinstance(values, Problem) else _facts(values)
        except (ListingError, TypeError) as error:
            why = f"its reading gave nothing sensible ({type(error).__name__}); please report it"
            found[number] = _unread(Problem(Place((path,)), why), path)
    return _without_strays(found, {number: order.image for number, order in orders.items()})


def _without_strays(found: list[Facts], images: Mapping[int, Input]) -> list[Facts]:
    """All but what was found in a folder and is no image; a folder in which there is nothing else says so."""
    strays = {number for number, one in images.items() if is_stray(one, found[number].problems)}
    used = {one.folder for number, one in images.items() if number not in strays}
    empty = dict.fromkeys(images[number].folder or "" for number in sorted(strays))
    told = [
        _unread(one, one.place.artifacts[0]) for one in nothing_in(folder for folder in empty if folder not in used)
    ]
    return [*(one for number, one in enumerate(found) if number not in strays), *told]


def _unread(problem: Problem, path: str, kind: str = "") -> Facts:
    return Facts(path, kind, error=problem.message, problems=[problem])


def _values(one: Input, policy: Policy, files: bool, binaries: bool, slot: Slot | None) -> tuple[Any, ...]:  # noqa: FBT001 - partial
    """The values of Facts, which `transfer` can carry."""
    facts = Facts(one.paths[0], one.kind, files=Listing() if files else None, binaries=Listing() if binaries else None)
    for subject in read(one, policy.labels, policy.limits, slot.watch if slot else None, exact=binaries):
        if slot and isinstance(subject, File):
            slot.reach(subject.place)
        _note(facts, subject, policy.limits.body)
    if not facts.is_whole and facts.problems:
        facts.error = facts.error or facts.problems[0].message
    values = (getattr(facts, one.name) for one in fields(facts))
    return tuple(one.packed() if isinstance(one, Listing) else one for one in values)


def _facts(values: Iterable[Any]) -> Facts:
    """What `_values` gave."""
    found = Facts(*values)
    return replace(found, files=_listing(found.files), binaries=_listing(found.binaries))


def _listing(packed: object) -> Listing | None:
    """A list that came from another process; it is read once, to see that it can be. Raises ListingError."""
    if not isinstance(packed, bytes):
        return None
    found = Listing(packed)
    for _ in found:
        pass
    return found


def _note(facts: Facts, subject: object, limit: int) -> None:
    match subject:
        case Problem():
            facts.problems.append(subject)
            facts.error = facts.error or (subject.message if subject.kind == "unusable" else None)
        case Spec():
            facts.error = facts.error or next((v.message for v in subject.violations if v.stops == "spec"), None)
        case Container():
            facts.containers.append(subject)
        case Kernel():
            facts.kernels.append(subject)
        case KernelCommandLine():
            facts.command_lines.append(subject)
        case File() if facts.files is not None:
            facts.files.append(_file(subject, limit))
        case Binary() if facts.binaries is not None:
            facts.binaries.extend(_binary(subject, file) for file in subject.files)
        case EfiProgram():
            facts.loaders.append(subject)
        case System():
            facts.kind, facts.is_linuxkit, facts.format = subject.kind, subject.is_linuxkit, subject.format
            facts.layers, facts.modules, facts.is_whole = subject.layers, subject.modules, True


def _file(file: File, limit: int) -> dict[str, Any]:
    return {
        "path": file.path,
        "type": file.kind,
        "mode": f"{file.mode:04o}",
        "uid": file.uid,
        "gid": file.gid,
        "size": file.size,
        "target": file.target,
        "sha256": content_sum(file, limit) if file.kind == "file" else None,
        "xattrs": {name: value.hex() for name, value in sorted(file.xattrs.items())},
    }


def content_sum(file: File, limit: int) -> str | None:
    """The SHA-256 of the whole content; None where that is not there, or too large a layer to be read twice."""
    total, length = sha256(), 0
    afresh = file.again() if file.again and file.size > _AT_ONCE else None
    if afresh is None and file.read and file.size <= limit:
        afresh = iter((file.read(limit),))
    for piece in afresh or (file.pieces() if file.pieces else ()):
        total.update(piece)
        length += len(piece)
    return total.hexdigest() if length == file.size else None


def _binary(binary: Binary, file: File) -> dict[str, Any]:
    from .scanner.hardening import facts

    return {
        "path": file.path,
        "form": binary.kind,
        **facts(binary),
        "made": binary.made,
        "libc": binary.libc,
        "search": list(binary.search),
        "evidence": dict(binary.evidence),
    }


def _loader(loader: EfiProgram) -> dict[str, Any]:
    return {
        "path": loader.file.path,
        "machine": loader.machine,
        "subsystem": loader.subsystem,
        "alignment": loader.alignment,
        "writable_code": list(loader.writable_code),
        "misaligned": list(loader.misaligned),
        "nx_compat": loader.nx,
        "sbat": list(loader.sbat) if loader.sbat is not None else None,
        "certificates": loader.certificates,
        "signature": loader.signature,
        "signers": list(loader.signers),
    }


def as_json(found: Sequence[Facts]) -> Iterator[str]:
    """A JSON array with one object per input, bit by bit; the keys are a contract, later versions only add."""
    yield "[" if found else "[]\n"
    for number, facts in enumerate(found):
        yield ",\n {" if number else "\n {"
        for place, (key, value) in enumerate(_object(facts).items()):
            yield f"{',' if place else ''}\n  {json.dumps(key)}: "
            if isinstance(value, Listing):
                yield from _array(value)
            else:
                yield _indented(value, 2)
        yield "\n }"
    yield "\n]\n" if found else ""


def _array(values: Listing) -> Iterator[str]:
    before = "["
    for value in values:
        yield f"{before}\n   {_indented(value, 3)}"
        before = ","
    yield "[]" if before == "[" else "\n  ]"


def _indented(value: object, depth: int) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True).replace("\n", "\n" + " " * depth)


def _object(facts: Facts) -> dict[str, Any]:
    kernel = facts.kernels[0] if facts.kernels else None
    document: dict[str, Any] = {
        "path": facts.path,
        "kind": facts.kind,
        "error": facts.error,
        "is_linuxkit": facts.is_linuxkit,
        "format": facts.format,
        "containers": [_container(container) for container in facts.containers],
        "kernel": kernel and _kernel(kernel),
        "cmdline": [one.text for one in facts.command_lines if not one.ignored],
        "problems": [{"place": str(problem.place), "message": problem.message} for problem in facts.problems],
    }
    if facts.layers:
        document["layers"] = [_layer(layer) for layer in facts.layers]
    if facts.loaders:
        document["efi"] = [_loader(loader) for loader in facts.loaders]
    if facts.modules:
        document["modules"] = facts.modules
    if facts.files is not None:
        document["files"] = facts.files
    if facts.binaries is not None:
        document["binaries"] = facts.binaries
    return document


def _layer(layer: PeeledLayer) -> dict[str, Any]:
    return {
        "place": str(layer.place),
        "format": layer.format,
        "depth": layer.depth,
        "offset": layer.offset if layer.offset >= 0 else None,
        "size": layer.size if layer.size >= 0 else None,
        "entries": layer.entries,
    }


def _container(container: Container) -> dict[str, Any]:
    return {
        "section": container.section,
        "name": container.name,
        "image": container.image.text if container.image else "",
        "label": container.label.kind,
        "error": container.error or None,
        "oci": container.oci,
        "runtime": container.runtime,
    }


def _kernel(kernel: Kernel) -> dict[str, Any]:
    return {
        "version": kernel.version,
        "arch": kernel.arch,
        "format": kernel.format,
        "config_source": kernel.config_source,
        "config_sha256": sha256(kernel.config_text).hexdigest() if kernel.config is not None else None,
    }


def as_text(found: Sequence[Facts]) -> Iterator[str]:
    """The same as a tree for people, without what only programs want, line by line."""
    return (f"{printable(line)}\n" for facts in found for line in _tree(facts))


def _tree(facts: Facts) -> Iterator[str]:
    mark = "" if facts.kind != "image" else ", built by LinuxKit" if facts.is_linuxkit else ", not built by LinuxKit"
    yield f"{facts.path}  ({facts.kind or 'unusable'}{mark})"
    branches = [f"error: {facts.error}"] if facts.error else []
    branches += [f"format: {facts.format}"] if facts.format else []
    branches += _layers(facts)
    for container in facts.containers:
        branches += _branch(container)
    for loader in facts.loaders:
        signed = f"signature {loader.signature}" + "".join(f", {one}" for one in loader.signers)
        branches.append(
            f"EFI {loader.subsystem} {loader.file.path}: {loader.machine}, alignment {loader.alignment}, {signed}"
        )
    branches += [f"kernel modules: {facts.modules}"] if facts.modules else []
    yield from (f"  {branch}" for branch in branches)
    for file in facts.files or ():
        yield f"  file {file['mode']} {file['uid']}:{file['gid']} {file['size']:>9} {file['path']}"
    for binary in facts.binaries or ():
        verdicts = " ".join(
            f"{key}={value}" for key, value in binary.items() if isinstance(value, str) and key != "path"
        )
        yield f"  binary {binary['path']}: {verdicts}"


def _layers(facts: Facts) -> list[str]:
    """The layers, one in another, and in each the kernels and command lines that lie in it."""
    held: dict[tuple[str, ...], list[str]] = {}
    for kernel in facts.kernels:
        told = f"kernel: {kernel.version} {kernel.arch} ({kernel.format}; configuration: {kernel.config_source})"
        held.setdefault(kernel.place.artifacts, []).append(told)
    for one in facts.command_lines:
        how = " (ignored)" if one.ignored else " (built in)" if one.built_in else ""
        held.setdefault(one.place.artifacts, []).append(f"command line{how}: {one.text}")
    last = {layer.place.artifacts: number for number, layer in enumerate(facts.layers)}
    lines: list[str] = []
    above: list[tuple[str, ...]] = []
    for number, layer in enumerate(facts.layers):
        place, indent = layer.place.artifacts, "  " * (layer.depth - 1)
        del above[layer.depth - 1 :]
        label = " / ".join(place[len(above[-1]) if above else place[0] == facts.path :])
        above.append(place)
        lines.append(f"{indent}{label}{': ' if label else ''}{layer.format}{_measures(layer)}")
        for inner in [one for one in held if last[place] == number and place in {one, one[:-1]}]:
            mark = "" if inner == place else f"  [{inner[-1]}]"
            lines += [f"{indent}  {text}{mark}" for text in held.pop(inner)]
    beside = [f"{text}  [{' / '.join(place)}]" for place, texts in held.items() for text in texts]
    return [*lines, *(beside if facts.layers else [text for texts in held.values() for text in texts])]


def _measures(layer: PeeledLayer) -> str:
    """Where it is, and how much it has, in brackets."""
    told = [f"at byte {layer.offset}"] if layer.offset > 0 else []
    told += [amount(layer.size)] if layer.size >= 0 else []
    told += [f"{layer.entries} entries"] if layer.entries else []
    return f" ({', '.join(told)})" if told else ""


def _branch(container: Container) -> list[str]:
    label = {"newest": " (label of the newest known state)", "unknown": " (label unknown)"}.get(
        container.label.kind, ""
    )
    image = container.image.text if container.image else ""
    held = f"all {_ALL}" if len(container.capabilities) == _ALL else " ".join(sorted(container.capabilities)) or "none"
    binds = [f"{m.source}:{m.destination}:{','.join(m.options)}" for m in container.mounts if m.is_bind]
    shared = [kind for kind in ("network", "ipc", "uts", "pid", "user") if container.namespace(kind) == "host"]
    lines = [f"{container.title}  {image}{label}".rstrip()]
    lines += [f"  error: {container.error}"] if container.error else []
    lines.append(f"  capabilities: {held}")
    lines.append(f"  shared with the host: {' '.join(shared) or 'nothing'}; uid {container.uid}")
    lines += [f"  bind {bind}" for bind in binds]
    return lines
