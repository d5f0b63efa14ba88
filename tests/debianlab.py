"""Assembles ISOs out of Debian's own packages: one laid out as LinuxKit's iso-bios, one as Debian's mini.iso."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
TOOLS = {"dpkg-deb": "dpkg", "genisoimage": "genisoimage", "isohybrid": "syslinux-utils"}
DEBS = Path(os.environ.get("LKSCAN_DEBS", ".venv-ci/debs"))
COMMAND_LINE = "console=tty0 console=ttyS0 mitigations=off"
CAPABILITIES = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH "
    "FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN "
    "NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT "
    "SYSLOG SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
)
"""The forty-one that Linux 5.9 and later know, without CAP_."""


def need_tools() -> None:
    """Skip, with its name, when something that the assembly calls is not installed."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    missing += [] if ISOLINUX.exists() else ["isolinux"]
    missing += [] if (SYSLINUX / "ldlinux.c32").exists() else ["syslinux-common"]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def unpack(package: str, folder: Path) -> Path:
    """The files of a Debian package: of its .deb in the folder that LKSCAN_DEBS names, unpacked below `folder`."""
    packages = sorted(DEBS.glob(f"{package}_*.deb"))
    if not packages:
        pytest.skip(f"needs Debian's {package.rstrip('*')} package in the folder that LKSCAN_DEBS names")
    target = folder / package.replace("*", "")
    subprocess.run(["dpkg-deb", "-x", packages[-1], target], check=True)
    return target


def iso_bios(folder: Path) -> tuple[Path, Path]:
    """An image as `linuxkit build --format iso-bios` makes it; returns it and the tree that went into it."""
    need_tools()
    kernel, containerd, runc, busybox = (
        unpack(package, folder) for package in ("linux-image-6*-amd64", "containerd", "runc", "busybox-static")
    )
    root = folder / "root"
    _base(root, busybox / "bin/busybox", containerd / "usr/bin", runc / "usr/sbin/runc")
    _kernel(root, kernel)
    _containers(root, busybox / "bin/busybox")
    return _make_bios_iso(root, folder / "linuxkit-bios.iso"), root


def mini_iso(folder: Path) -> Path:
    """Debian's network installer as it lies on a mini.iso: kernel, initrd and isolinux side by side."""
    need_tools()
    package = unpack("debian-installer-12-netboot-amd64", folder)
    parts = package / "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
    root = folder / "mini"
    root.mkdir()
    for name in ("linux", "initrd.gz", "boot-screens/ldlinux.c32"):
        shutil.copy(parts / name, root)
    shutil.copy(ISOLINUX, root)
    append = "vga=788 initrd=/initrd.gz --- quiet"
    (root / "isolinux.cfg").write_text(f"default install\nlabel install\n\tkernel /linux\n\tappend {append}\n")
    options = ["-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
    target = folder / "mini.iso"
    subprocess.run(["genisoimage", "-quiet", "-r", "-J", *options, "-o", target, root], check=True)
    return target


def elf_files(root: Path) -> list[Path]:
    """Every regular file below `root` that begins as ELF files do."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found += [path] if file.read(4) == b"\x7fELF" else []
    return found


def _base(root: Path, busybox: Path, containerd: Path, runc: Path) -> None:
    for folder in ("bin", "dev", "etc/init.d", "lib", "proc", "sys", "usr/bin", "var/lib", "run"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin")
    (root / "bin/sh").symlink_to("busybox")
    for program in (*containerd.iterdir(), runc):
        shutil.copy(program, root / "usr/bin")
    _script(root / "init", "exec /bin/rc.init")
    _script(root / "bin/rc.init", "mount -t proc proc /proc")
    _script(root / "etc/init.d/020-containerd", "/usr/bin/containerd &")
    (root / "etc/resolv.conf").symlink_to("/run/resolvconf/resolv.conf")
    (root / "etc/shadow").write_text("root:!::0:::::\n")
    (root / "etc/shadow").chmod(0o640)


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _kernel(root: Path, package: Path) -> None:
    (image,) = (package / "boot").glob("vmlinuz-*")
    (root / "boot").mkdir()
    shutil.copy(image, root / "boot/kernel")
    (root / "boot/cmdline").write_text(COMMAND_LINE)
    (release,) = (package / "lib/modules").iterdir()
    modules = f"lib/modules/{release.name}/kernel/fs/overlayfs"
    shutil.copytree(package / modules, root / modules)


def _containers(root: Path, busybox: Path) -> None:
    """A one-shot container with nothing to spare, a service with everything, and a second one from the same image."""
    small = root / "containers/onboot/000-sysctl"
    _container(small, ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"], readonly=True)
    _program(small / "rootfs/bin", busybox)
    large = root / "containers/services/shell"
    everything = [f"CAP_{name}" for name in CAPABILITIES.split()]
    _container(large, everything, binds=["/:/host", "/var/run:/var/run"], namespaces=["mount"])
    for part in ("rootfs", "lower", "tmp"):
        (large / part).mkdir(exist_ok=True)
    _program(large / "lower/bin", busybox)
    again = root / "containers/services/shell-again"
    _container(again, [])
    source = "/containers/services/shell/lower"
    runtime = json.loads((again / "runtime.json").read_text())
    overlay = [f"lowerdir={source}", "upperdir=/containers/services/shell-again/tmp/upper"]
    overlay += ["workdir=/containers/services/shell-again/tmp/work"]
    runtime["mounts"] = [{"destination": "rootfs", "type": "overlay", "source": "overlay", "options": overlay}]
    (again / "runtime.json").write_text(json.dumps(runtime))


def _program(folder: Path, busybox: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox, folder / "sh")


def _container(
    folder: Path,
    capabilities: list[str],
    *,
    readonly: bool = False,
    binds: list[str] | None = None,
    namespaces: list[str] | None = None,
) -> None:
    """Its folder with config.json and runtime.json, shaped as LinuxKit writes them."""
    (folder / "rootfs").mkdir(parents=True)
    mounts = [
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/proc", "proc", ["nosuid", "nodev", "noexec", "relatime"]),
        _mount("/sys", "sysfs", ["nosuid", "noexec", "nodev"]),
    ]
    for source, target in (bind.split(":") for bind in binds or []):
        mounts.append({**_mount(target, "bind", ["rw", "rbind", "rshared"]), "source": source})
    sets = dict.fromkeys(("bounding", "effective", "inheritable", "permitted"), capabilities)
    config = {
        "ociVersion": "1.2.1",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sh"], "cwd": "/", "capabilities": sets},
        "root": {"path": "rootfs", "readonly": readonly},
        "mounts": mounts,
        "linux": {"resources": {}, "namespaces": [{"type": kind} for kind in namespaces or ["pid", "mount"]]},
    }
    runtime = {"cgroups": [], "mounts": [], "mkdir": [], "interfaces": [], "bindNS": {}, "namespace": ""}
    (folder / "config.json").write_text(json.dumps(config, indent=4))
    (folder / "runtime.json").write_text(json.dumps(runtime))


def _mount(destination: str, kind: str, options: list[str]) -> dict[str, object]:
    return {"destination": destination, "type": kind, "source": kind, "options": options}


def _make_bios_iso(root: Path, target: Path) -> Path:
    """The steps of LinuxKit's iso-bios tool, with the options it gives genisoimage and isohybrid."""
    command_line = (root / "boot/cmdline").read_text()
    if "root=" not in command_line:
        command_line += " root=/dev/sr0"
    (root / "boot/cmdline").unlink()
    (root / "isolinux").mkdir()
    shutil.copy(ISOLINUX, root / "isolinux")
    shutil.copy(SYSLINUX / "ldlinux.c32", root / "isolinux")
    menu = f"DEFAULT linux\nLABEL linux\n    KERNEL /boot/kernel\n    APPEND {command_line}\n"
    (root / "isolinux/isolinux.cfg").write_text(menu)
    boot = ["-c", "isolinux/boot.cat", "-b", "isolinux/isolinux.bin"]
    boot += ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
    names = ["-l", "-J", "-R", "-joliet-long", "-input-charset", "utf8", "-V", "LinuxKit"]
    subprocess.run(["genisoimage", "-quiet", "-o", target, *names[:3], *boot, *names[3:], root], check=True)
    subprocess.run(["isohybrid", target], check=True)
    return target
