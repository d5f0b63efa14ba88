"""What the JSON report tells of an input, besides findings.

A system is `{path, kind, linuxkit, format, files, binaries, modules, kernels, containers, contents}`.

- A kernel is `{location, version, arch, format, config_source, options}`; options `{answer, name, fact, wanted, why,
  sources, severity}`, answered good, bad, absent or unknown; null where it has no configuration, or where another one
  replaces it.
- A container is `{title, section, name, location, image, label, error, exposure, config}`. An exposure is `{score,
  at_least, word, items}` (score null: unknown), an item `{label, weight, bad}` (bad null: unknown). `config` is what it
  may do: `{capabilities, ambient, namespaces, uid, no_new_privileges, readonly, program, arguments, mounts}`; a
  namespace is `host`, `new` or a path, `arguments` a number, a mount `{destination, type, source, options}`.
- `contents` is what an image is made of, null where nobody asked: `{components, hardening}`. A component is `{name,
  layer, size, files, parts}`, the largest first, a part `{path, size, files, artifacts}` (artifacts null: a folder).
  `hardening` has programs that are hardened alike: `{component, facts, number, names}`, facts as in contents.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..rules.components import Component
from ..rules.contents import Contents, Hardening
from ..rules.funnel import Result
from ..scanner.startup import Any
from ..scanner.subjects import Container, Kernel, Place, System
from .containers import NAMESPACES, options
from .grouping import exposed
from .kernels import Judged, judged
from .printable import encodable


def location(place: Place, note: str = "") -> dict[str, Any]:
    """A place and what is to be seen there."""
    span = place.span
    return {
        "artifacts": [encodable(one) for one in place.artifacts],
        "line": span and span.line,
        "column": span and span.column,
        "end_line": span and span.end_line,
        "end_column": span and span.end_column,
        "pointer": encodable(place.pointer),
        "note": encodable(note),
    }


def told_of(result: Result) -> Iterator[dict[str, Any]]:
    """All that is told of the inputs, one by one."""
    kernels = {id(one.kernel): one for one in judged(result) if one.options}
    contents = {one.place: one for one in result.contents}
    for one in result.systems:
        yield _system(one, result, kernels, contents.get(one.place))


def _system(one: System, result: Result, kernels: Mapping[int, Judged], contents: Contents | None) -> dict[str, Any]:
    return {
        "path": encodable(one.place.artifacts[0]),
        "kind": one.kind,
        "linuxkit": one.is_linuxkit,
        "format": encodable(one.format),
        "files": one.files,
        "binaries": one.binaries,
        "modules": one.modules,
        "kernels": [_kernel(kernel, kernels.get(id(kernel))) for kernel in one.kernels],
        "containers": [_container(container, result) for container in one.containers],
        "contents": contents and _contents(contents),
    }


def _kernel(kernel: Kernel, found: Judged | None) -> dict[str, Any]:
    return {
        "location": location(kernel.place),
        "version": encodable(kernel.version),
        "arch": kernel.arch,
        "format": kernel.format,
        "config_source": encodable(kernel.config_source),
        "options": found and [option._asdict() | {"fact": encodable(option.fact)} for option in found.options],
    }


def _container(container: Container, result: Result) -> dict[str, Any]:
    return {
        "title": encodable(container.title),
        "section": container.section,
        "name": encodable(container.name),
        "location": location(container.place),
        "image": encodable(container.image.text) if container.image else None,
        "label": {"kind": container.label.kind, "detail": encodable(container.label.detail)},
        "error": encodable(container.error),
        "exposure": _exposure(container, result),
        "config": _config(container),
    }


def _exposure(container: Container, result: Result) -> dict[str, Any]:
    one = exposed(container, result)
    return {
        "score": one.score,
        "at_least": one.at_least,
        "word": one.word,
        "items": [{"label": item.label, "weight": item.weight, "bad": item.bad} for item in one.items],
    }


def _config(container: Container) -> dict[str, Any]:
    command = container.command
    return {
        "capabilities": sorted(map(encodable, container.capabilities)),
        "ambient": sorted(map(encodable, container.ambient)),
        "namespaces": {kind: encodable(container.namespace(kind)) for kind in NAMESPACES},
        "uid": container.uid,
        "no_new_privileges": container.no_new_privileges,
        "readonly": container.readonly,
        "program": encodable(command[0]) if command else None,
        "arguments": max(0, len(command) - 1),
        "mounts": [
            {
                "destination": encodable(mount.destination),
                "type": encodable(mount.type),
                "source": encodable(mount.source),
                "options": [encodable(option) for option in options(mount)],
            }
            for mount in container.mounts
        ],
    }


def _contents(contents: Contents) -> dict[str, Any]:
    return {
        "components": [_component(one) for one in contents.components],
        "hardening": [_hardening(one) for one in contents.hardening],
    }


def _component(one: Component) -> dict[str, Any]:
    return {
        "name": encodable(one.name),
        "layer": [encodable(part) for part in one.layer.artifacts],
        "size": one.size,
        "files": one.files,
        "parts": [
            {
                "path": encodable(part.path),
                "size": part.size,
                "files": part.files,
                "artifacts": part.place and [encodable(name) for name in part.place.artifacts],
            }
            for part in one.parts
        ],
    }


def _hardening(one: Hardening) -> dict[str, Any]:
    return {
        "component": encodable(one.component),
        "facts": list(one.facts),
        "number": one.number,
        "names": [encodable(name) for name in one.names],
    }
