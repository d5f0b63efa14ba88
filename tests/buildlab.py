"""Assembles images from a spec as `linuxkit build` does, step by step after its code, without any of lkscan's.

What it writes into config.json and runtime.json is written down here, container by container, as LinuxKit computes it.
"""

import io
import json
import os
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import elflab
import outputlab
from debianlab import unpack
from imagelab import Item, newc
from outputlab import COMMAND_LINE, run

INIT = "linuxkit/init:b5506cc74a6812dc40982cacfd2f4328f8a4b12a"
RUNC = "linuxkit/runc:9442aa234715e751a16144f1d4ae3fd1a00fd492"
SYSCTL = "linuxkit/sysctl:43ac1d39da329c3567fcb9689e5ca99de6d169b6"
DHCPCD = "linuxkit/dhcpcd:b87e9ececac55a65eaa592f4dd8b4e0c3009afdb"
GETTY = "linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0"
WEB = "example/web:1.0"
KERNEL = "linuxkit/kernel:6.12.59"
BUSYBOX = "busybox:1.36"

SPEC = f"""kernel:
  image: {KERNEL}
  cmdline: "{COMMAND_LINE}"
init:
  - {INIT}
  - {RUNC}
onboot:
  - name: sysctl
    image: {SYSCTL}
  - name: dhcpcd
    image: {DHCPCD}
    command: ["/sbin/dhcpcd", "-1"]
onshutdown:
  - name: bye
    image: {BUSYBOX}
    command: ["/bin/echo", "bye"]
services:
  - name: getty
    image: {GETTY}
    env:
      - INSECURE=true
  - name: web
    image: {WEB}
    capabilities.add:
      - CAP_CHOWN
    binds.add:
      - data:/data
    tmpfs:
      - /tmp:size=1M
    readonly: true
    net: new
    uid: web
    sysctl:
      net.core.somaxconn: "64"
    rlimits:
      - nofile,64,128
    runtime:
      mkdir: ["/var/lib/web"]
      bindNS:
        net: /run/netns/web
  - name: web-again
    image: {WEB}
    pid: host
    oomScoreAdj: 100
    noNewPrivileges: true
volumes:
  - name: data
files:
  - path: etc/motd
    contents: "hello\\n"
    mode: "0644"
  - path: etc/web/web.conf
    contents: "listen 80\\n"
    mode: "0640"
    uid: web
    gid: 7
  - path: var/lib/agent
    directory: true
    mode: "0755"
  - path: etc/banner
    source: banner.txt
    mode: "0644"
  - path: etc/current
    symlink: web/web.conf
  - path: etc/linuxkit.yml
    metadata: yaml
"""
BANNER = b"a banner\n"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# --- the images that the spec names


class Entry(NamedTuple):
    """An entry of a tar, with LinuxKit's records; `data` of a link is its target."""

    path: str
    data: bytes = b""
    kind: str = "file"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    source: str = ""
    location: str = ""


class Image(NamedTuple):
    """A container image: its configuration as in the OCI image specification, and its tree."""

    config: dict
    files: tuple[Entry, ...] = ()


def full(reference: str) -> str:
    """As LinuxKit expands it."""
    return f"docker.io/{reference}" if "/" in reference else f"docker.io/library/{reference}"


def label(value: dict) -> dict:
    return {"org.mobyproject.config": json.dumps(value)}


GETTY_LABEL = {
    "binds": [
        "/etc/resolv.conf:/etc/resolv.conf",
        "/run:/run",
        "/tmp:/tmp",
        "/etc:/hostroot/etc",
        "/usr/bin/ctr:/usr/bin/ctr",
        "/usr/bin/runc:/usr/bin/runc",
        "/containers:/containers",
        "/var/log:/var/log",
        "/var/lib/containerd:/var/lib/containerd",
        "/dev:/dev",
        "/sys:/sys",
    ],
    "capabilities": ["all"],
    "devices": [
        {"path": "/dev/console", "type": "c", "major": 5, "minor": 1, "mode": "0666"},
        {"path": "/dev/tty0", "type": "c", "major": 4, "minor": 0, "mode": "0666"},
        {"path": "/dev/ttyS0", "type": "c", "major": 4, "minor": 64, "mode": "0666"},
        {"path": "/dev/ttyAMA0", "type": "c", "major": 204, "minor": 64, "mode": "0666"},
        {"path": "/dev/hvc0", "type": "c", "major": 229, "minor": 0, "mode": "0666"},
    ],
    "net": "host",
    "pid": "host",
}


def images(folder: Path | None = None) -> dict[str, Image]:
    """All of them, by full reference. With Debian's programs where there is a `folder` to unpack them in."""
    busybox, runc = b"busybox of nobody", b"runc of nobody"
    if folder:
        busybox = (unpack("busybox-static", folder) / "bin/busybox").read_bytes()
        runc = (unpack("runc", folder) / "usr/sbin/runc").read_bytes()
    shell = (Entry("bin/busybox", busybox, mode=0o755), Entry("bin/sh", b"busybox", "symlink", 0o777))
    script = b"#!/bin/sh\nexec /bin/busybox\n"
    settings = b"kernel.kptr_restrict = 2\n"
    web = (
        Entry("bin/web", busybox, mode=0o755),
        Entry("srv", kind="dir", mode=0o755, uid=33, gid=33),
        Entry("srv/index.html", b"<p>hello", uid=33, gid=33),
        Entry("etc/hosts", b"of docker", mode=0o644),
        Entry("etc/hostname", b"of docker"),
        Entry("bin/copy", b"bin/web", "hardlink"),
    )
    init = (
        Entry("init", script, mode=0o755),
        Entry("bin/rc.init", script, mode=0o755),
        *shell,
        Entry("etc/init.d/010-start", script, mode=0o755),
        Entry("etc/motd", b"of init"),
        Entry("lib/apk/db/installed", b"P:init\n"),
    )
    made = {
        KERNEL: Image({}, (Entry("kernel", kernel(), mode=0o644), Entry("kernel.tar", modules(), mode=0o644))),
        INIT: Image({"Cmd": ["/bin/sh"], "Env": [PATH]}, init),
        RUNC: Image({}, (Entry("usr/bin/runc", runc, mode=0o755), Entry("lib/apk/db/installed", b"P:runc\n"))),
        SYSCTL: Image(
            {
                "Cmd": ["/usr/bin/sysctl", "--system"],
                "Env": [PATH],
                "Labels": label({"capabilities": ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"], "pid": "host", "readonly": True}),
            },
            (Entry("usr/bin/sysctl", busybox, mode=0o755), Entry("etc/sysctl.d/00-linuxkit.conf", settings)),
        ),
        DHCPCD: Image(
            {
                "Entrypoint": ["/sbin/tini"],
                "Env": [PATH],
                "Labels": label(
                    {
                        "binds": ["/run/resolvconf:/etc"],
                        "capabilities": ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_ADMIN"],
                    }
                ),
            },
            (Entry("sbin/dhcpcd", busybox, mode=0o755),),
        ),
        BUSYBOX: Image({"Cmd": ["sh"], "Env": [PATH]}, (Entry("bin/echo", busybox, mode=0o755),)),
        GETTY: Image(
            {"Cmd": ["/usr/bin/rungetty.sh"], "Env": [PATH], "Labels": label(GETTY_LABEL)},
            (Entry("usr/bin/rungetty.sh", b"#!/bin/sh\n", mode=0o755), *shell),
        ),
        WEB: Image(
            {
                "Entrypoint": ["/bin/web"],
                "Cmd": ["-v"],
                "Env": [PATH, "LEVEL=2"],
                "WorkingDir": "/srv",
                "Labels": label(
                    {"capabilities": ["CAP_NET_BIND_SERVICE"], "binds": ["/run:/run"], "maskedPaths": ["/proc/keys"]}
                ),
            },
            web,
        ),
    }
    return {full(name): image for name, image in made.items()}


CONFIG = b"# Linux/x86 6.12.59 Kernel Configuration\nCONFIG_64BIT=y\nCONFIG_X86_64=y\n# CONFIG_MODULE_SIG is not set\n"


def kernel(version: str = "6.12.59") -> bytes:
    """A bzImage of a release of LinuxKit's."""
    banner = elflab.BANNER.replace(b"6.12.1-lab", f"{version}-linuxkit".encode())
    config = CONFIG.replace(b"6.12.59", version.encode())
    release = f"{version}-linuxkit (a@b) #1".encode()
    return elflab.bzimage(elflab.packed(elflab.vmlinux(config, banner), "gzip"), release=release)


def modules() -> bytes:
    """A kernel.tar."""
    return archive([Entry("lib/modules/6.12.59-linuxkit/modules.order", b"kernel/a.ko\n")])


# --- what LinuxKit makes of the containers

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
    "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
ALL = tuple(f"CAP_{name}" for name in _NAMES.split())


def mounts(*more: tuple[str, str, str, list[str]], readonly: bool = False) -> list[dict]:
    """LinuxKit's five, and those of the container, sorted by where they go."""
    ro = ["ro"] if readonly else []
    rows = [
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k", *ro]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        ("/proc", "proc", "proc", ["nosuid", "nodev", "noexec", "relatime"]),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", *ro]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
    made = {row[0]: row for row in (*rows, *more)}
    keys = ("destination", "type", "source", "options")
    return [dict(zip(keys, made[where], strict=True)) for where in sorted(made)]


def bound(source: str, target: str) -> tuple[str, str, str, list[str]]:
    return target, "bind", source, ["rw", "rbind", "rshared"]


def process(args: list[str], env: list[str], held: list[str], cwd: str = "/", uid: int = 0, **more: object) -> dict:
    sets = {"bounding": sorted(held), "effective": held, "inheritable": sorted(held), "permitted": sorted(held)}
    start = {"user": {"uid": uid, "gid": 0}, "args": args, "env": env, "cwd": cwd}
    return {**start, **({"capabilities": sets} if held else {"capabilities": {}}), **more}


DEVICES = (
    (5, 1, "/dev/console"),
    (4, 0, "/dev/tty0"),
    (4, 64, "/dev/ttyS0"),
    (204, 64, "/dev/ttyAMA0"),
    (229, 0, "/dev/hvc0"),
)
CONFIGS = {
    "onboot/sysctl": {
        "ociVersion": "1.2.1",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/usr/bin/sysctl", "--system"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"],
                "effective": ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"],
                "inheritable": ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"],
                "permitted": ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"],
            },
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k", "ro"],
            },
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            },
            {
                "destination": "/proc",
                "type": "proc",
                "source": "proc",
                "options": ["nosuid", "nodev", "noexec", "relatime"],
            },
            {
                "destination": "/sys",
                "type": "sysfs",
                "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"],
            },
            {
                "destination": "/sys/fs/cgroup",
                "type": "cgroup",
                "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
            },
        ],
        "linux": {"resources": {}, "namespaces": [{"type": "mount"}]},
    },
    "onboot/dhcpcd": {
        "ociVersion": "1.2.1",
        "process": process(
            ["/sbin/dhcpcd", "-1"], [PATH], ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_ADMIN"]
        ),
        "root": {"path": "rootfs"},
        "mounts": mounts(bound("/run/resolvconf", "/etc")),
        "linux": {"resources": {}, "namespaces": [{"type": "pid"}, {"type": "mount"}]},
    },
    "onshutdown/bye": {
        "ociVersion": "1.2.1",
        "process": process(["/bin/echo", "bye"], [PATH], []),
        "root": {"path": "rootfs"},
        "mounts": mounts(),
        "linux": {"resources": {}, "namespaces": [{"type": "pid"}, {"type": "mount"}]},
    },
    "services/getty": {
        "ociVersion": "1.2.1",
        "process": process(["/usr/bin/rungetty.sh"], ["INSECURE=true"], list(ALL)),
        "root": {"path": "rootfs"},
        "mounts": mounts(*(bound(*one.split(":")) for one in GETTY_LABEL["binds"])),
        "linux": {
            "resources": {
                "devices": [
                    {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
                    for major, minor, _ in DEVICES
                ]
            },
            "namespaces": [{"type": "mount"}],
            "devices": [
                {"path": path, "type": "c", "major": major, "minor": minor, "fileMode": 0o666}
                for major, minor, path in DEVICES
            ],
        },
    },
    "services/web": {
        "ociVersion": "1.2.1",
        "process": {
            "user": {"uid": 104, "gid": 0},
            "args": ["/bin/web", "-v"],
            "env": [PATH, "LEVEL=2"],
            "cwd": "/srv",
            "capabilities": {
                "bounding": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
                "effective": ["CAP_NET_BIND_SERVICE", "CAP_CHOWN"],
                "inheritable": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
                "permitted": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 128, "soft": 64}],
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": mounts(
            bound("/run", "/run"),
            bound("/containers/volumes/data/merged", "/data"),
            ("/tmp", "tmpfs", "tmpfs", ["size=1M"]),
            readonly=True,
        ),
        "linux": {
            "sysctl": {"net.core.somaxconn": "64"},
            "resources": {},
            "namespaces": [{"type": "network"}, {"type": "pid"}, {"type": "mount"}],
            "maskedPaths": ["/proc/keys"],
        },
    },
    "services/web-again": {
        "ociVersion": "1.2.1",
        "process": process(
            ["/bin/web", "-v"],
            [PATH, "LEVEL=2"],
            ["CAP_NET_BIND_SERVICE"],
            "/srv",
            noNewPrivileges=True,
            oomScoreAdj=100,
        ),
        "root": {"path": "rootfs"},
        "mounts": mounts(bound("/run", "/run")),
        "linux": {"resources": {}, "namespaces": [{"type": "mount"}], "maskedPaths": ["/proc/keys"]},
    },
}
NO_NAMESPACES = dict.fromkeys(("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"), "")
NOTHING = {"cgroups": [], "mounts": [], "mkdir": [], "interfaces": [], "bindNS": NO_NAMESPACES, "namespace": ""}
RUNTIMES = {
    "services/web": {**NOTHING, "mkdir": ["/var/lib/web"], "bindNS": {**NO_NAMESPACES, "net": "/run/netns/web"}},
}
PLACES = (
    ("onboot", 0, "sysctl", SYSCTL),
    ("onboot", 1, "dhcpcd", DHCPCD),
    ("onshutdown", 0, "bye", BUSYBOX),
    ("services", 0, "getty", GETTY),
    ("services", 1, "web", WEB),
    ("services", 2, "web-again", WEB),
)
FILES = (
    ("etc/motd", "file", 0o644, 0, 0, b"hello\n"),
    ("etc/web/web.conf", "file", 0o640, 104, 7, b"listen 80\n"),
    ("var/lib/agent", "dir", 0o755, 0, 0, b""),
    ("etc/banner", "file", 0o644, 0, 0, BANNER),
    ("etc/current", "symlink", 0o600, 0, 0, b"web/web.conf"),
    ("etc/linuxkit.yml", "file", 0o600, 0, 0, b""),
)
"""What `files` asks for; the last is the spec itself."""

# --- the build (src/cmd/linuxkit/moby/build/build.go and image.go)

_EXCLUDED = {".dockerenv", "Dockerfile", "dev/console", "dev/pts", "dev/shm", "etc/hostname"}
_HOSTS = b"""127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
_REPLACED = {"etc/hosts": _HOSTS, "etc/resolv.conf": b"\n# no resolv.conf configured\n"}
_TOUCHED = ("dev", "dev/pts", "dev/shm", "etc", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys")
_RESOLV = b"/run/resolvconf/resolv.conf"


def build(spec: str = SPEC, made: dict[str, Image] | None = None, files: tuple = FILES) -> list[Entry]:
    """All entries of the tar that LinuxKit makes first, in its order."""
    known = made or images()
    return [
        *_kernel(known),
        *_tree(known, INIT, "init[0]", "", resolv=True),
        *_tree(known, RUNC, "init[1]", "", resolv=True),
        Entry("lib/apk/db/installed", b"P:init\n\n\nP:runc\n\n\n", source="LINUXKIT.apkinit", location="init"),
        *_prefix("containers/volumes/data/lower", "empty", "volume[0]"),
        *(
            Entry(f"containers/volumes/data/{part}", b"", "dir", 0o755, 0, 0, "linuxkit.volumes", "volume[0]")
            for part in ("tmp", "merged")
        ),
        *_containers(known),
        *_files(spec, files),
    ]


def _kernel(known: dict[str, Image]) -> list[Entry]:
    record = {"source": full(KERNEL), "location": "kernel"}
    out: list[Entry] = []
    for one in known[full(KERNEL)].files:
        if one.path == "kernel":
            out += [Entry("boot", b"", "dir", 0o755, **record)]
            out += [Entry("boot/cmdline", COMMAND_LINE.encode(), **record), one._replace(path="boot/kernel", **record)]
        elif one.path == "kernel.tar":
            with tarfile.open(fileobj=io.BytesIO(one.data)) as inner:
                for member in inner:
                    data = inner.extractfile(member)
                    out += [Entry(member.name, data.read() if data else b"", mode=member.mode, **record)]
    return out


def _prefix(path: str, source: str, location: str) -> list[Entry]:
    steps = path.split("/")
    return [Entry("/".join(steps[: i + 1]), b"", "dir", 0o755, 0, 0, source, location) for i in range(len(steps))]


def _tree(known: dict[str, Image], reference: str, location: str, prefix: str, *, resolv: bool = False) -> list[Entry]:
    """ImageTar: an image below `prefix`, with what LinuxKit leaves out, replaces and adds."""
    record = {"source": full(reference), "location": location}
    out = _prefix(prefix.rstrip("/"), *record.values()) if prefix else []
    met = set()
    for one in known[full(reference)].files:
        met.add(one.path)
        if one.path in _EXCLUDED:
            continue
        new = one._replace(path=prefix + one.path, **record)
        if one.path in _REPLACED:
            link = resolv and one.path == "etc/resolv.conf"
            new = new._replace(data=_RESOLV if link else _REPLACED[one.path], kind="symlink" if link else "file")
        elif one.kind == "hardlink":
            new = new._replace(data=prefix.encode() + one.data)
        out.append(new)
    for path in _TOUCHED:
        if path in met and path.startswith("etc/"):
            continue
        out.append(_touched(path, prefix, record, resolv=resolv))
    return out


def _touched(path: str, prefix: str, record: dict, *, resolv: bool) -> Entry:
    if path == "etc/mtab":
        return Entry(prefix + path, b"/proc/mounts", "symlink", 0o755, **record)
    if path == "etc/resolv.conf" and resolv:
        return Entry(prefix + path, _RESOLV, "symlink", 0o644, **record)
    if path in _REPLACED:
        return Entry(prefix + path, _REPLACED[path], **record)
    return Entry(prefix + path, b"", "dir", 0o755, **record)


def _containers(known: dict[str, Image]) -> list[Entry]:
    """ImageBundle for each: of two with one image, the second has no files of its own."""
    out: list[Entry] = []
    first: dict[str, str] = {}
    for section, number, name, reference in PLACES:
        folder = f"containers/{section}/{f'{number:03d}-' if section != 'services' else ''}{name}"
        config = CONFIGS[f"{section}/{name}"]
        record = {"source": full(reference), "location": f"{section}[{number}]"}
        readonly = config["root"].get("readonly", False)
        root = f"{folder}/{'rootfs' if readonly else 'lower'}"
        if reference in first:
            out += _prefix(folder, *record.values())
            root = first[reference]
        else:
            out += _tree(known, reference, record["location"], f"{root}/")
            first[reference] = root
        out.append(Entry(f"{folder}/config.json", json.dumps(config, indent=4).encode(), **record))
        out += [Entry(f"{folder}/tmp", b"", "dir", 0o755, **record)] if not readonly else []
        if not readonly or reference in out:
            out.append(Entry(f"{folder}/rootfs", b"", "dir", 0o755, **record))
        runtime = RUNTIMES.get(f"{section}/{name}", NOTHING)
        whole = {**runtime, "mounts": [*_root_mounts(folder, root, readonly=readonly), *runtime["mounts"]]}
        out.append(Entry(f"{folder}/runtime.json", json.dumps(whole, indent=4).encode(), **record))
    return out


def _root_mounts(folder: str, root: str, *, readonly: bool) -> list[dict]:
    if readonly:
        return [{"destination": f"/{folder}/rootfs", "source": f"/{root}", "options": ["bind"]}]
    layers = [f"lowerdir=/{root}", f"upperdir=/{folder}/tmp/upper", f"workdir=/{folder}/tmp/work"]
    return [
        {"destination": f"/{folder}/tmp", "type": "tmpfs", "source": "tmpfs"},
        {"destination": f"/{folder}/tmp", "options": ["remount", "private"]},
        {"destination": f"/{folder}/rootfs", "type": "overlay", "source": "overlay", "options": layers},
    ]


def _files(spec: str, files: tuple) -> list[Entry]:
    """filesystem(): every file behind the folders above it, which are made once."""
    out: list[Entry] = []
    made: set[str] = set()
    for number, (path, kind, mode, uid, gid, data) in enumerate(files):
        record = {"source": "linuxkit.files", "location": f"files[{number}]"}
        steps = path.split("/")[:-1]
        for i in range(len(steps)):
            above = "/".join(steps[: i + 1])
            if above not in made:
                wide = mode | (0o100 if mode & 0o700 else 0) | (0o10 if mode & 0o70 else 0) | (0o1 if mode & 7 else 0)
                out.append(Entry(above, b"", "dir", wide, uid, gid, **record))
                made.add(above)
        made.add(path)
        content = spec.encode() if path == "etc/linuxkit.yml" else data
        out.append(Entry(path, content, kind, mode, uid, gid, **record))
    return out


# --- outputs

_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}
_MODES = {"file": 0o100000, "dir": 0o040000, "symlink": 0o120000, "hardlink": 0o120000}


def archive(entries: list[Entry], *, records: bool = False) -> bytes:
    """A tar; with `records`, each entry has LinuxKit's."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        for one in entries:
            info = tarfile.TarInfo(one.path)
            info.type, info.mode, info.uid, info.gid = _TYPES[one.kind], one.mode, one.uid, one.gid
            if one.kind in {"symlink", "hardlink"}:
                info.linkname = one.data.decode()
            elif one.kind == "file":
                info.size = len(one.data)
            if records and one.location:
                info.pax_headers = {"LINUXKIT.source": one.source, "LINUXKIT.location": one.location}
            file.addfile(info, io.BytesIO(one.data) if one.kind == "file" else None)
    return out.getvalue()


def cpio(entries: list[Entry]) -> bytes:
    """An initrd without boot/, hard links being symbolic ones, as in src/cmd/linuxkit/initrd."""
    items = []
    for one in entries:
        if one.path.startswith("boot/"):
            continue
        data = b"" if one.kind == "dir" else one.data
        if one.kind == "hardlink":
            data = os.path.relpath(one.data.decode(), os.path.dirname(one.path)).encode()
        items.append(Item(one.path, data, _MODES[one.kind] | one.mode, one.uid, one.gid))
    return newc(*items)


def cache(folder: Path, made: dict[str, Image]) -> Path:
    """LinuxKit's cache: an OCI layout with an index for each image, a manifest for its platform, one layer."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str, **more: object) -> dict:
        digest = sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": f"sha256:{digest}",
            "size": len(data),
        } | more

    def text(value: dict) -> bytes:
        return json.dumps(value).encode()

    entries = []
    platform = {"architecture": "amd64", "os": "linux"}
    for name, image in made.items():
        layer = blob(archive(list(image.files)), "layer.v1.tar")
        config = blob(text({**platform, "config": image.config, "rootfs": {"type": "layers"}}), "config.v1+json")
        manifest = blob(text({"schemaVersion": 2, "config": config, "layers": [layer]}), "manifest.v1+json")
        index = text({"schemaVersion": 2, "manifests": [{**manifest, "platform": platform}]})
        named = {"annotations": {"org.opencontainers.image.ref.name": name}}
        entries.append(blob(index, "index.v1+json", **named))
    (folder / "index.json").write_bytes(text({"schemaVersion": 2, "manifests": entries}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


class Lab(outputlab.Lab):
    """The outputs of one build; what is in them is unpacked by the tool that LinuxKit's own scripts call."""

    def __init__(self, folder: Path, entries: list[Entry]) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.kernel = folder / "kernel"
        self.initrd = folder / "initrd.img"
        self.root.mkdir(parents=True)
        run("bsdtar", "-xpf", "-", "-C", self.root, data=archive(entries))
        shutil.move(self.root / "boot/kernel", self.kernel)
        (self.root / "boot/cmdline").unlink()
        (self.root / "boot").rmdir()
        self.initrd.write_bytes(run("gzip", "-1nc", data=cpio(entries)))
