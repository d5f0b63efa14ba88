"""Family B: what is said of which binary, and of which it is not asked."""

import pytest
from rulelab import binary, container, file, fires, outcomes

from lkscan.rules.binaries import (
    RULES,
    executable_headers,
    executable_stack,
    insecure_library_path,
    lost_branch_protection,
    missing_fortify,
    missing_relro,
    missing_stack_canary,
    packed_program,
    position_dependent_executable,
    sanitizer_in_production,
    writable_executable_segment,
)
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.tables import load
from lkscan.scanner.subjects import Directory, Use

BAD = {
    "executable-stack": {"nx": "no", "evidence": {"nx": "GNU_STACK RWE"}},
    "writable-executable-segment": {"rwx": ("LOAD 0x1000 0x401000 RWE",), "evidence": {"rwx": "LOAD 0x1000 RWE"}},
    "text-relocations": {"textrel": True, "evidence": {"textrel": "TEXTREL"}},
    "missing-relro": {"relro": "none", "evidence": {"relro": "no GNU_RELRO"}},
    "position-dependent-executable": {"kind": "exec", "evidence": {"pie": "EXEC"}},
    "missing-stack-canary": {"answers": {"canary": "no"}, "evidence": {"canary": "no instruction tests %fs:0x28"}},
    "missing-fortify": {"answers": {"fortify": "no"}, "evidence": {"fortify": "UND printf"}},
    "missing-stack-probes": {"answers": {"stack_clash": "no"}, "evidence": {"stack_clash": "3 SUB $n,%rsp"}},
    "sanitizer-in-production": {"answers": {"sanitizer": "yes"}, "evidence": {"sanitizer": "symbol __asan_init"}},
    "insecure-library-path": {
        "search": ("/tmp/lib",),
        "directories": (Directory("/tmp/lib", "/tmp/lib", "temporary"),),
        "evidence": {"": "RPATH or RUNPATH [/tmp/lib]: /tmp/lib is temporary"},
    },
    "packed-program": {"answers": {"packed": "yes"}, "evidence": {"packed": "UPX! at byte 236"}},
    "lost-branch-protection": {
        "machine": "arm64",
        "answers": {"bti": "partial"},
        "evidence": {"bti": "90 BTI c or PACIASP in 100 functions"},
    },
    "executable-headers": {"answers": {"separate_code": "no"}, "evidence": {"separate_code": "LOAD 0x000000 R E"}},
}
UNWEIGHED = {"executable-headers"}
"""What only auditors want to see counts the same wherever it is."""

every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


@every_rule
def test_silent_on_a_hardened_program(rule):
    answers = {"stack_clash": "yes", "sanitizer": "no", "packed": "no", "bti": "yes", "separate_code": "yes"}
    fine = (Directory("/usr/lib/app", "/usr/lib/app", "fine"),)
    good = binary(machine="arm64", answers=answers, search=("/usr/lib/app",), directories=fine)
    assert outcomes(rule, good) == {Outcome.PASS}


@every_rule
def test_fires_with_the_path_and_the_fact(rule):
    (finding,) = fires(rule, binary("sbin/tool", **BAD[rule.name]))
    assert "'sbin/tool'" in finding.message
    assert finding.evidence == tuple(BAD[rule.name]["evidence"].values())
    assert finding.severity is rule.severity
    assert finding.profile is rule.profile
    assert finding.subject == "sbin/tool"


weighed = pytest.mark.parametrize("rule", [one for one in RULES if one.name not in UNWEIGHED], ids=lambda one: one.name)


@weighed
def test_set_id_counts_for_more(rule):
    (finding,) = fires(rule, binary("bin/su", mode=0o4755, **BAD[rule.name]))
    assert finding.severity is Severity.MEDIUM
    assert "set-id, mode 4755" in finding.evidence


@weighed
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
    assert outcomes(missing_stack_canary, binary(answers={"canary": answer})) == {outcome}
    assert outcomes(missing_fortify, binary(answers={"fortify": answer})) == {outcome}


@every_rule
def test_nothing_is_decided_of_a_damaged_file(rule):
    assert outcomes(rule, binary(kind="damaged")) == {Outcome.UNDECIDED}


SHARED = {"net": "host", "capabilities": ["CAP_SYS_ADMIN", "CAP_SYS_MODULE"]}


def used(role, *, listens=False, path="containers/services/app/lower/bin/app", **facts):
    bad = BAD["missing-stack-canary"]
    return binary(path, **bad, uses=(Use(path, container(**facts), role, listens),))


def test_what_a_container_with_power_over_the_host_listens_with_counts_for_more():
    (finding,) = fires(missing_stack_canary, used("process", listens=True, **SHARED))
    assert finding.severity is Severity.MEDIUM
    told = "as uid 0 with CAP_SYS_ADMIN, CAP_SYS_MODULE on the host's network, and can accept connections"
    assert finding.evidence[-1] == f"services/app starts it, {told}"


@pytest.mark.parametrize(
    ("role", "listens", "facts"),
    [
        ("process", False, SHARED),
        ("process", True, {**SHARED, "net": "new"}),
        ("process", True, {**SHARED, "uid": 1}),
        ("library", True, {"net": "host"}),
        ("unknown", True, SHARED),
    ],
)
def test_a_container_that_could_do_less_changes_nothing(role, listens, facts):
    (finding,) = fires(missing_stack_canary, used(role, listens=listens, **facts))
    assert (finding.severity, finding.profile) == (Severity.LOW, Profile.REGULAR)


def test_what_nobody_starts_is_a_note_for_who_wants_more():
    (finding,) = fires(missing_stack_canary, used("idle"))
    assert (finding.severity, finding.profile) == (Severity.NOTE, Profile.PEDANTIC)
    assert finding.evidence[-1] == "services/app starts another program, which can start none"
    other = file("usr/bin/copy", b"")
    (finding,) = fires(missing_stack_canary, used("idle")._replace(copies=(other,)))
    assert finding.severity is Severity.LOW


def test_a_program_in_many_places_is_one_finding_with_all_of_them():
    copies = tuple(file(f"containers/services/{name}/lower/bin/app", b"") for name in "abc")
    (finding,) = fires(missing_stack_canary, binary(copies=copies, **BAD["missing-stack-canary"]))
    assert [one.place.artifacts[-1] for one in finding.locations] == ["bin/app", *(one.path for one in copies)]
    assert finding.members == ("bin/app", *(one.path for one in copies))
    part = finding.retold({copies[1].path})
    assert (part.subject, len(part.locations)) == (copies[1].path, 1)


FOLDERS = [
    (Directory("", "", "relative"), "'.', below", Severity.MEDIUM, Profile.REGULAR),
    (Directory("lib", "lib", "relative"), "'lib', below", Severity.MEDIUM, Profile.REGULAR),
    (Directory("/opt/a", "/opt", "writable"), "'/opt/a', where others", Severity.MEDIUM, Profile.REGULAR),
    (Directory("/home/me/lib", "/home/me/lib", "foreign"), "built on", Severity.LOW, Profile.PEDANTIC),
    (Directory("/opt/b", "/opt/b", "missing"), "not in the image", Severity.LOW, Profile.PEDANTIC),
]


@pytest.mark.parametrize(("folder", "told", "severity", "profile"), FOLDERS)
def test_a_folder_of_libraries_is_named_with_what_is_wrong_with_it(folder, told, severity, profile):
    (finding,) = fires(insecure_library_path, binary(search=(folder.written,), directories=(folder,)))
    assert told in finding.message
    assert (finding.severity, finding.profile, finding.key) == (severity, profile, folder.written)


def test_the_folder_of_a_program_is_fine_unless_it_grants_privilege():
    beside = {"search": ("$ORIGIN/../lib",), "directories": (Directory("$ORIGIN/../lib", "/usr/lib", "fine"),)}
    assert outcomes(insecure_library_path, binary(**beside)) == {Outcome.PASS}
    (finding,) = fires(insecure_library_path, binary(mode=0o4755, **beside))
    assert "grants privilege" in finding.message


def test_a_folder_that_is_not_known_is_undecided():
    assert outcomes(insecure_library_path, binary()) == {Outcome.NOT_APPLICABLE}
    unknown = Directory("/x/$LIB", "/x/$LIB", "unknown")
    assert outcomes(insecure_library_path, binary(search=("/x/$LIB",), directories=(unknown,))) == {Outcome.UNDECIDED}
    assert outcomes(insecure_library_path, binary(search=("/x",))) == {Outcome.UNDECIDED}


def test_a_lost_mark_of_x86_is_for_auditors():
    lost = binary(machine="x86_64", answers={"ibt": "partial"})
    (finding,) = fires(lost_branch_protection, lost)
    assert finding.profile is Profile.AUDITOR
    assert outcomes(lost_branch_protection, binary(answers={"ibt": "no"})) == {Outcome.NOT_APPLICABLE}


def test_an_answer_that_is_open_stays_open():
    open_ones = dict.fromkeys(("sanitizer", "packed", "separate_code"), "undecided")
    for rule in (sanitizer_in_production, packed_program, executable_headers):
        assert outcomes(rule, binary(answers=open_ones)) == {Outcome.UNDECIDED}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "no capability"),
        (("CAP_B",), "CAP_B"),
        (("CAP_D", "CAP_C", "CAP_B", "CAP_A"), "CAP_A, CAP_B, CAP_C, CAP_D"),
        (("CAP_E", "CAP_D", "CAP_C", "CAP_B", "CAP_A"), "CAP_A, CAP_B, CAP_C, CAP_D and 1 more"),
        (("CAP_F", "CAP_E", "CAP_D", "CAP_C", "CAP_B", "CAP_A"), "CAP_A, CAP_B, CAP_C, CAP_D and 2 more"),
        (tuple(load("capabilities")["first"]), "all capabilities"),
    ],
)
def test_four_capabilities_of_what_starts_a_program_are_named(names, told):
    (finding,) = fires(missing_stack_canary, used("process", net="new", capabilities=names))
    assert finding.evidence[-1] == f"services/app starts it, as uid 0 with {told} in a network of its own"
