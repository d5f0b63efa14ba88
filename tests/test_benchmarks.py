"""Figures: the page, README and the plots say what results.json says, and what is met is computed from it."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))
import images  # noqa: E402 - beside the benchmarks, which are no package
import measuring  # noqa: E402
import page  # noqa: E402
import plots  # noqa: E402
from results import RESULTS, Sheet, Table, figures, ratio, row, tables  # noqa: E402

sys.path.remove(str(ROOT / "benchmarks"))
RATIO = {"of": ["part", "Table", "ours", "cpu"], "by": ["part", "Table", "theirs", "cpu"]}


@pytest.fixture(scope="module")
def committed():
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def data(*rows, **more):
    return {"parts": {"part": {"tables": [{"title": "Table", "rows": list(rows), **more}], "missing": {}}}}


def test_the_page_is_made_of_the_committed_figures(committed):
    assert page.PAGE.read_text(encoding="utf-8") == page.text(committed), "run `make bench-docs`"


def test_readme_says_what_the_committed_figures_say(committed):
    text = page.README.read_text(encoding="utf-8")
    assert text == page.readme(text, committed), "run `make bench-docs`"


def test_each_sentence_of_readme_is_in_the_page(committed):
    shown = page.README.read_text(encoding="utf-8").split(page.MARKS[0])[1].split(page.MARKS[1])[0]
    assert shown.splitlines() == [f"- {claim}" for claim in page.claims(committed)]
    assert set(shown.splitlines()) <= set(page.PAGE.read_text(encoding="utf-8").splitlines())


def test_readme_has_figures_of_speed_nowhere_else():
    head, rest = page.README.read_text(encoding="utf-8").split(page.MARKS[0])
    others = head + rest.split(page.MARKS[1])[1]
    assert re.findall(r"\b[\d.]+ (?:s|ms|seconds)\b|\b[\d.]+ times\b|times as (?:fast|long|much)", others) == []


def test_each_curve_has_a_plot_of_its_points_and_so_have_the_targets(committed):
    curves = [table for part in committed["parts"].values() for table in tables(part) if table.x]
    told = {plots.name(table.title): plots.described(table) for table in curves}
    told["benchmarks-targets.svg"] = json.dumps(page.shares(page.verdicts(committed)))
    there = {path.name: path.read_text(encoding="utf-8") for path in page.PAGE.parent.glob("benchmarks-*.svg")}
    assert there.keys() == told.keys()
    for name, text in there.items():
        (shown,) = re.findall(r"<dc:description>(.*?)</dc:description>", text, re.DOTALL)
        assert shown.replace("&quot;", '"') == told[name]


def test_a_plot_is_the_same_each_time_and_tells_no_day():
    table = Table("Title", [{"name": "one", "x": n, "wall": n / 7, "peak": 10 * n} for n in (1, 50)], by="wall", x="n")
    first = plots.curves(table)
    assert first == plots.curves(table)
    assert "<dc:date>" not in first
    assert "prefers-color-scheme: dark" in first


def test_the_committed_figures_tell_of_no_path_and_no_name_of_a_machine(committed):
    text = json.dumps(committed)
    assert str(ROOT) not in text
    assert re.findall(r"/(?:home|root|tmp|work)/", text) == []


def test_each_target_that_is_missed_is_listed_with_a_reason(committed):
    text = page.PAGE.read_text(encoding="utf-8")
    missed = [one.target for one in page.verdicts(committed) if one.value is not None and not one.is_met]
    assert text.count("| **not yet** |") == len(missed)
    assert [one["what"] for one in missed if f"- {one['what']}: " not in text] == []
    assert len({one["what"] for one in page.table_of("targets")["target"]}) == len(page.table_of("targets")["target"])


@pytest.mark.parametrize(
    ("target", "rows", "value", "is_met"),
    [
        ({**RATIO, "most": 2}, [figures("ours", cpu=2), figures("theirs", cpu=1)], 2, True),
        ({**RATIO, "most": 2}, [figures("ours", cpu=2.1), figures("theirs", cpu=1)], 2.1, False),
        ({**RATIO, "least": 2}, [figures("ours", cpu=1), figures("theirs", cpu=1)], 1, False),
        ({**RATIO, "least": 1}, [figures("ours", cpu=1), figures("theirs", cpu=1)], 1, True),
        ({**RATIO, "most": 2}, [figures("ours", cpu=1)], None, False),
        ({**RATIO, "most": 2}, [{"name": "ours", "failed": "exit status 1"}, figures("theirs", cpu=1)], None, False),
        ({"of": ["part", "Table", "*", "cpu"], "most": 2}, [figures("a", cpu=1), figures("b", cpu=3)], 3, False),
        (
            {"of": ["part", "Table", "a", "cpu", 7], "most": 2},
            [{"name": "a", "x": 7, "cpu": 1}, {"name": "a", "x": 8, "cpu": 9}],
            1,
            True,
        ),
        ({"of": ["part", "Table", "a", "count"], "most": 0}, [figures("a", count=0)], 0, True),
        ({"of": ["other", "Table", "a", "cpu"], "most": 2}, [figures("a", cpu=1)], None, False),
    ],
)
def test_whether_a_target_is_met_is_computed(target, rows, value, is_met):
    verdict = page.Verdict(target, page.value(data(*rows), target))
    assert (verdict.value, verdict.is_met) == (value, is_met)


def test_each_target_and_each_claim_leads_to_a_table_that_is_there(committed):
    """Else a heading was renamed; a row may be missing, of a tool that was not there."""
    targets = page.table_of("targets")
    wanted = [*targets["target"], *(one for claim in targets["claim"] for one in claim["figures"])]
    paths = [one[key] for one in wanted for key in ("of", "by") if key in one]
    whole = {name: part for name, part in committed["parts"].items() if "failure" not in part}
    titles = {(name, table.title) for name, part in whole.items() for table in tables(part)}
    assert [path for path in paths if path[0] in whole and tuple(path[:2]) not in titles] == []
    assert {path[0] for path in paths} <= page.table_of("parts").keys()


def test_what_images_are_measured_by_is_among_the_tools_that_unpack_them():
    rivals = {(name, rival.format(name)) for name, commands in images.RIVALS.items() for rival in commands}
    paths = [one[key] for one in page.table_of("targets")["target"] for key in ("of", "by") if key in one]
    asked = {(path[1], path[2]) for path in paths if path[0] == "images" and path[1] in images.RIVALS}
    assert {one for one in asked if one[1] != "lkscan scan"} <= rivals
    assert len(asked) > 20


def test_a_part_that_failed_is_named_and_keeps_what_it_had(committed):
    changed = copy.deepcopy(committed)
    name = next(iter(changed["parts"]))
    changed["parts"][name]["failure"] = "exit status 1: no room"
    assert "**This part failed** (exit status 1: no room)" in page.text(changed)
    assert f"### {tables(changed['parts'][name])[0].title}\n" in page.text(changed)


def test_what_was_found_is_kept_table_by_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LKSCAN_RESULTS", str(tmp_path / "kept"))
    sheet = Sheet()
    sheet.add(Table("First", [figures("a", cpu=1.23456), {"name": "b", "failed": "exit status 2"}], "a"))
    sheet.lacks("a tool", "not installed")
    kept = json.loads((tmp_path / "kept").read_text(encoding="utf-8"))
    assert tables(kept)[0].rows == [{"name": "a", "cpu": 1.2346}, {"name": "b", "failed": "exit status 2"}]
    assert kept["missing"] == {"a tool": "not installed"}
    assert "exit status 2" in capsys.readouterr().out


def test_ratios_are_to_the_row_that_is_named():
    table = Table("Title", [figures("a", cpu=2), figures("b", cpu=5), {"name": "c", "failed": "no"}], "a")
    assert [ratio(table, one) for one in table.rows] == [1, 2.5, None]


def test_what_commands_take_is_measured_and_what_fails_is_told():
    commands = {"well": [sys.executable, "-c", "pass"], "badly": "exit 3", "long": "sleep 9 & wait"}
    found = measuring.measure(commands, 2, limit=1)
    assert found["well"].wall > 0
    assert row("well", found["well"]).keys() == {"name", "wall", "cpu", "peak"}
    assert (found["badly"], found["long"]) == ("exit status 3", "stopped after 1 s")


def test_tools_of_a_command_are_found_and_the_missing_one_named():
    assert measuring.tools("'ls' -l | cat && true; echo") == ["ls", "cat", "true", "echo"]
    assert measuring.missing("ls | no-such-tool -x") == "no-such-tool"
    assert measuring.missing("ls") == ""


def test_parts_that_are_not_known_are_refused_in_one_line():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/all.py", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no part is called nothing: they are specs, images" in done.stderr


def test_each_part_has_its_script():
    parts = page.table_of("parts")
    assert [name for name, part in parts.items() if not (ROOT / "benchmarks" / part["script"]).is_file()] == []
