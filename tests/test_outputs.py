"""Every output of `linuxkit build`: the same tree comes out of all twenty, as it was put in, and flawless SARIF."""

import os
from pathlib import Path

import multitoollab
import pytest
from debianlab import unpack
from outputlab import COMMAND_LINE, Lab, facts, listed, need_tools, rows

INSIDE = ("rpi3", "raw-bios", "raw-efi", "qcow2-efi", "qcow2-bios", "aws", "gcp", "vhd", "dynamic-vhd", "vmdk")
"""Outputs in which the tree lies in an initrd, as it does in the two kinds with the kernel beside it."""
INITRD = (*INSIDE, "kernel+initrd", "tar-kernel-initrd", "iso-efi-initrd")
ISO = ("iso-bios", "iso-efi", "kernel+iso")
WHOLE = ("tar", "docker", "kernel+squashfs", "kernel+erofs")
"""Outputs that keep extended attributes."""
OUTPUTS = (*INITRD, *ISO, *WHOLE)
LINES = {
    "iso-bios": f"{COMMAND_LINE} root=/dev/sr0",
    "iso-efi": f"{COMMAND_LINE} root=/dev/sr0 text",
    "iso-efi-initrd": f"{COMMAND_LINE} text",
    "raw-efi": f"{COMMAND_LINE} text",
    "qcow2-efi": f"{COMMAND_LINE} text",
}
BESIDE = ("boot", "isolinux", "EFI", "Dockerfile", "boot.img", "boot.catalog", "rr_moved")
"""What formats add to the tree for booting."""


def test_there_are_twenty_outputs() -> None:
    assert len(set(OUTPUTS)) == 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    need_tools()
    folder = tmp_path_factory.mktemp("outputs")
    (kernel,) = (unpack("linux-image-6*-amd64", folder) / "boot").glob("vmlinuz-*")
    return Lab(folder, kernel)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    """Where SARIF reports on the outputs are put."""
    return tmp_path_factory.mktemp("sarif")


@pytest.mark.parametrize("output", OUTPUTS)
def test_all_of_the_tree_comes_out_as_it_was_put_in(lab: Lab, told: Path, output: str) -> None:
    paths = lab.build(output)
    found = facts(paths)
    xattrs = output in WHOLE
    wanted = {path: row[1:] for path, row in listed(lab.root, xattrs=xattrs).items()}
    got = rows(found, xattrs=xattrs)
    missing = {path: (row, got.get(path)) for path, row in wanted.items() if got.get(path) != row}
    assert missing == {}
    if output not in INITRD:
        more = {path for path in got if path.split("/")[0] not in BESIDE} - wanted.keys() - {"."}
        assert more == set()
    assert [one.text for one in found.command_lines] == [LINES.get(output, COMMAND_LINE)]
    assert [kernel.version for kernel in found.kernels] == [kernel_release(lab)]
    _, text = multitoollab.reports([str(path) for path in paths], str(lab.folder))
    (told / f"{output}.sarif").write_text(text, encoding="utf-8")
    for path in paths:
        os.unlink(path)


@pytest.mark.skipif(multitoollab.program() is None, reason="needs the npm package @microsoft/sarif-multitool")
def test_the_multitool_has_nothing_to_say_of_a_report_on_any_of_them(told: Path) -> None:
    reports = list(told.iterdir())
    assert len(reports) == len(OUTPUTS), "the tests above were not all run, or failed"
    assert multitoollab.validate(told) == {}


def kernel_release(lab: Lab) -> str:
    from lkscan.scanner import kernel
    from lkscan.scanner.subjects import Place

    return kernel.read(lab.kernel.read_bytes(), Place(("kernel",))).version
