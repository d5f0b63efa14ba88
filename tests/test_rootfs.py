"""Root file systems as a whole: what is gathered of the files that pass by, and where links lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import file

from lkscan.scanner import rootfs
from lkscan.scanner.rootfs import Roots
from lkscan.scanner.subjects import Place

WEB = "containers/services/web/rootfs"


def found(*files):
    met = {one.place.artifacts for one in files}
    roots = Roots(met.__contains__)
    for one in files:
        roots.see(one)
    return list(roots.found())


def link(path, target):
    return file(path, None, kind="symlink", mode=0o777, target=target)


def lost(*files):
    (root,) = found(*files)
    return {one.path: (one.missing, one.climbs) for one in root.links}


def test_each_container_has_a_root_of_its_own():
    host, web, other = found(
        file("etc/passwd", b"root"),
        file(f"{WEB}/bin/web", b"\x7fELF", mode=0o755),
        file("containers/services/web/config.json", b"{}"),
        file("bin/init", b"", mode=0o755),
        file("containers/onboot/000-a/lower/bin/a", b"", mode=0o755),
    )
    assert (host.container, host.title, host.files) == ("", "the root filesystem", 3)
    assert (web.container, other.container) == ("services/web", "onboot/000-a")
    assert host.tops == {"etc", "containers", "bin"}
    assert web.programs == {"bin/web": "program"}
    assert (host.at("bin/x").artifacts, web.at("bin/x").artifacts) == (
        ("image.iso", "bin/x"),
        ("image.iso", f"{WEB}/bin/x"),
    )


def test_two_layers_of_one_image_have_two_roots():
    one, two = (
        file("etc/passwd", text, at=Place(("a", layer, "etc/passwd"))) for layer, text in (("b", b"1"), ("c", b"2"))
    )
    assert [root.texts["etc/passwd"] for root in found(one, two)] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("usr/share/doc/a/README", "documentation"),
        ("usr/share/doc/a/copyright", ""),
        ("usr/share/man/man1/a.1.gz", "manual pages"),
        ("usr/share/locale/de/LC_MESSAGES/a.mo", "translations"),
        ("usr/lib/locale/locale-archive", "translations"),
        ("usr/lib/locale/C.utf8/LC_CTYPE", ""),
        ("usr/include/stdio.h", "headers"),
        ("srv/include/stdio.h", ""),
        ("usr/lib/x86_64-linux-gnu/libc.a", "static libraries"),
        ("usr/lib/libc.so", ""),
        ("usr/share/pkgconfig/a.pc", "build descriptions"),
        ("usr/lib/debug/.build-id/ab/cd.debug", "debug files"),
        ("var/lib/apt/lists/a", "package caches"),
        ("var/cache/nginx/a", ""),
        ("usr/lib/python3.11/test/test_os.py", "Python's own tests"),
        ("usr/lib/python3/dist-packages/django/test/client.py", ""),
        ("lib/apk/db/installed", "package databases"),
    ],
)
def test_what_running_a_system_does_not_take_is_told_by_its_path(path, kind):
    (root,) = found(file(f"{WEB}/{path}", b"four"))
    assert root.needless == (((kind, 1, 4, (path,)),) if kind else ())


def test_needless_files_are_added_up_and_the_three_largest_named():
    (root,) = found(
        *(file(f"usr/include/{size}.h", b"x" * size) for size in (1, 5, 3, 4)), link("usr/include/a", "1.h")
    )
    assert root.needless == (("headers", 4, 13, ("usr/include/5.h", "usr/include/4.h", "usr/include/3.h")),)


def test_a_file_that_was_named_is_no_tree():
    assert found(file("sh", b"", at=Place(("sh",)))) == []


def test_programs_are_told_by_their_places_and_scripts_wherever_they_are():
    (root,) = found(
        file("usr/local/bin/app", b"\x7fELF", mode=0o755),
        file("opt/tool/bin/run", b"#!/bin/sh -e\nexec true\n", mode=0o755),
        file("entrypoint", b"#! /usr/bin/env bash", mode=0o755),
        file("srv/data", b"", mode=0o755),
        file("bin/text", b"#!/bin/sh\n", mode=0o644),
        link("bin/sh", "busybox"),
        link("etc/sh", "busybox"),
        file("bin", b"", kind="dir", mode=0o755),
    )
    assert root.programs == {
        "usr/local/bin/app": "program",
        "opt/tool/bin/run": "#!/bin/sh -e",
        "entrypoint": "#! /usr/bin/env bash",
        "bin/sh": "-> busybox",
    }


def test_texts_are_those_that_rules_read_together():
    large = b"a" * (1 << 17)
    (root,) = found(
        file("etc/passwd", large),
        file("etc/ssh/sshd_config", b"b"),
        file("etc/ssh/ssh_host_rsa_key", b"c"),
        file("x", b"d"),
    )
    assert root.texts == {"etc/passwd": large[: 1 << 16], "etc/ssh/sshd_config": b"b"}


def test_owners_are_counted_with_their_first_files():
    (root,) = found(*(file(f"etc/{number}", b"", uid=number % 2, gid=7) for number in range(8)))
    assert [(one.number, one.files, one.paths[0]) for one in root.users] == [(0, 4, "etc/0"), (1, 4, "etc/1")]
    assert [(one.number, one.files) for one in root.groups] == [(7, 8)]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("busybox", None),
        ("/bin/busybox", None),
        ("../bin/./busybox", None),
        ("/", None),
        ("nothing", ("bin/nothing", False)),
        ("/run/x/y", ("run/x/y", False)),
        ("../../bin/busybox", ("", True)),
        ("../../../etc/x", ("etc/x", True)),
        ("there/busybox", None),
        ("there/nothing", ("bin/nothing", False)),
        ("self", ("bin/self", False)),
    ],
)
def test_links_are_followed_within_their_root(target, expected):
    files = [file("bin/busybox", b"", mode=0o755), link("bin/there", "/bin"), link("bin/self", "self")]
    found = lost(*files, link("bin/it", target))
    found.pop("bin/self")
    assert found == ({} if expected is None else {"bin/it": expected})


def test_folders_without_an_entry_of_their_own_exist():
    assert lost(file("usr/lib/a/b", b""), link("lib", "usr/lib"), link("x", "lib/a")) == {}


def test_a_link_that_a_file_replaces_counts_no_more():
    assert lost(link("bin/sh", "gone"), file("bin/sh", b"")) == {}


def test_what_exceeds_a_limit_is_told(monkeypatch):
    monkeypatch.setattr(rootfs, "_LOST", 2)
    (root,) = found(*(link(f"bin/{number}", "gone") for number in range(4)))
    assert (len(root.links), root.is_whole) == (2, False)
    monkeypatch.setattr(rootfs, "_PROGRAMS", 2)
    (root,) = found(*(file(f"bin/{number}", b"", mode=0o755) for number in range(4)))
    assert (len(root.programs), root.is_whole) == (2, False)
    monkeypatch.setattr(rootfs, "_IDS", 2)
    (root,) = found(*(file(f"bin/{number}", b"", uid=number) for number in range(4)))
    assert (len(root.users), root.is_whole) == (2, False)


@given(
    st.lists(st.tuples(st.from_regex(r"[ab./]{1,6}", fullmatch=True), st.from_regex(r"[ab./]{1,9}", fullmatch=True)))
)
def test_any_web_of_links_has_an_end(pairs):
    files = [link("/".join(filter(None, path.split("/"))) or "a", target) for path, target in pairs]
    assert len(found(*files)) <= 1 + len(files)
