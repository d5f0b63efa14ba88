"""Bent and cut inputs of every format: what can be read is, what cannot is said, and nothing takes too much."""

import gzip
import os

import fuzzlab
import pytest
import seedlab
import textlab
from imagelab import ends_well

from lkscan import cli
from lkscan.scanner import image
from lkscan.scanner.subjects import File, Problem

INPUTS = int(os.environ.get("LKSCAN_FUZZ_INPUTS", "1000"))
"""Bent images of each format; `make fuzz` is the long shape."""
TEXTS = INPUTS // 10
"""Bent specs, configurations and so on: all rules see each, which takes far longer than reading an image."""
CUTS = 200
"""Places at which each image is cut."""


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    seedlab.need()
    return seedlab.seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("name", seedlab.NAMES)
def test_bent_images_neither_crash_nor_hang_nor_eat_memory(seeds, tmp_path, name):
    report = fuzzlab.fuzz(name, seeds[name], tmp_path, fuzzlab.Asked(INPUTS))
    assert [(str(fuzzlab.keep(name, data)), why) for data, why in report.failures] == []
    assert report.inputs == INPUTS


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    textlab.need()
    return textlab.seeds(tmp_path_factory.mktemp("texts"))


@pytest.mark.parametrize("name", textlab.NAMES)
def test_bent_specs_configurations_and_programs_neither_crash_nor_hang_nor_eat_memory(texts, tmp_path, name):
    report = fuzzlab.fuzz(name, texts[name], tmp_path, fuzzlab.Asked(TEXTS))
    assert [(str(fuzzlab.keep(name, data)), why) for data, why in report.failures] == []
    assert report.inputs == TEXTS


@pytest.mark.parametrize("kept", sorted(fuzzlab.FAILURES.glob("*.gz")), ids=lambda kept: kept.stem)
def test_what_failed_once_fails_no_more(tmp_path, kept):
    path = tmp_path / "image"
    path.write_bytes(gzip.decompress(kept.read_bytes()))
    assert fuzzlab.check(kept.stem.rpartition("-")[0], path) == ""


def facts(path):
    """Each file with its content as far as it can be read, and the problems."""
    files, problems, items = {}, [], []
    for item in image.read((str(path),)):
        items.append(item)
        if isinstance(item, File):
            files[item.place.artifacts[1:]] = (item.kind, item.size, item.read(1 << 20) if item.read else b"")
        elif isinstance(item, Problem):
            problems.append(item)
    assert ends_well(items)
    return files, problems


@pytest.mark.parametrize("name", seedlab.NAMES)
def test_a_cut_image_gives_what_is_left_and_says_so(seeds, tmp_path, name):
    data = seeds[name]
    path = tmp_path / "image"
    path.write_bytes(data)
    whole, problems = facts(path)
    assert problems == []
    kept = len(data.rstrip(b"\0"))
    for cut in {*range(0, len(data), -(-len(data) // CUTS)), len(data) - 1, kept, kept - 1} - {len(data)}:
        path.write_bytes(data[:cut])
        files, problems = facts(path)
        assert problems or (files == whole and not any(data[cut:])), cut
        for key, (kind, size, content) in files.items():
            if key in whole:
                assert whole[key][0] == kind, (cut, key)
                assert len(content) < size or content == whole[key][2] or problems, (cut, key)


@pytest.mark.parametrize("name", seedlab.NAMES)
def test_the_command_says_that_a_cut_image_is_incomplete(seeds, tmp_path, capsys, name):
    path = tmp_path / "image"
    path.write_bytes(seeds[name][: len(seeds[name]) // 2])
    assert cli.main(["--fail-on", "never", str(path)]) == cli.INCOMPLETE
    assert "image" in capsys.readouterr().err
