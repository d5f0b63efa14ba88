"""The text report: grouping, honesty about what is left out, and names that cannot harm a terminal."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab import (
    GETTY,
    GETTY_CONTAINER,
    SPEC_SYSTEM,
    TOKEN,
    UNDECIDED,
    WEB,
    at,
    finding,
    image_result,
    inside,
    snapshot,
    spec_result,
    unpinned,
    writable,
)
from rulelab import container

from lkscan.reports import formats
from lkscan.reports.printable import encodable, printable
from lkscan.rules import engine
from lkscan.rules.engine import Location, Severity
from lkscan.rules.funnel import Result
from lkscan.scanner.subjects import Place, Problem, Span, System

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def render(result: Result, *, width: int = 0, color: bool = False) -> str:
    return formats.render("text", result, width=width, color=color)


@pytest.mark.parametrize("name", ["spec", "image"])
def test_the_report_looks_as_reviewed(name: str) -> None:
    text = render({"spec": spec_result(TOKEN), "image": image_result()}[name], width=90)
    assert text == snapshot(f"{name}.txt", text)


def test_colour_changes_nothing_but_colour() -> None:
    for result in (spec_result(TOKEN), image_result()):
        assert ESCAPE.sub("", render(result, width=90, color=True)) == render(result, width=90)


def test_no_line_is_wider_than_asked_where_words_allow() -> None:
    assert max(map(len, render(spec_result(TOKEN), width=70).splitlines())) <= 72  # an image's name is not cut


def test_without_a_width_a_finding_is_one_line() -> None:
    lines = render(spec_result()).splitlines()
    assert any("5:12" in line and "CAP_SYS_MODULE" in line and "LKP902 test-host-root" in line for line in lines)


def test_findings_stand_under_their_container_worst_first() -> None:
    text = render(spec_result(TOKEN))
    assert text.index("\nservices/getty") < text.index("\nfiles") < text.index("\nservices/web")


def test_a_file_of_a_container_stands_under_that_container() -> None:
    text = render(image_result(1))
    assert text.index("root filesystem") < text.index("'srv/0'") < text.index("services/web") < text.index("evil")


def test_many_alike_are_counted_not_listed() -> None:
    text = render(image_result(9))
    assert "... and 5 more of test-writable (--format json lists them all)" in text
    assert "srv/8" not in text
    assert render(image_result(6)).count("'srv/") == 6


def test_a_remedy_is_given_once_with_the_number_of_findings() -> None:
    text = render(image_result(9))
    assert text.count("chmod it.") == 1
    assert "chmod it. (10 times)" in text


def test_what_is_left_out_is_counted() -> None:
    text = render(spec_result())
    for part in ("3 hidden (--profile", "1 suppressed", "1 undecided", "1 problem"):
        assert part in text
    assert "Nobody knows the label of 'web'." in text
    assert "not applicable" not in text  # nothing is open there


def test_open_verdicts_of_one_subject_are_one_line_and_few_are_listed() -> None:
    one = finding(unpinned, engine.undecided("x", at(1, 1, 2), "Nobody knows x."))
    two = finding(writable, engine.undecided("x", at(1, 1, 2), "Nobody knows x. It may be y."))
    assert "? Nobody knows x. It may be y.  LKF901\n" in render(spec_result()._replace(others=(two,)))
    assert "? Nobody knows x.  LKF901 LKI901\n" in render(spec_result()._replace(others=(one, two)))
    other = finding(writable, engine.undecided("x", at(1, 1, 2), "Everybody knows y."))
    text = render(spec_result()._replace(others=(one, other)))
    assert "? Nobody knows x.  LKI901\n" in text
    assert "? Everybody knows y.  LKF901\n" in text
    names = tuple(finding(unpinned, engine.undecided(n, at(1, 1, 2), f"Of '{n}' is not known.")) for n in "abcdef")
    text = render(spec_result()._replace(others=names), width=0)
    assert "? Of 'a' is not known. The same goes for 'b', 'c', 'd' and 2 more.  LKI901\n" in text
    alike = tuple(finding(unpinned, engine.undecided(str(n), at(1, 1, 2), "It is empty.")) for n in range(3))
    assert "? It is empty.  LKI901 (3 times)\n" in render(spec_result()._replace(others=alike))
    many = tuple(finding(unpinned, engine.partial(str(n), at(1, 1, 2), f"Reason {n}.")) for n in range(11))
    assert "... and 3 more reasons" in render(spec_result()._replace(others=many))


def test_evidence_is_shortened_not_dropped() -> None:
    facts = [f"fact {number}" for number in range(6)]

    def shown(number: int) -> str:
        one = finding(unpinned, engine.fail("a", at(1, 1, 2), "a", evidence=facts[:number]))
        return render(spec_result()._replace(findings=(one,)))

    assert "fact 2" in shown(6)
    assert "and 3 more facts" in shown(6)
    assert "fact 3" in shown(4)
    assert "more fact" not in shown(4)


def test_the_same_is_not_said_twice() -> None:
    facts = ["'b' is wrong", "a is right"]
    one = finding(unpinned, engine.fail("a", at(5, 12, 67, "services[0].image"), "'b' is wrong", evidence=facts))
    text = render(spec_result()._replace(findings=(one,)))
    assert text.count("'b' is wrong") == 1
    assert "- a is right\n" in text


def test_where_a_value_comes_from_is_said_once_a_place() -> None:
    here, there = at(5, 12, 67, "services[0].image"), at(6, 13, 22, "services[0].binds[0]")
    found = tuple(
        finding(unpinned, engine.fail(str(n), place, str(n), note=f"from the label of {GETTY_CONTAINER.image.text}"))
        for n, place in enumerate((here, here, there))
    )
    assert render(spec_result()._replace(findings=found)).count("- from the label of its image\n") == 2


def test_a_note_is_printed_as_it_is() -> None:
    kernel = at(2, 10, 31, "kernel.image")
    text = render(
        spec_result()._replace(findings=(finding(unpinned, engine.fail("a", kernel, "b", note="The kernel, as is.")),))
    )
    assert "- The kernel, as is.\n" in text


def test_where_an_image_finding_lies_is_said_when_the_message_does_not() -> None:
    one = finding(writable, engine.fail("shadow", inside("etc/shadow"), "it"))
    assert "in boot/initrd.img / etc/shadow" in render(image_result()._replace(findings=(one,)))
    kernel = finding(unpinned, engine.fail("kernel", inside("boot/kernel"), "it"))
    text = render(image_result()._replace(findings=(kernel,)))
    assert text.count("boot/initrd.img / boot/kernel") == 1  # the title says it


def test_places_in_a_config_are_named_by_their_keys() -> None:
    config = "containers/services/web/config.json"
    first, second = (Place(("out/linux kit.iso", "boot/initrd.img", config), None, key) for key in ("process", "root"))
    related = [engine.Location(second, "as built"), engine.Location(first), engine.Location(first)]
    text = render(image_result()._replace(findings=(finding(unpinned, engine.fail("a", first, "a", related=related)),)))
    assert f"services/web  boot/initrd.img / {config}\n" in text
    assert "- at process\n" in text
    assert "- together with root, process\n" in text
    other = finding(unpinned, engine.fail("a", first, "a", related=[engine.Location(inside("boot/kernel"))]))
    text = render(image_result()._replace(findings=(other,)))
    assert "- together with boot/kernel\n" in text


def test_a_related_place_without_a_note_is_named() -> None:
    one = finding(unpinned, engine.fail("a", at(1, 1, 2), "a", related=[engine.Location(at(2, 3, 4))]))
    assert "together with 2:3" in render(spec_result()._replace(findings=(one,)))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Result(systems=(SPEC_SYSTEM,)), "No findings."),
        (Result(), "Nothing could be scanned."),
        (Result(problems=(Problem(Place(("x",)), "is a folder", "unusable"),)), "! x: is a folder"),
        (Result(findings=(WEB,)), "linuxkit.yml  broke off"),
        (Result(systems=(SPEC_SYSTEM,), findings=(WEB, GETTY)), "2 findings: 1 critical, 1 medium"),
    ],
)
def test_short_endings(result: Result, expected: str) -> None:
    assert expected in render(result)


def test_of_several_inputs_only_those_with_something_to_say_are_shown() -> None:
    clean = System(Place(("clean.yml",)), "spec", is_linuxkit=True, format="YAML")
    foreign = System(Place(("foreign.iso",)), "image", is_linuxkit=False, format="ISO 9660", files=2, binaries=2)
    text = render(Result(findings=(WEB,), systems=(SPEC_SYSTEM, clean, foreign)))
    assert "clean.yml" not in text
    assert "foreign.iso  not made by LinuxKit: image, ISO 9660, 2 files, 2 binaries" in text
    assert "1 finding in 3 inputs: 1 medium" in text


def test_exposure_tells_what_it_cannot_know_and_lists_the_worst() -> None:
    broken = container(name="broken", error="unknown capability")
    many = tuple(container(name=f"c{number}", index=number) for number in range(30))
    text = render(Result(systems=(SPEC_SYSTEM._replace(containers=(broken, *many)),)))
    assert "LinuxKit would not build it" in text
    assert "... and 6 less exposed" in text


def test_nothing_a_terminal_acts_on_gets_through() -> None:
    text = render(image_result(1))
    assert "\\x1b[31m\\xff\\u202eevil" in text
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x07\x1b]0;x\x07", "\\x07\\x1b]0;x\\x07"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\udcc3\udc28", "\\xc3\\udc28"),
        ("\u2066\U000e0001", "\\u2066\\U000e0001"),
    ],
)
def test_unprintable_characters_are_escaped(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@given(st.text(st.characters(), max_size=40))
def test_any_text_can_be_printed(raw: str) -> None:
    assert printable(raw).isprintable()
    printable(raw).encode()
    encodable(raw).encode()


NAMES = st.binary(min_size=1, max_size=30).map(os.fsdecode)  # what the name of a file can be


@given(NAMES, NAMES | st.text(max_size=30))
def test_any_name_can_be_reported_in_any_format(name: str, other: str) -> None:
    evil = finding(writable, engine.fail(other, Place((name, other)), other, note=name, evidence=[other]))
    for result in (Result(findings=(evil,)), Result(others=(UNDECIDED,), problems=(Problem(Place((name,)), other),))):
        for format_name in formats.FORMATS:
            formats.render(format_name, result, width=80, color=True).encode()


@pytest.mark.parametrize("severity", list(Severity))
def test_every_severity_has_its_colour(severity: Severity) -> None:
    one = finding(unpinned, engine.fail("a", at(1, 1, 2), "a", severity=severity))
    assert f"m{severity}\x1b[0m" in render(Result(findings=(one,)), color=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.sarif", "sarif"),
        ("a.SARIF.json", "sarif"),
        ("a.json", "json"),
        ("a.txt", "text"),
        ("a.pdf", None),
        ("-", None),
    ],
)
def test_the_suffix_names_the_format(path: str, expected: str | None) -> None:
    assert formats.of_suffix(path) == expected


def test_an_unknown_format_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        formats.render("pdf", Result())


def test_what_can_be_mended_is_marked_and_counted() -> None:
    text = render(spec_result())
    assert "LKP902 test-host-root [fix]\n" in text
    assert "LKI901 test-unpinned [unsafe fix]\n" in text
    assert "  1 can be mended by `lkscan fix`, 1 more with --unsafe\n" in text
    assert "  1 can be mended by `lkscan fix --unsafe`\n" in render(Result(findings=(WEB,)))
    assert "can be mended" not in render(Result(findings=(TOKEN,)))


def test_on_a_terminal_that_shows_links_rules_lead_to_their_pages_and_positions_to_their_lines() -> None:
    plain = formats.render("text", spec_result(), width=80, root="/srv/a b")
    text = formats.render("text", spec_result(), width=80, root="/srv/a b", links=True)
    links = re.findall("\x1b]8;;([^\x1b]+)\x1b\\\\(.*?)\x1b]8;;\x1b\\\\", text)
    assert (f"file://{os.uname().nodename}/srv/a%20b/linuxkit.yml#5", "5:12") in links
    assert (
        "https://github.com/linuxkit/lkscan/blob/HEAD/rules/pages/test-unpinned.md",
        "LKI901 test-unpinned [unsafe fix]",
    ) in links
    assert re.sub("\x1b]8;;.*?\x1b\\\\", "", text) == plain


def test_a_hostile_path_cannot_break_out_of_a_link() -> None:
    evil = GETTY._replace(locations=(Location(Place(("a\x1b\\\udcff.yml",), Span(1, 1, 1, 2))),))
    text = formats.render("text", Result(findings=(evil,)), root="/", links=True)
    assert "/a%1B%5C%FF.yml#1" in text
