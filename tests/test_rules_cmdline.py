"""Family C: which arguments of a kernel's command line fire, read as the kernel reads them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import fires

from lkscan.rules import tables
from lkscan.rules.cmdline import mitigations_disabled
from lkscan.rules.engine import Confidence, Outcome, Severity
from lkscan.scanner.subjects import KernelCommandLine, Place

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
        "iommu=off irrelevant=nokaslr",
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


@pytest.mark.parametrize("name", tables.load("cmdline"))
def test_the_table_is_well_formed(name):
    row = tables.load("cmdline")[name]
    assert set(row) <= {"values", "severity", "confidence", "reason"}
    assert "-" not in name
    assert Severity[row["severity"].upper()] is not Severity.CRITICAL
    assert row["reason"].endswith(".") or row["reason"].endswith(".)")
    re.compile(row.get("values", ""))


@given(st.text())
def test_any_text_is_read(text):
    for finding in mitigations_disabled(line(text)):
        assert finding.message


@given(st.lists(st.from_regex(r"[a-z_.]{1,9}(=[a-z0-9,]{0,9})?", fullmatch=True)))
def test_arguments_are_the_words(words):
    expected = tuple((name, value if equals else None) for name, equals, value in (w.partition("=") for w in words))
    assert line(" ".join(words)).arguments == expected
