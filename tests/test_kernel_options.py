"""The options of the kernel: what a configuration says of them, by version, architecture and what is given at boot."""

import pytest
from hypothesis import given as over
from hypothesis import strategies as st
from rulelab import fires, outcomes

from lkscan.rules import kernel_groups as groups
from lkscan.rules import tables
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.kernel_options import Given, answer, answers, given, is_whole, spellings
from lkscan.scanner import kconfig
from lkscan.scanner.subjects import Kernel, KernelCommandLine, Place, Sysctl, System

PLACE = Place(("image.iso", "boot/kernel"))
WHOLE = {"LOCALVERSION": "", "PANIC_TIMEOUT": "0", "X86_64": "y", "64BIT": "y"}
TABLE = tables.load("kernel_options")
KEYS = {"group", "want", "archs", "since", "until", "backports", "names", "needs", "enough", "argument", "setting"}
BPF = "kernel.unprivileged_bpf_disabled"
KEYS |= {"severity", "profile", "sources", "why"}


def kernel(version="6.12.59-linuxkit", *, whole=True, text=b"", **options):
    config = {**(WHOLE if whole else {}), **options}
    return Kernel(PLACE, version, "", "x86_64", "bzImage", "gzip", config, "IKCONFIG", text)


def system(*kernels, line="", settings=(), path="etc/sysctl.d/00-x.conf"):
    files = (Sysctl(PLACE, settings, path),) if settings else ()
    lines = (KernelCommandLine(PLACE, line),) if line else ()
    return System(PLACE, "image", False, "cpio", kernels=kernels, command_lines=lines, sysctls=files)  # noqa: FBT003


def verdict(key, subject, boot=Given()):  # noqa: B008 - a tuple
    return answer(subject, key, boot).value


def test_the_table_is_well_formed():
    told = {rule.check.__name__ for rule in groups.RULES}
    assert len(told) == len({row["group"] for row in TABLE.values() if "group" in row})
    for key, row in TABLE.items():
        assert set(row) <= KEYS, key
        assert row["why"].endswith("."), key
        assert row.get("severity", "medium") in {"medium", "low"}, key
        assert Profile[row.get("profile", "regular").upper()] in Profile
        assert not ("names" in row and "since" in row), key
        assert key.partition(":")[0] == spellings(key, row)[0]["name"], key
        assert set(row.get("archs", ())) <= {"x86_64", "x86", "arm64", "arm", "riscv64"}, key


def test_every_parent_that_is_an_option_of_the_table_comes_before_it_in_no_circle():
    def depth(key, seen=()):
        assert key not in seen, seen
        needs = [name for some in TABLE.get(key, {}).get("needs", ()) for name in some]
        return 1 + max((depth(name, (*seen, key)) for name in needs if name in TABLE), default=0)

    assert max(depth(key) for key in TABLE) < 6


@pytest.mark.parametrize(
    ("key", "version", "options", "expected"),
    [
        ("INIT_ON_ALLOC_DEFAULT_ON", "6.12.1", {"INIT_ON_ALLOC_DEFAULT_ON": "y"}, "good"),
        ("INIT_ON_ALLOC_DEFAULT_ON", "6.12.1", {"INIT_ON_ALLOC_DEFAULT_ON": "n"}, "bad"),
        ("INIT_ON_ALLOC_DEFAULT_ON", "4.19.1", {}, "absent"),
        ("MITIGATION_RETHUNK", "6.6.71", {"RETHUNK": "y"}, "good"),
        ("MITIGATION_RETHUNK", "6.6.71", {"RETHUNK": "n"}, "bad"),
        ("MITIGATION_RETPOLINE", "5.10.104", {"RETPOLINE": "n"}, "bad"),
        ("MITIGATION_L1TF", "6.6.71", {}, "absent"),
        ("MITIGATION_TSA", "6.6.71", {}, "absent"),
        ("MITIGATION_TSA", "6.6.97", {"MITIGATION_TSA": "n"}, "bad"),
        ("MODULE_SIG_FORCE", "6.12.1", {"MODULE_SIG": "n", "MODULES": "y"}, "absent"),
        ("LSM:landlock", "6.12.1", {"LSM": "yama,apparmor", "SECURITY_LANDLOCK": "n"}, "absent"),
        ("LSM:landlock", "6.12.1", {"LSM": "yama,apparmor", "SECURITY_LANDLOCK": "y"}, "bad"),
        ("LSM:landlock", "6.12.1", {"LSM": "landlock,yama", "SECURITY_LANDLOCK": "y"}, "good"),
        ("SECURITY_SELINUX", "6.12.1", {"SECURITY_SELINUX": "n", "SECURITY_APPARMOR": "y"}, "good"),
        ("SCHED_STACK_END_CHECK", "6.12.1", {"SCHED_STACK_END_CHECK": "n", "VMAP_STACK": "y"}, "good"),
        ("CFI", "6.12.1", {"CC_IS_GCC": "y"}, "absent"),
        ("CFI", "6.12.1", {"CC_IS_CLANG": "y", "CFI_CLANG": "n"}, "bad"),
        ("KGDB", "6.12.1", {"KGDB": "m"}, "bad"),
        ("KGDB", "6.12.1", {}, "good"),
        ("DEVKMEM", "6.12.1", {}, "absent"),
        ("ARM64_BTI", "6.12.1", {}, "absent"),
        ("DEFAULT_MMAP_MIN_ADDR", "6.12.1", {"DEFAULT_MMAP_MIN_ADDR": "4096"}, "bad"),
        ("DEFAULT_MMAP_MIN_ADDR", "6.12.1", {"DEFAULT_MMAP_MIN_ADDR": "65536"}, "good"),
        ("DEFAULT_MMAP_MIN_ADDR", "6.12.1", {"DEFAULT_MMAP_MIN_ADDR": "0x"}, "bad"),
        ("ARCH_MMAP_RND_BITS", "6.12.1", {"ARCH_MMAP_RND_BITS": "28", "ARCH_MMAP_RND_BITS_MAX": "32"}, "bad"),
        ("ARCH_MMAP_RND_BITS", "6.12.1", {"ARCH_MMAP_RND_BITS": "32", "ARCH_MMAP_RND_BITS_MAX": "32"}, "good"),
        ("PTDUMP_DEBUGFS", "6.12.1", {"PTDUMP_DEBUGFS": "n", "X86_PTDUMP": "y"}, "bad"),
    ],
)
def test_an_option_by_version_parents_and_stand_ins(key, version, options, expected):
    assert verdict(key, kernel(version, **options)) == expected


@pytest.mark.parametrize(
    ("key", "options", "boot", "expected"),
    [
        ("INIT_ON_ALLOC_DEFAULT_ON", {"INIT_ON_ALLOC_DEFAULT_ON": "n"}, Given({"init_on_alloc": "1"}), "good"),
        ("INIT_ON_ALLOC_DEFAULT_ON", {"INIT_ON_ALLOC_DEFAULT_ON": "n"}, Given({"init_on_alloc": "0"}), "bad"),
        ("INIT_ON_ALLOC_DEFAULT_ON", {"INIT_ON_ALLOC_DEFAULT_ON": "n"}, Given({"init_on_alloc": None}), "bad"),
        ("SLAB_MERGE_DEFAULT", {"SLAB_MERGE_DEFAULT": "y"}, Given({"slab_nomerge": None}), "good"),
        ("LDISC_AUTOLOAD", {"LDISC_AUTOLOAD": "y"}, Given({}, {"dev.tty.ldisc_autoload": "0"}), "good"),
        ("LDISC_AUTOLOAD", {"LDISC_AUTOLOAD": "y"}, Given({}, {"dev.tty.ldisc_autoload": "1"}), "bad"),
        ("DEFAULT_MMAP_MIN_ADDR", {"DEFAULT_MMAP_MIN_ADDR": "0"}, Given({}, {"vm.mmap_min_addr": "65536"}), "good"),
        ("DEFAULT_MMAP_MIN_ADDR", {"DEFAULT_MMAP_MIN_ADDR": "0"}, Given({}, {"vm.mmap_min_addr": "65535"}), "bad"),
    ],
)
def test_what_is_given_at_boot_stands_for_an_option(key, options, boot, expected):
    assert verdict(key, kernel(**options), boot) == expected


def test_of_several_values_given_the_last_counts():
    lines = [KernelCommandLine(PLACE, "init_on_alloc=1 init-on-alloc=0")]
    assert given(lines, [("a.b", "1"), ("a.b", "2")]) == Given({"init_on_alloc": "0"}, {"a.b": "2"})


@pytest.mark.parametrize("key", sorted(TABLE))
def test_a_fragment_does_not_decide_on_what_it_does_not_tell(key):
    assert verdict(key, kernel(whole=False, NET="y")) in {"unknown", "absent"}


def test_a_fragment_decides_on_what_it_tells():
    assert verdict("KGDB", kernel(whole=False, KGDB="y")) == "bad"
    assert verdict("KGDB", kernel(whole=False, KGDB="n")) == "good"
    assert verdict("PTDUMP_DEBUGFS", kernel(whole=False, X86_PTDUMP="y")) == "bad"
    assert verdict("INIT_ON_ALLOC_DEFAULT_ON", kernel(whole=False, INIT_ON_ALLOC_DEFAULT_ON="n")) == "bad"


def test_a_configuration_that_breaks_off_in_its_last_menu_is_not_whole():
    text = b'CONFIG_LOCALVERSION=""\n# end of General setup\nCONFIG_PANIC_TIMEOUT=0\n# end of Kernel hacking\n'
    assert is_whole(kernel(text=text))
    assert is_whole(kernel(text=text.replace(b"\n", b"\r\n")))
    assert not is_whole(kernel(text=text[:-5]))
    assert verdict("SCHED_STACK_END_CHECK", kernel(text=text[:-5])) == "unknown"


def test_one_finding_tells_of_all_options_of_a_group_with_a_line_each():
    (found,) = fires(groups.unhardened_kernel_heap, system(kernel(SLAB_FREELIST_HARDENED="n", SLAB_MERGE_DEFAULT="y")))
    assert "'SLAB_MERGE_DEFAULT, SLAB_FREELIST_HARDENED'" in found.message
    assert found.members == ("SLAB_MERGE_DEFAULT", "SLAB_FREELIST_HARDENED")
    assert found.evidence[0].startswith("CONFIG_SLAB_MERGE_DEFAULT=y, wanted n (since 4.13): ")
    assert found.evidence[1].startswith("# CONFIG_SLAB_FREELIST_HARDENED is not set, wanted y (since 4.14): ")
    assert found.evidence[2] == "configuration from IKCONFIG"
    assert (found.severity, found.profile, found.key) == (Severity.MEDIUM, Profile.REGULAR, "")


def test_each_profile_has_a_finding_of_its_own():
    options = {"BPF_UNPRIV_DEFAULT_OFF": "n", "USERFAULTFD": "y", "USER_NS": "y", "BPF_SYSCALL": "y"}
    found = fires(groups.programmable_kernel_interfaces, system(kernel(**options)))
    assert [(one.profile, one.members) for one in found] == [
        (Profile.REGULAR, ("BPF_UNPRIV_DEFAULT_OFF",)),
        (Profile.PEDANTIC, ("USERFAULTFD",)),
        (Profile.AUDITOR, ("BPF_SYSCALL", "USER_NS")),
    ]


def test_a_missing_parent_is_told_once_with_what_hangs_on_it():
    found = fires(groups.unverified_kernel_code, system(kernel(MODULES="y", MODULE_SIG="n")))
    regular = next(one for one in found if one.profile is Profile.REGULAR)
    assert regular.members == ("MODULE_SIG",)
    assert "On offer only with it: MODULE_SIG_FORCE, MODULE_SIG_ALL, MODULE_SIG_SHA512." in regular.evidence[0]


@pytest.mark.parametrize(
    ("line", "settings", "path", "fails"),
    [
        ("", (), "", True),
        ("", ((BPF, "1", 1),), "etc/sysctl.d/00-x.conf", False),
        ("", ((BPF, "0", 1),), "etc/sysctl.d/00-x.conf", True),
        ("", ((BPF, "1", 1),), "containers/services/web/rootfs/etc/sysctl.conf", True),
        ("", ((BPF, "1", 1),), "containers/onboot/000-sysctl/lower/etc/sysctl.d/a", False),
    ],
)
def test_settings_count_where_somebody_applies_them(line, settings, path, fails):
    subject = system(kernel(BPF_UNPRIV_DEFAULT_OFF="n"), line=line, settings=settings, path=path)
    assert bool(fires(groups.programmable_kernel_interfaces, subject)) is fails


def test_of_kernels_that_replace_one_another_the_last_counts():
    subject = system(kernel(KGDB="y"), kernel(KGDB="n"))
    assert not fires(groups.kernel_debugging_interfaces, subject)


@pytest.mark.parametrize("rule", groups.RULES, ids=lambda rule: rule.name)
def test_undecided_without_a_configuration_and_by_a_fragment(rule):
    bare = kernel()._replace(config=None, config_source="no IKCONFIG in the kernel")
    assert outcomes(rule, system(bare)) == {Outcome.UNDECIDED}
    assert outcomes(rule, system(kernel(whole=False, NET="y"))) == {Outcome.UNDECIDED}


@over(st.text(max_size=20), st.dictionaries(st.sampled_from(sorted(TABLE)), st.sampled_from(["y", "m", "n", "", "7"])))
def test_any_version_and_any_values_are_judged(version, options):
    for whole in (True, False):
        for one in answers(kernel(version, whole=whole, **options), Given()):
            assert one.fact


@over(st.binary(max_size=200))
def test_any_text_is_a_fragment_that_is_judged(text):
    subject = kernel(whole=False, text=text)._replace(config=kconfig.parse(text))
    assert all(one.value in {"good", "bad", "absent", "unknown"} for one in answers(subject, Given()))


@pytest.mark.parametrize(
    ("key", "mentioned", "whole", "expected"),
    [
        ("MITIGATION_RETHUNK", {"RETHUNK": "n"}, False, "unknown"),
        ("MITIGATION_RETHUNK", {"RETHUNK": "n", "MITIGATION_RETHUNK": "n"}, False, "bad"),
        ("MITIGATION_RETHUNK", {"RETHUNK": "n"}, True, "bad"),
        ("KSTACK_ERASE_METRICS", {"STACKLEAK_METRICS": "y"}, False, "bad"),
        ("KSTACK_ERASE_METRICS", {"STACKLEAK_METRICS": "n"}, False, "good"),
        ("KSTACK_ERASE_METRICS", {"STACKLEAK_METRICS": "n", "KSTACK_ERASE_METRICS": "y"}, False, "bad"),
    ],
)
def test_a_fragment_that_tells_of_one_spelling_of_two_decides_only_on_what_is_on(key, mentioned, whole, expected):
    subject = kernel("", whole=whole, **mentioned)
    assert verdict(key, subject._replace(arch="")) == expected


def test_a_group_of_which_a_kernel_has_no_option_does_not_apply_to_it():
    found = {rule.name: outcomes(rule, system(kernel("2.6.12"))) for rule in groups.RULES}
    lacking = {name for name, some in found.items() if some == {Outcome.NOT_APPLICABLE}}
    assert {"uninitialised-kernel-memory", "unhardened-kernel-heap"} <= lacking
    assert all(found[name] == {Outcome.PASS} for name in found.keys() - lacking)
    assert len(lacking) < len(found)
