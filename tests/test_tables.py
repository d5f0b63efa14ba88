"""Tables of facts: what was kept of a table never outlives a change of it, and is never needed."""

import os
from pathlib import Path

import pytest
import tomli

from lkscan.rules import tables

FOLDER = Path(tables.__file__).parent / "tables"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_FOLDER", str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    tables.load.cache_clear()
    yield tmp_path
    tables.load.cache_clear()


def reload(name):
    tables.load.cache_clear()
    return tables.load(name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_table_is_what_its_toml_says(path):
    assert reload(path.stem) == reload(path.stem) == tomli.loads(path.read_text(encoding="utf-8"))


def test_a_change_of_a_table_counts_at_once(folder):
    path = folder / "facts.toml"
    path.write_text("a = [1, 2.5, true, 'x']\n", encoding="utf-8")
    assert reload("facts") == reload("facts") == {"a": [1, 2.5, True, "x"]}
    assert list((folder / "__pycache__").iterdir())
    path.write_text("a = 'other'\n", encoding="utf-8")
    assert reload("facts") == {"a": "other"}
    os.utime(path, (0, 0))
    assert reload("facts") == {"a": "other"}


def test_a_table_is_read_where_nothing_can_be_kept(folder, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (folder / "facts.toml").write_text("a = 1\n", encoding="utf-8")
    assert reload("facts") == reload("facts") == {"a": 1}
    assert not (folder / "__pycache__").exists()
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (folder / "__pycache__").write_text("a file in the way", encoding="utf-8")
    assert reload("facts") == {"a": 1}


def test_a_table_that_is_not_there_is_an_error(folder):
    with pytest.raises(FileNotFoundError):
        tables.load("gone")
