"""Kernel configurations: whole ones, fragments and what editors leave behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import kconfig
from lkscan.scanner.source import LimitError

HEADING = b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.59 Kernel Configuration\n#\n"

LINES = [
    (b"CONFIG_A=y", {"A": "y"}),
    (b"CONFIG_A=m", {"A": "m"}),
    (b"CONFIG_A=n", {"A": "n"}),
    (b"# CONFIG_A is not set", {"A": "n"}),
    (b"CONFIG_A=0x1000000", {"A": "0x1000000"}),
    (b"CONFIG_A=-1", {"A": "-1"}),
    (b'CONFIG_A="yama,apparmor"', {"A": "yama,apparmor"}),
    (b'CONFIG_A=""', {"A": ""}),
    (b'CONFIG_A="say \\"hi\\" \\\\"', {"A": 'say "hi" \\'}),
    (b'CONFIG_A="a=b # c"', {"A": "a=b # c"}),
    (b'CONFIG_A="open', {"A": "open"}),
    (b'CONFIG_A="', {"A": ""}),
    (b"CONFIG_A=", {"A": ""}),
    (b"CONFIG_A=y\r", {"A": "y"}),
    (b"CONFIG_A=y \t", {"A": "y"}),
    (b"# CONFIG_A is not set \r", {"A": "n"}),
    (b'CONFIG_A="\xff"', {"A": "\udcff"}),
    (b"CONFIG_64BIT=y", {"64BIT": "y"}),
    (b"CONFIG_A=y\nCONFIG_A=m", {"A": "m"}),
    (b"CONFIG_A=y\n# CONFIG_A is not set", {"A": "n"}),
    (b"# CONFIG_A is not set\nCONFIG_A=y", {"A": "y"}),
    (b"CONFIG_B=y\r\nCONFIG_A=m\r\n", {"B": "y", "A": "m"}),
]


@pytest.mark.parametrize(("text", "options"), LINES)
def test_options(text, options):
    assert kconfig.parse(text) == options
    assert kconfig.parse(HEADING + text + b"\n") == options


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b" CONFIG_A=y",
        b"CONFIG A=y",
        b"#CONFIG_A=y",
        b"# CONFIG_A is unset",
        b"CONFIG_A",
        b"CONFIG_-=y",
        b"\0\xff",
        b"A=y",
    ],
)
def test_lines_that_set_nothing_are_passed_over(junk):
    assert kconfig.parse(junk + b"\nCONFIG_Z=y") == {"Z": "y"}


@pytest.mark.parametrize(
    ("text", "release"),
    [
        (HEADING, "6.12.59"),
        (b"# Linux/arm64 5.10.104-linuxkit Kernel Configuration\r\n", "5.10.104-linuxkit"),
        (b"# Linux kernel version: 2.6.39\n", "2.6.39"),
        (b"CONFIG_A=y\n", ""),
        (b"", ""),
    ],
)
def test_the_heading_tells_the_release(text, release):
    assert kconfig.version(text) == release


def test_absurd_sizes_are_refused():
    with pytest.raises(LimitError):
        kconfig.parse(bytes(kconfig.LIMIT + 1))


@given(st.binary())
def test_any_bytes_are_read(text):
    assert isinstance(kconfig.parse(text), dict)
    assert isinstance(kconfig.version(text), str)


NAMES = st.from_regex(r"[A-Z0-9_]{1,12}", fullmatch=True)


@given(st.dictionaries(NAMES, st.sampled_from(["y", "m", "n", "17"])))
def test_what_kconfig_writes_comes_back(options):
    text = "".join(f"CONFIG_{k}={v}\n" if v != "n" else f"# CONFIG_{k} is not set\n" for k, v in options.items())
    assert kconfig.parse(text.encode()) == options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"X86_64": "y"}, "x86_64"),
        ({"X86_32": "y"}, "x86"),
        ({"ARM64": "y"}, "arm64"),
        ({"ARM": "y"}, "arm"),
        ({"RISCV": "y", "64BIT": "y"}, "riscv64"),
        ({"RISCV": "y"}, "riscv32"),
        ({"S390": "y"}, "s390x"),
        ({}, ""),
    ],
)
def test_the_architecture_is_an_option(options, expected):
    assert kconfig.architecture(options) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (HEADING, True),
        (HEADING + b"CONFIG_A=y\n# CONFIG_B is not set\n", True),
        (b"CONFIG_A=y", True),
        (b"# CONFIG_A is not set\r\n\r\nCONFIG_B=m\r\n", True),
        (b"CONFIG_A=y\nCONFI", True),
        (b"# about CONFIG_A\n", False),
        (b"kernel:\n  image: CONFIG_A=y\n", False),
        (b"kernel:\n  image: x\n# CONFIG_A is not set\n", False),
        (b"CONFIG_A=y\nservices:\n", False),
        (b"", False),
        (b"\n", False),
    ],
)
def test_a_configuration_is_told_by_its_lines(head, expected):
    assert kconfig.sniff(head) is expected


@given(st.binary(max_size=300))
def test_any_bytes_are_sniffed(head):
    assert kconfig.sniff(head) in {True, False}
