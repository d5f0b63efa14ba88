"""The funnel: what is shown, hidden, silenced, and in which order."""

from collections.abc import Iterator

import pytest

from lkscan.rules import engine
from lkscan.rules.engine import Engine, Profile, Severity, Verdict
from lkscan.rules.funnel import Funnel, Options, Result, choose, unknown
from lkscan.scanner.subjects import File, KernelCommandLine, Place, Problem, Span, Spec, System


@engine.rule("LKT001", "loud-word", Severity.HIGH, "'{0}' is loud.", remedy="Hush.", nist=())
def loud_word(line: KernelCommandLine) -> Iterator[Verdict]:
    """Fires on everything."""
    yield engine.fail("line", line.place, line.text)


@engine.rule("LKT002", "odd-word", Severity.LOW, "'{0}' is odd.", remedy="Even it.", nist=(), profile=Profile.PEDANTIC)
def odd_word(line: KernelCommandLine) -> Iterator[Verdict]:
    """Fires on words of odd length, and cannot tell for the empty one."""
    if not line.text:
        yield engine.undecided("line", line.place, "There is no word.")
    elif len(line.text) % 2:
        yield engine.fail("line", line.place, line.text)


RULES = (loud_word, odd_word)


def pour(text: str, lines: dict[int, str], options: Options = Options()) -> Result:
    """Judge words at line numbers of one spec."""
    rules = choose(RULES, options)
    judge, funnel = Engine(rules), Funnel(rules, options)
    place = Place(("a.yml",))
    funnel.meet(Spec(place, "spec", text, {}))
    for number, word in lines.items():
        for finding in judge.judge(KernelCommandLine(Place(("a.yml",), Span(number, 1, number, 2)), word)):
            funnel.add(finding)
    funnel.meet(System(place, "spec", is_linuxkit=True, format="YAML"))
    funnel.close()
    return funnel.result(judge.tally)


def shown(result: Result) -> list[tuple[str, int]]:
    return [(one.rule.id, one.place.span.line if one.place.span else 0) for one in result.findings]


def test_findings_come_in_the_order_of_their_places() -> None:
    assert shown(pour("", {9: "no", 2: "on"})) == [("LKT001", 2), ("LKT001", 9)]


def test_a_lower_profile_hides_and_counts() -> None:
    result = pour("", {1: "odd"})
    assert (shown(result), result.hidden) == ([("LKT001", 1)], 1)
    assert shown(pour("", {1: "odd"}, Options(Profile.PEDANTIC))) == [("LKT001", 1), ("LKT002", 1)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(select=("LKT002",)), ["LKT002"]),  # asking for a rule by id shows it whatever the profile
        (Options(select=("odd-*",)), ["LKT002"]),
        (Options(select=("lkt*",), ignore=("loud-word",)), ["LKT002"]),
        (Options(ignore=("LKT00?",)), []),
    ],
)
def test_rules_are_selected_and_ignored_by_id_name_and_wildcard(options: Options, expected: list[str]) -> None:
    assert [one.rule.id for one in pour("", {1: "odd"}, options).findings] == expected


def test_a_pattern_that_names_no_rule_is_found_out() -> None:
    assert unknown(("LKT001", "LKZ9", "odd-*"), RULES) == ["LKZ9"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: b  # lkscan: ignore[LKT001] it is fine", 1, "it is fine"),
        ("# lkscan: ignore[loud-word] why not\na: b", 2, "why not"),
        ("a: b # lkscan: ignore[LKX999, LKT001]", 1, ""),
        ("a: b # lkscan: ignore[LKT002] another rule", 1, None),
        ("a: b # lkscan: ignore[LKT001] the line before\nc: d", 2, None),
        ("a: b # ignore[LKT001]", 1, None),
    ],
)
def test_a_comment_silences_its_line_or_the_next_and_keeps_its_reason(text: str, line: int, reason: str | None) -> None:
    result = pour(text, {line: "no"})
    assert [one.reason for one in result.suppressed] == ([] if reason is None else [reason])
    assert len(result.findings) == (reason is None)


def test_undecided_is_kept_apart_from_findings() -> None:
    result = pour("", {1: ""}, Options(Profile.PEDANTIC))
    assert [one.message for one in result.others] == ["There is no word."]
    assert result.count(Severity.HIGH) == 1


@pytest.mark.parametrize(("options", "number"), [(Options(), 0), (Options(select=("LKT002",)), 1)])
def test_what_the_profile_does_not_ask_is_not_undecided(options: Options, number: int) -> None:
    assert len(pour("", {1: ""}, options).others) == number


def test_problems_and_texts_reach_the_result() -> None:
    funnel = Funnel(RULES, Options())
    funnel.meet(Problem(Place(("x",)), "breaks off"))
    assert [str(one.place) for one in funnel.result({}).problems] == ["x"]
    assert pour("a: b", {}).texts == {"a.yml": "a: b"}


def test_what_an_archive_replaces_is_forgotten() -> None:
    """In a tar the last file of a name wins: what the first one was found guilty of is void."""
    judge, funnel = Engine(RULES), Funnel(RULES, Options())
    image = Place(("a.tar",))
    for path in ("etc/shadow", "etc/passwd"):
        for finding in judge.judge(KernelCommandLine(image.inside(path), "no")):
            funnel.add(finding)
    funnel.meet(File("etc/shadow", "file", 0o600, 0, 0, 0, image.inside("etc/shadow"), replaces=True))
    for finding in judge.judge(KernelCommandLine(image.inside("etc/shadow"), "now")):
        funnel.add(finding)
    funnel.close()
    assert [str(one.place) for one in funnel.result(judge.tally).findings] == [
        "a.tar / etc/passwd",
        "a.tar / etc/shadow",
    ]
