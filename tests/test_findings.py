"""What is found in specs and images that chance puts together is what was found in them before.

A change that is meant shows in the diff of tests/snapshots/findings, which LKSCAN_SNAPSHOTS=write writes anew. The
tests of the rules say what is right; these hold what rules, labels, exposure and reports make of it together.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator

import chancelab
import pytest
import secretlab
from readinglab import digest, plain
from reportlab import snapshot

from lkscan.cli import main
from lkscan.reports.formats import render
from lkscan.rules.detectors import find
from lkscan.rules.engine import Profile
from lkscan.rules.funnel import Options
from lkscan.scanning import scan

pytestmark = pytest.mark.read_here
EACH = 15
"""Inputs of a test."""
MADE = {"yml": lambda number: chancelab.document(number).encode(), "img": chancelab.image, "tar": chancelab.tree}
"""Kind -> the spec, initrd or root file system of a number."""


def lines(kind, start) -> Iterator[str]:
    """A line for each input: its number, in short all that is found and that JSON says, and how often rules speak."""
    name = f"it.{kind}"
    for number in range(start, start + EACH):
        with open(name, "wb") as file:
            file.write(MADE[kind](number))
        result = scan([name], options=Options(profile=Profile.AUDITOR))
        found = [plain(one) for one in (*result.findings, *result.problems, *result.others)]
        count = Counter(
            f"{one.rule.id}{'' if one in result.findings else '?'}" for one in (*result.findings, *result.others)
        )
        told = " ".join(f"{rule}{f'x{often}' if often > 1 else ''}" for rule, often in sorted(count.items()))
        document = json.loads(render("json", result))
        del document["tool"]
        parts = ("\n".join([*found, plain(result.tally)]), json.dumps(document))
        yield f"{number} {' '.join(digest(one.encode()) for one in parts)} {told}"


@pytest.mark.parametrize("start", range(0, 10 * EACH, EACH))
@pytest.mark.parametrize("kind", ["yml", "img", "tar"])
def test_what_is_found_in_specs_and_images_of_chance_has_not_changed(kind, start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = "".join(f"{line}\n" for line in lines(kind, start))
    assert told == snapshot(f"findings/{kind}-{start}.txt", told)


@pytest.mark.parametrize("start", range(0, 24, 6))
@pytest.mark.parametrize("kind", ["yml", "img", "tar"])
def test_what_differs_between_those_of_chance_has_not_changed(kind, start, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = ""
    for number in range(start, start + 6):
        for name, one in (("old", number), ("new", number + 1)):
            (tmp_path / f"{name}.{kind}").write_bytes(MADE[kind](one))
        main(["diff", f"old.{kind}", f"new.{kind}", "--no-config", "-f", "json"])
        changes = json.loads(capsys.readouterr().out)["changes"]
        count = Counter(f"{one['area']}:{one['judgement']}" for one in changes)
        listed = " ".join(f"{name}x{often}" for name, often in sorted(count.items()))
        told += f"{number} {digest(json.dumps(changes).encode())} {listed}\n"
    assert told == snapshot(f"findings/diff-{kind}-{start}.txt", told)


@pytest.mark.parametrize("start", range(0, 4 * EACH, EACH))
def test_what_differs_between_specs_of_chance_and_what_was_built_has_not_changed(start, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = ""
    for number in (one for one in range(start, start + EACH) if one % 3):  # the others have remarks in odd places
        (tmp_path / "it.yml").write_text(chancelab.document(number), encoding="utf-8")
        (tmp_path / "it.img").write_bytes(chancelab.built(number))
        main(["it.img", "--spec", "it.yml", "--select", "LKD*", "--no-config", "-f", "json"])
        document = json.loads(capsys.readouterr().out)
        found = [document[kind] for kind in ("findings", "proofs", "problems")]
        count = Counter(one["rule"] for one in (*found[0], *found[1]))
        listed = " ".join(f"{rule}x{often}" for rule, often in sorted(count.items()))
        told += f"{number} {digest(json.dumps(found).encode())} {listed}\n"
    assert told == snapshot(f"findings/drift-{start}.txt", told)


@pytest.mark.parametrize("start", range(0, 2 * EACH, EACH))
def test_what_images_of_chance_weigh_has_not_changed(start, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chancelab, "_kernel", lambda *_: b"")  # how small it becomes is the compressor's matter
    told = ""
    for number in range(start, start + EACH):
        (tmp_path / "it.img").write_bytes(chancelab.image(number))
        for kind in ("json", "text"):
            main(["size", "it.img", "--no-config", "-f", kind])
            told += f"{number} {digest(capsys.readouterr().out.encode())}\n"
    assert told == snapshot(f"findings/size-{start}.txt", told)


@pytest.mark.parametrize("start", range(0, 4 * EACH, EACH))
def test_what_is_said_of_kernels_of_chance_has_not_changed(start, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = ""
    for number in range(start, start + EACH):
        texts = chancelab.configuration(number)
        for name, text in zip(("config", "cmdline", "settings"), texts, strict=True):
            (tmp_path / name).write_text(text, encoding="utf-8")
        order = ["kernel", "config", "--no-config", "--cmdline", "cmdline", "--sysctl", "settings"]
        for how in (["-f", "json", "--profile", "auditor"], ["--list"], ["--fragment"]):
            main(order + how)
            told += f"{number} {digest(capsys.readouterr().out.encode())} {how[0]}\n"
    assert told == snapshot(f"findings/kernel-{start}.txt", told)


def bent(text, chance) -> Iterator[str]:
    """A text with a secret, whole and in ways that may make something else of it."""
    at = chance.randrange(len(text))
    yield text
    yield text[:at] + text[at + 1 :]
    yield text[:at] + text[at - 1] + text[at:]
    yield text[: 2 * len(text) // 3]
    yield re.sub(r"\d", "a", text)
    yield re.sub(r"[A-Za-z]", "7", text, count=chance.randrange(30))
    yield text.swapcase()
    yield text[:at] + "EXAMPLE" + text[at:]
    yield text.replace(text[at], "x")
    yield re.sub(r"(\w{3})\w{6}", r"\1\1\1", text)


@pytest.mark.parametrize("start", range(4))
def test_what_is_taken_for_a_secret_has_not_changed(start):
    chance = random.Random(start)
    told: dict[str, list[str]] = {}
    for name, path, text in list(secretlab.positives(1, seed=9))[start::8]:
        for one in bent(text, chance):
            for where, in_spec in ((path, False), ("examples/readme.md", False), ("", True)):
                found = sorted(plain(each) for each in find(one.encode(), in_spec=in_spec, path=where))
                told.setdefault(name, []).append(digest("".join(found).encode())[:2] if found else "-")
    listed = "".join(f"{name} {' '.join(kinds)}\n" for name, kinds in told.items())
    assert listed == snapshot(f"findings/secrets-{start}.txt", listed)
