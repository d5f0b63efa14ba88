"""A fix does what it claims, and nothing besides: on the pages' own examples, and on the command line."""

import errno
import os
import stat

import pytest
from test_pages import blocks

from lkscan import pinning
from lkscan.cli import FINDINGS, INCOMPLETE, OK, USAGE, main
from lkscan.fixing import mend
from lkscan.inputs import Input
from lkscan.lockfile import render
from lkscan.rules.catalogue import RULES
from lkscan.rules.engine import Finding, Fix, Location, Outcome, Profile
from lkscan.rules.funnel import Options, Result
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.references import address
from lkscan.scanner.subjects import Change, Place
from lkscan.scanner.yamlpos import decode
from lkscan.scanning import scan_inputs


def only(rule):
    """A scan that shows the findings of one rule, all others having been run, too."""

    def scan(document: Input) -> Result:
        options = Options(Profile.AUDITOR, require_reason=rule.name == "ignore-without-reason")
        result = scan_inputs([document], options, LabelFinder())
        return result._replace(findings=tuple(one for one in result.findings if one.rule.id == rule.id))

    return scan


def examples(rule):
    """The blocks of its page that it fires in, by the name that their kind has."""
    for text, lines in blocks(rule):
        if lines:
            kind = "build.yml" if text.startswith("image:") or "\nimage:" in text else "linuxkit.yml"
            yield kind, text.encode()


@pytest.fixture(scope="module")
def digests():
    """A lock file's text with a digest for every image that a page names."""
    pages = [pinning.read(*one) for rule in RULES for one in examples(rule)]
    specs = [page for page in pages if isinstance(page, pinning.Document)]
    names = {name for spec in specs for name in pinning.unknown(spec, {}, update=False) if address(name)}
    return render(dict.fromkeys(names, "sha256:" + "0" * 64))


@pytest.fixture
def locked(digests, tmp_path, monkeypatch):
    """The folder that the examples are in: all images are locked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lkscan.lock").write_text(digests)


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.autofix], ids=lambda rule: rule.name)
def test_what_a_rule_says_of_its_fixes_is_true_of_its_page(rule):
    safely = sum(len(mend(*one, only(rule))[0].mended) for one in examples(rule))
    assert bool(safely) is (rule.autofix == "safe")
    mended = [mend(*one, only(rule), unsafe=True)[0] for one in examples(rule)]
    assert any(one.mended for one in mended)
    assert not any(one.failure for one in mended)
    assert not any(left.reason.startswith("it came up") for one in mended for left in one.left)


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_only_rules_that_say_so_offer_fixes(rule):
    fixes = [
        one.fix for example in examples(rule) for one in only(rule)(Input("spec", example[:1], (example,))).findings
    ]
    assert {("safe" if fix.safe else rule.autofix) for fix in fixes if fix} <= {rule.autofix}


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.autofix], ids=lambda rule: rule.name)
def test_mending_twice_changes_nothing_more(rule):
    for path, data in examples(rule):
        once = mend(path, data, only(rule), unsafe=True)[0].after
        assert mend(path, once, only(rule), unsafe=True)[0].after == once


# --- what is promised of a file


def stub(changes, *, stays=False, safe=True):
    """A scan that finds one thing until its change is made, or for ever."""

    def scan(document):
        text = decode(document.documents[0][1])
        fix = Fix("mend it", tuple(Change(*one) for one in changes), safe)
        found = Finding(RULES[0], Outcome.FAIL, "x", (Location(SPEC),), ("x",), "default", "", "", (), 0, 0, 0, fix)
        return Result(findings=(found,) if stays or "bad" in text else ())

    return scan


SPEC = Place(("a.yml",), None, "bad")


def test_a_file_is_left_alone_when_a_fix_does_not_keep_its_claim():
    mended, _ = mend("a.yml", b"bad: 1\nb: 2\n", stub([("set", SPEC._replace(pointer=""), "3", "c")], stays=True))
    assert (mended.after, mended.mended) == (b"bad: 1\nb: 2\n", ())
    assert "would still be found" in mended.failure


def test_what_cannot_be_changed_is_left_with_the_reason():
    mended, _ = mend("a.yml", b"bad: &x {k: 1}\nb: *x\n", stub([("remove", SPEC, "", "")]))
    assert mended.after == mended.before
    assert [left.reason for left in mended.left] == ["the text would be no valid YAML: the alias *x names no anchor"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_the_encoding_stays(encoding):
    data = "bad: 1\r\né: 2\r\n".encode(encoding)
    mended, _ = mend("a.yml", data, stub([("remove", SPEC, "", "")]))
    assert mended.after == "é: 2\r\n".encode(encoding)


def test_unsafe_fixes_wait_to_be_asked_for():
    scan = stub([("remove", SPEC, "", "")], safe=False)
    assert mend("a.yml", b"bad: 1\nb: 2\n", scan)[0].after == b"bad: 1\nb: 2\n"
    assert mend("a.yml", b"bad: 1\nb: 2\n", scan, unsafe=True)[0].after == b"b: 2\n"


# --- the command

BAD = """\
# why this is so
kernel:
  image: linuxkit/kernel:6.12.59
  cmdline: "console=tty0 mitigations=off  nokaslr"  # for speed
init: [linuxkit/init:b5506cc74a6812dc40982cacfd2f4328f8a4b12a]
files:
  - path: etc/motd
    contents: hello
    mode: 0644  # octal
"""
MENDED = BAD.replace("0644", '"0644"')


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    path = tmp_path / "linuxkit.yml"
    path.write_text(BAD)
    path.chmod(0o640)
    return path


def test_a_spec_is_mended_in_place_and_keeps_its_mode(spec, capsys):
    assert main(["fix", "linuxkit.yml"]) == OK
    assert spec.read_text() == MENDED
    assert stat.S_IMODE(spec.stat().st_mode) == 0o640
    told = capsys.readouterr()
    assert "linuxkit.yml:9:11: LKS002 schema-violation: write the value as LinuxKit takes it\n" in told.out
    assert "take 'nokaslr' off the command line - left: not safe: --unsafe does it\n" in told.out
    assert told.out.endswith("1 finding mended, 2 left.\n")
    assert main(["fix", "linuxkit.yml", "--check"]) == OK


def test_unsafe_fixes_of_one_line_take_turns(spec, capsys):
    assert main(["fix", "linuxkit.yml", "--unsafe"]) == OK
    assert spec.read_text() == MENDED.replace(" mitigations=off  nokaslr", "")
    assert capsys.readouterr().out.endswith("3 findings mended.\n")


def test_a_diff_writes_nothing_and_can_be_applied(spec, capsys):
    assert main(["fix", "linuxkit.yml", "--diff"]) == FINDINGS
    assert spec.read_text() == BAD
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[:2] == ["--- a/linuxkit.yml", "+++ b/linuxkit.yml"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-    mode: 0644  # octal", '+    mode: "0644"  # octal']
    assert "1 finding would be mended" in told.err


def test_a_diff_tells_of_a_missing_newline_and_has_colours_when_asked(spec, capsys):
    spec.write_text(BAD.rstrip("\n"))
    assert main(["fix", "linuxkit.yml", "--diff", "--color", "always"]) == FINDINGS
    out = capsys.readouterr().out
    assert out.count("\\ No newline at end of file\n") == 2
    assert '\x1b[32m+    mode: "0644"  # octal\x1b[0m\n' in out


def test_a_check_writes_nothing_and_says_what_would_be_done(spec, capsys):
    assert main(["fix", "linuxkit.yml", "--check"]) == FINDINGS
    assert spec.read_text() == BAD
    assert capsys.readouterr().out.endswith("1 finding would be mended, 2 left.\n")


@pytest.mark.parametrize("option", ["--select=LKC*", "--ignore=LKS002"])
def test_what_is_not_shown_is_not_mended(spec, option):
    assert main(["fix", "linuxkit.yml", option]) == OK
    assert spec.read_text() == BAD


def test_what_is_silenced_is_not_mended(spec):
    spec.write_text(silenced := BAD.replace("# octal", "# lkscan: ignore[LKS002] our builder takes it"))
    assert main(["fix", "linuxkit.yml", "--unsafe", "--ignore=LKC*"]) == OK
    assert spec.read_text() == silenced


def test_no_directive_comes_to_silence_what_it_was_not_written_for(spec, capsys):
    spec.write_text(
        "services:\n  - name: a\n    image: nginx:1.27\n    binds:\n"
        "      # lkscan: ignore[LKM002] a copy\n      - /srv:/srv\n      - /etc:/etc\n      - /srv:/srv\n"
    )
    before = spec.read_text()
    assert main(["fix", "linuxkit.yml", "--ignore=LKS006"]) == USAGE
    assert spec.read_text() == before
    assert "a directive would come to silence LKM002" in capsys.readouterr().err


def test_standard_input_comes_out_mended(spec, capfdbinary, monkeypatch):
    with spec.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["fix", "-"]) == OK
    told = capfdbinary.readouterr()
    assert told.out == MENDED.encode()
    assert b"1 finding mended" in told.err


def test_a_folder_is_mended_whole_and_foreign_files_are_left(spec, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.yml").write_text(BAD)
    (tmp_path / "workflow.yml").write_text(foreign := "on: push\nmode: 0644\n")
    assert main(["fix", "."]) == OK
    assert spec.read_text() == (tmp_path / "more/b.yml").read_text() == MENDED
    assert (tmp_path / "workflow.yml").read_text() == foreign
    assert capsys.readouterr().out.endswith("2 findings mended, 4 left.\n")


def test_a_symbolic_link_is_not_followed(spec, tmp_path, capsys):
    (tmp_path / "link.yml").symlink_to(spec)
    assert main(["fix", "link.yml"]) == USAGE
    assert spec.read_text() == BAD
    assert "link.yml: is a symbolic link; name the file that it leads to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"\x1f\x8b\x08rest", USAGE, "is an image: only specs and packages can be mended"),
        (b"services: [\n", INCOMPLETE, "cannot be read as YAML"),
        (b"on: push\n", USAGE, "not a LinuxKit spec"),
        (b"", USAGE, "the file is empty"),
        (b"services:\n  - \xff\n", INCOMPLETE, "not valid UTF-8"),
    ],
)
def test_what_is_no_spec_is_refused_in_one_line(tmp_path, capsys, content, status, said):
    (tmp_path / "x").write_bytes(content)
    assert main(["fix", str(tmp_path / "x")]) == status
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert (tmp_path / "x").read_bytes() == content


def test_foreign_yaml_is_passed_over_without_a_word_for_hooks(tmp_path, capsys):
    (tmp_path / "x.yml").write_text("on: push\n")
    assert main(["fix", "--if-linuxkit", str(tmp_path / "x.yml")]) == OK
    assert capsys.readouterr() == ("", "")


def test_a_file_that_cannot_be_written_stays_and_that_is_told(spec, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", refuse)
    assert main(["fix", "linuxkit.yml"]) == USAGE
    assert spec.read_text() == BAD
    assert "linuxkit.yml: cannot be written: Read-only file system" in capsys.readouterr().err
