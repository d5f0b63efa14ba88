"""A change to a document touches what it is about and nothing else: not a comment, not a space, not a line ending."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lkscan.scanner.subjects import Change, Place, Span
from lkscan.scanner.yamlpatch import Edit, apply, edits, quoted
from lkscan.scanner.yamlpos import parse
from lkscan.scanner.yamltext import PatchError


def at(pointer: str, span: Span | None = None) -> Place:
    return Place(("spec.yml",), span, pointer)


def change(action: str, pointer: str, text: str = "", key: str = "") -> Change:
    return Change(action, at(pointer), text, key)


def patched(text: str, *changes: Change) -> str:
    return apply(text, edits(text, changes))


def remove(*pointers: str) -> tuple[Change, ...]:
    return tuple(change("remove", pointer) for pointer in pointers)


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("a: 1\nb: 2\nc: 3\n", remove("b"), "a: 1\nc: 3\n"),
        ("a: 1\nb: 2", remove("b"), "a: 1\n"),
        ("a: 1\nb: 2\nc: 3", remove("b", "c"), "a: 1\n"),
        ("a: 1\r\nb: 2\r\nc: 3\r\n", remove("b"), "a: 1\r\nc: 3\r\n"),
        ("a: 1\r\nb: 2", remove("b"), "a: 1\r\n"),
        ("a: |\n  x\nb: 2", remove("b"), "a: |\n  x\n"),
        ("a: 1\nb: # why\n  - x\n  # one\n  - y  # gone\n# two\nc: 3\n", remove("b"), "a: 1\n  # one\n# two\nc: 3\n"),
        ("l:\n- a\n- b  # gone\n# kept\n- c\n", remove("l[1]"), "l:\n- a\n# kept\n- c\n"),
        ("l:\n  - a\n  - b\n", remove("l[0]", "l[1]"), "l: []\n"),
        ("l:  # why\n  - a\n  # kept\n  - b\nm: 1\n", remove("l[0]", "l[1]"), "l: []  # why\n  # kept\nm: 1\n"),
        ("l:\n  - k: 1\n    m: 2\n", remove("l[0].k"), "l:\n  - m: 2\n"),
        ("l:\n  - k: 1\n    # kept\n    m: 2\n", remove("l[0].k"), "l:\n  -\n    # kept\n    m: 2\n"),
        ("l:\n  - k: 1  # kept\n    m: 2\n", remove("l[0].k"), "l:\n  -   # kept\n    m: 2\n"),
        ("l:\n  - k: 1\n    m: 2\n    n: 3\n", remove("l[0].k", "l[0].m"), "l:\n  - n: 3\n"),
        ("l:\n  - k: 1\n  - m: 2\n", remove("l[0].k"), "l:\n  - {}\n  - m: 2\n"),
        ("l: [a, b, c]\n", remove("l[0]"), "l: [b, c]\n"),
        ("l: [a, b, c]\n", remove("l[1]"), "l: [a, c]\n"),
        ("l: [a, b, c]\n", remove("l[2]"), "l: [a, b]\n"),
        ("l: [a, b, c]\n", remove("l[1]", "l[2]"), "l: [a]\n"),
        ("l: [a, b, c]\n", remove("l[0]", "l[2]"), "l: [b]\n"),
        ("l: [ a, b ]\n", remove("l[0]", "l[1]"), "l: [  ]\n"),
        ("l: [a, b,]\n", remove("l[1]"), "l: [a,]\n"),
        ("l: [\n  a,\n  b,\n  c\n]\n", remove("l[1]"), "l: [\n  a,\n  c\n]\n"),
        ("l: [a, # one\n  b, # two\n  c]\n", remove("l[1]"), "l: [a, # one\n   # two\n  c]\n"),
        ("m: {a: 1, b: [x, y], c: 3}\n", remove("m.b"), "m: {a: 1, c: 3}\n"),
        ("{a: 1, b: 2}\n", remove("a"), "{b: 2}\n"),
        ("t: |\n  # no comment\nb: 1\n", remove("b"), "t: |\n  # no comment\n"),
        ("t: |  # a comment\n  # none\nb: 1\n", remove("t"), "b: 1\n"),
        ('a: "x # y"\nb: 1\n', remove("b"), 'a: "x # y"\n'),
        ("capabilities: [A]\ncapabilities.add: [B]\n", remove("capabilities.add"), "capabilities: [A]\n"),
        ("capabilities.add:\n - A\n - B\n", remove("capabilities.add[0]"), "capabilities.add:\n - B\n"),
        ("- - a\n  - b\n", remove("[0][0]"), "- - b\n"),
        ("a: &x 1\nb: *x\nc: 2\n", remove("b"), "a: &x 1\nc: 2\n"),
        ("? a\n: 1\n? b\n: 2\n", remove("a"), "? b\n: 2\n"),
        ("a: 1\n---\nb: 2 # other\n", (change("replace", "a", "3"),), "a: 3\n---\nb: 2 # other\n"),
        ("a: 0644  # octal\n", (change("replace", "a", '"0644"'),), 'a: "0644"  # octal\n'),
        ("a: [/x:/y]\n", (change("replace", "a[0]", "'/x:/y:ro'"),), "a: [/x:/y:ro]\n"),
        ("a: b,c d\n", (change("replace", "a", "'b,c'"),), "a: b,c\n"),
        ("a: b\n", (change("replace", "a", "'b,c'"),), "a: 'b,c'\n"),
        ("a: b\n", (change("replace", "a", "'true'"),), "a: 'true'\n"),
        ("a: >-\n  b\n  c\n", (change("replace", "a", "'b'"),), "a: 'b'\n"),
        ("a: 'x:y'\n", (change("replace", "a", "x:y:ro"),), "a: 'x:y:ro'\n"),
        ('a: "x"\n', (change("replace", "a", "'it''s'"),), 'a: "it\'s"\n'),
        ("a: &n x # c\n", (change("replace", "a", "y"),), "a: &n y # c\n"),
        ("a:\nb: 1\n", (change("replace", "a", "y"),), "a: y\nb: 1\n"),
        ("l:\n  -\n  - b\n", (change("replace", "l[0]", "y"),), "l:\n  - y\n  - b\n"),
        ("a: >-\n  long\n  text\nb: 1\n", (change("replace", "a", "y"),), "a: y\nb: 1\n"),
        ("l:\n  - a\n  # kept\n  - b\nm: 1\n", (change("replace", "l", "[c]"),), "l: [c]\n  # kept\nm: 1\n"),
        ("a: *x\n".replace("*x", "&x 1\nb: *x"), (change("replace", "b", "2"),), "a: &x 1\nb: 2\n"),
        ("s:\n - a: 1\n   b: 2\n", (change("set", "s[0]", "true", "ro"),), "s:\n - a: 1\n   b: 2\n   ro: true\n"),
        ("s:\n  - name: a  # c", (change("set", "s[0]", "true", "ro"),), "s:\n  - name: a  # c\n    ro: true"),
        (
            "s:\n- a: 1\n",
            (change("set", "s[0]", "2", "b"), change("replace", "s[0].a", "3")),
            "s:\n- a: 3\n  b: 2\n",
        ),
        ("s:\r\n- name: a\r\n", (change("set", "s[0]", "true", "ro"),), "s:\r\n- name: a\r\n  ro: true\r\n"),
        ("s:\n  - {name: a}\n", (change("set", "s[0]", "true", "ro"),), "s:\n  - {name: a, ro: true}\n"),
        ("s: {}\n", (change("set", "s", "true", "ro"),), "s: {ro: true}\n"),
        ("s: {ro: false}\n", (change("set", "s", "true", "ro"),), "s: {ro: true}\n"),
        ("s:\n", (change("set", "s", "true", "ro"),), "s: {ro: true}\n"),
        ("a: 1\n", (change("set", "", "true", "odd key"),), "a: 1\n'odd key': true\n"),
        ("s:\n  ro: false # c\n", (change("set", "s", "true", "ro"),), "s:\n  ro: true # c\n"),
        ("s:\n t: |\n  text\n\n# c\n", (change("set", "s", "true", "ro"),), "s:\n t: |\n  text\n ro: true\n\n# c\n"),
        ("l:\n- a # c\n\n# d\n", (change("append", "l", "b"),), "l:\n- a # c\n- b\n\n# d\n"),
        ("l: [a]\n", (change("append", "l", "b"),), "l: [a, b]\n"),
        ("l: []\n", (change("append", "l", "b"),), "l: [b]\n"),
        ("l:\n", (change("append", "l", "b"),), "l: [b]\n"),
        ("noNew: true # c\n", (change("rename", "noNew", "noNewer"),), "noNewer: true # c\n"),
        ('{"a": 1}\n', (change("rename", "a", "b"),), '{"b": 1}\n'),
        ("é: 1\nñ: 2\n", remove("é"), "ñ: 2\n"),
    ],
)  # fmt: skip
def test_a_change_is_a_minimal_edit(before, changes, after):
    assert patched(before, *changes) == after


@pytest.mark.parametrize(
    ("before", "changes", "reason"),
    [
        ("a: &x {k: 1}\nb: *x\n", remove("b.k"), "anchor"),
        ("a: &x {k: 1}\nb: {<<: *x, l: 2}\n", remove("b.k"), "anchor"),
        ("a: &x {k: 1, l: 2}\nb: *x\n", remove("a.k"), "something else would change"),
        ("a: &x 1\nb: *x\n", (change("replace", "a", "2"),), "something else would change"),
        ("a: &x 1\nb: *x\n", remove("a"), "no valid YAML"),
        ("a: 1\n", remove("b"), "is not there"),
        ("a: [1]\n", remove("a[1]"), "is not there"),
        ("a: {b: 1}\na.b: 2\n", remove("a.b"), "names two values"),
        ("a: 1\n", remove("a"), "nothing would be left"),
        ("a: 1\n", remove(""), "whole document"),
        ("a: 1\n", (change("replace", "", "2"),), "whole document"),
        ("a: 1\n", (change("append", "a", "2"),), "no list"),
        ("a: 1\n", (change("set", "a", "2", "b"),), "no map"),
        ("a: 1\n", (change("set", "", "2\n3", "b"),), "more than a line"),
        ("a: 1\n", (change("set", "", "]", "b"),), "no valid YAML"),
        ("a: 1\nb: 2\n", (change("rename", "a", "b"),), "there already"),
        ("a: [1]\n", (change("rename", "a[0]", "b"),), "no name"),
        ("a: |  # c\n  x\n", (change("replace", "a", "y"),), "comment would be lost"),
        ("a: [1, # c\n 2]\n", (change("replace", "a", "3"),), "comment would be lost"),
        ("a: [x]\n", (change("replace", "a[0]", "y, z"),), "something else would change"),
        ("a: 1\nb: 2\n", (change("replace", "a", "3"), *remove("a")), "overlaps"),
        ("a: 1\n", (change("set", "", "2", "b"), change("set", "", "3", "c")), "overlaps"),
        ("a: [\n", remove("a"), "no valid YAML"),
        ("", remove("a"), "is not there"),
        ("a: 1\n", (change("comment", ""),), "not known"),
        ("a: 1\n", (Change("comment", at("", Span(1, 1, 1, 3))),), "no comment"),
    ],
)
def test_what_would_touch_something_else_is_refused_with_a_reason(before, changes, reason):
    with pytest.raises(PatchError, match=reason):
        edits(before, changes)


@pytest.mark.parametrize(
    ("before", "part", "text", "after"),
    [
        ("a: 1  # one\nb: 2\n", "# one", "", "a: 1\nb: 2\n"),
        ("# one\na: 1\n", "# one", "", "a: 1\n"),
        ("a: 1\n  # one", "# one", "", "a: 1\n"),
        ("a: 1 # one # two\n", "# one", "", "a: 1 # two\n"),
        ("a: 1 # one # two\n", "# two", "", "a: 1 # one\n"),
        ("a: 1 # one # two\n", "# one", "# 1", "a: 1 # 1 # two\n"),
        ("a: | # one\n  # text\n", "# one", "", "a: |\n  # text\n"),
        ("a: 1 # one\r\n", "# one", "", "a: 1\r\n"),
    ],
)
def test_a_comment_can_be_changed(before, part, text, after):
    start = before.index(part)
    span = parse(before.encode()).stretch(start, start + len(part))
    assert patched(before, Change("comment", at("", span), text)) == after


def test_the_same_change_asked_for_twice_is_one():
    assert edits("a: 1\nb: 2\n", remove("a", "a")) == (Edit(0, 5, ""),)


@pytest.mark.parametrize(
    ("text", "like", "result"),
    [
        ("/a:/b:ro", "", "/a:/b:ro"),
        ("CAP_NET_ADMIN", "", "CAP_NET_ADMIN"),
        ("true", "", "'true'"),
        ("0644", "", "'0644'"),
        ("0644", '"', '"0644"'),
        ("a: b", "", "'a: b'"),
        ("it's", "", "'it''s'"),
        ("tab\t", "'", '"tab\\U00000009"'),
        ('say "x"', '"', '"say \\U00000022x\\U00000022"'),
        ("", "", "''"),
        ("a:", "", "'a:'"),
        ("{{ x }}", "", "'{{ x }}'"),
    ],
)
def test_text_is_quoted_where_it_must_be(text, like, result):
    assert quoted(text, like) == result
    assert parse(result.encode()).root.value == text


@given(st.text())
def test_quoted_text_is_the_same_text(text):
    try:
        root = parse(f"- {quoted(text)}\n".encode()).root
    except UnicodeEncodeError:
        return
    assert [(item.kind, item.value) for item in root.items] == [("str", text)]


# --- random documents

KEYS = ("name", "image", "capabilities", "capabilities.add", "a", "a.b")
SCALARS = ("1", "0644", "'q # q'", '"d"', "true", "/a:/b", "x", "~")


@st.composite
def documents(draw):  # noqa: C901 - one draw after another
    """A document in mixed styles with a comment wherever one may stand, each with a number of its own."""
    count = iter(range(1000))

    def comment(lead=" "):
        return f"{lead}# c{next(count)};" if draw(st.integers(0, 3)) == 0 else ""

    def flow(depth):
        kind = draw(st.sampled_from(("seq", "map", "scalar"))) if depth else "scalar"
        if kind == "scalar":
            return draw(st.sampled_from(SCALARS))
        gap = draw(st.sampled_from(("", " ")))
        if kind == "seq":
            return f"[{gap}{', '.join(flow(depth - 1) for _ in range(draw(st.integers(0, 3))))}{gap}]"
        keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=3))
        return "{" + gap + ", ".join(f"{key}: {flow(depth - 1)}" for key in keys) + gap + "}"

    def block(depth, indent, *, dashed=False):
        lines = []
        is_map = draw(st.booleans()) or depth == 3
        keys = draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=4))
        for i, key in enumerate(keys):
            if lines or not dashed:
                lines += [" " * indent + text for text in [comment("")] if text]
            lead = "" if dashed and i == 0 else " " * indent
            lead += f"{key}:" if is_map else "-"
            style = draw(st.integers(0, 5)) if depth else 5
            if style <= 1:
                deeper = indent + draw(st.integers(1, 4))
                lines += [lead + comment(), *block(depth - 1, deeper)]
            elif style == 2 and not is_map:
                first, *rest = block(depth - 1, indent + 2, dashed=True)
                lines += [f"{lead} {first}", *rest]
            elif style == 3:
                lines += [f"{lead} |{comment()}", " " * (indent + 2) + "text # no comment"]
            elif style == 4:
                lines.append(f"{lead} {flow(2)}{comment()}")
            else:
                lines.append(f"{lead} {draw(st.sampled_from(SCALARS))}{comment()}")
            if draw(st.integers(0, 9)) == 0:
                lines.append("")
        return lines

    ending = draw(st.sampled_from(("\n", "\r\n")))
    return ending.join([*block(3, 0), *draw(st.sampled_from(([], [""], ["# end;", ""])))])


def pointers(node, pointer=""):
    for key, value in node.pairs:
        inner = f"{pointer}.{key.text}" if pointer else key.text
        yield inner, "map"
        yield from pointers(value, inner)
    for i, value in enumerate(node.items):
        yield f"{pointer}[{i}]", "seq"
        yield from pointers(value, f"{pointer}[{i}]")


def attempt(text, changes):
    """The edits, or the reason why there are none."""
    try:
        return edits(text, changes), ""
    except PatchError as error:
        return (), str(error)


@st.composite
def changed(draw):
    """A document and changes that can be asked of it."""
    text = draw(documents())
    places = sorted(pointers(parse(text.encode()).root))
    changes = []
    for pointer, home in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True)):
        action = draw(st.sampled_from(("replace", "set", "remove", "append", *(["rename"] if home == "map" else []))))
        changes.append(change(action, pointer, "fresh", "readonly" if action == "set" else ""))
    return text, changes


@settings(max_examples=400, deadline=None)
@given(changed())
def test_comments_stay_whatever_is_changed(sample):
    text, changes = sample
    try:
        found = edits(text, changes)
    except PatchError:
        return
    after = apply(text, found)
    lost = set(re.findall(r"# c\d+;", text)) - set(re.findall(r"# c\d+;", after))
    alone = {line.strip() for line in text.splitlines() if line.strip().startswith("#")}
    assert not lost & alone
    if all(one.action != "remove" for one in changes):
        survivors = [one for one in lost if not any(re.search(re.escape(one), text[e.start : e.end]) for e in found)]
        assert not survivors
    assert set(re.findall("\r?\n", after)) <= set(re.findall("\r?\n", text))


@settings(max_examples=400, deadline=None)
@given(documents(), st.data())
def test_a_plain_document_can_be_changed_anywhere_without_a_trace_elsewhere(text, data):
    """One removal at a time; refused only for comments in the way, or that would become text of a block scalar."""
    pointer, _ = data.draw(st.sampled_from(sorted(pointers(parse(text.encode()).root))))
    found, reason = attempt(text, remove(pointer))
    if reason:
        assert re.search(f"comment|names two|nothing would be left{'|something else' if '|' in text else ''}", reason)
        return
    kept = apply(text, found)
    assert all(not one.text.strip(" []{}") for one in found)
    assert len(kept) < len(text) + 3
    rest = iter(text)
    assert all(any(char == one for one in rest) for char in kept.replace("[]", "").replace("{}", "").replace(" ", ""))


@settings(max_examples=200, deadline=None)
@given(documents())
def test_replacing_by_the_same_changes_nothing(text):
    for pointer, _ in pointers(parse(text.encode()).root):
        try:
            once = patched(text, change("set", pointer, "true", "readonly"))
        except PatchError:
            continue
        assert patched(once, change("set", pointer, "true", "readonly")) == once


def test_what_comes_behind_the_end_of_a_changed_value_stays_behind_it():
    """Trimmed to what differs, both edits are insertions at one place."""
    text = "services:\n- name: a\n  binds:\n  - /a:/b\n"
    both = change("replace", "services[0].binds[0]", "/a:/b:ro"), change("set", "services[0]", "true", "readonly")
    assert patched(text, *both) == "services:\n- name: a\n  binds:\n  - /a:/b:ro\n  readonly: true\n"
