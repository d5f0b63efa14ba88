"""Family B: what is said of which binary, and of which it is not asked."""

import pytest
from rulelab import binary, file, fires, outcomes

from lkscan.rules.binaries import (
    RULES,
    executable_stack,
    missing_fortify,
    missing_relro,
    missing_stack_canary,
    position_dependent_executable,
    writable_executable_segment,
)
from lkscan.rules.engine import Outcome, Profile, Severity

BAD = {
    "executable-stack": {"nx": "no", "evidence": {"nx": "GNU_STACK RWE"}},
    "writable-executable-segment": {"rwx": ("LOAD 0x1000 0x401000 RWE",), "evidence": {"rwx": "LOAD 0x1000 RWE"}},
    "text-relocations": {"textrel": True, "evidence": {"textrel": "TEXTREL"}},
    "missing-relro": {"relro": "none", "evidence": {"relro": "no GNU_RELRO"}},
    "position-dependent-executable": {"kind": "exec", "evidence": {"pie": "EXEC"}},
    "missing-stack-canary": {"canary": "no", "evidence": {"canary": "no instruction tests %fs:0x28"}},
    "missing-fortify": {"fortify": "no", "evidence": {"fortify": "UND printf"}},
}

every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


@every_rule
def test_silent_on_a_hardened_program(rule):
    assert outcomes(rule, binary()) == {Outcome.PASS}


@every_rule
def test_fires_with_the_path_and_the_fact(rule):
    (finding,) = fires(rule, binary("sbin/tool", **BAD[rule.name]))
    assert "'sbin/tool'" in finding.message
    assert finding.evidence == tuple(BAD[rule.name]["evidence"].values())
    assert finding.severity is rule.severity
    assert finding.profile is rule.profile
    assert finding.subject == "sbin/tool"


@every_rule
def test_set_id_counts_for_more(rule):
    (finding,) = fires(rule, binary("bin/su", mode=0o4755, **BAD[rule.name]))
    assert finding.severity is Severity.MEDIUM
    assert "set-id, mode 4755" in finding.evidence


@every_rule
def test_file_capabilities_count_like_set_id(rule):
    holder = file("bin/ping", b"\x7fELF", mode=0o755, xattrs={"security.capability": b"\1"})
    given = binary("bin/ping", **BAD[rule.name])
    subject = given._replace(file=holder)
    (finding,) = fires(rule, subject)
    assert finding.severity is Severity.MEDIUM
    assert finding.evidence[-1] == "holds file capabilities"


@every_rule
@pytest.mark.parametrize("kind", ["object", "debug"])
def test_not_applicable_to_what_is_never_loaded(rule, kind):
    assert outcomes(rule, binary(**{**BAD[rule.name], "kind": kind})) == {Outcome.NOT_APPLICABLE}


@every_rule
@pytest.mark.parametrize(
    "path",
    [
        "boot/kernel",
        "boot/grub/i386-pc/normal.mod",
        "EFI/boot/thing",
        "isolinux/ldlinux.c32",
        "ISOLINUX/LDLINUX.C32",
        "usr/lib/syslinux/modules/bios/menu.c32",
        "usr/share/syslinux/menu.c32",
        "usr/lib/grub/x86_64-efi/kernel.img",
        "chain.c32",
        "vmlinux-6.12.59",
        "lib/modules/6.12.59-linuxkit/vdso/vdso64.so",
        "usr/lib/firmware/modem.mbn",
        "containers/services/app/rootfs/boot/kernel",
        "containers/onboot/000-app/lower/lib/firmware/dsp",
    ],
)
def test_not_applicable_to_what_linux_does_not_run_as_a_program(rule, path):
    assert outcomes(rule, binary(path, **BAD[rule.name])) == {Outcome.NOT_APPLICABLE}


@every_rule
@pytest.mark.parametrize("path", ["usr/bin/boot", "opt/boot/tool", "usr/lib/modules.so", "usr/lib/app/firmware/x"])
def test_a_path_that_only_resembles_one_is_judged(rule, path):
    assert fires(rule, binary(path, **BAD[rule.name]))


def test_a_stack_without_evidence_is_undecided():
    subject = binary(nx="undecided", evidence={"nx": "no GNU_STACK"})
    (finding,) = executable_stack(subject)
    assert finding.outcome is Outcome.UNDECIDED
    assert "no GNU_STACK" in finding.message


def test_a_stack_that_is_not_asked_for_is_not_applicable():
    assert outcomes(executable_stack, binary(nx="na")) == {Outcome.NOT_APPLICABLE}


def test_every_writable_and_executable_segment_is_named():
    (finding,) = fires(writable_executable_segment, binary(rwx=("LOAD 0x0 RWE", "LOAD 0x1000 RWE")))
    assert "'LOAD 0x0 RWE, LOAD 0x1000 RWE'" in finding.message


def test_partial_relro_is_pedantic():
    (finding,) = fires(missing_relro, binary(relro="partial"))
    assert finding.profile is Profile.PEDANTIC
    assert "partial" in finding.message


def test_partial_relro_of_a_set_id_program_is_for_everyone():
    (finding,) = fires(missing_relro, binary(relro="partial", mode=0o2755))
    assert (finding.profile, finding.severity) == (Profile.REGULAR, Severity.MEDIUM)


@pytest.mark.parametrize("relro", ["static", "na"])
def test_relro_does_not_apply_where_nothing_is_bound(relro):
    assert outcomes(missing_relro, binary(relro=relro)) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize("kind", ["pie", "static-pie", "dso"])
def test_position_independent_kinds_pass(kind):
    assert outcomes(position_dependent_executable, binary(kind=kind)) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("path", "mode", "profile"),
    [
        ("usr/bin/containerd", 0o755, Profile.REGULAR),
        ("containers/services/app/rootfs/app", 0o755, Profile.PEDANTIC),
        ("containers/services/app/rootfs/app", 0o4755, Profile.REGULAR),
    ],
)
def test_a_static_program_counts_where_linuxkit_promises_pie(path, mode, profile):
    (finding,) = fires(position_dependent_executable, binary(path, mode=mode, kind="static"))
    assert finding.profile is profile
    assert "static" in finding.message


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("yes", Outcome.PASS),
        ("no", Outcome.FAIL),
        ("na", Outcome.NOT_APPLICABLE),
        ("partial", Outcome.PARTIAL),
        ("undecided", Outcome.UNDECIDED),
    ],
)
def test_what_the_compiler_did_has_five_answers(answer, outcome):
    assert outcomes(missing_stack_canary, binary(canary=answer)) == {outcome}
    assert outcomes(missing_fortify, binary(fortify=answer)) == {outcome}


@every_rule
def test_nothing_is_decided_of_a_damaged_file(rule):
    assert outcomes(rule, binary(kind="damaged")) == {Outcome.UNDECIDED}
