"""Builds a small ISO from examples/bad.yml, laid out as `linuxkit build --format iso-bios` does, without its tools.

Containers, command line, files and the kernel's version come from the spec, through lkscan's own reader; what the
images would bring is made here. It doesn't boot, but everything in it is true to its format.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import tiny
from iso9660 import Entry, iso9660

from lkscan.scanner import spec
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.subjects import Container, File, ImageReference, KernelCommandLine, Problem, Subject

SPEC = Path(__file__).with_name("bad.yml")

# The start and the end of a kernel's configuration, so that it is seen to be whole, and what matters in between.
KERNEL_OPTIONS = {
    "64BIT": "y",
    "X86_64": "y",
    "X86": "y",
    "LOCALVERSION": '""',
    "NAMESPACES": "y",
    "CGROUPS": "y",
    "RANDOMIZE_BASE": "y",
    "SECCOMP": "y",
    "SECCOMP_FILTER": "y",
    "CC_STACKPROTECTOR": "n",
    "STRICT_KERNEL_RWX": "y",
    "STRICT_MODULE_RWX": "y",
    "MODULES": "y",
    "DEVMEM": "y",
    "OVERLAY_FS": "y",
    "ISO9660_FS": "y",
    "PAGE_TABLE_ISOLATION": "y",
    "HARDENED_USERCOPY": "n",
    "IKCONFIG": "y",
    "STRICT_DEVMEM": "n",
    "PANIC_TIMEOUT": "0",
}

HOST_KEY = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABVGhpcyBpcyBu
byBrZXkgZWl0aGVyLiBFdmVyeSBtYWNoaW5lIGJvb3RlZCBmcm9tIHRoaXMgaW1h
Z2Ugd291bGQgc2hhcmUgaXQu
-----END OPENSSH PRIVATE KEY-----
"""

INIT = "#!/bin/sh\nmount -t proc proc /proc\nfor script in /etc/init.d/*; do $script; done\nexec /bin/init\n"

# What the images of the spec would bring: path, content, mode. Programs are ELF files that end at once.
BASE = (
    ("bin/init", tiny.hardened_elf(), 0o755),
    ("bin/rc.init", INIT, 0o755),
    ("bin/su", tiny.hardened_elf(), 0o4755),
    ("usr/bin/runc", tiny.hardened_elf(), 0o755),
    ("usr/bin/containerd", tiny.careless_elf(), 0o755),
    ("etc/inittab", "::sysinit:/bin/rc.init\n", 0o644),
    ("etc/sysctl.d/00-linuxkit.conf", "kernel.kptr_restrict = 2\nkernel.dmesg_restrict = 1\n", 0o644),
)
CONTENTS: dict[str, tuple[tuple[str, str | bytes, int], ...]] = {
    "sysctl": (("usr/bin/sysctl", tiny.hardened_elf(), 0o755),),
    "setup": (("etc/setup.sh", "#!/bin/sh\nmodprobe overlay\n", 0o755),),
    "getty": (
        ("sbin/agetty", tiny.hardened_elf(), 0o755),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
    ),
    "sshd": (
        ("usr/sbin/sshd", tiny.hardened_elf(), 0o755),
        ("etc/ssh/ssh_host_ed25519_key", HOST_KEY, 0o600),
        ("etc/ssh/sshd_config", "PermitRootLogin prohibit-password\nPasswordAuthentication no\n", 0o644),
    ),
    "docker": (("usr/local/bin/dockerd", tiny.careless_elf(), 0o755),),
    "dashboard": (("dashboard", tiny.hardened_elf(), 0o755), ("data/cache.json", "{}\n", 0o666)),
    "rngd": (("sbin/rngd", tiny.hardened_elf(), 0o755),),
}
# The commands of those images, which LinuxKit takes where the spec gives none.
COMMANDS = {
    "sysctl": ["/usr/bin/sysctl"],
    "getty": ["/sbin/tini", "-s", "-v", "--", "/usr/bin/rungetty.sh"],
    "sshd": ["/sbin/tini", "-s", "/usr/bin/ssh.sh"],
    "docker": ["/usr/local/bin/dockerd"],
    "dashboard": ["/dashboard"],
    "rngd": ["/sbin/rngd"],
}


def build() -> bytes:
    """The ISO; the same bytes every time. Raises ValueError when the spec cannot be read."""
    return iso9660(entries())


def entries() -> list[Entry]:
    """What the image holds. Raises ValueError when the spec cannot be read."""
    found = list(spec.read([(SPEC.name, SPEC.read_bytes())], LabelFinder()))
    problems = [f"{one.place}: {one.message}" for one in found if isinstance(one, Problem)]
    if problems:
        raise ValueError("\n".join(problems))
    return list(_entries(found))


def _entries(subjects: Iterable[Subject | Problem]) -> Iterator[Entry]:
    yield from _contents("", BASE)
    for subject in subjects:
        if isinstance(subject, ImageReference) and subject.role == "kernel":
            yield Entry("boot/kernel", tiny.kernel(f"{subject.tag}-linuxkit", _kernel_config(subject.tag)))
        elif isinstance(subject, KernelCommandLine):
            yield Entry("isolinux/isolinux.cfg", _boot_menu(subject.text).encode())
        elif isinstance(subject, Container):
            yield from _container(subject)
        elif isinstance(subject, File):
            yield _file(subject)


def _kernel_config(version: str) -> str:
    lines = ["#", "# Automatically generated file; DO NOT EDIT.", f"# Linux/x86 {version} Kernel Configuration", "#"]
    for option, value in KERNEL_OPTIONS.items():
        lines.append(f"# CONFIG_{option} is not set" if value == "n" else f"CONFIG_{option}={value}")
    return "\n".join(lines) + "\n"


def _boot_menu(command_line: str) -> str:
    root = "" if "root=" in command_line else " root=/dev/sr0"
    return f"DEFAULT linux\nLABEL linux\n    KERNEL /boot/kernel\n    APPEND {command_line}{root}\n"


def _container(container: Container) -> Iterator[Entry]:
    """Its folder: one-shot containers are numbered, services are not; a writable root lies below an overlay."""
    name = container.name if container.section == "services" else f"{container.index:03d}-{container.name}"
    folder = f"containers/{container.section}/{name}"
    process = {"args": COMMANDS.get(container.name, []), **container.oci["process"]}
    yield Entry(f"{folder}/config.json", _json({**container.oci, "process": process}))
    yield Entry(f"{folder}/runtime.json", _json(container.runtime))
    for part in ("rootfs",) if container.readonly else ("rootfs", "lower", "tmp"):
        yield Entry(f"{folder}/{part}", None, 0o755)
    root = "rootfs" if container.readonly else "lower"
    yield from _contents(f"{folder}/{root}/", CONTENTS.get(container.name, ()))


def _contents(folder: str, files: Iterable[tuple[str, str | bytes, int]]) -> Iterator[Entry]:
    for path, content, mode in files:
        yield Entry(folder + path, content.encode() if isinstance(content, str) else content, mode)


def _file(file: File) -> Entry:
    data = None if file.kind == "dir" else file.read(file.size) if file.read else b""
    return Entry(file.path, data, file.mode, file.uid, file.gid, file.target)


def _json(document: object) -> bytes:
    return json.dumps(document, indent=4, default=dict).encode()


def main(arguments: list[str]) -> int:
    """Write the ISO to the path that is given."""
    if len(arguments) != 1:
        print("usage: build_demo_iso.py FILE.iso", file=sys.stderr)
        return 2
    target = Path(arguments[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(build())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
