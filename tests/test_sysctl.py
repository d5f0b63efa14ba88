"""Files of kernel settings: which are read, and what they set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import sysctl
from lkscan.scanner.source import LimitError
from lkscan.scanner.subjects import Place

HERE = Place(("image.iso", "etc/sysctl.conf"))


@pytest.mark.parametrize(
    ("path", "mine"),
    [
        ("etc/sysctl.conf", True),
        ("/etc/sysctl.conf", True),
        ("etc/sysctl.d/00-linuxkit.conf", True),
        ("etc/sysctl.d/without-suffix", True),
        ("usr/lib/sysctl.d/50-default.conf", True),
        ("usr/lib/sysctl.d/README", False),
        ("run/sysctl.d/a.conf", True),
        ("containers/onboot/000-sysctl/rootfs/etc/sysctl.d/00-linuxkit.conf", True),
        ("containers/services/x/lower/etc/sysctl.conf", True),
        ("containers/services/x/etc/sysctl.conf", False),
        ("usr/share/doc/etc/sysctl.conf", False),
        ("etc/sysctl.d/deeper/a.conf", False),
        ("etc/sysctl.d/", False),
    ],
)
def test_files_that_are_read_at_boot(path, mine):
    assert sysctl.is_mine(path) is mine


LINES = [
    ("kernel.kptr_restrict = 2", ("kernel.kptr_restrict", "2")),
    ("kernel.kptr_restrict=2", ("kernel.kptr_restrict", "2")),
    ("\t-net.ipv4.ip_forward =0 ", ("net.ipv4.ip_forward", "0")),
    ("- net.ipv4.ip_forward = 0\r", ("net.ipv4.ip_forward", "0")),
    ("net/ipv4/conf/eth0.1/rp_filter=1", ("net.ipv4.conf.eth0/1.rp_filter", "1")),
    ("net.ipv4.conf.eth0/1.rp_filter=1", ("net.ipv4.conf.eth0/1.rp_filter", "1")),
    ("net.ipv4.conf.*.rp_filter=1", ("net.ipv4.conf.*.rp_filter", "1")),
    ("kernel.printk = 4 4 1 7", ("kernel.printk", "4 4 1 7")),
    ("kernel.core_pattern=|/bin/x a=%e", ("kernel.core_pattern", "|/bin/x a=%e")),
    ("kernel.modprobe =", ("kernel.modprobe", "")),
    ("x = 1 # part of it", ("x", "1 # part of it")),
    ("# kernel.x = 1", None),
    ("; kernel.x = 1", None),
    ("  # kernel.x = 1", None),
    ("-net.ipv4.conf.eth0.rp_filter", None),
    ("kernel.x", None),
    ("= 1", None),
    ("", None),
]


@pytest.mark.parametrize(("line", "setting"), LINES)
def test_lines(line, setting):
    found = sysctl.read(f"first=1\n{line}\nlast=3", HERE)
    middle = [(*setting, 2)] if setting else []
    assert list(found.settings) == [("first", "1", 1), *middle, ("last", "3", 3)]
    assert found.place == HERE


def test_absurd_sizes_are_refused():
    with pytest.raises(LimitError, match="more than"):
        sysctl.read("x" * (sysctl.LIMIT + 1), HERE)


@pytest.mark.parametrize("piece", [" ", "a ", "-", "- ", "a", "\t\r"])
def test_hostile_repetition_takes_linear_time(piece):
    assert sysctl.read(piece * (sysctl.LIMIT // len(piece)), HERE).settings == ()


@given(st.text())
def test_any_text_is_read(text):
    rows = text.split("\n")
    for name, value, number in sysctl.read(text, HERE).settings:
        assert name
        assert value == value.strip()
        assert "=" in rows[number - 1]
