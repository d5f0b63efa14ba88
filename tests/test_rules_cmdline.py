"""Family C: which arguments of a kernel's command line fire, read as the kernel reads them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import fires

from lkscan.rules import tables
from lkscan.rules.cmdline import missing_hardening_arguments, mitigations_disabled, unsafe_boot_argument
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.scanner.subjects import Kernel, KernelCommandLine, Place, System

SPEC = Place(("linuxkit.yml",), None, "kernel.cmdline")


def line(text, place=SPEC):
    return KernelCommandLine(place, text)


def said(text):
    """The arguments that fire."""
    return [finding.arguments[0] for finding in fires(mitigations_disabled, line(text))]


@pytest.mark.parametrize(
    "argument",
    [
        "mitigations=off",
        "mitigations=auto;no_user_kernel",
        "mitigations=auto,nosmt,no_guest_host",
        "mitigations=;no_cross_thread",
        "mitigations=off;no_user_user",
        "nopti",
        "pti=off",
        "kpti=0",
        "kpti=off",
        "nospectre_v1",
        "nospectre_v2",
        "spectre_v2=off",
        "spectre_v2_user=off",
        "spec_store_bypass_disable=off",
        "ssbd=force-off",
        "l1tf=off",
        "mds=off",
        "tsx_async_abort=off",
        "mmio_stale_data=off",
        "retbleed=off",
        "srbds=off",
        "gather_data_sampling=off",
        "spec_rstack_overflow=off",
        "reg_file_data_sampling=off",
        "indirect_target_selection=off",
        "tsa=off",
        "vmscape=off",
        "spectre_bhi=off",
        "nosmep",
        "nosmap",
        "clearcpuid=avx512f,smap",
        "nokaslr",
        "norandmaps",
        "no_hash_pointers",
        "randomize_kstack_offset=off",
        "randomize_kstack_offset=N",
        "rodata=off",
        "hardened_usercopy=off",
        "init_on_alloc=0",
        "init_on_free=no",
        "slab_merge",
        "iomem=relaxed",
        "arm64.nobti",
        "arm64.nopauth",
        "dis_ucode_ldr",
        "microcode=dis_ucode_ldr",
        "init-on-alloc=0",
        "selinux=0",
        "apparmor=0",
        "audit=0",
        "ima_appraise=log",
        "iommu=off",
        "iommu=nofullflush,off",
        "intel_iommu=off",
        "iommu.passthrough=1",
        "kvm-intel.vmentry_l1d_flush=never",
        "vsyscall=emulate",
        "cgroup_disable=cpuset,memory",
    ],
)
def test_fires_on_what_takes_a_defence_away(argument):
    assert said(f"console=ttyS0 {argument} quiet") == [argument]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "console=tty0 console=ttyS0 console=ttyAMA0 page_poison=1",
        "mitigations=auto",
        "mitigations=auto,nosmt",
        "mitigations",
        "mitigations=",
        "pti=on kpti=1 spectre_v2=on retbleed=auto mds=full,nosmt l1tf=full,force ssbd=force-on",
        "init_on_alloc=1 init_on_free=on randomize_kstack_offset=Y hardened_usercopy=on",
        "rodata=full slab_nomerge nox2apic nosmt nokaslr=1 clearcpuid=avx512f",
        "iommu=soft irrelevant=nokaslr",
        "console=ttyS0 -- nokaslr mitigations=off",
        "mitigations=off mitigations=auto",
        'dyndbg="file drivers/x.c +p ; nokaslr mitigations=off"',
        "464vn90e7rbj08xbwdjejmdf4it17c5zfzjyfhthbh19eij201hjgit021bmpdb9ctrc87x2ymc8e7icu4ffi15x1hah9iyaiz38",
        "console=ttyS0 ${KERNEL_ARGUMENTS} mitigations=${MITIGATIONS}",
    ],
)
def test_silent_on_all_else(text):
    assert list(mitigations_disabled(line(text))) == []


def test_the_last_of_two_counts():
    assert said("mitigations=auto init_on_alloc=1 mitigations=off init-on-alloc=0") == [
        "init-on-alloc=0",
        "mitigations=off",
    ]


def test_quotes_hold_an_argument_together_and_are_no_part_of_it():
    assert said('"mitigations=off" pti="off"') == ["mitigations=off", "pti=off"]
    assert line('a="b c" "d=e f" g').arguments == (("a", "b c"), ("d", "e f"), ("g", None))


def test_a_template_is_undecided():
    (finding,) = mitigations_disabled(line("console=ttyS0 {{ if .Debug }} nokaslr {{ end }}"))
    assert finding.outcome is Outcome.UNDECIDED
    assert "'nokaslr'" in finding.message


def test_severity_is_what_is_lost():
    found = {f.key: f.severity for f in fires(mitigations_disabled, line("mitigations=off nokaslr slab_merge"))}
    assert found == {"mitigations": Severity.HIGH, "nokaslr": Severity.MEDIUM, "slab_merge": Severity.LOW}


def test_less_sure_where_some_kernels_ignore_it():
    (finding,) = fires(mitigations_disabled, line("nosmap"))
    assert finding.confidence is Confidence.MEDIUM


def test_a_finding_tells_what_is_lost_and_where():
    place = Place(("image.iso", "isolinux/isolinux.cfg"))
    (finding,) = fires(mitigations_disabled, line("nopti", place))
    assert (finding.subject, finding.place) == ("isolinux/isolinux.cfg", place)
    assert finding.locations[0].note == tables.load("cmdline")["nopti"]["reason"]
    assert fires(mitigations_disabled, line("nopti"))[0].subject == "kernel.cmdline"


@pytest.mark.parametrize(
    ("table", "name"), [(table, name) for table in ("cmdline", "boot_arguments") for name in tables.load(table)]
)
def test_the_table_is_well_formed(table, name):
    row = tables.load(table)[name]
    assert set(row) <= {"values", "bare", "severity", "confidence", "profile", "reason"}
    assert "-" not in name
    assert Severity[row["severity"].upper()] is not Severity.CRITICAL
    assert row["reason"].endswith(".") or row["reason"].endswith(".)")
    re.compile(row.get("values", ""))


@pytest.mark.parametrize(
    ("argument", "severity"),
    [
        ("init=/bin/sh", Severity.HIGH),
        ("rdinit=/bin/busybox", Severity.HIGH),
        ("rdinit=sh", Severity.HIGH),
        ("systemd.debug-shell", Severity.HIGH),
        ("systemd.debug_shell=1", Severity.HIGH),
        ("rd.break", Severity.MEDIUM),
        ("kgdboc=ttyS0,115200", Severity.MEDIUM),
        ("kgdbwait", Severity.MEDIUM),
        ("nfsroot=10.0.0.1:/srv", Severity.MEDIUM),
        ("root=/dev/nfs", Severity.MEDIUM),
        ("root=live:http://example.org/root.img", Severity.MEDIUM),
        ("sysrq_always_enabled", Severity.LOW),
        ("linuxkit.runc_debug=1", Severity.LOW),
        ("linuxkit.runc_console=1", Severity.LOW),
        ("linuxkit.unified_cgroup_hierarchy=0", Severity.LOW),
    ],
)
def test_what_lets_somebody_in_fires(argument, severity):
    (finding,) = fires(unsafe_boot_argument, line(f"console=ttyS0 {argument} quiet"))
    assert (finding.arguments, finding.severity) == ((argument,), severity)


@pytest.mark.parametrize(
    "text",
    [
        "init=/init rdinit=/init root=/dev/sda1 rw single S 1",
        "init=/bin/sh init=/sbin/init",
        "systemd.debug_shell=0 linuxkit.runc_debug=0 linuxkit.unified_cgroup_hierarchy=1",
        "rootfstype=ext4 nfs root=LABEL=nfs:x console=ttyS0 -- rdinit=/bin/sh",
        "init=/lib/systemd/systemd root=/dev/nbd0 kgdboc=",
    ],
)
def test_ordinary_ways_to_boot_are_fine(text):
    assert list(unsafe_boot_argument(line(text))) == []


def test_version_1_of_control_groups_is_for_the_pedantic():
    (finding,) = fires(unsafe_boot_argument, line("linuxkit.unified_cgroup_hierarchy=0"))
    assert finding.profile is Profile.PEDANTIC


def booted(*texts, **kernel):
    """A system that boots with these command lines, its kernel with a configuration where there is one."""
    kernels = (Kernel(SPEC, "6.12.59", "", "x86_64", "bzImage", "gzip", kernel, "IKCONFIG"),) if kernel else ()
    return System(SPEC, "image", is_linuxkit=True, format="", kernels=kernels, command_lines=tuple(map(line, texts)))


def missing(system):
    return [
        argument
        for finding in fires(missing_hardening_arguments, system)
        for argument in finding.message.split("'")[1].split()
    ]


def test_a_kernel_that_is_not_known_lacks_what_linuxkits_lack():
    assert missing(booted("console=ttyS0")) == ["slab_nomerge", "init_on_alloc=1", "init_on_free=1"]
    assert missing(booted("slab-nomerge init_on_alloc=on init_on_free=0")) == ["init_on_free=1"]
    assert missing(booted("slab_nomerge init_on_alloc=1 init_on_free=y")) == []


DEFAULTS = {"INIT_ON_ALLOC_DEFAULT_ON": "y", "INIT_ON_FREE_DEFAULT_ON": "y", "PROC_MEM_NO_FORCE": "y"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (DEFAULTS, []),
        ({**DEFAULTS, "SLAB_MERGE_DEFAULT": "y"}, []),
        ({**DEFAULTS, "INIT_ON_FREE_DEFAULT_ON": "n"}, []),
        ({**DEFAULTS, "SHUFFLE_PAGE_ALLOCATOR": "y"}, ["page_alloc.shuffle=1"]),
        ({**DEFAULTS, "PROC_MEM_NO_FORCE": "n"}, []),
        ({**DEFAULTS, "IA32_EMULATION": "y"}, ["ia32_emulation=0"]),
        ({**DEFAULTS, "SECURITY_LOCKDOWN_LSM": "y"}, ["lockdown=integrity"]),
        ({**DEFAULTS, "X86_VSYSCALL_EMULATION": "y", "LEGACY_VSYSCALL_XONLY": "y"}, []),
        ({**DEFAULTS, "X86_VSYSCALL_EMULATION": "y", "LEGACY_VSYSCALL_NONE": "y"}, []),
    ],
)
def test_a_configuration_tells_what_is_worth_adding(options, expected):
    assert missing(booted("quiet", **options)) == expected


def test_what_an_older_kernel_does_not_know_is_not_asked_for():
    system = booted("quiet", **DEFAULTS | {"PROC_MEM_NO_FORCE": "n"})
    old = system.kernels[0]._replace(version="6.6.71-linuxkit")
    assert missing(system._replace(kernels=(old,))) == []


def test_what_a_template_fills_in_is_undecided_for_all():
    (finding,) = missing_hardening_arguments(booted("{{ .Arguments }}"))
    assert finding.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("argument", tables.load("hardening_arguments"))
def test_the_arguments_to_add_are_what_is_looked_for(argument):
    row = tables.load("hardening_arguments")[argument]
    assert set(row) <= {"name", "values", "since", "archs", "needs", "default", "told", "reason"}
    name, equals, value = argument.partition("=")
    assert name == row["name"]
    assert bool(equals) is ("values" in row)
    assert re.fullmatch(row.get("values", ""), value)


@given(st.text())
def test_any_text_is_read(text):
    for rule in (mitigations_disabled, unsafe_boot_argument):
        for finding in rule(line(text)):
            assert finding.message


@given(st.lists(st.from_regex(r"[a-z_.]{1,9}(=[a-z0-9,]{0,9})?", fullmatch=True)))
def test_arguments_are_the_words(words):
    expected = tuple((name, value if equals else None) for name, equals, value in (w.partition("=") for w in words))
    assert line(" ".join(words)).arguments == expected
