"""Images: which files belong together, which subjects come out of them, and bad input of every kind."""

import gzip
import json
import lzma
import os
import random
import socket
import tarfile

import elflab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagelab import Item, Node, ends_well, iso, needs, newc, of, paths, run, subjects
from test_peel import padded
from test_tar import archive, entry

from lkscan.scanner import container_files, image, kernel, outputs
from lkscan.scanner.source import Limits
from lkscan.scanner.subjects import (
    Binary,
    Container,
    File,
    Kernel,
    KernelCommandLine,
    KernelModule,
    Place,
    Problem,
    Sysctl,
    System,
)

CONFIG = json.dumps({"ociVersion": "1.0.0", "process": {"args": ["/bin/sh"]}}).encode()
RUNTIME = b"{}"
ELF = elflab.Lab().build()
ROOT = {
    "boot/cmdline": b"console=ttyS0",
    "containers/onboot/000-sysctl/config.json": CONFIG,
    "containers/onboot/000-sysctl/runtime.json": RUNTIME,
    "containers/onboot/000-sysctl/rootfs/etc/sysctl.d/00-linuxkit.conf": b"kernel.dmesg_restrict = 1\n",
    "containers/services/getty/config.json": CONFIG,
    "containers/services/getty/runtime.json": RUNTIME,
    "containers/services/alpha/config.json": CONFIG,
    "containers/services/alpha/runtime.json": RUNTIME,
    "containers/onshutdown/010-bye/config.json": CONFIG,
    "containers/onshutdown/010-bye/runtime.json": RUNTIME,
    "etc/sysctl.conf": b"net.ipv4.ip_forward=1\n",
    "usr/bin/tool": ELF,
    "usr/share/notes": b"nothing of interest",
}


def linux(text=b""):
    """A bzImage without a payload that is read: its release stands in the header."""
    data = bytearray(4096)
    data[0x1F1] = 1
    data[0x1FE:0x200] = b"\x55\xaa"
    data[0x202:0x206] = b"HdrS"
    data[0x206:0x208] = b"\x05\x02"
    data[0x20E:0x210] = (0x100).to_bytes(2, "little")
    data[0x300 : 0x300 + 16] = b"6.12.59-linuxkit"
    return bytes(data) + text


def cpio(nodes=ROOT):
    return newc(*(Item(path, data) for path, data in nodes.items()))


def tar(nodes=ROOT, **fields):
    return archive(*(entry(path, data, **fields) for path, data in nodes.items()))


IMAGES = {
    "cpio": cpio(),
    "gzip > cpio": gzip.compress(cpio(), mtime=0),
    "tar": tar(),
    "ISO 9660 (Rock Ridge)": iso(ROOT),
    "gzip > tar": gzip.compress(tar(), mtime=0),
}


def problems(items):
    return [f"{item.place}: {item.message}" for item in of(items, Problem)]


@pytest.mark.parametrize("form", IMAGES)
def test_the_same_subjects_come_out_of_every_format(tmp_path, form):
    items = subjects(tmp_path, IMAGES[form])
    system = items[-1]
    assert isinstance(system, System)
    assert problems(items) == []
    assert (system.kind, system.format, system.is_linuxkit, system.binaries) == ("image", form, True, 1)
    assert set(ROOT) <= set(paths(items))
    assert system.files == len(paths(items))
    assert [(one.title, one.index) for one in system.containers] == [
        ("onboot/sysctl", 0),
        ("onshutdown/bye", 10),
        ("services/getty", 0),
        ("services/alpha", 1),
    ]
    assert {one.title for one in of(items, Container)} == {one.title for one in system.containers}
    assert [one.text for one in of(items, KernelCommandLine)] == ["console=ttyS0"]
    assert system.command_lines == tuple(of(items, KernelCommandLine))
    assert [one.settings[0][0] for one in of(items, Sysctl)] == ["kernel.dmesg_restrict", "net.ipv4.ip_forward"]
    assert of(items, Binary)[0].file.path == "usr/bin/tool"


def test_a_file_can_be_read_while_its_subjects_are_at_hand(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(IMAGES["gzip > cpio"])
    contents = {}
    for item in image.read((str(path),)):
        if isinstance(item, File):
            contents[item.path] = item.read(1 << 20)
        elif isinstance(item, Binary):
            assert item.file.read is None  # it comes in the end, when all that can be told of it is known
    assert contents == ROOT


def test_subjects_know_the_whole_chain_of_artifacts(tmp_path):
    data = iso(
        {
            "boot/kernel": linux(),
            "boot/initrd.img": gzip.compress(cpio()),
            "isolinux/isolinux.cfg": b"label x\n kernel /k\n append quiet\n",
        }
    )
    items = subjects(tmp_path, data)
    top = str(tmp_path / "image")
    assert items[-1].format == "ISO 9660 (Rock Ridge) > gzip > cpio"
    assert of(items, Container)[0].place.artifacts == (
        top,
        "boot/initrd.img",
        "containers/onboot/000-sysctl/config.json",
    )
    assert sorted(one.text for one in of(items, KernelCommandLine)) == ["console=ttyS0", "quiet"]
    (found,) = of(items, Kernel)
    assert (found.version, found.place.artifacts) == ("6.12.59-linuxkit", (top, "boot/kernel"))


def test_configurations_pair_up_in_any_order_and_one_alone_will_do(tmp_path):
    nodes = {
        "containers/services/b/runtime.json": RUNTIME,
        "containers/services/b/config.json": CONFIG,
        "containers/services/a/config.json": CONFIG,
        "containers/services/c/runtime.json": RUNTIME,
    }
    items = subjects(tmp_path, cpio(nodes))
    assert [one.name for one in of(items, Container)] == ["b", "a"]
    assert [message.partition(" / ")[2] for message in problems(items)] == [
        "containers/services/c: runtime.json without config.json"
    ]
    assert items[-1].is_linuxkit


def test_a_configuration_alone_does_not_make_it_linuxkit(tmp_path):
    items = subjects(tmp_path, cpio({"containers/services/a/config.json": CONFIG}))
    assert len(items[-1].containers) == 1
    assert not items[-1].is_linuxkit


@pytest.mark.parametrize("with_runtime", [True, False])
def test_a_damaged_configuration_is_reported(tmp_path, with_runtime):
    nodes = {"containers/services/a/config.json": b"{"}
    nodes |= {"containers/services/a/runtime.json": RUNTIME} if with_runtime else {}
    items = subjects(tmp_path, cpio(nodes))
    assert of(items, Container) == []
    assert "config.json" in problems(items)[0]
    assert items[-1].files == len(nodes)


def test_linuxkits_records_in_a_tar_mark_an_image_as_its_own(tmp_path):
    data = tar({"bin/rc.init": b""}, pax_headers={"LINUXKIT.source": "linuxkit/init:1", "LINUXKIT.location": "init[0]"})
    items = subjects(tmp_path, data)
    assert items[-1].is_linuxkit
    assert items[0].location == "init[0]"


def test_a_path_that_comes_again_replaces_the_earlier_one(tmp_path):
    items = subjects(tmp_path, archive(entry("etc/shadow", b"old"), entry("other"), entry("etc/shadow", b"new")))
    assert [(item.path, item.replaces) for item in of(items, File)] == [
        ("etc/shadow", False),
        ("other", False),
        ("etc/shadow", True),
    ]
    assert items[-1].files == 2


def test_archives_of_one_initrd_are_one_tree_and_those_of_two_are_not(tmp_path):
    items = subjects(tmp_path, newc(Item("a")) + newc(Item("a")))
    assert [item.replaces for item in of(items, File)] == [False, True]
    items = subjects(tmp_path, newc(Item("a"), Item("initrd.img", newc(Item("a")))))
    assert [item.replaces for item in of(items, File)] == [False, False, False]


def test_modules_are_modules_and_no_binaries(tmp_path):
    module = elflab.module("license=GPL", "name=dummy")
    nodes = {"lib/modules/6.12/kernel/dummy.ko": module, "lib/modules/6.12/kernel/packed.ko.xz": lzma.compress(module)}
    items = subjects(tmp_path, cpio(nodes))
    assert [one.info["license"] for one in of(items, KernelModule)] == ["GPL", "GPL"]
    assert (items[-1].modules, items[-1].binaries) == (2, 0)


def test_a_kernel_takes_its_configuration_from_beside_it(tmp_path):
    config = b"CONFIG_X=y\n"
    for place in ("boot/config-6.12.59-linuxkit", "lib/modules/6.12.59-linuxkit/config"):
        items = subjects(tmp_path, cpio({place: config, "boot/kernel": linux(), "boot/config-5.0": b"CONFIG_X=n\n"}))
        (found,) = of(items, Kernel)
        assert (found.config, found.config_text) == ({"X": "y"}, config)
        assert found.config_source.endswith(place)
        assert items[-1].kernels == (found,)


def _configs_module(config):
    blob = b"IKCFG_ST" + gzip.compress(config) + b"IKCFG_ED"
    info = b"name=configs\0vermagic=6.12.59-linuxkit SMP mod_unload\0"
    return elflab.relocatable({b".rodata": blob, b".modinfo": info})


_DOTCONFIG = b'# Linux/x86 6.12.59 Kernel Configuration\nCONFIG_LOCALVERSION="-linuxkit"\nCONFIG_X=y\n'


@pytest.mark.parametrize(
    ("place", "data"),
    [
        ("lib/modules/6.12.59-linuxkit/build/.config", b"CONFIG_X=y\n"),
        ("usr/src/linux-headers-6.12.59-linuxkit/.config", b"CONFIG_X=y\n"),
        ("usr/src/linux/.config", _DOTCONFIG),
        ("proc/config.gz", gzip.compress(_DOTCONFIG)),
        ("boot/config-6.12.59-linuxkit", gzip.compress(b"CONFIG_X=y\n")),
        ("lib/modules/6.12.59-linuxkit/kernel/kernel/configs.ko", _configs_module(b"CONFIG_X=y\n")),
        ("lib/modules/6.12.59-linuxkit/kernel/kernel/configs.ko.xz", lzma.compress(_configs_module(b"CONFIG_X=y\n"))),
    ],
)
def test_a_configuration_may_lie_elsewhere_in_the_image(tmp_path, place, data):
    other = b"# Linux/x86 6.6.71 Kernel Configuration\n# CONFIG_X is not set\n"
    items = subjects(tmp_path, cpio({"boot/config": other, "boot/kernel": linux(), place: data}))
    (found,) = of(items, Kernel)
    assert (found.config["X"], found.config_source.rpartition(" / ")[2]) == ("y", place)
    assert of(items, Problem) == []


def test_a_module_without_a_configuration_in_it_is_no_matter(tmp_path):
    module = elflab.module("name=configs")
    items = subjects(
        tmp_path, cpio({"boot/kernel": linux(), "lib/modules/6.12.59-linuxkit/kernel/kernel/configs.ko": module})
    )
    assert of(items, Kernel)[0].config is None
    assert of(items, Problem) == []


def test_a_kernel_that_breaks_off_is_known_by_its_header_and_nothing_is_decided(tmp_path):
    whole = elflab.bzimage(elflab.packed(elflab.vmlinux(), "gzip"))
    items = subjects(tmp_path, whole[:-20], "vmlinuz")
    (found,), (problem,) = of(items, Kernel), of(items, Problem)
    assert (found.version, found.arch, found.config) == ("6.12.1-lab", "x86_64", None)
    assert found.config_source == problem.message.removesuffix("; it is not examined")
    assert "the file at" in problem.message
    assert problem.kind == "incomplete"
    assert items[-1].kernels == (found,)


def test_a_command_line_that_is_built_in_is_one_of_the_image(tmp_path):
    config = b'CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE="nokaslr quiet"\n# CONFIG_CMDLINE_OVERRIDE is not set\n'
    kernel_file = elflab.bzimage(elflab.packed(elflab.vmlinux(config), "gzip"))
    items = subjects(tmp_path, cpio({"boot/cmdline": b"console=tty0 quiet", "boot/kernel": kernel_file}))
    passed, built_in = of(items, KernelCommandLine)
    assert (passed.text, passed.built_in, built_in.text, built_in.built_in) == (
        "console=tty0 quiet",
        False,
        "nokaslr quiet",
        True,
    )
    assert (built_in.place.pointer, built_in.overridden) == ("CONFIG_CMDLINE", ("console", "quiet"))
    assert items[-1].command_lines == (passed, built_in)


def test_a_command_line_whose_file_is_met_again_counts_as_it_is_last(tmp_path):
    items = subjects(tmp_path, newc(Item("boot/cmdline", b"nokaslr"), Item("boot/cmdline", b"quiet")))
    assert [one.text for one in of(items, KernelCommandLine)] == ["quiet"]


def test_a_configuration_of_another_release_is_not_taken(tmp_path):
    items = subjects(tmp_path, cpio({"boot/config-5.0": b"CONFIG_X=n\n", "boot/vmlinuz": linux()}))
    assert of(items, Kernel)[0].config is None


def test_a_kernel_with_its_own_configuration_comes_at_once(tmp_path, monkeypatch):
    told = Kernel(Place(("image", "boot/kernel")), "1", "", "x86_64", "bzImage", "gzip", {"X": "y"}, "IKCONFIG")
    monkeypatch.setattr(kernel, "read", lambda *_: told)
    items = subjects(tmp_path, cpio({"boot/kernel": linux(), "z": b""}))
    assert [type(item).__name__ for item in items] == ["File", "Kernel", "File", "System"]
    assert items[-1].kernels == (told,)


def test_a_kernel_given_alone_is_an_image(tmp_path):
    items = subjects(tmp_path, linux(), "vmlinuz")
    assert [type(item).__name__ for item in items] == ["Kernel", "System"]
    assert (items[-1].format, items[-1].files, items[-1].kernels) == ("bzImage", 0, (items[0],))


def test_a_packed_kernel_given_alone_is_an_image(tmp_path):
    arm = bytes(0x38) + b"ARM\x64" + bytes(0x200)
    for packed in (gzip.compress(arm), lzma.compress(arm)):
        items = subjects(tmp_path, packed, "Image.packed")
        assert [type(item).__name__ for item in items] == ["Kernel", "System"]
        assert items[0].arch == "arm64"


def test_vmlinux_is_told_by_its_banner(tmp_path):
    banner = b"Linux version 6.12.59 (builder@host) (gcc) #1 SMP Mon Jan 1\0"
    nodes = {"boot/vmlinux": ELF + banner, "usr/bin/kernel": ELF}
    items = subjects(tmp_path, cpio(nodes))
    assert [one.version for one in of(items, Kernel)] == ["6.12.59"]
    assert [one.file.path for one in of(items, Binary)] == ["usr/bin/kernel"]
    assert [type(item).__name__ for item in subjects(tmp_path, ELF + banner, "vmlinux")] == ["File", "Kernel", "System"]


def test_an_elf_file_given_alone_is_an_input(tmp_path):
    items = subjects(tmp_path, ELF, "tool")
    assert [type(item).__name__ for item in items] == ["File", "Binary", "System"]
    assert (items[0].path, items[-1].format, items[-1].is_linuxkit) == ("tool", "file", False)


def test_kernel_initrd_and_command_line_make_one_system(tmp_path):
    for name, data in (("-kernel", linux()), ("-initrd.img", gzip.compress(cpio())), ("-cmdline", b"console=ttyS1")):
        (tmp_path / f"lk{name}").write_bytes(data)
    (group,) = outputs.group([str(tmp_path / "lk")])
    items = list(image.read(group))
    assert items[-1].format == "bzImage + gzip > cpio"
    assert [one.text for one in items[-1].command_lines] == ["console=ttyS0", "console=ttyS1"]
    assert len(items[-1].kernels) == 1
    assert items[-1].place.artifacts == (str(tmp_path / "lk-kernel"),)


@pytest.mark.parametrize(
    ("named", "groups"),
    [
        (["b/lk-cmdline", "b/lk-initrd.img", "b/lk-kernel"], [("b/lk-kernel", "b/lk-initrd.img", "b/lk-cmdline")]),
        (["a/lk-kernel", "b/lk-initrd.img"], [("a/lk-kernel",), ("b/lk-initrd.img",)]),
        (["lk-kernel", "x.iso", "other-initrd.img"], [("lk-kernel",), ("x.iso",), ("other-initrd.img",)]),
        (["my-kernel-kernel", "my-kernel-initrd.img"], [("my-kernel-kernel", "my-kernel-initrd.img")]),
        (["vmlinuz-6.1", "initrd.img-6.1", "vmlinuz-6.2"], [("vmlinuz-6.1", "initrd.img-6.1"), ("vmlinuz-6.2",)]),
        (["vmlinuz", "initrd.gz", "cmdline.txt"], [("vmlinuz", "initrd.gz", "cmdline.txt")]),
        (["bzImage", "initramfs.cpio.gz"], [("bzImage", "initramfs.cpio.gz")]),
        (["kernel", "bzImage", "initrd.img"], [("kernel", "initrd.img"), ("bzImage",)]),
        (["a.yml", "b.yml", "kernel.yml"], [("a.yml",), ("b.yml",), ("kernel.yml",)]),
        (["x.iso", "x.iso"], [("x.iso",), ("x.iso",)]),
    ],
)
def test_files_that_are_named_alike_belong_together(named, groups):
    assert outputs.group(named) == groups


def test_a_name_stands_for_the_outputs_of_a_build(tmp_path):
    for suffix in ("-kernel", "-cmdline"):
        (tmp_path / f"lk{suffix}").write_bytes(b"")
    name = str(tmp_path / "lk")
    assert outputs.group([name]) == [(f"{name}-kernel", f"{name}-cmdline")]
    (tmp_path / "lk").write_bytes(b"")
    assert outputs.group([name]) == [(name,)]


def test_a_command_line_given_alone_is_read(tmp_path):
    items = subjects(tmp_path, b"quiet", "lk-cmdline")
    assert [type(item).__name__ for item in items] == ["KernelCommandLine", "System"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"garbage" * 100, "not a LinuxKit spec or image"),
        (bytes(100_000), "not a LinuxKit spec or image"),
        (random.Random(1).randbytes(100_000), "not a LinuxKit spec or image"),
        (b"PK\x03\x04" + bytes(1000), "ZIP archives are not read yet"),
        (gzip.compress(b"just text"), "not a LinuxKit spec or image"),
        (gzip.compress(b""), "not a LinuxKit spec or image"),
        (gzip.compress(b"PK\x03\x04" + bytes(1000)), "ZIP archives are not read yet"),
        (padded((510, b"\x55\xaa")), "not a LinuxKit spec or image"),
    ],
)
def test_an_input_that_is_none_is_unusable(tmp_path, data, message):
    (item,) = subjects(tmp_path, data)
    assert item.kind == "unusable"
    assert item.message.startswith(message)
    assert item.place.artifacts == (str(tmp_path / "image"),)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_system_that_is_not_read_is_an_image_all_the_same(tmp_path, packed):
    data = b"sqsh" + bytes(1000)
    (item,) = subjects(tmp_path, gzip.compress(data) if packed else data)
    assert item.message == "squashfs file systems of the big-endian kind are not read yet"
    assert item.kind == "incomplete"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x1f\x8b\x08\0\0", "gzip data breaks off at byte 5"),
        (newc(Item("x"), trailer=False)[:50], "the cpio archive breaks off at byte 50"),
        (gzip.compress(gzip.compress(IMAGES["cpio"])), "more than 1 layers one inside the other"),
    ],
)
def test_an_image_of_which_nothing_can_be_read_is_incomplete(tmp_path, data, message):
    (item,) = subjects(tmp_path, data, nesting=1)
    assert (item.kind, item.message.startswith(message)) == ("incomplete", True)


def test_paths_that_are_no_regular_files_are_refused_without_opening_them(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    short = os.path.relpath(tmp_path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.join(short, "socket"))
    (tmp_path / "dangling").symlink_to("nowhere")
    expected = {
        str(tmp_path / "fifo"): "a FIFO, not an image",
        str(tmp_path / "socket"): "a socket, not an image",
        str(tmp_path): "a directory, not an image",
        os.devnull: "a device, not an image",
        str(tmp_path / "dangling"): "cannot be read: No such file or directory",
    }
    for path, message in expected.items():
        (item,) = image.read((path,))
        assert item.kind == "unusable"
        assert item.message.startswith(message)


def test_a_file_without_permission_or_gone_since_is_a_problem(tmp_path, monkeypatch):
    path = tmp_path / "image"
    path.write_bytes(IMAGES["cpio"])

    def refuse(_path, _watch):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(image, "FileSource", refuse)
    (item,) = image.read((str(path),))
    assert (item.kind, item.message) == ("incomplete", "cannot be read: Permission denied")


def test_a_file_that_vanishes_once_it_was_opened_is_read_all_the_same(tmp_path, monkeypatch):
    path = tmp_path / "tool"
    path.write_bytes(ELF)

    class Vanishing(image.FileSource):
        def __init__(self, name, watch=None):
            super().__init__(name, watch)
            os.unlink(name)

    monkeypatch.setattr(image, "FileSource", Vanishing)
    assert [type(item).__name__ for item in image.read((str(path),))] == ["File", "Binary", "System"]


def test_a_file_that_shrinks_meanwhile_is_read_in_part(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(cpio({"a": b"1", "big": bytes(2 << 20), "z": b"2"}))
    reader = image.read((str(path),))
    first = next(reader)
    os.truncate(path, 1 << 20)
    items = [first, *reader]
    assert paths(items) == ["a", "big"]
    assert "breaks off at byte" in problems(items)[0]
    assert ends_well(items)


def test_a_part_of_a_system_that_cannot_be_read_leaves_it_incomplete(tmp_path):
    (tmp_path / "lk-kernel").write_bytes(linux())
    (tmp_path / "lk-initrd.img").write_bytes(b"garbage")
    (group,) = outputs.group([str(tmp_path / "lk")])
    items = list(image.read(group))
    assert [(item.kind, item.message) for item in of(items, Problem)] == [
        ("incomplete", "not a LinuxKit spec or image")
    ]
    assert ends_well(items)


@pytest.mark.parametrize("form", IMAGES)
def test_an_image_cut_at_any_byte_is_read_as_far_as_it_goes(tmp_path, form):
    data = IMAGES[form]
    whole = len(paths(subjects(tmp_path, data)))
    end_of_content = len(data.rstrip(b"\0"))
    for end in [*range(1, min(600, end_of_content), 7), *range(600, end_of_content, 997), end_of_content - 1]:
        items = subjects(tmp_path, data[:end])
        assert problems(items), end
        assert ends_well(items)
        assert len(paths(items)) <= whole


@settings(max_examples=120)
@given(st.integers(0, 2**32), st.integers(1, 20), st.sampled_from(sorted(IMAGES)))
def test_bent_images_never_raise(tmp_path_factory, seed, count, form):
    data = bytearray(IMAGES[form])
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.randrange(len(data))] = chance.randrange(256)
    assert ends_well(subjects(tmp_path_factory.getbasetemp(), bytes(data), "bent"))


@settings(max_examples=100)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"070701", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"\x7fELF", b"QFI\xfb"])
)
def test_any_bytes_never_raise(tmp_path_factory, data, start):
    assert ends_well(subjects(tmp_path_factory.getbasetemp(), start + data, "any"))


@pytest.mark.parametrize("name", ["usr/bin/tool", "boot/vmlinuz", "lib/modules/6.12/x.ko", "usr/lib/libc.so"])
def test_damage_to_one_file_is_reported_and_the_others_are_read(tmp_path, name):
    items = subjects(tmp_path, cpio({name: b"\x7fELF\2\1\1" + b"\xff" * 60, "after": b""}))
    assert paths(items) == [name, "after"]
    assert [message.partition(" / ")[2].partition(":")[0] for message in problems(items)] == [name]
    assert items[-1].binaries == items[-1].modules == 0


def test_a_damaged_kernel_is_reported(tmp_path):
    items = subjects(tmp_path, linux()[:0x210], "vmlinuz")
    assert [item.kind for item in of(items, Problem)] == ["incomplete"]
    assert [item.config for item in of(items, Kernel)] == [None]


def test_of_programs_larger_than_may_be_held_the_headers_are_judged_and_others_are_said_not_to_be_examined(tmp_path):
    kernel_config = "boot/config-6.12"
    items = subjects(tmp_path, cpio({"bin/tool": ELF + bytes(9000), kernel_config: bytes(9000)}), body=5000)
    assert paths(items) == ["bin/tool", kernel_config]
    whole = of(subjects(tmp_path, cpio({"bin/tool": ELF + bytes(4000)})), Binary)[0]
    (found,) = of(items, Binary)
    assert (found.relro, found.nx, found.kind) == (whole.relro, whole.nx, whole.kind)
    assert set(found.answers.values()) == {"undecided"}
    assert "limit: body" in found.evidence["canary"]
    assert [message.partition(" / ")[2] for message in problems(items)] == [
        f"{kernel_config}: it has 9000 bytes, more than 5000 (limit: body); it is not examined"
    ]
    (_, problem, _) = subjects(tmp_path, cpio({"bin/tool": ELF + bytes(9000)}), body=50)
    assert "is not examined" in problem.message


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_a_reader_that_runs_out_of_memory_is_a_problem(tmp_path, monkeypatch, error):
    def fails(*_arguments, **_options):
        raise error

    monkeypatch.setattr(image.hardening, "examine", fails)
    items = subjects(tmp_path, cpio({"bin/tool": ELF}))
    assert "it does not fit into memory; it is not examined" in problems(items)[0]


def test_many_problems_are_counted_rather_than_listed(tmp_path):
    items = subjects(tmp_path, newc(Item("first"), *(Item("../x") for _ in range(150))))
    assert len(of(items, Problem)) == 101
    assert problems(items)[-1].endswith("50 more problems are not listed")


def test_millions_of_empty_entries_are_bounded(tmp_path):
    one = newc(Item("a"), trailer=False)
    items = subjects(tmp_path, gzip.compress(one * 3000), entries=1000)
    assert len(paths(items)) == 997  # two layers and a compressed stream count too
    assert "more than 1000 entries (limit: entries); it is not read further" in problems(items)[0]


def test_a_bomb_is_stopped(tmp_path):
    bomb = gzip.compress(newc(Item("zeros", bytes(8 << 20)), Item("after")))
    items = subjects(tmp_path, bomb, ratio_from=1 << 20, ratio=100)
    assert paths(items) == ["zeros"]
    assert "limit: ratio" in problems(items)[0]
    items = subjects(tmp_path, bomb, total=4 << 20)
    assert "limit: total" in problems(items)[0]


def test_a_hidden_boot_image_matters_only_when_nothing_else_tells_what_is_booted(tmp_path):
    import test_iso9660 as lab

    data = lab.boot(lab.image_entry(media=2))
    assert "[El Torito BIOS]: what stands in it is in no known format" in problems(subjects(tmp_path, data))[0]
    kernel_, line = bytearray(linux()), b"quiet"
    (tmp_path / "lk-kernel").write_bytes(kernel_)
    (tmp_path / "lk-cmdline").write_bytes(line)
    (tmp_path / "lk-initrd.img").write_bytes(data)
    assert problems(image.read(outputs.group([str(tmp_path / "lk")])[0])) == []


def test_what_is_held_until_the_end_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(container_files, "_LEAST", 50)
    monkeypatch.setattr(container_files, "_IN_ALL", 100)
    nodes = {f"containers/services/{name}/config.json": CONFIG for name in "abc"}
    items = subjects(tmp_path, cpio(nodes))
    assert len(of(items, Container)) == 1
    assert "configurations of containers of more than 100 bytes in all; it is not examined" in problems(items)[0]


def test_ways_through_the_layers_are_named_up_to_a_limit(tmp_path):
    chains = {("a",): None, ("a", "b"): None, ("c",): None}
    assert image._chains(chains) == ["a > b", "c"]
    many = image._chains({(str(number),): None for number in range(20)})
    assert len(many) == 9
    assert many[-1] == "…"


def test_links_are_listed_and_not_examined(tmp_path):
    nodes = iso({"bin/tool": ELF, "bin/link": Node(use=None, mode=0o120777)})
    assert [type(item).__name__ for item in subjects(tmp_path, nodes)].count("Binary") == 1
    linked = archive(entry("a", ELF), entry("b", type=tarfile.LNKTYPE, linkname="a"))
    items = subjects(tmp_path, linked)
    assert items[-1].binaries == 1
    sparse = archive(entry("s", ELF, pax_headers={"GNU.sparse.size": "9999", "GNU.sparse.map": f"0,{len(ELF)}"}))
    items = subjects(tmp_path, sparse)
    assert paths(items) == ["s"]
    assert (items[-1].binaries, problems(items)) == (1, [])


def test_the_result_is_the_same_each_time(tmp_path):
    def told():
        return [repr(item).partition("read=")[0] for item in subjects(tmp_path, IMAGES["ISO 9660 (Rock Ridge)"])]

    assert told() == told()


@needs("cpio", "gzip", "xz", "zstd", "lz4")
@pytest.mark.parametrize("command", ["gzip -9", "xz --check=crc32", "zstd -19", "lz4 -l", "lz4 -9", "bzip2", "cat"])
def test_initrds_that_real_tools_make_are_read(tmp_path, command):
    root = tmp_path / "root"
    for path, data in ROOT.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    names = "\n".join(sorted(ROOT)).encode()
    raw = run("cpio", "-o", "--quiet", "-H", "newc", data=names, cwd=root)
    early = newc(Item("kernel/x86/microcode/AuthenticAMD.bin", b"\1" * 700))
    items = subjects(tmp_path, early + bytes(100) + run(*command.split(), data=raw))
    assert problems(items) == []
    assert paths(items) == ["kernel/x86/microcode/AuthenticAMD.bin", *sorted(ROOT)]
    assert len(of(items, Container)) == 4


def test_limits_are_the_usual_ones_unless_given(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(IMAGES["cpio"])
    assert len(list(image.read((str(path),)))) == len(list(image.read((str(path),), Limits())))
