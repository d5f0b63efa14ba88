"""Family F: what only a whole root file system tells, and files that are more than their content."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import container, file, fires, outcomes, rootfs

from lkscan.rules.engine import Outcome, Severity
from lkscan.rules.rootfs import dangling_link, link_out_of_root, unowned_file
from lkscan.rules.special_files import capabilities, device_node_in_image, file_capabilities
from lkscan.rules.tables import load
from lkscan.scanner.subjects import Link, Owners, Place, System

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nweb:x:100:101::/:/sbin/nologin\nodd\n"
GROUP = b"root:x:0:\nweb:x:101:\n"


def image(*roots, containers=()):
    return System(Place(("image.iso",)), "image", True, "cpio", tuple(containers), roots=roots)  # noqa: FBT003 - LinuxKit's


def service(name, *binds, mounts=None):
    at = Place(("image.iso", f"containers/services/{name}/config.json"))
    return container(name=name, binds=list(binds), at=at, runtime={"mounts": mounts or []})


def owned(*users, groups=(), **facts):
    texts = facts.pop("texts", {"etc/passwd": PASSWD, "etc/group": GROUP})
    found = [tuple(Owners(number, 2, (f"srv/{number}",)) for number in numbers) for numbers in (users, groups)]
    return rootfs(texts=texts, users=found[0], groups=found[1], **facts)


def test_ids_without_an_account_are_told_once_for_all():
    one, two = owned(0, 100, 7), owned(groups=(0, 101, 9), container="services/web")
    (finding,) = fires(unowned_file, image(one, two, owned(0, 100, container="services/db")))
    assert finding.evidence == (
        "the root filesystem: uid 7 owns 2 (srv/7)",
        "services/web: gid 9 owns 2 (srv/9)",
    )
    assert finding.members == ("the root filesystem", "services/web")
    assert len(finding.locations) == 2
    alone = finding.retold(("services/web",))
    assert (alone.arguments, alone.members) == (("1",), ("services/web",))


@pytest.mark.parametrize(
    "root", [owned(0, 100, groups=(0, 101)), owned(7, texts={"etc/passwd": PASSWD + b"x::7:7:::\n"})]
)
def test_known_ids_are_fine(root):
    assert outcomes(unowned_file, image(root)) == {Outcome.PASS}


def test_a_root_without_accounts_raises_no_question():
    assert outcomes(unowned_file, image(owned(7, texts={}))) == {Outcome.NOT_APPLICABLE}


def test_what_is_no_root_is_left_alone():
    boot = owned(7, tops=frozenset({"kernel", "initrd.img"}))
    assert outcomes(unowned_file, image(boot)) == {Outcome.NOT_APPLICABLE}


def linked(path, target, missing="", *, climbs=False, **facts):
    return rootfs(links=(Link(path, target, missing, climbs),), **facts)


def test_a_link_that_climbs_out_is_told_with_its_target():
    (finding,) = fires(link_out_of_root, image(linked("a", "../../etc/shadow", climbs=True, container="services/web")))
    assert finding.evidence == ("services/web: a -> ../../etc/shadow",)


@pytest.mark.parametrize(
    ("missing", "variants"),
    [
        ("usr/lib/gone", ["default"]),
        ("tmp/x", ["shared"]),
        ("dev/shm/x", ["shared"]),
        ("run/x", []),
        ("dev", []),
        ("var/lib/x", []),
    ],
)
def test_links_that_dangle_in_the_root_of_the_host(missing, variants):
    found = fires(dangling_link, image(linked("etc/x", f"/{missing}", missing)))
    assert [finding.variant for finding in found] == variants


@pytest.mark.parametrize(
    ("missing", "binds", "fires_"),
    [
        ("run/x", (), True),
        ("run/x", ("/run:/run",), False),
        ("etc/resolv.conf", ("/etc/resolv.conf:/etc/resolv.conf",), False),
        ("etc/resolv.conf2", ("/etc/resolv.conf:/etc/resolv.conf",), True),
        ("proc/mounts", (), False),
    ],
)
def test_in_a_container_its_own_mounts_count(missing, binds, fires_):
    root = linked("etc/x", f"/{missing}", missing, container="services/web")
    assert bool(fires(dangling_link, image(root, containers=[service("web", *binds)]))) is fires_


def test_a_container_that_mounts_the_root_of_another_counts_too():
    root = linked("etc/x", "/run/x", "run/x", container="services/web")
    folder = "/containers/services/web/rootfs"
    other = service("other", "/run:/run", mounts=[{"source": folder}])
    assert not fires(dangling_link, image(root, containers=[service("web"), other]))
    overlay = service("other", "/run:/run", mounts=[{"source": "overlay", "options": [f"lowerdir={folder}"]}])
    assert not fires(dangling_link, image(root, containers=[service("web"), overlay]))
    assert fires(dangling_link, image(root, containers=[service("web"), service("other", "/run:/run")]))


def test_only_the_first_of_many_links_are_named():
    links = tuple(Link(f"a{number}", "b", "b", False) for number in range(9))  # noqa: FBT003 - it does not climb
    (finding,) = fires(dangling_link, image(rootfs(links=links)))
    assert finding.evidence[0].endswith("a2 -> b and 6 more")


def attribute(*bits, revision=2, effective=True):
    number = sum(1 << bit for bit in bits)
    words = [number & 0xFFFFFFFF, 0, number >> 32, 0][: 2 if revision == 1 else 4]
    return struct.pack(f"<I{len(words)}I", revision << 24 | effective, *words) + (bytes(4) if revision == 3 else b"")


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_capabilities_are_named(revision):
    assert capabilities(attribute(21, 13, revision=revision)) == {"CAP_SYS_ADMIN", "CAP_NET_RAW"}


@pytest.mark.parametrize("bit", [0, 7, 8, 31, 32, 33, 40])
def test_each_capability_is_named_by_its_own_bit(bit):
    names = [*load("capabilities")["first"], *load("capabilities")["since"]]
    assert capabilities(attribute(bit)) == {names[bit]}
    assert capabilities(attribute(bit, revision=1)) == ({names[bit]} if bit < 32 else set())


def test_capabilities_of_today_and_of_tomorrow_are_named():
    assert capabilities(attribute(39, 40, 41)) == {"CAP_BPF", "CAP_CHECKPOINT_RESTORE", "capability 41"}


@pytest.mark.parametrize(
    ("bits", "mode", "severity"),
    [
        ((21,), 0o755, Severity.MEDIUM),
        ((21,), 0o750, Severity.LOW),
        ((13, 10), 0o755, Severity.LOW),
        ((13, 12), 0o755, Severity.MEDIUM),
    ],
)
def test_programs_with_capabilities_fire_by_what_they_gain(bits, mode, severity):
    made = file("usr/bin/x", b"", mode=mode, xattrs={"security.capability": attribute(*bits)})
    assert fires(file_capabilities, made)[0].severity is severity


@pytest.mark.parametrize("value", [b"", b"\0\0\0\2", attribute(1)[:-1], attribute(1, revision=9)])
def test_what_linux_would_refuse_is_undecided(value):
    assert outcomes(file_capabilities, file("bin/x", b"", xattrs={"security.capability": value})) == {Outcome.UNDECIDED}


def test_what_a_mount_hides_is_left_alone():
    hidden = file("tmp/x", b"", mode=0o755, xattrs={"security.capability": attribute(21)})
    assert outcomes(file_capabilities, hidden) == {Outcome.NOT_APPLICABLE}
    assert outcomes(device_node_in_image, file("dev/null", None, kind="char")) == {Outcome.NOT_APPLICABLE}


@given(st.binary(max_size=30))
def test_any_attribute_is_read(value):
    assert outcomes(file_capabilities, file("bin/x", b"", xattrs={"security.capability": value})) <= set(Outcome)


@pytest.mark.parametrize(
    ("path", "kind", "mode", "severity"),
    [
        ("srv/disk", "block", 0o660, Severity.LOW),
        ("srv/null", "char", 0o666, Severity.MEDIUM),
        ("containers/services/web/rootfs/srv/null", "char", 0o666, Severity.LOW),
    ],
)
def test_device_nodes_weigh_more_where_only_the_mode_guards_them(path, kind, mode, severity):
    assert fires(device_node_in_image, file(path, None, kind=kind, mode=mode))[0].severity is severity
