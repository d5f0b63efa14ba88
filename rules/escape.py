"""What leads from inside a container to root on a LinuxKit host: the ways that several rules speak of."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache

from ..scanner.startup import Any, Literal, NamedTuple, late
from ..scanner.subjects import Container, Mount
from .engine import Profile
from .origins import Key
from .tables import load

_NO_DISKS = frozenset({1, 2, 7, 11, 43})
"""Major numbers of block devices that hold nothing of the host: RAM disk, floppy, loop, CD-ROM, network block."""

_MEMORY = (1, 1)
"""Major and minor number of /dev/mem."""

_HOST_NAMESPACE = late(r"/proc/(1|self|thread-self)/ns/[a-z]+")
"""Paths of the namespaces that runc itself runs in: the host's."""


class Way(NamedTuple):
    """One way to root on the host, as steps that an attacker inside would take.

    `kind`: `direct` (what the container was given, put together), `told` (one grant is enough, and a rule of its own
    tells of it) or `detour` (possible, but by undoing LinuxKit's confinement step by step, or on some kernels only).
    `keys` are the values that make it possible, the deciding one first.
    """

    kind: Literal["direct", "told", "detour"]
    text: str
    keys: tuple[Key, ...]


class HostPath(NamedTuple):
    """A sensitive path of the host: an entry of host_paths.toml."""

    path: str
    reason: str = ""
    severity: str = ""
    profile: str = "regular"
    below: bool = False
    root: bool = False
    takeover: str = ""
    submounts: tuple[str, ...] = ()


def effective(container: Container) -> frozenset[str]:
    """The capabilities that a process of it holds towards the host.

    Root gains the whole bounding set when it executes a program; any other user keeps the ambient set only. In a user
    namespace of its own, capabilities count for nothing outside.
    """
    if container.namespace("user") != "host":
        return frozenset()
    return container.capabilities if container.uid == 0 else container.ambient


def is_host_root(container: Container) -> bool:
    """Whether its user is root in the eyes of the host's files and sockets.

    A user namespace of its own changes that only as far as its mappings do; those of one that it joins are not known.
    """
    users = container.namespace("user")
    return container.uid == 0 if users == "host" else users == "new" and _mapped(container) == 0


def _mapped(container: Container) -> int | None:
    """The user of the host that its user is in a user namespace of its own; None where no mapping names it."""
    for row in (container.oci.get("linux") or {}).get("uidMappings") or ():
        offset: int = container.uid - int(row.get("containerID") or 0)
        if 0 <= offset < int(row.get("size") or 0):
            return int(row.get("hostID") or 0) + offset
    return None


def shares(container: Container, kind: str) -> bool:
    """Whether its namespace of a kind (as in `Container.namespace`) is the host's, by default or by a path of /proc."""
    path = container.namespace(kind)
    return path == "host" or (path.startswith("/proc/") and _HOST_NAMESPACE.fullmatch(path) is not None)


def has_all_capabilities(container: Container) -> bool:
    """Whether its bounding set is complete: all that Linux 5.7 knew, whether or not those that came later."""
    return container.capabilities.issuperset(load("capabilities")["first"])


def runs_once(container: Container) -> bool:
    """Whether it runs once: before the first service starts, or when the machine goes down."""
    return container.section in {"onboot", "onshutdown"}


@lru_cache(maxsize=1024)  # asked for each mount by each rule: 2 ms of a cold start
def host_path(source: str) -> str:
    """The path on a running LinuxKit host that a bind's source names, its links of old resolved."""
    path = posixpath.normpath(f"/{source.lstrip('/')}") if source else ""
    return f"/run{path[len('/var/run') :]}" if f"{path}/".startswith("/var/run/") else path


def bind_key(container: Container, mount: Mount) -> Key:
    """Under which key the origin of a bind is found: `binds`, or `mounts` for one of that list."""
    key = "mounts" if f"mounts:{mount.destination}" in container.origins else "binds"
    return key, mount.destination


@lru_cache(maxsize=1024)  # every rule on mounts asks for the same few sources: half the time of linting a folder
def sensitive(source: str) -> HostPath | None:
    """The most specific entry of host_paths.toml for a bind's source; None when there is none."""
    path = host_path(source)
    above = [entry for entry in _paths() if _within(path, entry.path)]
    entry = max(above, key=lambda one: len(one.path), default=None)
    if entry is None or not entry.severity or not (entry.below or entry.path == path):
        return None
    return entry


def takeover(mount: Mount) -> HostPath | None:
    """The path for which writing through a bind is enough to be root on the host: it lies at or below such a one.

    Or above it: binfmt_misc is a filesystem of its own, which only `rbind` brings along.
    """
    return _takeover(host_path(mount.source), "rbind" in mount.options)


@lru_cache(maxsize=1024)
def _takeover(path: str, deep: bool) -> HostPath | None:  # noqa: FBT001 - positional for the cache
    entries = (entry for entry in _paths() if entry.takeover)
    return next(
        (one for one in entries if _within(path, one.path) or (deep and path and _within(one.path, path))), None
    )


def sockets(container: Container) -> Iterator[tuple[Mount, str, str]]:
    """Every bind through which a container runtime's socket is reached: the bind, the socket's path, the runtime.

    A directory above the socket is as good as the socket. One socket is named per bind, the likeliest. While the
    containers of onboot run, none is there.
    """
    for mount in container.mounts:
        if mount.is_bind and container.section != "onboot":
            found = _socket(mount.source, "rbind" in mount.options)
            if found is not None:
                yield mount, found["path"], found["runtime"]


@lru_cache(maxsize=1024)  # as above: a fifteenth of linting a folder
def _socket(source: str, deep: bool) -> Mapping[str, str] | None:  # noqa: FBT001 - positional for the cache
    return next((one for one in load("host_paths")["socket"] if _holds(host_path(source), one["path"], deep)), None)


_known: dict[int, tuple[Container, list[Way]]] = {}
"""Containers and their ways, by identity: many ask, and finding them costs more than the rest."""
_MANY = 16384


def ways(container: Container) -> list[Way]:
    """The ways to root on the host that its configuration opens, direct ones first."""
    known = _known.get(id(container))
    if known is None or known[0] is not container:
        order = {"direct": 0, "told": 1, "detour": 2}
        known = container, sorted(_ways(container), key=lambda way: order[way.kind])
        if len(_known) >= _MANY:
            _known.clear()
        _known[id(container)] = known
    return known[1]


def muted(container: Container) -> Profile | None:
    """The profile of a finding on a part of what makes a container root on the host; None: that of its rule.

    A combination speaks for its parts: where `host-root-equivalent` tells of a direct way, only auditors see them.
    What does a narrow job once is for the pedantic.
    """
    if any(way.kind == "direct" for way in ways(container)):
        return Profile.AUDITOR
    return Profile.PEDANTIC if is_setup(container) else None


def is_setup(container: Container) -> bool:
    """Whether it does a narrow job once, as LinuxKit's packages that format, mount or load modules do."""
    return runs_once(container) and not has_all_capabilities(container)


def _ways(container: Container) -> Iterator[Way]:
    held = effective(container)
    if "CAP_SYS_MODULE" in held:
        yield Way("direct", "load a kernel module of its choice (CAP_SYS_MODULE)", (_capability("CAP_SYS_MODULE"),))
    if "CAP_SYS_PTRACE" in held and (sight := _sight(container)):
        keys = (sight[1], _capability("CAP_SYS_PTRACE"))
        yield Way("direct", f"take over init, which it sees ({sight[0]}) and may trace (CAP_SYS_PTRACE)", keys)
    if is_host_root(container):
        yield from _root_ways(container, held)


def _root_ways(container: Container, held: frozenset[str]) -> Iterator[Way]:
    yield from _path_ways(container, held)
    yield from _socket_ways(container)
    if disk := _device(container, _is_disk):
        yield Way("direct", f"rewrite the disks of the host, whose nodes it gets by {disk[0]}", disk[1])
    elif "CAP_SYS_ADMIN" in held:
        text = "mount the cgroup hierarchy, leave its device filter and open any disk (CAP_SYS_ADMIN)"
        yield Way("detour", text, (_capability("CAP_SYS_ADMIN"),))
    elif (mount := cgroup_mount(container)) and (found := nodes(container)):
        text = f"leave its device filter through the cgroup hierarchy at '{mount.destination}', which it may write to "
        text += f"(cgroup v2), and open any disk, whose nodes it gets by {found[0]}"
        yield Way("detour", text, (bind_key(container, mount), found[1]))
    if "CAP_SYS_RAWIO" in held and (memory := _device(container, _is_memory)):
        text = "write to physical memory through /dev/mem, on a kernel without CONFIG_STRICT_DEVMEM (CAP_SYS_RAWIO)"
        yield Way("detour", text, (_capability("CAP_SYS_RAWIO"), *memory[1]))


def _sight(container: Container) -> tuple[str, Key] | None:
    """What shows it the host's processes, and the key of that: their namespace, or the host's own procfs."""
    if shares(container, "pid"):
        return "pid: host", ("pid", None)
    for mount in container.mounts:
        if mount.is_bind and _exposes(mount, "/proc"):
            return f"the bind of '{mount.source}'", bind_key(container, mount)
    return None


def _path_ways(container: Container, held: frozenset[str]) -> Iterator[Way]:
    binds = [mount for mount in container.mounts if mount.is_bind and mount.writable]
    for mount in binds:
        if entry := takeover(mount):
            text = f"{entry.takeover}, through the bind of '{mount.source}'"
            yield Way("told", text, (bind_key(container, mount),))
    rooted = [mount for mount in binds if (entry := sensitive(mount.source)) is not None and entry.root]
    if rooted and "CAP_SYS_ADMIN" in held:
        paths = ", ".join(f"'{mount.source}'" for mount in rooted)
        keys = (_capability("CAP_SYS_ADMIN"), *(bind_key(container, mount) for mount in rooted))
        yield Way(
            "direct", f"remount the root filesystem of the host writable (CAP_SYS_ADMIN) and change {paths}", keys
        )


def _socket_ways(container: Container) -> Iterator[Way]:
    keys: dict[str, list[Key]] = {}
    for mount, socket, runtime in sockets(container):
        text = f"ask {runtime} for a container that is root on the host, through '{socket}'"
        keys.setdefault(text, []).append(bind_key(container, mount))
    yield from (Way("told", text, tuple(found)) for text, found in keys.items())


def _capability(name: str) -> Key:
    return "capabilities", name


def _device(container: Container, test: Callable[[Mapping[str, Any]], bool]) -> tuple[str, tuple[Key, ...]] | None:
    """How it gets the node of a device that its cgroup allows and that passes a test, and which values let it."""
    if (allowed := _first(container, test)) and (found := nodes(container)):
        return found[0], (allowed, found[1])
    named = _first(container, lambda rule: node(container, rule) is not None and test(rule))
    return ("its list of devices", (named,)) if named else None


def nodes(container: Container) -> tuple[str, Key] | None:
    """How it comes by any device node: what lets it, and the key of that."""
    for mount in container.mounts:
        if mount.is_bind and host_path(mount.source) in {"/", "/dev"}:
            return f"the bind of '{mount.source}'", bind_key(container, mount)
    held = effective(container)
    found = next((name for name in ("CAP_MKNOD", "CAP_SYS_ADMIN") if name in held), None)
    return (found, _capability(found)) if found else None


def node(container: Container, rule: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The node (path, fileMode) that the runtime makes for the one device that a rule of the device cgroup is about."""
    listed = (container.oci.get("linux") or {}).get("devices") or ()
    about = device_type(rule), device_number(rule, "major"), device_number(rule, "minor")
    return next((one for one in listed if (one.get("type"), one.get("major"), one.get("minor")) == about), None)


def cgroup_mount(container: Container) -> Mount | None:
    """A mount through which it may write to the cgroup hierarchy: LinuxKit's own is read-only."""
    for mount in container.mounts:
        if mount.writable and (mount.type in {"cgroup", "cgroup2"} or (mount.is_bind and _shows_cgroups(mount))):
            return mount
    return None


def _shows_cgroups(mount: Mount) -> bool:
    """Whether a bind holds the hierarchy, which is a filesystem of its own below /sys."""
    source = host_path(mount.source)
    return _within(source, "/sys/fs/cgroup") or (source in {"/", "/sys", "/sys/fs"} and "rbind" in mount.options)


def _first(container: Container, test: Callable[[Mapping[str, Any]], bool]) -> Key | None:
    """The first rule of the device cgroup that passes a test and allows writing, as a key of the configuration."""
    return next((("devices", str(index)) for index, rule in allowed_devices(container, "w") if test(rule)), None)


def allowed_devices(container: Container, access: str) -> list[tuple[int, Mapping[str, Any]]]:
    """The rules of the device cgroup that allow one of the kinds of `access` (r, w), with their numbers.

    One that denies takes back those of its type before it.
    """
    allowed: list[tuple[int, Mapping[str, Any]]] = []
    for index, rule in enumerate(container.devices):
        if not rule.get("allow"):
            allowed = [one for one in allowed if device_type(rule) not in {"a", device_type(one[1])}]
        elif not set(access).isdisjoint(rule.get("access") or "rwm"):
            allowed.append((index, rule))
    return allowed


def _is_disk(rule: Mapping[str, Any]) -> bool:
    return device_type(rule) in {"a", "b"} and device_number(rule, "major") not in _NO_DISKS


def _is_memory(rule: Mapping[str, Any]) -> bool:
    numbers = device_number(rule, "major"), device_number(rule, "minor")
    return device_type(rule) in {"a", "c"} and all(n in {None, m} for n, m in zip(numbers, _MEMORY, strict=True))


def device_type(rule: Mapping[str, Any]) -> str:
    """`b`, `c`, or `a` for both."""
    return str(rule.get("type") or "a")


def device_number(rule: Mapping[str, Any], name: str) -> int | None:
    """A major or minor number; None stands for any."""
    value = rule.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def _within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _exposes(mount: Mount, path: str) -> bool:
    """Whether a bind holds `path`; /run and /proc are filesystems of their own: `/` has them only with `rbind`."""
    return _holds(host_path(mount.source), path, "rbind" in mount.options)


def _holds(source: str, path: str, deep: bool) -> bool:  # noqa: FBT001 - as its callers
    return bool(source) and _within(path, source) and (deep or source != "/")


@cache
def _paths() -> tuple[HostPath, ...]:
    entries = load("host_paths")["path"]
    return tuple(HostPath(**{**entry, "submounts": tuple(entry.get("submounts", ()))}) for entry in entries)
