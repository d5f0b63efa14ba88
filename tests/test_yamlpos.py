"""YAML means what LinuxKit makes of it, every node knows its place, and hostile text is refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import yamlpos
from lkscan.scanner.source import LimitError
from lkscan.scanner.yamlpos import Document, Node, YamlError, node_of, parse, resolve, shown


def plain(node):
    if node.kind == "map":
        return {key.text: plain(value) for key, value in node.pairs}
    return [plain(item) for item in node.items] if node.kind == "seq" else node.value


def read(text):
    return plain(parse(text.encode()).root)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("true", "bool", True),
        ("FALSE", "bool", False),
        ("yes", "str", "yes"),
        ("on", "str", "on"),
        ("tRUE", "str", "tRUE"),
        ("", "null", None),
        ("~", "null", None),
        ("Null", "null", None),
        ("nil", "str", "nil"),
        ("12", "int", 12),
        ("-12", "int", -12),
        ("+12", "int", 12),
        ("0755", "int", 0o755),
        ("0o755", "int", 0o755),
        ("-0o7", "int", -7),
        ("0x1F", "int", 31),
        ("0X1f", "int", 31),
        ("0b101", "int", 5),
        ("1_000", "int", 1000),
        ("0", "int", 0),
        ("-", "str", "-"),
        ("0x", "str", "0x"),
        ("0xG", "str", "0xG"),
        ("0o9", "str", "0o9"),
        ("089", "float", 89.0),
        ("18446744073709551615", "int", (1 << 64) - 1),
        ("18446744073709551616", "float", float(1 << 64)),
        ("+18446744073709551615", "float", float((1 << 64) - 1)),
        ("-9223372036854775808", "int", -(1 << 63)),
        ("-9223372036854775809", "float", -float(1 << 63)),
        ("1.5", "float", 1.5),
        ("1.", "float", 1.0),
        (".5", "float", 0.5),
        (".5.5", "str", ".5.5"),
        ("1e3", "float", 1000.0),
        ("1e999", "str", "1e999"),
        ("-.inf", "float", float("-inf")),
        (".x", "str", ".x"),
        ("1.2.3", "str", "1.2.3"),
        ("2001-01-02", "timestamp", "2001-01-02"),
        ("2001-1-2t3:4:5Z", "timestamp", "2001-1-2t3:4:5Z"),
        ("2001-01-02 03:04:05.6", "timestamp", "2001-01-02 03:04:05.6"),
        ("2001-02-29", "str", "2001-02-29"),
        ("2004-02-29", "timestamp", "2004-02-29"),
        ("2001-13-01", "str", "2001-13-01"),
        ("2001-01-02x", "str", "2001-01-02x"),
        ("v1", "str", "v1"),
        ("9" * 80, "float", float("9" * 80)),
        ("٣", "str", "٣"),
    ],
)
def test_plain_scalars_resolve_as_in_yaml_v3(text, kind, value):
    assert resolve(text) == (kind, value)


def test_not_a_number_is_a_float():
    kind, value = resolve(".nan")
    assert kind == "float"
    assert value != value  # noqa: PLR0124 - that is what it means


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!float 12", 12.0),
        ("!!null ~", None),
        ("!!binary aGk=", "hi"),
        ("!mine 12", "12"),
        ("! 12", 12),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
        ("[a, {b: c}]", ["a", {"b": "c"}]),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": 1, "b": 2, "c": 2}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
        ("b: {<<: [{k: 1}, {k: 2, l: 3}]}\n", {"b": {"k": 1, "l": 3}}),
        ("'<<': {a: 1}", {"<<": {"a": 1}}),
        ("a: 1\n---\nb: [\n", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("a:\nb:", {"a": None, "b": None}),
    ],
)
def test_documents_mean_what_linuxkit_reads(text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a: 1\n", -1),
        ("---\na: 1\n", -1),
        ("a: 1\n---\n", -1),
        ("a: 1\n...\n", -1),
        ("a: 1\n---\n# nothing\n---\n", -1),
        ("a: 1\n---\nb: 2\n", 5),
        ("a: 1\n--- x\n", 5),
        ("a: 1\n---\n---\nb: 2\n", 9),
        ("a: 1\n---\nb: [\n", 5),
        ("a: 1\n---\n''\n", 5),
        ("a: 1\n...\nb: 2\n", 9),
        ("a: 1\n...\n}\n", 9),
        ("", -1),
        ("# only a comment\n", -1),
    ],
)
def test_what_follows_the_first_document_is_found_and_not_read(text, rest):
    assert parse(text.encode()).rest == rest


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_an_empty_text_has_no_root(text):
    assert parse(text.encode()).root is None


def test_utf_16_is_read():
    assert plain(parse("a: é".encode("utf-16")).root) == {"a": "é"}


@pytest.mark.parametrize(
    ("data", "message", "line", "column"),
    [
        (b"a: b: c\n", "mapping values are not allowed", 1, 5),
        (b"x: 1\na: [\n", "did not find", 3, 1),
        (b"a:\n\t- b\n", "cannot start any token", 2, 1),
        (b"a: *b\n", "names no anchor", 1, 4),
        (b"a: &a [*a]\n", "contains itself", 1, 8),
        (b"a: 1\nb: 2\na: 3\n", "given twice, first in line 1", 3, 1),
        (b"a: {{ x }}\n", "cannot be a key", 1, 5),
        (b"<<: 3\n", "merge key needs a map", 1, 5),
        (b"ok: 1\na: \x00\n", "U+0000", 2, 4),
        (b"ok: 1\na: \xff\n", "not valid UTF-8", 2, 4),
        (b"a: !!int x\n", "is no int", 1, 4),
        (b"a: !!bool yes\n", "is no bool", 1, 4),
        (b"a: !!binary '?'\n", "not valid base64", 1, 4),
        (b'a: "\\ud800"\n', "Unicode", 1, 7),
    ],
)
def test_what_linuxkit_cannot_parse_is_one_error_with_its_place(data, message, line, column):
    with pytest.raises(YamlError, match=message.replace("+", r"\+")) as caught:
        parse(data)
    _, span, _ = caught.value.faults[0]
    assert (span.line, span.column) == (line, column)


def test_hints_say_what_to_do():
    with pytest.raises(YamlError) as caught:
        parse(b"a:\n\t- b\n")
    assert caught.value.faults[0][2] == "indent with spaces, not tabs"
    with pytest.raises(YamlError) as caught:
        parse(b"a: {{ x }}\n")
    assert caught.value.faults[0][2] == "quote the template"


def test_every_duplicate_is_told_up_to_a_limit():
    with pytest.raises(YamlError) as caught:
        parse(b"a: 1\n" * 100)
    assert len(caught.value.faults) == 20


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (b"[" * 1000, "64 nested"),
        (b"a: " + b"{b: " * 100, "64 nested"),
        (b"- " * 1000, "64 nested"),
        (b"- a\n" * 50_001, "50000 keys"),
        (b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(8)
        ), "50000 keys"),
    ],
)  # fmt: skip
def test_bombs_meet_a_named_limit(data, limit):
    with pytest.raises(LimitError, match=limit):
        parse(data)


def test_too_much_text_meets_a_named_limit(monkeypatch):
    monkeypatch.setattr(yamlpos, "SIZE_LIMIT", 1 << 20)
    with pytest.raises(LimitError, match="1 MiB"):
        parse(b"#" * ((1 << 20) + 1))


def test_a_document_of_little_but_aliases_is_refused_as_by_yaml_v3():
    data = b"a: &a [" + b"x," * 210 + b"]\nb: [" + b"*a," * 210 + b"]\n"
    with pytest.raises(YamlError, match="aliases"):
        parse(data)


def test_positions_are_those_of_the_text():
    document = parse(b"top:\n  - name: 'a b'  # why\n    list: [x, yy]\n    text: |\n      one\n      two\n\nnext: 1\n")
    item = document.root.get("top").items[0]
    spans = {key.text: document.span(value) for key, value in item.pairs}
    assert [*vars_of(spans["name"])] == [2, 11, 2, 16]
    assert [*vars_of(spans["list"])] == [3, 11, 3, 18]
    assert [*vars_of(spans["text"])] == [4, 11, 6, 10]
    assert [*vars_of(document.span(document.root.get("top")))] == [2, 3, 6, 10]


def vars_of(span):
    return span.line, span.column, span.end_line, span.end_column


def test_an_alias_stands_where_it_is_used_and_its_parts_where_they_are_written():
    document = parse(b"a: &x [one]\nb: *x\n")
    value = document.root.get("b")
    assert document.span(value).line == 2
    assert document.span(value.items[0]).line == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_do(newline):
    text = newline.join(["a: 1", "c: 'x \u2028 y'", "b: 2"])
    document = parse(text.encode())
    assert document.span(document.root.get("b")).line == 3


def test_nodes_made_of_json_have_no_place():
    node = node_of({"a": [1, "x", True, None, 1.5], "b": {}})
    assert plain(node) == {"a": [1, "x", True, None, 1.5], "b": {}}
    assert Document("", None).span(node) is None
    assert [item.text for item in node.get("a").items] == ["1", "x", "true", "None", "1.5"]


def test_parts_of_the_wrong_kind_are_none():
    node = Node("str", "x", "x")
    assert node.pairs == []
    assert node.items == []
    assert node.get("x") is None


def test_the_pure_parser_gives_the_same(monkeypatch):
    import yaml

    text = b"a: &x [1, 'two', {b: null}]\nc: |\n  text\nd: {<<: {e: 1}}\n"
    with_libyaml = parse(text)
    monkeypatch.delattr(yaml, "_yaml")
    pure = parse(text)
    assert plain(pure.root) == plain(with_libyaml.root)
    assert pure.span(pure.root.get("a")) == with_libyaml.span(with_libyaml.root.get("a"))


def test_the_pure_parser_names_control_characters_too(monkeypatch):
    import yaml

    monkeypatch.delattr(yaml, "_yaml")
    with pytest.raises(YamlError, match=r"U\+0001"):
        parse(b"a: \x01")


def test_shown_text_is_one_short_line():
    assert shown("plain") == "plain"
    assert shown("a\nb\x1b") == "a\\nb\\x1b"
    assert len(shown("x" * 1000)) == 80


scalars = st.one_of(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20), st.integers())


@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner)
    )
)
def test_json_comes_back_and_scalars_stand_at_their_text(value):
    import json

    text = json.dumps(value, ensure_ascii=False)
    try:
        document = parse(text.encode())
    except YamlError:
        return
    nodes = [document.root]
    while nodes:
        node = nodes.pop()
        nodes += node.items + [part for pair in node.pairs for part in pair]
        written = text[node.start : node.end]
        if node.kind == "int":
            assert int(written) == node.value
        elif node.kind == "str":
            assert written[0] == written[-1] == '"'
            assert json.loads(written) == node.value


@given(st.binary(max_size=200) | st.text("[]{}:-&*!<>|'\"#%@,? \n\tab0", max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_refused(data):
    try:
        document = parse(data)
    except (YamlError, LimitError):
        return
    assert document.root is None or 0 <= document.root.start <= document.root.end <= len(document.text)


_YAML_FOR_OTHERS = """
import copy, re, sys
{first}
compile = re.compile
from lkscan.scanner import yamlpos
yamlpos.parse(b"a: 1")
assert re.compile is compile
import yaml
text = "[0x1F, 1_000, 1.5, 1e3, 12:30:45, yes, ~, 2001-12-14t21:59:43.10-05:00, 'x']"
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    print(yaml.load(text, loader))
print(yaml.safe_dump(["yes", "1", 1.5, None]))
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    try:
        yaml.load("a: \\x07", loader)
    except yaml.reader.ReaderError as error:
        print(type(error).__module__, error.position)
for name in ("tokens", "nodes", "events", "scanner", "parser", "composer", "emitter", "cyaml"):
    print(name, sorted(vars(getattr(yaml, name)))[:50], sys.modules["yaml." + name] is getattr(yaml, name))
print([(type(one).__module__, type(one).__name__) for one in yaml.scan("a: [1]", yaml.CSafeLoader)])
print(yaml.dump({{"a": [1]}}, Dumper=yaml.CSafeDumper), yaml.serialize(yaml.compose("a: [1, b]", yaml.CSafeLoader)))
for act in (
    lambda: yaml.load("a: !x 1", yaml.CSafeLoader),
    lambda: yaml.load("*a", yaml.CSafeLoader),
    lambda: yaml.load("[a", yaml.CSafeLoader),
    lambda: yaml.load("'a", yaml.CSafeLoader),
    lambda: yaml.dump(object(), Dumper=yaml.CSafeDumper),
    lambda: yaml.emit([yaml.StreamEndEvent()], Dumper=yaml.CSafeDumper),
):
    try:
        act()
    except yaml.YAMLError as error:
        kind = type(error)
        print(kind.__module__, kind.__name__, kind is getattr(sys.modules[kind.__module__], kind.__name__))
print({{name: getattr(value, "__module__", None) for name, value in vars(yaml._yaml).items()}})
print(copy.deepcopy(yaml.reader.Reader.NON_PRINTABLE).search("\\x07"))
"""


def test_the_yaml_library_stays_whole_for_all_others_in_the_process():
    """Its patterns are compiled late, for whoever comes after; whoever came first has the library as it was."""
    import subprocess
    import sys

    said = [
        subprocess.run(
            [sys.executable, "-c", _YAML_FOR_OTHERS.format(first=first)], capture_output=True, text=True, check=True
        ).stdout
        for first in ("import yaml", "")
    ]
    assert said[0] == said[1]
    assert "31, 1000, 1.5" in said[0]
    assert "yaml.reader" in said[0]
