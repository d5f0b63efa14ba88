"""Nothing that an input names is opened, looked at or run on the machine that scans: the system's own record tells."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest
import seedlab
from elflab import Lab, bzimage, core, packed
from imagelab import Item, Node, iso, newc
from test_efi import program as efi

from lkscan import cli

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = "/srv/outside"
"""All that the inputs name lies below: no call of the system may ever speak of it."""
RUNPATH = 29

CALL = re.compile(r'^\d+ +(\w+)\((?:AT_FDCWD(?:<[^>]*>)?, |\d+<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
"""A call with a path, as strace writes it with `-y`."""

PYTHON = {os.path.realpath(one) for one in (sys.base_prefix, *sysconfig.get_paths().values(), sys.executable)}
OWN = {sys.prefix, str(ROOT), *PYTHON}
"""Where Python and lkscan lie, with all below."""
SYSTEM = re.compile(
    r"""(?:/usr(?:/local)?)?/lib(?:32|64)?(?:/(?:[^/]+/)*[^/]+\.so(?:\.[0-9.]+)?)?  # and folders, for Landlock
    |/etc/ld\.so\.(?:cache|preload)|/dev/(?:null|urandom|fd)|/proc/self/.*
    |/usr/lib/ssl/openssl\.cnf|/etc/ssl/openssl\.cnf
    |/etc/(?:localtime|locale\.alias)|/usr/(?:lib|share)/(?:[^/]+/)?(?:gconv|locale|zoneinfo)(?:/.*)?
    |/(?:.*/)?python3\d+\.zip  # looked for in all folders above""",
    re.VERBOSE,
)
"""What the C library, OpenSSL and Python itself look at in any program."""


def kernel():
    """A kernel whose configuration was made with a root file system from outside."""
    return bzimage(packed(core(b'CONFIG_MODULES=y\nCONFIG_INITRAMFS_SOURCE="/srv/outside/root"\n'), "gzip"))


def program():
    """A program that wants a loader, a library and folders to look for it, all of them outside."""
    needed = (f"{OUTSIDE}/lib.so",)
    return Lab(interpreter=f"{OUTSIDE}/ld.so", needed=needed, tags=((RUNPATH, 1),)).build()


def loader():
    """A program of the firmware that claims to be signed: another library is asked about that."""
    return efi(certificates=(8).to_bytes(4, "little") + b"\0\2\2\0")


CONFIG = {
    "process": {"args": [f"{OUTSIDE}/run"], "env": [f"PATH={OUTSIDE}/bin", f"LD_LIBRARY_PATH={OUTSIDE}"]},
    "root": {"path": f"{OUTSIDE}/rootfs"},
    "mounts": [{"destination": "/x", "type": "bind", "source": f"{OUTSIDE}/bind", "options": ["rbind"]}],
    "linux": {"namespaces": [{"type": "network", "path": f"{OUTSIDE}/net"}]},
}
WEB = "containers/services/web"
TREE = {
    "bin/app": program(),
    "bin/run": f"#!{OUTSIDE}/sh\n".encode(),
    "etc/passwd": f"root:x:0:0::{OUTSIDE}/home:{OUTSIDE}/sh\n".encode(),
    "etc/ssh/sshd_config": f"Include {OUTSIDE}/*.conf\nAuthorizedKeysFile {OUTSIDE}/keys\n".encode(),
    "etc/ld.so.conf": f"include {OUTSIDE}/*.conf\n".encode(),
    "etc/containerd/config.toml": f'root = "{OUTSIDE}"\n[grpc]\naddress = "{OUTSIDE}/sock"\n'.encode(),
    "boot/kernel": kernel(),
    "boot/cmdline": f"root={OUTSIDE}/disk init={OUTSIDE}/init".encode(),
    f"{WEB}/config.json": json.dumps(CONFIG).encode(),
    f"{WEB}/runtime.json": json.dumps({"bindNS": {"net": f"{OUTSIDE}/net"}}).encode(),
    f"{WEB}/rootfs/bin/app": program(),
}
LINKS = {"etc/shadow": f"{OUTSIDE}/shadow", "lib": OUTSIDE, f"{WEB}/rootfs/bin/sh": "../../../../.." + OUTSIDE}

SPEC = f"""
kernel: {{image: "linuxkit/kernel:6.12.59", cmdline: "init={OUTSIDE}/init"}}
init: ["@pkg:{OUTSIDE}/package"]
services:
  - name: web
    image: example.org/web:1
    command: ["{OUTSIDE}/run"]
    binds: ["{OUTSIDE}/bind:/x"]
    runtime: {{mkdir: ["{OUTSIDE}/made"], bindNS: {{net: {OUTSIDE}/net}}}}
files:
  - {{path: etc/key, source: {OUTSIDE}/key}}
  - {{path: etc/link, symlink: {OUTSIDE}/link}}
"""


def cpio():
    entries = [Item(name, data, mode=0o100755) for name, data in TREE.items()]
    return newc(*entries, *(Item(name, target.encode(), mode=0o120777) for name, target in LINKS.items()))


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in TREE.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
        for name, target in LINKS.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            file.addfile(info)
    return out.getvalue()


INPUTS = {
    "linuxkit.yml": SPEC.encode,
    "initrd.img": lambda: gzip.compress(cpio()),
    "image.tar": tar,
    "image.iso": lambda: iso({name.replace("/", "-"): Node(data) for name, data in TREE.items()}),
    "kernel": kernel,
    "program": program,
    "bootx64.efi": loader,
}


def traced(tmp_path, *arguments):
    """The paths that lkscan with these arguments hands to the system; what is open already needs none."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    log = tmp_path / "log"
    command = [strace, "-f", "-qq", "-y", "-s", "8192", "-e", "trace=%file", "-o", str(log), sys.executable, "-B"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*command, "-m", "lkscan", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    if "PTRACE" in done.stderr:
        pytest.skip("needs ptrace, which is not allowed here")
    assert done.returncode in {cli.OK, cli.FINDINGS, cli.INCOMPLETE}, done.stderr
    lines = log.read_text(encoding="utf-8").splitlines()
    matches = [(line, CALL.match(line)) for line in lines if '"' in line]
    assert [line for line, match in matches if match is None] == []
    return [
        os.path.join(match["folder"] or str(tmp_path), match["path"]) for _, match in matches if match and match["path"]
    ]


def strangers(paths, tmp_path, given):
    """The paths that belong neither to the input nor to Python nor to lkscan."""
    above = [*given.parents, Path("/")]
    looked_for = ("lkscan.toml", "pyproject.toml", "lkscan.lock", ".git")
    own = {str(given), str(given / "index.json"), *map(str, above)}
    own |= {str(folder / name) for folder in above for name in looked_for}
    own.add(os.environ["LINUXKIT_CACHE"] + "/index.json")
    own |= {str(folder) for place in OWN for folder in Path(place).parents}

    def is_own(path):
        plain = os.path.normpath(path)
        return (
            plain in own
            or any(one == place or one.startswith(f"{place}/") for one in (plain, path) for place in OWN)
            or SYSTEM.fullmatch(plain) is not None
        )

    return sorted({path for path in paths if not is_own(path)})


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("command", ["scan", "inspect"])
def test_a_scan_looks_at_nothing_but_its_input(name, command, tmp_path):
    given = tmp_path / "in" / name
    given.parent.mkdir()
    given.write_bytes(INPUTS[name]())
    more = ("--profile", "auditor") if command == "scan" else ("--files", "--binaries")
    paths = traced(tmp_path, command, str(given), *more)
    assert str(given) in paths
    assert [path for path in paths if "outside" in path] == []
    assert strangers(paths, tmp_path, given) == []


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    seedlab.need()
    return seedlab.seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize(
    "name", ["squashfs-xz", "erofs-lz4", "ext4", "fat32", "gpt", "qcow2", "vmdk-stream", "vhd-dynamic", "uki"]
)
def test_so_does_a_scan_of_what_the_real_tools_make(name, seeds, tmp_path):
    given = tmp_path / "in" / name
    given.parent.mkdir()
    given.write_bytes(seeds[name])
    assert strangers(traced(tmp_path, "scan", str(given)), tmp_path, given) == []
