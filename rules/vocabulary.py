"""The vocabulary of own rules: what each kind of subject offers to a condition, as `tables/vocabulary.toml` says."""

from collections.abc import Callable, Collection, Mapping

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import (
    Binary,
    Container,
    File,
    ImageReference,
    Kernel,
    KernelCommandLine,
    Spec,
    Sysctl,
)
from .origins import open_question
from .tables import load


class Kind(NamedTuple):
    """A kind of subject: its type, the values of all its fields, and a title that survives moved lines."""

    subject: type
    values: Callable[[Any], dict[str, Any]]
    title: Callable[[Any], str]


def types(kind: str) -> Mapping[str, str]:
    """The fields of a kind of subject, each with its type in CEL."""
    return {name: field["type"] for name, field in load("vocabulary")[kind]["fields"].items()}


def unknown(subject: object, kind: str, fields: Collection[str]) -> str:
    """Why one of the fields of a subject is not known, as a sentence; or ""."""
    if isinstance(subject, Kernel) and subject.config is None and "config" in fields:
        return "The configuration of the kernel is not known."
    if isinstance(subject, Sysctl) and subject.settings is None:
        return "The content of the file is not known."
    if isinstance(subject, Container):
        table = load("vocabulary")[kind]["fields"]
        keys = dict.fromkeys(key for name in fields for key in table[name].get("keys", ()))
        return open_question(subject, *keys) if keys else ""
    return ""


def _container(one: Container) -> dict[str, Any]:
    fields = load("vocabulary")["container"]["fields"].values()
    keys = dict.fromkeys(key for field in fields for key in field.get("keys", ()))
    user = (one.oci.get("process") or {}).get("user") or {}
    sysctls = (one.oci.get("linux") or {}).get("sysctl") or {}
    mounts = [
        {**mount._asdict(), "options": list(mount.options), "bind": mount.is_bind, "writable": mount.writable}
        for mount in one.mounts
    ]
    return {
        "name": one.name,
        "section": one.section,
        "image": one.image.text if one.image else "",
        "label": one.label.kind,
        "capabilities": sorted(one.capabilities),
        "ambient": sorted(one.ambient),
        "uid": one.uid,
        "gid": int(user.get("gid") or 0),
        "readonly": one.readonly,
        "no_new_privileges": one.no_new_privileges,
        "pid": one.namespace("pid"),
        "net": one.namespace("network"),
        "ipc": one.namespace("ipc"),
        "uts": one.namespace("uts"),
        "userns": one.namespace("user"),
        "binds": [mount for mount in mounts if mount["bind"] and _is_of_binds(one, mount["destination"])],
        "mounts": mounts,
        "env": [text.partition("=")[0] for text in one.env],
        "command": list(one.command),
        "devices": [
            {
                "type": device.get("type") or "a",
                "major": device.get("major", -1),
                "minor": device.get("minor", -1),
                "access": device.get("access") or "",
            }
            for device in one.devices
            if device.get("allow", True)
        ],
        "sysctls": {str(name): str(value) for name, value in sysctls.items()},
        "origins": {key: one.origin(key).source for key in keys},
    }


def _is_of_binds(one: Container, destination: str) -> bool:
    """Whether a bind comes from the key `binds`, not from `mounts`; a built image does not tell them apart."""
    return one.label.kind == "built" or f"binds:{destination}" in one.origins


def _image(one: ImageReference) -> dict[str, Any]:
    return {
        "text": one.text,
        "name": one.name,
        "registry": one.registry,
        "tag": one.tag,
        "digest": one.digest,
        "kind": one.kind,
        "role": one.role,
    }


def _file(one: File) -> dict[str, Any]:
    return {
        "path": one.path,
        "kind": one.kind,
        "mode": f"{one.mode:04o}",
        "setuid": bool(one.mode & 0o4000),
        "setgid": bool(one.mode & 0o2000),
        "world_writable": bool(one.mode & 0o0002),
        "uid": one.uid,
        "gid": one.gid,
        "size": one.size,
        "target": one.target,
        "container": one.container,
    }


def _binary(one: Binary) -> dict[str, Any]:
    return {
        "path": one.file.path,
        "machine": one.machine,
        "bits": one.bits,
        "kind": one.kind,
        "interpreter": one.interpreter,
        "needed": list(one.needed),
        "relro": one.relro,
        "nx": one.nx,
        "rwx": list(one.rwx),
        "textrel": one.textrel,
        "answers": dict(one.answers),
        "made": one.made,
        "libc": one.libc,
        "search": list(one.search),
        "copies": [file.path for file in one.copies],
    }


def _kernel(one: Kernel) -> dict[str, Any]:
    return {"version": one.version, "arch": one.arch, "format": one.format, "config": dict(one.config or {})}


def _cmdline(one: KernelCommandLine) -> dict[str, Any]:
    return {"text": one.text, "arguments": {name: value or "" for name, value in one.arguments}}


def _sysctl(one: Sysctl) -> dict[str, Any]:
    return {"settings": {name: value for name, value, _ in one.settings or ()}}


def _spec(one: Spec) -> dict[str, Any]:
    return {"kind": one.kind, "sections": list(one.sections)}


KINDS: Mapping[str, Kind] = {
    "container": Kind(Container, _container, lambda one: str(one.title)),
    "image": Kind(ImageReference, _image, lambda one: f"{one.role}:{one.name}"),
    "file": Kind(File, _file, lambda one: str(one.path)),
    "binary": Kind(Binary, _binary, lambda one: str(one.file.path)),
    "kernel": Kind(Kernel, _kernel, lambda _: "kernel"),
    "cmdline": Kind(KernelCommandLine, _cmdline, lambda _: "kernel command line"),
    "sysctl": Kind(Sysctl, _sysctl, lambda one: str(one.place.artifacts[-1])),
    "spec": Kind(Spec, _spec, lambda one: str(one.kind)),
}
"""The kinds, by the name that a configuration calls them."""
