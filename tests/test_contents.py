"""What images are made of: sizes by component and folder, and programs by their hardening."""

import pytest
from htmllab import contents
from reportlab import inside
from rulelab import binary, file

from lkscan.cli import main
from lkscan.rules.components import Part
from lkscan.rules.contents import Collector, component
from lkscan.scanner.subjects import PeeledLayer, Place, System
from lkscan.transfer import dump, load


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("containers/services/sshd/rootfs/usr/sbin/sshd", "services/sshd"),
        ("containers/services/sshd/config.json", "services/sshd"),
        ("containers/onboot/003-sysctl/lower/bin/sh", "onboot/sysctl"),
        ("containers/onshutdown/000-bye/rootfs/x", "onshutdown/bye"),
        ("containers/readme", "root filesystem"),
        ("usr/lib/modules/6.12/x.ko", "kernel and modules"),
        ("boot/kernel", "kernel and modules"),
        ("etc/boot/x", "root filesystem"),
    ],
)
def test_a_path_belongs_to_a_component(path, wanted):
    assert component(path) == wanted


def summed(made):
    return {one.name: (one.size, one.files) for one in made.components}


def test_components_come_by_size_and_their_parts_add_up():
    made = contents(("etc/a", 10), ("containers/services/web/rootfs/b", 500), ("boot/kernel", 90), ("etc/empty", 0))
    assert summed(made) == {"services/web": (500, 1), "kernel and modules": (90, 1), "root filesystem": (10, 1)}
    assert made.components[0].parts == (Part("b", 500, 1, inside("containers/services/web/rootfs/b")),)
    assert all(sum(part.size for part in one.parts) == one.size for one in made.components)


def test_small_files_are_told_by_folder_and_large_folders_by_what_is_in_them():
    large = [(f"usr/share/{folder}/{number}", 100) for folder in ("doc", "man") for number in range(300)]
    made = contents(*large, ("usr/share/x", 30), ("etc/motd", 20), ("README", 5))
    (root,) = made.components
    assert {part.path: (part.size, part.files) for part in root.parts} == {
        "usr/share/doc/": (30_000, 300),
        "usr/share/man/": (30_000, 300),
        "": (25, 2),
        "usr/share/": (30, 1),
    }
    assert root.size == 60_055


def test_folders_without_end_are_no_recursion_without_end():
    deep = "a/" * 3000
    made = contents(*((f"{deep}{number}", 100) for number in range(1000)))
    assert summed(made) == {"root filesystem": (100_000, 1000)}


def test_of_two_files_of_one_path_the_last_counts():
    collector = Collector()
    for size in (1000, 10):
        collector.meet(file("etc/a", size=size, at=inside("etc/a"))._replace(replaces=size == 10))
    collector.meet(System(Place(("x",)), "image", is_linuxkit=False, format=""))
    assert summed(collector.contents[0]) == {"root filesystem": (10, 1)}


def test_a_file_that_holds_a_tree_is_told_by_what_is_in_it():
    initrd = Place(("x.iso", "boot/initrd.img"))
    collector = Collector()
    collector.meet(file("boot/initrd.img", size=1000, at=initrd))
    collector.meet(file("etc/a", size=10, at=initrd.inside("etc/a")))
    layers = (PeeledLayer(initrd, "gzip", 2), PeeledLayer(initrd, "cpio", 3, entries=1))
    collector.meet(System(Place(("x.iso",)), "image", is_linuxkit=False, format="", layers=layers))
    assert summed(collector.contents[0]) == {"root filesystem": (10, 1)}


def test_a_disk_that_holds_a_tree_in_a_partition_is_told_by_what_is_in_that() -> None:
    disk = Place(("x.tar.gz", "disk.raw"))
    collector = Collector()
    collector.meet(file("disk.raw", size=1000, at=disk))
    collector.meet(file("etc/a", size=10, at=disk.inside("partition 1").inside("etc/a")))
    layers = (PeeledLayer(disk, "MBR", 2), PeeledLayer(disk.inside("partition 1"), "ext4", 3, entries=1))
    collector.meet(System(Place(("x.tar.gz",)), "image", is_linuxkit=False, format="", layers=layers))
    assert summed(collector.contents[0]) == {"root filesystem": (10, 1)}


def test_one_image_leaves_nothing_behind_for_the_next():
    collector = Collector()
    for name in ("a.iso", "b.iso"):
        collector.meet(file("etc/a", size=10, at=Place((name, "etc/a"))))
        collector.meet(System(Place((name,)), "image", is_linuxkit=False, format=""))
    assert [summed(one) for one in collector.contents] == [{"root filesystem": (10, 1)}] * 2


def test_programs_are_counted_by_what_they_have_and_copies_each():
    copies = tuple(file(f"bin/{number}", at=inside(f"bin/{number}")) for number in range(50))
    weak = binary("bin/app", kind="exec", relro="none", rwx=("LOAD 0",), answers={"canary": "no"}, copies=copies)
    made = contents(programs=(weak, binary("bin/fine"), binary("x.o", kind="object"), binary("boot/grub/x.mod")))
    rows = {(one.number, one.fact("relro"), one.fact("pie"), one.fact("rwx")): one for one in made.hardening}
    assert set(rows) == {(51, "none", "no", "yes"), (1, "full", "yes", "no")}
    assert len(rows[51, "none", "no", "yes"].names) == 40
    assert rows[51, "none", "no", "yes"].fact("canary") == "no"


def test_contents_cross_from_process_to_process():
    made = contents(("etc/\udcff", 10), programs=(binary("bin/app"),))
    assert load(dump(made)) == made


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_only_who_asks_for_html_gets_them(tmp_path, jobs, capsys, monkeypatch):
    tree = tmp_path / "initrd.img"
    from imagelab import Item, newc

    tree.write_bytes(newc(Item("etc/motd", b"x" * 300), Item("srv/large", b"y" * 5000)))
    seen = []
    monkeypatch.setattr(
        Collector, "meet", lambda self, subject, meet=Collector.meet: (seen.append(1), meet(self, subject))
    )
    main(["scan", "--no-config", str(tree), "--jobs", jobs, "-o", str(tmp_path / "x.json")])
    assert not seen
    main(["scan", "--no-config", str(tree), "--jobs", jobs, "-o", str(tmp_path / "x.html")])
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "srv/large: 4.9 KiB" in page
    capsys.readouterr()
