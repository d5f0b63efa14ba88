"""Specs, and images of them, put together by chance of what people write: a number always gives the same one."""

import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import defaultlab
import elflab
import rulelab
import yaml
from imagelab import Item, newc

from lkscan.rules import needs
from lkscan.rules.tables import load
from lkscan.scanner import spec
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.reached import Call, Program, Reach, Step
from lkscan.scanner.subjects import Container

_CAPABILITIES = """
    CAP_CHOWN CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE
    CAP_SYS_ADMIN CAP_SYS_MODULE CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_BOOT CAP_SYS_TIME CAP_MKNOD
    CAP_DAC_READ_SEARCH CAP_BPF CAP_PERFMON CAP_SYSLOG CAP_KILL CAP_FOWNER CAP_SETFCAP CAP_ALL CAP_AUDIT_CONTROL
    CAP_SYS_RESOURCE CAP_CHEKPOINT_RESTORE net_admin all none
""".split()
_BINDS = """
    /etc/resolv.conf:/etc/resolv.conf /etc/resolv.conf:/etc/resolv.conf:ro /:/host /:/host:ro /var:/var
    /var:/var:rw,rshared /run:/run /run/containerd/containerd.sock:/run/c.sock /var/run:/var/run:ro /dev:/dev
    /sys:/sys /sys/fs/cgroup:/sys/fs/cgroup:ro /proc:/host/proc /lib/modules:/lib/modules /etc:/etc
    /etc/ssh:/etc/ssh:ro /tmp/etc:/etc /var/lib/docker:/var/lib/docker /usr/bin/runc:/usr/bin/runc
    /containers:/containers /boot:/boot:ro /root/.ssh:/root/.ssh data:/data /dev/kvm:/dev/kvm /var/log:/var/log
""".split()
_MOUNTS = (
    {"type": "tmpfs", "source": "tmpfs", "destination": "/tmp", "options": ["rw", "nosuid", "nodev", "size=10m"]},
    {"type": "tmpfs", "source": "tmpfs", "destination": "/run", "options": ["rw"]},
    {"type": "cgroup", "source": "cgroup", "destination": "/sys/fs/cgroup", "options": ["rw"]},
    {"type": "bind", "source": "/var/x", "destination": "/x", "options": ["rw", "rbind", "shared"]},
    {"type": "proc", "source": "proc", "destination": "/proc2", "options": ["rw"]},
    {"type": "sysfs", "source": "sysfs", "destination": "/sys", "options": ["rw"]},
    {"type": "devtmpfs", "source": "dev", "destination": "/dev", "options": ["nosuid"]},
)
_DEVICES = (
    {"path": "all"},
    {"path": "/dev/mem", "type": "c", "major": 1, "minor": 1, "mode": "0600"},
    {"path": "/dev/kvm", "type": "c", "major": 10, "minor": 232, "mode": "0666"},
    {"path": "/dev/sda", "type": "b", "major": 8, "minor": 0, "mode": "0660"},
    {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "mode": "0666"},
    {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "mode": "0602"},
)
_SYSCTL = (
    {"net.ipv4.ip_forward": "1"},
    {"kernel.randomize_va_space": "0"},
    {"kernel.shmmax": "1", "vm.swappiness": "10"},
    {"net.ipv4.conf.all.rp_filter": "0", "net.core.somaxconn": "1024"},
    {"kernel/dmesg_restrict": "0", "fs.suid_dumpable": "1"},
)
_RESOURCES = (
    {"memory": {"limit": 1 << 27}},
    {"pids": {"limit": 100}},
    {"memory": {"limit": 1 << 27}, "pids": {"limit": 100}, "cpu": {"quota": 50000, "period": 100000}},
    {"pids": {"limit": 0}, "cpu": {"shares": 2}},
    {"devices": [{"allow": True, "access": "rwm"}]},
    {
        "devices": [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "major": 1, "minor": 2, "access": "rw"},
        ]
    },
)
_RUNTIME = (
    {"bindNS": {"net": "/run/netns/web"}},
    {"bindNS": {"pid": "/run/pidns/web"}},
    {"interfaces": [{"name": "eth0", "add": "veth0"}]},
    {"mkdir": ["/var/lib/data", "/etc/x"]},
    {"cgroups": ["one", "two/three"]},
    {"namespace": "k8s.io"},
    {"mounts": [{"type": "overlay", "source": "overlay", "destination": "/o", "options": ["lowerdir=/a"]}]},
)
_IMAGES = """
    alpine:3.19 alpine nginx:1.25-alpine
    nginx:1.25@sha256:3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e
    alpine@sha256:3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e busybox:latest
    linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0
    linuxkit/sshd:5a91a4bbeeaf5f0d2a4e2b4bd2f1d4e4c2bf1bd4
    linuxkit/dhcpcd:b87e9ececac55a65eaa592f4dd8b4e0c3009afdb
    linuxkit/rngd:984eb580ecb63986f07f626b61692a97aacd7198
    linuxkit/sysctl:43ac1d39da329c3567fcb9689e5ca99de6d169b6 linuxkit/node_exporter:v1.0.0
    linuxkit/metadata:v0.8 ghcr.io/org/app:v2.1.0 quay.io/org/app:sha-1a2b3c4 localhost:5000/app:1
    10.0.0.5:5000/app:dev Org/App:1 org/app@sha256:12 linuxkt/getty:v1.0.0 docker:dind
    docker.io/library/debian:12 containrrr/watchtower:1.7.1 linuxkit/test-kernel-config:v1
""".split()
_ENV = (
    "INSECURE=true",
    "INSECURE=false",
    "PATH=/usr/bin:/bin",
    "PASSWORD=hunter2-and-more",
    "AWS_ACCESS_KEY_ID=" + "AKIAQYLPMN5HFIQR7XYA",
    "TOKEN_FILE=/run/secrets/token",
    "DATABASE_URL=postgres://app:s3cr3tPassw0rd@db.example.org/app",
    "DEBUG=1",
)
_COMMANDS = (
    ["/bin/sh", "-c", "echo 0 > /proc/sys/kernel/kptr_restrict"],
    ["sysctl", "-w", "kernel.unprivileged_bpf_disabled=0"],
    ["/usr/bin/dockerd", "-H", "tcp://0.0.0.0:2375"],
    ["/usr/bin/app", "--password=Tr0ub4dor&3xyz", "-v"],
    ["/usr/bin/containerd", "--address", "/run/other.sock"],
    ["/bin/mount", "-o", "remount,rw", "/"],
    ["/usr/sbin/sshd", "-D"],
    [],
)
_KEYS: Mapping[str, Sequence[Any]] = {
    "capabilities": (),
    "capabilities.add": (),
    "ambient": (),
    "binds": (),
    "binds.add": (),
    "env": (),
    "mounts": _MOUNTS,
    "devices": _DEVICES,
    "command": _COMMANDS,
    "net": ("host", "new", "none", "/run/netns/x"),
    "pid": ("host", "new", "/run/pid/x"),
    "ipc": ("host", "new"),
    "uts": ("host", "new"),
    "userns": ("host", "new"),
    "readonly": (True, False),
    "noNewPrivileges": (True, False),
    "rootfsPropagation": ("shared", "rshared", "slave", "private"),
    "cgroupsPath": ("/x", "systemreserved/x", "../x"),
    "maskedPaths": (["/proc/kcore"], ["/proc/keys", "/sys/firmware"]),
    "readonlyPaths": (["/proc/sys"], ["/proc/sys", "/sys"]),
    "uid": (0, 1, 100, 65534, "root", "nobody"),
    "gid": (0, 10, "wheel", 1000),
    "additionalGids": ([0], [6, 20], ["disk"]),
    "oomScoreAdj": (-1000, -999, -500, 0, 500),
    "hostname": ("web", "a" * 70),
    "tmpfs": (["/tmp"], ["/tmp:size=1m", "/run:noexec"]),
    "rlimits": (
        ["nofile,1024,1048577"],
        ["nofile,1048576,1048576"],
        ["core,1,1"],
        ["memlock,unlimited,unlimited"],
        ["nproc,10,5"],
    ),
    "sysctl": _SYSCTL,
    "resources": _RESOURCES,
    "runtime": _RUNTIME,
    "annotations": ({"a": "b"},),
    "labels": ({"org.mobyproject.config": '{"pid": "host"}'}, {"a": "1"}),
}
_MANY: Mapping[str, Sequence[Any]] = {
    "capabilities": _CAPABILITIES,
    "capabilities.add": _CAPABILITIES,
    "ambient": _CAPABILITIES,
    "binds": _BINDS,
    "binds.add": _BINDS,
    "env": _ENV,
    "mounts": _MOUNTS,
    "devices": _DEVICES,
}
_ARGUMENTS = """
    console=ttyS0 mitigations=off mitigations=auto,nosmt nokaslr init=/bin/sh rdinit=/init selinux=0 apparmor=0
    slab_nomerge init_on_alloc=1 init_on_free=1 page_alloc.shuffle=1 lockdown=integrity spectre_v2=off nosmep
    ima_appraise=off module.sig_enforce=1 iommu=pt vsyscall=none vsyscall=emulate debugfs=on quiet
    root=/dev/sda1 password=geheim-geheim-1 panic=-1 randomize_kstack_offset=on single
""".split()
_KERNELS = """
    linuxkit/kernel:6.12.59 linuxkit/kernel:6.6.71 linuxkit/kernel:4.19.104 linuxkit/kernel:5.10.104-dbg
    linuxkit/kernel:6.12.x org/kernel:6.1.119-rt45
    linuxkit/kernel:6.6.13@sha256:3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e
    linuxkit/kernel:5.4.28 org/kernel:latest linuxkit/kernel:6.13.1 linuxkit/kernel-bpf:6.6.13
""".split()
_FILES: Sequence[Mapping[str, Any]] = (
    {"path": "etc/motd", "contents": "hello\n", "mode": "0644"},
    {"path": "etc/motd", "contents": "again\n"},
    {"path": "etc/getty.shadow", "contents": "root::10957:0:::::\n", "mode": "0644"},
    {"path": "etc/getty.shadow", "contents": "root:$1$abcdefgh$" + "x" * 22 + ":1:0:::::\n", "mode": "0600"},
    {"path": "etc/shadow", "contents": "root:!::0:::::\n", "mode": "0640"},
    {"path": "root/.ssh/authorized_keys", "source": "~/.ssh/id_rsa.pub", "mode": "0600", "optional": True},
    {"path": "etc/ssh/sshd_config", "contents": "PermitRootLogin yes\nPasswordAuthentication yes\n", "mode": "0600"},
    {"path": "/etc/linuxkit.yml", "metadata": "yaml"},
    {"path": "etc/../init", "contents": "x"},
    {"path": "usr/bin/tool", "contents": "#!/bin/sh\n", "mode": "4755"},
    {"path": "tmp/x", "contents": "x", "mode": "0666"},
    {"path": "var/lib/data", "directory": True, "mode": "0777"},
    {"path": "var/lib/own", "directory": True, "mode": "0600", "uid": 10, "gid": "web"},
    {"path": "etc/link", "symlink": "/etc/nowhere"},
    {"path": "etc/sysctl.d/10-own.conf", "contents": "kernel.kptr_restrict = 0\nkernel.yama.ptrace_scope=0\nfs.typo\n"},
    {"path": "etc/containerd/runtime-config.toml", "contents": 'cliopts="--log-level debug"\nstderr="/dev/null"\n'},
    {"path": "etc/docker/daemon.json", "contents": '{"hosts": ["tcp://0.0.0.0:2375"], "debug": true}\n'},
)
_OPTIONS = """
    STACKPROTECTOR STACKPROTECTOR_STRONG HARDENED_USERCOPY STRICT_KERNEL_RWX STRICT_MODULE_RWX DEVMEM
    STRICT_DEVMEM IO_STRICT_DEVMEM MODULES MODULE_SIG MODULE_SIG_FORCE RANDOMIZE_BASE SLAB_FREELIST_RANDOM
    SLAB_FREELIST_HARDENED INIT_ON_ALLOC_DEFAULT_ON INIT_ON_FREE_DEFAULT_ON PAGE_TABLE_ISOLATION
    MITIGATION_RETPOLINE SECURITY_YAMA SECURITY_LOCKDOWN_LSM SECCOMP SECCOMP_FILTER BPF_JIT BPF_JIT_ALWAYS_ON
    KEXEC PROC_KCORE LEGACY_PTYS IA32_EMULATION DEBUG_FS KPROBES USERFAULTFD VMAP_STACK LIST_HARDENED
    BUG_ON_DATA_CORRUPTION STATIC_USERMODEHELPER USER_NS X86_UMIP FORTIFY_SOURCE RANDOMIZE_KSTACK_OFFSET_DEFAULT
    HIBERNATION
""".split()


_IGNORED = """
    LKP002 LKP001 LKP006 LKM002 LKM001 LKI001 LKI002 LKN001 LKC001 LKA001 LKS003 LKP* LKZ999 host-root-equivalent
    unpinned-image mutable-image-tag host-pid-namespace runs-as-root all-capabilities
""".split()
_DIRECTIVES = (
    "ignore[{}] it has to",
    "ignore[{}]",
    "ignore[{}] for now (until 2027-05-01)",
    "ignore[{}] for now (until 2025-05-01)",
    "ignore[{}] for now (until 2025-13-01)",
    "ignore-file[{}] all of it",
    "ignore({}) wrong brackets",
    "ignore it all",
)


def some(chance: random.Random, of: Sequence[Any], most: int) -> list[Any]:
    """Up to so many of them, in any order, none twice."""
    left = list(of)
    return [left.pop(chance.randrange(len(left))) for _ in range(min(len(left), chance.randrange(most + 1)))]


def document(number: int) -> str:
    """A spec; most are ones that LinuxKit would build."""
    chance = random.Random(f"spec {number}")
    made: dict[str, Any] = {}
    if chance.random() < 0.9:
        made["kernel"] = {"image": chance.choice(_KERNELS), "cmdline": " ".join(some(chance, _ARGUMENTS, 6))}
        if chance.random() < 0.3:
            made["kernel"]["ucode"] = "intel-ucode.cpio"
    made["init"] = [chance.choice(_IMAGES) for _ in range(chance.randrange(3))] or ["linuxkit/init:v1.1"]
    if chance.random() < 0.4:
        made["volumes"] = [{"name": "data", "image": "busybox:1", "readonly": chance.random() < 0.5}, {"name": "idle"}]
    for section, most in (("onboot", 3), ("services", 5), ("onshutdown", 2)):
        names = [f"{section}{one}" for one in range(chance.randrange(most))]
        if names and chance.random() < 0.1:
            names.append(names[0])
        if names:
            made[section] = [_container(chance, name) for name in names]
    if files := some(chance, _FILES, 5):
        made["files"] = files
    text = yaml.safe_dump(made, sort_keys=False, default_flow_style=None if chance.random() < 0.5 else False)
    return _annotated(text, chance) if number % 3 == 0 else text


def _annotated(text: str, chance: random.Random) -> str:
    """With directives: at the end of lines, above them, and some that are none."""
    lines = text.splitlines()
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(lines))
        rules = ", ".join(chance.choice(_IGNORED) for _ in range(chance.randrange(1, 4)))
        told = f"# lkscan: {chance.choice(_DIRECTIVES).format(rules)}"
        if chance.random() < 0.6:
            lines[at] += f"  {told}"
        else:
            indent = len(lines[at]) - len(lines[at].lstrip(" -")) if chance.random() < 0.7 else 0
            lines.insert(at, " " * indent + told)
    return "\n".join(lines) + "\n"


def _container(chance: random.Random, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "image": chance.choice(_IMAGES)}
    for key in some(chance, list(_KEYS), 9):
        if key in _MANY:
            made[key] = some(chance, _MANY[key], 4)
        else:
            made[key] = chance.choice(_KEYS[key])
    return made


def image(number: int) -> bytes:
    """An initrd of such a spec: its containers, a kernel with some options, a command line, and its files."""
    chance = random.Random(f"image {number}")
    options = _options(chance)
    release = chance.choice(("6.12.59-linuxkit", "6.6.13", "5.10.104-linuxkit", "6.12.57+deb13-amd64"))
    items = [
        Item("boot/kernel", _kernel(options, release)),
        Item("boot/cmdline", " ".join(some(chance, _ARGUMENTS, 8)).encode()),
    ]
    for one in spec.read([("linuxkit.yml", document(number).encode())], LabelFinder()):
        if isinstance(one, Container):
            folder = _folder(one)
            items.append(Item(f"{folder}/config.json", json.dumps(one.oci).encode()))
            items.append(Item(f"{folder}/runtime.json", json.dumps(one.runtime).encode()))
            programs = some(chance, ("bin/sh", "usr/bin/apk", "usr/bin/gcc", "usr/bin/strace", "usr/bin/app"), 3)
            items += [_program(chance, f"{folder}/rootfs/{name}") for name in programs]
            if chance.random() < 0.2:
                items.append(Item(f"{folder}/rootfs/etc/sysctl.d/00-linuxkit.conf", defaultlab.SETTINGS.encode()))
    for file in some(chance, [one for one in _FILES if "contents" in one], 6):
        mode = 0o100000 | int(file.get("mode", "0600"), 8)
        items.append(Item(file["path"], file["contents"].encode(), mode=mode, uid=chance.choice((0, 0, 0, 1000))))
    items += [
        _program(chance, name)
        for name in some(chance, ("usr/bin/su", "sbin/ping", "bin/rc.init", "usr/bin/dockerd"), 3)
    ]
    return newc(*items)


def _options(chance: random.Random) -> str:
    return "".join(
        f"CONFIG_{one}=y\n" if chance.random() < 0.7 else f"# CONFIG_{one} is not set\n"
        for one in some(chance, _OPTIONS, 40)
    )


def _kernel(options: str, release: str) -> bytes:
    """A kernel of that release, with these options."""
    config = b"# Linux/x86 6.12.59 Kernel Configuration\nCONFIG_64BIT=y\nCONFIG_X86_64=y\n" + options.encode()
    kernel = elflab.vmlinux(config, elflab.BANNER.replace(b"6.12.1-lab", release.encode()))
    return elflab.bzimage(elflab.packed(kernel, "gzip"), release=release.encode() + b" (a@b) #1")


def _folder(one: Container) -> str:
    return f"containers/{one.section}/{one.name if one.section == 'services' else f'{one.index:03d}-{one.name}'}"


def built(number: int) -> bytes:
    """An initrd of the spec of that number, of which some things have become other ones, are gone, or were added."""
    chance = random.Random(f"built {number}")
    text = document(number)
    made = yaml.safe_load(text)
    kernel = made.get("kernel", {"image": "linuxkit/kernel:6.12.59"})
    release = chance.choice((kernel["image"].partition("@")[0].rpartition(":")[2], "6.12.59", "6.6.13-linuxkit"))
    line = kernel.get("cmdline", "") + chance.choice(("", "", "", " quiet", "  "))
    items = [Item("boot/kernel", _kernel(_options(chance), release)), Item("boot/cmdline", line.encode())]
    for one in spec.read([("linuxkit.yml", text.encode())], LabelFinder()):
        if isinstance(one, Container) and chance.random() < 0.95:
            config, runtime = json.loads(json.dumps([one.oci, one.runtime]))
            for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
                _bend(config if chance.random() < 0.8 or not runtime else runtime, chance)
            items.append(Item(f"{_folder(one)}/config.json", json.dumps(config).encode()))
            items.append(Item(f"{_folder(one)}/runtime.json", json.dumps(runtime).encode()))
    items += [item for file in made.get("files", ()) for item in _written(file, chance)]
    strays = ("etc/stray", "usr/bin/extra", "containers/services/web/rootfs/bin/extra", "root/.profile", "tmp/core.1")
    items += [Item(path, b"#!/bin/sh\n", mode=0o100755) for path in some(chance, strays, 2)]
    return newc(*items)


def _bend(value: Any, chance: random.Random) -> None:
    """Changes something somewhere in it: it is gone, is another one, or comes twice."""
    at = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    one = value[at]
    if isinstance(one, dict | list) and one and chance.random() < 0.8:
        _bend(one, chance)
    elif chance.random() < 0.3:
        del value[at]
    elif isinstance(value, list) and chance.random() < 0.4:
        value.insert(chance.randrange(len(value) + 1), one)
    elif isinstance(one, bool):
        value[at] = not one
    elif isinstance(one, int):
        value[at] = one + 1
    else:
        value[at] = f"{one}x" if isinstance(one, str) else chance.choice(({"x": "y"}, ["x"], None))


def _written(file: Mapping[str, Any], chance: random.Random) -> Iterator[Item]:
    """What LinuxKit writes of an entry of `files`, or nearly so."""
    if chance.random() < 0.1:
        return
    kind, mode, data = 0o100000, 0o600, file.get("contents", "").encode()
    if file.get("directory"):
        kind, mode = 0o040000, 0o700
    elif "symlink" in file:
        kind, mode, data = 0o120000, 0o777, file["symlink"].encode()
    mode = int(file["mode"], 8) if "mode" in file else mode
    owner = file.get("uid", 0)
    how = chance.randrange(12)
    yield Item(
        file["path"].lstrip("/"),
        data + b"x" * (how == 1),
        mode=(0o100000 if how == 2 else kind) | (mode ^ 0o022 if how == 3 else mode),
        uid=owner + (how == 4) if isinstance(owner, int) else 0,
        gid=5 if how == 5 else 0,
    )


def _program(chance: random.Random, path: str) -> Item:
    """A program with or without each defence, and with some mode."""
    is_pie = chance.random() < 0.7
    flags = (0x08000000 if is_pie else 0) | chance.choice((0, 1))
    made = elflab.Lab(
        type=elflab.DYN if is_pie else elflab.EXEC,
        interpreter=chance.choice(("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", "")),
        needed=("libc.so.6",) if chance.random() < 0.5 else (),
        tags=((elflab.FLAGS_1, flags), *(((elflab.TEXTREL, 0),) if chance.random() < 0.1 else ())),
        stack=chance.choice((elflab.RW, elflab.RW, elflab.RWE, None)),
        relro=chance.choice(((0x20000, 0x1000), None)),
        loads=(chance.choice((elflab.RW, elflab.RW, elflab.RWE)),),
    )
    mode = chance.choice((0o755, 0o755, 0o4755, 0o2755, 0o777, 0o775))
    return Item(path, made.build(), mode=0o100000 | mode, uid=chance.choice((0, 0, 0, 33)))


_LOOSE = """
    stat64 __open64 fopen fopen64 opendir dlopen getspnam socket socketpair ioctl bind connect sendto execve uname kill
    reboot sethostname shmget mq_open msgrcv ptrace setns printf malloc tmpfile freopen mkstemp fchmod open openat clone
    epoll_ctl memfd_create getpwnam syslog system popen
""".split()
_PATHS = (None, "/etc/x", "/data/y", "relative", "/var/../etc/z", "/run/a", "w", "r+", "rb", "/data", "/database")


_CHANGING = (*needs._CHANGES, *needs._FLAGS, "fopen")
_ASKED = (*needs._ADDRESSED, *needs._IPC, *needs._PROCESSES, "socket", "socket", "socket", "socketpair")


def reach(number: int) -> tuple[Container, Reach, bool]:
    """A container, what it reaches, and whether a file grants more: programs that make calls of the table of needs."""
    chance = random.Random(f"reach {number}")
    rows = chance.sample(load("capability_uses")["use"], 9)
    steps = tuple(_step(chance, rows, at) for at in range(chance.randrange(5)))
    gaps = tuple(some(chance, ("it has no command", "what '/go' starts is not told"), 1))
    words = [text.strip("\0") for row in rows for text in row.get("texts", ())]
    made = rulelab.container(
        capabilities=sorted({*(row["capability"] for row in rows[:6]), *some(chance, ("CAP_X", "CAP_WAKE_ALARM"), 1)}),
        binds=some(chance, ("/data:/data", "/run:/run", "/etc:/etc:ro", "/var:/data/deep"), 3),
        command=["/bin/app", *some(chance, words, 1)],
        env=[f"X={word}" for word in some(chance, words, 1)],
    )
    return made, Reach(steps, gaps if chance.random() < 0.3 else ()), chance.random() < 0.5


def _step(chance: random.Random, rows: Sequence[Mapping[str, Any]], at: int) -> Step:
    texts = [text for row in rows for text in row.get("texts", ())] + ["/proc/net", "/proc/%", "/ns/", "/proc/kcore"]
    ioctls = [value & 0xFFFFFFFF for row in rows for value in row.get("ioctls", {}).values()]
    named = [f"ioctl {name}" for row in rows for name in row.get("ioctls", {})]
    pool = [*(call for row in rows for key in ("calls", "beside") for call in row.get(key, ())), *_LOOSE, *named]
    is_elf = chance.random() < 0.9
    program = Program(
        soname=chance.choice(("", "", "libcap.so.2", "libc.so.6")),
        imports=frozenset(some(chance, pool, 5)) if is_elf else frozenset(),
        calls=tuple(_call(chance, rows, pool) for _ in range(chance.randrange(6))) if is_elf else (),
        constants=frozenset(some(chance, ioctls, 2)),
        texts=frozenset(some(chance, texts, 2)) if is_elf else frozenset(),
        wakes=chance.random() < 0.2,
        is_library=chance.random() < 0.1,
        is_elf=is_elf,
        text="" if is_elf else " ".join(some(chance, [text.strip("\0") for text in texts], 3)),
    )
    certainty = "certain" if not at else chance.choice(("certain", "named", "guessed"))
    return Step(f"/bin/p{at}", certainty, "/bin/p0", program, is_multiple=chance.random() < 0.1)


def _call(chance: random.Random, rows: Sequence[Mapping[str, Any]], pool: Sequence[str]) -> Call:
    """A call of one of the rows, with arguments that may fit it, or one with any."""
    row = chance.choice(rows)
    about = chance.choice((row.get("calls", pool), row.get("calls", pool), pool, _CHANGING, _ASKED))
    name = chance.choice(about)
    numbers = [0, 1, 2, 16, 0x241, 0x80000, *row.get("ioctls", {}).values()]
    numbers += [value for one in row.get("arguments", ()) for value in (*one.get("values", ()), one.get("bits", 0))]
    arguments = {
        at: None if chance.random() < 0.3 else frozenset(some(chance, numbers, 3) or [1])
        for at in range(4)
        if chance.random() < 0.7
    }
    if name == "socket":
        arguments[0] = frozenset(some(chance, range(48), 2)) or None
    texts = {at: frozenset(some(chance, _PATHS, 3) or ["/etc/w"]) for at in range(4) if chance.random() < 0.6}
    where, function = chance.choice(((0x401000, ""), (0x401234, ""), (0x500000, "main.go"), (0, "")))
    return Call(name, where, arguments, texts, is_direct=chance.random() < 0.3, function=function)


_USERS = """
    root:x:0:0:root:/root:/bin/sh
    root:x:0:0::/root:/sbin/nologin
    toor:x:0:0::/root:/bin/ash
    app:x:1000:1000::/home/app:/bin/false
    app:x:1000:10::/:/bin/sh
    web::33:33::/var/www:/usr/sbin/nologin
    old:$1$abcdefgh$0123456789012345678901:7:7::/:/bin/sh
    broken:x:y:z
    +:x:0:0:::
""".split()
_HASHES = ("root::1:0:::::", "root:*:1:0:::::", "root:!:1:0:::::", "app:$6$salt$" + "h" * 86 + ":1:0:99999:7:::",
           "web:$1$salt$0123456789012345678901:1::::::", "old:aXGf1o9P7PSlY:1::::::", "toor::::::::")  # fmt: skip
_GROUPS = ("root:x:0:", "wheel:x:10:app,web", "docker:x:998:app", "disk:x:6:web", "app:x:1000:", "web::33:", "x:y")
_SSHD = (
    """
PermitRootLogin yes|PermitRootLogin prohibit-password|PermitRootLogin no|PasswordAuthentication yes
PasswordAuthentication no|PermitEmptyPasswords yes|ListenAddress 0.0.0.0|Port 2222|Match User app|X11Forwarding yes
Ciphers aes128-cbc,3des-cbc|Ciphers +aes256-ctr|MACs hmac-md5|KexAlgorithms diffie-hellman-group1-sha1|Protocol 1
Include /etc/ssh/sshd_config.d/*.conf|UsePAM no|StrictModes no|# PermitRootLogin no|AllowUsers root@10.0.0.0/8
HostKeyAlgorithms ssh-dss|AuthorizedKeysFile /etc/keys/%u|PermitUserEnvironment yes|KbdInteractiveAuthentication yes
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_OWNERS = (0, 0, 0, 0, 0, 33, 1000, 4242)
_MODES = (0o644, 0o644, 0o600, 0o640, 0o666, 0o755, 0o4755, 0o2755, 0o6755, 0o777, 0o1777, 0o000, 0o4711, 0o4644)
_NAMES = """
    root/.ssh/id_ed25519 root/.ssh/authorized_keys home/app/.ssh/authorized_keys etc/ssh/ssh_host_rsa_key
    etc/ssh/ssh_host_rsa_key.pub root/.docker/config.json root/.kube/config var/lib/x.db etc/ssl/private/server.key
    root/.bash_history root/.aws/credentials usr/bin/sudo usr/bin/apt-get sbin/apk usr/bin/gcc usr/bin/gdb
    usr/bin/strace bin/busybox usr/bin/curl usr/sbin/tcpdump usr/lib/libx.a usr/share/doc/x/copyright
    usr/share/man/man1/x.1.gz usr/lib/python3/x.pyc usr/src/x.c var/cache/apk/x.apk var/log/messages tmp/x core
    lib/modules/6.12.59-linuxkit/kernel/net/dccp/dccp.ko lib/modules/6.12.59-linuxkit/kernel/fs/cramfs/cramfs.ko
    etc/init.d/rc etc/crontab etc/sudoers etc/sudoers.d/app etc/ld.so.preload etc/fstab etc/inittab etc/securetty
    usr/lib/locale/locale-archive usr/share/zoneinfo/Europe/Rome usr/include/stdio.h .dockerenv var/spool/cron/root
    etc/profile root/.netrc root/.pgpass etc/krb5.keytab home/app/.gnupg/secring.gpg usr/local/bin/own opt/x/bin/tool
""".split()
_CONTENTS = (
    b"",
    b"x\n",
    b"#!/bin/sh\nexec /usr/bin/own\n",
    b"#!/usr/bin/python3\n",
    b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + b"B" * 43 + b" me@here\n",
    b'{"auths": {"registry.example.org": {"auth": "bWU6aHVudGVyMi1hbmQtbW9yZQ=="}}}',
    b"[default]\naws_access_key_id = AKIAQYLPMN5HFIQR7XYA\n",
    b"app ALL=(ALL) NOPASSWD: ALL\n",
    b"machine example.org login me password hunter2-and-more\n",
    b"\x7fELF",
)
_LINKED = ("/etc/passwd", "../../../../etc/shadow", "nowhere", "/dev/null", "busybox", "../bin/busybox", "/proc/1/root")
_ATTRIBUTES = (
    ("security.capability", bytes.fromhex("0100000200200000000000000000000000000000")),
    ("security.capability", bytes.fromhex("010000020000200000000000ffffffff00000000")),
    ("security.capability", b"\1\2"),
    ("user.note", b"x"),
)


def _configuration(chance: random.Random) -> Mapping[str, Any]:
    """What the container of such a tree may do."""
    made = rulelab.container(
        readonly=chance.random() < 0.5,
        uid=chance.choice((0, 33, 1000)),
        no_new_privileges=chance.random() < 0.3,
        capabilities=some(chance, _CAPABILITIES[:8], 3),
        command=chance.choice(_COMMANDS),
        binds=some(chance, _BINDS, 2),
    )
    return made.oci


def tree(number: int) -> bytes:
    """A root file system as a tar: accounts, settings, programs, what should not be there, links and devices."""
    chance = random.Random(f"tree {number}")
    top = chance.choice(("", "", "containers/services/web/rootfs/", "containers/onboot/000-sysctl/rootfs/"))
    entries = [(top + name, data, kept) for name, data, kept in (*_listed(chance), *_nodes(chance))]
    if top:
        configuration = json.dumps(_configuration(chance)).encode()
        entries.append((top.replace("rootfs/", "config.json"), configuration, {}))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data, kept in entries:
            made = tarfile.TarInfo(name)
            made.size, made.mode, made.uid, made.gid = len(data), 0o644, chance.choice(_OWNERS), chance.choice(_OWNERS)
            for key, value in kept.items():
                setattr(made, key, value)
            archive.addfile(made, io.BytesIO(data))
    return out.getvalue()


_Entry = tuple[str, bytes, dict[str, Any]]
"""The name of an entry, its content, and what else tarfile is to know of it."""


def _listed(chance: random.Random) -> Iterator[_Entry]:
    """Texts that are read line by line."""
    keys = sorted(load("sysctls")["setting"]) + sorted(load("sysctls")["wanted"])
    settings = [
        f"{chance.choice(('', '-', ' '))}{chance.choice((one, one.replace('.', '/'))).replace('*', 'all')}"
        f"{chance.choice((' = ', '='))}{chance.choice('0 0 1 1 2 3 -1 x'.split())}"
        for one in some(chance, keys, 12)
    ]
    texts = {
        "etc/passwd": some(chance, _USERS, 6),
        "etc/shadow": some(chance, _HASHES, 5),
        "etc/group": some(chance, _GROUPS, 5),
        "etc/ssh/sshd_config": some(chance, _SSHD, 8),
        "etc/ssh/sshd_config.d/10.conf": some(chance, _SSHD, 3),
        chance.choice(("etc/sysctl.d/00-own.conf", "etc/sysctl.conf", "usr/lib/sysctl.d/50.conf")): settings,
    }
    for name, lines in texts.items():
        if chance.random() < 0.6:
            yield name, "".join(f"{one}\n" for one in lines).encode(), {"mode": chance.choice((0o644, 0o600, 0o640))}


def _nodes(chance: random.Random) -> Iterator[_Entry]:
    """Files, programs, links, devices and directories."""
    for name in some(chance, _NAMES, 16):
        data = _program(chance, name).data if "bin/" in name else chance.choice(_CONTENTS)
        attributes = dict(some(chance, _ATTRIBUTES, 1)) if chance.random() < 0.3 else {}
        headers = {f"SCHILY.xattr.{key}": value.decode("latin-1") for key, value in attributes.items()}
        yield name, data, {"mode": chance.choice(_MODES), "pax_headers": headers}
    for name in some(chance, ("bin/sh", "usr/bin/vi", "etc/x", "lib/y.so", "home/app/z"), 3):
        yield name, b"", {"type": tarfile.SYMTYPE, "linkname": chance.choice(_LINKED), "mode": 0o777}
    for name in some(chance, ("dev/mem", "srv/sda", "dev/null", "dev/console", "opt/kvm"), 2):
        kind, major, minor = chance.choice(((tarfile.CHRTYPE, 1, 1), (tarfile.BLKTYPE, 8, 0), (tarfile.CHRTYPE, 1, 3)))
        mode = chance.choice((0o600, 0o666, 0o660))
        yield name, b"", {"type": kind, "devmajor": major, "devminor": minor, "mode": mode}
    for name in some(chance, ("tmp", "var/tmp", "srv/share", "etc", "var/lib/x", "root"), 3):
        yield name, b"", {"type": tarfile.DIRTYPE, "mode": chance.choice((0o755, 0o777, 0o1777, 0o775, 0o700))}
    if chance.random() < 0.3:
        yield "run/pipe", b"", {"type": tarfile.FIFOTYPE, "mode": 0o666}


def configuration(number: int) -> tuple[str, str, str]:
    """A kernel's configuration, its command line and its settings: most options of the table are in it, at random."""
    chance = random.Random(f"configuration {number}")
    table = load("kernel_options")
    rows = [name for row in table.values() for name in row.get("names", (row,))]
    older = [version for row in rows for version in row.get("backports", ())]
    marked = [row[key] for row in rows for key in ("since", "until") if key in row]
    version = chance.choice((*older, *marked, *"7.3.4 6.18.1 6.12.59 6.6.71 6.1.119 5.15.10 5.10.104 4.9.39".split()))
    *most, last = map(int, version.split("."))
    version = ".".join(map(str, (*most, max(0, last + chance.choice((-1, 0, 0, 1, 7))))))
    name, mark = chance.choice("x86:X86_64 x86:X86_64 arm64:ARM64 riscv:RISCV x86:X86".split()).split(":")
    lines = [
        "#", "# Automatically generated file; DO NOT EDIT.", f"# Linux/{name} {version} Kernel Configuration", "#",
        f"CONFIG_{mark}=y", "CONFIG_64BIT=y", 'CONFIG_LOCALVERSION=""', "CONFIG_PANIC_TIMEOUT=0",
    ]  # fmt: skip
    for option, row in table.items():
        known = [one["name"] for one in row.get("names", ())] or [option]
        parents = [one.lstrip("!") for need in row.get("needs", ()) for one in need]
        for one in (*some(chance, known, 2), *(parents if chance.random() < 0.5 else ())):
            if chance.random() < 0.85:
                value = chance.choice(("y", "y", "y", "n", "n", "m", "0", "16", "65536", '"yama,apparmor"'))
                lines.append(f"# CONFIG_{one} is not set" if value == "n" else f"CONFIG_{one}={value}")
    if chance.random() < 0.9:
        lines.append("# end of Kernel hacking")
    told, kept = (
        [
            f"{one['name']}={chance.choice((one.get('values', ''), *'0 1 2 65536 off'.split()))}"
            for one in some(chance, [row[kind] for row in table.values() if kind in row], 6)
        ]
        for kind in ("argument", "setting")
    )
    return "\n".join(lines) + "\n", " ".join([*told, *some(chance, _ARGUMENTS, 3)]), "\n".join(kept) + "\n"
