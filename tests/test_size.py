"""`lkscan size`: bytes by component, unpacked, as shipped and in memory, what a boot costs, and budgets."""

import gzip
import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from elflab import bzimage, image, packed, vmlinux, zboot
from htmllab import ATTACKS
from hypothesis import given, settings
from hypothesis import strategies as st
from imagelab import Item, newc
from rulelab import container

from lkscan import cli, sizing, transfer
from lkscan.reports import formats
from lkscan.reports.size_tree import Node, tree
from lkscan.rules.components import Component, Part, Unpacked
from lkscan.rules.sizes import Report, Sizes, exceeded, shipped, weigh, with_kernels
from lkscan.scanner import image as readers
from lkscan.scanner import payload
from lkscan.scanner.subjects import PeeledLayer, Place, System

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
    assert one["boot"]["onboot"] == ["first"]
    assert one["boot"]["services"] == ["web"]


def test_what_an_initrd_holds_is_memory_in_whole_pages_and_what_a_tar_holds_is_not(initrd, archive, capsys) -> None:
    sizes = [len(content(path, size)) for path, size in FILES.items()]
    one = measured(capsys, initrd)
    assert one["memory"] == sum(-(-size // 4096) * 4096 for size in sizes)
    assert one["memory"] == sum(part["memory"] for part in one["components"])
    assert measured(capsys, archive)["memory"] == 0
    assert measured(capsys, archive)["boot"]["initrds"] == []


def test_an_initrd_is_told_packed_and_unpacked(initrd, capsys) -> None:
    (found,) = measured(capsys, initrd)["boot"]["initrds"]
    data = gzip.decompress(Path(initrd).read_bytes())
    assert found == {"place": initrd, "packed": Path(initrd).stat().st_size, "size": len(data)}


def test_what_is_packed_as_one_is_shared_out_and_what_is_not_takes_its_own_bytes(initrd, archive, capsys) -> None:
    one = measured(capsys, initrd)
    assert one["packed"] == pytest.approx(Path(initrd).stat().st_size * one["size"] / len(newc_of(initrd)), abs=3)
    big, small = one["components"][:2]
    assert big["packed"] / small["packed"] == pytest.approx(big["size"] / small["size"], rel=0.05)
    plain = measured(capsys, archive)
    assert [part["packed"] for part in plain["components"]] == [part["size"] for part in plain["components"]]


def newc_of(path):
    return gzip.decompress(Path(path).read_bytes())


OUTER = ("image",)
INNER = ("image", "boot/initrd.img")


def layer(artifacts, form, depth, size=-1):
    return PeeledLayer(Place(artifacts), form, depth, 0, size, 1)


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ([], [800, 200]),
        ([layer(OUTER, "ISO 9660", 1, 5000)], [800, 200]),
        ([layer(OUTER, "ISO 9660", 1, 5000), layer(INNER, "gzip", 2, 250), layer(INNER, "cpio", 3, 1000)], [800, 50]),
        ([layer(INNER, "cpio", 2, 100), layer(INNER, "gzip", 2, 150), layer(INNER, "cpio", 3, 400)], [800, 100]),
        ([layer(OUTER, "squashfs (xz)", 1, 500)], [400, 100]),
        ([layer(OUTER, "qcow2", 1, 500), layer(OUTER, "ext4", 2, -1)], [400, 100]),
        ([layer(OUTER, "qcow2", 1, 4000), layer(OUTER, "ext4", 2, -1)], [800, 200]),
        ([layer(OUTER, "gzip", 1, 500), layer(OUTER, "ext4", 2, -1)], [None, None]),
        ([layer(INNER, "gzip", 2, -1), layer(INNER, "cpio", 3, 400)], [800, None]),
        ([layer(INNER, "gzip", 2, 10), layer(INNER, "cpio", 3, 0)], [800, None]),
        (
            [
                layer(OUTER, "gzip", 1, 60),
                layer(OUTER, "tar", 2, 120),
                layer(INNER, "xz", 3, 5),
                layer(INNER, "cpio", 4, 10),
            ],
            [400, 50],
        ),
    ],
)
def test_bytes_as_shipped_follow_from_the_layers(layers, wanted) -> None:
    some = [Component("root filesystem", Place(OUTER), 800, 1, ()), Component("services/a", Place(INNER), 200, 1, ())]
    assert list(shipped(some, layers)) == wanted


def test_what_takes_nothing_unpacked_takes_nothing_as_shipped() -> None:
    some = [Component("root filesystem", Place(OUTER), size, 1, ()) for size in (1000, 0)]
    assert list(shipped(some, [layer(OUTER, "squashfs (xz)", 1, 900)])) == [900, 0]


def test_an_archive_in_an_archive_or_in_a_container_is_not_unpacked_at_boot() -> None:
    web = ("image", "containers/services/web/rootfs/a.cpio")
    nested = (*INNER, "srv/b.cpio")
    places = [INNER, web, nested]
    layers = tuple(layer(one, "cpio", 2, 100) for one in places)
    found = weigh(
        System(Place(OUTER), "image", is_linuxkit=True, format="", layers=layers),
        tuple(Component("root filesystem", Place(one), 10, 1, (), 4096) for one in places),
        (),
        (),
    )
    assert [one.place.artifacts for one in found.initrds] == [INNER]
    assert found.held == (4096, 0, 0)


def test_containers_are_started_in_the_order_of_their_folders() -> None:
    folders = ("onboot/001-b", "onboot/000-c", "services/a-b", "services/a", "onshutdown/000-z")
    made = tuple(
        container(section=one.partition("/")[0], name=one[-1], at=Place((*INNER, f"containers/{one}/config.json")))
        for one in folders
    )
    found = weigh(System(Place(OUTER), "image", is_linuxkit=True, format="", containers=made), (), (), ())
    assert found.onboot == ("c", "b")
    assert found.services == ("a", "b")


KERNEL = vmlinux()


def told(data):
    return payload.read(len(data), lambda size: data[:size])


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd"])
@pytest.mark.parametrize("made", [lambda kind: bzimage(packed(KERNEL, kind)), lambda kind: zboot(KERNEL, kind)])
def test_a_kernel_tells_what_its_payload_unpacks_to(made, kind) -> None:
    assert told(made(kind)) == (len(packed(KERNEL, kind)), len(KERNEL))


def test_a_kernel_image_that_is_packed_as_a_whole_tells_its_size_by_gzip_alone() -> None:
    plain = image()
    whole = gzip.compress(plain)
    assert told(plain) == (len(plain), len(plain))
    assert told(whole) == (len(whole), len(plain))
    assert told(bzimage(packed(KERNEL, "gzip"), protocol=0x207)).size is None


@pytest.mark.parametrize("at", [0x1F1, 0x248, 0x24C])
def test_a_kernel_that_contradicts_itself_is_not_believed(at) -> None:
    data = bytearray(bzimage(packed(KERNEL, "gzip")))
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    assert told(bytes(data)) == (len(data), None)
    assert told(b"no image") is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 0x300), st.sampled_from(["gzip", "xz"]))
def test_a_bent_kernel_tells_sizes_or_nothing(patch, at, kind) -> None:
    for data in (bytearray(bzimage(packed(KERNEL, kind))), bytearray(zboot(KERNEL, kind)), bytearray(image())):
        data[at : at + len(patch)] = patch
        found = told(bytes(data))
        assert found is None or (0 <= found.packed <= len(data) and (found.size is None or 0 <= found.size < 1 << 32))


def test_a_kernel_that_may_not_be_read_is_told_as_the_image_is(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "kernel").write_bytes(bzimage(packed(KERNEL, "gzip")))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sizing, "FileSource", refuse)
    monkeypatch.setattr(readers, "FileSource", refuse)
    assert cli.main(["size", str(tmp_path / "kernel"), "--no-config"]) == cli.INCOMPLETE
    assert "cannot be read: Permission denied" in capsys.readouterr().err


def test_a_kernel_beside_an_initrd_is_a_part_of_the_image(tmp_path, initrd, capsys) -> None:
    kernel = bzimage(packed(KERNEL, "gzip"))
    (tmp_path / "x-kernel").write_bytes(kernel)
    Path(initrd).rename(tmp_path / "x-initrd.img")
    one = measured(capsys, str(tmp_path / "x"))
    sizes = {part["name"]: part["size"] for part in one["components"]}
    assert sizes["kernel and modules"] == len(kernel)
    assert one["packed"] is not None
    (found,) = one["boot"]["kernels"]
    assert found["size"] == len(KERNEL)


def test_a_tree_has_folders_with_what_is_in_them_and_the_rest_in_one() -> None:
    parts = [
        Part(path, size, 1)
        for path, size in [("usr/bin/a", 50), ("usr/bin/b", 30), ("usr/lib/", 20), ("etc/deep/er/x", 15), ("", 3)]
    ]
    assert tree(parts, 10) == [
        Node("usr/", 0, 100, 3),
        Node("bin/", 1, 80, 2),
        Node("a", 2, 50, 1),
        Node("b", 2, 30, 1),
        Node("lib/", 1, 20, 1),
        Node("etc/deep/er/x", 0, 15, 1),
        Node("other files", 0, 3, 1),
    ]


def test_a_tree_of_any_depth_is_bounded() -> None:
    parts = [Part("a/" * number + "x", 1, 1) for number in range(1, 400)]
    nodes = tree(parts)
    assert max(node.depth for node in nodes) == 9
    assert sum(node.size for node in nodes if node.depth == 0) == 399


@pytest.mark.parametrize(
    ("budget", "status"),
    [
        ("root filesystem=60K", cli.OK),
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
    assert "for good: the files of the initrd" in text
    assert "1 run one after another before the services: first" in text
    assert "1 started, none waited for: web" in text


def test_hostile_names_reach_no_terminal(tmp_path, capsys) -> None:
    (tmp_path / "initrd.img").write_bytes(newc(Item("etc/\x1b[2Jbad", bytes(100))))
    assert cli.main(["size", str(tmp_path / "initrd.img"), "--no-config"]) == cli.OK
    assert "\x1b" not in capsys.readouterr().out


def hostile() -> Report:
    """Images in which whatever has a name has a bad one."""
    parts = tuple(Part(f"{name}/{name}", 1000, 1) for name in ATTACKS)
    some = tuple(Component(f"services/{name}", Place(("x", name)), 10_000, 10, parts, 10) for name in ATTACKS)
    places = tuple(Unpacked(Place(("x", name)), 10, None) for name in ATTACKS)
    one = Sizes("x\x1b[2J</title>", some, (None,) * len(some), (1,) * len(some), places, places, ATTACKS, ATTACKS)
    budget = {f"services/{name}": 10 for name in ATTACKS}
    one = one._replace(is_read=True, budget=budget)
    return Report((one, Sizes("unread"), one._replace(path="<b>")))


@pytest.mark.parametrize("name", formats.SIZES)
def test_hostile_names_stay_names_in_every_format(name) -> None:
    text = formats.render(name, hostile(), formats.SIZES)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "unread" not in text.replace('id="unread"', "")
    assert formats.render(name, hostile(), formats.SIZES) == text
    if name == "html":
        assert "<script>" not in text
        assert "<img" not in text
        assert "<svg onload" not in text
    if name == "markdown":
        assert "<script>" not in text


@pytest.mark.parametrize(
    ("budget", "told"),
    [(["--budget", "60K"], "Over budget."), (["--budget", "1M"], "Within its budget."), ([], "unpacked, about ")],
)
def test_a_page_has_the_verdict_first_and_needs_no_script(initrd, tmp_path, capsys, budget, told) -> None:
    cli.main(["size", initrd, "--no-config", *budget, "-o", str(tmp_path / "x.html"), "-o", str(tmp_path / "x.md")])
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert told in page.partition("</h1>")[0]
    assert "<script" not in page
    assert "usr/bin/big" in page
    assert page.count("<svg") == 2
    assert ("over budget" in (tmp_path / "x.md").read_text(encoding="utf-8")) is (told == "Over budget.")
    capsys.readouterr()


def test_a_page_of_nothing_says_so() -> None:
    assert "Nothing could be measured." in formats.render("html", Report((Sizes("x"),)), formats.SIZES)


def test_kernels_of_their_own_come_with_the_others_by_size() -> None:
    root = Component("root filesystem", Place(OUTER), 10, 1, ())
    assert [one.name for one in with_kernels([root], {"a/kernel": 11, "b": 9})] == [
        "kernel and modules",
        "root filesystem",
        "kernel and modules",
    ]


def test_a_configuration_gives_a_budget_too_and_the_order_has_the_last_word(initrd, capsys) -> None:
    Path(initrd).with_name("lkscan.toml").write_text('budget = ["60K", "services/none=1K"]\n')
    assert cli.main(["size", initrd]) == cli.FINDINGS
    assert cli.main(["size", initrd, "--budget", "1M"]) == cli.OK
    assert cli.main(["size", initrd, "--no-config"]) == cli.OK
    capsys.readouterr()


def test_a_byte_too_much_is_seen() -> None:
    one = Component("services/a", Place(OUTER), (35 << 20) + 1, 1, ())
    (excess,) = exceeded([one], {"services/a": 35 << 20})
    assert str(excess) == "services/a has 36,700,161 bytes unpacked, more than its budget of 36,700,160 bytes"


@pytest.mark.parametrize("bent", [("payloads", ((),)), ("components", ("x",)), ("systems", ({},))])
def test_what_a_reader_answers_has_to_be_what_was_asked_for(bent) -> None:
    transfer.learn(sizing.Measured, Unpacked)
    fine = sizing.Measured((), (), (Unpacked(Place(OUTER), 1, None),), ())
    assert transfer.load(transfer.dump(fine)) == fine
    with pytest.raises(transfer.TransferError):
        transfer.load(transfer.dump(fine._replace(**dict([bent]))))
    with pytest.raises(transfer.TransferError):
        transfer.load(transfer.dump(fine._replace(payloads=(Unpacked(Place(OUTER), "1", None),))))
