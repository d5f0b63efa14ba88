"""Family Y: settings of the kernel that give something away, have no effect, or that nobody reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import container, file, fires, image, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.sysctls import (
    ineffective_kernel_setting,
    sysctl_package_covered,
    unread_kernel_settings,
    weak_kernel_setting,
    weak_kernel_setting_by_command,
)
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Sysctl, System

LINUXKIT = image("linuxkit/sysctl:1", "version-tag")
TREE = "containers/onboot/000-sysctl/lower"


def setting(*pairs, path="etc/sysctl.d/50-app.conf"):
    return Sysctl(place(4), tuple((name, value, i) for i, (name, value) in enumerate(pairs, 1)), path)


# --- weak values


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        ("kernel.randomize_va_space", "0", Severity.MEDIUM),
        ("kernel.unprivileged_bpf_disabled", "0", Severity.MEDIUM),
        ("kernel.kptr_restrict", "0", Severity.LOW),
        ("kernel.core_pattern", "|/usr/bin/handler %p", Severity.LOW),
        ("vm.mmap_min_addr", "0", Severity.MEDIUM),
        ("vm.mmap_min_addr", "4095", Severity.MEDIUM),
        ("fs.suid_dumpable", "1", Severity.MEDIUM),
        ("net.ipv4.conf.all.accept_source_route", "1", Severity.MEDIUM),
        ("net.ipv6.conf.eth0/1.accept_redirects", "1", Severity.LOW),
        ("net.ipv4.ip_forward", "1", Severity.NOTE),
    ],
)
def test_a_weak_value_fires(name, value, severity):
    (finding,) = fires(weak_kernel_setting, setting(("a.b", "1"), (name, value)))
    assert finding.arguments == ("etc/sysctl.d/50-app.conf", name, value)
    assert finding.severity is severity
    assert finding.evidence[0] == "line 2 of the file"


@pytest.mark.parametrize(
    "pairs",
    [
        [("kernel.kptr_restrict", "2"), ("kernel.randomize_va_space", "2")],
        [("kernel.kptr_restrict", "0"), ("kernel.kptr_restrict", "1")],
        [("kernel.core_pattern", "core.%p"), ("kernel.core_pattern", "|/bin/false")],
        [("vm.mmap_min_addr", "65536"), ("vm.mmap_min_addr", "4096"), ("kernel.sysrq", "16")],
        [("net.ipv6.conf.all.accept_source_route", "-1")],
        [("kernel.unheard_of", "0")],
        [],
    ],
)
def test_other_values_are_fine_and_the_last_counts(pairs):
    assert outcomes(weak_kernel_setting, setting(*pairs)) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{TREE}/etc/sysctl.d/a", Outcome.FAIL),
        ("etc/sysctl.conf", Outcome.FAIL),
        ("containers/services/web/lower/etc/sysctl.d/a", Outcome.NOT_APPLICABLE),
    ],
)
def test_only_files_that_are_applied_count(path, expected):
    assert outcomes(weak_kernel_setting, setting(("kernel.kptr_restrict", "0"), path=path)) == {expected}


def test_a_file_that_is_not_known_is_undecided():
    assert outcomes(weak_kernel_setting, Sysctl(place(4), None, "etc/sysctl.d/a")) == {Outcome.UNDECIDED}


def test_forwarding_is_a_matter_for_auditors():
    assert fires(weak_kernel_setting, setting(("net.ipv4.ip_forward", "1")))[0].profile is Profile.AUDITOR


@pytest.mark.parametrize("name", tables.load("sysctls")["setting"])
def test_the_table_is_well_formed(name):
    row = tables.load("sysctls")["setting"][name]
    assert set(row) <= {"values", "severity", "profile", "reason"}
    assert Severity[row["severity"].upper()] <= Severity.MEDIUM
    assert re.fullmatch(r"[a-z0-9_.*]+", name)
    re.compile(row["values"])


# --- commands


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        (["sysctl", "-w", "kernel.kptr_restrict=0"], "kernel.kptr_restrict", "0"),
        (["/sbin/sysctl", "-e", "-w", "vm.swappiness=1", "kernel.sysrq=1"], "kernel.sysrq", "1"),
        (["sh", "-c", "sysctl -w kernel/randomize_va_space=0; exec app"], "kernel.randomize_va_space", "0"),
        (["sh", "-c", 'sysctl "fs.suid_dumpable = 1"'], "fs.suid_dumpable", "1"),
        (["sh", "-c", "echo 0 > /proc/sys/kernel/yama/ptrace_scope"], "kernel.yama.ptrace_scope", "0"),
        (
            ["sh", "-c", "echo -n '1' >/proc/sys/net/ipv4/conf/eth0/route_localnet"],
            "net.ipv4.conf.eth0.route_localnet",
            "1",
        ),
    ],
)
def test_a_command_that_weakens_the_kernel_fires(command, name, value):
    (finding,) = fires(weak_kernel_setting_by_command, container(command=command))
    assert finding.arguments == ("app", name, value)


@pytest.mark.parametrize(
    ("command", "facts"),
    [
        (["sysctl", "-w", "kernel.kptr_restrict=2"], {}),
        (["sysctl", "-w", "net.ipv4.conf.all.rp_filter=0"], {"net": "new"}),
        (["sysctl", "kernel.kptr_restrict"], {}),
        (["app", "--kernel.kptr_restrict=0"], {}),
        (["sh", "-c", "sysctl -p; app kernel.sysrq=1"], {}),
        (["sh", "-c", "echo 4 > /proc/sys/kernel/printk"], {}),
        (["sh", "-c", "cat < /proc/sys/kernel/kptr_restrict"], {}),
    ],
)
def test_other_commands_are_fine(command, facts):
    assert outcomes(weak_kernel_setting_by_command, container(command=command, **facts)) == {Outcome.PASS}


# --- what has no effect


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("kernel.kptr_restrict 2", "no equals sign"),
        ("kernel.core_pattern = |/bin/x a=b", "more than one"),
        ("-kernel.kptr_restrict = 2", "a dash"),
        ("net.ipv4.conf.*.rp_filter = 1", "an asterisk"),
        ("net/ipv4/conf/eth0.1/rp_filter = 1", "dots and slashes"),
    ],
)
@pytest.mark.parametrize("folder", ["etc/sysctl.d", f"{TREE}/etc/sysctl.d"])
def test_a_line_that_linuxkit_cannot_read_fires(line, flaw, folder):
    content = f"# comment\n\n ; another = one = more\n{line}\nkernel.dmesg_restrict = 1\n".encode()
    (finding,) = fires(ineffective_kernel_setting, file(f"{folder}/a", content))
    assert finding.arguments[1] == "4"
    assert flaw in finding.message


@pytest.mark.parametrize(
    ("content", "profiles"),
    [
        (b"net.ipv4.conf.all.send_redirects = 0", [Profile.PEDANTIC]),
        (b"net.ipv4.conf.default.accept_redirects=0\r\n", [Profile.PEDANTIC]),
        (b"net/ipv4/conf/all/send_redirects=0\nnet.ipv4.conf.default.send_redirects=0", []),
        (b"net.ipv4.conf.default.accept_redirects=0\nnet.ipv4.conf.all.accept_redirects=0", []),
        (b"net.ipv4.conf.all.send_redirects = 1", []),
    ],
)
def test_half_of_a_pair_is_for_the_pedantic(content, profiles):
    found = fires(ineffective_kernel_setting, file("etc/sysctl.d/a", content))
    assert [finding.profile for finding in found] == profiles


@pytest.mark.parametrize(
    ("path", "source", "content", "expected"),
    [
        ("etc/sysctl.d/a", "", b"kernel.kptr_restrict=2\n\t\n", Outcome.PASS),
        ("etc/sysctl.d/a", "", None, Outcome.UNDECIDED),
        ("etc/sysctl.conf", "linuxkit.files", b"kernel.kptr_restrict=2", Outcome.FAIL),
        ("etc/sysctl.conf", "linuxkit.files", None, Outcome.FAIL),
        ("usr/lib/sysctl.d/a.conf", "linuxkit.files", b"", Outcome.FAIL),
        ("usr/lib/sysctl.d/a.conf", "linuxkit/init:1", b"x", Outcome.NOT_APPLICABLE),
        ("containers/services/web/lower/etc/sysctl.d/a", "", b"x", Outcome.NOT_APPLICABLE),
        ("etc/sysctl.d/deeper/a", "", b"x", Outcome.NOT_APPLICABLE),
    ],
)
def test_where_a_setting_is_read(path, source, content, expected):
    assert outcomes(ineffective_kernel_setting, file(path, content, source=source)) == {expected}


@given(st.binary())
def test_any_bytes_are_read(data):
    for finding in ineffective_kernel_setting(file("etc/sysctl.d/a", data)):
        assert finding.message


# --- who reads


def system(*containers, kind="spec"):
    return System(place(1), kind, is_linuxkit=True, format="YAML", containers=containers, sysctls=(setting(),))


NAME = "/etc/sysctl.d/50-app.conf"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"name": "sysctl", "image": LINUXKIT}, Outcome.FAIL),
        ({"binds": ["/etc/other:/etc/sysctl.d"]}, Outcome.FAIL),
        ({"binds": ["/etc:/hostroot/etc"]}, Outcome.FAIL),
        ({"binds": [f"{NAME}:{NAME}:ro"]}, Outcome.PASS),
        ({"binds": ["/etc/sysctl.d:/etc/sysctl.d"]}, Outcome.PASS),
        ({"binds": [f"{NAME}:/etc/sysctl.d/99-app.conf"]}, Outcome.PASS),
        ({"binds": ["/etc/sysctl.d/10-other.conf:/etc/sysctl.d/50-app.conf"]}, Outcome.FAIL),
        ({"binds": ["/etc:/etc"]}, Outcome.PASS),
        ({"command": ["sysctl", "-p"], "binds": ["/etc:/hostroot/etc"]}, Outcome.PASS),
        ({"name": "my-sysctl", "label": "unknown"}, Outcome.UNDECIDED),
        ({"name": "web", "label": "unknown"}, Outcome.FAIL),
    ],
)
def test_a_file_is_read_by_who_has_it_bound(facts, expected):
    assert outcomes(unread_kernel_settings, system(container(**facts))) == {expected}


def test_an_image_is_not_asked_who_reads_its_files():
    assert outcomes(unread_kernel_settings, system(container(), kind="image")) == {Outcome.NOT_APPLICABLE}


SPEC = """
onboot:
  - name: sysctl
    image: linuxkit/sysctl:v1.1.0
files:
  - path: /etc/sysctl.d/50-app.conf
    contents: |
      kernel.kptr_restrict = 0
  - path: etc/sysctl.d/60-more.conf
    source: more.conf
  - path: etc/motd
    contents: welcome
"""


def test_a_spec_tells_of_its_files_of_settings():
    subjects = list(read([("linuxkit.yml", SPEC.encode())], LabelFinder()))
    found = [one for one in subjects if isinstance(one, Sysctl)]
    assert [(one.path, one.settings) for one in found] == [
        ("etc/sysctl.d/50-app.conf", (("kernel.kptr_restrict", "0", 1),)),
        ("etc/sysctl.d/60-more.conf", None),
    ]
    whole = subjects[-1]
    assert isinstance(whole, System)
    assert whole.sysctls == tuple(found)
    assert [finding.key for finding in fires(unread_kernel_settings, whole)] == [one.path for one in found]


@pytest.mark.parametrize("destination", ["/etc/sysctl.d", "/etc/sysctl.d/", "/etc"])
def test_a_mount_over_linuxkits_settings_fires(destination):
    (finding,) = fires(sysctl_package_covered, container(image=LINUXKIT, binds=[f"/srv:{destination}"]))
    assert f"'{destination}'" in finding.message


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (container(image=LINUXKIT, binds=[f"{NAME}:{NAME}"]), Outcome.PASS),
        (container(image=LINUXKIT, binds=["/etc:/etc"], command=["sysctl", "-p"]), Outcome.NOT_APPLICABLE),
        (container(image=image("alpine:3", "version-tag"), binds=["/etc:/etc"]), Outcome.NOT_APPLICABLE),
        (container(label="built", binds=["/etc:/etc"]), Outcome.NOT_APPLICABLE),
    ],
)
def test_single_files_and_other_images_are_fine(made, expected):
    assert outcomes(sysctl_package_covered, made) == {expected}
