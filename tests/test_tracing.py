"""Tracing: a finding on an image leads to the line of the spec that brought it, in every report."""

import io
import json
import tarfile
from pathlib import Path

import buildlab
import defaultlab
import pytest
from imagelab import Item, newc
from outputlab import need_tools

from lkscan.cli import FINDINGS, OK, USAGE, main

pytestmark = pytest.mark.read_here

SPEC = defaultlab.document(trust=False)
TRACED = ["--spec", "linuxkit.yml"]
PLAIN = ["--ignore", "LKD*"]
"""The images of defaultlab lack what LinuxKit makes beside the configuration of containers."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text: str = SPEC, *more: Item, built: str = "") -> None:
    """The spec, and an image built from it, or from another one."""
    Path("linuxkit.yml").write_text(text, encoding="utf-8")
    Path("initrd.img").write_bytes(defaultlab.initrd(built or text) + newc(*more))


def scan(capsys, *options: str, path: str = "initrd.img") -> dict:
    capsys.readouterr()
    main([path, "-f", "json", *options])
    return json.loads(capsys.readouterr().out)


def line(text: str, of: str = SPEC, after: str = "") -> int:
    """The number of the line with this text, behind the one with another text."""
    lines = of.splitlines()
    start = next(i for i, one in enumerate(lines) if after in one)
    return next(i for i, one in enumerate(lines[start:], start + 1) if text in one)


def first(report: dict, rule: str) -> dict:
    """The location that a finding shows first."""
    return next(one["locations"][0] for one in report["findings"] if one["rule"] == rule)


@pytest.mark.parametrize(
    ("rule", "text", "note"),
    [
        ("LKK017", "linuxkit/kernel", "brought by kernel, linuxkit/kernel:6.12.59"),
        ("LKP002", "linuxkit/getty", "from the label of linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0"),
        ("LKA001", "INSECURE=true", "set here"),
    ],
)
def test_a_finding_shows_the_line_of_the_spec_before_the_place_in_the_image(capsys, rule, text, note) -> None:
    write()
    found = scan(capsys, *TRACED)
    place = first(found, rule)
    assert (place["artifacts"], place["line"], place["note"]) == (["linuxkit.yml"], line(text), note)
    second = next(one["locations"][1] for one in found["findings"] if one["rule"] == rule)
    assert second["artifacts"][0] == "initrd.img"


def test_without_a_spec_the_place_is_the_images(capsys) -> None:
    write()
    assert first(scan(capsys), "LKK017")["artifacts"] == ["initrd.img", "boot/kernel"]


def test_fingerprints_are_the_same_with_and_without_a_spec(capsys) -> None:
    write()
    plain, traced = (
        [(one["fingerprint"], one["message"]) for one in scan(capsys, *PLAIN, *options)["findings"]]
        for options in ((), TRACED)
    )
    assert plain == traced


def test_a_baseline_recorded_without_the_spec_holds_with_it_and_the_other_way_round() -> None:
    write()
    assert main(["baseline", "initrd.img", "-o", "plain.json"]) == OK
    assert main(["baseline", "initrd.img", "-o", "traced.json", *TRACED, *PLAIN]) == OK
    assert Path("plain.json").read_bytes() == Path("traced.json").read_bytes()
    assert main(["initrd.img", "--baseline", "plain.json", *TRACED, *PLAIN]) == OK
    assert main(["initrd.img", "--baseline", "traced.json"]) == OK


def test_a_comment_in_the_spec_silences_what_leads_to_its_lines(capsys) -> None:
    text = SPEC.replace("  - name: getty", "  - name: getty  # lkscan: ignore[LKA001] a lab")
    write(text)
    report = scan(capsys, *TRACED)
    assert "LKA001" not in [one["rule"] for one in report["findings"]]
    assert [(one["rule"], one["reason"]) for one in report["suppressed"]] == [("LKA001", "a lab")]
    assert "LKA001" in [one["rule"] for one in scan(capsys)["findings"]], "nobody asked for the spec's word"
    assert "LKA001" in [one["rule"] for one in scan(capsys, *TRACED, "--no-ignores")["findings"]]


def test_a_comment_that_silences_nothing_in_the_image_is_not_called_unused(capsys) -> None:
    write(SPEC.replace("  - name: rngd", "  - name: rngd  # lkscan: ignore[LKA001] for the spec alone"))
    assert [
        one for one in scan(capsys, *TRACED, "--profile", "auditor")["findings"] if one["rule"].startswith("LKS")
    ] == []


def test_an_embedded_spec_is_found_and_leads_to_its_lines_but_silences_nothing(capsys) -> None:
    text = SPEC.replace("  - name: getty", "  - name: getty  # lkscan: ignore[LKA001] let me in")
    write(SPEC, Item("etc/linuxkit-config", text.encode()))
    report = scan(capsys)
    place = first(report, "LKA001")
    assert (place["artifacts"], place["line"]) == (["initrd.img", "etc/linuxkit-config"], line("INSECURE=true"))
    assert report["suppressed"] == []


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("etc/other", ("", "")),
        ("etc/linuxkit-config", ("metadata: yaml", "contents: metadata")),
        ("containers/services/getty/rootfs/etc/linuxkit-config", ("", "")),
        ("etc/linuxkit-config", ("kernel:", "\nkernel:")),
    ],
)
def test_a_file_that_linuxkit_would_not_have_written_is_no_spec_of_the_image(capsys, path, change) -> None:
    write(SPEC, Item(path, SPEC.replace(*change, 1).encode()))
    assert first(scan(capsys), "LKA001")["artifacts"][-1].endswith("config.json")


def test_of_two_embedded_specs_the_last_one_counts_as_of_files(capsys) -> None:
    later = SPEC.replace("services:", "\n\nservices:")
    write(SPEC, Item("etc/linuxkit-config", SPEC.encode()), Item("etc/linuxkit-config", later.encode()))
    assert first(scan(capsys), "LKA001")["line"] == line("INSECURE=true", later)


def archive(*entries: tuple[str, bytes, str, str]) -> bytes:
    """A tar as LinuxKit writes it: path, content, and the two records, `LINUXKIT.source` and `LINUXKIT.location`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        for path, data, source, location in entries:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o666
            info.pax_headers = {"LINUXKIT.source": source, "LINUXKIT.location": location} if location else {}
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


RUNC = "docker.io/linuxkit/runc:9442aa234715e751a16144f1d4ae3fd1a00fd492"
TREE = archive(
    ("init", b"#!/bin/sh\n", "docker.io/linuxkit/init:b5506cc74a6812dc40982cacfd2f4328f8a4b12a", "init[0]"),
    ("usr/bin/runc", b"#!/bin/sh\n", RUNC, "init[1]"),
)


def test_records_of_a_tar_tell_which_image_of_init_brought_a_file(capsys) -> None:
    Path("linuxkit.yml").write_text(SPEC, encoding="utf-8")
    Path("linuxkit.tar").write_bytes(TREE)
    found = [one for one in scan(capsys, *TRACED, path="linuxkit.tar")["findings"] if one["subject"] == "usr/bin/runc"]
    assert {one["locations"][0]["line"] for one in found} == {line("linuxkit/runc")}
    assert {one["locations"][0]["note"] for one in found} == {f"brought by init[1], {RUNC.removeprefix('docker.io/')}"}


def test_without_records_which_image_of_init_it_was_is_left_open(capsys) -> None:
    write(SPEC, Item("init", b"#!/bin/sh\n", 0o100755), Item("usr/bin/runc", b"#!/bin/sh\n", 0o100666))
    found = [one for one in scan(capsys, *TRACED)["findings"] if one["subject"] == "usr/bin/runc"]
    assert {(one["locations"][0]["line"], one["locations"][0]["note"]) for one in found} == {
        (line("init:"), "brought by one of the 4 images of init")
    }


def test_records_alone_name_the_component_as_evidence(capsys) -> None:
    Path("linuxkit.tar").write_bytes(TREE)
    (found, *_) = (one for one in scan(capsys, path="linuxkit.tar")["findings"] if one["subject"] == "usr/bin/runc")
    assert found["evidence"][-1] == f"brought by init[1]: {RUNC}"
    assert found["locations"][0]["artifacts"] == ["linuxkit.tar", "usr/bin/runc"]


SHOWN = {
    "text": "linuxkit.yml:{line}:9",
    "sarif": '"startLine": {line}',
    "html": "linuxkit.yml:{line}:9",
    "markdown": "linuxkit.yml:{line}:9<br>initrd.img / containers/services/getty/config.json",
    "github": "file=linuxkit.yml,line={line},",
    "gitlab": '"begin": {line}',
    "junit": "linuxkit.yml:{line}:9 (initrd.img / containers/services/getty/config.json)",
}


@pytest.mark.parametrize("form", SHOWN)
def test_every_report_shows_both_places(capsys, form) -> None:
    write()
    capsys.readouterr()
    assert main(["initrd.img", *TRACED, "--select", "LKA001", "-f", form]) == FINDINGS
    text = capsys.readouterr().out
    assert SHOWN[form].format(line=line("INSECURE=true")) in text
    assert "containers/services/getty/config.json" in text


def test_sarif_quotes_no_line_of_a_spec_that_holds_a_secret(capsys) -> None:
    secret = "AKIA" + "QWERTYUIOPASDFGH"
    text = SPEC.replace("INSECURE=true", f"INSECURE=true\n      - AWS_ACCESS_KEY_ID={secret}")
    write(text)
    main(["initrd.img", *TRACED, "-f", "sarif", "--profile", "auditor"])
    assert secret not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["initrd.img", "--spec", "none.yml"], "none.yml: the spec cannot be read: No such file or directory"),
        (["initrd.img", "--spec", "initrd.img"], "initrd.img: is no LinuxKit spec"),
        (["initrd.img", "--spec", "build.yml"], "build.yml: is no LinuxKit spec"),
        (["initrd.img", "--spec", "bad.yml"], "bad.yml:3:1: cannot be read as YAML"),
        (["linuxkit.yml", "--spec", "linuxkit.yml"], "--spec tells what an image was built from; name an image, too"),
        (["initrd.img", "--spec", "."], ".: the spec cannot be read"),
    ],
)
def test_a_spec_that_is_of_no_use_is_refused_in_one_line(capsys, order, message) -> None:
    write()
    Path("build.yml").write_text("image: agent\n", encoding="utf-8")
    Path("bad.yml").write_text("kernel:\n  image: [\n", encoding="utf-8")
    capsys.readouterr()
    assert main(order) == USAGE
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


# --- every family, in real outputs with real programs

FAMILIES = {
    "P": ("LKP007", "services/web", "- CAP_CHOWN"),
    "N": ("LKN001", "services/web-again", "pid: host"),
    "M": ("LKM006", "services/web", "- /tmp:size=1M"),
    "R": ("LKR001", "image", f"image: {buildlab.GETTY}"),
    "L": ("LKL008", "image", f"image: {buildlab.WEB}"),
    "A": ("LKA001", "services/getty", "- INSECURE=true"),
    "K": ("LKK012", "", f"image: {buildlab.KERNEL}"),
    "C": ("LKC003", "image", "cmdline:"),
    "Y": ("LKY002", "", f"image: {buildlab.SYSCTL}"),
    "B": ("LKB004", "usr/bin/runc", f"- {buildlab.RUNC}"),
    "F": ("LKF002", "bin/su", f"- {buildlab.INIT}"),
    "X": ("LKX001", "etc/agent.env", "- path: etc/agent.env"),
    "V": ("LKV003", "image", ""),
    "D": ("LKD003", "services/web", f"image: {buildlab.WEB}"),
}
"""Family -> a rule, whom it finds fault with, and the line of the spec that brought that, "" for all of the spec.

The families S and I are about what only specs have: that LinuxKit takes them, and their references.
"""
SECRET = "AKIA" + "QWERTYUIOPASDFGH"
FAULTY = f'{buildlab.SPEC}  - path: etc/agent.env\n    contents: "KEY={SECRET}"\n    mode: "0644"\n'


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> buildlab.Lab:
    """A build out of Debian's programs with a fault of every family in it, and the cache that it comes from."""
    need_tools()
    folder = tmp_path_factory.mktemp("faulty")
    images = buildlab.images(tmp_path_factory.mktemp("debian"))
    busybox = next(one.data for one in images[buildlab.full(buildlab.INIT)].files if one.path == "bin/busybox")
    weak = b"kernel.kptr_restrict = 0\n"
    for name, entry in (
        (buildlab.INIT, buildlab.Entry("bin/su", busybox, mode=0o4755)),
        (buildlab.WEB, buildlab.Entry("usr/bin/gdb", busybox, mode=0o755)),
        (buildlab.SYSCTL, buildlab.Entry("etc/sysctl.d/99-weak.conf", weak)),
    ):
        image = images[buildlab.full(name)]
        images[buildlab.full(name)] = image._replace(files=(*image.files, entry))
    files = (*buildlab.FILES, ("etc/agent.env", "file", 0o644, 0, 0, f"KEY={SECRET}".encode()))
    entries = [
        one._replace(data=one.data.replace(b"LEVEL=2", b"LEVEL=3")) if one.path.endswith("web/config.json") else one
        for one in buildlab.build(FAULTY, images, files)
    ]
    buildlab.cache(folder / "cache", images)
    (folder / "linuxkit.yml").write_text(FAULTY, encoding="utf-8")
    (folder / "banner.txt").write_bytes(buildlab.BANNER)
    (folder / "linuxkit.tar").write_bytes(buildlab.archive(entries, records=True))
    return buildlab.Lab(folder / "lab", entries)


@pytest.mark.shut_in
@pytest.mark.parametrize("form", ["tar with records", "kernel+initrd", "iso-bios", "kernel+squashfs", "qcow2-efi"])
def test_a_finding_of_every_family_leads_to_its_line(faulty, capsys, monkeypatch, form) -> None:
    """Which image of init brought a file, LinuxKit's records tell, or the cache does."""
    monkeypatch.chdir(faulty.folder.parent)
    has_records = form == "tar with records"
    paths = ["linuxkit.tar"] if has_records else [str(path) for path in faulty.build(form)]
    capsys.readouterr()
    cache = ["--cache", "cache"]
    main([*paths, *TRACED, *cache, "-f", "json", "--profile", "auditor"])
    report = json.loads(capsys.readouterr().out)
    lines = ["", *FAULTY.splitlines()]
    told = {
        family: sorted(
            {
                lines[one["locations"][0]["line"] or 0].strip()
                for one in report["findings"]
                if one["rule"] == rule and subject in {"", one["subject"]}
            }
        )
        for family, (rule, subject, _) in FAMILIES.items()
    }
    wanted = {family: line for family, (_, _, line) in FAMILIES.items()}
    assert {family: len(found) for family, found in told.items()} == dict.fromkeys(wanted, 1), told
    assert all(told[family][0].startswith(line) for family, line in wanted.items()), told
    assert {one["locations"][0]["artifacts"][0] for one in report["findings"]} == {"linuxkit.yml"}
    if not has_records:
        for path in paths:
            Path(path).unlink()
