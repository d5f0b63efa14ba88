"""`lkscan report`: what is made of a saved report is what the scan would have made, and no saved report can do harm."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from htmllab import hostile, image_page
from hypothesis import given, settings
from hypothesis import strategies as st
from imagelab import Item, newc
from reportlab import UNDECIDED, image_result, spec_result, traced_result

from lkscan.cli import FINDINGS, OK, USAGE, main
from lkscan.reports import formats
from lkscan.reports.saved import SavedError, load
from lkscan.rules.baseline import Comparison, Entry
from lkscan.rules.engine import Outcome, Severity
from lkscan.rules.funnel import Result
from lkscan.rules.kernel import set_today

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def proved() -> Result:
    """A result with a pass that is worth telling."""
    return spec_result()._replace(proofs=(UNDECIDED._replace(outcome=Outcome.PASS),))


RESULTS = {
    "spec": spec_result,
    "proved": proved,
    "traced": traced_result,
    "image": image_page,
    "files": image_result,
    "hostile": hostile,
    "nothing": Result,
}
OPTIONS = {"sarif": ({}, {"everything": True, "silenced": True}), "text": ({}, {"color": True, "width": 80})}
EACH = [
    (name, result, known) for known in (formats.FORMATS, formats.COMPLIANCE) for name in known for result in RESULTS
]


@pytest.fixture(autouse=True)
def _today(monkeypatch):
    monkeypatch.setenv("LKSCAN_DATE", "2026-01-01")
    yield
    set_today(None)


def saved(result: Result) -> dict:
    return json.loads(formats.render("json", result, version="1.2.3"))


def again(document: object) -> Result:
    return load(json.dumps(document).encode()).result


@pytest.mark.parametrize(("name", "made", "known"), EACH, ids=[f"{made}-{name}" for name, made, _ in EACH])
def test_every_format_of_a_saved_result_is_that_of_the_result_itself(name, made, known):
    result = RESULTS[made]()
    back = again(saved(result))
    for more in OPTIONS.get(name, ({},)):
        options = {"version": "1.2.3", "root": "/srv", **more}
        assert formats.render(name, back, known, **options) == formats.render(name, result, known, **options)


def test_what_came_of_a_baseline_is_told_again():
    entry = Entry("a.yml", "LKP902", "test-host-root", Severity.HIGH, "services/a", "0" * 32, "It was.", "why", ("a",))
    result = spec_result()._replace(
        baselined=spec_result().suppressed, suppressed=(), baseline=Comparison((), (entry,), 3)
    )
    back = again(saved(result))
    assert back.baseline == result.baseline
    for name in ("text", "json"):
        assert formats.render(name, back) == formats.render(name, result)


def test_hidden_findings_count_in_the_assessment():
    hidden = spec_result().findings[1]
    result = spec_result()._replace(findings=(), quiet=(hidden,) * 3, hidden=3)
    assert "3 findings that only --profile" in formats.render("text", again(saved(result)), formats.COMPLIANCE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A spec with all kinds of things to tell, and an image with a name that is no UTF-8."""
    shutil.copy(EXAMPLES / "bad.yml", tmp_path / "bad.yml")
    with (tmp_path / "bad.yml").open("a") as file:
        file.write("# lkscan: ignore-file[LKN001] we know\n")
    items = [
        Item("etc/\udcff\udcfe", mode=0o100666, data=b"x"),
        Item("etc/shadow", mode=0o100644, data=b"root::1::::::\n"),
    ]
    (tmp_path / "initrd.img").write_bytes(newc(*items))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", os.devnull)
    return tmp_path


FILES = ("a.txt", "a.json", "a.sarif", "a.md", "a.xml", "a.gitlab.json", "a.html")


@pytest.mark.parametrize("profile", ["regular", "linuxkit", "auditor"])
@pytest.mark.parametrize("name", ["bad.yml", "initrd.img"])
def test_the_command_writes_what_the_scan_writes(folder, name, profile, capsys):
    def outputs(where: str) -> list[str]:
        (folder / where).mkdir()
        return [word for file in FILES for word in ("-o", f"{where}/{file}")]

    main([name, "--profile", profile, "--sarif-all", *outputs("scanned"), "-f", "github"])
    printed = capsys.readouterr().out
    assert main(["report", "scanned/a.json", "--sarif-all", *outputs("told"), "-f", "github"]) == OK
    assert capsys.readouterr().out == printed
    for file in FILES:
        assert (folder / "told" / file).read_bytes() == (folder / "scanned" / file).read_bytes(), file


def test_an_assessment_is_made_of_a_saved_scan(folder, capsys):
    main(["bad.yml", "-o", "a.json"])
    capsys.readouterr()
    main(["compliance", "bad.yml", "-f", "oscal"])
    printed = capsys.readouterr().out
    assert main(["report", "a.json", "--compliance", "-f", "oscal"]) == OK
    assert capsys.readouterr().out == printed


def test_the_exit_status_is_that_of_findings_only_where_it_is_asked_for(folder, capsys, monkeypatch):
    main(["bad.yml", "-o", "a.json"])
    assert main(["report", "a.json", "--fail-on", "high"]) == FINDINGS
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / "a.json").read_bytes())))
    capsys.readouterr()
    assert main(["report", "-", "-f", "github"]) == OK
    assert "::error" in capsys.readouterr().out


SECRETS = """\
services:
  - name: a
    image: nginx:1
    env: [TOKEN=env-s3cr3t]
    command: [run, --key, arg-s3cr3t]
    mounts:
      - {type: cifs, source: //h/s, destination: /m, options: ['password=opt-s3cr3t']}
files:
  - {path: etc/pw, contents: 'password: file-s3cr3t-hunter2'}  # comment-s3cr3t
"""


def test_no_secret_of_a_container_or_text_is_saved(folder):
    (folder / "s.yml").write_text(SECRETS)
    main(["s.yml", "--profile", "auditor", "-o", "a.json"])
    document = json.loads((folder / "a.json").read_text())
    (container,) = document["systems"][0]["containers"]
    (mount,) = (one for one in container["config"]["mounts"] if one["destination"] == "/m")
    assert mount["options"] == ["password=\N{HORIZONTAL ELLIPSIS}"]
    assert "s3cr3t" not in json.dumps([document["systems"], document["sources"]])


# --- hostile and broken files


def mutated(change: Callable[[dict], object], result: Callable[[], Result] = spec_result) -> dict:
    document = saved(result())
    change(document)
    return document


BROKEN = {
    "no object": lambda d: d.clear(),
    "another version": lambda d: d.update(version=2),
    "an unknown rule": lambda d: d["findings"][0].update(rule="LKZ999"),
    "a path for a rule's name": lambda d: d["rules"]["LKP902"].update(name="../../etc/passwd"),
    "a subject that is none": lambda d: d["rules"]["LKP902"].update(subject="a.b"),
    "a flood of hidden findings": lambda d: d["rules"]["LKP902"].update(hidden=10**12),
    "a line that is none": lambda d: d["findings"][0]["locations"][0].update(line="1"),
    "a score beyond all": lambda d: d["systems"][0]["containers"][0]["exposure"].update(at_least=1e9),
    "no config": lambda d: d["systems"][0]["containers"][0].pop("config"),
    "names that are no base64": lambda d: d.update(names={"a": "\N{SNOWMAN}"}),
    "names that are no UTF-16": lambda d: d.update(names={"a": "YQ=="}),
    "a risk that is none": lambda d: d["rules"]["LKP902"].update(nist=["3.2.5"]),
    "an entry of a baseline that is none": lambda d: d.update(stale=[{"path": 1}]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_report_is_refused_in_one_line(name, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(mutated(BROKEN[name])))
    assert main(["report", str(path)]) == USAGE
    output, complaint = capsys.readouterr()
    assert output == ""
    assert complaint.startswith(f"lkscan: {path}: ")
    assert complaint.count("\n") == 1
    assert len(complaint) < 400


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"version": NaN}', "is no JSON"),
        (b"[]", "is no JSON report of lkscan"),
        (b'{"version": 1, "findings": []}', "scan again"),
    ],
)
def test_what_is_no_report_is_said_to_be_none(data, why):
    with pytest.raises(SavedError, match=why):
        load(data)


def test_a_day_that_is_none_is_refused(tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(mutated(lambda d: d.update(date="2026-99-99"))))
    assert main(["report", str(path)]) == USAGE
    assert "contradicts itself" in capsys.readouterr().err


def test_a_file_that_is_not_there_and_formats_of_the_other_kind_are_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none.json")]) == USAGE
    assert "No such file" in capsys.readouterr().err
    assert main(["report", "x", "-f", "oscal"]) == USAGE
    assert "add --compliance" in capsys.readouterr().err
    assert main(["report", "x", "-f", "sarif", "--compliance"]) == USAGE
    assert "leave out --compliance" in capsys.readouterr().err


def test_words_of_a_saved_report_cannot_act_on_the_terminal():
    def change(document):
        for rule in document["rules"].values():
            rule.update(remedy="\x1b]0;evil\x07", summary="\x1b[2J")
        for item in document["systems"][0]["containers"][0]["exposure"]["items"]:
            item["label"] = "\x1b[31m"
        document["findings"][0].update(message="\x1b[41m", evidence=["\x1b[42m"], subject="\x1b")
        document["promises"] = [
            {"path": "linuxkit.yml", "name": "\x1b", "says": "\x1b", "state": "broken", "rules": [], "reason": "\x1b"}
        ]
        document["promises"][0]["findings"] = []

    back = again(mutated(change))
    for name in ("text", "markdown", "github", "junit"):
        assert "\x1b" not in formats.render(name, back)


def test_a_template_of_a_saved_report_is_never_filled_in():
    back = again(mutated(lambda d: d["rules"]["LKP902"]["messages"].update(default="'{0.__class__}' {1:9999999999}")))
    assert "__class__" not in formats.render("text", back)


LEAVES = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5)
VALUES = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.text(max_size=3), LEAVES, max_size=2)
DOCUMENTS = [saved(made()) for made in (spec_result, image_page)]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The ways to all values in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(way for key, one in inner for way in places(one, (*path, key)))]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_value_bent_anywhere_is_refused_or_shown(data):
    document = json.loads(json.dumps(data.draw(st.sampled_from(DOCUMENTS))))
    way = data.draw(st.sampled_from(places(document)[1:]))
    holder = document
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = data.draw(VALUES)
    try:
        back = load(json.dumps(document).encode()).result
    except SavedError:
        return
    for name in ("text", "json", "html", "sarif", "junit"):
        formats.render(name, back)
    formats.render("json", back, formats.COMPLIANCE)
