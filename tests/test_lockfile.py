"""The lock file: found upwards, read strictly, written the same way every time."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.lockfile import LockError, find, load, render

DIGEST = "sha256:" + "a" * 64
HEAD = "version = 1\n[images]\n"


def test_the_nearest_one_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert find(str(deep)) is None
    (tmp_path / "lkscan.lock").touch()
    assert find("a/b") == find(str(deep)) == find("") == "lkscan.lock"
    (tmp_path / "a" / "lkscan.lock").touch()
    assert find("a/b") == find(str(deep)) == "a/lkscan.lock"
    monkeypatch.chdir(deep)
    assert find("") == "../lkscan.lock"


def test_outside_of_the_repository_none_is_looked_for(tmp_path):
    (tmp_path / "lkscan.lock").touch()
    (tmp_path / "project" / "sub").mkdir(parents=True)
    (tmp_path / "project" / ".git").touch()  # a file in a work tree of git
    assert find(str(tmp_path / "project" / "sub")) is None


def test_one_that_is_not_there_is_empty(tmp_path):
    lock = load(str(tmp_path / "lkscan.lock"))
    assert (lock.data, lock.images) == (None, {})


part = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}", fullmatch=True)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
names = st.builds("{}.example:5000/{}/{}:{}".format, part.map(lambda s: s.replace("_", "-")), part, part, tags)
digests = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")


@given(st.dictionaries(names, digests))
def test_what_is_written_is_read_again(tmp_path_factory, images):
    path = tmp_path_factory.getbasetemp() / "property.lock"
    path.write_text(render(images))
    assert load(str(path)).images == images


def test_a_line_for_each_in_order_whatever_the_order_was():
    one, two = (f"docker.io/a/{name}:1" for name in "xy")
    assert render({two: DIGEST, one: DIGEST}) == render({one: DIGEST, two: DIGEST})
    assert render({two: DIGEST, one: DIGEST}).splitlines()[-2:] == [f'"{one}" = "{DIGEST}"', f'"{two}" = "{DIGEST}"']


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "is no text in UTF-8"),
        (b"<<<<<<< HEAD\n", "is no TOML"),
        (b"a = " + b"[" * 100_000, "is no TOML"),
        (b"", "has no 'version = 1'"),
        (b"version = 2\n[images]\n", "has no 'version = 1'"),
        (b"version = 1\n", "something else than the table"),
        (b"version = 1\nimages = 5\n", "something else than the table"),
        (HEAD.encode() + b"[more]\n", "something else than the table"),
        (f'{HEAD}"docker.io/a/b:1" = 5\n'.encode(), "'docker.io/a/b:1' is no full reference"),
        (f'{HEAD}"docker.io/a/b:1" = "sha256:0"\n'.encode(), "is no full reference"),
        (f'{HEAD}"docker.io/a/b" = "{DIGEST}"\n'.encode(), "is no full reference"),
        (f'{HEAD}"docker.io/a/../b:1" = "{DIGEST}"\n'.encode(), "is no full reference"),
        (f'{HEAD}"docker.io/a/b:1\\n" = "{DIGEST}"\n'.encode(), "is no full reference"),
        (f'{HEAD}[images.a]\nb = "{DIGEST}"\n'.encode(), "'a' is no full reference"),
    ],
)
def test_a_damaged_one_is_told_in_one_line(tmp_path, data, reason):
    path = tmp_path / "lkscan.lock"
    path.write_bytes(data)
    with pytest.raises(LockError) as caught:
        load(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert reason in text
    assert text.endswith("; restore it, or delete it and pin again")


def test_a_huge_one_is_refused(tmp_path):
    (tmp_path / "lkscan.lock").write_bytes(b"#" * (5 << 20))
    with pytest.raises(LockError, match="larger than the limit"):
        load(str(tmp_path / "lkscan.lock"))


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "lkscan.lock")
    with pytest.raises(LockError, match="not a regular file"):
        load(str(tmp_path / "lkscan.lock"))


def test_a_link_is_followed_only_where_it_was_named(tmp_path):
    (tmp_path / "real").write_text(render({"docker.io/a/b:1": DIGEST}))
    (tmp_path / "lkscan.lock").symlink_to("real")
    assert load(str(tmp_path / "lkscan.lock"), named=True).images == {"docker.io/a/b:1": DIGEST}
    with pytest.raises(LockError, match="is a link, which is not followed"):
        load(str(tmp_path / "lkscan.lock"))
