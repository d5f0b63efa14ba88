"""`lkscan inspect` on images: the facts, as a contract for programs and as a tree for people."""

import gzip
import json
from hashlib import sha256

import elflab
import pytest
from imagelab import Item, newc

from lkscan.cli import INCOMPLETE, OK, main

SSHD = "containers/services/sshd"
CONFIG = {
    "process": {"user": {"uid": 0, "gid": 0}, "capabilities": {"bounding": ["CAP_NET_ADMIN", "CAP_CHOWN"]}},
    "mounts": [{"destination": "/run", "type": "bind", "source": "/run", "options": ["rw", "rbind"]}],
    "linux": {"namespaces": [{"type": "pid"}]},
}
PROGRAM = elflab.Lab(interpreter="/lib/ld-musl-x86_64.so.1", stack=elflab.RE | elflab.RW).build()


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A kernel, an initrd and a command line, as `linuxkit build` names them."""
    monkeypatch.chdir(tmp_path)
    tree = newc(
        Item("bin", mode=0o040755),
        Item("bin/sh", mode=0o120777, data=b"busybox"),
        Item("bin/busybox", PROGRAM, mode=0o104755),
        Item(f"{SSHD}/config.json", json.dumps(CONFIG).encode()),
        Item(f"{SSHD}/runtime.json", b"{}"),
    )
    (tmp_path / "lk-kernel").write_bytes(elflab.bzimage(elflab.packed(elflab.core(), "gzip")))
    (tmp_path / "lk-initrd.img").write_bytes(gzip.compress(tree))
    (tmp_path / "lk-cmdline").write_text("console=ttyS0 quiet")
    return "lk"


def inspected(capsys, *arguments):
    assert main(["inspect", "-f", "json", *arguments]) == OK
    (one,) = json.loads(capsys.readouterr().out)
    return one


def test_the_kernel_is_told_with_the_digest_of_its_configuration(system, capsys):
    one = inspected(capsys, system)
    assert one["kernel"]["version"] == "6.12.1-lab"
    assert one["kernel"]["config_source"] == "IKCONFIG"
    assert one["kernel"]["config_sha256"] == sha256(elflab.CONFIG).hexdigest()
    assert one["cmdline"] == ["console=ttyS0 quiet"]
    assert one["is_linuxkit"]
    assert "files" not in one
    assert "binaries" not in one


def test_containers_are_told_as_they_were_built(system, capsys):
    (container,) = inspected(capsys, system)["containers"]
    assert (container["section"], container["name"], container["label"]) == ("services", "sshd", "built")
    assert container["oci"]["process"]["capabilities"]["bounding"] == ["CAP_NET_ADMIN", "CAP_CHOWN"]


def test_files_come_with_mode_digest_and_target(system, capsys):
    files = {one["path"]: one for one in inspected(capsys, system, "--files")["files"]}
    assert files["bin"]["type"] == "dir"
    assert (files["bin/sh"]["type"], files["bin/sh"]["target"], files["bin/sh"]["sha256"]) == (
        "symlink",
        "busybox",
        None,
    )
    busybox = files["bin/busybox"]
    assert (busybox["mode"], busybox["size"], busybox["xattrs"]) == ("4755", len(PROGRAM), {})
    assert busybox["sha256"] == sha256(PROGRAM).hexdigest()


def test_binaries_come_with_verdicts_and_evidence(system, capsys):
    (binary,) = inspected(capsys, system, "--binaries")["binaries"]
    assert (binary["path"], binary["nx"]) == ("bin/busybox", "no")
    assert binary["evidence"]["nx"] == "GNU_STACK RWE"


def test_the_tree_holds_the_same_facts(system, capsys):
    assert main(["inspect", system, "--files", "--binaries"]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lk-kernel  (image, built by LinuxKit)"
    assert "  kernel: 6.12.1-lab x86_64 (bzImage; configuration: IKCONFIG)  [lk-kernel]" in lines
    assert "  command line: console=ttyS0 quiet  [lk-cmdline]" in lines
    assert "    capabilities: CAP_CHOWN CAP_NET_ADMIN" in lines
    assert "    shared with the host: network ipc uts user; uid 0" in lines
    assert "    bind /run:/run:rw,rbind" in lines
    assert f"  file 4755 0:0 {len(PROGRAM):>9} bin/busybox" in lines
    assert any(line.startswith("  binary bin/busybox: ") and "nx=no" in line for line in lines)


def test_what_breaks_off_is_told_as_far_as_it_goes(system, tmp_path, capsys):
    whole = (tmp_path / "lk-initrd.img").read_bytes()
    (tmp_path / "lk-initrd.img").write_bytes(whole[:-40])
    assert main(["inspect", "-f", "json", "lk-initrd.img"]) == INCOMPLETE
    printed = capsys.readouterr()
    (one,) = json.loads(printed.out)
    assert one["problems"]
    assert printed.err.startswith("lkscan: lk-initrd.img")


def test_containers_that_linuxkit_would_not_build_say_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "services:\n  - name: web\n    image: nginx:1\n    capabilities: [CAP_MAGIC]\n    net: new\n    pid: host\n"
    (tmp_path / "linuxkit.yml").write_text(text)
    assert main(["inspect", "linuxkit.yml"]) == OK
    assert "    error: unknown capability 'CAP_MAGIC'" in capsys.readouterr().out.splitlines()
