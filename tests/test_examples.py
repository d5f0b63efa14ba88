"""The examples say what they are meant to say, and the demo runs."""

import subprocess
import sys
from pathlib import Path
from platform import machine

import pytest

from lkscan.rules.funnel import Options
from lkscan.rules.kernel import set_today
from lkscan.scanning import scan

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def examples():
    """The modules of the examples, importable as when they are run."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        import build_demo_iso
        import demo
        import iso9660
        import tiny
    finally:
        sys.path.remove(str(EXAMPLES))
    return {"build": build_demo_iso, "demo": demo, "iso9660": iso9660, "tiny": tiny}


@pytest.fixture(autouse=True)
def _on_the_day_of_the_demo():
    set_today("2026-01-01")
    yield
    set_today(None)


@pytest.fixture(scope="module")
def iso(examples, tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "demo.iso"
    assert examples["build"].main([str(path)]) == 0
    return path


def fired(path, **options):
    result = scan([str(path)], options=Options(**options))
    assert result.problems == ()
    return result


def found(path):
    """Subjects by the name of the rule that fires on them; file names without their folder."""
    by_rule = {}
    for finding in fired(path).findings:
        by_rule.setdefault(finding.rule.name, set()).add(finding.subject.removeprefix("containers/services/"))
    return by_rule


def test_the_exemplary_spec_has_nothing_to_mend():
    result = fired(EXAMPLES / "exemplary.yml")
    assert [f"{one.place}: {one.message}" for one in result.findings] == []
    assert [f"{one.place}: {one.message}" for one in result.others if str(one.outcome) != "not applicable"] == []


IN_BOTH = {
    "host-root-equivalent": {"services/docker", "services/getty", "services/sshd"},
    "runtime-socket-reachable": {"services/dashboard"},
    "insecure-getty": {"services/getty"},
    "secret-in-environment": {"services/dashboard"},
    "secret-in-file": {"etc/ssl/private/server.key"},
    "empty-password": {"etc/shadow"},
}


def test_the_bad_spec_fires_what_its_users_should_mend():
    assert found(EXAMPLES / "bad.yml") == {
        **IN_BOTH,
        "end-of-life-kernel-tag": {"linuxkit/kernel"},
        "mitigations-disabled": {"kernel.cmdline"},
        "unpinned-image": {"onboot:example/setup", "services:docker"},
        "world-writable-file": {"etc/init.d/099-tweaks"},
    }


def test_the_demo_image_fires_what_the_spec_asked_for_and_what_the_images_brought(iso):
    dockerd = "docker/lower/usr/local/bin/dockerd"
    assert found(iso) == {
        **IN_BOTH,
        "baked-ssh-host-key": {"sshd/lower/etc/ssh/ssh_host_ed25519_key"},
        "end-of-life-kernel": {"boot/kernel"},
        "executable-stack": {dockerd},  # usr/bin/containerd is the same program
        "kernel-with-dev-mem": {"boot/kernel"},
        "kernel-without-hardened-usercopy": {"boot/kernel"},
        "kernel-without-stack-protector": {"boot/kernel"},
        "mitigations-disabled": {"isolinux/isolinux.cfg"},
        "no-sbom": {"image"},
        "set-id-file": {"bin/su"},
        "world-writable-file": {"dashboard/lower/data/cache.json", "etc/init.d/099-tweaks"},
        "writable-executable-segment": {dockerd},
    }


def test_the_container_that_is_as_it_should_be_is_left_alone(iso):
    for path in (EXAMPLES / "bad.yml", iso):
        assert "services/rngd" not in {finding.subject for finding in fired(path).findings}


def test_spec_and_image_agree_on_the_containers(iso):
    def facts(path):
        for one in fired(path).systems[0].containers:
            process = {key: value for key, value in one.oci["process"].items() if key != "args"}  # of the image
            yield one.title, {**one.oci, "process": process}, one.runtime

    assert sorted(facts(EXAMPLES / "bad.yml"), key=str) == sorted(facts(iso), key=str)


def test_the_demo_image_is_the_same_bytes_every_time(examples, iso):
    assert examples["build"].build() == iso.read_bytes()


@pytest.mark.skipif((sys.platform, machine()) != ("linux", "x86_64"), reason="needs Linux on x86-64")
def test_the_tiny_programs_run(examples, tmp_path):
    for name in ("hardened_elf", "careless_elf"):
        program = tmp_path / name
        program.write_bytes(getattr(examples["tiny"], name)())
        program.chmod(0o755)
        assert subprocess.run([program], check=False).returncode == 0


def test_the_iso_writer_refuses_what_it_cannot_write(examples):
    entry, write = examples["iso9660"].Entry, examples["iso9660"].iso9660
    with pytest.raises(ValueError, match="deeper"):
        write([entry("a/b/c/d/e/f/g/h/i")])
    with pytest.raises(ValueError, match="too long"):
        write([entry("n" * 250)])


def test_the_demo_ends_well_although_there_are_findings(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("$ lkscan") == 3
    assert done.stderr == ""
