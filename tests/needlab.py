"""Small programs that each need one capability, and images of containers that start them."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from lkscan.config.policies import Policies
from lkscan.desks import Staff
from lkscan.evidence import gather
from lkscan.inputs import Input
from lkscan.rules.tables import load

ALL = (*load("capabilities")["first"], *load("capabilities")["since"])
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

C = {
    "CAP_CHOWN": 'return refused(chown("own", 1, 1));',
    "CAP_DAC_OVERRIDE": 'return refused(open("theirs", O_WRONLY));',
    "CAP_DAC_READ_SEARCH": 'return refused(open("theirs", O_RDONLY));',
    "CAP_FOWNER": 'return refused(chmod("theirs", 0600));',
    "CAP_FSETID": """struct stat s; if (chmod("grouped", 02755)) return 1;
        return stat("grouped", &s) || !(s.st_mode & S_ISGID);""",
    "CAP_KILL": "return refused(kill(atoi(v[1]), 0));",
    "CAP_SETGID": "return refused(setgid(1));",
    "CAP_SETUID": "return refused(setuid(1));",
    "CAP_SETPCAP": "return refused(prctl(PR_CAPBSET_DROP, 0, 0, 0, 0));",
    "CAP_LINUX_IMMUTABLE": """int flags = 0x10, fd = open("own", O_RDONLY);
        int bad = refused(ioctl(fd, FS_IOC_SETFLAGS, &flags));
        flags = 0; ioctl(fd, FS_IOC_SETFLAGS, &flags); return bad;""",
    "CAP_NET_BIND_SERVICE": """struct sockaddr_in a = {0}; int fd = socket(AF_INET, SOCK_DGRAM, 0);
        a.sin_family = AF_INET; a.sin_port = htons(999); return refused(bind(fd, (struct sockaddr *)&a, sizeof a));""",
    "CAP_NET_ADMIN": """struct ifreq r = {0}; int fd = socket(AF_INET, SOCK_DGRAM, 0); strcpy(r.ifr_name, "lo");
        ioctl(fd, SIOCGIFFLAGS, &r); return refused(ioctl(fd, SIOCSIFFLAGS, &r));""",
    "CAP_NET_RAW": "return refused(socket(AF_PACKET, SOCK_RAW, 0));",
    "CAP_IPC_LOCK": """struct rlimit none = {0, 0}; static char page[4096];
        setrlimit(RLIMIT_MEMLOCK, &none); return refused(mlock(page, sizeof page));""",
    "CAP_SYS_MODULE": 'return refused(syscall(SYS_init_module, "", 0, ""));',
    "CAP_SYS_RAWIO": "return refused(syscall(SYS_iopl, 0) || syscall(SYS_iopl, 3));",
    "CAP_SYS_CHROOT": 'return refused(chroot("."));',
    "CAP_SYS_PTRACE": """char one; struct iovec here = {&one, 1}, there = {(void *)v, 1};
        return refused(process_vm_readv(atoi(v[1]), &here, 1, &there, 1, 0));""",
    "CAP_SYS_PACCT": "return refused(acct(0));",
    "CAP_SYS_ADMIN": 'return refused(umount2(".", 0));',
    "CAP_SYS_BOOT": "return refused(reboot(1234));",
    "CAP_SYS_NICE": "return refused(setpriority(PRIO_PROCESS, 0, -5));",
    "CAP_SYS_RESOURCE": """struct rlimit r; getrlimit(RLIMIT_CORE, &r); r.rlim_cur = r.rlim_max = 0;
        setrlimit(RLIMIT_CORE, &r); r.rlim_max = 1; return refused(setrlimit(RLIMIT_CORE, &r));""",
    "CAP_SYS_TIME": """struct timex t = {0};
        t.modes = ADJ_MAXERROR; t.maxerror = 16000000; return refused(adjtimex(&t));""",
    "CAP_MKNOD": 'return refused(mknod("node", S_IFCHR | 0600, makedev(1, 3)));',
    "CAP_LEASE": 'int fd = open("readable", O_RDONLY); return refused(fcntl(fd, 1024, F_RDLCK));',
    "CAP_AUDIT_WRITE": """struct { struct nlmsghdr h; char text[8]; } m = {{24, 1107, 5, 1, 0}, "x"}; char answer[4096];
        int fd = socket(AF_NETLINK, SOCK_RAW, 9); if (fd < 0) return 2;
        send(fd, &m, 24, 0); if (recv(fd, answer, sizeof answer, 0) < 20) return 2;
        return *(int *)(answer + 16) == -EPERM;""",
    "CAP_SETFCAP": """unsigned c[5] = {0x02000001, 1, 0, 0, 0};
        return refused(setxattr("own", "security.capability", c, sizeof c, 0));""",
    "CAP_SYSLOG": "return refused(klogctl(0, 0, 0));",
    "CAP_WAKE_ALARM": "return refused(timerfd_create(8, 0));",
}
"""What a C program does that needs the capability: exit status 0 when it may, 1 when it is refused, 2 if it can't."""

GO = {
    "CAP_CHOWN": 'os.Chown("own", 1, 1)',
    "CAP_SETUID": "syscall.Setuid(1)",
    "CAP_SYS_CHROOT": 'syscall.Chroot(".")',
    "CAP_SYS_ADMIN": 'syscall.Unmount(".", 0)',
    "CAP_SYS_BOOT": "syscall.Reboot(1234)",
    "CAP_MKNOD": 'syscall.Mknod("node", syscall.S_IFCHR, 259)',
}
"""The same in Go, as an expression that gives an error."""

_HEAD = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
int umount2(const char *, int);
static int refused(long result) { return result < 0 && (errno == EPERM || errno == EACCES) ? 1 : 0; }
"""
_GO = """package main
import ("errors"; "os"; "syscall")
var _ = os.Args
func main() { if errors.Is(%s, syscall.EPERM) { os.Exit(1) } }
"""


class Program(NamedTuple):
    """A program of the lab: what it needs, how it was made, and its file."""

    capability: str
    kind: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.capability.removeprefix('CAP_').lower().replace('_', '-')}-{self.kind}"


class Machine(NamedTuple):
    """How programs for a machine are made: its compilers, by the kind of program, and its name in Go."""

    compilers: dict[str, list[str]]
    go: str
    without: frozenset[str] = frozenset()


_HERE = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
MACHINES = {
    "x86_64": Machine({"dynamic": ["gcc"], "static": ["musl-gcc", "-static", *_HERE]}, "amd64"),
    "arm64": Machine(
        {"dynamic": ["aarch64-linux-gnu-gcc"], "static": ["aarch64-linux-gnu-gcc", "-static"]},
        "arm64",
        frozenset({"CAP_SYS_RAWIO"}),  # iopl is of x86 alone
    ),
}


def build(folder: Path, in_c: dict[str, str] = C, in_go: dict[str, str] = GO, machine: str = "x86_64") -> list[Program]:
    """All of them: in C, dynamic and static, and in Go, which is static."""
    pytest.importorskip("capstone")
    compilers, go, without = MACHINES[machine]
    tools = {"go", *(command[0] for command in compilers.values())}
    if missing := [tool for tool in sorted(tools) if shutil.which(tool) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    made = []
    for capability, body in in_c.items():
        source = folder / f"{capability}.c"
        source.write_text(f"{_HEAD}int main(int count, char **v) {{ (void)count; (void)v; {body} }}\n")
        for kind, command in compilers.items() if capability not in without else ():
            target = folder / f"{capability}-{kind}"
            subprocess.run([*command, "-O2", "-w", "-s", "-o", target, source], check=True)
            made.append(Program(capability, kind, target))
    environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": "", "GOARCH": go}
    environment.setdefault("GOCACHE", str(folder / "go-cache"))
    for capability, expression in in_go.items():
        source, target = folder / f"{capability}.go", folder / f"{capability}-go"
        source.write_text(_GO % expression)
        subprocess.run(
            ["go", "build", "-ldflags", "-s -w", "-o", target, source], check=True, env=environment, cwd=folder
        )
        made.append(Program(capability, "go", target))
    return made


def libraries(path: Path, folders: list[Path]) -> set[Path]:
    """What a dynamic program needs, its loader included, out of some folders."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        text = subprocess.run(["readelf", "-ldW", waiting.pop()], capture_output=True, text=True, check=True).stdout
        names = [line.rpartition("[")[2].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line]
        names += [
            Path(line.rpartition(": ")[2].rstrip("]")).name
            for line in text.splitlines()
            if "program interpreter" in line
        ]
        for name in names:
            place = next((one / name for one in folders if (one / name).exists()), None)
            if place is not None and place not in found:
                found.add(place)
                waiting.append(place)
    return found


def configuration(args, capabilities=ALL, *, mounts=(), env=(f"PATH={PATH}",), **root) -> dict[str, bytes]:
    """The two files that describe a container."""
    process = {"args": list(args), "env": list(env), "cwd": "/", "capabilities": {"bounding": list(capabilities)}}
    oci = {"process": process, "root": root, "mounts": list(mounts), "linux": {}}
    return {"config.json": json.dumps(oci).encode(), "runtime.json": b"{}"}


def image(path: Path, containers: dict[str, tuple[dict[str, bytes], dict[str, object]]]) -> Path:
    """A tar of containers by their names: their configuration, and their files by path.

    A file is a path to copy, bytes (a script, if it begins so), or a link (`-> target`).
    """
    with tarfile.open(path, "w") as tar:
        for name, (config, files) in containers.items():
            base = f"containers/services/{name}"
            for inner, content in {**config, **{f"rootfs/{key}": one for key, one in files.items()}}.items():
                entry = tarfile.TarInfo(f"{base}/{inner}")
                if isinstance(content, str):
                    entry.type, entry.linkname = tarfile.SYMTYPE, content.removeprefix("-> ")
                    tar.addfile(entry)
                    continue
                data = content if isinstance(content, bytes) else content.read_bytes()
                entry.size = len(data)
                entry.mode = 0o755 if data.startswith((b"\x7fELF", b"#!")) else 0o644
                tar.addfile(entry, io.BytesIO(data))
    return path


def needs(path: Path) -> dict:
    """What each container of an image needs, by its name."""
    (found,) = gather([Input("image", (str(path),))], Policies(search=False), Staff())
    assert not found.problems, found.problems
    return {one.container.name: one for one in found.needs}


def verdicts(needs) -> dict[str, str]:
    return {one.name: one.verdict for one in needs.capabilities}
