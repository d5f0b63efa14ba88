"""What the whole image tells of a program: its copies, the folders of its libraries, and who runs it."""

import pytest
from imagelab import Item, newc, of, subjects
from rulelab import binary, container, file

from lkscan.scanner import programs
from lkscan.scanner.programs import Programs
from lkscan.scanner.subjects import Binary, Place

APP = "containers/services/app"
PROGRAM = f"{APP}/lower/bin/app"


def joined(*items, containers=(), contents=None):
    """What becomes of these files and programs, met in this order."""
    met = {(("image.iso",), one.path) for one in items if not isinstance(one, Binary)}
    met |= {(("image.iso",), one.file.path) for one in items if isinstance(one, Binary)}
    found = Programs(lambda place: place in met)
    for number, one in enumerate(items):
        found.meet(one.file if isinstance(one, Binary) else one)
        if isinstance(one, Binary):
            assert found.hold(one, (contents or {}).get(one.file.path, b"%d" % number))
    return list(found.joined(containers))


def folder(path, mode=0o755, **facts):
    return file(path, None, kind="dir", mode=mode, **facts)


def link(path, target, kind="symlink"):
    return file(path, None, kind=kind, mode=0o777, target=target)


def app(*command, name="app", **facts):
    return container(
        name=name,
        command=command or ("/bin/app",),
        at=Place(("image.iso", f"containers/services/{name}/config.json")),
        **facts,
    )


FOLDERS = {
    "of the program's owner": ("/opt/own", "/opt/own", "fine"),
    "of root's group": ("/opt/rooted", "/opt/rooted", "fine"),
    "of another group that may only read": ("/opt/read", "/opt/read", "fine"),
    "within a sticky one of another user": ("/their/lib", "/their", "writable"),
    "through a link out of it": ("/out/usr/lib", "/out/usr/lib", "fine"),
    "by a link to a link": ("/far/app", "/far/app", "fine"),
    "up beyond the root": ("/../../usr/lib", "/usr/lib", "fine"),
    "nearly temporary": ("/tmpx", "/tmpx", "missing"),
    "absolute": ("/usr/lib/app", "/usr/lib/app", "fine"),
    "beside the program": ("$ORIGIN/../lib", "/usr/lib", "fine"),
    "beside it, in braces": ("${ORIGIN}/../lib/app", "/usr/lib/app", "fine"),
    "through a link": ("/lib/app", "/lib/app", "fine"),
    "empty": ("", "", "relative"),
    "relative": ("lib", "lib", "relative"),
    "up": ("../lib", "../lib", "relative"),
    "temporary": ("/tmp/build", "/tmp/build", "temporary"),
    "temporary by detours": ("/usr/../var/tmp", "/var/tmp", "temporary"),
    "for everybody": ("/srv", "/srv", "writable"),
    "within one for everybody": ("/srv/lib", "/srv", "writable"),
    "missing within a sticky one": ("/scratch/lib", "/scratch", "writable"),
    "there within a sticky one": ("/scratch/there", "/scratch/there", "fine"),
    "of another user": ("/opt/theirs", "/opt/theirs", "writable"),
    "of another group": ("/opt/shared", "/opt/shared", "writable"),
    "missing": ("/opt/none", "/opt/none", "missing"),
    "of the builder": ("/home/me/lib", "/home/me/lib", "foreign"),
    "in a circle": ("/round", "/round", "missing"),
    "what the loader fills in": ("/usr/$LIB", "/usr/$LIB", "unknown"),
    "a token of a relative one": ("$LIB/x", "$LIB/x", "unknown"),
}
TREE = (
    *map(folder, ("usr", "usr/bin", "usr/lib", "usr/lib/app", "opt", "scratch/there")),
    link("lib", "usr/lib"),
    link("round", "/round"),
    folder("srv", 0o777),
    folder("srv/lib"),
    folder("scratch", 0o1777),
    folder("opt/theirs", uid=7),
    folder("opt/own", uid=0),
    folder("opt/rooted", 0o775),
    folder("opt/read", gid=7),
    folder("their", 0o1755, uid=7),
    folder("their/lib"),
    link("out", "../../.."),
    link("far", "/lib"),
    folder("opt/shared", 0o775, gid=7),
)


@pytest.mark.parametrize("title", FOLDERS)
def test_folders_of_libraries_are_looked_up_in_the_image(title):
    written, path, state = FOLDERS[title]
    (found,) = joined(*TREE, binary("usr/bin/app", search=(written,)))
    assert found.directories == ((written, path, state),)


def test_a_containers_folders_are_looked_up_within_its_own_root():
    inside = (folder(f"{APP}/lower/usr"), folder(f"{APP}/lower/usr/lib", 0o777), link(f"{APP}/lower/lib", "/usr/lib"))
    (found,) = joined(*TREE, *inside, binary(PROGRAM, search=("/lib", "$ORIGIN/../usr/lib")))
    assert [one.state for one in found.directories] == ["writable", "writable"]
    assert {one.path for one in found.directories} == {"/usr/lib"}


def test_without_a_tree_nothing_is_known():
    (found,) = joined(binary("app", search=("/usr/lib", "/tmp")))
    assert [one.state for one in found.directories] == ["unknown", "temporary"]


def test_files_of_one_content_are_told_of_once():
    paths = ("bin/a", "bin/b", f"{APP}/lower/bin/c")
    first, second = joined(*map(binary, (*paths, "bin/other")), contents=dict.fromkeys(paths, b"same"))
    assert [one.path for one in first.files] == [*paths]
    assert second.file.path == "bin/other"


def test_a_copy_that_grants_privilege_is_told_of_apart():
    found = joined(binary("bin/a"), binary("bin/su", mode=0o4755), contents={"bin/a": b"x", "bin/su": b"x"})
    assert [one.copies for one in found] == [(), ()]


def test_what_later_files_replace_counts_no_more():
    again = binary("bin/a")
    again = again._replace(file=again.file._replace(replaces=True))
    assert [one.file.replaces for one in joined(binary("bin/a"), again)] == [True]
    assert joined(binary("bin/a"), file("bin/a", b"#!/bin/sh")._replace(replaces=True)) == []


@pytest.mark.parametrize(
    ("facts", "is_one"),
    [
        ({}, True),
        ({"mode": 0o755 | 0o1000}, True),
        ({"mode": 0o644}, True),
        ({"mode": 0o2755}, False),
        ({"mode": 0o4755}, False),
        ({"size": 99}, False),
        ({"xattrs": {"user.x": b"1"}}, True),
        ({"xattrs": {"security.capability": b"1"}}, False),
    ],
)
def test_copies_are_what_grants_the_same(facts, is_one):
    other = binary("bin/b")
    other = other._replace(file=other.file._replace(**facts))
    assert len(joined(binary("bin/a"), other, contents=dict.fromkeys(("bin/a", "bin/b"), b"x"))) == 2 - is_one


def replacing(path, **facts):
    return file(path, b"x", **facts)._replace(replaces=True)


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ((binary("bin/a"), replacing("bin/b")), ["bin/a"]),
        ((binary("bin/a"), replacing("bin/a")), []),
        ((replacing("bin/a"), binary("bin/a")), ["bin/a"]),
        ((binary("bin/a"), binary("bin/b"), replacing("bin/a")), ["bin/b"]),
        ((binary("bin/a"), replacing("bin/a"), binary("bin/a")), ["bin/a"]),
    ],
)
def test_a_file_that_replaces_another_voids_what_was_met_before_it(items, kept):
    assert [one.file.path for one in joined(*items)] == kept


def test_what_lies_within_an_archive_goes_with_it():
    inner = binary("bin/a")
    inner = inner._replace(file=inner.file._replace(place=Place(("image.iso", "data.tar", "bin/a"))))
    other = binary("bin/b")
    other = other._replace(file=other.file._replace(place=Place(("image.iso", "data.tar.gz", "bin/b"))))
    assert [one.file.path for one in joined(inner, other, replacing("data.tar"))] == ["bin/b"]


def test_a_program_that_is_told_of_later_takes_its_place():
    found = Programs(lambda _: True)
    first, second, third = (binary(path) for path in ("bin/a", "bin/b", "bin/c"))
    for number, one in enumerate((first, second, third)):
        found.meet(one.file)
        assert found.await_one(one.file, number)
    assert found.complete(1, 5, second)
    assert not found.complete(1, 5, second)  # it is told already
    assert not found.complete(2, 5, None)
    assert not found.complete(7, 5, third)
    assert [(one.file.path, one.kind) for one in found.joined(())] == [("bin/a", "damaged"), ("bin/b", second.kind)]


def test_a_program_that_is_none_takes_nothing_else_away():
    found = Programs(lambda _: True)
    awaited, later = binary("bin/a"), binary("bin/a", kind="static")
    assert found.await_one(awaited.file, 1)
    assert found.hold(later, b"x")
    assert not found.complete(1, 5, None)
    assert [one.kind for one in found.joined(())] == ["static"]


@pytest.mark.parametrize(
    ("mounts", "folders"),
    [
        ((), ["lower", "rootfs"]),
        (({"options": ["lowerdir=/x/lower", 5]},), ["/x/lower", "lower", "rootfs"]),
        (({"options": ["lowerdir=/x:/y:/z"]},), ["/x", "lower", "rootfs"]),
        (({"options": [f"lowerdir=/{APP}/lower"]},), ["lower", "rootfs"]),
        (({"options": ["bind"], "destination": f"/{APP}/rootfs", "source": "/x/"},), ["/x", "lower", "rootfs"]),
        (({"options": ["bind"], "destination": f"/{APP}/rootfs/x", "source": "/x"},), ["lower", "rootfs"]),
        (({"options": ["rw"], "destination": f"/{APP}/rootfs", "source": "/x"},), ["lower", "rootfs"]),
        (({},), ["lower", "rootfs"]),
    ],
)
def test_the_root_of_a_container_is_what_its_runtime_mounts(mounts, folders):
    wanted = [f"{one[1:]}/" if one.startswith("/") else f"{APP}/{one}/" for one in folders]
    assert programs.roots(app(runtime={"mounts": mounts})) == (("image.iso",), wanted)


@pytest.mark.parametrize(
    ("mounts", "path", "shown"),
    [
        ((), "/bin/a", None),
        ((("/bin", "/usr/bin"),), "/bin/a", "/usr/bin/a"),
        ((("/bin/", "/usr/bin"),), "/bin/a", "/usr/bin/a"),
        ((("/bin", "/usr/bin"),), "/bin", "/usr/bin"),
        ((("/bin", "/usr/bin"),), "/binary/a", None),
        ((("/a", "/x"), ("/a/b", "/y")), "/a/b/c", "/y/c"),
        ((("/a/b", "/y"), ("/a", "/x")), "/a/b/c", "/y/c"),
        ((("/a", "/x"), ("/a/b", "/y")), "/a/c", "/x/c"),
        ((("/a", None),), "/a/c", "/dev/null/nowhere"),
        ((("/", "/x"),), "/a/c", None),
    ],
)
def test_what_a_bind_shows_is_the_hosts(mounts, path, shown):
    rows = [
        {"destination": at, "type": "bind", "source": source, "options": ["bind"]}
        if source
        else {"destination": at, "type": "tmpfs", "source": "tmpfs", "options": []}
        for at, source in mounts
    ]
    assert programs.bound(app(mounts=rows), path) == shown


def test_too_many_programs_are_not_held(monkeypatch):
    monkeypatch.setattr(programs, "_HELD", 1)
    found = Programs(lambda _: True)
    assert found.hold(binary("a"), b"a")
    assert not found.hold(binary("b"), b"b")


def roles(*items, containers):
    return {use.path.rpartition("/")[2]: use.role for one in joined(*items, containers=containers) for use in one.uses}


def program(path=PROGRAM, *calls, needed=(), **facts):
    return binary(path, needed=needed, interpreter="/lib/ld.so", **facts)._replace(calls=calls)


def library(name, *calls, needed=()):
    return binary(f"{APP}/lower/lib/{name}", kind="dso", interpreter="", needed=needed)._replace(
        calls=calls, soname=name
    )


OTHER = binary(f"{APP}/lower/bin/other")


def test_what_a_container_starts_is_told_from_what_it_needs_and_what_lies_idle():
    parts = (library("liba.so", needed=("libb.so",)), library("libb.so"), library("ld.so", "exec"))
    found = roles(program(needed=("liba.so",)), *parts, OTHER, containers=[app()])
    assert found == {"app": "process", "liba.so": "library", "libb.so": "library", "ld.so": "library", "other": "idle"}


@pytest.mark.parametrize(
    "started",
    [
        program(PROGRAM, "exec"),
        program(PROGRAM, "dlopen"),
        program(PROGRAM, made="Go 1.21"),
        program(PROGRAM, kind="static")._replace(interpreter=""),
    ],
)
def test_a_program_that_may_start_others_leaves_open_which(started):
    assert roles(started, OTHER, containers=[app()]) == {"app": "process", "other": "unknown"}


def test_a_library_may_start_others_too():
    found = roles(program(needed=("liba.so",)), library("liba.so", "exec"), OTHER, containers=[app()])
    assert found["other"] == "unknown"


STARTED = {
    "by its path": (app("/bin/app"), (), "process"),
    "by a link": (app("/usr/bin/app"), (link(f"{APP}/lower/usr/bin", "../bin"),), "process"),
    "by a hard link": (app("/sbin/app"), (link(f"{APP}/lower/sbin/app", PROGRAM, "hardlink"),), "process"),
    "by a hard link into elsewhere": (
        app("/sbin/app"),
        (link(f"{APP}/lower/sbin/app", "bin/app", "hardlink"),),
        "unknown",
    ),
    "by the default path": (app("app"), (), "process"),
    "by a path of its own": (app("app", env=("PATH=/opt:/bin",)), (), "process"),
    "not by that path": (app("app", env=("PATH=/opt",)), (), "unknown"),
    "behind a script": (app("app", env=("PATH=/opt:/bin",)), (file(f"{APP}/lower/opt/app", b"#!"),), "unknown"),
    "hidden by a mount": (
        app("/bin/app", mounts=[{"destination": "/bin", "type": "tmpfs", "source": "tmpfs", "options": []}]),
        (),
        "unknown",
    ),
    "not at all": (container(name="app", at=Place(("image.iso", f"{APP}/config.json"))), (), "unknown"),
}


@pytest.mark.parametrize("title", STARTED)
def test_what_a_container_starts_is_found_as_a_runtime_finds_it(title):
    by, more, role = STARTED[title]
    assert roles(program(), *more, containers=[by])["app"] == role


def test_a_program_of_the_host_that_a_bind_shows_is_started_there():
    found = joined(program("usr/bin/ctr", "listen"), containers=[app("/host/bin/ctr", binds=["/usr:/host"])])
    assert [(use.role, use.listens) for use in found[0].uses] == [("process", True)]


def test_a_root_that_two_containers_share_is_used_by_both():
    mounts = [{"destination": "rootfs", "type": "overlay", "options": [f"lowerdir=/{APP}/lower", "upperdir=/x"]}]
    other = app("/bin/other", name="again", runtime={"mounts": mounts})
    (first, second) = joined(program(), OTHER, containers=[app(), other])
    assert [(use.container.name, use.role) for use in first.uses] == [("app", "process"), ("again", "idle")]
    assert [(use.container.name, use.role) for use in second.uses] == [("app", "idle"), ("again", "process")]


def test_an_image_gives_programs_in_the_end_once_each(tmp_path):
    from elflab import Lab

    same, other = Lab().build(), Lab(soname="x").build()
    items = subjects(tmp_path, newc(*(Item(path, same) for path in ("a", "b")), Item("c", other), Item("a", other)))
    found = of(items, Binary)
    assert [[one.path for one in group.files] for group in found] == [["a", "c"], ["b"]]
    assert [type(one).__name__ for one in items][-3:] == ["Binary", "Binary", "System"]
    assert items[-1].binaries == 4


def test_what_would_take_too_long_is_left_out(monkeypatch):
    monkeypatch.setattr(programs, "_USES", 1)
    assert roles(program(), OTHER, containers=[app()]) == {}
    (found,) = joined(*TREE, binary("usr/bin/app", search=("/usr/lib",) * 40 + ("/opt/none",)))
    assert [one.state for one in found.directories] == ["fine"]
