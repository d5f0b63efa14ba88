"""Start-up stays light: the stand-ins behave as what they stand for, and one spec needs nothing that is heavy."""

import copy
import os
import pickle
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from lkscan.scanner.startup import Any, Literal, NamedTuple, late

ROOT = Path(__file__).resolve().parent.parent


class Ours(NamedTuple):
    """Documented."""

    name: str
    kind: Literal["a", "b"] | None = None
    rest: tuple[Any, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.name}!"

    @classmethod
    def of(cls, name):
        return cls(name, rest=(name,))

    def __str__(self):
        return self.title


class Theirs(typing.NamedTuple):
    """Documented."""

    name: str
    kind: typing.Literal["a", "b"] | None = None
    rest: tuple[typing.Any, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.name}!"

    @classmethod
    def of(cls, name):
        return cls(name, rest=(name,))

    def __str__(self):
        return self.title


@pytest.mark.parametrize(
    "ask",
    [
        lambda made: made("x"),
        lambda made: made(name="x", kind="a"),
        lambda made: made.of("x"),
        lambda made: made.of("x").rest,
        lambda made: str(made("x")),
        lambda made: made("x").title,
        lambda made: made("x")._replace(kind="b"),
        lambda made: made("x")._asdict(),
        lambda made: repr(made("x", "b", (1,))).partition("(")[2],
        lambda made: made._fields,
        lambda made: made._field_defaults,
        lambda made: made.__doc__,
        lambda made: made.__module__,
        lambda made: list(made.__annotations__),
        type,
        lambda made: made("x") == ("x", None, ()),
        lambda made: hash(made("x")),
        lambda made: pickle.loads(pickle.dumps(made("x"))),
        lambda made: copy.deepcopy(made("x")),
    ],
)
def test_a_named_tuple_is_what_typing_makes_of_the_same_class(ask):
    assert ask(Ours) == ask(Theirs)


def test_a_named_tuple_refuses_what_typings_refuses():
    for made in (Ours, Theirs):
        with pytest.raises(TypeError):
            made()
        with pytest.raises(AttributeError):
            made("x").name = "y"


def test_a_late_pattern_answers_as_a_compiled_one():
    for text, flags in ((r"(?P<a>x+)|y", 0), (rb"X", re.IGNORECASE)):
        mine, plain = late(text, flags), re.compile(text, flags)
        subject = "axxby" if isinstance(text, str) else b"axxby"
        for name in ("match", "fullmatch", "search"):
            for _ in range(2):
                mine_found, found = getattr(mine, name)(subject), getattr(plain, name)(subject)
                assert (mine_found and mine_found.span()) == (found and found.span())
        assert mine.findall(subject) == plain.findall(subject)
        assert mine.sub(subject[:1], subject) == plain.sub(subject[:1], subject)
        assert (mine.pattern, mine.flags, mine.groups) == (plain.pattern, plain.flags, plain.groups)
        assert copy.deepcopy(mine).findall(subject) == plain.findall(subject)


def test_a_late_pattern_that_is_wrong_fails_where_it_is_used():
    pattern = late("(")
    with pytest.raises(re.error):
        pattern.match("x")


def _after_a_scan(program):
    """What a fresh process prints that runs `program` first and then scans an example."""
    script = f"import sys\nsys.argv = ['lkscan', 'examples/bad.yml', '-f', 'text']\n{program}\n"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "LKSCAN_DATE": "2026-01-01", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""},
    )
    return done.stderr.split()


def test_linting_a_spec_imports_nothing_heavy():
    """Named modules cost a millisecond or more each, of some forty; each belongs where it is needed."""
    heavy = {"typing", "dataclasses", "inspect", "json", "hashlib", "logging", "pathlib", "subprocess", "tempfile"}
    heavy |= {"jsonschema", "sarif_om", "tomli_w", "urllib.parse", "importlib.metadata", "ast", "textwrap", "shutil"}
    heavy |= {"yaml.constructor", "yaml.nodes", "tomli", "datetime"}
    program = (
        "before = set(sys.modules)\nfrom lkscan.cli import main\nmain()\n"
        "print(*set(sys.modules) - before, file=sys.stderr)"
    )
    _after_a_scan(program)  # the first run parses the tables, and keeps them as modules are kept
    loaded = _after_a_scan(program)
    assert "lkscan.reports.text" in loaded
    assert heavy & set(loaded) == set()


def test_a_word_of_argparse_is_not_looked_up_in_translations():
    loaded = _after_a_scan(
        "from lkscan.cli import main\nmain()\nprint(*sys.modules, 'argparse' in sys.modules, file=sys.stderr)"
    )
    assert loaded[-1] == "True"
    assert "gettext" not in loaded


@pytest.mark.parametrize("paths", [["a.yml"], ["a.yml", "-", "b.iso"]])
def test_an_order_without_options_is_what_argparse_makes_of_it(paths):
    from lkscan import cli, parsers
    from lkscan.commands import scan

    command, order = cli._order("scan", paths)
    parser = parsers.parser_of("scan")
    scan.add_options(parser)
    assert command is scan
    assert vars(order) == vars(parser.parse_args(paths))


def test_rules_compile_no_pattern_as_they_are_imported():
    compiled = _after_a_scan(
        "import re\ncompile, found = re.compile, []\n"
        "def watched(*arguments):\n"
        "    name = sys._getframe(1).f_globals['__name__']\n"
        "    found.append(name) if name.startswith('lkscan.rules') else None\n"
        "    return compile(*arguments)\n"
        "re.compile = watched\nimport lkscan.rules.catalogue\nprint(*found, file=sys.stderr)"
    )
    assert compiled == [], "use scanner.startup.late"


@pytest.mark.parametrize("first", ["", "import threading", "sys.setprofile(lambda *_: None)"])
def test_a_quick_end_still_does_what_was_registered_for_it(first):
    """And gives all of the report, through a pipe, with the status."""
    script = (
        "import atexit, sys\natexit.register(print, 'the end')\nsys.argv = ['lkscan', 'examples/bad.yml']\n"
        f"{first}\nfrom lkscan.cli import run\nrun()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    *report, last = done.stdout.splitlines()
    assert (done.returncode, last, done.stderr) == (1, "the end", "")
    assert "the end" not in report
    assert any("hidden" in line for line in report)
