"""Family K: configurations of many versions, and the end of series."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import fires, image, outcomes

from lkscan.rules import kernel as rules
from lkscan.rules import tables
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.kernel import (
    end_of_life_kernel,
    end_of_life_kernel_tag,
    kernel_with_dev_mem,
    kernel_without_hardened_usercopy,
    kernel_without_stack_protector,
    kernel_without_strict_rwx,
    outdated_kernel,
    outdated_kernel_tag,
    vendor_kernel,
)
from lkscan.scanner.subjects import Kernel, Place

CONFIGURED = (
    kernel_without_stack_protector,
    kernel_without_hardened_usercopy,
    kernel_without_strict_rwx,
    kernel_with_dev_mem,
)
WHOLE = {"LOCALVERSION": "", "PANIC_TIMEOUT": "0"}
OFFERED = {
    "HAVE_STACKPROTECTOR": "y",
    "ARCH_HAS_STRICT_KERNEL_RWX": "y",
    "ARCH_HAS_STRICT_MODULE_RWX": "y",
    "MODULES": "y",
}
HARDENED = {
    "STACKPROTECTOR": "y",
    "STACKPROTECTOR_STRONG": "y",
    "HARDENED_USERCOPY": "y",
    "STRICT_KERNEL_RWX": "y",
    "STRICT_MODULE_RWX": "y",
    "DEVMEM": "n",
}


@pytest.fixture(autouse=True)
def _the_date(monkeypatch):
    monkeypatch.delenv("LKSCAN_DATE", raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    rules.set_today("2026-08-01")
    yield
    rules.set_today(None)


def kernel(version="6.12.59-linuxkit", *, source="IKCONFIG", whole=True, **options):
    """A kernel with a configuration that has these options, `whole` or a fragment."""
    config = {**(WHOLE if whole else {}), **options}
    return Kernel(Place(("image.iso", "boot/kernel")), version, "", "x86_64", "bzImage", "gzip", config, source)


def hardened(version="6.12.59-linuxkit", **options):
    return kernel(version, **{**OFFERED, **HARDENED, **options})


@pytest.mark.parametrize("rule", CONFIGURED, ids=lambda rule: rule.name)
def test_silent_on_a_hardened_kernel(rule):
    assert outcomes(rule, hardened()) == {Outcome.PASS}


@pytest.mark.parametrize("rule", CONFIGURED, ids=lambda rule: rule.name)
def test_undecided_without_a_configuration(rule):
    subject = Kernel(Place(("kernel",)), "6.12.59", "", "x86_64", "bzImage", "gzip", None, "no IKCONFIG in it")
    (finding,) = rule(subject)
    assert finding.outcome is Outcome.UNDECIDED
    assert finding.message == "No kernel configuration was found (no IKCONFIG in it)."
    assert finding.subject == "kernel"


def test_undecided_without_a_configuration_or_a_reason():
    (finding,) = kernel_with_dev_mem(Kernel(Place(("kernel",)), "", "", "", "", ""))
    assert finding.message == "No kernel configuration was found."


@pytest.mark.parametrize("rule", CONFIGURED, ids=lambda rule: rule.name)
def test_undecided_by_a_fragment_that_does_not_mention_it(rule):
    assert outcomes(rule, kernel(whole=False, NET="y")) == {Outcome.UNDECIDED}


@pytest.mark.parametrize("rule", CONFIGURED, ids=lambda rule: rule.name)
def test_undecided_where_the_version_is_not_known(rule):
    assert outcomes(rule, kernel("")) == {Outcome.UNDECIDED}


@pytest.mark.parametrize(
    ("rule", "option"),
    [
        (kernel_without_stack_protector, "STACKPROTECTOR"),
        (kernel_without_hardened_usercopy, "HARDENED_USERCOPY"),
        (kernel_without_strict_rwx, "STRICT_KERNEL_RWX"),
        (kernel_without_strict_rwx, "STRICT_MODULE_RWX"),
    ],
)
def test_fires_on_an_option_that_is_not_set(rule, option):
    (finding,) = fires(rule, hardened(**{option: "n"}))
    assert f"'CONFIG_{option}' is off" in finding.message
    assert "'6.12.59-linuxkit'" in finding.message
    assert finding.evidence[:2] == (f"# CONFIG_{option} is not set", "configuration from IKCONFIG")
    assert (finding.severity, finding.key, finding.subject) == (Severity.MEDIUM, option, "boot/kernel")


def test_a_fragment_decides_on_what_it_mentions():
    assert fires(kernel_without_hardened_usercopy, kernel(whole=False, HARDENED_USERCOPY="n"))
    assert outcomes(kernel_without_hardened_usercopy, kernel(whole=False, HARDENED_USERCOPY="y")) == {Outcome.PASS}


def test_a_fragment_that_mentions_one_spelling_of_several_is_undecided():
    subject = kernel("4.14.0", whole=False, CC_STACKPROTECTOR_REGULAR="n")
    assert outcomes(kernel_without_stack_protector, subject) == {Outcome.UNDECIDED}


def test_a_value_that_kconfig_would_not_write_is_quoted():
    (finding,) = fires(kernel_without_hardened_usercopy, kernel(HARDENED_USERCOPY="m"))
    assert finding.evidence[0] == "CONFIG_HARDENED_USERCOPY=m"


def test_a_missing_line_of_a_complete_configuration_means_off():
    (finding,) = fires(kernel_without_hardened_usercopy, kernel())
    assert "complete configuration without a line" in finding.evidence[0]


def test_only_regular_canaries_are_a_low_finding():
    (finding,) = fires(kernel_without_stack_protector, hardened(STACKPROTECTOR_STRONG="n"))
    assert (finding.severity, finding.key) == (Severity.LOW, "STACKPROTECTOR_STRONG")
    assert "few functions" in finding.message


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("3.10.0", {"CC_STACKPROTECTOR": "y"}, {Outcome.NOT_APPLICABLE}),
        ("4.4.302", {"CC_STACKPROTECTOR_STRONG": "y"}, {Outcome.PASS}),
        ("4.4.302", {"CC_STACKPROTECTOR_REGULAR": "y", "CC_STACKPROTECTOR_STRONG": "n"}, {Outcome.FAIL}),
        ("4.16.0", {"CC_STACKPROTECTOR_AUTO": "y", "CC_STACKPROTECTOR_STRONG": "n"}, {Outcome.PASS}),
        ("4.14.0", {"CC_STACKPROTECTOR_STRONG": "n", "CC_STACKPROTECTOR_NONE": "y"}, {Outcome.FAIL}),
        ("4.14.0", {"HAVE_CC_STACKPROTECTOR": "y"}, {Outcome.FAIL}),
        ("6.12.0", {}, {Outcome.NOT_APPLICABLE}),
        ("3.10.0-1160.el7", {"STACKPROTECTOR": "y", "STACKPROTECTOR_STRONG": "y"}, {Outcome.PASS}),
    ],
)
def test_stack_protector_by_version_and_architecture(version, options, expected):
    assert outcomes(kernel_without_stack_protector, kernel(version, **options)) == expected


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("4.4.0", {"DEBUG_RODATA": "y", "DEBUG_SET_MODULE_RONX": "y"}, {Outcome.PASS}),
        ("4.4.0", {"DEBUG_RODATA": "n", "DEBUG_SET_MODULE_RONX": "y"}, {Outcome.FAIL}),
        ("4.4.0", {}, {Outcome.NOT_APPLICABLE}),
        ("6.12.0", {"STRICT_KERNEL_RWX": "y", "MODULES": "n"}, {Outcome.NOT_APPLICABLE}),
        ("6.12.0", {"STRICT_KERNEL_RWX": "y", "MODULES": "y"}, {Outcome.NOT_APPLICABLE}),
        ("6.12.0", {"STRICT_KERNEL_RWX": "y", "STRICT_MODULE_RWX": "y", "DEBUG_RODATA": "n"}, {Outcome.PASS}),
        ("6.12.0", OFFERED, {Outcome.FAIL}),
    ],
)
def test_strict_rwx_by_version_and_architecture(version, options, expected):
    assert outcomes(kernel_without_strict_rwx, kernel(version, **options)) == expected


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("4.7.10", {}, {Outcome.NOT_APPLICABLE}),
        ("5.10.1", {"SLOB": "y"}, {Outcome.NOT_APPLICABLE}),
        ("6.15.1", {"HARDENED_USERCOPY": "y", "HARDENED_USERCOPY_DEFAULT_ON": "y"}, {Outcome.PASS}),
        ("6.15.1", {"HARDENED_USERCOPY": "y", "HARDENED_USERCOPY_DEFAULT_ON": "n"}, {Outcome.PARTIAL}),
    ],
)
def test_hardened_usercopy_by_version(version, options, expected):
    assert outcomes(kernel_without_hardened_usercopy, kernel(version, **options)) == expected


@pytest.mark.parametrize(
    ("options", "severity", "profile"),
    [
        ({"STRICT_DEVMEM": "n"}, Severity.MEDIUM, Profile.REGULAR),
        ({"STRICT_DEVMEM": "y", "IO_STRICT_DEVMEM": "n"}, Severity.LOW, Profile.REGULAR),
        ({"STRICT_DEVMEM": "y", "IO_STRICT_DEVMEM": "y"}, Severity.LOW, Profile.PEDANTIC),
    ],
)
def test_dev_mem_by_what_it_reaches(options, severity, profile):
    (finding,) = fires(kernel_with_dev_mem, kernel(DEVMEM="y", **options))
    assert (finding.severity, finding.profile, finding.key) == (severity, profile, "DEVMEM")
    assert "'CONFIG_DEVMEM' is on" in finding.message


def test_dev_mem_is_undecided_when_a_fragment_does_not_say_how_strict():
    assert outcomes(kernel_with_dev_mem, kernel(whole=False, DEVMEM="y")) == {Outcome.UNDECIDED}


def test_dev_mem_is_no_option_before_4_0():
    assert outcomes(kernel_with_dev_mem, kernel("3.18.140", STRICT_DEVMEM="y")) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize(
    ("version", "date", "expected"),
    [
        ("5.4.302", "2025-12-03", Outcome.PASS),
        ("5.4.302", "2025-12-04", Outcome.FAIL),
        ("5.4.172-linuxkit", "2026-08-01", Outcome.FAIL),
        ("4.14.53-moby", "2026-08-01", Outcome.FAIL),
        ("5.11.4-rt11-linuxkit", "2026-08-01", Outcome.FAIL),
        ("6.6.71-linuxkit-dbg", "2026-08-01", Outcome.PASS),
        ("2.6.32.71", "2026-08-01", Outcome.FAIL),
        ("6.12.59-linuxkit", "2026-08-01", Outcome.PASS),
        ("6.19.0-rc3+", "2026-08-01", Outcome.FAIL),
        ("7.2.0", "2026-08-22", Outcome.PASS),
        ("7.2.0", "2026-08-23", Outcome.UNDECIDED),
        ("9.9.1", "2026-08-01", Outcome.UNDECIDED),
        ("6.1.0-56-amd64", "2030-01-01", Outcome.UNDECIDED),
        ("3.10.0-1160.el7.x86_64", "2026-08-01", Outcome.UNDECIDED),
        ("4.19.325-cip113", "2026-08-01", Outcome.UNDECIDED),
        ("5.4.0-1103-azure", "2026-08-01", Outcome.UNDECIDED),
        ("", "2026-08-01", Outcome.UNDECIDED),
        ("garbage", "2026-08-01", Outcome.UNDECIDED),
    ],
)
def test_a_kernel_is_judged_by_its_series_and_the_date(version, date, expected):
    rules.set_today(date)
    assert outcomes(end_of_life_kernel, kernel(version)) == {expected}


def test_an_ended_series_is_explained():
    (finding,) = fires(end_of_life_kernel, kernel("5.4.172-linuxkit"))
    assert (
        finding.message
        == "Kernel '5.4.172-linuxkit' belongs to Linux '5.4', which kernel.org stopped maintaining on '2025-12-03'."
    )
    assert "compared with 2026-08-01" in finding.evidence
    assert "longterm series maintained on that day: 6.18, 6.12, 6.6, 6.1, 5.15, 5.10" in finding.evidence
    assert finding.confidence is Confidence.HIGH


def test_far_in_the_future_no_series_is_recommended():
    rules.set_today("2040-01-01")
    (finding,) = fires(end_of_life_kernel, kernel("6.18.1"))
    assert finding.evidence[-1].endswith("none that the table knows")


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("linuxkit/kernel:4.14.53", Confidence.HIGH),
        ("linuxkit/kernel:4.9.x", Confidence.HIGH),
        ("docker.io/linuxkit/kernel:5.4.172-9005a97e2b2cba68b4374092167b079a2874f66b", Confidence.HIGH),
        ("linuxkit/kernel:5.4.39-dbg-9005a97e2b2cba68b4374092167b079a2874f66b-amd64", Confidence.HIGH),
        ("linuxkit/kernel-clear-containers:4.9.x", Confidence.HIGH),
        ("example.org/boot/hook-kernel:4.19.34", Confidence.MEDIUM),
        ("example.org/kernel-tracing:4.10_dbg", Confidence.MEDIUM),
    ],
)
def test_a_tag_of_an_ended_series_fires(text, confidence):
    (finding,) = fires(end_of_life_kernel_tag, image(text, "version-tag", role="kernel"))
    assert finding.confidence is confidence
    assert f"'{text}'" in finding.message


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("linuxkit/kernel:6.12.59", "version-tag", Outcome.PASS),
        ("linuxkit/kernel:6.6.71-rt", "version-tag", Outcome.PASS),
        ("linuxkit/kernel:6.12.59-0ef72d722190ecfe0b3b37711f9a871a696e301a", "version-tag", Outcome.PASS),
        ("linuxkit/kernel", "untagged", Outcome.UNDECIDED),
        ("linuxkit/kernel:latest", "latest", Outcome.UNDECIDED),
        ("KERNEL_NAME", "placeholder", Outcome.UNDECIDED),
        ("example.org/kernel:5.10.bpf", "version-tag", Outcome.UNDECIDED),
        ("example.org/kernel:5.4.290-vendor3", "version-tag", Outcome.UNDECIDED),
        ("example.org/kernel:1.2.3", "version-tag", Outcome.UNDECIDED),
        ("example.org/kernel:" + "4" * 40, "content-tag", Outcome.UNDECIDED),
    ],
)
def test_other_kernel_tags_do_not_fire(text, kind, expected):
    assert outcomes(end_of_life_kernel_tag, image(text, kind, role="kernel")) == {expected}


def test_a_tag_of_anything_but_the_kernel_is_not_asked():
    assert outcomes(end_of_life_kernel_tag, image("redis:4.0.5", "version-tag")) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize(
    ("version", "date", "expected"),
    [
        ("6.12.59-linuxkit", "2026-05-23", Outcome.PASS),
        ("6.12.59-linuxkit", "2026-05-24", Outcome.FAIL),
        ("6.12.59-linuxkit", "2025-01-01", Outcome.PASS),
        ("6.6.71-linuxkit-dbg", "2026-08-01", Outcome.FAIL),
        ("6.18.0", "2026-08-01", Outcome.FAIL),
        ("6.12.117-linuxkit", "2026-11-23", Outcome.PASS),
        ("6.12.117-linuxkit", "2027-11-23", Outcome.UNDECIDED),
        ("6.12.0-rc3", "2026-08-01", Outcome.UNDECIDED),
        ("6.12", "2026-08-01", Outcome.UNDECIDED),
        ("6.1.0-56-amd64", "2026-08-01", Outcome.UNDECIDED),
        ("5.4.172-linuxkit", "2026-08-01", Outcome.NOT_APPLICABLE),
        ("9.9.1", "2026-08-01", Outcome.NOT_APPLICABLE),
        ("garbage", "2026-08-01", Outcome.UNDECIDED),
    ],
)
def test_a_release_is_judged_by_its_age(version, date, expected):
    rules.set_today(date)
    assert outcomes(outdated_kernel, kernel(version)) == {expected}


def test_an_old_release_is_told_of_with_what_came_since():
    (finding,) = fires(outdated_kernel, kernel("6.6.71-linuxkit"))
    assert finding.message == "Kernel '6.6.71-linuxkit' came out '568' days ago."
    assert finding.evidence[0].startswith("76 releases of the series came after it, the last known is 6.6.152")
    assert outcomes(outdated_kernel._replace(parameters={"days": 600}), kernel("6.6.71-linuxkit")) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("linuxkit/kernel:6.6.71", "version-tag", Outcome.FAIL),
        ("linuxkit/kernel:6.6.71-9005a97e2b2cba68b4374092167b079a2874f66b", "version-tag", Outcome.FAIL),
        ("linuxkit/kernel:6.12.104", "version-tag", Outcome.PASS),
        ("linuxkit/kernel:6.12.x", "version-tag", Outcome.UNDECIDED),
        ("linuxkit/kernel:latest", "latest", Outcome.UNDECIDED),
        ("linuxkit/kernel:4.14.53", "version-tag", Outcome.NOT_APPLICABLE),
        ("redis:6.6.71", "version-tag", Outcome.NOT_APPLICABLE),
    ],
)
def test_a_tag_is_judged_by_the_age_of_its_release(text, kind, expected):
    role = "services" if text.startswith("redis") else "kernel"
    assert outcomes(outdated_kernel_tag, image(text, kind, role=role)) == {expected}


def test_a_tag_of_somebody_elses_is_less_sure():
    (finding,) = fires(outdated_kernel_tag, image("example.org/kernel:6.6.71", "version-tag", role="kernel"))
    assert finding.confidence is Confidence.MEDIUM


@pytest.mark.parametrize(
    ("version", "banner", "expected"),
    [
        ("6.12.59-linuxkit", "", Outcome.PASS),
        ("6.12.59", "", Outcome.PASS),
        ("6.1.0-56-amd64", "", Outcome.FAIL),
        ("6.1.0-56-custom", "Linux version … #1 SMP Debian 6.1.192-2 (2026-11-16)", Outcome.FAIL),
        ("5.15.0-105-generic", "", Outcome.FAIL),
        ("5.14.0-70.13.1.el9_0.x86_64", "", Outcome.FAIL),
        ("6.8.5-301.fc40.x86_64", "", Outcome.FAIL),
        ("6.6.32-0-lts", "", Outcome.FAIL),
        ("5.4.0-1103-azure", "", Outcome.FAIL),
        ("4.19.325-cip113", "", Outcome.FAIL),
        ("6.12.117-mine", "", Outcome.UNDECIDED),
        ("", "", Outcome.UNDECIDED),
    ],
)
def test_a_vendors_kernel_is_told_by_its_release_or_its_banner(version, banner, expected):
    assert outcomes(vendor_kernel, kernel(version)._replace(banner=banner)) == {expected}


def test_the_version_that_a_debian_release_hides_is_told():
    subject = kernel("6.1.0-56-amd64")._replace(
        banner="Linux version 6.1.0-56-amd64 #1 SMP Debian 6.1.192-2 (2026-11-16)"
    )
    (finding,) = end_of_life_kernel(subject)
    assert "'6.1.0-56-amd64' (made of Debian 6.1.192-2)" in finding.message


def test_the_table_of_releases_is_well_formed():
    series = tables.load("kernel_series")
    for name, days in tables.load("kernel_releases").items():
        first = series["series"][name]["released"]
        assert days == sorted(days), name
        assert days[0] >= 0, name
        assert days[-1] <= rules.days_between(first, series["as_of"]), name


def test_the_series_table_is_well_formed():
    table = tables.load("kernel_series")
    for name, one in table["series"].items():
        assert set(one) <= {"released", "eol", "longterm"}, name
        assert one["released"] <= one.get("eol", table["as_of"]), name
        assert not one.get("longterm") or "eol" in one, name


def test_today_comes_from_the_environment_then_the_clock(monkeypatch):
    rules.set_today(None)
    assert len(rules.today()) == len("2026-08-01")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert rules.today() == "1970-01-02"
    monkeypatch.setenv("LKSCAN_DATE", "2027-03-04")
    assert rules.today() == "2027-03-04"
    rules.set_today("2028-01-01")
    assert rules.today() == "2028-01-01"


@pytest.mark.parametrize(
    ("name", "value"), [("LKSCAN_DATE", "soon"), ("LKSCAN_DATE", "2026-02-30"), ("SOURCE_DATE_EPOCH", "-1")]
)
def test_a_senseless_date_is_refused(monkeypatch, name, value):
    rules.set_today(None)
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name):
        rules.today()


@given(st.dates(), st.dates())
def test_days_are_counted_as_by_the_calendar(first, last):
    assert rules.days_between(first.isoformat(), last.isoformat()) == (last - first).days


@given(st.integers(1, 9998), st.integers(1, 12), st.integers(1, 31))
def test_a_day_that_is_in_no_calendar_is_refused(year, month, day):
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        dt.date(year, month, day)
    except ValueError:
        with pytest.raises(ValueError, match="must be a day"):
            rules.set_today(text)
    else:
        rules.set_today(text)
        assert rules.today() == text


def test_a_senseless_override_is_refused():
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        rules.set_today("01.02.2026")


@given(st.text(), st.dictionaries(st.sampled_from(sorted({*HARDENED, *OFFERED, *WHOLE})), st.sampled_from("ynm")))
def test_any_release_and_any_configuration_is_judged(version, options):
    for rule in (*CONFIGURED, end_of_life_kernel, outdated_kernel, vendor_kernel):
        for finding in rule(kernel(version, whole=False, **options)):
            assert finding.message


@pytest.mark.parametrize(
    ("version", "date", "severity"),
    [
        ("5.4.172", "2025-12-04", Severity.MEDIUM),
        ("5.4.172", "2026-12-03", Severity.MEDIUM),
        ("5.4.172", "2026-12-04", Severity.HIGH),
        ("4.19.300", "2025-12-05", Severity.MEDIUM),
        ("4.19.300", "2025-12-06", Severity.HIGH),
    ],
)
def test_a_series_that_ended_more_than_a_year_ago_counts_for_more(version, date, severity):
    rules.set_today(date)
    (finding,) = fires(end_of_life_kernel, kernel(version))
    assert finding.severity is severity
