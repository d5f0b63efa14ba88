"""Containers as they lie in a built image: config.json and runtime.json checked, bounded and made a Container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isinf

from .source import DamagedError, LimitError
from .startup import Any, NoReturn
from .subjects import Container, Label, Origin, Place

LIMIT = 1 << 20
"""Bytes of a config.json or runtime.json; LinuxKit's own stay below 20 KiB."""

_DIGITS = 40
"""Digits of a number: more fit no field of the OCI runtime specification and would cost quadratic time."""

_DEPTH = 64
"""Objects and lists inside one another; the deepest that the specification knows is 6."""

_VALUES = 20_000
"""Values in one file; a container with a profile of all system calls has some 600."""

_STRINGS = [str]
_TEXTS = {"*": str}
_MOUNTS = [{"destination": str, "type": str, "source": str, "options": _STRINGS}]
_DEVICE = {"path": str, "type": str, "major": int, "minor": int, "fileMode": int, "uid": int, "gid": int}
_DEVICE_RULE = {"allow": bool, "type": str, "major": int, "minor": int, "access": str}
_IDS = [{"containerID": int, "hostID": int, "size": int}]

_CONFIG: dict[str, Any] = {
    "hostname": str,
    "annotations": _TEXTS,
    "mounts": _MOUNTS,
    "root": {"path": str, "readonly": bool},
    "process": {
        "terminal": bool,
        "user": {"uid": int, "gid": int, "additionalGids": [int]},
        "args": _STRINGS,
        "env": _STRINGS,
        "cwd": str,
        "noNewPrivileges": bool,
        "oomScoreAdj": int,
        "apparmorProfile": str,
        "selinuxLabel": str,
        "capabilities": dict.fromkeys(("bounding", "effective", "inheritable", "permitted", "ambient"), _STRINGS),
        "rlimits": [{"type": str, "soft": int, "hard": int}],
    },
    "linux": {
        "uidMappings": _IDS,
        "gidMappings": _IDS,
        "sysctl": _TEXTS,
        "cgroupsPath": str,
        "rootfsPropagation": str,
        "maskedPaths": _STRINGS,
        "readonlyPaths": _STRINGS,
        "seccomp": {"defaultAction": str},
        "namespaces": [{"type": str, "path": str}],
        "devices": [_DEVICE],
        "resources": {"devices": [_DEVICE_RULE], "memory": {"limit": int}, "pids": {"limit": int}, "cpu": {}},
    },
}
"""What the types in a config.json must be, as far as anyone looks at them; `*` stands for any key."""

_RUNTIME: dict[str, Any] = {
    "cgroups": _STRINGS,
    "mounts": _MOUNTS,
    "mkdir": _STRINGS,
    "interfaces": [{"name": str, "add": str, "peer": str, "createInRoot": bool}],
    "bindNS": _TEXTS,
    "namespace": str,
}
"""The same for runtime.json."""

_NAMES: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}

_POINTERS = {
    "command": "process.args",
    "env": "process.env",
    "cwd": "process.cwd",
    "uid": "process.user.uid",
    "gid": "process.user.gid",
    "additionalGids": "process.user.additionalGids",
    "capabilities": "process.capabilities.bounding",
    "ambient": "process.capabilities.ambient",
    "noNewPrivileges": "process.noNewPrivileges",
    "oomScoreAdj": "process.oomScoreAdj",
    "rlimits": "process.rlimits",
    "readonly": "root.readonly",
    "hostname": "hostname",
    "annotations": "annotations",
    "mounts": "mounts",
    "binds": "mounts",
    "tmpfs": "mounts",
    "devices": "linux.resources.devices",
    "resources": "linux.resources",
    "sysctl": "linux.sysctl",
    "cgroupsPath": "linux.cgroupsPath",
    "rootfsPropagation": "linux.rootfsPropagation",
    "maskedPaths": "linux.maskedPaths",
    "readonlyPaths": "linux.readonlyPaths",
    "uidMappings": "linux.uidMappings",
    "gidMappings": "linux.gidMappings",
    "net": "linux.namespaces",
    "ipc": "linux.namespaces",
    "uts": "linux.namespaces",
    "pid": "linux.namespaces",
    "userns": "linux.namespaces",
}
"""Where a spec's key ends up in config.json."""

_NAMESPACE_KEYS = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid", "user": "userns"}


def from_built(  # noqa: PLR0917 - the parts of one container, outermost first
    section: str, name: str, index: int, config: bytes, runtime: bytes | None, place: Place
) -> Container:
    """The container that an image's config.json and runtime.json describe; `place` is that of config.json.

    Raises DamagedError when either is no JSON of the right shape, LimitError when it exceeds a limit.
    """
    oci = _shaped(_load(config, "config.json"), _CONFIG, "config.json", "")
    extra = _shaped(_load(runtime, "runtime.json"), _RUNTIME, "runtime.json", "") if runtime is not None else {}
    origins = {key: Origin("image", Place(place.artifacts, None, pointer)) for key, pointer in _pointers(oci)}
    return Container(name, section, index, place, None, Label("built", "config.json"), oci, extra, origins)


def keys_at(container: Container, pointer: str) -> list[str]:
    """The keys of Container.origins that a pointer into its config.json stands for: of an item, else of the whole."""
    return [key for key, stands in _pointers(container.oci) if stands == pointer and (":" in key) == ("[" in pointer)]


def _load(data: bytes, what: str) -> Any:  # noqa: ANN401 - JSON holds anything
    if len(data) > LIMIT:
        raise LimitError(f"{what} exceeds the limit of {LIMIT >> 20} MiB")
    import json

    try:
        value = json.loads(data.decode(), parse_int=_integer, parse_float=_float, parse_constant=_refuse)
        count = _count(value, _DEPTH)
    except RecursionError:
        raise LimitError(f"{what} exceeds the limit of {_DEPTH} nested values") from None
    except (ValueError, MemoryError) as error:
        raise DamagedError(f"{what} is not valid JSON: {error}") from None
    if count > _VALUES:
        raise LimitError(f"{what} exceeds the limit of {_VALUES} values")
    return value


def _count(value: Any, depth: int) -> int:  # noqa: ANN401 - JSON holds anything
    """How many values there are. Raises RecursionError when they are nested deeper than `depth`."""
    if depth == 0:
        raise RecursionError
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_count(item, depth - 1) for item in items)


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    return _refuse(text) if isinf(value) else value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:_DIGITS]} is no number")


def _shaped(value: Any, shape: Any, what: str, path: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """`value` with the nulls dropped, once every part that `shape` names has the right type."""
    got, wanted = type(value), shape if isinstance(shape, type) else type(shape)
    if got is not wanted:
        raise DamagedError(f"{what}: {path or 'the whole'} is {_NAMES.get(got, 'null')}, not {_NAMES[wanted]}")
    if isinstance(shape, list):
        return [_shaped(item, shape[0], what, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(shape, dict):
        return {key: _member(item, shape, what, path, key) for key, item in value.items() if item is not None}
    return value.encode("utf-8", "replace").decode() if got is str else value


def _member(value: Any, shape: dict[str, Any], what: str, path: str, key: str) -> Any:  # noqa: ANN401 - as above
    inner = shape.get(key, shape.get("*"))
    return value if inner is None else _shaped(value, inner, what, f"{path}.{key}" if path else key)


def _pointers(oci: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key of Container.origins with its pointer into config.json."""
    yield from _POINTERS.items()
    process, linux = oci.get("process", {}), oci.get("linux", {})
    for key, kind in (("capabilities", "bounding"), ("ambient", "ambient")):
        for capability in process.get("capabilities", {}).get(kind, ()):
            yield f"{key}:{capability}", f"process.capabilities.{kind}"
    for i in range(len(process.get("env", ()))):
        yield f"env:{i}", f"process.env[{i}]"
    for i in range(len(linux.get("resources", {}).get("devices", ()))):
        yield f"devices:{i}", f"linux.resources.devices[{i}]"
    for i, namespace in enumerate(linux.get("namespaces", ())):
        if known := _NAMESPACE_KEYS.get(namespace.get("type", "")):
            yield known, f"linux.namespaces[{i}]"
    for i, mount in enumerate(oci.get("mounts", ())):
        for key in ("mounts", "binds", "tmpfs"):
            yield f"{key}:{mount.get('destination', '')}", f"mounts[{i}]"
