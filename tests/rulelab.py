"""Subjects for rule tests: a container or a file in one line, and what a rule says of it."""

from lkscan.rules.engine import Engine, Finding, Outcome, Rule
from lkscan.scanner.references import full_name
from lkscan.scanner.subjects import (
    Binary,
    Container,
    File,
    ImageReference,
    Label,
    Origin,
    Place,
    Rootfs,
    Span,
    Spec,
    Subject,
    Violation,
)

SPEC = Place(("linuxkit.yml",), Span(3, 5, 3, 9), "services[0]")
"""Where the things made here are, unless told otherwise."""

LINUXKIT_MOUNTS = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "nodev", "noexec", "relatime"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev"]},
)
"""What every container gets from LinuxKit and rules may look at."""


def place(line: int, pointer: str = "") -> Place:
    """A line of the spec."""
    return Place(("linuxkit.yml",), Span(line, 1, line, 2), pointer)


def bind(text: str) -> dict:
    """A bind as LinuxKit reads it: `/run:/run` or `/etc:/etc:ro`."""
    source, destination, *options = text.split(":")
    given = [*options[0].split(","), "rbind"] if options else ["rw", "rbind", "rshared"]
    return {"destination": destination, "type": "bind", "source": source, "options": given}


def container(
    *,
    name: str = "app",
    section: str = "services",
    index: int = 0,
    capabilities: tuple[str, ...] | list[str] = (),
    effective: tuple[str, ...] | list[str] | None = None,
    ambient: tuple[str, ...] | list[str] = (),
    pid: str = "new",
    net: str = "host",
    ipc: str = "host",
    uts: str = "host",
    user: str = "host",
    uid_mappings: tuple[dict, ...] | list[dict] = (),
    binds: tuple[str, ...] | list[str] = (),
    mounts: tuple[dict, ...] | list[dict] = (),
    devices: tuple[dict, ...] | list[dict] = (),
    nodes: tuple[dict, ...] | list[dict] = (),
    env: tuple[str, ...] | list[str] = (),
    command: tuple[str, ...] | list[str] = (),
    uid: int = 0,
    gid: int = 0,
    groups: tuple[int, ...] | list[int] = (),
    rlimits: tuple[dict, ...] | list[dict] = (),
    oom: int | None = None,
    resources: dict | None = None,
    cgroup: str = "",
    readonly: bool = False,
    no_new_privileges: bool = False,
    readonly_paths: tuple[str, ...] | list[str] = (),
    masked_paths: tuple[str, ...] | list[str] = (),
    runtime: dict | None = None,
    image: ImageReference | None = None,
    label: str | Label = "exact",
    origins: dict[str, Origin] | None = None,
    at: Place = SPEC,
    error: str = "",
    restated: dict[str, Place] | None = None,
) -> Container:
    """A container as LinuxKit would configure it, its defaults included.

    `binds` are texts as in a spec, `mounts` OCI mounts; `devices` is the device cgroup's allow list, `nodes` the
    device nodes that the runtime makes. `pid`, `net`, `ipc`, `uts`, `user` are `host`, `new` or a path.
    """
    namespaces = [
        {"type": kind, **({"path": path} if path != "new" else {})}
        for kind, path in (("pid", pid), ("network", net), ("ipc", ipc), ("uts", uts), ("user", user))
        if path != "host"
    ]
    bounding = sorted({*capabilities, *ambient})
    made = {m["destination"]: m for m in (*LINUXKIT_MOUNTS, *map(bind, binds), *mounts)}
    oci = {
        "process": {
            "user": {"uid": uid, "gid": gid, "additionalGids": list(groups)},
            "args": list(command),
            "env": list(env),
            "capabilities": {
                "bounding": bounding,
                "inheritable": bounding,
                "permitted": bounding,
                "effective": list(capabilities if effective is None else effective),
                "ambient": list(ambient),
            },
            "noNewPrivileges": no_new_privileges,
            "rlimits": list(rlimits),
            **({} if oom is None else {"oomScoreAdj": oom}),
        },
        "root": {"path": "rootfs", "readonly": readonly},
        "mounts": [made[destination] for destination in sorted(made)],
        "linux": {
            "namespaces": [*namespaces, {"type": "mount"}],
            "uidMappings": list(uid_mappings),
            "cgroupsPath": cgroup,
            "resources": {"devices": list(devices), **(resources or {})},
            "devices": list(nodes),
            "readonlyPaths": list(readonly_paths),
            "maskedPaths": list(masked_paths),
        },
    }
    known = Label(label) if isinstance(label, str) else label
    return Container(name, section, index, at, image, known, oci, runtime or {}, origins or {}, error, restated or {})


def file(
    path: str = "etc/motd",
    content: bytes | None = b"",
    *,
    kind: str = "file",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    size: int | None = None,
    at: Place | None = None,
    target: str = "",
    xattrs: dict[str, bytes] | None = None,
    source: str = "",
    location: str = "",
) -> File:
    """A file of an image, or with `at` one of a spec; `content` None stands for a content that is not known."""
    read = None if content is None else (lambda limit: content[:limit])
    length = len(content or b"") if size is None else size
    where = at or Place(("image.iso", path))
    return File(path, kind, mode, uid, gid, length, where, target, xattrs or {}, source, location, read)


ANSWERS = {
    **dict.fromkeys(("canary", "fortify", "cet", "bind_now", "stack_clash", "separate_code", "stripped"), "yes"),
    **dict.fromkeys(("cfi", "safestack", "sanitizer", "packed"), "no"),
    **dict.fromkeys(("ibt", "shstk"), "yes"),
    **dict.fromkeys(("bti", "pac"), "na"),
}
"""Those on an ELF executable for x86-64 that lacks nothing."""


def rootfs(container: str = "", **facts) -> Rootfs:
    """A root file system of an image; `facts` are the fields of Rootfs to set."""
    outer = ("image.iso", f"containers/{container}/rootfs") if container else ("image.iso",)
    plain = {"files": 1, "tops": frozenset({"bin", "etc"}), "texts": {}}
    return Rootfs(Place(outer), container, **{**plain, **facts})


def binary(path: str = "bin/app", *, mode: int = 0o755, **facts) -> Binary:
    """An ELF executable that lacks nothing; `facts` are the fields of Binary to set otherwise."""
    hardened = {
        "machine": "x86_64",
        "bits": 64,
        "kind": "pie",
        "interpreter": "/lib/ld-musl-x86_64.so.1",
        "needed": (),
        "relro": "full",
        "nx": "yes",
        "rwx": (),
        "textrel": False,
        "evidence": {},
        "answers": {**ANSWERS, **facts.pop("answers", {})},
    }
    return Binary(file(path, b"\x7fELF", mode=mode), **{**hardened, **facts})


def image(text: str, kind: str, *, role: str = "services", at: Place = SPEC) -> ImageReference:
    """A reference to an image; `kind` as in ImageReference."""
    rest, _, digest = text.partition("@")
    head, _, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    whole = f"{head}/{name}" if head else name
    repository = "" if kind in {"placeholder", "package"} else full_name(whole)
    return ImageReference(text, whole, tag, digest, kind, role, at, repository)


def spec(
    *violations: Violation,
    sections: dict[str, Place] | None = None,
    kind: str = "spec",
    value: dict | None = None,
    ignored: Place | None = None,
) -> Spec:
    """A spec as a whole; `value` is what it says, every line of it at the same place."""
    return Spec(SPEC, kind, "", sections or {}, violations, value or {}, None, ignored)


def fires(rule: Rule, subject: Subject) -> list[Finding]:
    """The findings FAIL of a rule on one subject; falsy when it stays silent or says anything else."""
    return [finding for finding in Engine([rule]).judge(subject) if finding.outcome is Outcome.FAIL]


def outcomes(rule: Rule, subject: Subject) -> set[Outcome]:
    """All that a rule says of one subject; nothing said is a pass."""
    judge = Engine([rule])
    list(judge.judge(subject))
    assert not judge.broken
    return {outcome for _, outcome in judge.tally}
