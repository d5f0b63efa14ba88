"""Inputs: which paths are specs, which are images, which belong together, and what is said of the rest."""

import gzip
import os
import socket
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from lkscan.cli import main
from lkscan.inputs import Input, gather
from lkscan.scanner.subjects import Problem

SPEC = b"services:\n  - name: web\n    image: nginx\n"
FOREIGN = b"jobs:\n  build:\n    steps: []\n"


def seen(*paths: object, merge: bool = False, if_linuxkit: bool = False) -> list[tuple[str, ...]]:
    """(kind, names of the paths …), or (problem kind, message)."""
    return [
        (one.kind, one.message)
        if isinstance(one, Problem)
        else (one.kind, *(os.path.basename(path) for path in one.paths))
        for one in gather([str(path) for path in paths], merge=merge, if_linuxkit=if_linuxkit)
    ]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


UNREAD = {
    "disk.vhdx": (b"vhdxfile".ljust(4096, b"\0"), "VHDX disks"),
    "root.btrfs": (bytes(0x10040) + b"_BHRfS_M" + bytes(4096), "btrfs file systems"),
    "root.xfs": (b"XFSB".ljust(4096, b"\0"), "XFS file systems"),
    "volume": (bytes(512 + 24) + b"LVM2 001" + bytes(4096), "LVM2 physical volumes"),
}


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("packed", [False, True])
def test_an_image_in_a_folder_that_is_not_read_is_said_and_other_files_are_not(tmp_path, capsys, name, packed) -> None:
    image_folder(tmp_path)
    data, kind = UNREAD[name]
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    for stray, content in (("a.zip", b"PK\x03\x04"), ("a.deb", b"!<arch>\n"), ("a.exe", b"MZ"), ("b.zip.gz", b"")):
        (tmp_path / stray).write_bytes(content.ljust(200, b"\0") if content else gzip.compress(b"PK\x03\x04" * 9))
    assert main(["--images", str(tmp_path)]) == 3
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if "not read yet" in line] == [
        f"lkscan: {tmp_path / name}: {kind} are not read yet"
    ]
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (SPEC, "spec"),
        (FOREIGN, "spec"),  # the spec reader says what it is not
        (b"\xff\xfes\0e\0r\0", "spec"),
        (b"\x1f\x8b\x08\0", "image"),
        (b"070701text", "image"),
        (b"MZ\0\0", "image"),
        (b"a" * 100 + b"\0", "image"),
    ],
)
def test_content_decides_never_the_name(tmp_path: Path, data: bytes, kind: str) -> None:
    assert seen(write(tmp_path / "x.iso", data)) == [(kind, "x.iso")]


def test_the_outputs_of_one_build_are_one_image(tmp_path: Path) -> None:
    names = ["lk-kernel", "lk-initrd.img", "lk-cmdline"]
    paths = [write(tmp_path / name, b"\0") for name in names]
    assert seen(*paths) == [("image", *names)]
    assert seen(tmp_path / "lk") == [("image", *names)]


def test_specs_stay_apart_unless_merged(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, SPEC) for name in ("a.yml", "b.yml")]
    assert seen(*paths) == [("spec", "a.yml"), ("spec", "b.yml")]
    image = write(tmp_path / "c.iso", b"\0")
    assert seen(*paths, image, merge=True) == [("image", "c.iso"), ("spec", "a.yml", "b.yml")]


def test_merging_nothing_gives_the_problem_alone(tmp_path: Path) -> None:
    assert seen(tmp_path / "gone.yml", merge=True) == [("unusable", "no such file or directory")]


def test_foreign_yaml_is_left_alone_only_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "ci.yml", FOREIGN)
    assert seen(path) == [("spec", "ci.yml")]
    assert seen(path, if_linuxkit=True) == []


def test_a_directory_stands_for_its_specs_and_packages(tmp_path: Path) -> None:
    write(tmp_path / "b" / "linuxkit.yml", SPEC)
    write(tmp_path / "a" / "build.yml", b"image: sshd\norg: linuxkit\n")
    write(tmp_path / "eve.yml.in", SPEC)
    write(tmp_path / "ci.yaml", FOREIGN)
    write(tmp_path / "notes.txt", SPEC)
    write(tmp_path / ".git" / "x.yml", SPEC)
    (tmp_path / "link.yml").symlink_to(tmp_path / "b" / "linuxkit.yml")
    assert seen(tmp_path) == [("spec", "eve.yml.in"), ("spec", "build.yml"), ("spec", "linuxkit.yml")]


def test_a_directory_without_specs_is_unusable(tmp_path: Path) -> None:
    assert seen(tmp_path) == [("unusable", "holds no LinuxKit spec, package or image; give the path of a file")]


def test_standard_input_is_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(SPEC)))
    (one,) = gather(["-"])
    assert isinstance(one, Input)
    assert one.documents == (("-", SPEC),)


def test_what_is_no_file_is_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert seen(tmp_path / "pipe") == [("unusable", "is a FIFO, not a file; give the path of a spec or image")]
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    assert seen(tmp_path / "socket") == [("unusable", "is a socket, not a file; give the path of a spec or image")]
    assert seen("/dev/null") == [("unusable", "is a device, not a file; give the path of a spec or image")]


def test_a_path_that_is_not_there_or_cannot_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(tmp_path / "gone") == [("unusable", "no such file or directory")]
    ((kind, message),) = seen("a\0b")  # Python's versions word it apart
    assert kind == "incomplete"
    assert message.startswith("cannot be read: ")
    assert "embedded null" in message

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "secret.yml", SPEC)
    monkeypatch.setattr("lkscan.inputs.FileSource", refuse)
    assert seen(path) == [("incomplete", "cannot be read: Permission denied")]
    assert seen(tmp_path) == [("incomplete", "cannot be read: Permission denied")]


def test_the_other_inputs_are_still_gathered(tmp_path: Path) -> None:
    assert [one[0] for one in seen(tmp_path / "gone", write(tmp_path / "a.yml", SPEC))] == ["unusable", "spec"]


def image_folder(folder: Path, *, spec: bool = False) -> None:
    """Images of several kinds, and what is none."""
    from imagelab import Item, newc

    tree = newc(Item("etc/passwd", b"x"))
    (folder / "deep").mkdir()
    (folder / "a.img").write_bytes(tree)
    (folder / "deep/lk-initrd.img").write_bytes(gzip.compress(tree))
    (folder / "deep/lk-cmdline").write_text("quiet")
    (folder / "other-cmdline").write_text("alone")
    (folder / "log.gz").write_bytes(gzip.compress(b"text"))
    (folder / "picture.png").write_bytes(b"\x89PNG" + bytes(100))
    (folder / ".hidden").mkdir()
    (folder / ".hidden/b.img").write_bytes(tree)
    (folder / "link.img").symlink_to("a.img")
    if spec:
        (folder / "linuxkit.yml").write_bytes(SPEC)


def test_a_directory_without_specs_stands_for_its_images(tmp_path: Path) -> None:
    image_folder(tmp_path)
    found = [one.paths for one in gather([str(tmp_path)]) if isinstance(one, Input)]
    assert [tuple(os.path.relpath(path, tmp_path) for path in paths) for paths in found] == [
        ("a.img",),
        ("log.gz",),
        ("deep/lk-initrd.img", "deep/lk-cmdline"),
    ]


@pytest.mark.parametrize(("images", "count"), [(False, 1), (True, 4)])
def test_where_there_are_specs_images_have_to_be_asked_for(tmp_path, images, count) -> None:
    image_folder(tmp_path, spec=True)
    assert len(list(gather([str(tmp_path)], images=images))) == count


@pytest.mark.parametrize("command", ["scan", "inspect"])
def test_what_only_looked_like_an_image_is_passed_over(tmp_path, monkeypatch, capsys, command) -> None:
    from lkscan.cli import USAGE, main

    monkeypatch.chdir(tmp_path)
    image_folder(tmp_path)
    main([command, ".", "-f", "json"])
    printed = capsys.readouterr()
    assert (printed.err, "log.gz" in printed.out, "./a.img" in printed.out) == ("", False, True)
    (tmp_path / "none").mkdir()
    (tmp_path / "log.gz").rename(tmp_path / "none/log.gz")
    assert main([command, "none"]) == USAGE
    assert (
        capsys.readouterr().err == "lkscan: none: holds no LinuxKit spec, package or image; give the path of a file\n"
    )
