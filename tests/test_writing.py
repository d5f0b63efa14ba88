"""A file is replaced whole or not at all, and stays what it was but for its bytes."""

import os
import stat

import pytest

from lkscan.writing import WriteError, encode, replace


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_the_encoding_and_its_mark_are_those_of_the_file(mark):
    name = {b"": "utf-8", b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}[mark]
    assert encode("é\r\n", mark + "x".encode(name)) == mark + "é\r\n".encode(name)


def test_mode_and_owner_are_kept(tmp_path):
    path = tmp_path / "a.yml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 4242, 4243)
    before = path.stat()
    replace(str(path), b"new", old=b"old")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert os.listdir(tmp_path) == ["a.yml"]


def test_a_new_file_has_what_the_umask_leaves(tmp_path):
    mask = os.umask(0o027)
    try:
        replace(str(tmp_path / "new"), b"x", old=None)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    replace(str(tmp_path / "link"), b"new", old=b"old")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("old", [None, b"other", b"nows", b""])
def test_what_somebody_else_changed_is_left_as_it_is(tmp_path, old):
    (tmp_path / "a").write_bytes(b"now")
    with pytest.raises(WriteError, match="meanwhile"):
        replace(str(tmp_path / "a"), b"new", old=old)
    assert (tmp_path / "a").read_bytes() == b"now"
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_gone_is_not_made_anew(tmp_path):
    with pytest.raises(WriteError, match="meanwhile"):
        replace(str(tmp_path / "a"), b"new", old=b"old")
    assert os.listdir(tmp_path) == []


def test_a_crash_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(WriteError, match="a: cannot be written: No space left"):
        replace(str(tmp_path / "a"), b"new", old=b"old")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WriteError, match="cannot be written: No such file"):
        replace(str(tmp_path / "none" / "a"), b"new", old=None)
