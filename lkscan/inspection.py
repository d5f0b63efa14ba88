"""`lkscan inspect`: the facts lkscan sees in each input, without judgement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from .config.files import ConfigurationError
from .inputs import Input
from .reports.printable import printable
from .scanner.labels import LabelFinder
from .scanner.source import Limits
from .scanner.startup import Any
from .scanner.subjects import Binary, Container, File, Kernel, KernelCommandLine, Place, Problem, Spec, Subject, System
from .scanning import read

_BODY = Limits().body
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
    command_lines: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] | None = None
    binaries: list[dict[str, Any]] | None = None
    problems: list[Problem] = field(default_factory=list)
    is_whole: bool = False
    """Whether its System was met, which comes last."""


def inspect(
    inputs: Iterable[Input | Problem],
    labels_of: Callable[[str], LabelFinder],
    *,
    files: bool = False,
    binaries: bool = False,
) -> list[Facts]:
    """The facts of every input, in order; `files` and `binaries` ask for these lists too.

    `labels_of` gives what finds labels for an input of a path; it may raise ConfigurationError.
    """
    found = []
    for one in inputs:
        if isinstance(one, Problem):
            facts = Facts(one.place.artifacts[0], error=one.message, problems=[one])
        else:
            facts = Facts(one.paths[0], one.kind, files=[] if files else None, binaries=[] if binaries else None)
            for subject in _read(one, labels_of):
                _note(facts, subject)
            if not facts.is_whole and facts.problems:
                facts.error = facts.error or facts.problems[0].message
        found.append(facts)
    return found


def _read(one: Input, labels_of: Callable[[str], LabelFinder]) -> Iterator[Subject | Problem]:
    try:
        yield from read(one, labels_of(one.paths[0]))
    except ConfigurationError as error:
        yield Problem(Place((error.path,)), error.message, "unusable")


def _note(facts: Facts, subject: object) -> None:
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
            facts.command_lines.append(subject.text)
        case File() if facts.files is not None:
            facts.files.append(_file(subject))
        case Binary() if facts.binaries is not None:
            facts.binaries.append(_binary(subject))
        case System():
            facts.kind, facts.is_linuxkit, facts.format = subject.kind, subject.is_linuxkit, subject.format
            facts.is_whole = True


def _file(file: File) -> dict[str, Any]:
    return {
        "path": file.path,
        "type": file.kind,
        "mode": f"{file.mode:04o}",
        "uid": file.uid,
        "gid": file.gid,
        "size": file.size,
        "target": file.target,
        "sha256": _sum(file) if file.kind == "file" else None,
        "xattrs": {name: value.hex() for name, value in sorted(file.xattrs.items())},
    }


def _sum(file: File) -> str | None:
    """The SHA-256 of the whole content; None where that is not there, or too large a layer to be read twice."""
    total, length = sha256(), 0
    if file.read and file.size <= _BODY:
        data = file.read(_BODY)
        total.update(data)
        length = len(data)
    elif file.pieces:
        for piece in file.pieces():
            total.update(piece)
            length += len(piece)
    else:
        return None
    return total.hexdigest() if length == file.size else None


def _binary(binary: Binary) -> dict[str, Any]:
    from .scanner import elf

    return {"path": binary.file.path, **elf.facts(binary), "evidence": dict(binary.evidence)}


def as_json(found: Sequence[Facts]) -> str:
    """A JSON array with one object per input; the keys are a contract, later versions only add."""
    return json.dumps([_object(facts) for facts in found], indent=1, ensure_ascii=True) + "\n"


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
        "cmdline": facts.command_lines,
        "problems": [{"place": str(problem.place), "message": problem.message} for problem in facts.problems],
    }
    if facts.files is not None:
        document["files"] = facts.files
    if facts.binaries is not None:
        document["binaries"] = facts.binaries
    return document


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


def as_text(found: Sequence[Facts]) -> str:
    """The same as a tree for people, without what only programs want."""
    return "".join(f"{printable(line)}\n" for facts in found for line in _tree(facts))


def _tree(facts: Facts) -> list[str]:
    mark = "" if facts.kind != "image" else ", built by LinuxKit" if facts.is_linuxkit else ", not built by LinuxKit"
    lines = [f"{facts.path}  ({facts.kind or 'unusable'}{mark})"]
    branches = [f"error: {facts.error}"] if facts.error else []
    branches += [f"format: {facts.format}"] if facts.format else []
    for kernel in facts.kernels:
        branches.append(
            f"kernel: {kernel.version} {kernel.arch} ({kernel.format}; configuration: {kernel.config_source})"
        )
    branches += [f"command line: {text}" for text in facts.command_lines]
    for container in facts.containers:
        branches += _branch(container)
    for file in facts.files or ():
        branches.append(f"file {file['mode']} {file['uid']}:{file['gid']} {file['size']:>9} {file['path']}")
    for binary in facts.binaries or ():
        verdicts = " ".join(
            f"{key}={value}" for key, value in binary.items() if isinstance(value, str) and key != "path"
        )
        branches.append(f"binary {binary['path']}: {verdicts}")
    return lines + [f"  {branch}" for branch in branches]


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
