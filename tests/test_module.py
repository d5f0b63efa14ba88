"""Kernel modules: plain, compressed, signed, damaged."""

import contextlib

import pytest
from elflab import PACKERS, TRAILER, Lab, a_file, module, relocatable
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import module as reader
from lkscan.scanner.source import DamagedError

PAIRS = ("license=GPL", "name=snd_pcm", "vermagic=6.12.1 SMP mod_unload ", "alias=a", "alias=b", "intree=Y", "junk")


def read(content: bytes, path: str = "lib/modules/6.12.1/kernel/snd-pcm.ko"):
    return reader.read(a_file(content, path), content)


def test_pairs_of_modinfo_are_read_and_repeated_ones_kept():
    found = read(module(*PAIRS))
    assert found.name == "snd_pcm"
    assert not found.signed
    assert found.info == {
        "license": "GPL",
        "name": "snd_pcm",
        "vermagic": "6.12.1 SMP mod_unload ",
        "alias": "a\nb",
        "intree": "Y",
    }
    assert found.place == found.file.place


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd"])
def test_compressed_modules_read_alike(kind):
    found = read(PACKERS[kind](module(*PAIRS, signed=True)))
    assert found.signed
    assert found.info["license"] == "GPL"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/snd-pcm.ko", "snd_pcm"),
        ("snd-pcm.ko.xz", "snd_pcm"),
        ("a.ko.gz", "a"),
        ("a.ko.zst", "a"),
        ("b.mod", "b.mod"),
    ],
)
def test_a_module_without_a_name_has_that_of_its_file(path, name):
    assert read(relocatable({b".text": b"x"}), path).name == name


def test_a_signature_is_known_by_its_trailer():
    assert read(module(signed=True)).signed
    assert not read(module(signed=True)[:-1]).signed


def test_a_signature_longer_than_the_file_is_damage():
    with pytest.raises(DamagedError, match="a signature of 4294967295 bytes"):
        read(module() + b"\xff" * 12 + TRAILER)


@pytest.mark.parametrize("content", [b"", b"text", Lab().build(), PACKERS["gzip"](b"text"), b"\x1f\x8b\x08\0"])
def test_what_is_no_module_is_refused(content):
    with pytest.raises(DamagedError):
        read(content)


def test_a_module_cut_at_any_byte_is_damaged():
    content = module(*PAIRS)
    for end in range(len(content)):
        with pytest.raises(DamagedError):
            read(content[:end])


@given(st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=8))))
def test_mutated_modules_are_read_or_damaged_and_nothing_else(patches):
    content = module(*PAIRS, signed=True)
    for offset, value in patches:
        content = content[:offset] + value + content[offset + len(value) :]
    with contextlib.suppress(DamagedError):
        assert isinstance(read(content).info, dict)
