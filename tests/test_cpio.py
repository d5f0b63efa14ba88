"""cpio: what real tools write, links, hostile headers, and damage at any byte."""

import hashlib
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagelab import Item, found, needs, newc, run, stream, tree

from lkscan.scanner import cpio
from lkscan.scanner.source import DamagedError, LimitError

FILES = (
    Item("bin", mode=0o040755),
    Item("bin/sh", b"#!" * 700, 0o104755, 1, 2),
    Item("etc/empty"),
    Item("bin/ash", b"sh", 0o120777),
    Item("dev/null", mode=0o020666),
    Item("dev/sda", mode=0o060660),
    Item("run/fifo", mode=0o010600),
    Item("run/socket", mode=0o140600),
)


def read(data, **limits):
    return found(cpio.entries(stream(data), tree(**limits)))


def test_each_type_of_entry_is_read():
    files, problems = read(newc(*FILES))
    assert problems == []
    kinds = [(path, file.kind, oct(file.mode), file.size) for path, (file, _) in files.items()]
    assert kinds == [
        ("bin", "dir", "0o755", 0),
        ("bin/sh", "file", "0o4755", 1400),
        ("etc/empty", "file", "0o644", 0),
        ("bin/ash", "symlink", "0o777", 2),
        ("dev/null", "char", "0o666", 0),
        ("dev/sda", "block", "0o660", 0),
        ("run/fifo", "fifo", "0o600", 0),
        ("run/socket", "socket", "0o600", 0),
    ]
    shell, content = files["bin/sh"]
    assert (shell.uid, shell.gid, content) == (1, 2, b"#!" * 700)
    assert files["bin/ash"][0].target == "sh"
    assert shell.place.artifacts == ("image", "bin/sh")
    assert files["bin"][0].read is None


def test_what_follows_the_trailer_is_left():
    subject = stream(newc(*FILES, magic=b"070702") + b"REST")
    found(cpio.entries(subject, tree()))
    assert subject.read(9) == b"REST"


def test_contents_need_not_be_looked_at():
    assert len(list(cpio.entries(stream(newc(*FILES), 13), tree()))) == len(FILES)


def test_of_linked_files_the_one_with_content_is_the_file():
    first, second, last = (Item(name, inode=7, links=3) for name in ("a", "b", "c"))
    last.data = b"content"
    files, _ = read(newc(first, second, last))
    assert files["c"][0].kind == "file"
    assert files["c"][1] == b"content"
    assert [(files[name][0].kind, files[name][0].target) for name in "ab"] == [("hardlink", "c")] * 2
    files, _ = read(newc(last, second))
    assert (files["c"][1], files["b"][0].target) == (b"content", "c")


def test_linked_files_without_any_content_are_empty():
    files, _ = read(newc(Item("a", inode=7, links=2), Item("b", inode=7, links=2)))
    assert (files["a"][0].kind, files["a"][0].size, files["a"][1]) == ("file", 0, b"")
    assert (files["b"][0].kind, files["b"][0].target) == ("hardlink", "a")


@pytest.mark.parametrize(("name", "path"), [("./etc//x/", "etc/x"), ("/x", "x"), (".", "."), ("a\udcff", "a\udcff")])
def test_names_are_brought_into_one_form(name, path):
    assert list(read(newc(Item(name, mode=0o040755)))[0]) == [path]


@pytest.mark.parametrize("name", ["a/../../etc/shadow", "..", "a/" * 300, ""])
def test_names_that_lead_elsewhere_are_reported_and_skipped(name):
    files, problems = read(newc(Item(name), Item("after")))
    assert list(files) == ["after"]
    assert len(problems) == 1
    assert all("the path is not acceptable" in problem for problem in problems)


def test_an_unknown_type_is_reported_and_skipped():
    files, problems = read(newc(Item("odd", mode=0o644), Item("after")))
    assert list(files) == ["after"]
    assert problems == ["odd: the entry has no known file type (mode 644); entry skipped"]


def bent(field, text):
    """The second header with a field of eight digits replaced."""
    data = newc(FILES[0], FILES[1])
    start = data.index(b"070701", 6) + 6 + 8 * field
    return data[:start] + text + data[start + 8 :]


@pytest.mark.parametrize("text", [b"0x000_04", b"+0000004", b"-0000004", b" 0000004", b"0000 004", b"0000004\0"])
@pytest.mark.parametrize("field", [0, 6, 11])
def test_numbers_are_eight_hexadecimal_digits_and_nothing_else(field, text):
    with pytest.raises(DamagedError, match="the cpio header at byte 116 is damaged"):
        read(bent(field, text))


def test_absurd_sizes_are_refused_and_cost_nothing():
    for field, text, error, message in [
        (6, b"ffffffff", DamagedError, "the content of a cpio entry breaks off|the cpio archive breaks off"),
        (11, b"7fffffff", LimitError, "a name of 2147483647 bytes in the cpio entry at byte 116"),
        (11, b"00000000", DamagedError, "the cpio entry at byte 116 has no name"),
    ]:
        with pytest.raises(error, match=message):
            read(bent(field, text))
    with pytest.raises(LimitError, match="a symbolic link of 5000 bytes"):
        read(newc(Item("link", b"x" * 5000, 0o120777)))


def test_entries_are_counted():
    with pytest.raises(LimitError, match="more than 3 entries"):
        read(newc(*FILES), entries=3)


def test_a_missing_trailer_is_damage_after_all_was_read():
    entries = cpio.entries(stream(newc(*FILES, trailer=False)), tree())
    for _ in FILES:
        next(entries)
    with pytest.raises(DamagedError, match="the cpio archive breaks off at byte"):
        next(entries)


def test_damage_at_any_byte_leaves_what_stands_before():
    data = newc(*FILES)
    last = 0
    for end in range(1, len(data) - 4):
        names = []
        with pytest.raises(DamagedError):
            names.extend(file.path for file, _ in cpio.entries(stream(data[:end]), tree()))
        assert len(names) >= last
        last = len(names)
    assert last == len(FILES)


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_bent_archives_give_entries_or_damage(seed, count):
    data = bytearray(newc(*FILES))
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.randrange(len(data))] = chance.randrange(256)
    try:
        found(cpio.entries(stream(bytes(data)), tree()))
    except DamagedError:
        return


@needs("cpio")
@pytest.mark.parametrize("format_", ["newc", "crc"])
def test_the_list_is_that_of_cpio_itself(tmp_path, format_):
    root = tmp_path / "root"
    (root / "etc/deep").mkdir(parents=True)
    (root / "etc/shadow").write_bytes(random.Random(1).randbytes(70_001))
    (root / "etc/shadow").chmod(0o640)
    (root / "etc/deep/set-id").write_bytes(b"x")
    (root / "etc/deep/set-id").chmod(0o4755)
    (root / "link").symlink_to("../etc/shadow")
    os.link(root / "etc/shadow", root / "second")
    os.mkfifo(root / "fifo")
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*"))).encode()
    archive = run("cpio", "-o", "--quiet", "-H", format_, data=names, cwd=root)
    files, problems = read(archive)
    assert problems == []
    listed = run("cpio", "-itv", "--quiet", data=archive).decode().splitlines()
    assert {line.split(" -> ")[0].split()[-1] for line in listed} == set(files)
    modes = {line.split(" -> ")[0].split()[-1]: line[1:10] for line in listed}
    assert modes["etc/deep/set-id"] == "rwsr-xr-x"
    assert files["etc/deep/set-id"][0].mode == 0o4755
    digests = {name: hashlib.sha256(data).hexdigest() for name, (_, data) in files.items() if data is not None}
    assert hashlib.sha256((root / "etc/shadow").read_bytes()).hexdigest() in digests.values()
    assert {files["etc/shadow"][0].kind, files["second"][0].kind} == {"file", "hardlink"}
    assert files["link"][0].target == "../etc/shadow"


def test_what_is_mine():
    assert cpio.sniff(newc())
    assert cpio.sniff(newc(magic=b"070702"))
    assert not cpio.sniff(b"070707")


def test_a_sum_that_is_wrong_is_a_problem_and_the_file_is_still_there():
    data = bytearray(newc(Item("etc/a", b"text"), Item("etc/b", b"more"), magic=b"070702"))
    data[data.index(b"text")] ^= 1
    files, problems = read(bytes(data))
    assert list(files) == ["etc/a", "etc/b"]
    assert problems == ["etc/a: its content does not add up to the sum in its header"]
