"""What is compared of a container in two builds, aspect by aspect: how it is read, and how dangerous it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Container, Mount
from .engine import Severity
from .escape import sensitive, takeover
from .tables import load

_SETTINGS = 100
"""Settings of one container that nothing else tells of, and that are told one by one."""

MOUNTS = "mount {}"
"""What the aspect is called that mounts are compared by."""

_GUARDS = ("nosuid", "nodev", "noexec")


class Aspect(NamedTuple):
    """One sort of facts about a container.

    `what` names it, with `{}` for the key of one of several. `read` gives its values by key, `danger` how dangerous
    one is (of a key and its value, "" for none). `keys` are those of the spec that set it: a label that is not known
    may do so, too. `worse` and `better` are the reasons, with `{}` for the key.
    """

    what: str
    keys: tuple[str, ...]
    read: Callable[[Container], Mapping[str, str]]
    danger: Callable[[str, str], float] = lambda _key, _value: 0
    worse: str = ""
    better: str = ""
    severity: Severity = Severity.MEDIUM
    is_hidden: bool = False


def _process(one: Container) -> Mapping[str, Any]:
    return one.oci.get("process") or {}


def _linux(one: Container) -> Mapping[str, Any]:
    return one.oci.get("linux") or {}


def _resources(one: Container) -> Mapping[str, Any]:
    return _linux(one).get("resources") or {}


def _groups(one: Container) -> dict[str, str]:
    user = _process(one).get("user") or {}
    return {str(gid): "member" for gid in user.get("additionalGids") or ()}


def _devices(one: Container) -> dict[str, str]:
    found = {}
    for row in one.devices:
        number = ":".join(str(row.get(part, "*")) for part in ("major", "minor"))
        access = row.get("access") or "rwm"
        found[f"{row.get('type') or 'a'} {number}"] = access if row.get("allow") else f"not {access}"
    return found


def _nodes(one: Container) -> dict[str, str]:
    return {
        str(node.get("path")): f"{node.get('type')} {node.get('major')}:{node.get('minor')}"
        for node in _linux(one).get("devices") or ()
        if isinstance(node, dict)
    }


def _limits(one: Container) -> dict[str, str]:
    limits = _process(one).get("rlimits") or ()
    return {str(row.get("type")): f"{row.get('soft')}:{row.get('hard')}" for row in limits if isinstance(row, dict)}


def _limit_danger(key: str, value: str) -> float:
    """The soft limit; without one, what a container has anyway."""
    rows = {row["name"]: float(row["above"]) for row in load("rlimits")["raised"]}
    return _number(value.partition(":")[0]) if value else rows.get(key, float("inf"))


def _shares(one: Container) -> dict[str, str]:
    resources = _resources(one)
    parts = {part: resources.get(part) or {} for part in ("memory", "pids", "cpu", "blockIO", "hugepageLimits")}
    return {
        f"{part}.{name}": str(value)
        for part, some in parts.items()
        if isinstance(some, dict)
        for name, value in some.items()
    }


def _share_danger(key: str, value: str) -> float:
    """Of limits; a share of the processor or a period harms nobody by itself."""
    if not key.endswith(("limit", "quota", "reservation", "swap")):
        return 0
    number = _number(value)
    return number if value and number > 0 else float("inf")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0


def _mounts(one: Container) -> dict[str, str]:
    return {mount.destination: _mount_text(mount) for mount in one.mounts}


def _mount_text(mount: Mount) -> str:
    """`bind /etc (rw,rbind)`; values of options that may be a secret are left out."""
    kind = "bind" if mount.is_bind else mount.type or "none"
    options = ",".join(_shown_option(one) for one in mount.options if one != "bind")
    source = f" {mount.source}" if mount.source and mount.source != kind else ""
    return f"{kind}{source} ({options or 'rw'})"


def _shown_option(text: str) -> str:
    name, equals, _ = text.partition("=")
    return (
        text if not equals or name in {"mode", "size", "uid", "gid", "lowerdir", "upperdir", "workdir"} else f"{name}=…"
    )


def _seccomp(one: Container) -> dict[str, str]:
    found = _linux(one).get("seccomp")
    if not found:
        return {"": "none"}
    from hashlib import sha256

    return {"": f"filter {sha256(_text(found).encode()).hexdigest()[:12]}"}


def _env(one: Container) -> dict[str, str]:
    """By name; the values may be secrets, and nobody shows them."""
    pairs = (pair.partition("=") for pair in one.env)
    return {name: f"={value}" for name, _, value in pairs}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _pointers(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _pointers(value[key], f"{path}.{key}" if path else str(key))
    else:
        yield path, _text(value)


_TOLD = (
    "process.args",
    "process.env",
    "process.user",
    "process.capabilities",
    "process.noNewPrivileges",
    "process.rlimits",
    "process.apparmorProfile",
    "process.selinuxLabel",
    "root.readonly",
    "root.path",
    "mounts",
    "hooks",
    "linux.namespaces",
    "linux.resources",
    "linux.devices",
    "linux.seccomp",
    "linux.maskedPaths",
    "linux.readonlyPaths",
    "linux.sysctl",
    "linux.rootfsPropagation",
    "ociVersion",
)
"""What of config.json other aspects tell, or says nothing of a container."""


def _others(one: Container) -> dict[str, str]:
    """What no other aspect tells of, by its path of keys."""
    told = [("oci", path, text) for path, text in _pointers(one.oci)]
    told += [("runtime", path, text) for path, text in _pointers(one.runtime)]
    rest = [
        (path if kind == "oci" else f"runtime.{path}", text)
        for kind, path, text in told
        if kind == "runtime" or not any(path == known or path.startswith(f"{known}.") for known in _TOLD)
    ]
    return {path: text for path, text in rest[:_SETTINGS] if path and text not in {"{}", "[]", '""', "null"}}


def _one(text: str) -> dict[str, str]:
    return {"": text} if text else {}


def _flag(*, holds: bool, words: tuple[str, str]) -> dict[str, str]:
    return {"": words[holds]}


_KINDS = ("network", "ipc", "uts", "pid", "user")


def _namespace_danger(_key: str, value: str) -> float:
    return {"host": 2, "new": 0}.get(value, 1)


def _mount_danger(key: str, value: str) -> float:
    """By what of the host is seen and written through it; then by what counts on it (set-id programs, devices)."""
    if not value:
        return 0
    mount = _parsed(key, value)
    danger = 0.0
    if mount.is_bind:
        danger = 2 + 2 * (sensitive(mount.source) is not None)
        danger += (4 + 8 * (takeover(mount) is not None)) * mount.writable
        danger += sum(guard not in mount.options for guard in _GUARDS) / 10
    return danger


def _parsed(destination: str, text: str) -> Mount:
    """What `_mount_text` wrote."""
    head, _, options = text.rpartition(" (")
    kind, _, source = head.partition(" ")
    return Mount(destination, kind, source, tuple(options.removesuffix(")").split(",")))


def _sysctl_danger(key: str, value: str) -> float:
    row = load("sysctls")["setting"].get(key)
    return float(bool(row and value and re.fullmatch(row["values"], value)))


ASPECTS = (
    Aspect("image", (), lambda one: _one(one.image.text if one.image else "")),
    Aspect(
        "capability {}",
        ("capabilities",),
        lambda one: dict.fromkeys(one.capabilities, "held"),
        lambda _, value: bool(value),
        "Whoever takes it over can {}.",
        "Whoever takes it over can no longer {}.",
    ),
    Aspect(
        "ambient capability {}",
        ("ambient",),
        lambda one: dict.fromkeys(one.ambient, "held"),
        lambda _, value: bool(value),
        "Programs of it that are not root can {}.",
        "Programs of it that are not root can no longer {}.",
    ),
    Aspect(
        "user",
        ("uid",),
        lambda one: {"": str(one.uid)},
        lambda _, value: value == "0",
        "It runs as root.",
        "It runs as root no more.",
    ),
    Aspect("group", ("gid",), lambda one: {"": str((_process(one).get("user") or {}).get("gid") or 0)}),
    Aspect("additional group {}", ("additionalGids",), _groups),
    Aspect(
        "new privileges",
        ("noNewPrivileges",),
        lambda one: _flag(holds=one.no_new_privileges, words=("can be gained", "are refused")),
        lambda _, value: value == "can be gained",
        "Set-id programs and file capabilities count again.",
        "Set-id programs and file capabilities no longer count.",
    ),
    Aspect(
        "root filesystem",
        ("readonly",),
        lambda one: _flag(holds=one.readonly, words=("writable", "read-only")),
        lambda _, value: value == "writable",
        "Whoever takes it over can change its programs.",
        "Whoever takes it over cannot change its programs.",
    ),
    *(
        Aspect(
            f"{kind} namespace",
            ({"network": "net", "user": "userns"}.get(kind, kind),),
            lambda one, kind=kind: {"": one.namespace(kind)},  # type: ignore[misc]
            _namespace_danger,
            f"It shares more of the {kind} namespace with others.",
            f"It shares less of the {kind} namespace with others.",
        )
        for kind in _KINDS
    ),
    Aspect(
        "devices {}",
        ("devices",),
        _devices,
        lambda _, value: len(value) if value and not value.startswith("not ") else 0,
        "It may open more devices.",
        "It may open fewer devices.",
    ),
    Aspect(
        "device node {}",
        ("devices",),
        _nodes,
        lambda _, value: bool(value),
        "It has the node of one more device.",
        "It has the node of one device less.",
    ),
    Aspect(
        "seccomp",
        (),
        _seccomp,
        lambda _, value: value == "none",
        "No filter of system calls stands before the kernel.",
        "A filter of system calls stands before the kernel.",
    ),
    Aspect(
        "AppArmor profile",
        (),
        lambda one: _one(str(_process(one).get("apparmorProfile") or "")),
        lambda _, value: not value,
        "No profile confines it.",
        "A profile confines it.",
    ),
    Aspect(
        "SELinux label",
        (),
        lambda one: _one(str(_process(one).get("selinuxLabel") or "")),
        lambda _, value: not value,
        "No label confines it.",
        "A label confines it.",
    ),
    Aspect(
        "masked path {}",
        ("maskedPaths",),
        lambda one: dict.fromkeys(map(str, _linux(one).get("maskedPaths") or ()), "masked"),
        lambda _, value: not value,
        "It sees what was hidden from it.",
        "It no longer sees it.",
    ),
    Aspect(
        "read-only path {}",
        ("readonlyPaths",),
        lambda one: dict.fromkeys(map(str, _linux(one).get("readonlyPaths") or ()), "read-only"),
        lambda _, value: not value,
        "It may write what it could only read.",
        "It may only read it now.",
    ),
    Aspect(
        "limit {}",
        ("rlimits",),
        _limits,
        _limit_danger,
        "Its processes may take more from others.",
        "Its processes may take less from others.",
        Severity.LOW,
    ),
    Aspect(
        "resource {}",
        ("resources",),
        _shares,
        _share_danger,
        "It may take more from others.",
        "It may take less from others.",
        Severity.LOW,
    ),
    Aspect(
        "setting {}",
        ("sysctl",),
        lambda one: {str(key): _text(value) for key, value in (_linux(one).get("sysctl") or {}).items()},
        _sysctl_danger,
        "It gives a defence of the kernel away.",
        "It no longer gives a defence of the kernel away.",
        Severity.LOW,
    ),
    Aspect(
        MOUNTS,
        ("binds", "mounts", "tmpfs"),
        _mounts,
        _mount_danger,
        "It sees, or may write, more of the host.",
        "It sees, or may write, less of the host.",
    ),
    Aspect(
        "propagation of mounts",
        ("rootfsPropagation",),
        lambda one: _one(str(_linux(one).get("rootfsPropagation") or "")),
        lambda _, value: value.endswith("shared"),
        "What it mounts appears on the host.",
        "What it mounts no longer appears on the host.",
    ),
    Aspect(
        "hook {}",
        (),
        lambda one: {
            f"{kind} {number}": _text(hook)
            for kind, some in (one.oci.get("hooks") or {}).items()
            for number, hook in enumerate(some if isinstance(some, list) else (), 1)
        },
        lambda _, value: bool(value),
        "A program outside of the container runs as root when it starts or ends.",
        "One program less runs outside of the container when it starts or ends.",
    ),
    Aspect("command", ("command",), lambda one: _one(" ".join(one.command))),
    Aspect("variable {}", (), _env, is_hidden=True),
    Aspect("{}", (), _others),
)
"""All that is compared, in this order."""
