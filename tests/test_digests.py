"""What this machine knows of an image's digest is with the reference before rules judge it."""

import json

import pytest

from lkscan import scan
from lkscan.cli import USAGE, main
from lkscan.digests import Digests
from lkscan.lockfile import render
from lkscan.rules.funnel import Options
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.references import reference
from lkscan.scanner.subjects import Place

A, B = ("sha256:" + digit * 64 for digit in "ab")


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A lock file with acme/a:1, a cache with acme/a:1 and acme/b:1; gives what is known of a reference in a spec."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "lkscan.lock").write_text(render({"docker.io/acme/a:1": A}))
    (tmp_path / "cache").mkdir()
    entries = [
        {"digest": B, "annotations": {"org.opencontainers.image.ref.name": f"docker.io/acme/{name}:1"}} for name in "ab"
    ]
    (tmp_path / "cache" / "index.json").write_text(json.dumps({"manifests": entries}))
    digests = Digests(LabelFinder(cache="cache"))

    def of(text, spec="linuxkit.yml"):
        found = digests.add(reference(text, "init", Place((spec,))))
        return found.known, found.source

    return of


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("acme/a:1", (A, "lock")),
        ("docker.io/acme/a:1", (A, "lock")),
        ("acme/b:1", (B, "cache")),
        ("acme/c:1", ("", "")),
        (f"acme/a:1@{B}", ("", "")),
        ("@pkg:./a", ("", "")),
        ("${X}", ("", "")),
    ],
)
def test_the_lock_file_comes_before_the_cache(known, text, wanted):
    assert known(text) == known(text, "sub/folder/linuxkit.yml") == wanted


def test_a_scan_offers_what_is_locked(known, tmp_path):
    (tmp_path / "linuxkit.yml").write_text("kernel: {image: acme/a:1}\ninit: [acme/a:1, acme/c:1]\n")
    result = scan(["linuxkit.yml"], options=Options(select=("mutable-image-tag",)))
    offered = [[change.text for change in one.fix.changes] if one.fix else [] for one in result.findings]
    assert offered == [[f"acme/a:1@{A}"], [f"acme/a:1@{A}"], []]


def test_a_damaged_lock_file_is_told_once_and_the_scan_goes_on(known, tmp_path, capsys):
    (tmp_path / "lkscan.lock").write_text("<<<<")
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("kernel: {image: acme/a:1}\ninit: [acme/a]\n")
    assert main(["a.yml", "b.yml", "."]) == USAGE
    printed = capsys.readouterr()
    assert printed.err.count("lkscan.lock: is no TOML") == len(printed.err.splitlines()) == 1
    assert "LKI001" in printed.out
