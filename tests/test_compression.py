"""Compressed streams: every kind, whole, joined, padded, cut at any byte, bent, and as bombs."""

import bz2
import contextlib
import gzip
import lzma
import random
import sys
import zlib

import imagelab
import pytest
from elflab import lzop
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import compression
from lkscan.scanner.source import Budget, DamagedError, LimitError, Limits


def _zstd(data):
    return compression.zstd_module().compress(data)


def _lz4(data):
    import lz4.frame

    return lz4.frame.compress(data)


def _legacy(data):
    import lz4.block

    out = b"\x02\x21\x4c\x18"
    for at in range(0, len(data), 8 << 20):
        block = lz4.block.compress(data[at : at + (8 << 20)], store_size=False)
        out += len(block).to_bytes(4, "little") + block
    return out


ENCODERS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": _zstd,
    "lz4": _lz4,
    "lz4-legacy": _legacy,
    "lzo": lzop,
}
KINDS = pytest.mark.parametrize("kind", ENCODERS)
DATA = random.Random(1).randbytes(40_000) + bytes(600_000) + b"end"


@pytest.fixture(params=["isal", "zlib"])
def gzip_engine(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setattr(compression, "_isal", lambda: None)
    elif compression._isal() is None:
        pytest.skip("needs isal")
    return request.param


def unpacked(kind, data, **limits):
    stream = imagelab.stream(data, 7001)
    out = b"".join(compression.decompress(kind, stream, Budget(Limits(**limits))))
    return out, stream


@KINDS
def test_each_kind_is_known_by_its_first_bytes_and_unpacked(kind, gzip_engine):
    packed = ENCODERS[kind](DATA)
    assert compression.identify(packed[:16]) == kind
    assert compression.expand(packed, kind, len(DATA)) == DATA
    assert unpacked(kind, packed)[0] == DATA
    assert compression.peek(packed, kind, 100) == DATA[:100]


@KINDS
def test_streams_of_one_kind_are_joined_over_padding_and_what_follows_is_left(kind, gzip_engine):
    packed = ENCODERS[kind](DATA)
    out, stream = unpacked(kind, packed + bytes(77) + packed + bytes(5) + b"REST")
    assert out == DATA * 2
    assert stream.offset == 2 * len(packed) + 82
    assert stream.read(9) == b"REST"


@KINDS
def test_bytes_after_the_stream_are_tolerated_when_a_kernel_is_unpacked(kind, gzip_engine):
    assert compression.expand(ENCODERS[kind](DATA) + b"\x12\x34\x56\x78", kind, len(DATA)) == DATA


@KINDS
def test_a_stream_that_breaks_off_is_damaged(kind, gzip_engine):
    packed = ENCODERS[kind](DATA)
    for end in {*range(1, 40), *range(40, len(packed), 4999), len(packed) - 1}:
        with pytest.raises(DamagedError):
            unpacked(kind, packed[:end])
        with pytest.raises(DamagedError):
            compression.expand(packed[:end], kind, len(DATA))


@KINDS
def test_bent_bytes_give_damage_or_data_and_nothing_else(kind, gzip_engine):
    packed = ENCODERS[kind](DATA)
    chance = random.Random(2)
    for _ in range(60):
        bent = bytearray(packed)
        bent[chance.randrange(4, len(bent))] ^= 1 << chance.randrange(8)
        for unpack in (compression.expand, compression.peek):
            try:
                out = unpack(bytes(bent), kind, 1 << 20)
            except DamagedError:
                continue
            assert isinstance(out, bytes)


@KINDS
def test_no_more_is_unpacked_than_was_asked_for(kind):
    with pytest.raises(LimitError, match="more than 100 bytes"):
        compression.expand(ENCODERS[kind](DATA), kind, 100)


@KINDS
def test_a_bomb_is_stopped_by_ratio_and_by_total(kind, gzip_engine):
    bomb = ENCODERS[kind](bytes(20 << 20))
    with pytest.raises(LimitError, match="limit: ratio"):
        unpacked(kind, bomb, ratio_from=1 << 20, ratio=50)
    with pytest.raises(LimitError, match="limit: total"):
        unpacked(kind, bomb, total=1 << 20)


def test_both_gzip_engines_say_the_same_of_damage(monkeypatch):
    if compression._isal() is None:
        pytest.skip("needs isal")
    bent = bytearray(gzip.compress(DATA))
    bent[-5] ^= 0x55
    said = []
    for engine in (compression._isal(), None):
        monkeypatch.setattr(compression, "_isal", lambda engine=engine: engine)
        with pytest.raises(DamagedError) as caught:
            unpacked("gzip", bytes(bent))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].startswith("gzip data is damaged (before byte ")


def test_without_isal_zlib_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "isal", None)
    compression._isal.cache_clear()
    try:
        assert compression._isal() is None
    finally:
        compression._isal.cache_clear()


def test_a_window_larger_than_the_limit_is_refused():
    with pytest.raises(DamagedError, match="xz"):
        unpacked("xz", lzma.compress(DATA, preset=9), memory=1 << 20)
    large = compression.zstd_module().compress(
        random.Random(3).randbytes(3 << 20), options={compression.zstd_module().CompressionParameter.window_log: 25}
    )
    with pytest.raises(DamagedError, match="zstd"):
        unpacked("zstd", large * 2, memory=1 << 15)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x1f\x8b",
        b"BZh9nothing more",
        b"]\0\0",
        b"]\0\0\x80\0" + b"\x7f" * 8,
        b"]\x03\0\0\0" + b"\xff" * 8,
        b"\x7fELF",
        b"070701" + b"0" * 10,
    ],
)
def test_other_bytes_are_no_compression(head):
    assert compression.identify(head) is None


def test_a_skippable_frame_counts_as_zstd():
    frame = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    assert compression.identify(frame) == "zstd"
    out, stream = unpacked("zstd", _zstd(DATA) + frame)
    assert out == DATA
    assert stream.read(1) == b""


def test_legacy_blocks_of_full_size_are_followed_by_others():
    data = bytes(8 << 20) + b"more"
    assert compression.expand(_legacy(data), "lz4-legacy", 9 << 20) == data
    whole = bytes(8 << 20)
    assert compression.expand(_legacy(whole), "lz4-legacy", 9 << 20) == whole
    assert compression.expand(_legacy(whole) + b"\xff\xff\xff\xff", "lz4-legacy", 9 << 20) == whole


def test_zlib_gives_a_long_run_in_pieces(monkeypatch):
    monkeypatch.setattr(compression, "_isal", lambda: None)
    pieces = list(compression.decompress("gzip", imagelab.stream(gzip.compress(bytes(5 << 20))), Budget(Limits())))
    assert max(map(len, pieces)) <= compression.OUT
    assert sum(map(len, pieces)) == 5 << 20


@imagelab.needs("gzip", "xz", "zstd", "lz4", "bzip2")
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("gzip", "gzip -9"),
        ("xz", "xz --check=crc32"),
        ("lzma", "xz --format=lzma"),
        ("zstd", "zstd -19 --ultra --long=27"),
        ("lz4", "lz4 -9"),
        ("lz4-legacy", "lz4 -l"),
        ("bzip2", "bzip2"),
    ],
)
def test_what_the_real_tools_write_is_read(kind, command):
    packed = imagelab.run(*command.split(), "-c", data=DATA)
    assert compression.identify(packed[:16]) == kind
    assert compression.expand(packed, kind, len(DATA)) == DATA


@given(st.binary(max_size=300), st.sampled_from(sorted(ENCODERS)))
def test_anything_after_a_magic_is_data_or_damage(data, kind):
    magic = ENCODERS[kind](b"x")[:6]
    with contextlib.suppress(DamagedError):
        unpacked(kind, magic + data)


def test_gzip_with_extra_header_fields():
    body = zlib.compressobj(wbits=-15)
    raw = body.compress(b"content") + body.flush()
    packed = b"\x1f\x8b\x08\x1c" + bytes(6) + b"\x02\0ab" + b"name\0comment\0" + raw
    packed += zlib.crc32(b"content").to_bytes(4, "little") + (7).to_bytes(4, "little")
    assert compression.expand(packed, "gzip", 100) == b"content"


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 0x100, 0x200, 0x303])
def test_lzop_files_have_sums_of_several_kinds(flags):
    for data in (DATA, b"", b"short", random.Random(3).randbytes(300_000)):
        assert unpacked("lzo", lzop(data, flags))[0] == data


@pytest.mark.parametrize("bend", [b"\0\4\0\1", b"\xff\xff\xff\xff"])
def test_an_lzop_block_of_more_than_the_kernel_reads_is_damage(bend):
    packed = lzop(DATA)
    start = packed.index(b"name") + 8
    with pytest.raises(DamagedError):
        unpacked("lzo", packed[:start] + bend + packed[start + 4 :])


def test_a_sum_of_lzop_that_is_wrong_is_damage():
    packed = bytearray(lzop(b"short", 1))
    packed[-5] ^= 1
    with pytest.raises(DamagedError, match="wrong sum"):
        unpacked("lzo", bytes(packed))


@imagelab.needs("lzop")
def test_what_lzop_itself_writes_is_read(tmp_path):
    (tmp_path / "data").write_bytes(DATA * 3)
    for level in ("-1", "-9", "-F", "-C"):
        packed = imagelab.run("lzop", level, "-c", "data", cwd=tmp_path)
        assert unpacked("lzo", packed)[0] == DATA * 3


def test_frames_that_are_to_be_skipped_are_skipped():
    skippable = b"\x50\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"ignored"
    packed = skippable + _zstd(DATA) + skippable.replace(b"\x50", b"\x5f", 1) + _zstd(b"more") + skippable
    assert unpacked("zstd", packed)[0] == DATA + b"more"


@imagelab.needs("xz", "gzip", "lz4", "zstd", "bzip2")
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("xz", "xz -c"),
        ("xz", "xz -c --check=none"),
        ("xz", "xz -c --check=crc32 --x86 --lzma2=dict=1MiB"),
        ("xz", "xz -c --block-size=65536"),
        ("lzma", "xz -c --format=lzma"),
        ("gzip", "gzip -1c"),
        ("lz4", "lz4 -c -BD --content-size"),
        ("lz4", "lz4 -c -B4 -BX --no-frame-crc"),
        ("lz4-legacy", "lz4 -c -l"),
        ("zstd", "zstd -c --long=26 --no-check"),
        ("zstd", "zstd -c --adapt"),
        ("bzip2", "bzip2 -1c"),
    ],
)
def test_what_the_tools_write_joined_and_padded_is_read_as_they_read_it(kind, command):
    first, second = DATA, DATA[::-1]
    packed = [imagelab.run(*command.split(), data=one) for one in (first, second)]
    assert unpacked(kind, packed[0] + packed[1] + bytes(512))[0] == first + second
    assert unpacked(kind, packed[0] + bytes(4) + packed[1])[0] == first + second


@imagelab.needs("lz4")
def test_a_legacy_lz4_stream_of_several_blocks_is_read_whole():
    data = random.Random(4).randbytes(1000) * 20_000
    packed = imagelab.run("lz4", "-c", "-l", data=data)
    assert unpacked("lz4-legacy", packed)[0] == data
    whole = data[: 16 << 20]  # ends with a block, so that only the end of the input tells
    assert unpacked("lz4-legacy", imagelab.run("lz4", "-c", "-l", data=whole))[0] == whole
