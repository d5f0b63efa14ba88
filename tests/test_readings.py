"""What is read of small images of every format, whole, bent and cut, is what was read of them before.

A change that is meant shows in the diff of tests/snapshots/readings, which LKSCAN_SNAPSHOTS=write writes anew. That the
lines are right for whole images is what the tests of the readers and outputs show; these hold the rest in place.
"""

import pytest
import readinglab
from reportlab import snapshot

from lkscan.scanner import image
from lkscan.scanner.subjects import Problem

pytestmark = pytest.mark.read_here


@pytest.mark.parametrize("name", sorted(readinglab.KEPT))
def test_what_is_read_of_whole_bent_and_cut_images_has_not_changed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = "".join(f"{line}\n" for line in readinglab.listing(name, tmp_path / "image"))
    assert told == snapshot(f"readings/{name}.txt", told)


@pytest.mark.parametrize("name", readinglab.PROGRAMS)
def test_what_is_told_of_whole_bent_and_cut_programs_has_not_changed(name):
    pytest.importorskip("capstone", reason="needs capstone")
    told = "".join(f"{line}\n" for line in readinglab.program_listing(name))
    assert told == snapshot(f"readings/program-{name}.txt", told)


def test_what_containers_are_told_to_need_has_not_changed(tmp_path, monkeypatch):
    pytest.importorskip("capstone", reason="needs capstone")
    monkeypatch.chdir(tmp_path)
    told = "".join(f"{line}\n" for line in readinglab.needs_listing())
    assert told == snapshot("readings/needs.txt", told)


@pytest.mark.parametrize(
    ("name", "first"),
    [("fat12", b".          \x10"), ("ext2", b"\x0c\0\1\2.\0\0\0"), ("iso", b"\2\0\0\1\0\0\1\1\0")],
)
def test_a_directory_of_which_nothing_is_left_is_no_empty_one(name, first, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = bytearray(readinglab.seed(name))
    at = data.index(first, 20 << 11 if name == "iso" else 0) // 512 * 512  # behind the descriptors
    data[at : at + 512] = bytes(512)
    (tmp_path / "image").write_bytes(data)
    told = [one.message for one in image.read(("image",)) if isinstance(one, Problem)]
    assert any(one.startswith("the directory ") and "it may have held more" in one for one in told)
