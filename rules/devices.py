"""Family P: which devices of the host a container may use."""

from collections.abc import Iterator, Mapping

from ..scanner.startup import Any
from ..scanner.subjects import Container
from .engine import Profile, Severity, Verdict, rule
from .escape import allowed_devices, device_number, device_type, effective, is_host_root, is_setup, node, nodes, ways
from .origins import Key, absent, fail_at, unsettled
from .tables import load
from .users import in_root_group

_WRITE = 0o002
"""The permission bit that lets everyone write."""

_KINDS = {"a": "block and character", "b": "block", "c": "character"}
"""The types of devices that a rule of the device cgroup may be for, in words."""


@rule(
    "LKP011",
    "device-of-the-host",
    Severity.MEDIUM,
    "Container '{0}' has the device '{1}': it can '{2}'.",
    remedy="Drop the device; where its program is what the container is for, keep everything else out of it.",
    nist=("3.4.3",),
)
def device_of_the_host(container: Container) -> Iterator[Verdict]:
    """A container has a device through which it reaches other programs, the hardware or the host itself.

    Silent where host-root-equivalent speaks.
    """
    if ways(container):
        return
    found = False
    for index, allowed in allowed_devices(container, "rw"):
        made, row = node(container, allowed), _row(allowed)
        if made and row:
            found = True
            yield _device(container, index, made, row)
    if not found:
        yield from _without(container)


def _row(allowed: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The entry of devices.toml for one device; the more exact one counts."""
    numbers = device_number(allowed, "major"), device_number(allowed, "minor")
    rows: list[Mapping[str, Any]] = [one for one in load("devices")["device"] if one["type"] == device_type(allowed)]
    for wanted in (numbers, (numbers[0], None)):
        for one in rows:
            if (one["major"], one.get("minor")) == wanted:
                return one
    return None


def _device(container: Container, index: int, made: Mapping[str, Any], row: Mapping[str, Any]) -> Verdict:
    path = str(made.get("path"))
    hurdles = _hurdles(container, made, row)
    return fail_at(
        container,
        (("devices", str(index)),),
        path,
        row["gain"],
        severity=Severity.LOW if hurdles else Severity[row["severity"].upper()],
        profile=_profile(container, quiet=bool(hurdles) or row.get("profile") == "pedantic"),
        evidence=hurdles,
        key=path,
    )


def _hurdles(container: Container, made: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, ...]:
    """Why it cannot open the device as it is configured."""
    found = []
    if "needs" in row and row["needs"] not in effective(container):
        found.append(f"The kernel asks for {row['needs']} to open it, which the container does not hold.")
    if container.uid and not int(made.get("fileMode") or 0) & (0o066 if in_root_group(container) else 0o006):
        found.append(f"Its user is not root (uid {container.uid}), and the node's mode does not let it open the node.")
    return tuple(found)


@rule(
    "LKP012",
    "every-device",
    Severity.HIGH,
    {
        "default": "Container '{0}' may use every '{1}' device of the host, whose nodes it gets by '{2}'.",
        "latent": "Container '{0}' is allowed every '{1}' device of the host, though it has no way to a node of one.",
    },
    remedy="List the devices that it needs, each with its path, type, major and minor.",
    nist=("3.4.3",),
)
def every_device(container: Container) -> Iterator[Verdict]:
    """A container is allowed all devices of a type: `path: all`, beside which LinuxKit ignores major and minor.

    Silent where host-root-equivalent speaks, as it does for block devices with nodes.
    """
    if ways(container):
        return
    all_of = [(index, one) for index, one in allowed_devices(container, "rw") if _is_kind(one)]
    for index, allowed in all_of:
        yield _every(container, index, device_type(allowed))
    if not all_of:
        yield from _without(container)


def _is_kind(allowed: Mapping[str, Any]) -> bool:
    """Whether it is a whole type; runc refuses types that the kernel does not know."""
    return device_number(allowed, "major") is None and device_type(allowed) in _KINDS


def _every(container: Container, index: int, kind: str) -> Verdict:
    key: Key = ("devices", str(index))
    found = nodes(container)
    if not found:
        quiet = _profile(container, quiet=True)
        return fail_at(
            container, (key,), _KINDS[kind], variant="latent", severity=Severity.LOW, profile=quiet, key=kind
        )
    doubt = f"Its user is not root on the host (uid {container.uid}): the modes of the nodes decide."
    root = is_host_root(container)
    return fail_at(
        container,
        (key, found[1]),
        _KINDS[kind],
        found[0].replace("'", ""),
        severity=None if root else Severity.LOW,
        profile=_profile(container, quiet=not root),
        evidence=() if root else (doubt,),
        key=kind,
    )


@rule(
    "LKP013",
    "world-writable-device",
    Severity.LOW,
    "Container '{0}' has devices that each of its users may write to: '{1}'.",
    remedy='Set the device\'s \'mode\' to "0600", or "0660" for a group.',
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
)
def world_writable_device(container: Container) -> Iterator[Verdict]:
    """The node of a device is writable for all users of a container.

    Devices that are so everywhere (null, zero, tty …) are left out. Silent where host-root-equivalent speaks.
    """
    if ways(container):
        return
    found = [(index, str(made.get("path"))) for index, made in _nodes(container) if _is_open(made)]
    if found:
        keys = tuple(("devices", str(index)) for index, _ in found)
        paths = [path for _, path in found]
        yield fail_at(container, keys, ", ".join(paths), members=paths)
    else:
        yield from _without(container)


def _nodes(container: Container) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, allowed in allowed_devices(container, "w"):
        made = node(container, allowed)
        if made is not None:
            yield index, made


def _is_open(made: Mapping[str, Any]) -> bool:
    numbers = [made.get("major"), made.get("minor")]
    harmless = made.get("type") == "c" and numbers in load("devices")["harmless"]
    return bool(int(made.get("fileMode") or 0) & _WRITE) and not harmless


def _without(container: Container) -> Iterator[Verdict]:
    """What to say where no device was found to tell of."""
    if container.devices:
        yield from unsettled(container, "devices", "resources")
    else:
        yield absent(container, "It is allowed no devices.", "devices", "resources")


def _profile(container: Container, *, quiet: bool) -> Profile | None:
    return Profile.PEDANTIC if quiet or is_setup(container) else None


RULES = (device_of_the_host, every_device, world_writable_device)
