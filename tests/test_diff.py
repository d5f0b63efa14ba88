"""`lkscan diff`: what differs is told, all of it and nothing else, and what only the formats make is told apart."""

import gzip
import json
import os
import tempfile
from functools import cache
from pathlib import Path

import elflab
import jsonschema
import outputlab
import pytest
from imagelab import Item, newc
from outputlab import COMMAND_LINE, Lab, need_tools

from lkscan import cli
from lkscan.comparing import builds, compared
from lkscan.config.policies import Overrides, Policies
from lkscan.desks import Staff
from lkscan.inputs import Input
from lkscan.reports import formats
from lkscan.rules.comparing import compare as of_builds
from lkscan.scanner.outputs import group

pytestmark = pytest.mark.read_here

ROOT = Path(__file__).resolve().parent.parent

SPEC = """\
kernel:
  image: linuxkit/kernel:6.6.71
  cmdline: "console=ttyS0 page_poison=1"
init:
  - linuxkit/init:45a1ad5919f0b6acf0f0cf730e9434abfae11fe6
onboot:
  - name: sysctl
    image: linuxkit/sysctl:5f56434b81004b50b47ed629b222619168c2bcdf
services:
  - name: web
    image: nginx:1.27.0@sha256:98f8ec75657d21b924fe4f69b6b9bff2f6550ea48838af479d8894a852000e40
    capabilities: [CAP_NET_BIND_SERVICE]
    ambient: []
    binds: ["/etc/web:/etc/web:ro"]
    net: new
    pid: new
    ipc: new
    uts: new
    readonly: true
    noNewPrivileges: true
    rlimits: ["nofile,1024,1024"]
    maskedPaths: ["/proc/kcore"]
    readonlyPaths: []
    tmpfs: []
    mounts: []
    devices: []
    uid: 101
    gid: 101
    additionalGids: []
    userns: ""
    resources: {pids: {limit: 10}}
    sysctl: {}
    rootfsPropagation: ""
    command: ["/bin/web"]
    env: ["TOKEN=first"]
files:
  - path: etc/motd
    contents: hello
"""


def lines(found):
    """The differences, in short."""
    return {(one.subject, one.what, one.judgement) for one in found}


def compare(old, new):
    return compared(str(old), str(new), Policies(search=False), Staff())


def specs(tmp_path, *changes, old=SPEC):
    """The comparison of a spec with one in which some texts are replaced."""
    new = old
    for before, after in changes:
        assert before in new
        new = new.replace(before, after, 1)
    paths = []
    for name, text in (("old.yml", old), ("new.yml", new)):
        (tmp_path / name).write_text(text)
        paths.append(tmp_path / name)
    return compare(*paths)


def test_a_spec_does_not_differ_from_itself(tmp_path) -> None:
    found = specs(tmp_path)
    assert (found.changes, found.effects, found.apart, found.undecided, found.problems) == ((), (), (), (), ())


CAPS = "capabilities: [CAP_NET_BIND_SERVICE]"
CHANGES = (
    (
        ("capabilities: [CAP_NET_BIND_SERVICE]", "capabilities: [CAP_NET_BIND_SERVICE, CAP_SYS_ADMIN]"),
        ("services/web", "capability CAP_SYS_ADMIN", "worse"),
    ),
    (
        ("capabilities: [CAP_NET_BIND_SERVICE]", "capabilities: []"),
        ("services/web", "capability CAP_NET_BIND_SERVICE", "better"),
    ),
    (
        ("ambient: []", "ambient: [CAP_NET_BIND_SERVICE]"),
        ("services/web", "ambient capability CAP_NET_BIND_SERVICE", "worse"),
    ),
    (("net: new", "net: host"), ("services/web", "network namespace", "worse")),
    (("pid: new", "pid: host"), ("services/web", "pid namespace", "worse")),
    (("ipc: new", "ipc: host"), ("services/web", "ipc namespace", "worse")),
    (("readonly: true", "readonly: false"), ("services/web", "root filesystem", "worse")),
    (("noNewPrivileges: true", "noNewPrivileges: false"), ("services/web", "new privileges", "worse")),
    (
        ('rlimits: ["nofile,1024,1024"]', 'rlimits: ["nofile,512,512"]'),
        ("services/web", "limit RLIMIT_NOFILE", "better"),
    ),
    (('rlimits: ["nofile,1024,1024"]', "rlimits: []"), ("services/web", "limit RLIMIT_NOFILE", "worse")),
    (('maskedPaths: ["/proc/kcore"]', "maskedPaths: []"), ("services/web", "masked path /proc/kcore", "worse")),
    (("readonlyPaths: []", 'readonlyPaths: ["/proc/sys"]'), ("services/web", "read-only path /proc/sys", "better")),
    (("/etc/web:/etc/web:ro", "/etc/web:/etc/web"), ("services/web", "mount /etc/web", "worse")),
    (("uid: 101", "uid: 0"), ("services/web", "user", "worse")),
    (("devices: []", "devices: [{path: all, type: b}]"), ("services/web", "devices b *:*", "worse")),
    (("pids: {limit: 10}", "pids: {limit: 5}"), ("services/web", "resource pids.limit", "better")),
    (("sysctl: {}", "sysctl: {net.core.somaxconn: '5'}"), ("services/web", "setting net.core.somaxconn", "neutral")),
    (('command: ["/bin/web"]', 'command: ["/bin/web", "-v"]'), ("services/web", "command", "neutral")),
    (("TOKEN=first", "TOKEN=second"), ("services/web", "variable TOKEN", "neutral")),
    (("page_poison=1", "page_poison=1 mitigations=off"), ("command line", "mitigations", "worse")),
    (("console=ttyS0 ", ""), ("command line", "console", "neutral")),
    (("kernel:6.6.71", "kernel:6.6.72"), ("kernel", "image", "better")),
    (("kernel:6.6.71", "kernel:6.6.70"), ("kernel", "image", "worse")),
    (("kernel:6.6.71", "kernel:6.12.1"), ("kernel", "image", "neutral")),
    (("contents: hello", "contents: other"), ("etc/motd", "content", "neutral")),
    (("path: etc/motd", "path: etc/issue"), ("etc/issue", "path", "neutral")),
    (("contents: hello", "contents: hello\n    mode: '0666'"), ("etc/motd", "mode", "worse")),
)


@pytest.mark.parametrize(("change", "told"), CHANGES, ids=lambda value: value[1] if len(value) == 3 else "")
def test_each_change_of_a_spec_is_told_with_its_judgement_and_nothing_else(tmp_path, change, told) -> None:
    found = specs(tmp_path, change)
    assert lines(found.changes) == {told}
    assert found.undecided == ()


def test_pins_that_are_lost_are_worse_than_before(tmp_path) -> None:
    found = specs(
        tmp_path, ("nginx:1.27.0@sha256:98f8ec75657d21b924fe4f69b6b9bff2f6550ea48838af479d8894a852000e40", "nginx")
    )
    assert ("services/web", "image", "worse") in lines(found.changes)


def test_no_value_of_a_variable_is_shown(tmp_path) -> None:
    found = specs(tmp_path, ("TOKEN=first", "TOKEN=hunter2hunter2"))
    for name in formats.COMPARISON:
        assert "hunter2" not in formats.render(name, found, formats.COMPARISON)


def test_an_image_with_an_unknown_label_leaves_open_what_it_may_bring(tmp_path) -> None:
    old = "services:\n  - name: a\n    image: example.com/a:1\n"
    found = specs(tmp_path, ("a:1", "a:2"), old=old)
    assert lines(found.changes) == {("services/a", "image", "neutral")}
    assert "'example.com/a:1' and 'example.com/a:2' is not known; capabilities" in found.undecided[0]


def test_an_unknown_label_of_the_same_image_is_the_same_on_both_sides(tmp_path) -> None:
    old = "services:\n  - name: a\n    image: example.com/a:1\n    net: new\n"
    found = specs(tmp_path, ("net: new", "net: host"), old=old)
    assert (lines(found.changes), found.undecided) == ({("services/a", "network namespace", "worse")}, ())


def test_what_follows_from_a_change_is_told_beside_it(tmp_path) -> None:
    found = specs(tmp_path, (CAPS, "capabilities: [all]"), ("uid: 101", "uid: 0"))
    told = {(one.area, one.subject) for one in found.effects if one.judgement == "worse"}
    assert {("exposure", "services/web"), ("finding", "services/web")} <= told


def test_only_regressions_fail_and_only_where_that_is_asked(tmp_path, capsys) -> None:
    specs(tmp_path, ("net: new", "net: host"))
    old, new = str(tmp_path / "old.yml"), str(tmp_path / "new.yml")
    assert cli.main(["diff", old, new, "--no-config"]) == cli.OK
    assert cli.main(["diff", old, new, "--no-config", "--fail-on-regression"]) == cli.FINDINGS
    assert cli.main(["diff", new, old, "--no-config", "--fail-on-regression"]) == cli.OK
    assert "Better" in capsys.readouterr().out


def test_what_cannot_be_read_is_one_line_and_no_difference(tmp_path, capsys) -> None:
    (tmp_path / "a.yml").write_text(SPEC)
    assert cli.main(["diff", str(tmp_path / "a.yml"), str(tmp_path / "missing")]) == cli.USAGE
    found = capsys.readouterr()
    assert found.err.count("\n") == 1
    assert "Not compared" in found.out
    assert "No difference" not in found.out
    (tmp_path / "folder").mkdir()
    for name in "ab":
        (tmp_path / "folder" / f"{name}.yml").write_text(SPEC)
    assert cli.main(["diff", str(tmp_path / "a.yml"), str(tmp_path / "folder")]) == cli.USAGE
    assert "name one of them" in capsys.readouterr().err


def test_a_spec_and_an_image_are_not_compared(tmp_path) -> None:
    (tmp_path / "a.yml").write_text(SPEC)
    found = compare(tmp_path / "a.yml", system(tmp_path, "b"))
    assert (found.changes, found.effects) == ((), ())
    assert "--spec" in found.problems[-1].message


def test_what_was_not_read_whole_is_said_in_the_report(tmp_path) -> None:
    old, new = system(tmp_path, "old"), system(tmp_path, "new")
    path = tmp_path / "new-initrd.img"
    path.write_bytes(path.read_bytes()[:-300])
    found = compare(old, new)
    assert found.problems
    for name in ("text", "markdown", "html", "json"):
        assert "new-initrd.img" in formats.render(name, found, formats.COMPARISON).replace("\\", "")


# --- images

CONFIG = elflab.CONFIG + b"CONFIG_STRICT_DEVMEM=y\nCONFIG_B=y\n"
WEB = {
    "ociVersion": "1.0.0",
    "process": {
        "args": ["/bin/web"],
        "user": {"uid": 101, "gid": 101},
        "capabilities": {"bounding": ["CAP_CHOWN"]},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "mounts": [{"destination": "/data", "type": "bind", "source": "/var/data", "options": ["bind", "ro"]}],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
        "maskedPaths": ["/proc/kcore"],
    },
}
PROGRAM = elflab.Lab(relro=(0x20000, 0x1000), tags=((elflab.FLAGS, 8),)).build()
SOFT = elflab.Lab(relro=None).build()
FIRST = {
    "etc/passwd": b"root:x:0:0::/:/bin/sh\n",
    "etc/sysctl.d/00.conf": b"kernel.kptr_restrict = 1\n",
    "etc/motd": b"hello\n",
    "etc/gone": b"gone\n",
    "etc/old-name": b"a file that only moves\n",
    "usr/bin/hard": PROGRAM,
    "usr/bin/plain": b"#!/bin/sh\n",
    "containers/onboot/000-sysctl/config.json": json.dumps({**WEB, "process": {"args": ["/bin/sysctl"]}}).encode(),
    "containers/onboot/000-sysctl/runtime.json": b"{}",
    "containers/services/web/config.json": json.dumps(WEB).encode(),
    "containers/services/web/runtime.json": b"{}",
    "containers/services/web/rootfs/bin/web": PROGRAM,
    "containers/services/old/config.json": json.dumps({**WEB, "mounts": []}).encode(),
    "containers/services/old/runtime.json": b"{}",
}
SETTINGS = {"destination": "/etc/sysctl.d", "type": "bind", "source": "/etc/sysctl.d", "options": ["bind", "ro"]}
FIRST["containers/onboot/000-sysctl/config.json"] = json.dumps(
    {**WEB, "process": {"args": ["/bin/sysctl"]}, "mounts": [SETTINGS]}
).encode()


def initrd(files, modes=None):
    folders = {path.rsplit("/", number)[0] for path in files for number in range(1, path.count("/") + 1)}
    items = [Item(folder, mode=0o40755) for folder in sorted(folders)]
    items += [Item(path, data, mode=0o100000 | (modes or {}).get(path, 0o644)) for path, data in sorted(files.items())]
    return newc(*items)


def kernel(config=CONFIG, version=b"6.12.1"):
    banner = elflab.BANNER.replace(b"6.12.1", version)
    release = version + b"-lab (me@here) #7 SMP"
    return elflab.bzimage(elflab.packed(elflab.vmlinux(config, banner), "gzip"), release=release)


def system(folder, name, *, files=FIRST, modes=None, image=None, line=COMMAND_LINE):
    """NAME-kernel, NAME-initrd.img and NAME-cmdline, by the name that stands for all three."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}-kernel").write_bytes(image or kernel())
    (folder / f"{name}-initrd.img").write_bytes(gzip.compress(initrd(files, modes), 1))
    (folder / f"{name}-cmdline").write_text(line)
    return folder / name


def planted(files):
    """A second build with changes of every kind, and what is to be said of each."""
    web = json.loads(files["containers/services/web/config.json"])
    web["process"]["capabilities"]["bounding"].append("CAP_SYS_ADMIN")
    web["process"]["noNewPrivileges"] = False
    web["root"]["readonly"] = False
    web["mounts"][0]["options"] = ["bind"]
    web["linux"]["namespaces"] = [one for one in web["linux"]["namespaces"] if one["type"] != "network"]
    web["linux"]["maskedPaths"].append("/proc/keys")
    new = {path: data for path, data in files.items() if "/services/old/" not in path and path != "etc/gone"}
    new["etc/new-name"] = new.pop("etc/old-name")
    new |= {
        "containers/services/web/config.json": json.dumps(web).encode(),
        "etc/motd": b"hello again\n",
        "etc/sysctl.d/00.conf": b"kernel.kptr_restrict = 0\n",
        "usr/bin/hard": SOFT,
        "usr/bin/su": b"#!/bin/sh\nsu\n",
        "usr/share/new/readme": b"new\n",
    }
    return new


PLANTED = {
    ("services/web", "capability CAP_SYS_ADMIN", "worse"),
    ("services/web", "new privileges", "worse"),
    ("services/web", "root filesystem", "worse"),
    ("services/web", "mount /data", "worse"),
    ("services/web", "network namespace", "worse"),
    ("services/web", "masked path /proc/keys", "better"),
    ("services/old", "container", "neutral"),
    ("kernel", "version", "worse"),
    ("kernel", "CONFIG_STRICT_DEVMEM", "worse"),
    ("kernel", "CONFIG_B", "neutral"),
    ("command line", "page_poison", "neutral"),
    ("kernel.kptr_restrict", "value", "worse"),
    ("usr/bin/hard", "hardening", "worse"),
    ("usr/bin/su", "file", "worse"),
    ("usr/bin/plain", "mode", "worse"),
    ("etc/gone", "file", "neutral"),
    ("etc/new-name", "path", "neutral"),
    ("etc/motd", "content", "neutral"),
    ("usr/share/new/readme", "file", "neutral"),
}


def two_builds(folder):
    modes = {"usr/bin/hard": 0o755, "usr/bin/plain": 0o755}
    old = system(folder, "old", modes=modes)
    new = system(
        folder,
        "new",
        files=planted(FIRST),
        modes={**modes, "usr/bin/su": 0o4755, "usr/bin/plain": 0o777},
        image=kernel(
            CONFIG.replace(b"CONFIG_STRICT_DEVMEM=y", b"# CONFIG_STRICT_DEVMEM is not set").replace(
                b"CONFIG_B=y", b"CONFIG_B=m"
            ),
            b"6.12.0",
        ),
        line=COMMAND_LINE.replace(" page_poison=1", ""),
    )
    return old, new


def test_of_two_builds_with_planted_changes_exactly_these_are_told(tmp_path) -> None:
    found = compare(*two_builds(tmp_path))
    assert lines(found.changes) == PLANTED
    assert len(found.changes) == len(PLANTED) >= 15
    assert (found.problems, found.undecided, found.apart) == ((), (), ())


def test_the_way_back_is_judged_the_other_way(tmp_path) -> None:
    old, new = two_builds(tmp_path)
    found = compare(new, old)
    turned = {"worse": "better", "better": "worse", "neutral": "neutral"}
    told = {(one.subject, one.what): one.judgement for one in found.changes}
    for subject, what, judgement in PLANTED - {("etc/new-name", "path", "neutral")}:
        assert told[subject, what] == turned[judgement], (subject, what)


def test_each_planted_change_alone_is_told_alone(tmp_path) -> None:
    new = planted(FIRST)
    for number, path in enumerate(("etc/motd", "etc/sysctl.d/00.conf", "usr/bin/hard")):
        old = system(tmp_path, f"old{number}")
        changed = system(tmp_path, f"new{number}", files={**FIRST, path: new[path]})
        found = compare(old, changed)
        assert len(found.changes) == 1, (path, found.changes)


# --- formats

SMALL = ("kernel+initrd", "tar", "docker", "iso-bios", "iso-efi", "iso-efi-initrd", "raw-bios", "raw-efi", "qcow2-efi")
MORE = ("rpi3", "kernel+squashfs", "kernel+erofs", "tar-kernel-initrd")
DISKS = ("kernel+iso", "aws", "qcow2-bios", "vhd", "dynamic-vhd", "vmdk", "gcp")
OUTPUTS = (*SMALL, *MORE, *DISKS)
"""All twenty outputs of `linuxkit build`."""
MOSTLY_ZEROS = Overrides(limits={"ratio": 2000})
"""A disk of 1 GiB with a small build in it, compressed for `gcp`."""


def plant_root(root):
    """A small root with what formats are known to lose."""
    for path, data in FIRST.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / "usr/bin/hard").chmod(0o755)
    os.setxattr(root / "usr/bin/hard", "security.capability", outputlab._CAPABILITY)
    os.link(root / "usr/bin/hard", root / "usr/bin/linked")
    os.symlink("hard", root / "usr/bin/link")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    os.chown(root / "etc/passwd", 0, 42)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The same build in many formats, each read once."""
    need_tools()
    folder = tmp_path_factory.mktemp("formats")
    (folder / "built").write_bytes(kernel())
    populate = outputlab.populate
    outputlab.populate = plant_root
    try:
        lab = Lab(folder, folder / "built")
    finally:
        outputlab.populate = populate
    made = {}
    for output in OUTPUTS:
        (names,) = group([str(path) for path in lab.build(output)])
        (made[output],) = builds([Input("image", names)], Policies(MOSTLY_ZEROS, search=False), Staff())
        assert not made[output].problems
    return made


@pytest.mark.shut_in
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("other", ["kernel+initrd", "iso-efi", "kernel+squashfs"])
def test_the_same_build_in_two_formats_shows_no_difference(outputs, output, other) -> None:
    for old, new in ((output, other), (other, output)):
        found = of_builds(outputs[old], outputs[new])
        assert (found.changes, found.effects, found.undecided) == ((), (), ())
        assert bool(found.apart) is (outputs[old].system.format != outputs[new].system.format) or not found.apart


def test_what_a_format_adds_is_told_apart(outputs) -> None:
    told = " ".join(of_builds(outputs["iso-bios"], outputs["raw-efi"]).apart)
    assert "'root=/dev/sr0' is in one only" in told
    assert "'text' is in one only" in told
    assert "a boot loader and its configuration" in told
    assert "the sections of a unified kernel image" in told


def test_what_is_not_of_a_format_is_a_difference_in_another_format_too(outputs) -> None:
    old, new = outputs["tar"], outputs["raw-bios"]
    (key, entry) = next((key, one) for key, one in new.entries.items() if key[1] == "kernel")
    more = new._replace(entries={**new.entries, (key[0], "evil.sh"): entry})
    assert [(one.subject, one.what) for one in of_builds(old, more).changes] == [("[boot] evil.sh", "file")]


# --- reports


@pytest.fixture
def comparison(tmp_path):
    return compare(*two_builds(tmp_path))


@cache
def differing():
    """The comparison of two builds that differ in all sorts of things, a hostile name among them, and of two specs."""
    with tempfile.TemporaryDirectory() as folder:
        found = compare(*two_builds(Path(folder)))
        one = specs(Path(folder), ("net: new", "net: host"), ("nginx:1.27.0@sha256:", "nginx@sha256:"))
    bad = "\x1b[2J<script>alert(1)</script>\udce9|\u202e"
    odd = found.changes[0]._replace(subject=bad, what=bad, old=bad, new=bad, reason=bad)
    return found._replace(changes=(*found.changes, *one.changes, odd), apart=(bad, *found.apart), undecided=(bad,))


@pytest.mark.parametrize("name", formats.COMPARISON)
def test_every_format_is_the_same_each_time_and_ends_in_a_newline(comparison, name) -> None:
    text = formats.render(name, comparison, formats.COMPARISON)
    assert text == formats.render(name, comparison, formats.COMPARISON)
    assert text.endswith("\n")
    assert "CAP_SYS_ADMIN" in text.replace("\\_", "_")


def test_json_follows_its_schema(comparison) -> None:
    schema = json.loads((ROOT / "docs/schema/diff-1.json").read_text())
    found = json.loads(formats.render("json", comparison, formats.COMPARISON))
    jsonschema.Draft202012Validator(schema).validate(found)
    assert len(found["changes"]) == len(PLANTED)


def test_sarif_has_a_result_for_what_got_worse_and_for_nothing_else(comparison) -> None:
    (run,) = json.loads(formats.render("sarif", comparison, formats.COMPARISON))["runs"]
    assert len(run["results"]) == len(comparison.regressions)
    told = " ".join(one["message"]["text"] for one in run["results"])
    assert "capability CAP_SYS_ADMIN" in told
    assert "masked path" not in told


def test_markdown_fits_into_a_comment_whatever_differs(comparison) -> None:
    many = tuple(comparison.changes[0]._replace(subject=f"services/{number}" * 20) for number in range(3000))
    text = formats.render("markdown", comparison._replace(changes=many), formats.COMPARISON)
    assert len(text) <= 65_536
    assert "did not fit" in text


@pytest.mark.parametrize("name", formats.COMPARISON)
def test_hostile_names_reach_no_terminal_and_no_markup(comparison, name) -> None:
    bad = "\x1b[2J<script>alert(1)</script>\udce9|\u202e"
    one = comparison.changes[0]._replace(subject=bad, what=bad, old=bad, new=bad, reason=bad)
    found = comparison._replace(changes=(one,), apart=(bad,), undecided=(bad,), old=bad)
    text = formats.render(name, found, formats.COMPARISON)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert" not in text or name in {"json", "sarif", "text"}
    text.encode()
