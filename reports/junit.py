"""JUnit's XML, which every CI system shows: a suite for each input, a test for each rule that had something to judge.

A rule that fired is a failed test with its findings in it. What could not be read is an error of its input's suite.
The outcomes of rules that only passed are counted over all inputs, and stand in a suite of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..rules.engine import Finding, Outcome, Rule
from ..rules.funnel import Result
from .formats import Options
from .grouping import inputs
from .printable import printable


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    root = Element("testsuites", {"name": f"lkscan {options.version}"})
    problems: dict[str, list[str]] = {}
    for problem in result.problems:
        problems.setdefault(problem.place.artifacts[0], []).append(f"{problem.place}: {problem.message}")
    for one in inputs(result):
        findings = [finding for group in one.groups for finding in group.findings]
        _suite(root, one.name, findings, problems.pop(one.name, []))
    for name, texts in problems.items():
        _suite(root, name, [], texts)
    _passed(root, result)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, name: str, findings: Iterable[Finding], problems: list[str]) -> None:
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule.id, []).append(finding)
    counts = {"tests": len(by_rule) + bool(problems), "failures": len(by_rule), "errors": int(bool(problems))}
    suite = SubElement(root, "testsuite", {"name": printable(name), **{key: str(n) for key, n in counts.items()}})
    for _, found in sorted(by_rule.items()):
        case = _case(suite, found[0].rule, name)
        worst = max(one.severity for one in found)
        message = f"{len(found)} findings" if len(found) > 1 else printable(found[0].message)
        failure = SubElement(case, "failure", type=str(worst), message=message)
        failure.text = "\n".join([*map(_line, found), f"What to do: {printable(found[0].rule.remedy)}"])
    if problems:
        case = SubElement(suite, "testcase", name="can be read whole", classname=printable(name))
        SubElement(case, "error", type="unread", message=printable(problems[0])).text = "\n".join(
            map(printable, problems)
        )


def _line(finding: Finding) -> str:
    evidence = f" ({printable('; '.join(finding.evidence))})" if finding.evidence else ""
    where = f"{finding.shown.place} ({finding.place})" if finding.origin else str(finding.place)
    return f"{printable(where)}: {finding.severity}: {printable(finding.message)}{evidence}"


def _case(suite: Element, rule: Rule, name: str) -> Element:
    return SubElement(suite, "testcase", name=f"{rule.id} {rule.name}", classname=printable(name))


def _passed(root: Element, result: Result) -> None:
    """The rules that nothing failed, and that judged something."""
    failed = {finding.rule.id for finding in result.findings}
    passed = [
        rule
        for rule in sorted(result.rules, key=lambda one: one.id)
        if rule.id not in failed and result.tally.get((rule.id, Outcome.PASS))
    ]
    if passed:
        suite = SubElement(
            root, "testsuite", name="rules that passed", tests=str(len(passed)), failures="0", errors="0"
        )
        for rule in sorted(passed, key=lambda rule: rule.id):
            _case(suite, rule, "lkscan")
