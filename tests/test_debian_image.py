"""An iso-bios image of Debian's containerd, runc, busybox and kernel, and Debian's own installer, are audited."""

import re
import shutil
import subprocess

import debianlab
import pytest

from lkscan.rules.engine import Outcome
from lkscan.scanner.image import read
from lkscan.scanner.source import Limits
from lkscan.scanner.subjects import Binary, Container, File, Kernel, KernelCommandLine, KernelModule, Problem, System
from lkscan.scanning import scan

RELEASE = re.compile(r"6\.1\.0-\d+-amd64")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iso-bios")
    yield debianlab.iso_bios(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def subjects(image):
    return list(read((str(image[0]),), Limits()))


@pytest.fixture(scope="module")
def result(image):
    return scan([str(image[0])])


@pytest.fixture(scope="module")
def installer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installer")
    yield list(read((str(debianlab.mini_iso(folder)),), Limits()))
    shutil.rmtree(folder)


def of(subjects, kind):
    return [subject for subject in subjects if isinstance(subject, kind)]


def test_the_image_is_recognised_as_linuxkit_and_read_whole(subjects):
    system = subjects[-1]
    assert isinstance(system, System)
    assert system.is_linuxkit
    assert system.format.startswith("ISO 9660")
    assert of(subjects, Problem) == []


def test_the_kernel_is_named_by_its_release(subjects):
    (kernel,) = of(subjects, Kernel)
    assert RELEASE.fullmatch(kernel.version)
    assert kernel.arch == "x86_64"
    assert kernel.place.artifacts[-1] == "boot/kernel"


def test_a_kernel_without_a_configuration_is_undecided_not_failed(result):
    about = [one for one in (*result.findings, *result.others) if one.rule.name == "kernel-without-stack-protector"]
    assert {one.outcome for one in about} == {Outcome.UNDECIDED}


def test_every_elf_file_is_counted_and_judged(image, subjects, result):
    modules = [file for file in debianlab.elf_files(image[1]) if file.suffix == ".ko"]
    programs = [file for file in debianlab.elf_files(image[1]) if file.suffix != ".ko"]
    found = of(subjects, Binary)
    assert sorted(file.path for one in found for file in one.files) == sorted(
        str(path.relative_to(image[1])) for path in programs
    )
    assert len(of(subjects, KernelModule)) == len(modules) > 0
    judged = sum(count for (rule, _), count in result.tally.items() if rule == "LKB001")
    assert judged == len(found)
    assert subjects[-1].binaries == len(programs)


def test_binaries_are_judged_as_readelf_sees_them(image, subjects):
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf (binutils)")
    for binary in of(subjects, Binary):
        path = image[1] / binary.file.path
        headers = subprocess.run(["readelf", "-lWd", path], capture_output=True, text=True, check=True).stdout
        stack = re.search(r"GNU_STACK.* (RWE|RW) ", headers)
        assert (binary.nx == "yes") == (stack is not None and stack[1] == "RW"), path
        assert (binary.kind in {"exec", "static"}) == ("(Executable file)" in headers.replace("EXEC ", "")), path
        assert (binary.interpreter != "") == ("INTERP" in headers), path


def test_files_carry_owners_modes_and_links(image, subjects):
    files = {file.path: file for file in of(subjects, File)}
    assert files["etc/shadow"].mode == 0o640
    assert (files["bin/sh"].kind, files["bin/sh"].target) == ("symlink", "busybox")
    assert files["usr/bin/containerd"].size == (image[1] / "usr/bin/containerd").stat().st_size


def test_containers_come_with_their_effective_configuration(subjects):
    containers = {one.title: one for one in of(subjects, Container)}
    assert sorted(containers) == ["onboot/sysctl", "services/shell", "services/shell-again"]
    small, large = containers["onboot/sysctl"], containers["services/shell"]
    assert small.capabilities == {"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}
    assert small.readonly
    assert small.label.kind == "built"
    assert len(large.capabilities) == 41
    assert large.namespace("pid") == "host"
    assert [mount.source for mount in large.mounts if mount.is_bind] == ["/", "/var/run"]
    assert containers["services/shell-again"].capabilities == frozenset()


def test_the_container_with_everything_is_root_on_the_host_and_the_others_are_not(result):
    root = [one for one in result.findings if one.rule.name == "host-root-equivalent"]
    assert [one.subject for one in root] == ["services/shell"]
    assert root[0].place.artifacts[1:] == ("containers/services/shell/config.json",)


def test_the_command_line_is_the_one_that_boots(subjects, result):
    (line,) = of(subjects, KernelCommandLine)
    assert line.text == f"{debianlab.COMMAND_LINE} root=/dev/sr0"
    assert line.place.artifacts[-1] == "isolinux/isolinux.cfg"
    assert "mitigations-disabled" in {one.rule.name for one in result.findings}


def test_debians_installer_is_read_and_said_not_to_be_linuxkit(installer):
    system = installer[-1]
    assert not system.is_linuxkit
    (kernel,) = of(installer, Kernel)
    assert RELEASE.fullmatch(kernel.version)
    assert system.files > 1000
    assert system.binaries > 50
    assert "vga=788 initrd=/initrd.gz" in {line.text.split(" ---")[0] for line in of(installer, KernelCommandLine)}
    assert [problem.message for problem in of(installer, Problem)] == []
