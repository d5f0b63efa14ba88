"""`lkscan size`: bytes by component, what is memory, and budgets."""

import gzip
import json
import tarfile
from io import BytesIO

import pytest
from imagelab import Item, newc

from lkscan import cli

pytestmark = pytest.mark.read_here

FILES = {
    "etc/motd": 1000,
    "usr/bin/big": 50_000,
    "containers/services/web/config.json": 0,
    "containers/services/web/rootfs/bin/web": 30_000,
    "containers/onboot/000-first/config.json": 0,
}
CONFIG = b'{"ociVersion":"1.0.0","process":{"args":["/bin/web"]},"linux":{}}'


def content(path, size):
    return CONFIG if path.endswith("config.json") else bytes(size)


@pytest.fixture
def initrd(tmp_path):
    items = [Item(path, content(path, size)) for path, size in FILES.items()]
    (tmp_path / "initrd.img").write_bytes(gzip.compress(newc(*items)))
    return str(tmp_path / "initrd.img")


@pytest.fixture
def archive(tmp_path):
    """The same tree in a format that the kernel does not unpack into memory."""
    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, size in FILES.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content(path, size))
            tar.addfile(entry, BytesIO(content(path, size)))
    (tmp_path / "system.tar").write_bytes(data.getvalue())
    return str(tmp_path / "system.tar")


def measured(capsys, path):
    assert cli.main(["size", path, "--format", "json", "--no-config"]) == cli.OK
    (one,) = json.loads(capsys.readouterr().out)
    return one


@pytest.mark.shut_in
def test_each_component_has_the_bytes_of_its_files(initrd, capsys) -> None:
    one = measured(capsys, initrd)
    sizes = {part["name"]: part["size"] for part in one["components"]}
    assert sizes == {
        "root filesystem": 51_000,
        "services/web": 30_000 + len(CONFIG),
        "onboot/first": len(CONFIG),
    }
    assert one["size"] == sum(sizes.values())
    assert [part["name"] for part in one["components"]] == sorted(sizes, key=sizes.get, reverse=True)
    assert one["onboot"] == 1


def test_what_an_initrd_holds_is_memory_and_what_a_tar_holds_is_not(initrd, archive, capsys) -> None:
    assert measured(capsys, initrd)["memory"] == measured(capsys, archive)["size"]
    assert measured(capsys, archive)["memory"] == 0


@pytest.mark.parametrize(
    ("budget", "status"),
    [
        ("1M", cli.OK),
        ("80K", cli.OK),
        ("60K", cli.FINDINGS),
        ("services/web=40K", cli.OK),
        ("services/web=20K", cli.FINDINGS),
        ("services/none=20K", cli.USAGE),
    ],
)
def test_a_budget_fails_the_run_only_where_it_is_exceeded(initrd, capsys, budget, status) -> None:
    assert cli.main(["size", initrd, "--budget", budget, "--no-config"]) == status
    found = capsys.readouterr()
    assert ("over budget" in found.out) is (status == cli.FINDINGS)
    assert ("no image has a component of this name" in found.err) is (status == cli.USAGE)


def test_a_budget_that_is_no_size_is_refused_in_one_line(initrd, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["size", initrd, "--budget", "web=little"])
    assert stop.value.code == cli.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_no_image_is_said(tmp_path, capsys) -> None:
    (tmp_path / "a.yml").write_text("kernel: {image: a}\n")
    assert cli.main(["size", str(tmp_path / "a.yml"), str(tmp_path / "missing")]) == cli.USAGE
    found = capsys.readouterr()
    assert "a spec has no size" in found.err
    assert found.out == ""


def test_text_tells_shares_and_what_it_takes_to_boot(initrd, capsys) -> None:
    assert cli.main(["size", initrd, "--no-config"]) == cli.OK
    text = capsys.readouterr().out
    assert "root filesystem  (2 files)" in text
    assert "usr/bin/big" in text
    assert "unpacked into memory; 1 containers run one after another" in text


def test_hostile_names_reach_no_terminal(tmp_path, capsys) -> None:
    (tmp_path / "initrd.img").write_bytes(newc(Item("etc/\x1b[2Jbad", bytes(100))))
    assert cli.main(["size", str(tmp_path / "initrd.img"), "--no-config"]) == cli.OK
    assert "\x1b" not in capsys.readouterr().out
