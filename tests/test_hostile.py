"""Inputs made to cost more time or memory than they are long: each meets a bound, and says which."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile

import pytest
from imagelab import Item, iso, newc, tree

from lkscan import cli
from lkscan.inputs import gather
from lkscan.scanner import image, iso9660, outputs
from lkscan.scanner.built import from_built
from lkscan.scanner.compression import expand
from lkscan.scanner.source import Budget, LimitError, Limits, MemorySource
from lkscan.scanner.subjects import File, KernelCommandLine, Place, Problem, System
from lkscan.scanner.yamlpos import parse

PLACE = Place(("x",))


def cpio(nodes):
    return newc(*(Item(name, data) for name, data in nodes.items()))


def problems(path, **limits):
    return [str(one.message) for one in image.read((str(path),), Limits(**limits)) if isinstance(one, Problem)]


def write(folder, data, name="image"):
    path = folder / name
    path.write_bytes(data)
    return path


def pax_globals(count):
    out = io.BytesIO()
    headers = {f"key{i}": "x" for i in range(count)}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    return out.getvalue()


def extended_headers(count):
    """Headers that describe an entry which never comes."""
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x"}
    return info.tobuf(tarfile.PAX_FORMAT)[:1024] * count


@pytest.mark.parametrize(
    "data",
    [
        newc(Item("a")) + gzip.compress(b"") * 30,
        gzip.compress(newc() * 30),
        gzip.compress(newc(Item("a"))[:-200]) + gzip.compress(b"") * 30,
        cpio({f"{i}/initrd.img": newc(Item("a")) for i in range(30)}),
        extended_headers(30),
    ],
    ids=["compressed streams", "archives", "streams in a layer", "layers in files", "extended headers"],
)
def test_all_that_costs_time_counts_as_an_entry(tmp_path, data):
    assert "more than 20 entries (limit: entries)" in " ".join(problems(write(tmp_path, data), entries=20))


def test_global_pax_records_are_bounded_as_each_entry_pays_for_them(tmp_path):
    assert problems(write(tmp_path, pax_globals(900))) == []
    assert "more than 1000 global PAX records" in problems(write(tmp_path, pax_globals(1001)))[0]


def test_all_layers_together_unpack_to_no_more_than_the_ratio_allows(tmp_path):
    bombs = cpio({f"lib/modules/6/{i}.ko.gz": gzip.compress(b"\x7fELF" + bytes(200_000)) for i in range(9)})
    found = problems(write(tmp_path, bombs), ratio_from=300_000, ratio=50)
    assert any("the whole unpacks to more than 50 times its size (limit: ratio)" in one for one in found)


def test_directories_of_an_iso_count_as_they_may_stand_in_many_places():
    nodes = iso({f"{i}/f": b"" for i in range(4)})
    assert len(list(iso9660.entries(MemorySource(nodes), tree(total=6 * 2048)))) == 9
    with pytest.raises(LimitError, match="limit: total"):
        list(iso9660.entries(MemorySource(nodes), tree(total=4 * 2048)))


def test_what_a_reader_unpacks_is_counted():
    budget = Budget(Limits(total=1000))
    with pytest.raises(LimitError, match="limit: total"):
        expand(gzip.compress(bytes(5000)), "gzip", 10_000, budget)


def test_the_values_of_a_container_are_bounded():
    config = json.dumps({"process": {"env": [""] * 20_001}}).encode()
    with pytest.raises(LimitError, match="20000 values"):
        from_built("services", "x", 0, config, None, PLACE)


def test_a_number_beyond_all_bounds_is_no_json(tmp_path):
    folder = "containers/services/x"
    data = cpio({f"{folder}/config.json": b'{"x": 1e999}', f"{folder}/runtime.json": b"{}"})
    assert "config.json is not valid JSON: 1e999 is no number" in problems(write(tmp_path, data))[0]
    from_built("services", "x", 0, b'{"x": 1.5}', None, PLACE)


def test_containers_without_number_are_numbered_in_their_order(tmp_path):
    nodes = {f"containers/services/{name}/{file}.json": b"{}" for name in "ba" for file in ("config", "runtime")}
    *_, system = image.read((str(write(tmp_path, cpio(nodes))),))
    assert isinstance(system, System)
    assert [(one.name, one.index) for one in system.containers] == [("b", 0), ("a", 1)]


def test_merging_the_same_keys_again_and_again_keeps_the_first():
    root = parse(b"a: &a {k: 1, l: 2}\nb: &b {k: 3, m: 4}\nc: {l: 0, <<: [*a, *b, *a]}\n").root
    assert [(key.text, value.value) for key, value in root.get("c").pairs] == [("l", 0), ("k", 1), ("m", 4)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a="b c"d e', [("a", "b cd"), ("e", None)]),
        ('a="open -- b', [("a", "open -- b")]),
        (' "" x -- y', [("", None), ("x", None)]),
        ("", []),
    ],
)
def test_quotes_hold_an_argument_of_a_command_line_together(text, words):
    assert list(KernelCommandLine(PLACE, text).arguments) == words


def test_the_content_of_a_large_file_is_held_once(tmp_path):
    """Joining the pieces would need the room twice."""
    import tracemalloc

    path = write(tmp_path, cpio({"big": bytes(8 << 20)}))
    reader = image.read((str(path),))
    file = next(one for one in reader if isinstance(one, File))
    tracemalloc.start()
    assert file.read is not None
    assert len(file.read(8 << 20)) == 8 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 14 << 20  # it, and the piece that is read just now


def test_specs_named_like_the_parts_of_an_image_stay_specs():
    assert outputs.group(["kernel-5.yml", "initrd-5.yml"]) == [("kernel-5.yml",), ("initrd-5.yml",)]


# --- the front door


def run(*arguments, **options):
    # a deadline, so that a regression fails instead of hanging; nothing here takes a second
    command = [sys.executable, "-m", "lkscan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_fifo_in_a_folder_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.yml")
    (one,) = gather([str(tmp_path)])
    assert isinstance(one, Problem)
    assert one.message == "cannot be read: not a regular file"


def test_an_empty_file_is_called_empty(tmp_path):
    path = str(write(tmp_path, b"", "a.yml"))
    (one,) = gather([path])
    assert isinstance(one, Problem)
    assert (one.message, one.kind) == ("the file is empty", "unusable")
    assert list(gather([path], if_linuxkit=True)) == []


def test_names_cannot_write_to_the_terminal_or_start_a_line(tmp_path, capsys):
    path = write(tmp_path, newc(Item("\x1b[2Jred\nlkscan: fine/../.."), Item("a")))
    assert cli.main([str(path)]) == cli.INCOMPLETE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "\\x1b[2Jred\\x0alkscan: fine" in error
    assert cli.main(["--select", "\x1b[2J", str(path)]) == cli.USAGE
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "standard input is empty"),
        (b"\x1f\x8b\x08\0", "standard input is no text: it takes a spec; name an image by its path"),
    ],
)
def test_standard_input_takes_a_spec(monkeypatch, given, message):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert list(gather(["-"])) == [Problem(Place(("-",)), message, "unusable")]


def test_standard_input_that_is_closed_or_fails_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert list(gather(["-"])) == [Problem(Place(("-",)), "standard input is closed", "unusable")]

    class Failing(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, _buffer):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Failing())))
    message = "standard input cannot be read: Input/output error"
    assert list(gather(["-"])) == [Problem(Place(("-",)), message, "unusable")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line(tmp_path):
    command = f'"{sys.executable}" -m lkscan rules'
    full = subprocess.run(f"{command} >/dev/full", shell=True, capture_output=True, text=True, check=False)
    assert full.returncode == cli.USAGE
    assert full.stderr == "lkscan: standard output cannot be written: No space left on device\n"
    closed = subprocess.run(f"{command} >&- 2>&-", shell=True, capture_output=True, text=True, check=False)
    assert closed.returncode == cli.OK


def test_a_folder_that_is_gone_is_no_reason_to_stop(tmp_path, monkeypatch):
    path = write(tmp_path, newc(Item("a")))

    def gone():
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", gone)
    assert cli.main([str(path)]) == cli.OK


def test_a_damaged_cache_that_nobody_named_is_left_out_and_said(tmp_path, monkeypatch, capsys):
    spec = write(tmp_path, b"onboot:\n  - name: a\n    image: example.com/a:1\n", "a.yml")
    write(tmp_path, b"{", "index.json")
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path))
    assert cli.main(["--fail-on", "never", str(spec)]) == cli.OK
    assert "going on without it" in capsys.readouterr().err
    write(tmp_path, b'{"manifests": []}', "index.json")
    assert cli.main(["--fail-on", "never", str(spec)]) == cli.OK
    assert capsys.readouterr().err == ""
    assert cli.main(["--cache", str(tmp_path / "none"), str(spec)]) == cli.USAGE


def test_inspect_takes_checksums_bit_by_bit_and_none_of_what_breaks_off(tmp_path, capsys):
    path = write(tmp_path, cpio({"large": bytes(1001), "small": b"1", "cut": bytes(900)})[:-400])
    arguments = ["inspect", "--files", "--format", "json", "--max-file", "1000", str(path)]
    assert cli.main(arguments) == cli.INCOMPLETE
    captured = capsys.readouterr()
    (document,) = json.loads(captured.out)
    assert {one["path"]: one["sha256"] is None for one in document["files"]} == {
        "large": False,
        "small": False,
        "cut": True,
    }


def test_inspect_says_why_nothing_was_read(tmp_path, capsys):
    path = write(tmp_path, newc(Item("x"), trailer=False)[:50])
    assert cli.main(["inspect", "--format", "json", str(path)]) == cli.INCOMPLETE
    (document,) = json.loads(capsys.readouterr().out)
    assert document["error"].startswith("the cpio archive breaks off at byte 50")


def test_inputs_after_a_bad_one_are_still_scanned(tmp_path):
    bad = [write(tmp_path, data, name) for name, data in (("a", b""), ("b", b"\x1f\x8b\x08"), ("c", b"MZ\0"))]
    good = write(tmp_path, newc(Item("a")), "good")
    done = run(*bad, tmp_path / "none", good)
    assert done.returncode == cli.INCOMPLETE
    assert len(done.stderr.splitlines()) == 4
    assert "cpio" in done.stdout


def test_what_is_kept_of_command_lines_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "_KEPT", 100)
    found = problems(write(tmp_path, cpio({"boot/cmdline": b"a" * 60, "boot/x-cmdline": b"b" * 60})))
    assert found == ["configurations of more than 100 bytes in all; it is not examined"]


def test_a_large_container_file_does_not_use_up_the_room_of_the_others(tmp_path):
    folder = "containers/services"
    large = {f"{folder}/{i}/config.json": b" " * (1 << 20) + b"{}" for i in range(5)}
    path = write(tmp_path, cpio({**large, f"{folder}/x/config.json": b"{}", f"{folder}/x/runtime.json": b"{}"}))
    *_, system = image.read((str(path),))
    assert isinstance(system, System)
    assert [one.name for one in system.containers] == ["x"]
    assert problems(path)[0] == "more than 1048576 bytes; it is not examined"


def test_a_container_that_is_not_as_it_must_be_is_told_at_its_own_file(tmp_path):
    folder = "containers/services/x"
    path = write(tmp_path, cpio({f"{folder}/config.json": b"[]", f"{folder}/runtime.json": b"{}"}))
    (problem,) = (one for one in image.read((str(path),)) if isinstance(one, Problem))
    assert problem.place.artifacts[-1] == f"{folder}/config.json"
    assert problem.message == "config.json: the whole is a list, not an object; the container is not examined"
