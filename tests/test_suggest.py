"""`lkscan suggest`: a fragment of a spec that LinuxKit takes, with its evidence."""

import json
import re
import shutil
import subprocess

import buildlab
import pytest
import yaml
from buildlab import Entry, Image
from elflab import EXEC, RW, Lab
from needlab import ALL, GO, build, configuration, image

from lkscan.cli import INCOMPLETE, OK, USAGE, main
from lkscan.scanner import calls
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read

pytestmark = pytest.mark.read_here

PROGRAM = Lab(type=EXEC, has_dynamic=False, loads=(RW,)).build()
SPEC = """kernel:
  image: linuxkit/kernel:6.12.59
services:
  - name: web
    image: example.org/web:1
    capabilities:
      - CAP_CHOWN
      - CAP_SYS_BOOT
  - name: other
    image: example.org/other:1
"""


@pytest.fixture
def built(tmp_path):
    """An image with a container whose program can ask for nothing."""
    binds = [
        {"destination": "/data", "type": "bind", "source": "/var/data", "options": ["rw", "rbind", "rshared"]},
        {"destination": "/etc/x", "type": "bind", "source": "/etc/x", "options": ["ro", "rbind"]},
    ]
    config = configuration(["/app"], ["CAP_CHOWN", "CAP_SYS_TIME"], mounts=binds)
    return image(tmp_path / "built.tar", {"web": (config, {"app": PROGRAM})})


def test_a_container_that_needs_nothing_is_given_nothing(built, capsys):
    assert main(["suggest", str(built), "--no-config"]) == OK
    text = capsys.readouterr().out
    (web,) = yaml.safe_load(text)["services"]
    assert web == {
        "name": "web",
        "capabilities": ["none"],
        "noNewPrivileges": True,
        "readonly": True,
        "net": "new",
        "ipc": "new",
        "uts": "new",
        "pid": "new",
        "binds": ["/var/data:/data:ro", "/etc/x:/etc/x:ro"],
        "maskedPaths": web["maskedPaths"],
    }
    assert "# no use found, dropped: CAP_CHOWN, CAP_SYS_TIME" in text


def suggested(tmp_path, capsys, capabilities, script=b"#!/bin/sh\n$1\n"):
    """What is suggested for a container that starts a script whose commands nobody can tell."""
    config = configuration(["/app"], capabilities)
    path = image(tmp_path / "script.tar", {"web": (config, {"app": script, "bin/sh": PROGRAM})})
    main(["suggest", str(path), "--no-config"])
    text = capsys.readouterr().out
    return text, yaml.safe_load(text)["services"][0]["capabilities"]


def test_a_reason_that_capabilities_share_stands_once(tmp_path, capsys):
    text, listed = suggested(tmp_path, capsys, ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_TIME"])
    assert listed == ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_TIME"]
    assert text.count("# can't tell (more may run than is told, see above):\n") == 1
    assert "of 3 capabilities 0 dropped, 0 used, 3 can't be told" in text


def test_where_no_capability_can_be_dropped_each_reason_has_one_line(tmp_path, capsys):
    text, listed = suggested(tmp_path, capsys, ALL)
    assert listed == ["all"]
    told = " ".join(line.strip(" #") for line in text.splitlines())
    assert f"can't tell (more may run than is told, see above): {', '.join(ALL)}" in told
    assert max(map(len, text.splitlines())) <= 120


def test_linuxkit_accepts_what_is_suggested(built, capsys):
    main(["suggest", str(built), "--no-config"])
    text = capsys.readouterr().out.replace("- name: web", "- name: web\n    image: example.org/web:1")
    document = "kernel:\n  image: linuxkit/kernel:6.12.59\ninit:\n  - linuxkit/init:1\n" + text
    (spec, *_) = read([("linuxkit.yml", document.encode())], LabelFinder())
    assert spec.violations == ()


@pytest.mark.shut_in
def test_json_has_all_the_evidence(built, capsys):
    assert main(["suggest", str(built), "--no-config", "--format", "json"]) == OK
    ((found,),) = (one["containers"] for one in json.loads(capsys.readouterr().out))
    assert [(one["name"], one["verdict"]) for one in found["capabilities"]] == [
        ("CAP_CHOWN", "no use found"),
        ("CAP_SYS_TIME", "no use found"),
    ]
    assert found["reached"] == [{"path": "/app", "certainty": "certain", "by": "the container's command"}]
    assert yaml.safe_load(found["fragment"])["services"][0]["name"] == "web"


def test_a_spec_takes_its_evidence_from_the_image_that_was_built_from_it(built, tmp_path, capsys):
    spec = tmp_path / "linuxkit.yml"
    spec.write_text(SPEC)
    assert main(["suggest", str(spec), "--image", str(built), "--no-config"]) == INCOMPLETE
    told = capsys.readouterr()
    (web,) = yaml.safe_load(told.out)["services"]
    assert web["capabilities"] == ["CAP_SYS_BOOT"]
    assert "CAP_SYS_BOOT  # can't tell: the image does not grant it" in told.out
    assert "'services/other' is not in" in told.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{spec}"], "name the image that was built from it by --image"),
        (["{built}", "--image", "{built}"], "--image is for specs"),
        (["{spec}", "--image", "{spec}"], "is no image that can be read"),
        (["{spec}", "--image", "gone.iso"], "is no image that can be read"),
        (["gone.iso"], "no such file"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments, why, built, tmp_path, capsys):
    spec = tmp_path / "linuxkit.yml"
    spec.write_text(SPEC)
    given = [one.format(spec=spec, built=built) for one in arguments]
    assert main(["suggest", *given, "--no-config"]) == USAGE
    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1


def test_names_of_an_image_cannot_leave_their_line(tmp_path, capsys):
    config = configuration(["/a\nb: c"], ["CAP_CHOWN"], mounts=[])
    path = image(tmp_path / "odd.tar", {"we#b: x": (config, {"app": PROGRAM})})
    main(["suggest", str(path), "--no-config"])
    (web,) = yaml.safe_load(capsys.readouterr().out)["services"]
    assert web["name"] == "we#b: x"
    assert web["capabilities"] == ["CAP_CHOWN"]


@pytest.mark.parametrize(("machine", "compiler"), [("x86_64", "gcc"), ("arm64", "aarch64-linux-gnu-gcc")])
def test_numbers_of_system_calls_are_those_of_the_headers(machine, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    command = [compiler, "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    defined = dict(re.findall(r"#define __NR(\w+) (?:__NR)?(\w+)", text))
    told = {name[1:]: int(defined.get(value, value)) for name, value in defined.items() if name[0] == "_"}
    known = calls.system_calls(machine)
    numbers = {number: name for name, number in told.items() if name not in {"syscalls", "arch_specific_syscall"}}
    assert len(numbers) > 300
    assert {number: known.get(number) for number in numbers} == numbers


# --- fix --suggested and scan --evidence

LISTED = """services:
  - name: web  # of the shop
    image: example.org/web:1
    capabilities:
      - CAP_CHOWN     # for its logs
      - CAP_SYS_BOOT  # why?
    net: host
    binds:
      - /var/data:/data
"""


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """A program that changes an owner."""
    (one,) = build(tmp_path_factory.mktemp("changing"), {}, {"CAP_CHOWN": GO["CAP_CHOWN"]})
    return one.path


@pytest.fixture
def busy(tmp_path, changing):
    """An image with a container whose program changes an owner, and holds a capability to start the machine anew."""
    binds = [{"destination": "/data", "type": "bind", "source": "/var/data", "options": ["rw", "rbind", "rshared"]}]
    config = configuration(["/app"], ["CAP_CHOWN", "CAP_SYS_BOOT"], mounts=binds)
    return image(tmp_path / "busy.tar", {"web": (config, {"app": changing})})


def test_fix_takes_away_what_is_not_used_and_leaves_comments_and_layout(busy, tmp_path, capsys):
    spec = tmp_path / "linuxkit.yml"
    spec.write_text(LISTED)
    assert main(["fix", "--suggested", "--image", str(busy), str(spec), "--no-config"]) == OK
    changed = LISTED.replace("      - CAP_SYS_BOOT  # why?\n", "").replace("net: host", "net: new")
    added = re.sub(r"maskedPaths: \[/proc/acpi, .*\]", "MASKED", spec.read_text().removeprefix(changed))
    assert added == "    ipc: new\n    MASKED\n    noNewPrivileges: true\n    uts: new\n"
    assert "LKP016 capability-without-use: drop 'CAP_SYS_BOOT'" in capsys.readouterr().out
    assert main(["fix", "--suggested", "--image", str(busy), str(spec), "--no-config", "--check"]) == OK


def test_fix_writes_all_that_is_suggested(built, tmp_path, capsys):
    spec = tmp_path / "linuxkit.yml"
    binds = "[/var/data:/data, '/etc/x:/etc/x:ro']"
    masked = '["/proc/it\'s, own"]'
    keys = f"pid: host\n    binds: {binds}\n    maskedPaths: {masked}\n    capabilities: [CAP_CHOWN, CAP_SYS_TIME]\n"
    spec.write_text(f"services:\n  - name: web\n    image: example.org/web:1\n    {keys}")
    assert main(["suggest", str(spec), "--image", str(built), "--no-config"]) == OK
    (wanted,) = yaml.safe_load(capsys.readouterr().out)["services"]
    assert wanted["maskedPaths"][:2] == ["/proc/it's, own", "/proc/acpi"]
    assert wanted["ipc"] == wanted["uts"] == wanted["pid"] == wanted["net"] == "new"
    assert main(["fix", "--suggested", "--image", str(built), str(spec), "--no-config"]) == OK
    (written,) = yaml.safe_load(spec.read_text())["services"]
    del written["image"]
    assert written == wanted
    assert main(["fix", "--suggested", "--image", str(built), str(spec), "--no-config", "--check"]) == OK


@pytest.mark.parametrize("listed", ["[all]", "[CAP_CHOWN, CAP_SYS_BOOT]", "\n      - CAP_SYS_BOOT"])
def test_fix_leaves_what_may_be_used_of_any_list(busy, tmp_path, listed):
    spec = tmp_path / "linuxkit.yml"
    spec.write_text(f"services:\n  - name: web\n    image: example.org/web:1\n    capabilities: {listed}\n")
    main(["fix", "--suggested", "--image", str(busy), str(spec), "--no-config"])
    left = yaml.safe_load(spec.read_text())["services"][0]["capabilities"]
    assert "CAP_SYS_BOOT" not in left
    assert ("CAP_CHOWN" in left) == ("CHOWN" in listed or "all" in listed)
    assert left == ["none"] or all(one.startswith("CAP_") for one in left)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--suggested"], "name the image that was built from the spec by --image"),
        (["--image", "x.iso"], "--image goes with --suggested"),
        (["--suggested", "--image", "{spec}"], "is no image that can be read"),
    ],
)
def test_fix_says_what_is_missing_for_suggestions(options, why, tmp_path, capsys):
    spec = tmp_path / "linuxkit.yml"
    spec.write_text(LISTED)
    assert main(["fix", str(spec), "--no-config", *(one.format(spec=spec) for one in options)]) == USAGE
    assert why in capsys.readouterr().err
    assert spec.read_text() == LISTED


def test_a_scan_tells_what_is_not_used_when_it_is_asked(busy, capsys):
    rules = ["--select", "LKP016,LKP017", "--no-config", "--format", "json"]
    assert main([str(busy), *rules]) == OK
    assert json.loads(capsys.readouterr().out)["findings"] == []
    main([str(busy), "--evidence", *rules])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {(one["rule"], one["key"]) for one in found if one["rule"] == "LKP016"} == {("LKP016", "CAP_SYS_BOOT")}
    assert {"noNewPrivileges", "net"} & {one["key"] for one in found} == {"noNewPrivileges", "net"}


# --- specs, by the images in a cache


@pytest.fixture
def cached(tmp_path, changing):
    """A cache with the image of `web`, whose program changes an owner, and the spec that names it."""
    label = buildlab.label({"capabilities": ["CAP_CHOWN", "CAP_SYS_BOOT"]})
    files = (
        Entry("usr/bin/app", changing.read_bytes(), mode=0o755),
        Entry("usr/bin/web", b"usr/bin/app", kind="hardlink", mode=0o755),
    )
    made = {"example.org/web:1": Image({"Entrypoint": ["/usr/bin/web"], "Labels": label}, files)}
    folder = buildlab.cache(tmp_path / "cache", made)
    spec = tmp_path / "linuxkit.yml"
    spec.write_text("services:\n  - name: web\n    image: example.org/web:1\n    net: host\n")
    return folder, spec


@pytest.mark.shut_in
def test_a_spec_takes_its_evidence_from_the_images_in_a_cache(cached, capsys):
    folder, spec = cached
    assert main(["suggest", str(spec), "--cache", str(folder), "--no-config"]) == OK
    text = capsys.readouterr().out
    (web,) = yaml.safe_load(text)["services"]
    assert (web["name"], web["capabilities"], web["net"]) == ("web", ["CAP_CHOWN"], "new")
    assert "CAP_CHOWN  # used: /usr/bin/web: " in text
    assert "dropped: CAP_SYS_BOOT" in text


def test_an_image_that_the_cache_does_not_hold_is_told_in_one_line(cached, capsys):
    folder, spec = cached
    spec.write_text(SPEC)
    assert main(["suggest", str(spec), "--cache", str(folder), "--no-config"]) == INCOMPLETE
    told = capsys.readouterr()
    assert [one["name"] for one in yaml.safe_load(told.out)["services"]] == ["web"]
    assert told.err.count("\n") == 1
    assert "nothing can be told of 'services/other', as its image 'example.org/other:1' is not read" in told.err


@pytest.mark.parametrize("size", [0, 1, 700])
def test_a_damaged_layer_leaves_its_container_open(cached, capsys, size):
    folder, spec = cached
    layer = max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    layer.write_bytes(layer.read_bytes()[:size])
    assert main(["suggest", str(spec), "--cache", str(folder), "--no-config"]) == INCOMPLETE
    told = capsys.readouterr()
    assert "services" not in told.out
    assert "'services/web'" in told.err


def test_fix_takes_its_evidence_from_a_cache_too(cached, capsys):
    folder, spec = cached
    assert main(["fix", "--suggested", "--cache", str(folder), str(spec), "--no-config"]) == OK
    (web,) = yaml.safe_load(spec.read_text())["services"]
    assert web["capabilities"] == ["CAP_CHOWN"]
    assert web["net"] == "new"
