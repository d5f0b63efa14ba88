"""The configuration LinuxKit gives a container: its defaults, overridden by the image's label, then by the spec."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .built import from_built
from .schema import suggest
from .startup import Any, Literal, NamedTuple
from .yamlpos import shown

__all__ = [
    "CAPABILITIES",
    "Effective",
    "RefusedError",
    "Source",
    "check_volumes",
    "effective",
    "from_built",
    "numeric_id",
]

_CAPABILITY_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
    "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
CAPABILITIES = tuple(f"CAP_{name}" for name in _CAPABILITY_NAMES.split())
"""The capabilities that LinuxKit knows (github.com/moby/sys/capability), in the kernel's order."""

_LIMIT_NAMES = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
_LIMITS = frozenset(f"RLIMIT_{name}" for name in _LIMIT_NAMES.split())
_UNLIMITED = (1 << 64) - 1
_OCI_VERSION = "1.2.1"


class Source(NamedTuple):
    """Where a value came from: the layer, the key it was read from there, and the number of the item, if any."""

    layer: Literal["spec", "label", "image", "default"]
    key: str = ""
    item: int | None = None


class RefusedError(Exception):
    """LinuxKit would not build the container: `source` is the value to blame, `capability` an unknown one, or ""."""

    def __init__(self, message: str, source: Source, *, capability: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.source = source
        self.capability = capability
        self._hint = hint

    @property
    def hint(self) -> str:
        """What to write instead, or ""; looked for when it is asked for."""
        return _capability_hint(self.capability) if self.capability else self._hint

    @property
    def cure(self) -> str:
        """The capability that was meant, where only case, `-` or `CAP_` are amiss; else ""."""
        name = f"CAP_{_bare(self.capability).removeprefix('CAP_')}"
        return name if name in CAPABILITIES else ""


class Effective(NamedTuple):
    """What LinuxKit would write into config.json and runtime.json, and where each value came from.

    `sources` has the keys of Container.origins; `devices:N` counts in linux.resources.devices.
    """

    oci: Mapping[str, Any]
    runtime: Mapping[str, Any]
    sources: Mapping[str, Source]


def effective(
    spec: Mapping[str, Any],
    label: Mapping[str, Any],
    image: Mapping[str, Any],
    ids: Mapping[str, int],
) -> Effective:
    """The configuration of the container that `spec` (decoded, see schema.decode) asks for.

    An item of a list that is None is passed over: a caller can blank out what was refused and ask again.
    `label` is the image's decoded org.mobyproject.config, `image` its own configuration (Entrypoint, Cmd, Env,
    WorkingDir). `ids` are the numbers that names stand for. A volume keeps its name as the source of a bind; the image
    has /containers/volumes/NAME/merged there. Raises RefusedError where LinuxKit would stop.
    """
    return _Builder(spec, label, image, ids).build()


def check_volumes(spec: Mapping[str, Any], volumes: Mapping[str, bool]) -> Iterator[RefusedError]:
    """Why LinuxKit would not bind the volumes that a container names; `volumes` says which are read-only."""
    for i, mount in enumerate(spec.get("mounts", ())):
        first = next((option for option in mount.get("options", ()) if option in {"rw", "ro"}), "rw")
        if mount.get("type") == "bind":
            yield from _check_volume(volumes, mount.get("source", ""), Source("spec", "mounts", i), is_ro=first == "ro")
    for key in ("binds", "binds.add"):
        for i, bind in enumerate(spec.get(key, ())):
            name, *rest = bind.split(":")
            if rest:
                yield from _check_volume(volumes, name, Source("spec", key, i), is_ro=rest[1:2] == ["ro"])


def _check_volume(volumes: Mapping[str, bool], name: str, source: Source, *, is_ro: bool) -> Iterator[RefusedError]:
    if name.startswith("/"):
        return
    if name not in volumes:
        yield RefusedError(f"no volume is called '{shown(name)}'", source)
    elif volumes[name] and not is_ro:
        yield RefusedError(f"the volume '{shown(name)}' is read-only but bound writable", source, hint="append ':ro'")


def numeric_id(value: Any, ids: Mapping[str, int]) -> int:  # noqa: ANN401 - what a spec holds
    """The number that a `uid:` or `gid:` stands for. Raises ValueError with the reason."""
    if value is None:
        return 0
    if isinstance(value, str):
        if value in {"", "root"}:
            return 0
        if value not in ids:
            raise ValueError(f"'{shown(value)}' names no container")
        return ids[value]
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise ValueError("it is neither a name nor a whole number")
    return value & 0xFFFFFFFF


def octal(text: str) -> int:
    """A file mode as Go's ParseInt(text, 8, 32) reads it. Raises ValueError."""
    digits = text[1:] if text[:1] in {"+", "-"} else text
    value = int(digits, 8) if digits and len(digits) <= 64 and not set(digits) - set("01234567") else None  # noqa: PLR2004 - more digits fit no mode
    if value is None or value > (1 << 31) - (text[0] != "-"):
        raise ValueError(f"'{shown(text)}' is no octal number")
    return -value if text[0] == "-" else value


class _Builder:
    def __init__(
        self,
        spec: Mapping[str, Any],
        label: Mapping[str, Any],
        image: Mapping[str, Any],
        ids: Mapping[str, int],
    ) -> None:
        self._spec = spec
        self._label = label
        self._image = image
        self._ids = ids
        self._sources: dict[str, Source] = {}

    def build(self) -> Effective:
        """Put the parts together, in the order in which LinuxKit would meet their errors."""
        readonly = bool(self._choose("readonly", default=False))
        mounts = self._mounts(readonly=readonly)
        namespaces = self._namespaces()
        capabilities = self._capabilities()
        process = self._process(capabilities)
        oci = {
            "ociVersion": _OCI_VERSION,
            "process": process,
            "root": {"path": "rootfs", **({"readonly": True} if readonly else {})},
            "hostname": self._text("hostname"),
            "mounts": mounts,
            "annotations": self._choose("annotations", default={}),
            "linux": self._linux(namespaces),
        }
        return Effective(_present(oci), self._runtime(), self._sources)

    # --- choosing between the layers

    def _choose(self, key: str, *, default: Any) -> Any:  # noqa: ANN401 - what a spec holds
        """The spec's value where it is given, else the label's."""
        for layer, values in (("spec", self._spec), ("label", self._label)):
            if key in values:
                self._sources[key] = Source("spec" if layer == "spec" else "label", key)
                return values[key]
        return default

    def _text(self, key: str, default: str = "") -> str:
        """The same for texts, where an empty one counts as not given."""
        for layer, values in (("spec", self._spec), ("label", self._label)):
            if values.get(key):
                self._sources[key] = Source("spec" if layer == "spec" else "label", key)
                return str(values[key])
        return default

    def _items(self, key: str) -> list[tuple[Any, Source]]:
        """The items of a list, each with its source."""
        values = self._choose(key, default=[])
        layer = self._sources[key].layer if key in self._sources else "default"
        items = [(value, Source(layer, key, i)) for i, value in enumerate(values)]
        return [one for one in items if one[0] is not None or key == "additionalGids"]

    def _merged(self, key: str) -> list[tuple[str, Source]]:
        """The spec's list; else the label's followed by what `key.add` adds to it. An addition in vain is noted."""
        layers = [(Source("spec", key), self._spec)]
        if key not in self._spec:
            layers = [(Source("label", key), self._label), (Source("spec", f"{key}.add"), self._spec)]
        elif self._spec.get(f"{key}.add"):
            self._sources[f"{key}.add"] = Source("spec", f"{key}.add")
        parts = []
        for source, values in layers:
            if source.key in values:
                self._sources[key] = source
                parts += [(value, source._replace(item=i)) for i, value in enumerate(values[source.key])]
        return [one for one in parts if one[0] is not None]

    # --- mounts

    def _mounts(self, *, readonly: bool) -> list[dict[str, Any]]:
        mounts = _default_mounts(readonly=readonly)
        for text, source in self._items("tmpfs"):
            destination, *rest = text.split(":")
            if len(rest) > 1:
                raise RefusedError(f"the tmpfs '{shown(text)}' has too many ':'", source)
            self._mount(mounts, "tmpfs", source, (destination, "tmpfs", "tmpfs", rest[0].split(",") if rest else []))
        for text, source in self._merged("binds"):
            self._mount(mounts, "binds", source, _bind(text, source))
        for mount, source in self._items("mounts"):
            self._mount(mounts, "mounts", source, _mount(mount, source))
        return [mounts[destination] for destination in sorted(mounts)]

    def _mount(
        self, mounts: dict[str, dict[str, Any]], key: str, source: Source, parts: tuple[str, str, str, list[str]]
    ) -> None:
        destination, kind, origin, options = parts
        entry = {"destination": destination, "type": kind, "source": origin, "options": options}
        mounts[destination] = {name: value for name, value in entry.items() if value or name == "destination"}
        self._sources[f"{key}:{destination}"] = self._sources[f"mounts:{destination}"] = source

    # --- namespaces and capabilities

    def _namespaces(self) -> list[dict[str, str]]:
        found = []
        kinds = {"net": "network", "ipc": "ipc", "uts": "uts", "pid": "pid", "userns": "user"}
        for key, kind in kinds.items():
            path = self._text(key, "new" if key == "pid" else "root")
            if path in {"host", "root"}:
                continue
            isolates = path == "new" or (path == "none" and key == "net")
            found.append({"type": kind} if isolates else {"type": kind, "path": path})
        return [*found, {"type": "mount"}]

    def _capabilities(self) -> dict[str, list[str]]:
        held = self._capability_list(self._merged("capabilities"), "capabilities")
        ambient = self._capability_list(self._items("ambient"), "ambient")
        bounding = sorted({*held, *ambient})
        return _present(
            {
                "bounding": bounding,
                "effective": held,
                "inheritable": bounding,
                "permitted": bounding,
                "ambient": ambient,
            }
        )

    def _capability_list(self, items: Sequence[tuple[str, Source]], key: str) -> list[str]:
        """The capabilities of a list; `all` and `none` count only as its single item."""
        if len(items) == 1:
            word, source = items[0]
            special = {"none": (), "all": CAPABILITIES}.get(word.lower())
            items = items if special is None else [(one, source) for one in special]
        for name, source in items:
            if name not in CAPABILITIES:
                raise RefusedError(f"unknown capability '{shown(name)}'", source, capability=name or "''")
            self._sources.setdefault(f"{key}:{name}", source)
            self._sources.setdefault(f"capabilities:{name}", source)
        return [name for name, _ in items]

    # --- the process

    def _process(self, capabilities: dict[str, list[str]]) -> dict[str, Any]:
        rlimits = [_rlimit(text, source) for text, source in self._items("rlimits")]
        user = {"uid": self._id("uid"), "gid": self._id("gid")}
        groups = [self._numeric(value, source) for value, source in self._items("additionalGids")]
        process = {
            "user": {**user, **({"additionalGids": groups} if groups else {})},
            "args": self._command(),
            "env": self._env(),
            "cwd": self._cwd(),
            "capabilities": capabilities,
            "rlimits": rlimits,
            "noNewPrivileges": bool(self._choose("noNewPrivileges", default=False)),
        }
        score = self._choose("oomScoreAdj", default=None)
        return {**_present(process), **({} if score is None else {"oomScoreAdj": score})}

    def _id(self, key: str) -> int:
        value = self._choose(key, default=0)
        return self._numeric(value, self._sources.get(key, Source("default")))

    def _numeric(self, value: Any, source: Source) -> int:  # noqa: ANN401 - what a spec holds
        try:
            return numeric_id(value, self._ids)
        except ValueError as error:
            raise RefusedError(f"'{source.key}' cannot be resolved: {error}", source) from None

    def _command(self) -> list[str]:
        own = [*_strings(self._image.get("Entrypoint")), *_strings(self._image.get("Cmd"))]
        return list(self._choose("command", default=None) or self._of_image("command", own))

    def _env(self) -> list[str]:
        env = self._choose("env", default=None)
        values = list(self._of_image("env", _strings(self._image.get("Env"))) if env is None else env)
        if "env" in self._sources:
            layer = self._sources["env"].layer
            self._sources.update({f"env:{i}": Source(layer, "env", i) for i in range(len(values))})
        return values

    def _cwd(self) -> str:
        folder = self._image.get("WorkingDir")
        own = folder if isinstance(folder, str) and folder else ""
        return self._text("cwd") or "".join(self._of_image("cwd", [own] if own else [])) or "/"

    def _of_image(self, key: str, values: list[str]) -> list[str]:
        """What the image's own configuration says, where neither spec nor label speaks."""
        if values and key not in self._sources:
            self._sources[key] = Source("image", key)
        return [] if key in self._sources and self._sources[key].layer != "image" else values

    # --- the rest of the Linux part, and runtime.json

    def _linux(self, namespaces: list[dict[str, str]]) -> dict[str, Any]:
        resources = dict(self._choose("resources", default={}))
        own = self._sources.get("resources", Source("default"))
        rules = list(resources.get("devices", ()))
        self._sources.update({f"devices:{i}": own for i in range(len(rules))})
        devices = []
        for device, source in self._items("devices"):
            self._sources[f"devices:{len(rules)}"] = source
            rule = {"allow": True, "type": device["type"], "access": "rwm"}
            if device["path"] != "all":
                devices.append(_device(device, source))
                rule |= {"major": device["major"], "minor": device["minor"]}
            rules.append(_present(rule))
        linux = {key: self._choose(key, default=[]) for key in ("uidMappings", "gidMappings")}
        linux |= {"sysctl": self._choose("sysctl", default={}), "cgroupsPath": self._choose("cgroupsPath", default="")}
        linux |= {key: self._choose(key, default=[]) for key in ("maskedPaths", "readonlyPaths")}
        linux |= {"rootfsPropagation": self._choose("rootfsPropagation", default="")}
        resources = _present({**resources, "devices": rules})
        return {**_present({**linux, "namespaces": namespaces, "devices": devices}), "resources": resources}

    def _runtime(self) -> dict[str, Any]:
        """runtime.json: each of its keys is chosen for itself."""
        spec, label = (values.get("runtime") or {} for values in (self._spec, self._label))
        if spec or label:
            self._sources["runtime"] = Source("spec" if spec else "label", "runtime")
        kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
        bound, label_bound = spec.get("bindNS") or {}, label.get("bindNS") or {}
        runtime = {key: spec.get(key, label.get(key, [])) for key in ("cgroups", "mounts", "mkdir", "interfaces")}
        runtime["bindNS"] = {kind: bound.get(kind, label_bound.get(kind, "")) for kind in kinds}
        return {**runtime, "namespace": spec.get("namespace", label.get("namespace", ""))}


def _default_mounts(*, readonly: bool) -> dict[str, dict[str, Any]]:
    ro = ["ro"] if readonly else []
    rows = (
        ("/proc", "proc", ["nosuid", "nodev", "noexec", "relatime"]),
        ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k", *ro]),
        ("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        ("/sys", "sysfs", ["nosuid", "noexec", "nodev", *ro]),
        ("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    )
    return {path: {"destination": path, "type": kind, "source": kind, "options": opts} for path, kind, opts in rows}


def _bind(text: str, source: Source) -> tuple[str, str, str, list[str]]:
    """Destination, type, source and options of SOURCE:DESTINATION[:OPTIONS]."""
    parts = text.split(":")
    if len(parts) == 1:
        raise RefusedError(f"the bind '{shown(text)}' lacks a ':'", source, hint="write SOURCE:DESTINATION[:OPTIONS]")
    if len(parts) > 3:  # noqa: PLR2004 - source, destination, options
        raise RefusedError(
            f"the bind '{shown(text)}' has too many ':'", source, hint="write SOURCE:DESTINATION[:OPTIONS]"
        )
    options = [*parts[2].split(","), "rbind"] if parts[2:] else ["rw", "rbind", "rshared"]
    return parts[1], "bind", parts[0], options


_MOUNT_POINTS = {
    "proc": "/proc",
    "devpts": "/dev/pts",
    "sysfs": "/sys",
    "cgroup": "/sys/fs/cgroup",
    "mqueue": "/dev/mqueue",
}


def _mount(mount: Mapping[str, Any], source: Source) -> tuple[str, str, str, list[str]]:
    """The same of an entry of `mounts`, its gaps filled as LinuxKit does."""
    kind, origin, destination = (mount.get(key, "") for key in ("type", "source", "destination"))
    if not kind:
        kind = origin if origin in _MOUNT_POINTS else "tmpfs" if destination == "/dev" else ""
    if not kind:
        raise RefusedError(f"the mount on '{shown(destination)}' lacks a type", source)
    destination = destination or _MOUNT_POINTS.get(kind, "")
    if not destination:
        raise RefusedError(f"the mount of type {shown(kind)} lacks a destination", source)
    return destination, kind, origin or kind, list(mount.get("options", ()))


def _bare(capability: str) -> str:
    return capability.strip().upper().replace("-", "_")


def _capability_hint(name: str) -> str:
    bare = _bare(name)
    if bare in {"ALL", "NONE"}:
        return f"'{bare.lower()}' counts only as the single item of the list"
    return suggest("CAP_" + bare.removeprefix("CAP_"), CAPABILITIES, 0.75)


def _rlimit(text: str, source: Source) -> dict[str, Any]:
    parts = [part.strip() for part in text.split(",", 2)]
    if len(parts) != 3:  # noqa: PLR2004 - name, soft, hard
        raise RefusedError(f"cannot parse the rlimit '{shown(text)}'", source, hint="write NAME,SOFT,HARD")
    soft, hard = (_quantity(part, source) for part in parts[1:])
    name = parts[0].upper()
    name = name if name.startswith("RLIMIT_") else "RLIMIT_" + name
    if name not in _LIMITS:
        raise RefusedError(f"unknown rlimit '{shown(parts[0])}'", source)
    return {"type": name, "soft": soft, "hard": hard}


def _quantity(text: str, source: Source) -> int:
    if text.lower() == "unlimited":
        return _UNLIMITED
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > 20 or int(text) > _UNLIMITED:  # noqa: PLR2004 - digits of 2^64
        raise RefusedError(f"the rlimit's '{shown(text)}' is neither a number nor 'unlimited'", source)
    return int(text)


def _device(device: Mapping[str, Any], source: Source) -> dict[str, Any]:
    mode = device.get("mode", "")
    try:
        bits = octal(mode) & 0xFFFFFFFF
    except ValueError:
        what = f"the mode '{shown(mode)}' of {shown(device['path'])} is not octal"
        raise RefusedError(what if mode else f"the device {shown(device['path'])} lacks a mode", source) from None
    return {**{key: device[key] for key in ("path", "type", "major", "minor")}, "fileMode": bits}


def _strings(value: Any) -> list[str]:  # noqa: ANN401 - JSON of an image
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, str)]


def _present(values: dict[str, Any]) -> dict[str, Any]:
    """What JSON keeps of a Go structure: empty texts, lists, maps and false are left out, zero is not."""
    return {key: value for key, value in values.items() if value or (value == 0 and value is not False)}
