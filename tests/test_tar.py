"""tar: PAX, GNU and plain headers as real tools write them, LinuxKit's records, duplicates, hostile fields."""

import hashlib
import io
import random
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagelab import found, needs, run, stream, tree

from lkscan.scanner import tar
from lkscan.scanner.source import DamagedError, LimitError

LONG = "deep/" * 60 + "file"


def entry(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def archive(*entries, form=tarfile.PAX_FORMAT, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **options) as file:
        for info, data in entries:
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(data, **limits):
    return found(tar.entries(stream(data), tree(**limits)))


def header(**fields):
    """One header block with fields replaced, its sum right; keys are offsets as `at124`."""
    block = bytearray(archive(entry("name", b""))[:512])
    for key, value in fields.items():
        block[int(key[2:]) : int(key[2:]) + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


ENTRIES = (
    entry("etc/", type=tarfile.DIRTYPE, mode=0o755),
    entry("etc/shadow", b"root::0\n" * 200, mode=0o640, uid=1, gid=42),
    entry("etc/link", type=tarfile.SYMTYPE, linkname="shadow"),
    entry("etc/second", type=tarfile.LNKTYPE, linkname="etc/shadow"),
    entry("dev/null", type=tarfile.CHRTYPE, mode=0o666),
    entry("dev/sda", type=tarfile.BLKTYPE),
    entry("run/fifo", type=tarfile.FIFOTYPE),
    entry(LONG, b"deep", uid=2**22, gname="wheel"),
    entry("long-link", type=tarfile.SYMTYPE, linkname=LONG),
)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_each_type_of_entry_is_read(form):
    files, problems = read(archive(*ENTRIES, form=form))
    assert problems == []
    assert [(path, file.kind, file.size) for path, (file, _) in files.items()] == [
        ("etc", "dir", 0),
        ("etc/shadow", "file", 1600),
        ("etc/link", "symlink", 0),
        ("etc/second", "hardlink", 0),
        ("dev/null", "char", 0),
        ("dev/sda", "block", 0),
        ("run/fifo", "fifo", 0),
        (LONG, "file", 4),
        ("long-link", "symlink", 0),
    ]
    shadow, content = files["etc/shadow"]
    assert (shadow.mode, shadow.uid, shadow.gid, content) == (0o640, 1, 42, b"root::0\n" * 200)
    assert files["etc/link"][0].target == "shadow"
    assert files["etc/second"][0].target == "etc/shadow"
    assert files["long-link"][0].target == LONG
    assert files[LONG][0].uid == 2**22


def test_a_prefix_of_ustar_joins_the_name():
    files, _ = read(archive(entry("a" * 90 + "/" + "b" * 90, b"x"), form=tarfile.USTAR_FORMAT))
    assert list(files) == ["a" * 90 + "/" + "b" * 90]


def test_linuxkits_records_tell_where_a_file_came_from():
    records = {"LINUXKIT.source": "linuxkit/sshd:abc", "LINUXKIT.location": "services[2]"}
    files, _ = read(archive(entry("a", b"1", pax_headers=records), entry("b", b"2")))
    assert (files["a"][0].source, files["a"][0].location) == ("linuxkit/sshd:abc", "services[2]")
    assert (files["b"][0].source, files["b"][0].location) == ("", "")


def test_records_for_all_entries_hold_until_one_has_its_own():
    data = archive(
        entry("a"), entry("b", pax_headers={"LINUXKIT.source": "own"}), pax_headers={"LINUXKIT.source": "all"}
    )
    files, _ = read(data)
    assert [files[name][0].source for name in "ab"] == ["all", "own"]


def test_extended_attributes_are_kept():
    capability = {"SCHILY.xattr.security.capability": "\1\0\0\2"}
    files, _ = read(archive(entry("ping", b"x", pax_headers=capability)))
    assert files["ping"][0].xattrs == {"security.capability": b"\1\0\0\2"}


def test_a_path_that_stands_twice_is_yielded_twice():
    entries = list(tar.entries(stream(archive(entry("a", b"old"), entry("a", b"newer"))), tree()))
    assert [(file.path, file.size) for file, _ in entries] == [("a", 3), ("a", 5)]


def test_what_follows_the_end_is_left():
    subject = stream(archive(entry("a"), form=tarfile.USTAR_FORMAT)[:1024] + b"REST")
    found(tar.entries(subject, tree()))
    assert subject.read(9) == b"REST"


def test_directories_of_old_archives_end_in_a_slash():
    files, _ = read(header(at0=b"name/\0", at156=b"\0", at257=bytes(8)) + bytes(1024))
    assert files["name"][0].kind == "dir"


def test_binary_numbers_are_read_and_negative_ones_refused():
    files, _ = read(header(at108=b"\x80" + (5).to_bytes(7, "big")) + bytes(1024))
    assert files["name"][0].uid == 5
    with pytest.raises(DamagedError, match="negative number in the tar header at byte 0"):
        read(header(at124=b"\xff" * 12) + bytes(1024))


@pytest.mark.parametrize("field", [b"0x00000000\0", b"0o0000000\0", b"-000000001\0", b"00000_0001\0", b"0000000009\0"])
def test_fields_are_octal_digits_and_nothing_else(field):
    with pytest.raises(DamagedError, match="no octal number"):
        read(header(at124=field) + bytes(1024))


def test_an_absurd_size_breaks_off():
    entries = tar.entries(stream(header(at124=b"\x80" + bytes(3) + b"\x7f" + bytes(7)) + bytes(1024)), tree())
    assert next(entries)[0].size == 0x7F << 56
    with pytest.raises(DamagedError, match="the tar archive breaks off at byte 1536"):
        next(entries)


def pax(text, name=b"x"):
    return header(at156=name, at124=b"%011o\0" % len(text)) + text.ljust(-(-len(text) // 512) * 512, b"\0")


@pytest.mark.parametrize(
    "record",
    [
        b"12 path=name",
        b"9999 path=a\n",
        b"path=a\n",
        b"9 pathaa\n",
        b"0 a=b\n",
        b"-1 a=b\n",
        b"99999999999999999999999 a=b\n",
    ],
)
def test_damaged_records_are_damage(record):
    with pytest.raises(DamagedError, match="a PAX record of the tar header at byte 0 is damaged"):
        read(pax(record) + header() + bytes(1024))


@pytest.mark.parametrize(("key", "value"), [("size", "-1"), ("uid", "1_0"), ("gid", "9" * 30), ("size", "0x1")])
def test_numbers_in_records_are_digits(key, value):
    record = f" {key}={value}\n"
    text = f"{len(record) + 2}{record}".encode()
    with pytest.raises(DamagedError, match=f"the PAX record '{key}' of the tar header at byte 1024 is no number"):
        read(pax(text) + header() + bytes(1024))


def test_an_extended_header_is_bounded():
    with pytest.raises(LimitError, match="the extended tar header at byte 0 has 2097152 bytes"):
        read(header(at156=b"L", at124=b"%011o\0" % (2 << 20)))


def test_types_that_nobody_knows_are_reported_and_their_content_skipped():
    data = header(at156=b"Z", at124=b"%011o\0" % 5) + b"12345".ljust(512, b"\0") + archive(entry("after"))
    files, problems = read(data)
    assert list(files) == ["after"]
    assert problems == ["name: tar entries of type 'Z' are not read; entry skipped"]


def _sparse(records, data):
    """A sparse file in the form of PAX: its records, and what is stored."""
    return archive(entry("s", data, pax_headers=records))


@pytest.mark.parametrize(
    ("records", "data", "wanted"),
    [
        ({"GNU.sparse.size": "9", "GNU.sparse.map": "2,3"}, b"abc", b"\0\0abc\0\0\0\0"),
        ({"GNU.sparse.size": "4", "GNU.sparse.map": ""}, b"", bytes(4)),
        (
            {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5", "GNU.sparse.name": "it"},
            b"1\n1\n2\n".ljust(512, b"\0") + b"xy",
            b"\0xy\0\0",
        ),
    ],
)
def test_sparse_files_come_with_their_holes(records, data, wanted):
    files, problems = read(_sparse(records, data))
    assert [content for _, content in files.values()] == [wanted]
    assert list(files) == [records.get("GNU.sparse.name", "s")]
    assert problems == []


@pytest.mark.parametrize(
    ("records", "data"),
    [
        ({"GNU.sparse.size": "9", "GNU.sparse.map": "2,x"}, b"abc"),
        ({"GNU.sparse.size": "9", "GNU.sparse.map": "2"}, b"abc"),
        ({"GNU.sparse.size": "9", "GNU.sparse.map": "7,3"}, b"abc"),
        ({"GNU.sparse.size": "9", "GNU.sparse.map": "4,2,2,1"}, b"abc"),
        ({"GNU.sparse.size": "9", "GNU.sparse.map": "0,2"}, b"abc"),
        ({"GNU.sparse.map": "0,3"}, b"abc"),
        ({"GNU.sparse.size": "9" * 19, "GNU.sparse.map": "0,3"}, b"abc"),
        ({"GNU.sparse.major": "1", "GNU.sparse.realsize": "5"}, b""),
        ({"GNU.sparse.major": "1", "GNU.sparse.realsize": "5"}, bytes(512)),
        ({"GNU.sparse.major": "1", "GNU.sparse.realsize": "5"}, b"9\n1\n".ljust(512, b"\0")),
        ({"GNU.sparse.major": "1", "GNU.sparse.realsize": "5"}, b"99999999999999999\n" * 2000),
    ],
)
def test_a_sparse_map_that_contradicts_itself_is_damage(records, data):
    with pytest.raises(DamagedError):
        read(_sparse(records, data))


def test_a_path_that_leads_elsewhere_is_reported_and_skipped():
    files, problems = read(archive(entry("../../etc/shadow", b"x"), entry("after")))
    assert list(files) == ["after"]
    assert problems == ["../../etc/shadow: the path is not acceptable (too long, too deep, NUL or ..); entry skipped"]


def test_a_wrong_sum_is_damage():
    data = bytearray(archive(*ENTRIES))
    data[512 + 10] ^= 1
    with pytest.raises(DamagedError, match="the tar header at byte 512 is damaged"):
        read(bytes(data))


def test_entries_are_counted():
    with pytest.raises(LimitError, match="more than 3 entries"):
        read(archive(*ENTRIES), entries=3)


def test_damage_at_any_byte_leaves_what_stands_before():
    data = archive(*ENTRIES, form=tarfile.GNU_FORMAT)
    end_mark = len(data.rstrip(b"\0")) // 512 * 512 + 512
    last = 0
    for end in range(1, end_mark + 500, 37):
        names = []
        with pytest.raises(DamagedError):
            names.extend(file.path for file, _ in tar.entries(stream(data[:end]), tree()))
        assert len(names) >= last
        last = len(names)
    assert last == len(ENTRIES)


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_bent_archives_give_entries_or_damage(seed, count):
    data = bytearray(archive(*ENTRIES))
    chance = random.Random(seed)
    for _ in range(count):
        at = chance.randrange(len(data) // 512) * 512
        data[at + chance.randrange(512)] = chance.randrange(256)
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    try:
        found(tar.entries(stream(bytes(data)), tree()))
    except DamagedError:
        return


def test_what_is_mine():
    data = archive(entry("a"))
    assert tar.sniff(data)
    assert not tar.sniff(bytes(512))
    assert not tar.sniff(data[:511])
    assert not tar.sniff(b"x" * 512)
    assert not tar.sniff(b"x" + data[1:])
    signed = bytearray(header(at0=b"\xe9t\xe9\0"))
    signed[148:156] = b"%06o\0 " % (sum(signed) - sum(signed[148:156]) + 256 - 512)
    assert tar.sniff(bytes(signed))


@needs("tar")
@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7", "oldgnu"])
def test_the_list_is_that_of_tar_itself(tmp_path, form):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    content = random.Random(1).randbytes(70_001)
    (root / "etc/shadow").write_bytes(content)
    (root / "etc/shadow").chmod(0o640)
    (root / "etc/set-id").write_bytes(b"x")
    (root / "etc/set-id").chmod(0o6755)
    (root / "link").symlink_to("../etc/shadow")
    data = run("tar", "-c", f"--format={form}", "--sort=name", ".", cwd=root)
    files, problems = read(data)
    assert problems == []
    listed = {}
    for line in run("tar", "-tv", data=data).decode().splitlines():
        mode, _, rest = line.partition(" ")
        listed[rest.split(" -> ")[0].split()[-1].strip("./") or "."] = mode
    assert set(listed) == set(files)
    assert listed["etc/set-id"] == "-rwsr-sr-x"
    assert files["etc/set-id"][0].mode == 0o6755
    assert hashlib.sha256(files["etc/shadow"][1]).digest() == hashlib.sha256(content).digest()
    assert files["link"][0].target == "../etc/shadow"


@needs("tar")
def test_sparse_files_of_tar_itself_are_read_in_every_form(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        for number in range(60):
            file.seek(number * 100_000)
            file.write(bytes((number + 1,)) * 5000)
        file.truncate(8_000_000)
    wanted = (tmp_path / "sparse").read_bytes()
    for form in ("--format=gnu", *(f"--format=posix --sparse-version={one}" for one in ("0.0", "0.1", "1.0"))):
        data = run("tar", "-cS", *form.split(), "sparse", cwd=tmp_path)
        assert len(data) < 1 << 20
        files, problems = read(data)
        assert {path: content == wanted for path, (_, content) in files.items()} == {"sparse": True}
        assert files["sparse"][0].size == len(wanted)
        assert problems == []
