"""lkscan as a LinuxKit package: its spec, its package and its image stand before its own strictest profile."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import tomli
import yaml
from test_oci import Blobs, named

from lkscan import cli
from lkscan.rules.engine import Profile, Severity
from lkscan.rules.funnel import Options
from lkscan.scanning import scan

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "packaging/lkscan"
STRICT = ("--profile", "auditor", "--fail-on", "low", "--date", "2026-01-01")
DEBIAN = ("libc6", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "zlib1g", "libssl3", "libuuid1", "libgcc-s1")
"""What Debian's Python is linked with, as far as a scan needs it."""
PYTHON = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib")


def instructions():
    """The lines of the Dockerfile as (word, rest)."""
    text = (PACKAGE / "Dockerfile").read_text(encoding="utf-8")
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_spec_and_the_package_pass_the_strictest_profile(capsys):
    assert cli.main([str(ROOT / "packaging"), *STRICT]) == 0
    assert "2 inputs" in capsys.readouterr().out


def test_nothing_of_the_container_is_left_undecided():
    """LinuxKit's defaults, the label and the spec say all; the label is that of build.yml."""
    result = scan([str(ROOT / "packaging/linuxkit.yml")], options=Options(profile=Profile.AUDITOR))
    (container,) = result.systems[0].containers
    assert (container.capabilities, container.uid, container.readonly) == (frozenset(), 65532, True)
    assert container.no_new_privileges
    assert {container.namespace(kind) for kind in ("network", "ipc", "uts", "pid")} == {"new"}
    assert [(mount.source, mount.writable) for mount in container.mounts if mount.is_bind] == [("/var/images", False)]
    assert [one.message for one in result.others if "label" in one.message] == []


def test_the_image_is_not_root_and_needs_no_network_to_be_built():
    lines = instructions()
    last = [rest for word, rest in lines if word in {"USER", "ENTRYPOINT"}]
    entry = yaml.safe_load((PACKAGE / "build.yml").read_text(encoding="utf-8"))["config"]["command"]
    assert last[0] == "65532:65532"
    assert entry[: len(json.loads(last[1]))] == json.loads(last[1])
    assert "network" not in yaml.safe_load((PACKAGE / "build.yml").read_text(encoding="utf-8"))
    assert [rest for word, rest in lines if word == "ADD" or "apt" in rest or "pip" in rest or "http" in rest] == []


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image that the Dockerfile describes, as an OCI layout, and its tree: Debian's Python, as in the base; wheels.

    What its one RUN does is done with the interpreter at hand; the bill of materials is made of the wheels' names.
    """
    if shutil.which("dpkg") is None or not Path("/usr/bin/python3.11").exists():
        pytest.skip("needs Debian 12, whose Python the base image has")
    folder = tmp_path_factory.mktemp("image")
    root, wheels = folder / "root", folder / "wheels"
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, "--only-binary", ":all:"]
    fetch += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    fetch += [word for tag in ("2014", "_2_17", "_2_28") for word in ("--platform", f"manylinux{tag}_x86_64")]
    done = subprocess.run([*fetch, *wheels.glob("*.whl")], check=False, capture_output=True, text=True)
    if re.search("NewConnectionError|NameResolutionError", done.stderr):
        pytest.skip("needs a package index")
    assert done.returncode == 0, done.stderr
    debian(root)
    packages = root / "usr/lib/python3/dist-packages"
    for wheel in wheels.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(packages)
    parts = [dict(zip(("name", "version"), one.name.split("-")[:2], strict=True)) for one in wheels.glob("*.whl")]
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", **one} for one in parts]}
    (root / "usr/share/sbom").mkdir(parents=True)
    (root / "usr/share/sbom/lkscan.cdx.json").write_text(json.dumps(bill))
    return layout(root, folder / "layout"), root


def debian(root):
    """Lay Debian's Python and what it is linked with below `root`, without documentation."""
    listed = subprocess.run(["dpkg", "-L", *PYTHON, *DEBIAN], check=True, capture_output=True, text=True).stdout
    for name in dict.fromkeys(listed.splitlines()):
        path = Path(name)
        if not re.match(r"/(usr/)?(lib|lib64|bin)/", name) or (path.is_dir() and not path.is_symlink()):
            continue
        target = root / os.path.realpath(path.parent)[1:] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    (root / "usr/bin/python3").symlink_to("python3.11")
    (root / "lib64").symlink_to("usr/lib64")
    (root / "lib").symlink_to("usr/lib")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
    )


def _of_root(entry):
    """An entry of an archive as root's; `TarInfo.replace` came with 3.11.4, and Debian 12 has 3.11.2."""
    entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "root", "root"
    return entry


def layout(root, target):
    """An OCI layout with one image of one layer, with the label that `linuxkit pkg build` makes of build.yml."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(root, ".", filter=_of_root)
    blobs = Blobs()
    config = yaml.safe_load((PACKAGE / "build.yml").read_text(encoding="utf-8"))["config"]
    labels = {
        "org.mobyproject.config": json.dumps(config),
        "org.opencontainers.image.source": "https://github.com/linuxkit/lkscan",
        "org.opencontainers.image.revision": "0" * 40,
    }
    entry = ["/usr/bin/python3", "-I", "-m", "lkscan"]
    about = {"User": "65532:65532", "Entrypoint": entry, "Labels": labels}
    made = {"architecture": "amd64", "os": "linux", "created": "2025-12-01T00:00:00Z", "config": about}
    layer = blobs.add(out.getvalue(), "application/vnd.oci.image.layer.v1.tar")
    manifest = {
        "schemaVersion": 2,
        "config": blobs.add(made, "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    }
    blobs.layout(blobs.add(manifest, "application/vnd.oci.image.manifest.v1+json", **named("linuxkit/lkscan:0.1.0")))
    for path, data in blobs.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
    return target


def test_lkscans_own_image_passes_the_strictest_profile(image, capsys):
    assert cli.main([str(image[0]), *STRICT, "--config", str(ROOT / "packaging/lkscan.toml")]) == 0
    assert "Not read" not in capsys.readouterr().out


def test_what_may_stay_in_it_is_low_and_of_the_code_of_others(image):
    result = scan([str(image[0])], options=Options(profile=Profile.AUDITOR))
    assert result.problems == ()
    assert result.systems
    found = [one for one in result.findings if one.severity > Severity.NOTE]
    assert {one.severity for one in found} == {Severity.LOW}
    entries = tomli.loads((ROOT / "packaging/lkscan.toml").read_text(encoding="utf-8"))["ignore"]
    assert {one.rule.name for one in found} == {name for entry in entries for name in entry["rules"]}
    assert [one.subject for one in found if "dist-packages/lkscan" in one.subject] == []


def test_lkscan_runs_in_its_own_image_without_root(image):
    """In the tree alone, as the user of the image, with nothing but what it brought."""
    chroot = shutil.which("chroot", path=f"{os.environ['PATH']}:/usr/sbin")
    if os.geteuid() or chroot is None:
        pytest.skip("needs to be root, for chroot")
    (image[1] / "images").mkdir()
    shutil.copy(ROOT / "examples/bad.yml", image[1] / "images")
    command = [chroot, "--userspec=65532:65532", image[1], "/usr/bin/python3", "-I", "-m", "lkscan", "scan", "/images"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={})
    assert (done.returncode, done.stderr) == (1, "")
    assert "LKP002" in done.stdout
