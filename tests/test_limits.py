"""What an image may cost, as users set it: on the command line, in the configuration, and what is said of a hit."""

import pytest
from imagelab import Item, newc

from lkscan.cli import INCOMPLETE, USAGE, main
from lkscan.limits import LimitsError, limit, size
from lkscan.scanner.source import Limits


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("400000", 400_000), ("512M", 512 << 20), ("2k", 2048), ("32GiB", 32 << 30), ("1T", 1 << 40)],
)
def test_a_size_is_a_number_with_a_power_of_1024(text, value):
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "M", "1P", "9" * 19, "8388608T", "1 G", "²"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(LimitsError, match="is no size"):
        size(text)


@pytest.mark.parametrize("name", Limits._fields)
def test_every_limit_can_be_set(name):
    assert limit(f"{name}=7") == (name, 7)


@pytest.fixture
def image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = newc(*(Item(f"etc/{number}", b"x" * 100) for number in range(20)), Item("etc/sysctl.conf", b"a=1\n" * 50))
    (tmp_path / "it.img").write_bytes(tree)
    return tmp_path


HITS = {
    "entries=5": "more than 5 entries (limit: entries); it is not read further; --limit entries=N raises it",
    "total=65540": "more than 65540 bytes were read and unpacked (limit: total); it is not read further",
    "body=100": "it has 200 bytes, more than 100 (limit: body); it is not examined; --limit body=N raises it",
}


@pytest.mark.parametrize("text", HITS)
@pytest.mark.parametrize("command", ["scan", "inspect"])
def test_a_hit_is_told_by_name_with_what_to_do(image, capsys, text, command):
    assert main([command, "--limit", text, "it.img"]) == INCOMPLETE
    assert HITS[text] in capsys.readouterr().err


@pytest.mark.parametrize("value", ["5", '"5"'])
def test_the_configuration_sets_limits_and_the_command_line_comes_first(image, capsys, value):
    (image / "lkscan.toml").write_text(f"[limits]\nentries = {value}\n")
    assert main(["it.img"]) == INCOMPLETE
    assert "more than 5 entries" in capsys.readouterr().err
    assert main(["it.img", "--limit", "entries=1K"]) != INCOMPLETE
    assert main(["it.img", "--no-config"]) != INCOMPLETE
    capsys.readouterr()
    assert main(["it.img", "--show-config"]) == 0
    shown = capsys.readouterr().out
    assert "# lkscan.toml: entries\n[limits]\nentries = 5\n" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--limit", "entrys=5"], "no limit is called 'entrys'; did you mean 'entries'?"),
        (["--limit", "zzz=5"], "no limit is called 'zzz'; there are entries, path"),
        (["--limit", "total"], "'total' is no limit: write NAME=SIZE, such as total=32G"),
        (["--limit", "total=many"], "'many' is no size"),
        (["--max-file", "big"], "'big' is no size"),
        (["--jobs", "0"], "argument --jobs: invalid"),
    ],
)
def test_a_wrong_order_is_one_line(image, capsys, arguments, told):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "it.img"])
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("\n")) == (USAGE, 1)
    assert told in error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("entrys = 5", "'limits.entrys' cannot be used: no limit is called 'entrys'; did you mean 'entries'?"),
        ("total = 1.5", "'limits.total' must be a whole number or a text, not a number"),
        ('total = "much"', "'limits.total' cannot be used: 'much' is no size"),
        ('address = "64G"', "'limits.address' is raised; only --limit, or a file that --config names, may do that"),
    ],
)
def test_a_wrong_configuration_is_one_line(image, capsys, text, told):
    (image / "lkscan.toml").write_text(f"[limits]\n{text}\n")
    assert main(["it.img"]) == USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error


def test_a_configuration_that_is_named_may_raise_what_protects_the_process(image, capsys):
    (image / "mine.toml").write_text('[limits]\naddress = "8G"\n')
    assert main(["it.img", "--config", "mine.toml"]) not in (USAGE, INCOMPLETE)
    assert capsys.readouterr().err == ""
