"""What LinuxKit's JSON schema allows in a spec, and what its Go types make of what was allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from math import nan

from .startup import Any, Literal, NamedTuple, late
from .yamlpos import Node, shown

FAULT_LIMIT = 200
"""Reasons to refuse a document that are told; one more says that there are more."""


Remedy = tuple[Literal["replace", "rename", "remove"], str, bool]


class Fault(NamedTuple):
    """A reason to refuse a document: the path of keys, the node to point at, the sentence, and a suggestion or "".

    `remedy` is the change that mends it, as (action, text, certain) of a Change and its Cure, where that is known.
    """

    pointer: str
    node: Node
    message: str
    hint: str = ""
    remedy: Remedy | None = None


# A type is `str`, `bool`, `int` (or an integer of a given size), `id` (a name or a number), `format`, the name of an
# object below, `[type]` for a list or `{str}` for a map of texts. `*` marks a required key.

_CONTAINER = (
    "capabilities:[str] capabilities.add:[str] ambient:[str] mounts:[mount] binds:[str] binds.add:[str] "
    "devices:[device] tmpfs:[str] command:[str] env:[str] cwd:str net:str pid:str ipc:str uts:str userns:str "
    "readonly:bool maskedPaths:[str] readonlyPaths:[str] uid:id gid:id additionalGids:[id] noNewPrivileges:bool "
    "hostname:str oomScoreAdj:int64 rootfsPropagation:str cgroupsPath:str resources:resources sysctl:{str} "
    "rlimits:[str] uidMappings:[idmapping] gidMappings:[idmapping] annotations:{str} runtime:runtime"
)
_THROTTLES = ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")

_SCHEMA: dict[str, str] = {
    "spec": "kernel:kernel init:[str] onboot:[image] onshutdown:[image] services:[image] trust:trust files:[file] "
    "volumes:[volume]",
    "kernel": "image:str cmdline:str binary:str tar:str ucode:str",
    "trust": "image:[str] org:[str]",
    "file": "path:str directory:bool symlink:str contents:str source:str metadata:str optional:bool mode:str uid:id "
    "gid:id",
    "volume": "name:str image:str readonly:bool format:format platforms:[str]",
    "image": "name:str* image:str* " + _CONTAINER,
    "mount": "destination:str type:str source:str options:[str] uidmappings:[idmapping] gidmappings:[idmapping]",
    "device": "path:str type:str major:int64 minor:int64 mode:str",
    "idmapping": "hostID:int containerID:int size:int",
    "devicecgroup": "allow:bool type:str major:int64 minor:int64 access:str",
    "memory": "limit:int reservation:int swap:int kernel:int kernelTCP:int swappiness:int disableOOMKiller:bool",
    "cpu": "shares:int quota:int period:int realtimeRuntime:int realtimePeriod:int cpus:str mems:str",
    "pids": "limit:int",
    "weightdevice": "major:int minor:int weight:int leafWeight:int",
    "throttledevice": "major:int minor:int rate:int",
    "blockio": "weight:int leafWeight:int weightDevice:[weightdevice] "
    + " ".join(f"throttle{one}Device:[throttledevice]" for one in _THROTTLES),
    "hugepagelimit": "pageSize:int limit:int",
    "interfacepriority": "name:str priority:int",
    "network": "classID:int priorities:[interfacepriority]",
    "resources": "devices:[devicecgroup] memory:memory cpu:cpu pids:pids blockio:blockio "
    "hugepageLimits:[hugepagelimit] network:network",
    "interface": "name:str add:str peer:str createInRoot:bool",
    "namespaces": "cgroup:str ipc:str mnt:str net:str pid:str user:str uts:str",
    "runtime": "cgroups:[str] mounts:[mount] mkdir:[str] interfaces:[interface] bindNS:namespaces namespace:str",
}
"""The JSON schema: every object, closed; whatever is not named here is refused."""

_GO: dict[str, str] = {
    "spec": _SCHEMA["spec"].replace("trust:trust ", ""),
    "mount": "destination:str! type:str source:str options:[str] uidmappings>uidMappings:[idmapping] "
    "gidmappings>gidMappings:[idmapping]",
    "idmapping": "hostid>hostID:uint32! containerid>containerID:uint32! size:uint32!",
    "memory": "limit:int64 reservation:int64 swap:int64 kernel:int64 kerneltcp>kernelTCP:int64 swappiness:uint64 "
    "disableoomkiller>disableOOMKiller:bool usehierarchy>useHierarchy:bool checkbeforeupdate>checkBeforeUpdate:bool",
    "cpu": "shares:uint64 quota:int64 burst:uint64 period:uint64 realtimeruntime>realtimeRuntime:int64 "
    "realtimeperiod>realtimePeriod:uint64 cpus:str mems:str idle:int64",
    "pids": "limit:int64!",
    "blockio": "weight:uint16 leafweight>leafWeight:uint16 weightdevice>weightDevice:[weightdevice] "
    + " ".join(f"throttle{one.lower()}device>throttle{one}Device:[throttledevice]" for one in _THROTTLES),
    "blockiodevice": "major:int64! minor:int64!",
    "weightdevice": "linuxblockiodevice:blockiodevice weight:uint16 leafweight>leafWeight:uint16",
    "throttledevice": "linuxblockiodevice:blockiodevice rate:uint64!",
    "hugepagelimit": "pagesize>pageSize:str! limit:uint64!",
    "interfacepriority": "name:str! priority:uint32!",
    "network": "classid>classID:uint32 priorities:[interfacepriority]",
    "rdma": "hcahandles>hcaHandles:uint32 hcaobjects>hcaObjects:uint32",
    "resources": "devices:[devicecgroup] memory:memory cpu:cpu pids:pids blockio>blockIO:blockio "
    "hugepagelimits>hugepageLimits:[hugepagelimit] network:network rdma:{rdma} unified:{str}",
    "device": "path:str! type:str! major:int64! minor:int64! mode:str",
    "devicecgroup": "allow:bool! type:str major:int64 minor:int64 access:str",
    "config": _CONTAINER,
    "package": "image:str org:str tag:str dockerfile:str arches:[str] extra-sources:[str] gitrepo:str network:bool "
    "disable-cache:bool config:config buildArgs:[str] depends:depends",
    "depends": "docker-images:dockerimages",
    "dockerimages": "target-dir:str target:str from-file:str list:[str]",
}
"""Where the Go types differ: a key's lower-case spelling is its YAML name, `>` leads to its name in JSON, and `!` marks
one that is always written. A key that the schema spells otherwise (hostID, kernelTCP) is accepted and then lost."""

_ARTICLES = {
    "spec": "a spec",
    "image": "a container",
    "config": "a package's config",
    "package": "a build.yml",
    "file": "a file",
    "volume": "a volume",
}
_KINDS = {
    "map": "a map",
    "seq": "a list",
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "empty",
    "timestamp": "a date",
}
_OLD = {
    "outputs": "give the output formats to 'linuxkit build --format'",
    "system": "these became 'onboot'",
    "daemon": "these became 'services'",
    "cap_add": "this became 'capabilities'",
    "cap_drop": "no capabilities are the default",
    "bind": "did you mean 'binds'?",
    "network_mode": "this became 'net'",
    "read_only": "this became 'readonly'",
    "oom_score_adj": "this became 'oomScoreAdj'",
    "disable-content-trust": "content trust is gone from LinuxKit; remove the key",
    "privileged": "name the capabilities, binds and devices it needs",
}
"""What to do about keys of former versions, and of neighbouring tools."""

_QUOTED = late(r"'([A-Za-z]+)'")
_SHORTEST = 3
"""Letters of a word that a slip of the pen leaves no doubt about."""
_LONGEST = 40
"""Characters of a name that a suggestion is looked for."""

_INTEGERS = {
    "int": (-(1 << 63), (1 << 64) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint16": (0, (1 << 16) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
}
_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_LOST: Any = object()
"""Stands for a value that was refused."""


class _Key(NamedTuple):
    """A key of an object: its type, its name in JSON, whether it is required, whether it is always written."""

    type: str
    json: str
    required: bool
    always: bool


@cache
def _keys(name: str, go: bool) -> dict[str, _Key]:  # noqa: FBT001 - the table to read, as cache wants it
    """The keys of an object, in the schema or in the Go types."""
    row = _GO.get(name, _SCHEMA.get(name, "")) if go else _SCHEMA[name]
    keys = {}
    for entry in row.split():
        names, _, kind = entry.partition(":")
        yaml, _, json = names.partition(">")
        keys[yaml] = _Key(kind.rstrip("!*"), json or yaml, kind.endswith("*"), kind.endswith("!"))
    return keys


def validate(node: Node, kind: str, pointer: str = "") -> Iterator[Fault]:
    """Every place where `node` breaks LinuxKit's JSON schema of the type `kind` (`spec`, `image` …)."""
    if kind[0] == "[":
        yield from _validate_list(node, kind[1:-1], pointer)
    elif kind[0] == "{" or kind in _SCHEMA:
        yield from _validate_map(node, kind, pointer)
    elif not _is(node, kind):
        yield Fault(
            pointer, node, f"{_last(pointer)} {_must(node, kind)}", _cure(node, kind), _value(node, kind, pointer)
        )


def _validate_list(node: Node, kind: str, pointer: str) -> Iterator[Fault]:
    if node.kind != "seq":
        yield Fault(pointer, node, f"{_last(pointer)} must be a list, not {_KINDS[node.kind]}")
    for i, item in enumerate(node.items):
        yield from validate(item, kind, f"{pointer}[{i}]")


def _validate_map(node: Node, kind: str, pointer: str) -> Iterator[Fault]:
    if node.kind != "map":
        yield Fault(pointer, node, f"{_last(pointer)} must be a map, not {_KINDS[node.kind]}")
        return
    keys = {} if kind[0] == "{" else _keys(kind, go=False)
    for key, value in node.pairs:
        inner = f"{pointer}.{key.text}" if pointer else key.text
        if key.kind != "str":
            yield Fault(inner, key, f"the key {shown(key.text)} is {_KINDS[key.kind]}, not text", "quote it")
        elif kind[0] == "{":
            yield from validate(value, kind[1:-1], inner)
        elif key.text in keys:
            yield from validate(value, keys[key.text].type, inner)
        else:
            yield _unknown(key, kind, inner, list(keys), _name(node, key, value, keys, go=False))
    for name, key_ in keys.items():
        if key_.required and node.get(name) is None:
            yield Fault(pointer, node, f"{_ARTICLES[kind]} must have '{name}'")


def _is(node: Node, kind: str) -> bool:
    """Whether a scalar is of the JSON type that the schema wants; a whole float is an integer, a date is a text."""
    if kind == "str":
        return node.kind in {"str", "timestamp"}
    if kind == "bool":
        return node.kind == "bool"
    if kind == "format":
        return node.kind == "str" and node.value in {"oci", "filesystem"}
    if kind == "id" and node.kind in {"str", "timestamp"}:
        return True
    return node.kind == "int" or (node.kind == "float" and bool(node.value.is_integer()))


def _must(node: Node, kind: str) -> str:
    wanted = {
        "str": "must be text",
        "bool": "must be true or false",
        "format": "must be 'oci' or 'filesystem'",
        "id": "must be a name or a number",
    }
    text = f" ({shown(node.text)})" if node.text else ""
    return f"{wanted.get(kind, 'must be a whole number')}, not {_KINDS[node.kind]}{text}"


def _cure(node: Node, kind: str) -> str:
    if kind in {"str", "id"} and node.kind in {"int", "float", "bool"}:
        return f'quote it: "{shown(node.text)}"'
    if kind == "bool" and node.text in _TRUE | _FALSE:
        return "write true or false"
    return ""


def _last(pointer: str) -> str:
    """How a message names the place: the last key of a pointer, with its index."""
    return f"'{shown(pointer.rpartition('.')[2])}'" if pointer else "the document"


def _unknown(key: Node, kind: str, pointer: str, known: list[str], remedy: Remedy | None) -> Fault:
    where = _ARTICLES.get(kind, f"'{shown(pointer.rpartition('.')[0].rpartition('.')[2])}'")
    return Fault(
        pointer, key, f"unknown key '{shown(key.text)}' in {where}", _suggestion(key.text, kind, known), remedy
    )


def suggest(name: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    """`did you mean 'X'?` for the one of `known` that is closest to `name`, else ""."""
    from difflib import get_close_matches

    folded = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), folded, n=1, cutoff=cutoff) if len(name) <= _LONGEST else []
    return f"did you mean '{folded[close[0]]}'?" if close else ""


def _suggestion(name: str, kind: str, known: list[str]) -> str:
    close = suggest(name, known)
    if close or name in _OLD:
        return close or _OLD[name]
    if kind == "spec" and name in _keys("kernel", go=False):
        return f"'{name}' belongs below 'kernel'"
    return ""


# --- remedies


def _value(node: Node, kind: str, pointer: str) -> Remedy | None:
    """Another spelling of a scalar that has the wrong type."""
    if kind == "bool" and node.text.lower() in {"true", "false"} | _TRUE | _FALSE:
        return "replace", "true" if node.text.lower() == "true" or node.text in _TRUE else "false", True
    if kind != "str" or node.kind not in {"int", "float", "bool"}:
        return None
    if not pointer.endswith(".mode"):
        return "replace", f'"{node.text}"', True
    # LinuxKit reads a mode as octal. A number with a leading zero was meant so; without one, 420 may stand for 0644.
    octal = re.fullmatch(r"(0o?)?([0-7]{3,4})", node.text)
    return None if octal is None else ("replace", f'"0{octal[2].lstrip("0") or "0"}"', bool(octal[1]))


def _name(home: Node, key: Node, value: Node, keys: Mapping[str, _Key], *, go: bool) -> Remedy | None:
    """The key that was meant, if its type fits; certain where the two differ in a letter, in case or in `_` and `-`."""
    if key.text == "disable-content-trust":
        return "remove", "", True
    found = _QUOTED.search(suggest(key.text, keys) or _OLD.get(key.text, ""))
    name = found[1] if found else ""
    if name not in keys or home.get(name) is not None:
        return None
    kind = keys[name].type
    if decode(value, kind)[1] if go else any(True for _ in validate(value, kind)):
        return None
    plain, other = (re.sub("[-_]", "", one).lower() for one in (key.text, name))
    return "rename", name, plain == other or _is_slip(plain, other)


def _is_slip(one: str, other: str) -> bool:
    """Whether a letter more or less, or two that changed places, is all that tells two words of some length apart."""
    short, long = sorted((one, other), key=len)
    if len(short) < _SHORTEST:
        return False
    if len(long) == len(short):
        wrong = [i for i in range(len(long)) if long[i] != short[i]]
        return len(wrong) == 2 and sorted(one) == sorted(other) and wrong[1] - wrong[0] == 1  # noqa: PLR2004 - a swap
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


# --- decoding, as yaml.v3 does it into the Go types


def decode(node: Node, kind: str, pointer: str = "", *, known: bool = False) -> tuple[Any, list[Fault]]:
    """The value LinuxKit's Go types hold afterwards, with JSON's names for the keys, and what they refuse.

    What is refused is left out. `known`: unknown keys are refused too, as for a build.yml.
    """
    decoder = _Decoder(known=known)
    value = decoder.value(node, kind, pointer)
    return ({} if value is _LOST or value is None else value), decoder.faults


class _Decoder:
    def __init__(self, *, known: bool) -> None:
        self.faults: list[Fault] = []
        self._known = known

    def value(self, node: Node, kind: str, pointer: str) -> Any:  # noqa: ANN401 - JSON holds anything
        """The decoded value; None for a null, _LOST for what was refused."""
        if node.kind == "null":
            return None
        if kind[0] == "[":
            return self._list(node, kind[1:-1], pointer)
        if kind[0] == "{":
            return self._texts(node, kind[1:-1], pointer)
        if kind in _GO or kind in _SCHEMA:
            return self._object(node, kind, pointer)
        value = _scalar(node, kind)
        return self._refuse(node, _must(node, kind), pointer) if value is _LOST else value

    def _refuse(self, node: Node, reason: str, pointer: str) -> Any:  # noqa: ANN401 - a marker
        if len(self.faults) < FAULT_LIMIT:
            self.faults.append(Fault(pointer, node, f"{_last(pointer)} {reason}"))
        return _LOST

    def _list(self, node: Node, kind: str, pointer: str) -> Any:  # noqa: ANN401 - or the marker
        if node.kind != "seq":
            return self._refuse(node, f"must be a list, not {_KINDS[node.kind]}", pointer)
        values = [self.value(item, kind, f"{pointer}[{i}]") for i, item in enumerate(node.items)]
        if kind in {"image", "file", "volume", "id"}:
            return [None if value is _LOST else value for value in values]
        return [value for value in values if value is not _LOST and value is not None]

    def _texts(self, node: Node, kind: str, pointer: str) -> Any:  # noqa: ANN401 - or the marker
        if node.kind != "map":
            return self._refuse(node, f"must be a map, not {_KINDS[node.kind]}", pointer)
        values = {key.text: self.value(value, kind, f"{pointer}.{key.text}") for key, value in node.pairs}
        empty: Any = "" if kind == "str" else {}
        return {name: empty if value is None else value for name, value in values.items() if value is not _LOST}

    def _object(self, node: Node, kind: str, pointer: str) -> Any:  # noqa: ANN401 - or the marker
        if node.kind != "map":
            return self._refuse(node, f"must be a map, not {_KINDS[node.kind]}", pointer)
        keys = _keys(kind, go=True)
        found = {key.json: _zero(key.type) for key in keys.values() if key.always}
        for name, value in node.pairs:
            inner = f"{pointer}.{name.text}" if pointer else name.text
            if name.text in keys:
                key = keys[name.text]
                decoded = self.value(value, key.type, inner)
                if decoded is not _LOST and decoded is not None:
                    found[key.json] = decoded
            elif self._known and len(self.faults) < FAULT_LIMIT:
                remedy = _name(node, name, value, keys, go=True)
                self.faults.append(_unknown(name, kind, inner, list(keys), remedy))
        embedded = found.pop("linuxblockiodevice", {})
        return {**embedded, **found}


def _scalar(node: Node, kind: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """A scalar as the Go type holds it, or _LOST."""
    if kind == "id":
        return node.value if node.kind in {"str", "int"} else nan
    if node.kind in {"map", "seq"}:
        return _LOST
    if kind in {"str", "format"}:
        return node.text
    if kind == "bool":
        return _truth(node)
    return _number(node, *_INTEGERS[kind])


def _truth(node: Node) -> Any:  # noqa: ANN401 - or the marker
    if node.kind == "bool":
        return node.value
    if node.kind == "str" and node.value in _TRUE | _FALSE:
        return node.value in _TRUE
    return _LOST


def _number(node: Node, least: int, most: int) -> Any:  # noqa: ANN401 - or the marker
    if node.kind not in {"int", "float"} or not least <= node.value <= most:
        return _LOST
    return int(node.value)


def _zero(kind: str) -> Any:  # noqa: ANN401 - JSON holds anything
    return {"str": "", "bool": False}.get(kind, 0)
