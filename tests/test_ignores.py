"""Directives: which comments are some, what each covers, and what is said about those that do no good."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan import scan
from lkscan.rules import engine, hygiene, kernel
from lkscan.rules.directives import parse
from lkscan.rules.engine import Finding, Profile, Severity
from lkscan.rules.funnel import Funnel, Options, Result, choose
from lkscan.scanner.subjects import Container, Place, Problem, Span, Spec


@engine.rule("LKT001", "loud-word", Severity.HIGH, "'{0}' is loud.", remedy="Hush.", nist=())
def loud(container: Container):
    """Never asked: findings are made by hand here."""
    yield from ()


@engine.rule("LKT002", "odd-word", Severity.LOW, "'{0}' is odd.", remedy="Even it.", nist=())
def odd(container: Container):
    """Never asked either."""
    yield from ()


KNOWN = (loud, odd, *hygiene.RULES)
TEXT = """\
kernel:
  image: linuxkit/kernel:6.12
services:
  - name: getty
    image: linuxkit/getty:1
    env:
    - INSECURE=true
  - name: web
    image: nginx
files:
- path: etc/it
  contents: |
    one
"""


@pytest.fixture(autouse=True)
def date(monkeypatch):
    monkeypatch.setattr(kernel, "_date", "2026-11-23")


def at(line: int | None, name: str = "a.yml") -> Place:
    return Place((name,), Span(line, 1, line, 2) if line else None)


def make(rule, *lines: int | None) -> Finding:
    first, *rest = (at(line) for line in lines)
    return Finding.of(rule, engine.fail("it", first, "x", related=[engine.Location(one) for one in rest]))


def run(text: str, *findings: Finding, options: Options = Options(), problem: bool = False) -> Result:
    rules = choose(KNOWN, options)
    funnel = Funnel(rules, options, lambda: KNOWN)
    funnel.meet(Spec(at(None), "spec", text, {}))
    for one in findings:
        if one.rule in rules:
            funnel.add(one)
    if problem:
        funnel.meet(Problem(at(3), "breaks off"))
    funnel.close()
    return funnel.result({})


def silent_lines(text: str) -> set[int]:
    """The lines, 0 for the file itself, on which the first rule is silenced."""
    result = run(text, *(make(loud, line or None) for line in range(len(text.splitlines()) + 1)))
    return {one.finding.place.span.line if one.finding.place.span else 0 for one in result.suppressed}


def said(result: Result) -> list[tuple[str, int]]:
    """What is said about directives, and on which line."""
    return [(one.rule.name, one.place.span.line) for one in result.findings if one.rule in hygiene.RULES]


def above(line: int, comment: str = "# lkscan: ignore[LKT001] fine", *, text: str = TEXT) -> str:
    """The text with a comment of its own line before `line`, as far to the right as that."""
    rows = text.split("\n")
    indent = len(rows[line - 1]) - len(rows[line - 1].lstrip())
    return "\n".join([*rows[: line - 1], " " * indent + comment, *rows[line - 1 :]])


def behind(line: int, comment: str = "  # lkscan: ignore[LKT001] fine", *, text: str = TEXT) -> str:
    rows = text.split("\n")
    return "\n".join([*rows[: line - 1], rows[line - 1] + comment, *rows[line:]])


@pytest.mark.parametrize(
    ("line", "covered"),
    [
        (1, {1, 2}),  # a section that is a map
        (2, {2}),  # one line
        (3, set(range(3, 10))),  # a section of containers
        (4, {4, 5, 6, 7}),  # a container's first line
        (5, {5}),
        (6, {6, 7}),  # items may stand as far left as their key
        (7, {7}),
        (9, {9}),
        (10, {10, 11, 12, 13}),
        (11, {11, 12, 13}),
        (12, {12, 13}),  # the header of a block scalar
        (13, set()),  # its text
    ],
)
def test_behind_a_line_it_covers_what_that_line_opens(line: int, covered: set[int]) -> None:
    assert silent_lines(behind(line)) == covered


@pytest.mark.parametrize(
    ("line", "covered"),
    [
        (1, {2, 3}),  # right above the first key it is not for the whole file
        (3, set(range(4, 11))),
        (4, {5, 6, 7, 8}),
        (5, {6}),
        (8, {9, 10}),
        (13, set()),  # text of a block scalar
    ],
)
def test_above_a_line_it_covers_what_that_line_opens(line: int, covered: set[int]) -> None:
    assert silent_lines(above(line)) == covered


def test_blank_lines_and_comments_do_not_stand_between() -> None:
    text = above(9, "# lkscan: ignore[LKT001] fine\n\n    # about the image\n")
    assert silent_lines(text) == {13}


@pytest.mark.parametrize(
    ("head", "covered"),
    [
        ("# lkscan: ignore[LKT001]\n\n", "all"),
        ("# Copyright\n# lkscan: ignore[LKT001]\n# more\n", "all"),
        ("\ufeff# lkscan: ignore[LKT001]\n\n", "all"),
        ("---\n# lkscan: ignore[LKT001]\n\n", "all"),
        ("# lkscan: ignore[LKT001]\n---\n", "all"),
        ("# Copyright\n# lkscan: ignore[LKT001]\n", {3, 4}),
        ("# lkscan: ignore[LKT001]\n# lkscan: ignore[LKT002]\n", {3, 4}),  # directives in a pile do not part each other
    ],
)
def test_at_the_top_and_apart_from_the_first_key_it_is_for_the_whole_file(head: str, covered) -> None:
    text = head + TEXT.rstrip()
    assert silent_lines(text) == (set(range(text.count("\n") + 2)) if covered == "all" else covered)


@pytest.mark.parametrize(
    "text",
    [
        'a: "it # lkscan: ignore[LKT001]"',
        "a: 'it''s # lkscan: ignore[LKT001]'",
        'a: "one\n  # lkscan: ignore[LKT001]\n  two"',
        "a: >-\n  # lkscan: ignore[LKT001]\nb: c",
        "- a: |2-  # shell\n    # lkscan: ignore[LKT001]\n",
        "a: !!str |\n\n  # lkscan: ignore[LKT001]\n",
        "a:\n  |\n  # lkscan: ignore[LKT001]\n",
        "a: x# lkscan: ignore[LKT001]",
        '{"a": "# lkscan: ignore[LKT001]", b: ["# lkscan: ignore[LKT001]"]}',
    ],
)
def test_text_is_no_comment(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "a: it's # lkscan: ignore[LKT001]",
        "a: rock, 'n roll # lkscan: ignore[LKT001]",
        "a: 'x' # lkscan: ignore[LKT001]",
        'a: "\\"" # lkscan: ignore[LKT001]',
        'a: "x\\\n  y" # lkscan: ignore[LKT001]',
        "a: [b, 'c', &x d, {e: f}] # lkscan: ignore[LKT001]",
        "a: echo > x | # lkscan: ignore[LKT001]",
        "a: &anchor b # lkscan: ignore[LKT001]",
        "a: |\n  text\n# lkscan: ignore[LKT001]",
        "a: [\n  b, # lkscan: ignore[LKT001]\n  c]",
        "a: ] # lkscan: ignore[LKT001]",
        "a: b # yamllint disable-line # lkscan: ignore[LKT001]",
        "a: b\t#lkscan:ignore[LKT001]\r\nb: c",
    ],
)
def test_a_comment_is_found_behind_any_scalar(text: str) -> None:
    ((scope, ignore),) = parse(text)
    assert (ignore.patterns, ignore.flaw) == (("LKT001",), "")
    assert scope.first <= scope.last


def test_a_line_may_carry_several_directives() -> None:
    (_, one), (_, other) = parse("a: b  # lkscan: ignore[LKT001] first  # lkscan: ignore[LKT002] second")
    assert (one.reason, other.reason) == ("first", "second")
    assert (one.place.span, other.place.span.column) == (Span(1, 7, 1, 37), 39)


@pytest.mark.parametrize("pattern", ["LKT001", "lkt001", "loud-word", "LKT*", "loud-*", "LKT002, loud-word"])
def test_rules_are_named_by_id_name_and_wildcard(pattern: str) -> None:
    assert silent_lines(f"a: b  # lkscan: ignore[{pattern}] fine") == {1}


def test_any_place_of_a_finding_may_silence_it() -> None:
    result = run(behind(5), make(loud, 9, 5), make(loud, 9))
    assert (len(result.suppressed), len(result.findings)) == (1, 1)


def test_the_innermost_directive_gives_the_reason_and_none_around_it_is_unused() -> None:
    text = behind(5, "  # lkscan: ignore[LKT001] narrow", text=behind(3, "  # lkscan: ignore[LKT*] wide"))
    result = run(text, make(loud, 5))
    assert [one.reason for one in result.suppressed] == ["narrow"]
    assert said(result) == []


def test_a_place_in_another_file_or_in_an_image_is_not_covered() -> None:
    text = "# lkscan: ignore[LKT001]\n\n" + TEXT
    elsewhere = Finding.of(loud, engine.fail("it", at(3, "b.yml"), "x"))
    within = Finding.of(loud, engine.fail("it", Place(("x.tar", "a.yml")), "x"))
    assert run(text, elsewhere, within).suppressed == ()


@pytest.mark.parametrize(
    ("comment", "finding", "silent"),
    [
        ("ignore[LKT001] fine (until 2026-11-23)", None, True),
        ("ignore[LKT001] fine (until 2026-11-22)", "expired-ignore", False),
        ("ignore[LKT001] fine (until 2026-02-30)", "unknown-ignore", False),
        ("ignore[LKT001] fine (until it is mended)", "unknown-ignore", False),
        ("ignore[LKT001] fine (untilled)", None, True),
        ("ignore[LKT001] fine (until 2020-01-01) or so", "expired-ignore", False),
        ("ignore[LKT001] fine (until 2020-01-01).", "expired-ignore", False),
        ("ignore[LKT001] fine (Until: 2020-01-01)", "expired-ignore", False),
        ("ignore[LKT001] fine until 2020-01-01", "expired-ignore", False),
        ("ignore[LKT001] fine until 2099-01-01", None, True),
        ("ignore[LKT001] fine until it is mended", None, True),
        ("ignore[LKT001] fine (until it is mended), see #9", "unknown-ignore", False),
        ("Ignore [Loud-Word] fine", None, True),
        ("ignore[LKT009] fine", "unknown-ignore", False),
        ("ignore[LKT009, LKT001] fine", "unknown-ignore", True),
        ("ignore[] fine", "unknown-ignore", False),
        ("ignore LKT001", "unknown-ignore", False),
        ("ignore[LKT001", "unknown-ignore", False),
        ("disable=LKT001", "unknown-ignore", False),
        (f"ignore[{','.join(map(str, range(40)))}]", "unknown-ignore", False),
        ("ignore[LKT002] fine", "unused-ignore", False),
        ("ignore[LKT001, LKT002] fine", "unused-ignore", True),
    ],
)
def test_directives_that_do_not_do_what_they_should_are_findings(comment, finding, silent) -> None:
    result = run(f"a: b  # lkscan: {comment}", make(loud, 1))
    assert said(result) == ([(finding, 1)] if finding else [])
    assert bool(result.suppressed) is silent


@pytest.mark.parametrize("comment", ["lkscan ignore[LKT001]", "lkscan-ignore: LKT001", "LKSCAN  ignore LKT001 x"])
def test_a_directive_without_its_colon_is_told(comment) -> None:
    result = run(f"a: b  # {comment}", make(loud, 1))
    assert (said(result), result.suppressed) == ([("unknown-ignore", 1)], ())
    assert "lkscan: ignore[RULE" in result.findings[-1].message


@pytest.mark.parametrize(
    "comment", ["lkscan ignores that", "see lkscan", "lkscan.toml ignores it", "lkscan is run on it"]
)
def test_prose_about_lkscan_is_no_directive(comment) -> None:
    assert said(run(f"a: b  # {comment}", make(loud, 1))) == []


def several(titles: Iterable[str], lines: dict[str, int]) -> engine.Verdict:
    first, *others = [engine.Location(at(lines[title])) for title in titles]
    return engine.fail(
        "spec",
        first.place,
        ", ".join(titles),
        related=others,
        members=titles,
        retold=lambda some: several([one for one in titles if one in some], lines),
    )


@pytest.mark.parametrize(
    ("text", "shown", "silenced"),
    [
        (TEXT, ["getty, web"], []),
        (behind(4), ["web"], [("getty", "fine")]),
        (behind(8), ["getty"], [("web", "fine")]),
        (behind(3), [], [("getty, web", "fine")]),
        (behind(4, text=behind(8)), [], [("getty, web", "fine")]),
        (behind(4, "  # lkscan: ignore[LKT*] so", text=behind(8)), [], [("getty", "so"), ("web", "fine")]),
    ],
)
def test_of_a_finding_on_several_containers_only_those_that_are_covered_are_silenced(text, shown, silenced) -> None:
    finding = Finding.of(loud, several(["getty", "web"], {"getty": 4, "web": 8}))
    result = run(text, finding)
    assert [one.arguments[0] for one in result.findings] == shown
    assert [(one.finding.arguments[0], one.reason) for one in result.suppressed] == silenced


def test_a_comment_for_another_reader_is_no_reason() -> None:
    result = run("a: b  # lkscan: ignore[LKT001] see #12   # yamllint disable-line", make(loud, 1))
    assert result.suppressed[0].reason == "see #12"


def test_the_whole_reason_is_kept() -> None:
    result = run("a: b  # lkscan: ignore[LKT001] fine (until 2027-01-31)", make(loud, 1))
    assert result.suppressed[0].reason == "fine (until 2027-01-31)"


@pytest.mark.parametrize(
    ("comment", "silent"),
    [("ignore[LKT001] fine", True), ("ignore[LKT001]", False), ("ignore[LKT001] (until 2099-01-01)", False)],
)
def test_a_reason_may_be_required(comment, silent) -> None:
    result = run(f"a: b  # lkscan: {comment}", make(loud, 1), options=Options(require_reason=True))
    assert bool(result.suppressed) is silent
    assert said(result) == ([] if silent else [("ignore-without-reason", 1)])


def test_directives_can_be_forbidden() -> None:
    result = run(
        "a: b  # lkscan: ignore[LKT001] x\nb: c  # lkscan: disable", make(loud, 1), options=Options(heed=False)
    )
    assert [one.rule.id for one in result.findings] == ["LKT001"]


@pytest.mark.parametrize(
    "options",
    [Options(select=("LKT001", "LKS*")), Options(ignore=("odd-word",)), Options(ignore=("unused-ignore",))],
)
def test_a_directive_for_a_rule_that_was_not_run_is_not_called_unused(options: Options) -> None:
    assert said(run("a: b  # lkscan: ignore[LKT002]\nc: d  # lkscan: ignore[LKT*]", options=options)) == []


def test_nothing_is_called_unused_in_a_file_that_was_not_read_whole() -> None:
    text = "a: b  # lkscan: ignore[LKT002]"
    assert said(run(text)) == [("unused-ignore", 1)]
    assert said(run(text, problem=True)) == []


def test_a_verdict_that_is_open_is_not_silenced_and_its_directive_not_unused() -> None:
    doubt = Finding.of(loud, engine.undecided("it", at(1), "Nobody knows."))
    result = run("a: b  # lkscan: ignore[LKT001] fine", doubt)
    assert (result.others, result.suppressed, said(result)) == ((doubt,), (), [])


def test_a_finding_that_the_profile_hides_makes_its_directive_useful() -> None:
    quiet = make(loud, 1)._replace(profile=engine.Profile.PEDANTIC)
    result = run("a: b  # lkscan: ignore[LKT001] fine", quiet)
    assert (result.hidden, result.suppressed, said(result)) == (1, (), [])


def test_directives_cannot_silence_what_is_said_about_directives() -> None:
    text = "# lkscan: ignore[LKS*]\n\na: b  # lkscan: ignore[LKT009]"
    assert said(run(text)) == [("unused-ignore", 1), ("unknown-ignore", 3)]


def test_findings_about_directives_stand_in_the_order_of_their_places_and_are_counted() -> None:
    result = run("a: b  # lkscan: ignore[LKT009]\nc: d", make(loud, 2))
    assert [one.rule.id for one in result.findings] == ["LKS005", "LKT001"]
    assert result.tally["LKS005", engine.Outcome.FAIL] == 1
    assert result.tally["LKS007", engine.Outcome.NOT_APPLICABLE] == 1


def test_fingerprints_survive_moved_lines_and_tell_directives_apart() -> None:
    one = run("a: b  # lkscan: ignore[LKT009, LKT008]").findings
    other = run("\n\na: b  # lkscan: ignore[LKT009, LKT008]").findings
    assert [one.fingerprint for one in one] == [one.fingerprint for one in other]
    assert len({one.fingerprint for one in one}) == 2


def test_a_file_has_a_limited_number_of_directives() -> None:
    found = parse("a: b # lkscan: ignore[LKT001]\n" * 510)
    assert [bool(ignore.flaw) for _, ignore in found] == [False] * 500 + [True]


def test_hostile_text_is_read_in_linear_time() -> None:
    text = "".join(f"{' ' * n}k: # lkscan: ignore[LKT001]\n" for n in range(2000))
    assert len(parse(text)) == 501
    assert len(parse("# lkscan: ignore[LKT001]\n" * 50_000 + "a: b")) == 501
    assert len(parse("a: " + "b " * 500_000 + "# lkscan: ignore[x]")) == 1
    assert len(parse('a: "' + "\\" * 500_001 + "\n" + "# lkscan: ignore[x]\n" * 9)) == 0


@given(st.text("#'\"|>-:[]{},!&a \n\t\\") | st.text())
def test_any_text_is_read(text: str) -> None:
    for body in (text, f"# lkscan: ignore[a]\n{text}"):
        rows = body.count("\n") + body.count("\r") + 1
        for scope, ignore in parse(body):
            assert 0 <= scope.first <= scope.last <= rows
            assert ignore.place.span is not None


@pytest.mark.parametrize("rule", ["LKM001", "LKP002", "LKN001", "LKN007", "LKR004", "LKR005", "LKM004", "LKX002"])
def test_where_a_label_is_not_known_what_is_written_for_its_values_is_not_unused(rule, tmp_path) -> None:
    spec = tmp_path / "a.yml"
    spec.write_text(f"services:\n  - name: a\n    image: example.org/a:1  # lkscan: ignore[{rule}] of the label\n")
    result = scan([str(spec)], options=Options(Profile.AUDITOR))
    assert rule in {one.rule.id for one in result.others}
    assert "LKS006" not in {one.rule.id for one in result.findings}
