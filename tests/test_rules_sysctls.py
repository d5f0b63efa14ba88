"""Family Y: settings of the kernel that give something away, have no effect, or that nobody reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import container, file, fires, image, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.sysctls import (
    effective,
    half_a_kernel_setting,
    ineffective_kernel_setting,
    missing_kernel_settings,
    sysctl_package_covered,
    unread_kernel_settings,
    weak_kernel_setting,
    weak_kernel_setting_by_command,
    weak_setting_of_container,
)
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Kernel, Place, Sysctl, System

LINUXKIT = image("linuxkit/sysctl:1", "version-tag")
TREE = "containers/onboot/000-sysctl/lower"
NAME = "/etc/sysctl.d/50-app.conf"


def setting(*pairs, path="etc/sysctl.d/50-app.conf"):
    return Sysctl(place(4), tuple((name, value, i) for i, (name, value) in enumerate(pairs, 1)), path)


def whole(*sysctls, containers=(), kind="image", **facts):
    found = System(place(1), kind, is_linuxkit=True, format="", containers=tuple(containers), sysctls=sysctls)
    return found._replace(**facts)


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
    (finding,) = fires(weak_kernel_setting, whole(setting(("a.b", "1"), (name, value))))
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
    assert outcomes(weak_kernel_setting, whole(setting(*pairs))) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{TREE}/etc/sysctl.d/a", Outcome.FAIL),
        ("etc/sysctl.conf", Outcome.FAIL),
        ("containers/services/web/lower/etc/sysctl.d/a", Outcome.NOT_APPLICABLE),
    ],
)
def test_only_files_that_are_applied_count(path, expected):
    assert outcomes(weak_kernel_setting, whole(setting(("kernel.kptr_restrict", "0"), path=path))) == {expected}


def test_a_file_that_is_not_known_is_undecided():
    assert outcomes(weak_kernel_setting, whole(Sysctl(place(4), None, "etc/sysctl.d/a"))) == {Outcome.UNDECIDED}


def test_forwarding_is_a_matter_for_auditors():
    assert fires(weak_kernel_setting, whole(setting(("net.ipv4.ip_forward", "1"))))[0].profile is Profile.AUDITOR


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


# --- what is in force


def applier(name="sysctl", **facts):
    """A container of an image that applies settings, in the folder of its kind."""
    return container(
        name=name, section="onboot", at=Place(("image", f"containers/onboot/000-{name}/config.json")), **facts
    )


def of_tree(name, *pairs):
    return setting(*pairs, path=f"{TREE}/etc/sysctl.d/{name}")


WEAK, STRICT = ("kernel.kptr_restrict", "0"), ("kernel.kptr_restrict", "2")


@pytest.mark.parametrize(
    ("sysctls", "facts", "value"),
    [
        ([of_tree("50-b", STRICT), of_tree("10-a", WEAK)], {}, "2"),
        ([of_tree("50-b", WEAK), of_tree("10-a", STRICT)], {}, "0"),
        ([setting(WEAK), of_tree("10-a", STRICT)], {}, "2"),
        ([setting(WEAK), of_tree("10-a", STRICT)], {"binds": ["/etc/sysctl.d/50-app.conf:/etc/sysctl.d/50-x"]}, "0"),
        ([setting(WEAK), of_tree("10-a", STRICT)], {"binds": ["/etc/sysctl.d/50-app.conf:/etc/sysctl.d/00-x"]}, "2"),
        ([setting(WEAK), of_tree("60-a", STRICT)], {"binds": ["/etc/sysctl.d:/etc/sysctl.d"]}, "0"),
        ([setting(WEAK), of_tree("60-a", STRICT)], {"binds": ["/etc:/etc"]}, "0"),
        ([setting(WEAK), of_tree("60-a", STRICT)], {"binds": ["/srv:/etc/sysctl.d"]}, None),
        ([of_tree("60-a", STRICT)], {"name": "web"}, None),
    ],
)
def test_files_are_applied_by_name_as_their_container_sees_them(sysctls, facts, value):
    found = effective(whole(*sysctls, containers=[applier(**facts)]))
    assert (found["kernel.kptr_restrict"].value if found else None) == value


def test_without_containers_all_files_count_in_their_order():
    assert effective(whole(setting(WEAK), setting(STRICT)))["kernel.kptr_restrict"].value == "2"


def test_a_weak_value_that_a_later_file_mends_is_none():
    mended = whole(of_tree("10-a", WEAK), of_tree("50-b", STRICT), containers=[applier()])
    assert outcomes(weak_kernel_setting, mended) == {Outcome.PASS}
    undone = whole(of_tree("10-a", STRICT), of_tree("50-b", WEAK), containers=[applier()])
    assert [one.arguments[0] for one in fires(weak_kernel_setting, undone)] == [f"{TREE}/etc/sysctl.d/50-b"]


LINUXKITS = (
    ("net.ipv4.conf.default.rp_filter", "1"),
    ("net.ipv4.conf.all.rp_filter", "1"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.accept_redirects", "0"),
    ("net.ipv4.conf.default.accept_source_route", "0"),
    ("net.ipv6.conf.all.accept_redirects", "0"),
    ("net.ipv6.conf.default.accept_redirects", "0"),
)


def test_the_two_lines_of_linuxkits_own_file_that_have_no_effect_are_found():
    found = fires(half_a_kernel_setting, whole(of_tree("00-linuxkit.conf", *LINUXKITS), containers=[applier()]))
    assert [(one.arguments[1], one.arguments[2], one.evidence[0]) for one in found] == [
        ("net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.default.send_redirects=0", "line 3 of the file"),
        ("net.ipv4.conf.default.accept_redirects=0", "net.ipv4.conf.all.accept_redirects=0", "line 4 of the file"),
    ]
    assert {one.profile for one in found} == {Profile.PEDANTIC}


@pytest.mark.parametrize(
    "more",
    [
        [("net.ipv4.conf.default.send_redirects", "0"), ("net.ipv4.conf.all.accept_redirects", "0")],
        [("net.ipv4.conf.eth0.send_redirects", "0"), ("net.ipv4.conf.eth0.accept_redirects", "0")],
        [("net.ipv4.ip_forward", "1")],
        [("net.ipv4.conf.all.forwarding", "1")],
    ],
)
def test_the_other_half_in_another_file_makes_a_whole(more):
    files = of_tree("00-linuxkit.conf", *LINUXKITS), of_tree("50-more", *more)
    assert outcomes(half_a_kernel_setting, whole(*files, containers=[applier()])) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("net.ipv4.conf.default.send_redirects", "0", Outcome.PASS),
        ("net.ipv4.conf.default.secure_redirects", "0", Outcome.FAIL),
        ("net.ipv4.conf.all.send_redirects", "1", Outcome.PASS),
    ],
)
def test_in_a_spec_the_package_is_known_to_set_the_other_half(name, value, expected):
    bound = container(name="sysctl", image=LINUXKIT, binds=[f"{NAME}:{NAME}"])
    spec = whole(setting((name, value)), containers=[bound], kind="spec")
    assert outcomes(half_a_kernel_setting, spec) == {expected}
    assert outcomes(half_a_kernel_setting, whole(setting((name, value)), containers=[container()], kind="spec")) == {
        Outcome.NOT_APPLICABLE
    }


def missing(*pairs, **options):
    config = {"BPF_SYSCALL": "y", "BPF_JIT": "y", "KEXEC": "n", **options}
    kernel = Kernel(place(1), "6.12.59", "", "x86_64", "bzImage", "", config)
    found = fires(missing_kernel_settings, whole(of_tree("a", *pairs), containers=[applier()], kernels=(kernel,)))
    return set(found[0].arguments[0].split()) if found else set()


def test_settings_that_nobody_makes_are_listed_and_halves_left_to_another_rule():
    found = missing(*LINUXKITS)
    assert {"kernel.kptr_restrict", "fs.protected_fifos", "net.core.bpf_jit_harden"} <= found
    assert not {name for name in found if name.startswith("net.ipv4.conf")}
    assert "kernel.kexec_load_disabled" not in found
    assert missing(*LINUXKITS, KEXEC="y") - found == {"kernel.kexec_load_disabled"}
    assert found - missing(*LINUXKITS, BPF_UNPRIV_DEFAULT_OFF="y") == {"kernel.unprivileged_bpf_disabled"}


@pytest.mark.parametrize(
    ("pairs", "name", "expected"),
    [
        ([("a", "1")], "rp_filter", True),
        ([("net.ipv4.conf.all.rp_filter", "2")], "rp_filter", False),
        ([("net.ipv4.conf.default.rp_filter", "1")], "rp_filter", False),
        ([("a", "1")], "accept_source_route", False),
        ([("net.ipv4.conf.all.accept_source_route", "1")], "accept_source_route", True),
        (
            [("net.ipv4.conf.all.accept_source_route", "1"), ("net.ipv4.conf.default.accept_source_route", "0")],
            "accept_source_route",
            False,
        ),
        ([("a", "1")], "send_redirects", True),
        ([("net.ipv4.conf.all.rp_filter", "nonsense")], "rp_filter", True),
    ],
)
def test_settings_of_interfaces_are_joined_as_the_kernel_joins_them(pairs, name, expected):
    assert (f"net.ipv4.conf.*.{name}" in missing(*pairs)) is expected


def test_what_is_wanted_altogether_is_missed_no_more():
    rows = tables.load("sysctls")["wanted"]
    pairs = [
        (name.replace("*", whose), row["values"].strip("[")[0])
        for name, row in rows.items()
        for whose in ("all", "default")
    ]
    assert missing(*pairs, KEXEC="y") == set()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"net.ipv4.conf.all.route_localnet": "1"}, Outcome.FAIL),
        ({"net/ipv4/conf/all/route_localnet": "1"}, Outcome.FAIL),
        ({"net.ipv4.conf.all.route_localnet": "0"}, Outcome.PASS),
        ({}, Outcome.NOT_APPLICABLE),
    ],
)
def test_a_container_may_weaken_itself(settings, expected):
    made = container(net="new")
    made = made._replace(oci={**made.oci, "linux": {**made.oci["linux"], "sysctl": settings}})
    assert outcomes(weak_setting_of_container, made) == {expected}


# --- who reads


def system(*containers, kind="spec"):
    return System(place(1), kind, is_linuxkit=True, format="YAML", containers=containers, sysctls=(setting(),))


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
