"""What an image carries twice or cannot load: kernel modules that nothing names, and programs of several containers."""

import json
import tarfile

import pytest
from elflab import EXEC, RW, Lab
from elflab import module as module_bytes
from imagelab import Item, newc
from needlab import configuration, image
from rulelab import SPEC, container, fires, outcomes, rootfs

from lkscan.cli import main
from lkscan.desks import read
from lkscan.inputs import Input
from lkscan.rules.duplicates import duplicate_program
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.idle_modules import idle_kernel_module
from lkscan.rules.unstripped import unstripped_program
from lkscan.scanner.ballast import Ballast, Copies, Module, Scale
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.subjects import Kernel, KernelCommandLine, PeeledLayer, Place, Sysctl, System

APP, SPARE = (Lab(type=EXEC, has_dynamic=False, loads=loads).build() for loads in ((RW,), (RW, RW)))
"""Programs that do nothing."""
HOST = rootfs(tops=frozenset({"bin", "etc", "lib"}), programs={"sbin/init": "program"})
BUSY = HOST._replace(programs={"sbin/init": "program", "sbin/modprobe": "-> /bin/busybox"})


def module(path, *needs, size=1000, names=()):
    own = path.rpartition("/")[2].removesuffix(".ko").replace("-", "_")
    return Module(Place(("initrd.img", f"lib/modules/6.12.1/kernel/{path}")), size, (own, *names), needs)


XFS, CRC = module("fs/xfs/xfs.ko", "libcrc32c", size=9000, names=("fs_xfs",)), module("lib/libcrc32c.ko", size=500)
SOUND = module("sound/pci/snd-intel8x0.ko", size=700)
ALL = (XFS, CRC, SOUND)


def system(*containers, roots=(HOST,), form="cpio", **facts):
    made = System(SPEC, "image", True, form, containers)  # noqa: FBT003 - of LinuxKit
    return made._replace(roots=roots, layers=(PeeledLayer(Place(("initrd.img",)), form, 1),), **facts)


def loading(*command, **options):
    return container(name="modprobe", command=command, capabilities=["CAP_SYS_MODULE"], **options)


def configured(**options):
    return (Kernel(SPEC, "6.12.1", "", "x86_64", "bzImage", "gzip", options, "IKCONFIG"),)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (system(), Outcome.FAIL),
        (system(loading("modprobe", "-a", "xfs", "snd-intel8x0")), Outcome.PASS),
        (system(loading("/sbin/modprobe", "fs-xfs")), Outcome.FAIL),
        (system(loading("/bin/sh", "-c", "modprobe xfs")), Outcome.UNDECIDED),
        (system(loading("modprobe", "$MODULE")), Outcome.UNDECIDED),
        (system(loading("/usr/bin/agent")), Outcome.UNDECIDED),
        (system(container(name="web", command=("web",))), Outcome.FAIL),
        (system(roots=(BUSY,)), Outcome.UNDECIDED),
        (system(roots=(HOST._replace(programs={"sbin/init": "-> ../bin/busybox"}),)), Outcome.UNDECIDED),
        (system(roots=(BUSY,), kernels=configured(MODULES="y")), Outcome.UNDECIDED),
        (system(roots=(BUSY,), kernels=configured(PRINTK="y")), Outcome.FAIL),
        (system(roots=(BUSY,), kernels=(*configured(PRINTK="y"), *configured(MODULES="y"))), Outcome.UNDECIDED),
        (system(roots=()), Outcome.UNDECIDED),
        (system()._replace(is_linuxkit=False), Outcome.UNDECIDED),
        (system(sysctls=(Sysctl(SPEC, (("kernel.modprobe", "/sbin/load", 1),)),)), Outcome.UNDECIDED),
    ],
)
def test_a_module_is_idle_where_nothing_names_it_and_nobody_loads_what_is_not_named(found, expected):
    assert outcomes(idle_kernel_module, Ballast(found, ALL, ())) == {expected}


@pytest.mark.parametrize(
    ("found", "idle"),
    [
        (system(loading("modprobe", "xfs")), 1),
        (system(loading("insmod", "/lib/modules/6.12.1/kernel/lib/libcrc32c.ko.xz")), 2),
        (system(loading("modprobe", "-a", "snd_intel8x0", "libcrc32c")), 1),
        (system(command_lines=(KernelCommandLine(SPEC, "quiet modules=loop,xfs"),)), 1),
        (system(roots=(HOST._replace(texts={"etc/modules-load.d/a.conf": b"# x\nfs-xfs\n"}),)), 1),
        (system(roots=(HOST._replace(texts={"etc/xfs.conf": b"xfs"}),)), 3),
    ],
)
def test_what_a_named_module_needs_is_named_with_it(found, idle):
    (finding,) = fires(idle_kernel_module, Ballast(found, ALL, ()))
    assert finding.arguments[:2] == (f"{idle}", "3")


def test_what_is_open_is_told_of_the_first_module():
    (finding,) = idle_kernel_module(Ballast(system(roots=(BUSY,)), ALL, ()))
    assert (finding.outcome, finding.place) == (Outcome.UNDECIDED, XFS.place)


def test_idle_modules_are_summed_up_by_folder_with_the_largest_and_memory():
    more = tuple(module(f"drivers/kind{number}/a.ko", size=number) for number in range(6))
    (finding,) = fires(idle_kernel_module, Ballast(system(), (*ALL, *more), ()))
    assert finding.arguments == ("9", "9", "10,215")
    assert finding.evidence[0] == "fs/xfs: 1 module, 9,000 bytes"
    assert finding.evidence[5] == "and 4 more, 6 bytes"
    assert "lib/modules/6.12.1/kernel/fs/xfs/xfs.ko (9,000 bytes)" in finding.evidence[6]
    assert finding.evidence[7] == "They are unpacked into memory at boot."
    disk = Ballast(system(form="ext4"), ALL, ())
    assert "They are unpacked" not in fires(idle_kernel_module, disk)[0].evidence[-1]


@pytest.mark.parametrize(
    ("form", "command", "expected"),
    [("qcow2", (), {"hardware"}), ("ext4", (), set()), ("VMDK (sparse)", ("modprobe", "snd-intel8x0"), set())],
)
def test_hardware_that_virtual_machines_have_none_of_is_a_note_where_the_disk_is_one_of_theirs(form, command, expected):
    containers = [loading(*command)] if command else []
    found = fires(idle_kernel_module, Ballast(system(*containers, roots=(BUSY,), form=form), ALL, ()))
    assert {one.variant for one in found} == expected
    for one in found:
        assert (one.severity, one.profile, one.arguments) == (Severity.NOTE, Profile.AUDITOR, ("1", "3", "700"))
        assert one.evidence[0] == "sound: 1 module, 700 bytes"


# --- duplicates


def copies(size, *containers, path="bin/busybox", may_share=False):
    places = (Place(("initrd.img", f"containers/{one}/rootfs/{path}")) for one in containers)
    return Copies(size, tuple(places), may_share)


TWO = (container(name="web"), container(name="log"))


def duplicates(*found, form="cpio", containers=TWO):
    return Ballast(system(*containers, form=form), (), found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (duplicates(copies(1 << 20, "services/a", "services/b")), Outcome.FAIL),
        (duplicates(copies(1 << 19, "services/a", "services/b", "onboot/000-c")), Outcome.FAIL),
        (duplicates(copies(1 << 19, "services/a", "services/b")), Outcome.PASS),
        (duplicates(copies(1 << 20, "services/a", "services/b", may_share=True)), Outcome.UNDECIDED),
        (duplicates(copies(1 << 19, "services/a", "services/b", may_share=True)), Outcome.PASS),
        (duplicates(containers=TWO[:1]), Outcome.NOT_APPLICABLE),
    ],
)
def test_programs_are_told_where_they_take_much_more_than_once(found, expected):
    assert outcomes(duplicate_program, found) == {expected}


def test_the_groups_that_cost_most_are_named_with_their_containers():
    names = [f"services/{letter}" for letter in "abcdefg"]
    found = [copies(1 << 20, *names), *(copies(number, "services/a", "services/b") for number in range(6))]
    (finding,) = fires(duplicate_program, duplicates(*found))
    assert finding.arguments == ("7", f"{(6 << 20) + 15:,}")
    shown = "services/a, services/b, services/c, services/d, services/e, 2 more"
    assert finding.evidence[0] == f"bin/busybox: 7 times 1,048,576 bytes ({shown})"
    assert finding.evidence[5:] == ("and 2 more, 1 bytes", "They are unpacked into memory at boot.")
    assert len(finding.locations) == len(names)


# --- symbols


def test_programs_with_symbols_are_told_from_so_many_bytes_on_the_largest_first():
    places = [Place(("initrd.img", f"bin/{number}")) for number in range(7)]
    found = tuple((place, (1 + number) << 18) for number, place in enumerate(places))
    (finding,) = fires(unstripped_program, Ballast(system()._replace(binaries=9), (), (), found))
    assert finding.arguments == ("7", "9", f"{28 << 18:,}")
    assert finding.place == places[6]
    assert finding.evidence[0] == f"bin/6: {7 << 18:,} bytes"
    assert finding.evidence[5:] == (f"and 2 more, {3 << 18:,} bytes", "They are unpacked into memory at boot.")


# --- from images


def gathered(path):
    scale = Scale()
    for subject in read(Input("image", (str(path),)), LabelFinder()):
        scale.meet(subject)
    (found,) = scale.subjects()
    return found


def test_programs_of_several_containers_are_found_by_content_once_for_each_container(tmp_path):
    own = configuration(["/app"])
    held = {"app": APP, "bin/a": SPARE, "bin/again": SPARE}
    path = image(tmp_path / "a.tar", {"one": (own, held), "two": (own, {"b": SPARE}), "three": (own, {"c": APP})})
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("containers/services/three/rootfs/link")
        link.type, link.linkname = tarfile.LNKTYPE, "containers/services/one/rootfs/bin/a"
        tar.addfile(link)
    found = {
        tuple(place.artifacts[-1].split("/", 2)[2] for place in one.places): one.saved for one in gathered(path).copies
    }
    assert found == {
        ("one/rootfs/app", "three/rootfs/c"): len(APP),
        ("one/rootfs/bin/a", "two/rootfs/b"): len(SPARE),
    }


def test_modules_are_kept_with_what_they_need_and_what_they_are_called(tmp_path):
    info = ("name=x_fs", "depends=a-b,c", "softdep=pre: d post: e", "alias=fs-x", "alias=pci:v00008086d*")
    data = module_bytes(*info)
    path = tmp_path / "initrd.img"
    path.write_bytes(newc(Item("lib/modules/6.12.1/kernel/fs/x-fs.ko", data), Item("etc/hostname", b"a")))
    (found,) = gathered(path).modules
    assert found.names == ("x_fs", "fs_x")
    assert found.needs == ("a_b", "c", "d", "e")
    assert (found.path, found.size) == ("lib/modules/6.12.1/kernel/fs/x-fs.ko", len(data))


def test_a_scan_takes_the_least_bytes_from_the_configuration(tmp_path, capsys):
    path = image(tmp_path / "a.tar", {name: (configuration(["/app"]), {"app": APP}) for name in ("one", "two")})
    settings = tmp_path / "lkscan.toml"
    order = [str(path), "--select", "LKL014", "--profile", "auditor", "--format", "json"]
    for least, expected in ((1, [f"bin/app: 2 times {len(APP):,} bytes"]), (1 << 20, [])):
        settings.write_text(f"[rules.duplicate-program]\nbytes = {least}\n")
        main([*order, "--config", str(settings)])
        found = json.loads(capsys.readouterr().out)["findings"]
        assert [one["evidence"][0].partition(" (")[0].replace("app:", "bin/app:") for one in found] == expected
