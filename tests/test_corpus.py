"""The noise budget: the committed figures are whole, and what measures them sees failures and excess."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from lkscan.rules.catalogue import RULES

ROOT = Path(__file__).resolve().parent.parent
HEADER = "local_path,repo,path,commit,era\n"
PROFILES = ["regular", "pedantic", "auditor"]


@pytest.fixture(scope="module")
def corpus():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import corpus
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return corpus


@pytest.fixture(scope="module")
def snapshot(corpus):
    return json.loads(corpus.SNAPSHOT.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path):
    """A corpus of two repositories: a bad spec at its head, and LinuxKit's examples with a good one."""
    shutil.copy(ROOT / "examples/bad.yml", tmp_path / "bad.yml")
    shutil.copy(ROOT / "examples/exemplary.yml", tmp_path / "good.yml")
    rows = [f"bad.yml,someone/something,x/linuxkit.yml,{'a' * 40},head"]
    rows += [f"good.yml,linuxkit/linuxkit,examples/good.yml,{'b' * 40},head"]
    (tmp_path / "INDEX.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def figures(corpus, folder):
    return corpus.summary(
        [corpus.scan(folder, entry, name) for name in corpus.PROFILES for entry in corpus.entries(folder)]
    )


def test_the_committed_run_had_no_failure_and_scanned_every_file_in_each_profile(snapshot):
    files = sum(row["files"] for row in snapshot["repositories"])
    assert snapshot["failures"] == []
    assert {name: sum(counts.values()) for name, counts in snapshot["statuses"].items()} == dict.fromkeys(
        PROFILES, files
    )
    assert all(set(counts) <= set("0123") for counts in snapshot["statuses"].values())


def test_the_committed_run_names_each_repository_with_its_commit_in_order(snapshot):
    names = [(row["repository"], row["commit"]) for row in snapshot["repositories"]]
    assert names == sorted(set(names))
    assert all(len(commit) == 40 and int(commit, 16) and name.count("/") == 1 for name, commit in names)


def test_the_committed_run_knows_rules_by_their_lasting_ids_and_names(snapshot):
    names = {rule.id: rule.name for rule in RULES}
    assert {identity: rule["name"] for identity, rule in snapshot["rules"].items()}.items() <= names.items()
    for rule in snapshot["rules"].values():
        assert list(rule["repositories"]) == PROFILES
        regular, pedantic, auditor = rule["repositories"].values()
        assert 0 <= rule["regular_below_high"] <= regular <= pedantic <= auditor <= snapshot["repositories_with_spec"]


def test_the_committed_run_has_every_population_of_the_budget(corpus, snapshot):
    assert set(corpus.BUDGETED) < set(snapshot["populations"])
    for row in snapshot["populations"].values():
        assert row["findings"]["regular"] <= row["findings"]["pedantic"] <= row["findings"]["auditor"]


def test_a_run_counts_by_population_and_repository(corpus, folder):
    found = figures(corpus, folder)
    assert found["failures"] == []
    assert found["statuses"]["regular"] == {"0": 1, "1": 1}
    assert found["repositories_with_spec"] == 1
    assert found["rules"]["LKP002"]["repositories"] == dict.fromkeys(PROFILES, 1)
    assert found["populations"]["third parties"]["containers"] == 7
    assert found["populations"]["LinuxKit's examples"]["findings"]["regular"] == 0
    assert found == figures(corpus, folder)


def test_what_is_over_the_budget_is_told(corpus, folder):
    found = figures(corpus, folder)
    row = found["populations"]["third parties"]
    row["findings"]["regular"] = 2 * row["containers"]
    minor = [identity for identity, rule in found["rules"].items() if rule["regular_below_high"]]
    assert [line.split()[0] for line in corpus.excess(found)] == minor
    assert "LKA001" not in minor, "a rule of severity high may fire everywhere"
    row["findings"]["regular"] += 1
    assert corpus.excess(found)[0] == "third parties: 2.14 findings a container, more than 2"
    assert any(line.startswith("  third parties") and line.endswith("OVER") for line in corpus.tables(found))


def test_the_committed_run_keeps_the_budget(corpus, snapshot):
    assert corpus.excess(snapshot) == []


def test_what_two_runs_tell_differently_is_named(corpus, snapshot):
    assert corpus.differing(snapshot, snapshot) == []
    other = json.loads(json.dumps(snapshot))
    other["rules"]["LKP002"]["repositories"]["regular"] += 1
    del other["rules"]["LKA001"]
    other["statuses"]["regular"]["0"] += 1
    assert corpus.differing(snapshot, other) == corpus.differing(other, snapshot) == ["statuses", "LKA001", "LKP002"]


@pytest.mark.parametrize(
    "fault", [lambda _: 1 // 0, lambda _: sys.exit(7), lambda _: sys.stdout.write('{"problems": []}') and 4]
)
def test_an_exception_an_exit_and_a_strange_status_are_failures(corpus, folder, monkeypatch, fault):
    monkeypatch.setattr(corpus, "lkscan", fault)
    (entry, _) = corpus.entries(folder)
    assert corpus.scan(folder, entry, "regular").failure


def test_a_rule_that_breaks_is_a_failure(corpus, folder, monkeypatch):
    from lkscan.rules import engine

    monkeypatch.setattr(engine.Rule, "verdicts", lambda *_: 1 // 0)
    (entry, _) = corpus.entries(folder)
    assert "LKP002 failed: ZeroDivisionError" in corpus.scan(folder, entry, "regular").failure
