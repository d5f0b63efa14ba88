"""Mutation testing, of a sample: does a test notice when a line of the rules or of the readers is wrong?

    python -m benchmarks.mutation [--count N] [--minutes N] [--seed S] [--module NAME] [--write] [rules | readers ...]

Works in a clone of the last commit, build/mutation, whose modules are changed one place at a time. There the tests are
first run as a whole, with coverage, which takes long and is kept for the commit: that tells which tests reach a line,
and what they cost. Cosmic Ray makes the mutants, and chance draws the sample, the same for a seed. A mutant is noticed
when a test that reaches it fails, or takes far longer than without it. What no test reaches is not noticed.

Left out is what neither a test nor a user should tell apart: what mypy alone reads (annotations, and what is under
TYPE_CHECKING); that results of a function are kept, which only saves time; `is` and `is not` in the place of a
comparison of values, and `==` in theirs, as it is the interpreter's own matter which equal values are one object; and
constants of a module that are sizes, written like `8 << 20`: they bound what input may cost, and a test at the edge
would need input of that size. Nothing else is: not every survivor lacks a test. Prints each mutant that no test
noticed, and the scores with their intervals at 95 % (Wilson's).
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cosmic_ray.plugins
import hypothesis  # noqa: F401 - imported here, once: each mutant's tests run in a fork of this process
import pytest
import yaml  # noqa: F401
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from coverage import CoverageData

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_suffix(".json")
CLONE = (ROOT / "build/mutation").resolve()
RECORD = "build/tests.json"
TARGETS = {"rules": "rules", "readers": "scanner"}
SECONDS, MOST = 24.0, 9.0
"""Seconds that the tests of a mutant may take together, by what they took while coverage watched, which is some three
times as long; one that takes longer than the second is only run where no quicker one reaches the line."""
APART = (
    *("benchmarks", "debian_image", "docs", "fuzz", "guard", "isolation", "packaging", "pre_commit", "release"),
    *("report_html_browser", "report_sarif_multitool", "site", "startup"),
)
"""Tests that run lkscan as a program, or for long: coverage does not see which lines they reach."""
IDENTITY = re.compile(r".*_(?:(?:Eq|NotEq|Lt|LtE|Gt|GtE)_(?:Is|IsNot)|Is_Eq|IsNot_NotEq)")
"""Operators that ask for the same object in the place of the same value, or the other way round."""
LARGE = 1 << 16
"""The least of the sizes that are left out."""
SLOWER, MEMORY = 5, 6 << 30
"""How many times as long as without a mutant its tests may take; bytes that they may have."""
OPTIONS = ("-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "--hypothesis-seed=0")

Spot = tuple[int, int]
Costs = dict[str, float]


class Mutant(NamedTuple):
    """One change: the module, the operator of Cosmic Ray's, its how manieth place there, and where that is."""

    module: Path
    operator: str
    occurrence: int
    start: Spot
    end: Spot

    def code(self, source: str) -> str:
        """The module's text with the change."""
        changed: str = mutate_code(source, cosmic_ray.plugins.get_operator(self.operator)(), self.occurrence)
        return changed

    def told(self, source: str) -> str:
        """Where it is, which operator, and the lines before and after."""
        before, after = source.splitlines(), self.code(source).splitlines()
        lines = [f"{self.module.relative_to(CLONE)}:{self.start[0]}: {self.operator.rpartition('/')[2]}"]
        same = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        tail = next((n for n, (a, b) in enumerate(zip(before[::-1], after[::-1], strict=False)) if a != b), 0)
        lines += [f"-   {line.strip()}" for line in before[same : len(before) - tail]]
        lines += [f"+   {line.strip()}" for line in after[same : len(after) - tail]]
        return "\n".join(lines)


def mutants(module: Path) -> Iterator[Mutant]:
    """All mutants of a module but those of what is not run."""
    nodes = list(ast_nodes(get_ast_from_path(module)))
    tree = ast.parse(module.read_bytes())
    idle, operators = list(_idle(tree)), list(_operators(tree))
    for name in sorted(cosmic_ray.plugins.operator_names()):
        kind = cosmic_ray.plugins.get_operator(name)
        if kind.arguments() or IDENTITY.fullmatch(name):  # the former would have to be told names of variables
            continue
        operator = kind()
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(places):
            if any(first <= start and end <= last for first, last in idle):
                continue
            if "BinaryOperator" not in name or any(first <= start and end <= last for first, last in operators):
                yield Mutant(module, name, occurrence, start, end)


def _operators(tree: ast.Module) -> Iterator[tuple[Spot, Spot]]:
    """Where operators of two values stand; the stars of arguments, which Cosmic Ray takes for some, are none."""
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(left=one, right=other) | ast.AugAssign(target=one, value=other):
                yield _span(one)[1], _span(other)[0]


def _idle(tree: ast.Module) -> Iterator[tuple[Spot, Spot]]:
    """Where annotations are, what is under TYPE_CHECKING, decorators that keep results, sizes that are constants."""
    for node in ast.walk(tree):
        found: ast.expr | ast.stmt | None = None
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            found = node.annotation
        elif isinstance(node, ast.FunctionDef):
            found = node.returns
            kept = [one for one in node.decorator_list if _is_kept(one)]
            yield from (((one.lineno, 0), ((one.end_lineno or 0) + 1, 0)) for one in kept)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found = node
        if found is not None:
            yield _span(found)
    for statement in tree.body:
        values = statement.value if isinstance(statement, ast.Assign) else ast.Constant(None)
        for one in values.elts if isinstance(values, ast.Tuple) else [values]:
            match one:
                case ast.BinOp(ast.Constant(int(number)), ast.LShift(), ast.Constant(int(bits))):
                    if number << bits >= LARGE:
                        yield _span(one)


def _is_kept(decorator: ast.expr) -> bool:
    """Whether a decorator keeps results for the whole process."""
    return re.match(r"(functools\.)?(lru_)?cache\b", ast.unparse(decorator)) is not None


def _span(node: ast.expr | ast.stmt) -> tuple[Spot, Spot]:
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


class Reached:
    """Which tests reach a line, and what each one costs, as the run of all tests found."""

    def __init__(self) -> None:
        data = CoverageData(str(CLONE / ".coverage"))
        data.read()
        self.costs: Costs = json.loads((CLONE / RECORD).read_text(encoding="utf-8"))
        self._lines = {path: data.contexts_by_lineno(path) for path in data.measured_files()}

    def by(self, mutant: Mutant) -> list[str]:
        """The tests that reach a mutant; those that reach any of its module for what runs once and is kept."""
        contexts = self._lines.get(str(mutant.module), {})
        bodies = [
            range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            for node in ast.walk(ast.parse(mutant.module.read_bytes()))
            if isinstance(node, ast.FunctionDef) and not any(map(_is_kept, node.decorator_list))
        ]
        lines = set(range(mutant.start[0], mutant.end[0] + 1))
        if not any(lines & set(body) for body in bodies):
            lines = {line for body in bodies for line in body}
        found = {one.rpartition("|")[0] for line in lines for one in contexts.get(line, ())}
        return sorted(found & self.costs.keys())

    def chosen(self, mutant: Mutant, count: int) -> dict[str, list[str]]:
        """File -> those of its tests that are to be run: the module's own tests first, then the quickest ones."""
        stem, files = mutant.module.stem, dict[str, list[str]]()
        names = sorted(self.by(mutant), key=lambda one: (stem not in one.partition("::")[0], self.costs[one], one))
        total = 0.0
        for name in names:
            cost = self.costs[name]
            if files and (cost > MOST or total + cost > SECONDS or sum(map(len, files.values())) == count):
                continue
            total += cost
            files.setdefault(name.partition("::")[0], []).append(name)
        return files


class Record:
    """A plugin of pytest: what each test cost that passed, in seconds, with what it set up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._costs: Costs = {}
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase of a test."""
        self._costs[report.nodeid] = self._costs.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        self.path.parent.mkdir(exist_ok=True)
        kept = {name: round(cost, 4) for name, cost in self._costs.items() if name not in self._failed}
        self.path.write_text(json.dumps(kept), encoding="utf-8")


def run(arguments: list[str], seconds: float, plugin: object = None) -> tuple[int, float]:
    """Run tests in a fork. pytest's exit status, or 128 where it was ended; the processor's seconds."""
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds)))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(math.ceil(seconds * 10))  # for one that waits; a busy machine is slow as well
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        status = 128
        try:
            status = int(pytest.main([*OPTIONS, *arguments], [plugin] if plugin else []))
        finally:
            os._exit(status)
    _, status, used = os.wait4(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128, used.ru_utime + used.ru_stime


def prepare() -> None:
    """Have a clone of the last commit that all tests were run in."""
    commit = git(ROOT, "rev-parse", "HEAD")
    if not (CLONE / RECORD).exists() or git(CLONE, "rev-parse", "HEAD") != commit:
        shutil.rmtree(CLONE, ignore_errors=True)
        git(ROOT, "clone", "--quiet", str(ROOT), str(CLONE))
        print("run all tests, with coverage: it takes long", flush=True)
        side_by_side = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
        coverage = ["--cov", "--cov-branch", "--cov-context=test", "--cov-report="]
        apart = [f"--ignore=tests/test_{name}.py" for name in APART]
        command = [sys.executable, "-m", "benchmarks.mutation", "--record", *side_by_side, *coverage, *apart]
        subprocess.run(command, check=False, cwd=CLONE)
    git(CLONE, "checkout", "--quiet", ".")


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout.strip()


def checked(files: list[dict[str, list[str]]]) -> tuple[Costs, Costs]:
    """Run what is chosen without mutants. Test -> seconds, for those that pass; file -> seconds."""
    union: dict[str, set[str]] = {}
    for one in files:
        for file, chosen in one.items():
            union.setdefault(file, set()).update(chosen)
    passed: Costs = {}
    seconds: Costs = {}
    for file, names in sorted(union.items()):
        record = Record(CLONE / "build/checked.json")
        record.path.unlink(missing_ok=True)
        _, seconds[file] = run(sorted(names), 600, record)
        passed |= json.loads(record.path.read_text(encoding="utf-8")) if record.path.exists() else {}
    print(f"{sum(map(len, union.values()))} tests reach the sample; without mutants {len(passed)} pass", flush=True)
    return passed, seconds


def noticed(mutant: Mutant, number: int, files: dict[str, list[str]], passed: Costs, seconds: Costs) -> bool:
    """Whether a test fails with the mutant in place."""
    source = mutant.module.read_text(encoding="utf-8")
    try:
        mutant.module.write_text(mutant.code(source), encoding="utf-8")
        os.utime(mutant.module, (number, number))  # compiled modules are told apart by seconds and size
        for file, names in files.items():
            able = [name for name in names if name in passed]
            if able and run(["-x", *able], 5 + SLOWER * seconds[file])[0]:
                return True
    finally:
        mutant.module.write_text(source, encoding="utf-8")
    return False


def interval(hits: int, total: int) -> tuple[float, float]:
    """Wilson's interval at 95 %."""
    share, z = hits / total, 1.96
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - spread) / (1 + z * z / total), (middle + spread) / (1 + z * z / total)


class Plan(NamedTuple):
    """A sample of a folder's mutants, `of` so many, each with the tests that are to be run for it."""

    sample: list[Mutant]
    of: int
    tests: list[dict[str, list[str]]]


def planned(folder: str, asked: argparse.Namespace, reached: Reached) -> Plan:
    """Draw the sample, in an order that is chance as well."""
    modules = [path for path in sorted((CLONE / folder).glob("*.py")) if asked.module in {None, path.stem}]
    everything = [mutant for module in modules for mutant in mutants(module)]
    sample = random.Random(asked.seed).sample(everything, min(asked.count, len(everything)))
    return Plan(sample, len(everything), [reached.chosen(mutant, asked.tests) for mutant in sample])


def measure(name: str, plan: Plan, asked: argparse.Namespace) -> dict[str, object]:
    """Try the mutants, as far as the time goes, and print those that no test noticed."""
    print(f"{name}: {len(plan.sample)} of {plan.of} mutants, seed {asked.seed}", flush=True)
    passed, seconds = checked(plan.tests)
    end = time.monotonic() + 60 * asked.minutes
    hits = tried = 0
    for mutant, tests in zip(plan.sample, plan.tests, strict=True):
        if time.monotonic() > end:
            break
        tried += 1
        if noticed(mutant, tried, tests, passed, seconds):
            hits += 1
            continue
        told = mutant.told(mutant.module.read_text(encoding="utf-8"))
        print(f"{told}\n    {sum(map(len, tests.values()))} tests reach it; {hits} of {tried} noticed", flush=True)
    low, high = interval(hits, tried)
    print(f"{name}: {hits} of {tried} noticed, {hits / tried:.1%} ({low:.1%} to {high:.1%})", flush=True)
    return {
        "commit": git(CLONE, "rev-parse", "HEAD"),
        "seed": asked.seed,
        "tests": asked.tests,
        "mutants": plan.of,
        "sample": tried,
        "noticed": hits,
        "survivors": tried - hits,
        "score": round(hits / tried, 3),
        "interval": [round(low, 3), round(high, 3)],
    }


def main() -> int:
    """Exit status 0, whatever the score is."""
    parser = argparse.ArgumentParser(description="Mutation testing of a sample.")
    parser.add_argument("--count", type=int, default=300, help="mutants of each that are tried; 300 tell it to 5 %%")
    parser.add_argument("--minutes", type=float, default=600, help="for each; what was tried until then is the sample")
    parser.add_argument("--seed", default="1", help="another one draws another sample")
    parser.add_argument("--tests", type=int, default=400, help="tests that are run for a mutant, at most")
    parser.add_argument("--module", help="only mutants of this module, such as mounts")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {RESULTS.name}")
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []])
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = sys.path[0] = str(CLONE)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    prepare()
    os.chdir(CLONE)
    reached = Reached()
    plans = {name: planned(TARGETS[name], asked, reached) for name in asked.target or TARGETS}
    del reached  # forks are quicker without
    found = {name: measure(name, plan, asked) for name, plan in plans.items()}
    if asked.write:
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**kept, **found}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        sys.exit(pytest.main(["--assert=plain", *sys.argv[2:]], [Record(Path(RECORD))]))
    sys.exit(main())
