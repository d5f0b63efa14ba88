"""Drift: an image built from a spec is proved to be, in every format, and each deviation is found, one at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import buildlab
import pytest
from buildlab import Entry, Image
from outputlab import need_tools
from rulelab import fires, place

from lkscan.cli import main
from lkscan.rules import drift
from lkscan.scanner.builds import Build, Row, Stray

pytestmark = pytest.mark.read_here

INITRD = ["lk-kernel", "lk-initrd.img", "lk-cmdline"]
Entries = list[Entry]
Bend = Callable[[Entries], Entries]


def write(folder: Path, entries: Entries, spec: str = buildlab.SPEC) -> None:
    """The output of kernel+initrd, the spec and what lies beside it."""
    parts = {one.path: one.data for one in entries}
    (folder / "linuxkit.yml").write_text(spec, encoding="utf-8")
    (folder / "banner.txt").write_bytes(buildlab.BANNER)
    (folder / "lk-kernel").write_bytes(parts["boot/kernel"])
    (folder / "lk-cmdline").write_bytes(parts["boot/cmdline"])
    (folder / "lk-initrd.img").write_bytes(buildlab.cpio(entries))


def scan(capsys, *paths: str, cache: str = "cache", options: tuple[str, ...] = ()) -> dict:
    """What is said of drift."""
    capsys.readouterr()
    order = [*paths, "--spec", "linuxkit.yml", "--select", "LKD*", "-f", "json", *options]
    main(order + (["--cache", cache] if cache else []))
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert report["problems"] == [], told.err
    return report


def proofs(report: dict) -> dict[str, str]:
    return {one["rule"]: one["message"] for one in report["proofs"]}


WHOLE = {
    "LKD003": "6 containers, configuration equal to the spec's.",
    "LKD004": "10 paths of 'files', content, mode and owner equal to the spec's.",
    "LKD006": "The kernel is the one that the cache has as 'linuxkit/kernel:6.12.59'.",
    "LKD007": "The kernel's command line is that of the spec.",
    "LKD008": "8 images, 71 paths, content equal to the cache's.",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the cache that everything is built from."""
    folder = tmp_path_factory.mktemp("drift")
    buildlab.cache(folder / "cache", buildlab.images())
    write(folder, buildlab.build())
    return folder


@pytest.fixture
def here(home, monkeypatch) -> Path:
    monkeypatch.chdir(home)
    write(home, buildlab.build())
    return home


# --- equality, in real outputs with real programs

FORMATS = (
    "kernel+initrd",
    "iso-bios",
    "iso-efi",
    "kernel+squashfs",
    "kernel+erofs",
    "qcow2-efi",
    "raw-efi",
    "raw-bios",
)


@pytest.fixture(scope="session")
def outputs(tmp_path_factory) -> buildlab.Lab:
    """A build out of Debian's programs, its spec and its cache beside it."""
    need_tools()
    folder = tmp_path_factory.mktemp("built")
    images = buildlab.images(tmp_path_factory.mktemp("debian"))
    entries = buildlab.build(made=images)
    buildlab.cache(folder / "cache", images)
    write(folder, entries)
    (folder / "linuxkit.tar").write_bytes(buildlab.archive(entries, records=True))
    return buildlab.Lab(folder / "lab", entries)


@pytest.mark.shut_in
@pytest.mark.parametrize("form", FORMATS)
def test_equality_is_proved_in_every_format(outputs, capsys, monkeypatch, form) -> None:
    monkeypatch.chdir(outputs.folder.parent)
    paths = [str(path) for path in outputs.build(form)]
    report = scan(capsys, *paths)
    assert report["findings"] == []
    assert proofs(report) == WHOLE
    assert report["others"] == []
    for path in paths:
        Path(path).unlink()


def test_equality_is_proved_of_a_tar_with_records_and_without_a_cache_as_far_as_that_goes(
    outputs, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(outputs.folder.parent)
    assert proofs(scan(capsys, "linuxkit.tar")) == WHOLE
    report = scan(capsys, "linuxkit.tar", cache="")
    assert report["findings"] == []
    assert set(proofs(report)) == {"LKD004", "LKD007"}
    assert sorted((one["rule"], one["outcome"]) for one in report["others"]) == [
        ("LKD003", "partial"),
        ("LKD006", "undecided"),
    ]
    open_ = next(one["evidence"] for one in report["others"] if one["rule"] == "LKD003")
    assert open_[0].startswith("onboot/sysctl: command, env, cwd. What 'linuxkit/sysctl:")
    assert open_[3].startswith("services/getty: command, cwd. ")
    assert "capabilities" in open_[2], "the label of busybox is not known"


# --- one deviation at a time


def at(path: str, change: Callable[[Entry], Entry | None]) -> Bend:
    """The last entry of a path changed, or taken away."""

    def bend(entries: Entries) -> Entries:
        number = max(i for i, one in enumerate(entries) if one.path == path)
        new = change(entries[number])
        return [*entries[:number], *([new] if new else []), *entries[number + 1 :]]

    return bend


def config(title: str, change: Callable[[dict], object], file: str = "config") -> Bend:
    """A container's file with something changed in it."""

    def rewritten(one: Entry) -> Entry:
        value = json.loads(one.data)
        change(value)
        return one._replace(data=json.dumps(value).encode())

    folders = {
        "onboot/sysctl": "onboot/000-sysctl",
        "onboot/dhcpcd": "onboot/001-dhcpcd",
        "onshutdown/bye": "onshutdown/000-bye",
    }
    return at(f"containers/{folders.get(title, title)}/{file}.json", rewritten)


def runtime(title: str, change: Callable[[dict], object]) -> Bend:
    return config(title, change, "runtime")


def without(prefix: str) -> Bend:
    return lambda entries: [one for one in entries if not one.path.startswith(prefix)]


def renamed(old: str, new: str) -> Bend:
    return lambda entries: [
        one._replace(path=one.path.replace(old, new), data=one.data.replace(old.encode(), new.encode()))
        if old in one.path
        else one
        for one in entries
    ]


def plus(*more: Entry) -> Bend:
    return lambda entries: [*entries, *more]


def content(data: bytes) -> Callable[[Entry], Entry]:
    return lambda one: one._replace(data=data)


def set_in(*path: str | int, to: object) -> Callable[[dict], None]:
    """A change of a JSON value, at a path in it."""

    def change(value: dict) -> None:
        *steps, last = path
        for step in steps:
            value = value[step]
        value[last] = to

    return change


def granted(value: dict) -> None:
    for kind in ("bounding", "effective", "inheritable", "permitted"):
        value["process"]["capabilities"][kind].append("CAP_SYS_ADMIN")


def evil() -> Entries:
    folder = "containers/services/evil"
    plain = json.dumps(buildlab.CONFIGS["onshutdown/bye"]).encode()
    return [
        Entry(folder, b"", "dir", 0o755),
        Entry(f"{folder}/config.json", plain),
        Entry(f"{folder}/rootfs", b"", "dir", 0o755),
        Entry(f"{folder}/rootfs/x", b"x"),
    ]


SETS = "process.capabilities."


class Case(NamedTuple):
    """A deviation, and all that is to be said of it: (rule, subject, key); of one of them, words in the message."""

    bend: Bend
    told: set[tuple[str, str, str]]
    words: tuple[str, ...] = ()
    line: str = ""


CASES = {
    "a container is missing": Case(
        without("containers/onboot/000-sysctl"),
        {("LKD001", "onboot/sysctl", "missing")},
        ("Container 'onboot/sysctl' of the spec is not in the image.",),
        "linuxkit/sysctl",
    ),
    "a container is added": Case(
        plus(*evil()),
        {("LKD002", "services/evil", "added")},
        ("Container 'services/evil' of the image is not in the spec.",),
    ),
    "a capability more": Case(
        config("services/web", granted),
        {("LKD003", "services/web", SETS + kind) for kind in ("bounding", "effective", "inheritable", "permitted")},
        ('["CAP_CHOWN", "CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"]', '\'["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]\''),
    ),
    "an environment variable of the spec": Case(
        config("services/getty", set_in("process", "env", to=["INSECURE=false"])),
        {("LKD003", "services/getty", "process.env")},
        ("'[\"INSECURE=false\"]'", "'[\"INSECURE=true\"]'"),
        "- INSECURE=true",
    ),
    "an environment variable of the image": Case(
        config("services/web", set_in("process", "env", to=[buildlab.PATH, "LEVEL=3"])),
        {("LKD003", "services/web", "process.env")},
        ("LEVEL=3", "LEVEL=2"),
    ),
    "another command": Case(
        config("onboot/dhcpcd", set_in("process", "args", to=["/sbin/dhcpcd", "-1", "-d"])),
        {("LKD003", "onboot/dhcpcd", "process.args")},
        ('["/sbin/dhcpcd", "-1", "-d"]',),
        'command: ["/sbin/dhcpcd", "-1"]',
    ),
    "another user": Case(
        config("services/web", set_in("process", "user", "uid", to=0)),
        {("LKD003", "services/web", "process.user.uid")},
        ("'0'", "'104'"),
        "uid: web",
    ),
    "a bind writable": Case(
        config("services/web-again", lambda value: value["mounts"][3].update(options=["rw", "rbind", "shared"])),
        {("LKD003", "services/web-again", "mounts./run.options")},
        ('["rw", "rbind", "shared"]', '["rw", "rbind", "rshared"]'),
    ),
    "a mount more": Case(
        config("services/web-again", lambda value: value["mounts"].append({"destination": "/host", "source": "/"})),
        {("LKD003", "services/web-again", "mounts./host")},
        ('{"destination": "/host", "source": "/"}', "'nothing'"),
    ),
    "the volume of a bind": Case(
        config("services/web", lambda value: value["mounts"][0].update(source="/containers")),
        {("LKD003", "services/web", "mounts./data.source")},
        ("'\"/containers\"'", "/containers/volumes/data/merged"),
    ),
    "a namespace of the host": Case(
        config("services/web", lambda value: value["linux"]["namespaces"].pop(0)),
        {("LKD003", "services/web", "linux.namespaces.network")},
        ("'nothing'", '{"type": "network"}'),
        "net: new",
    ),
    "a root that can be written": Case(
        config("services/web", set_in("root", to={"path": "rootfs"})),
        {("LKD003", "services/web", "root.readonly")},
        ("'nothing'", "'true'"),
        "readonly: true",
    ),
    "a kernel setting": Case(
        config("services/web", set_in("linux", "sysctl", "net.core.somaxconn", to="65")),
        {("LKD003", "services/web", "linux.sysctl.net.core.somaxconn")},
        ("'\"65\"'", "'\"64\"'"),
        'net.core.somaxconn: "64"',
    ),
    "privileges that may be gained": Case(
        config("services/web-again", lambda value: value["process"].pop("noNewPrivileges")),
        {("LKD003", "services/web-again", "process.noNewPrivileges")},
        ("'nothing'", "'true'"),
        "noNewPrivileges: true",
    ),
    "a limit": Case(
        config("services/web", lambda value: value["process"]["rlimits"][0].update(hard=1 << 20)),
        {("LKD003", "services/web", "process.rlimits.RLIMIT_NOFILE.hard")},
        ("'1048576'", "'128'"),
        "nofile,64,128",
    ),
    "a path that a label masks": Case(
        config("services/web", lambda value: value["linux"].pop("maskedPaths")),
        {("LKD003", "services/web", "linux.maskedPaths")},
        ("'[\"/proc/keys\"]'",),
        "image: example/web:1.0",
    ),
    "a device": Case(
        config("services/getty", lambda value: value["linux"]["devices"].pop()),
        {("LKD003", "services/getty", "linux.devices")},
        ("/dev/console",),
    ),
    "a namespace that is bound elsewhere": Case(
        runtime("services/web", set_in("bindNS", "net", to="/run/netns/other")),
        {("LKD003", "services/web", "runtime.bindNS.net")},
        ("/run/netns/other", "/run/netns/web"),
    ),
    "a folder that is made at boot": Case(
        runtime("services/web", set_in("mkdir", to=["/etc"])),
        {("LKD003", "services/web", "runtime.mkdir")},
        ("'[\"/etc\"]'",),
    ),
    "the root file system of another": Case(
        runtime(
            "services/web-again",
            lambda value: value["mounts"][2]["options"].__setitem__(0, "lowerdir=/containers/services/getty/lower"),
        ),
        {("LKD003", "services/web-again", "runtime.mounts./containers/services/web-again/rootfs.options")},
        ("lowerdir=/containers/services/getty/lower",),
    ),
    "another order": Case(
        renamed("onboot/001-dhcpcd", "onboot/002-dhcpcd"),
        {("LKD003", "onboot/dhcpcd", "order")},
        ("'\"containers/onboot/002-dhcpcd\"'", "'\"containers/onboot/001-dhcpcd\"'"),
    ),
    "the content of a file of the spec": Case(
        at("etc/motd", content(b"hullo\n")),
        {("LKD004", "etc/motd", "default")},
        ("'6 bytes, SHA-256 ",),
        'contents: "hello\\n"',
    ),
    "the content of a file beside the spec": Case(
        at("etc/banner", content(b"another")), {("LKD004", "etc/banner", "default")}, ("'7 bytes",), "path: etc/banner"
    ),
    "the mode of a file": Case(
        at("etc/web/web.conf", lambda one: one._replace(mode=0o666)),
        {("LKD004", "etc/web/web.conf", "mode")},
        ("'0666'", "'0640'"),
    ),
    "the owner of a file": Case(
        at("etc/web/web.conf", lambda one: one._replace(uid=0)),
        {("LKD004", "etc/web/web.conf", "owner")},
        ("'0:7'", "'104:7'"),
    ),
    "the mode of a folder above a file": Case(
        at("etc/web", lambda one: one._replace(mode=0o777)), {("LKD004", "etc/web", "mode")}, ("'0777'", "'0750'")
    ),
    "the spec that lies in the image": Case(
        at("etc/linuxkit.yml", lambda one: one._replace(data=one.data.replace(b"oomScoreAdj: 100", b"oomScoreAdj: 1"))),
        {("LKD004", "etc/linuxkit.yml", "spec")},
        ("'services/web-again'",),
    ),
    "a file of the spec is missing": Case(
        at("etc/banner", lambda _: None), {("LKD004", "etc/banner", "missing")}, ("'etc/banner' is not in the image",)
    ),
    "a link that leads elsewhere": Case(
        at("etc/current", content(b"/tmp/x")), {("LKD004", "etc/current", "target")}, ("'/tmp/x'", "'web/web.conf'")
    ),
    "a folder where a file should be": Case(
        at("etc/motd", lambda one: one._replace(kind="dir", data=b"")),
        {("LKD004", "etc/motd", "kind")},
        ("'dir'", "'file'"),
    ),
    "a start script that nobody brings": Case(
        plus(Entry("etc/init.d/999-x", b"#!/bin/sh\n", mode=0o755)),
        {("LKD005", "etc/init.d/999-x", "")},
        ("No component of the spec brings 'etc/init.d/999-x'.",),
    ),
    "a file beside a container's configuration": Case(
        plus(Entry("containers/services/web/hook", b"x")),
        {("LKD005", "containers/services/web/hook", "")},
    ),
    "a file in a folder that LinuxKit leaves empty": Case(
        plus(Entry("containers/services/getty/rootfs/x", b"x")),
        {("LKD005", "containers/services/getty/rootfs", "")},
    ),
    "a folder of containers that LinuxKit does not know": Case(
        plus(Entry("containers/extra/a/config.json", b"{}")),
        {("LKD005", "containers/extra/a/config.json", "")},
    ),
    "a file more in a container": Case(
        plus(Entry("containers/services/web/rootfs/lib/x.so", b"x")),
        {("LKD005", "containers/services/web/rootfs/lib/x.so", "")},
    ),
    "another kernel": Case(
        at("boot/kernel", content(buildlab.kernel("6.12.1"))),
        {("LKD006", "kernel", "kernel")},
        ("'6.12.1-linuxkit'", "'linuxkit/kernel:6.12.59'"),
        "linuxkit/kernel",
    ),
    "another command line": Case(
        at("boot/cmdline", content(f"{buildlab.COMMAND_LINE} init=/bin/sh".encode())),
        {("LKD007", "kernel", "cmdline")},
        ("init=/bin/sh",),
        "cmdline:",
    ),
    "another program in a container": Case(
        at("containers/services/web/rootfs/bin/web", content(b"another")),
        {("LKD008", "services/web", "services/web")},
        ("'example/web:1.0' brought something else", "'1' of '13'"),
        "image: example/web:1.0",
    ),
    "another owner in a container": Case(
        at("containers/services/web/rootfs/srv/index.html", lambda one: one._replace(uid=0)),
        {("LKD008", "services/web", "services/web")},
    ),
    "another program of init": Case(
        at("usr/bin/runc", content(b"another")),
        {("LKD008", "init[1]", "init[1]")},
        ("linuxkit/runc",),
        "- linuxkit/runc",
    ),
    "another module of the kernel": Case(
        at("lib/modules/6.12.59-linuxkit/modules.order", content(b"another")),
        {("LKD008", "kernel", "kernel")},
    ),
}


def test_there_are_more_than_twenty() -> None:
    assert len(CASES) > 20


@pytest.mark.parametrize("name", CASES)
def test_a_deviation_is_found_and_nothing_else(here, capsys, name) -> None:
    case = CASES[name]
    write(here, case.bend(buildlab.build()))
    report = scan(capsys, *INITRD)
    assert {(one["rule"], one["subject"], one["key"]) for one in report["findings"]} == case.told
    assert {one["severity"] for one in report["findings"]} == {"high"}
    first = min(report["findings"], key=lambda one: (one["rule"], one["key"]))
    for word in case.words:
        assert word in first["message"], first["message"]
    place = first["locations"][0]
    assert place["artifacts"] == ["linuxkit.yml"]
    if case.line:
        assert case.line in buildlab.SPEC.splitlines()[place["line"] - 1]
    rules = {rule for rule, _, _ in case.told}
    assert not rules & set(proofs(report))


def test_records_tell_of_files_that_no_component_brings(here, capsys) -> None:
    entries = buildlab.build()
    images = {
        "none": Entry("etc/init.d/999-x", b"x"),
        "no such component": Entry("etc/x", b"x", source="docker.io/example/x:1", location="services[7]"),
        "another image": Entry("etc/x", b"x", source="docker.io/example/x:1", location="init[1]"),
        "another container": Entry(
            "containers/services/getty/lower/x", b"x", source="docker.io/example/web:1.0", location="services[1]"
        ),
    }
    for name, entry in images.items():
        (here / "lk.tar").write_bytes(buildlab.archive([*entries, entry], records=True))
        report = scan(capsys, "lk.tar", cache="")
        assert [(one["rule"], one["subject"]) for one in report["findings"]] == [("LKD005", entry.path)], name


def test_without_records_and_cache_what_brings_the_other_files_is_open_and_said_once(here, capsys) -> None:
    write(here, [*buildlab.build(), Entry("etc/init.d/999-x", b"x")])
    report = scan(capsys, *INITRD, cache="")
    assert report["findings"] == []
    assert [one["rule"] for one in report["others"]].count("LKD005") == 1


# --- what is not known is not called a difference


@pytest.mark.parametrize(
    ("title", "change"),
    [
        ("onboot/sysctl", set_in("process", "env", to=["A=1"])),
        ("services/web-again", granted),
        ("services/web-again", set_in("root", "readonly", to=True)),
        ("onshutdown/bye", set_in("linux", "maskedPaths", to=["/proc/keys"])),
    ],
)
def test_a_field_that_an_unknown_label_or_image_could_set_is_open(here, capsys, title, change) -> None:
    write(here, config(title, change)(buildlab.build()))
    report = scan(capsys, *INITRD, cache="")
    assert [one for one in report["findings"] if one["rule"] == "LKD003"] == []
    (open_,) = (one for one in report["others"] if one["rule"] == "LKD003")
    assert any(one.startswith(f"{title}: ") for one in open_["evidence"])


@pytest.mark.parametrize(
    ("title", "change", "key"),
    [
        ("services/web", set_in("process", "user", "uid", to=0), "process.user.uid"),
        (
            "services/web",
            set_in("linux", "namespaces", to=[{"type": "pid"}, {"type": "mount"}]),
            "linux.namespaces.network",
        ),
        ("onshutdown/bye", set_in("process", "args", to=["/bin/sh"]), "process.args"),
        ("onboot/sysctl", granted, "process.capabilities.bounding"),
    ],
)
def test_a_field_that_the_spec_or_a_known_label_sets_is_decided_without_a_cache(
    here, capsys, title, change, key
) -> None:
    write(here, config(title, change)(buildlab.build()))
    report = scan(capsys, *INITRD, cache="")
    assert key in [one["key"] for one in report["findings"] if one["rule"] == "LKD003"]


def test_an_earlier_linuxkit_knew_fewer_capabilities(here, capsys) -> None:
    def earlier(value: dict) -> None:
        for kind, names in value["process"]["capabilities"].items():
            late = {"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}
            value["process"]["capabilities"][kind] = [one for one in names if one not in late]
        value["ociVersion"] = "1.0.0"

    write(here, config("services/getty", earlier)(buildlab.build()))
    assert scan(capsys, *INITRD)["findings"] == []


@pytest.mark.shut_in
def test_labels_of_packages_decide_too(here, capsys) -> None:
    folder = here / "packages/web"
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("build.yml").write_text(
        "org: example\nimage: web\nconfig:\n  capabilities: [CAP_NET_BIND_SERVICE]\n  binds: ['/run:/run']\n"
        "  maskedPaths: [/proc/keys]\n",
        encoding="utf-8",
    )
    write(here, config("services/web-again", granted)(buildlab.build()))
    report = scan(capsys, *INITRD, cache="", options=("--packages", "packages"))
    assert {one["subject"] for one in report["findings"]} == {"services/web-again"}


def test_an_image_that_is_not_in_the_cache_is_open(here, capsys, tmp_path) -> None:
    some = {name: image for name, image in buildlab.images().items() if "runc" not in name}
    buildlab.cache(tmp_path / "part", some)
    report = scan(capsys, *INITRD, cache=str(tmp_path / "part"))
    assert report["findings"] == []
    told = [one["message"] for one in report["others"] if one["rule"] == "LKD008"]
    assert any("linuxkit/runc" in one and "the cache does not have it" in one for one in told)


def test_a_spec_that_linuxkit_refuses_is_held_against_nothing(here, capsys) -> None:
    (here / "linuxkit.yml").write_text(buildlab.SPEC + "colour: red\n", encoding="utf-8")
    report = scan(capsys, *INITRD)
    assert report["findings"] == []
    assert report["proofs"] == []
    (open_,) = report["others"]
    assert "LinuxKit refuses the spec" in open_["message"]


def test_an_image_without_a_root_file_system_is_open(here, capsys) -> None:
    report = scan(capsys, "lk-kernel")
    assert report["findings"] == []
    assert "no root file system" in report["others"][0]["message"]


def test_a_source_outside_of_the_specs_folder_is_not_read(here, capsys) -> None:
    secret = here / "secret"
    secret.write_bytes(buildlab.BANNER)
    (here / "link").unlink(missing_ok=True)
    (here / "link").symlink_to(secret)
    for source in (str(secret), "../drift0/secret", "~/secret", "link", "none", "."):
        spec = buildlab.SPEC.replace("banner.txt", source)
        write(here, buildlab.build(spec), spec)
        report = scan(capsys, *INITRD)
        assert report["findings"] == [], source
        assert any("etc/banner" in one["message"] for one in report["others"]), source


def test_the_embedded_spec_is_held_against_its_image(here, capsys) -> None:
    write(here, config("services/web", granted)(buildlab.build()))
    capsys.readouterr()
    main([*INITRD, "--select", "LKD*", "-f", "json", "--cache", "cache"])
    report = json.loads(capsys.readouterr().out)
    assert {one["rule"] for one in report["findings"]} == {"LKD003"}
    assert report["findings"][0]["locations"][0]["artifacts"] == ["lk-initrd.img", "etc/linuxkit.yml"]


def test_an_image_without_a_spec_is_held_against_none(here, capsys) -> None:
    write(here, [one for one in buildlab.build() if one.path != "etc/linuxkit.yml"])
    capsys.readouterr()
    main([*INITRD, "-f", "json", "--profile", "auditor"])
    report = json.loads(capsys.readouterr().out)
    told = [*report["findings"], *report["others"], *report["proofs"]]
    assert [one["rule"] for one in told if one["rule"].startswith("LKD")] == []


def test_the_proof_is_printed(here, capsys) -> None:
    for form, mark in (("text", "Proved"), ("html", 'id="proved"'), ("markdown", "**proved**"), ("sarif", '"pass"')):
        capsys.readouterr()
        more = ["--sarif-all"] if form == "sarif" else []
        main([*INITRD, "--spec", "linuxkit.yml", "--cache", "cache", "-f", form, *more])
        text = capsys.readouterr().out
        assert mark in text
        assert "6 containers, configuration equal to the spec" in text


def images_with(name: str, *more: Entry) -> dict[str, Image]:
    made = buildlab.images()
    image = made[buildlab.full(name)]
    return {**made, buildlab.full(name): image._replace(files=(*image.files, *more))}


def test_a_cache_with_another_label_shows_in_the_configuration(here, capsys, tmp_path) -> None:
    made = buildlab.images()
    name = buildlab.full(buildlab.WEB)
    labels = buildlab.label({"capabilities": ["CAP_NET_RAW"], "binds": ["/run:/run"], "maskedPaths": ["/proc/keys"]})
    made[name] = made[name]._replace(config={**made[name].config, "Labels": labels})
    buildlab.cache(tmp_path / "other", made)
    report = scan(capsys, *INITRD, cache=str(tmp_path / "other"))
    assert {one["subject"] for one in report["findings"]} == {"services/web", "services/web-again"}
    again = [one for one in report["findings"] if one["subject"] == "services/web-again"]
    assert all("label" in one["evidence"][0] for one in again)


@pytest.mark.shut_in
def test_of_an_image_that_is_in_the_cache_otherwise_each_path_is_told(here, capsys, tmp_path) -> None:
    buildlab.cache(tmp_path / "more", images_with(buildlab.RUNC, Entry("usr/bin/extra", b"x")))
    report = scan(capsys, *INITRD, cache=str(tmp_path / "more"))
    (found,) = report["findings"]
    assert (found["rule"], found["evidence"]) == ("LKD008", ["usr/bin/extra is not in the image"])


def test_what_was_not_read_is_not_called_missing(here, capsys) -> None:
    whole = buildlab.archive(buildlab.build(), records=True)
    (here / "lk.tar").write_bytes(whole[: whole.index(b"containers/services/getty/lower/usr/bin/rungetty.sh")])
    capsys.readouterr()
    main(["lk.tar", "--spec", "linuxkit.yml", "--cache", "cache", "--select", "LKD*", "-f", "json"])
    report = json.loads(capsys.readouterr().out)
    assert report["problems"]
    assert report["findings"] == []
    told = {(one["rule"], one["subject"]) for one in report["others"]}
    assert {("LKD001", "services/web"), ("LKD004", "etc/motd")} <= told
    assert set(proofs(report)) <= {"LKD006", "LKD007", "LKD008"}


def test_an_image_of_many_root_file_systems_is_held_against_none(here, capsys) -> None:
    inner = buildlab.cpio([one for one in buildlab.build() if one.path.startswith("containers/onboot/000")])
    boxes = [Entry(f"boxes/{number}.img", inner) for number in range(9)]
    (here / "many.tar").write_bytes(buildlab.archive(boxes))
    report = scan(capsys, "many.tar")
    assert report["findings"] == []
    assert "holds 9 root file systems" in report["others"][0]["message"]


def test_microcode_in_front_of_an_initrd_is_the_kernels(here, capsys) -> None:
    spec = buildlab.SPEC.replace("  cmdline:", "  ucode: intel-ucode.cpio\n  cmdline:")
    microcode = buildlab.cpio([Entry("kernel/x86/microcode/GenuineIntel.bin", b"x" * 48)])
    write(here, buildlab.build(spec), spec)
    (here / "lk-initrd.img").write_bytes(microcode + (here / "lk-initrd.img").read_bytes())
    assert scan(capsys, *INITRD)["findings"] == []


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 2, 1)]),
        ({"a": 1}, {}, [("a", None, 1)]),
        ({}, {"b": 2}, [("b", 2, None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "b": 1}}, [("a.c", 3, 2)]),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}, [("args", ["b", "a"], ["a", "b"])]),
        ({"bounding": ["a", "b"]}, {"bounding": ["b", "a"]}, []),
        ({"bounding": ["a", "b"]}, {"bounding": ["a", "a"]}, [("bounding", ["a", "a"], ["a", "b"])]),
        (
            {"mounts": [{"destination": "/a", "type": "x"}, {"destination": "/b"}]},
            {"mounts": [{"destination": "/b"}, {"destination": "/a", "type": "y"}]},
            [("mounts./a.type", "y", "x")],
        ),
        (
            {"mounts": [{"destination": "/a", "n": 1}, {"destination": "/a", "n": 2}]},
            {"mounts": [{"destination": "/a", "n": 1}, {"destination": "/a", "n": 3}, {"destination": "/a"}]},
            [("mounts./a[2].n", 3, 2), ("mounts./a[3]", {"destination": "/a"}, None)],
        ),
        ({"namespaces": [{"type": "pid"}]}, {"namespaces": ["pid"]}, [("namespaces.pid", "pid", {"type": "pid"})]),
    ],
)
def test_fields_that_differ_are_told_by_the_path_that_leads_to_them(wanted, found, told) -> None:
    assert [tuple(one) for one in drift.differences(wanted, found)] == told


LATEST = ["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"]


@pytest.mark.parametrize(
    ("known", "lacking", "more", "is_same"),
    [
        (11, LATEST, [], True),
        (10, LATEST, [], False),
        (11, LATEST[:2], [], False),
        (11, [*LATEST, "CAP_0"], [], False),
        (11, LATEST, ["CAP_X"], False),
        (3, [], [], True),
    ],
)
def test_only_all_capabilities_may_be_those_that_an_earlier_linuxkit_knew(known, lacking, more, is_same) -> None:
    wanted = [*(f"CAP_{number}" for number in range(known)), *LATEST]
    found = [one for one in wanted if one not in lacking] + more
    assert drift._is_same("bounding", wanted, found) is is_same


@pytest.mark.parametrize(
    ("pointer", "keys"),
    [
        ("process.args", ("command",)),
        ("process.user.uid", ("uid",)),
        ("process.capabilities.bounding", ("capabilities", "ambient")),
        ("process.capabilities.effective", ("capabilities",)),
        ("mounts./dev", ("readonly", "tmpfs", "binds", "mounts")),
        ("mounts./dev.options", ("readonly", "tmpfs", "binds", "mounts")),
        ("mounts./dev.source", ("tmpfs", "binds", "mounts")),
        ("mounts./dev/shm", ("tmpfs", "binds", "mounts")),
        ("linux.resources.devices", ("resources", "devices")),
        ("linux.resources.memory.limit", ("resources",)),
        ("linux.seccomp.defaultAction", ()),
        ("runtime.cgroups", ("runtime",)),
        ("unheard", ()),
    ],
)
def test_a_field_is_decided_by_the_keys_that_set_it(pointer, keys) -> None:
    assert drift._keys(pointer) == keys


def test_what_gos_json_leaves_out_is_no_difference() -> None:
    left = {"a": None, "b": "", "c": [], "d": {}, "e": False, "ociVersion": "1", "f": {"g": None}}
    assert drift._plain({**left, "kept": 0, "list": ({"a": ""}, 1)}) == {"kept": 0, "list": [{}, 1]}


@pytest.mark.parametrize(
    ("key", "value", "is_given"),
    [("net", "", False), ("net", "host", True), ("binds", [], True), ("readonly", False, True), ("other", 1, False)],
)
def test_an_empty_text_of_a_spec_sets_nothing(key, value, is_given) -> None:
    assert drift._is_given({key: value} if key != "other" else {}, key) is is_given


@pytest.mark.parametrize(("length", "shown"), [(158, 160), (159, 162), (400, 162)])
def test_a_long_value_of_a_field_is_cut(length, shown) -> None:
    assert len(drift._told("x" * length)) == shown
    assert drift._told(None) == "nothing"


ROW = Row("etc/x", "file", 0o644, 0, 0, 5, "a" * 64)


@pytest.mark.parametrize(
    ("found", "wanted", "names"),
    [
        (ROW, ROW, []),
        (ROW._replace(mode=0o600), ROW, ["mode"]),
        (ROW._replace(mode=0o666), ROW, ["mode"]),
        (ROW._replace(uid=1), ROW, ["owner"]),
        (ROW, ROW._replace(gid=1), ["owner"]),
        (ROW._replace(size=4), ROW, ["default"]),
        (ROW._replace(size=6), ROW, ["default"]),
        (ROW._replace(sha256="b" * 64), ROW, ["default"]),
        (ROW._replace(mode=0, uid=1, size=9), ROW, ["mode", "owner", "default"]),
        (ROW._replace(kind="dir", mode=0), ROW, ["kind"]),
        (ROW._replace(kind="symlink", target="a"), ROW._replace(kind="symlink", target="b", mode=0), ["target"]),
        (ROW._replace(kind="symlink", mode=0), ROW._replace(kind="symlink"), []),
        (ROW._replace(kind="dir", size=1), ROW._replace(kind="dir", size=2), []),
    ],
)
def test_each_fact_of_a_file_is_compared_by_itself(found, wanted, names) -> None:
    assert [name for name, *_ in drift._compared(found, wanted)] == names


@pytest.mark.parametrize(
    ("number", "told"), [(1, ()), (2, ("and 1 more",)), (5, ("and 4 more",)), (6, ("and 5 more",))]
)
def test_files_that_nothing_explains_are_told_by_the_first_and_their_number(number, told) -> None:
    strays = (Stray("etc/x", place(1), number, "nothing brings it"),)
    (finding,) = fires(drift.unexplained_file, Build(place(1), place(1), strays=strays))
    assert finding.evidence == ("nothing brings it", *told)
