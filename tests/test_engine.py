"""The engine: subjects meet the rules that asked for their type, and every outcome is counted."""

from collections.abc import Iterator

import pytest

from lkscan.rules import engine
from lkscan.rules.engine import Confidence, Engine, Location, Outcome, Profile, Severity, Verdict
from lkscan.scanner.subjects import KernelCommandLine, Place, Span, Sysctl

PLACE = Place(("linuxkit.yml",), Span(3, 5, 3, 9))


@engine.rule("LKT001", "loud-word", Severity.HIGH, "The word '{0}' is there.", remedy="Drop it.", nist=("3.5.2",))
def loud_word(line: KernelCommandLine) -> Iterator[Verdict]:
    """Fires on `fail`, and says the other outcomes when asked to.

    More prose.
    """
    others = {"na": engine.not_applicable, "undecided": engine.undecided, "partial": engine.partial}
    for word in line.text.split():
        if word in others:
            yield others[word](line.text, line.place, f"It says {word}.")
        elif word == "fail":
            yield engine.fail("line", line.place, word, key=word, evidence=["3:5"])
        elif word == "mild":
            yield engine.fail("line", line.place, word, severity=Severity.NOTE, profile=Profile.AUDITOR)
        elif word == "crash":
            raise KeyError(word)


def line(text: str) -> KernelCommandLine:
    return KernelCommandLine(PLACE, text)


def test_a_rule_subscribes_by_the_type_of_its_parameter() -> None:
    assert loud_word.subject is KernelCommandLine
    assert loud_word.summary == "Fires on `fail`, and says the other outcomes when asked to."


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [
        ("quiet", {Outcome.PASS: 1}),
        ("fail", {Outcome.FAIL: 1}),
        ("fail fail", {Outcome.FAIL: 1}),  # the tally counts subjects, not findings
        ("na", {Outcome.NOT_APPLICABLE: 1}),
        ("undecided", {Outcome.UNDECIDED: 1}),
        ("partial", {Outcome.PARTIAL: 1}),
        ("fail partial", {Outcome.FAIL: 1, Outcome.PARTIAL: 1}),
    ],
)
def test_every_outcome_is_counted_once_a_subject(text: str, outcomes: dict[Outcome, int]) -> None:
    judge = Engine([loud_word])
    list(judge.judge(line(text)))
    assert judge.tally == {("LKT001", outcome): count for outcome, count in outcomes.items()}


def test_a_finding_takes_from_its_rule_what_the_verdict_leaves_open() -> None:
    (finding,) = Engine([loud_word]).judge(line("fail"))
    assert finding.rule is loud_word
    assert (finding.severity, finding.confidence, finding.profile) == (
        Severity.HIGH,
        Confidence.HIGH,
        Profile.REGULAR,
    )
    assert finding.message == "The word 'fail' is there."
    assert finding.place == PLACE
    assert finding.locations == (Location(PLACE),)


def test_a_verdict_overrides_its_rule() -> None:
    (finding,) = Engine([loud_word]).judge(line("mild"))
    assert (finding.severity, finding.profile) == (Severity.NOTE, Profile.AUDITOR)


def test_other_outcomes_speak_through_their_reason() -> None:
    (finding,) = Engine([loud_word]).judge(line("undecided"))
    assert finding.message == "It says undecided."


def test_what_a_rule_is_not_about_is_not_applicable_and_never_judged() -> None:
    only_fails = loud_word._replace(about=lambda one: one.text.startswith("fail"))
    judge = Engine([only_fails])
    assert [one.message for word in ("crash", "fail") for one in judge.judge(line(word))] == [
        "The word 'fail' is there."
    ]
    assert judge.tally == {("LKT001", Outcome.NOT_APPLICABLE): 1, ("LKT001", Outcome.FAIL): 1}


def test_other_subjects_are_left_alone() -> None:
    judge = Engine([loud_word])
    assert list(judge.judge(Sysctl(PLACE, ()))) == []
    assert not judge.tally


def test_a_broken_rule_is_reported_and_costs_no_other_finding() -> None:
    judge = Engine([loud_word, loud_word])
    assert list(judge.judge(line("crash"))) == []
    assert [problem.message for problem in judge.broken] == [
        "rule LKT001 failed: KeyError; please report it (and on 1 more)"
    ]


def test_the_fingerprint_survives_moved_lines_and_tells_keys_apart() -> None:
    (here,) = Engine([loud_word]).judge(line("fail"))
    (there,) = Engine([loud_word]).judge(KernelCommandLine(Place(("renamed.yml",)), "fail"))
    (other,) = Engine([loud_word]).judge(line("mild"))
    assert here.fingerprint == there.fingerprint != other.fingerprint
    assert len(here.fingerprint) == 32


def test_severities_confidences_profiles_and_outcomes_print_as_words() -> None:
    assert [str(one) for one in (Severity.HIGH, Confidence.LOW, Profile.PEDANTIC, Outcome.NOT_APPLICABLE)] == [
        "high",
        "low",
        "pedantic",
        "not applicable",
    ]
