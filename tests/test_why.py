"""`lkscan why`: which component brought a file, who sees it, what leads to it, and what is said of it."""

import json
from pathlib import Path

import buildlab
import pytest
from buildlab import Entry
from rulelab import container

from lkscan.cli import INCOMPLETE, OK, USAGE, main
from lkscan.scanner.sight import views
from lkscan.scanner.subjects import Place

pytestmark = pytest.mark.read_here


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("why")
    more = [
        Entry("bin/ls", b"/bin/busybox", "symlink", 0o777),
        Entry("containers/services/web/rootfs/bin/again", b"/bin/web", "symlink", 0o777),
        Entry("etc/leak", b"x", mode=0o4755),
    ]
    (folder / "linuxkit.yml").write_text(buildlab.SPEC, encoding="utf-8")
    (folder / "lk.tar").write_bytes(buildlab.archive([*buildlab.build(), *more], records=True))
    entries = [one for one in buildlab.build() if one.path != "etc/linuxkit.yml"]
    (folder / "plain.tar").write_bytes(buildlab.archive(entries, records=True))
    (folder / "initrd.img").write_bytes(buildlab.cpio(entries))
    return folder


@pytest.fixture(autouse=True)
def here(home, monkeypatch) -> None:
    monkeypatch.chdir(home)


def why(capsys, path: str, *options: str, image: str = "lk.tar") -> dict:
    capsys.readouterr()
    assert main(["why", image, path, "-f", "json", *options]) == OK
    return json.loads(capsys.readouterr().out)


SPEC = ("--spec", "linuxkit.yml")


@pytest.mark.shut_in
@pytest.mark.parametrize(
    ("path", "component", "line"),
    [
        ("usr/bin/runc", f"init[1], {buildlab.RUNC}", f"- {buildlab.RUNC}"),
        ("/init", f"init[0], {buildlab.INIT}", f"- {buildlab.INIT}"),
        ("boot/kernel", f"kernel, {buildlab.KERNEL}", f"image: {buildlab.KERNEL}"),
        ("lib/modules/6.12.59-linuxkit/modules.order", f"kernel, {buildlab.KERNEL}", f"image: {buildlab.KERNEL}"),
        ("etc/motd", "files[0]", "- path: etc/motd"),
        ("etc/web", "files[1]", "- path: etc/web/web.conf"),
        ("containers/onboot/001-dhcpcd/lower/sbin/dhcpcd", f"onboot/dhcpcd, {buildlab.DHCPCD}", buildlab.DHCPCD),
        ("containers/services/web-again/config.json", f"services/web-again, {buildlab.WEB}", buildlab.WEB),
        ("containers/volumes/data/tmp", "volumes/data", "- name: data"),
        ("lib/apk/db/installed", "one of the 2 images of init", "init:"),
    ],
)
def test_it_names_the_component_and_the_line(capsys, path, component, line) -> None:
    told = why(capsys, path, *SPEC)
    assert told["component"] == component
    assert line in buildlab.SPEC.splitlines()[told["origin"]["line"] - 1]


def test_without_a_spec_the_records_name_the_component(capsys) -> None:
    told = why(capsys, "usr/bin/runc", image="plain.tar")
    assert (told["component"], told["origin"]) == (f"init[1]: {buildlab.full(buildlab.RUNC)}", None)


def test_where_nothing_tells_that_is_said(capsys) -> None:
    assert main(["why", "initrd.img", "usr/bin/runc"]) == OK
    assert "nothing tells: name the spec (--spec)" in capsys.readouterr().out


def test_who_shares_a_root_file_system_sees_what_is_in_it(capsys) -> None:
    seen = {one["container"]: one for one in why(capsys, "containers/services/web/rootfs/bin/web", *SPEC)["seen"]}
    assert seen["services/web"]["path"] == seen["services/web-again"]["path"] == "/bin/web"
    assert (seen["services/web"]["writable"], seen["services/web-again"]["writable"]) == (False, True)
    assert seen["services/web"]["starts"]
    assert seen["services/getty"]["path"] == "/containers/services/web/rootfs/bin/web"
    assert set(seen) == {"services/web", "services/web-again", "services/getty"}


def test_what_leads_to_a_file_is_told(capsys) -> None:
    assert why(capsys, "bin/busybox")["links"] == ["bin/ls", "bin/sh"]
    links = why(capsys, "containers/services/web/rootfs/bin/web")["links"]
    assert links == [f"containers/services/web/rootfs/bin/{name}" for name in ("again", "copy")]


def test_what_init_runs_is_told(capsys) -> None:
    assert why(capsys, "etc/init.d/010-start")["init"] == "runs it at boot"


def test_findings_that_name_the_file_are_told_and_no_others(capsys) -> None:
    told = why(capsys, "etc/leak", *SPEC)
    assert {one["rule"] for one in told["findings"]} >= {"LKF002"}
    assert {one["locations"][-1]["artifacts"][-1] for one in told["findings"]} == {"etc/leak"}


def test_people_get_the_same_as_text(capsys) -> None:
    assert main(["why", "lk.tar", "usr/bin/runc", *SPEC]) == OK
    assert capsys.readouterr().out.splitlines()[:4] == [
        "lk.tar / usr/bin/runc  file, 0755, 0:0, 14 bytes",
        f"  brought by   init[1], {buildlab.RUNC}",
        "               linuxkit.yml:6:5",
        "  seen by      services/getty at /usr/bin/runc, writable: it has /usr/bin/runc mounted there",
    ]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["lk.tar", "usr/bin/rnc"], "lk.tar: there is no 'usr/bin/rnc' in it; did you mean usr/bin/runc?"),
        (["lk.tar", "\x1b[2J"], "lk.tar: there is no '\\x1b[2J' in it"),
        (["none.iso", "init"], "none.iso: no such file or directory"),
        (["linuxkit.yml", "init"], "linuxkit.yml: is no single image"),
        (["lk.tar", "init", "--spec", "none.yml"], "none.yml: the spec cannot be read"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(capsys, order, message) -> None:
    assert main(["why", *order]) == USAGE
    told = capsys.readouterr()
    assert message in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)


@pytest.mark.shut_in
def test_an_image_that_breaks_off_is_told_of_with_what_was_read(home, capsys) -> None:
    (home / "cut.tar").write_bytes((home / "lk.tar").read_bytes()[:40_000])
    assert main(["why", "cut.tar", "boot/cmdline"]) == INCOMPLETE
    told = capsys.readouterr()
    assert "boot/cmdline" in told.out
    assert told.err


# --- sight


def built(name: str = "app", **facts) -> object:
    place = Place(("image.iso", f"containers/services/{name}/config.json"))
    return container(name=name, at=place, **facts)


def seen(path: str, *containers: object) -> list[tuple[str, str, bool]]:
    return [(one.container, one.path, one.writable) for one in views(path, containers)]


@pytest.mark.parametrize(
    ("path", "one", "wanted"),
    [
        ("containers/services/app/rootfs/etc/a", built(readonly=True), [("services/app", "/etc/a", False)]),
        ("containers/services/app/lower/etc/a", built(), [("services/app", "/etc/a", True)]),
        ("containers/services/app/rootfs/etc/a", built("other"), []),
        ("etc/a", built(binds=["/etc:/etc"]), [("services/app", "/etc/a", True)]),
        ("etc/a", built(binds=["/etc:/host:ro"]), [("services/app", "/host/a", False)]),
        ("etc/a", built(binds=["/:/host"]), [("services/app", "/host/etc/a", True)]),
        ("etc/a", built(binds=["/etc/a:/b"]), [("services/app", "/b", True)]),
        ("etc/ab", built(binds=["/etc/a:/b"]), []),
        ("etc/a", built(binds=["/etc:/x", "/var:/x/a"]), []),
        ("containers/services/app/rootfs/etc/a", built(binds=["/var:/etc"]), []),
        ("containers/services/app/rootfs/dev/a", built(), []),
        (
            "containers/volumes/d/lower/a",
            built(binds=["/containers/volumes/d/merged:/d"]),
            [("services/app", "/d/a", True)],
        ),
    ],
)
def test_a_container_sees_its_own_root_and_what_is_mounted_unless_something_hides_it(path, one, wanted) -> None:
    assert seen(path, one) == wanted


def test_the_program_that_a_container_starts_is_found_by_its_path() -> None:
    one = built(command=["web", "-v"], env=["PATH=/opt:/bin"])
    found = [
        view.starts
        for name in ("bin/web", "sbin/web")
        for view in views(f"containers/services/app/rootfs/{name}", [one])
    ]
    assert found == [True, False]
    (view,) = views("containers/services/app/rootfs/bin/web", [built(command=["/bin/web"])])
    assert view.starts
