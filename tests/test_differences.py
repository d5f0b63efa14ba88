"""Comparisons, a fact at a time: what is told of it, how it is judged, how much it counts; and on the way back."""

import pytest
from rulelab import container, image

from lkscan.rules.builds import Build, Entry
from lkscan.rules.comparing import compare
from lkscan.rules.container_differences import clipped, containers
from lkscan.rules.differences import Difference, ordered
from lkscan.rules.engine import Severity
from lkscan.rules.file_differences import CAPABILITY, Rules, capabilities, files, hardening
from lkscan.rules.kernel_differences import arguments, command_lines, kernels, settings, version
from lkscan.scanner.subjects import Kernel, KernelCommandLine, Place, Sysctl, System, Volume

BACK = {"worse": "better", "better": "worse", "neutral": "neutral"}
PLACE = Place(("image.iso", "x"))
LOW, MEDIUM, NOTE = Severity.LOW, Severity.MEDIUM, Severity.NOTE


def told(found):
    """Differences without their reasons and places."""
    return [(one.what, one.old, one.new, one.judgement, one.severity) for one in found]


def both_ways(comparison, old, new, row):
    """A row is told of old and new; of new and old, its values change places, and what was worse is better."""
    what, before, after, judgement, severity = row
    assert told(comparison(old, new)) == [row]
    (back,) = told(comparison(new, old))
    assert back[:4] == (what, after, before, BACK[judgement])
    assert (back[4] is NOTE) is (back[3] != "worse")
    assert severity is (NOTE if judgement != "worse" else severity)


# --- containers


def of_containers(old, new):
    undecided = []
    found = list(containers([container(**old)], [container(**new)], undecided))
    assert undecided == []
    return found


def node(path, number):
    return {"path": path, "type": "c", "major": number, "minor": 0}


def limit(soft):
    return {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": soft, "hard": 4096}]}


def resource(part, **values):
    return {"resources": {part: values}}


MOUNT = "mount /x"
CONTAINERS = [
    ({}, {"capabilities": ["CAP_CHOWN"]}, ("capability CAP_CHOWN", "", "held", "worse", MEDIUM)),
    (
        {"capabilities": ["CAP_CHOWN"]},
        {"capabilities": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]},
        ("ambient capability CAP_CHOWN", "", "held", "worse", MEDIUM),
    ),
    ({"uid": 5}, {}, ("user", "5", "0", "worse", MEDIUM)),
    ({"uid": 5}, {"uid": 6}, ("user", "5", "6", "neutral", NOTE)),
    ({}, {"gid": 5}, ("group", "0", "5", "neutral", NOTE)),
    ({}, {"groups": [7]}, ("additional group 7", "", "member", "neutral", NOTE)),
    ({"no_new_privileges": True}, {}, ("new privileges", "are refused", "can be gained", "worse", MEDIUM)),
    ({"readonly": True}, {}, ("root filesystem", "read-only", "writable", "worse", MEDIUM)),
    ({}, {"net": "new"}, ("network namespace", "host", "new", "better", NOTE)),
    ({"net": "/run/netns/a"}, {}, ("network namespace", "/run/netns/a", "host", "worse", MEDIUM)),
    ({"pid": "new"}, {"pid": "/run/pid"}, ("pid namespace", "new", "/run/pid", "worse", MEDIUM)),
    ({"ipc": "/a"}, {"ipc": "/b"}, ("ipc namespace", "/a", "/b", "neutral", NOTE)),
    ({"uts": "new"}, {}, ("uts namespace", "new", "host", "worse", MEDIUM)),
    ({"user": "new"}, {}, ("user namespace", "new", "host", "worse", MEDIUM)),
    ({}, {"nodes": [node("/dev/x", 9)]}, ("device node /dev/x", "", "c 9:0", "worse", MEDIUM)),
    (
        {"nodes": [node("/dev/x", 9)]},
        {"nodes": [node("/dev/x", 8)]},
        ("device node /dev/x", "c 9:0", "c 8:0", "neutral", NOTE),
    ),
    ({}, {"devices": [{"allow": True, "type": "c"}]}, ("devices c *:*", "", "rwm", "worse", MEDIUM)),
    ({}, {"devices": [{"allow": False}]}, ("devices a *:*", "", "not rwm", "neutral", NOTE)),
    (
        {"devices": [{"allow": True, "type": "b", "major": 8, "minor": 1, "access": "r"}]},
        {"devices": [{"allow": True, "type": "b", "major": 8, "minor": 1, "access": "rw"}]},
        ("devices b 8:1", "r", "rw", "worse", MEDIUM),
    ),
    ({}, {"masked_paths": ["/proc/keys"]}, ("masked path /proc/keys", "", "masked", "better", NOTE)),
    ({}, {"readonly_paths": ["/proc/sys"]}, ("read-only path /proc/sys", "", "read-only", "better", NOTE)),
    ({}, limit(1024), ("limit RLIMIT_NOFILE", "", "1024:4096", "better", NOTE)),
    (limit(1024), limit(2048), ("limit RLIMIT_NOFILE", "1024:4096", "2048:4096", "worse", LOW)),
    (
        resource("memory", limit=1),
        resource("memory", limit=2),
        ("resource memory.limit", "1", "2", "worse", LOW),
    ),
    (resource("memory", limit=-1), {}, ("resource memory.limit", "-1", "", "neutral", NOTE)),
    (resource("memory", limit=5), resource("memory", limit=0), ("resource memory.limit", "5", "0", "worse", LOW)),
    (resource("cpu", shares=5), resource("cpu", shares=9), ("resource cpu.shares", "5", "9", "neutral", NOTE)),
    (resource("cpu", quota=5), {}, ("resource cpu.quota", "5", "", "worse", LOW)),
    ({}, {"binds": ["/srv:/x"]}, (MOUNT, "", "bind /srv (rw,rbind,rshared)", "worse", MEDIUM)),
    (
        {"binds": ["/srv:/x:ro"]},
        {"binds": ["/srv:/x"]},
        (MOUNT, "bind /srv (ro,rbind)", "bind /srv (rw,rbind,rshared)", "worse", MEDIUM),
    ),
    (
        {"binds": ["/srv:/x:ro"]},
        {"binds": ["/etc:/x:ro"]},
        (MOUNT, "bind /srv (ro,rbind)", "bind /etc (ro,rbind)", "worse", MEDIUM),
    ),
    (
        {"binds": ["/srv:/x:ro,nosuid,nodev,noexec"]},
        {"binds": ["/srv:/x:ro,nosuid,nodev"]},
        (MOUNT, "bind /srv (ro,nosuid,nodev,noexec,rbind)", "bind /srv (ro,nosuid,nodev,rbind)", "worse", MEDIUM),
    ),
    (
        {"binds": ["/srv:/x"]},
        {"binds": ["/:/x"]},
        (MOUNT, "bind /srv (rw,rbind,rshared)", "bind / (rw,rbind,rshared)", "worse", MEDIUM),
    ),
    (
        {},
        {"mounts": [{"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700", "label=a"]}]},
        (MOUNT, "", "tmpfs (mode=700,label=…)", "neutral", NOTE),
    ),
    ({}, {"command": ["/bin/a", "b"]}, ("command", "", "/bin/a b", "neutral", NOTE)),
    ({}, {"env": ["A=secret"]}, ("variable A", "", "set", "neutral", NOTE)),
    ({"env": ["A=1"]}, {"env": ["A=2"]}, ("variable A", "set", "set to something else", "neutral", NOTE)),
    ({}, {"oom": 5}, ("process.oomScoreAdj", "", "5", "neutral", NOTE)),
    ({}, {"runtime": {"cgroups": ["a"]}}, ("runtime.cgroups", "", '["a"]', "neutral", NOTE)),
    ({}, {"error": "no"}, ("build", "built", "refused", "worse", MEDIUM)),
]


@pytest.mark.parametrize(("old", "new", "row"), CONTAINERS, ids=lambda one: one[0] if isinstance(one, tuple) else "")
def test_each_fact_of_a_container_is_told_and_judged(old, new, row):
    if row[0].startswith("variable") and old:  # which values are on which side is hidden
        assert told(of_containers(old, new)) == told(of_containers(new, old)) == [row]
    else:
        both_ways(of_containers, old, new, row)


@pytest.mark.parametrize(
    ("key", "value", "what", "judgement"),
    [
        ("seccomp", {"defaultAction": "SCMP_ACT_ERRNO"}, "seccomp", "better"),
        ("sysctl", {"kernel.kptr_restrict": "0"}, "setting kernel.kptr_restrict", "worse"),
        ("sysctl", {"kernel.kptr_restrict": "2"}, "setting kernel.kptr_restrict", "neutral"),
        ("rootfsPropagation", "rshared", "propagation of mounts", "worse"),
        ("rootfsPropagation", "private", "propagation of mounts", "neutral"),
    ],
)
def test_what_only_some_configurations_have_is_judged(key, value, what, judgement):
    plain = container()
    given = plain._replace(oci={**plain.oci, "linux": {**plain.oci["linux"], key: value}})
    (found,) = containers([plain], [given], [])
    (back,) = containers([given], [plain], [])
    assert (found.what, found.judgement, back.judgement) == (what, judgement, BACK[judgement])


def test_a_mount_of_linuxkits_own_that_follows_the_root_file_system_is_not_told():
    mount = {"destination": "/x", "type": "tmpfs", "source": "tmpfs"}
    old = {"readonly": True, "mounts": [{**mount, "options": ["nosuid", "ro"]}]}
    new = {"readonly": False, "mounts": [{**mount, "options": ["nosuid", "rw"]}]}
    assert [one.what for one in of_containers(old, new)] == ["root filesystem"]
    same = {**new, "readonly": True}
    assert [one.what for one in of_containers(old, same)] == ["mount /x"]


def test_containers_that_come_and_go_count_by_what_is_within_their_reach():
    risky = container(name="a", capabilities=["CAP_SYS_ADMIN"], pid="host", binds=["/:/host"])
    safe = container(name="b", uid=9, net="new", ipc="new", uts="new", readonly=True, no_new_privileges=True)
    come = told(containers([], [risky, safe], []))
    assert [row[3:] for row in come] == [("worse", MEDIUM), ("neutral", NOTE)]
    assert all(row[1] == "" and row[2].startswith("exposure ") for row in come)
    gone = told(containers([risky, safe], [], []))
    assert [row[3:] for row in gone] == [("better", NOTE), ("neutral", NOTE)]


@pytest.mark.parametrize(("section", "count"), [("onboot", 1), ("onshutdown", 1), ("services", 0)])
def test_another_order_is_told_of_what_is_started_one_after_another(section, count):
    first, second = (container(name=name, section=section, index=number) for number, name in enumerate("ab"))
    found = told(containers([first, second], [first._replace(index=3), second], []))
    assert found == [("order", "a, b", "b, a", "neutral", NOTE)] * count


@pytest.mark.parametrize(("length", "shown"), [(199, 199), (200, 200), (201, 201), (500, 201)])
def test_a_long_value_is_cut_after_200_characters(length, shown):
    text = clipped("word " * 40 + "x" * (length - 200) if length > 200 else "w" * length)
    assert len(text) == shown
    assert text.endswith("…") is (length > 200)


# --- files


def entry(mode=0o644, *, kind="file", uid=0, gid=0, size=5, target="", digest="a" * 64, held=""):
    return Entry(kind, mode, uid, gid, size, target, digest, {CAPABILITY: held} if held else {}, PLACE)


def held(*bits, high=0):
    """`security.capability` with these permitted, as setcap writes it."""
    low = sum(1 << bit for bit in bits)
    return b"".join(word.to_bytes(4, "little") for word in (0x02000001, low, 0, high, 0)).hex()


def of_files(old, new, *, rules=Rules(lambda _: False, xattrs=True)):  # noqa: B008 - a tuple
    sides = [{"x": one} if one else {} for one in (old, new)]
    return list(files(*sides, rules))


FILES = [
    (entry(), entry(0o646), ("mode", "0644", "0646", "worse", LOW)),
    (entry(), entry(0o664), ("mode", "0644", "0664", "worse", LOW)),
    (entry(0o640), entry(), ("mode", "0640", "0644", "worse", LOW)),
    (entry(), entry(0o744), ("mode", "0644", "0744", "neutral", NOTE)),
    (entry(0o755), entry(0o4755), ("mode", "0755", "4755", "worse", MEDIUM)),
    (entry(0o755), entry(0o2755), ("mode", "0755", "2755", "worse", MEDIUM)),
    (entry(), entry(0o4644), ("mode", "0644", "4644", "neutral", NOTE)),
    (entry(0o1777, kind="dir"), entry(0o777, kind="dir"), ("mode", "1777", "0777", "worse", LOW)),
    (entry(), entry(uid=1, gid=2), ("owner", "0:0", "1:2", "neutral", NOTE)),
    (
        entry(),
        entry(size=6),
        ("content", "5 bytes, sha256 aaaaaaaaaaaa", "6 bytes, sha256 aaaaaaaaaaaa", "neutral", NOTE),
    ),
    (entry(digest=""), entry(digest="", size=1234), ("content", "5 bytes", "1,234 bytes", "neutral", NOTE)),
    (entry(), entry(kind="dir"), ("kind", "file", "dir", "neutral", NOTE)),
    (entry(kind="symlink", target="a"), entry(kind="symlink", target="b"), ("link", "a", "b", "neutral", NOTE)),
    (entry(), entry(held=held(12)), ("file capabilities", "", "CAP_NET_ADMIN", "worse", MEDIUM)),
    (None, entry(), ("file", "", "5 bytes", "neutral", NOTE)),
    (None, entry(kind="symlink", target="y"), ("symlink", "", "-> y", "neutral", NOTE)),
    (None, entry(0o755, kind="dir", uid=3), ("dir", "", "0755 3:0", "neutral", NOTE)),
    (None, entry(0o4755), ("file", "", "5 bytes, set-user-id root", "worse", MEDIUM)),
    (None, entry(0o6755, uid=3, gid=4), ("file", "", "5 bytes, set-user-id 3, set-group-id 4", "worse", MEDIUM)),
    (None, entry(held=held(13)), ("file", "", "5 bytes, CAP_NET_RAW", "worse", MEDIUM)),
]


@pytest.mark.parametrize(("old", "new", "row"), FILES, ids=lambda one: one[0] if isinstance(one, tuple) else "")
def test_each_fact_of_a_file_is_told_and_judged(old, new, row):
    both_ways(of_files, old, new, row)


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        (None, entry(0o666), ("file", "", "5 bytes", "worse", LOW)),
        (None, entry(0o777, kind="dir"), ("dir", "", "0777 0:0", "worse", LOW)),
        (None, entry(0o1777, kind="dir"), ("dir", "", "1777 0:0", "neutral", NOTE)),
        (None, entry(0o666, kind="char"), ("char device", "", "0666 0:0", "neutral", NOTE)),
        (None, entry(0o600, kind="block"), ("block device", "", "0600 0:0", "neutral", NOTE)),
        (entry(0o4755, uid=1), entry(0o4755), ("owner", "1:0", "0:0", "worse", MEDIUM)),
        (entry(0o4755), entry(0o4755, uid=1), ("owner", "0:0", "1:0", "neutral", NOTE)),
        (entry(0o755, uid=1), entry(0o755), ("owner", "1:0", "0:0", "neutral", NOTE)),
        (
            entry(held=held(12)),
            entry(held=held(13)),
            ("file capabilities", "CAP_NET_ADMIN", "CAP_NET_RAW", "worse", MEDIUM),
        ),
    ],
)
def test_what_a_file_may_do_now_counts_and_not_what_it_was(old, new, row):
    assert told(of_files(old, new)) == [row]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (0o4755, "One more program that runs as user 3, whoever starts it."),
        (0o2755, "One more program that runs as group 4, whoever starts it."),
        (0o755, "Added."),
    ],
)
def test_it_is_said_as_whom_a_new_program_runs(mode, reason):
    (found,) = of_files(None, entry(mode, uid=3, gid=4))
    assert found.reason == reason


def test_what_another_difference_tells_of_is_left_out_unless_it_grants_privileges():
    rules = Rules(lambda _: True, xattrs=True)
    assert of_files(None, entry(), rules=rules) == of_files(entry(), entry(size=6), rules=rules) == []
    assert [one.judgement for one in of_files(None, entry(0o4755), rules=rules)] == ["worse"]


def test_extended_attributes_count_only_where_both_sides_hold_them():
    rules = Rules(lambda _: False, xattrs=False)
    assert of_files(entry(), entry(held=held(12)), rules=rules) == []
    assert [one.judgement for one in of_files(None, entry(0o755, held=held(12)), rules=rules)] == ["neutral"]


def test_a_file_with_another_path_is_one_that_was_renamed_if_no_other_has_its_content():
    rules = Rules(lambda _: False, xattrs=True)
    assert told(files({"a": entry()}, {"b": entry()}, rules)) == [("path", "a", "b", "neutral", NOTE)]
    assert len(list(files({"a": entry()}, {"b": entry(), "c": entry()}, rules))) == 3
    assert len(list(files({"a": entry(size=0)}, {"b": entry(size=0)}, rules))) == 2
    assert len(list(files({"a": entry(digest="")}, {"b": entry(digest="")}, rules))) == 2
    assert len(list(files({"a": entry()}, {"b": entry(0o600)}, rules))) == 2


def test_a_folder_is_told_by_what_is_in_it():
    tree = {"d": entry(0o755, kind="dir"), "d/x": entry()}
    rules = Rules(lambda _: False, xattrs=True)
    assert [one.subject for one in files({}, tree, rules)] == [one.subject for one in files(tree, {}, rules)] == ["d/x"]
    opened = {**tree, "d": entry(0o777, kind="dir")}
    assert [one.subject for one in files({}, opened, rules)] == ["d", "d/x"]
    assert [one.subject for one in files({}, {"d": tree["d"], "dd/x": entry()}, rules)] == ["d", "dd/x"]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", set()),
        ("zz", {"unreadable"}),
        (held(0), {"CAP_CHOWN"}),
        (held(0, 31), {"CAP_CHOWN", "CAP_SETFCAP"}),
        (held(high=1), {"CAP_MAC_OVERRIDE"}),
        (held(high=1 << 8), {"CAP_CHECKPOINT_RESTORE"}),
        (held(high=1 << 9), {"capability 41"}),
        (held(high=1 << 31), {"capability 63"}),
        (held(3)[:16], {"CAP_FOWNER"}),
        (held(3)[:14], set()),
    ],
)
def test_file_capabilities_are_read_as_the_kernel_reads_them(value, names):
    assert capabilities(value) == names


@pytest.mark.parametrize(
    ("old", "new", "rows"),
    [
        ({"relro": "full"}, {"relro": "partial"}, [("relro full", "relro partial", "worse", LOW)]),
        ({"relro": "partial"}, {"relro": "none"}, [("relro partial", "relro none", "worse", LOW)]),
        ({"relro": "static"}, {"relro": "full"}, []),
        ({"nx": "yes"}, {"nx": "no"}, [("nx yes", "nx no", "worse", LOW)]),
        ({"pie": "dso"}, {"pie": "no"}, [("pie dso", "pie no", "worse", LOW)]),
        ({"pie": "pie"}, {"pie": "static-pie"}, []),
        ({"rwx": "no"}, {"rwx": "yes"}, [("rwx no", "rwx yes", "worse", LOW)]),
        ({"textrel": "no"}, {"textrel": "yes"}, [("textrel no", "textrel yes", "worse", LOW)]),
        ({"packed": "no"}, {"packed": "yes"}, [("packed no", "packed yes", "worse", LOW)]),
        ({"canary": "yes"}, {"canary": "partial"}, [("canary yes", "canary partial", "worse", LOW)]),
        ({"canary": "partial"}, {"canary": "no"}, [("canary partial", "canary no", "worse", LOW)]),
        ({"canary": "undecided"}, {"canary": "no"}, []),
        ({"canary": "yes"}, {}, []),
        (
            {"canary": "yes", "nx": "yes", "bti": "no"},
            {"canary": "no", "nx": "no", "bti": "yes"},
            [("nx yes, canary yes", "nx no, canary no", "worse", LOW), ("bti no", "bti yes", "better", NOTE)],
        ),
    ],
)
def test_hardening_is_compared_where_it_is_decided_on_both_sides(old, new, rows):
    assert [row[1:] for row in told(hardening("x", old, new, entry()))] == rows
    back = {(b, a, BACK[verdict]) for a, b, verdict, _ in rows}
    assert {row[1:4] for row in told(hardening("x", new, old, entry()))} == back


# --- kernels


@pytest.mark.parametrize(
    ("old", "new", "judgement", "severity"),
    [
        ("6.6.71", "6.6.72", "better", NOTE),
        ("6.6.72-a", "6.6.71-b", "worse", MEDIUM),
        ("6.6.9", "6.6.10", "better", NOTE),
        ("6.6.71", "6.12.1", "neutral", NOTE),
        ("6.12.1", "6.6.71", "worse", MEDIUM),
        ("6.6", "6.6.1", "better", NOTE),
        ("6.6.1-a", "6.6.1-b", "neutral", NOTE),
        ("unknown", "6.6.1", "neutral", NOTE),
        ("6.6.1", "unknown", "neutral", NOTE),
    ],
)
def test_an_older_release_is_worse_and_a_newer_one_of_its_series_better(old, new, judgement, severity):
    found = version("kernel", old, new, PLACE)
    assert (found.judgement, found.severity, found.old, found.new) == (judgement, severity, old, new)


def system(*, line="", sysctls=()):
    lines = (KernelCommandLine(PLACE, line),) if line else ()
    files = (Sysctl(PLACE, tuple((*one, 1) for one in sysctls), "etc/sysctl.d/00-x.conf"),)
    return System(PLACE, "image", False, "cpio", command_lines=lines, sysctls=files)  # noqa: FBT003


def test_each_value_of_an_argument_counts_once_whichever_way_its_name_is_written():
    lines = [KernelCommandLine(PLACE, text) for text in ("a-b=1 c a_b=2", "a_b=1 c")]
    assert arguments(tuple(lines)) == {"a_b": "a-b=1 a_b=2 a_b=1", "c": "c"}
    assert arguments((lines[0]._replace(ignored="another one counts"),)) == {}


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("quiet", "quiet mitigations=off", ("mitigations", "", "mitigations=off", "worse", MEDIUM)),
        ("slab_nomerge", "quiet", ("slab_nomerge", "slab_nomerge", "", "worse", MEDIUM)),
        ("quiet", "quiet unheard=of", ("unheard", "", "unheard=of", "neutral", NOTE)),
    ],
)
def test_arguments_are_judged_by_the_tables(old, new, row):
    def whole(first, second):
        found = command_lines(system(line=first), system(line=second), one_format=True, apart=[])
        return [one for one in found if one.what != "quiet"]

    both_ways(whole, old, new, row)


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        (None, "0", ("value", "", "0", "worse", LOW)),
        (None, "2", ("value", "", "2", "better", NOTE)),
        ("2", "0", ("value", "2", "0", "worse", LOW)),
        ("7", "8", ("value", "7", "8", "neutral", NOTE)),
    ],
)
def test_settings_are_judged_by_the_tables(old, new, row):
    def whole(first, second):
        sides = [system(sysctls=[("kernel.kptr_restrict", one)] if one else []) for one in (first, second)]
        return settings(*sides)

    both_ways(whole, old, new, row)


def test_what_is_told_first_is_the_area_then_the_worst():
    def one(area, judgement, severity=NOTE, subject="a", what="w"):
        return Difference(area, subject, what, "", "", judgement, "", PLACE, severity)

    wanted = [
        one("container", "worse", MEDIUM),
        one("container", "worse", LOW),
        one("container", "better"),
        one("container", "neutral", subject="a", what="v"),
        one("container", "neutral", subject="a", what="w"),
        one("container", "neutral", subject="b", what="a"),
        one("file", "worse", MEDIUM),
        one("finding", "worse", MEDIUM),
    ]
    assert ordered(reversed(wanted)) == tuple(wanted)


# --- whole builds


def spec_of(name, *images, volumes=(), boxes=()):
    found = System(PLACE, "spec", False, "spec", images=images, volumes=volumes, containers=boxes)  # noqa: FBT003
    return Build(name, found)


HASH = "sha256:" + "a" * 64
IMAGES = [
    (("nginx:1", "version-tag"), ("nginx", "latest"), "worse", MEDIUM),
    ((f"nginx@{HASH}", "digest"), ("nginx:1", "version-tag"), "worse", MEDIUM),
    (("linuxkit/a:45a1", "content-tag"), ("linuxkit/a:45a1-dirty", "dirty-tag"), "worse", MEDIUM),
    (("nginx:1", "version-tag"), ("nginx:2", "version-tag"), "neutral", NOTE),
    (("nginx", "no-tag"), ("nginx:latest", "latest"), "neutral", NOTE),
    ((f"nginx@{HASH}", "digest"), ("nginx:45a1", "content-tag"), "neutral", NOTE),
]


@pytest.mark.parametrize(("old", "new", "judgement", "severity"), IMAGES)
def test_a_reference_that_is_pinned_less_firmly_is_worse(old, new, judgement, severity):
    def whole(first, second):
        return compare(spec_of("a", first), spec_of("b", second)).changes

    sides = (image(*one, role="init")._replace(name="nginx") for one in (old, new))
    both_ways(whole, *sides, ("image", old[0], new[0], judgement, severity))


@pytest.mark.parametrize(
    ("old", "new", "judgement", "severity"),
    [
        ("6.6.71", "6.6.72", "better", NOTE),
        ("6.6.72", "6.6.71", "worse", MEDIUM),
        ("6.6.72", "6.12.1", "neutral", NOTE),
    ],
)
def test_the_tag_of_a_kernel_is_judged_as_its_release(old, new, judgement, severity):
    sides = [spec_of(tag, image(f"linuxkit/kernel:{tag}", "version-tag", role="kernel")) for tag in (old, new)]
    (found,) = compare(*sides).changes
    assert (found.area, found.what, found.subject) == ("image", "image", "kernel")
    assert (found.judgement, found.severity) == (judgement, severity)


def test_images_come_and_go_by_role_and_number():
    first, second = (image(f"linuxkit/{name}:1", "version-tag", role="init") for name in "ab")
    found = compare(spec_of("a", first), spec_of("b", first, second, second)).changes
    assert told(found) == [("image", "", "linuxkit/b:1", "neutral", NOTE)] * 2
    found = compare(spec_of("a", first, second), spec_of("b", second)).changes
    assert told(found) == [("image", "linuxkit/a:1", "", "neutral", NOTE)]
    assert found[0].subject == "init linuxkit/a"


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        (True, False, ("volume", "read-only", "writable", "worse", LOW)),
        (None, True, ("volume", "", "read-only", "neutral", NOTE)),
        (None, False, ("volume", "", "writable", "neutral", NOTE)),
    ],
)
def test_a_volume_that_can_be_written_to_is_worse(old, new, row):
    def whole(first, second):
        sides = [() if one is None else (Volume("v", one, PLACE),) for one in (first, second)]
        return compare(*(spec_of("a", volumes=some) for some in sides)).changes

    both_ways(whole, old, new, row)


def an_image(entries, findings=(), *, form="cpio", layer=("a.img",)):
    found = System(PLACE, "image", True, form)  # noqa: FBT003
    tree = {(layer, path): one._replace(place=Place((*layer, path))) for path, one in entries.items()}
    return Build("x", found, findings, entries=tree)


def test_sizes_are_told_by_component_and_count_neither_way():
    old = an_image({"etc/a": entry(size=1000), "usr/bin/x": entry(size=7)})
    new = an_image({"etc/a": entry(size=3500), "usr/bin/x": entry(size=7)})
    (found,) = compare(old, new).effects
    assert (found.old, found.new, found.reason) == ("1,007 bytes", "3,507 bytes", "+2,500 bytes.")
    (found,) = compare(new, old).effects
    assert (found.reason, found.judgement) == ("-2,500 bytes.", "neutral")
    (found,) = compare(an_image({"etc/x": entry(0o755, kind="dir")}), old).effects
    assert (found.old, found.new) == ("", "1,007 bytes")


def test_an_image_and_a_spec_are_not_compared():
    found = compare(spec_of("a"), an_image({"etc/a": entry()}))
    assert (found.changes, found.formats) == ((), ("LinuxKit spec", "cpio"))
    assert "are not compared like this" in found.problems[0].message
    assert compare(spec_of("a"), Build("b", None)).formats == ("LinuxKit spec", "not read")


CONFIG = {"LOCALVERSION": "", "X86_64": "y", "64BIT": "y", "STRICT_DEVMEM": "y", "DEVMEM": "y", "EXT4_FS": "y"}


def a_kernel(version="6.6.71", *, banner="#1", arch="x86_64", place="kernel", config=CONFIG):
    return Kernel(Place((place,)), version, banner, arch, "bzImage", "gzip", config, "IKCONFIG", b"")


def of_kernels(old, new, *, contents=("", "")):
    undecided = []
    sides = [(one,) if isinstance(one, Kernel) else one for one in (old, new)]
    found = [
        Build("x", System(PLACE, "image", True, "cpio", kernels=some), inputs={"kernel": content})  # noqa: FBT003
        for some, content in zip(sides, contents, strict=True)
    ]
    return list(kernels((found[0], found[1]), undecided)), undecided


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        (a_kernel(), a_kernel("6.6.72"), ("version", "6.6.71", "6.6.72", "better", NOTE)),
        (a_kernel(), a_kernel(banner="#2"), ("build", "#1", "#2", "neutral", NOTE)),
        (a_kernel(), a_kernel(arch="arm64"), ("architecture", "x86_64", "arm64", "neutral", NOTE)),
        (
            a_kernel(),
            a_kernel(config={**CONFIG, "STRICT_DEVMEM": "n"}),
            ("CONFIG_STRICT_DEVMEM", "CONFIG_STRICT_DEVMEM=y", "# CONFIG_STRICT_DEVMEM is not set", "worse", MEDIUM),
        ),
        (
            a_kernel(),
            a_kernel(config={**CONFIG, "EXT4_FS": "n"}),
            ("CONFIG_EXT4_FS", "y", "is not set", "neutral", NOTE),
        ),
        (a_kernel(), (a_kernel(), a_kernel(place="b")), ("kernel", "", "6.6.71", "neutral", NOTE)),
        (a_kernel(config=None), a_kernel("6.6.72", config=None), ("version", "6.6.71", "6.6.72", "better", NOTE)),
    ],
    ids=lambda one: one[0] if type(one) is tuple and isinstance(one[0], str) else "",
)
def test_each_fact_of_a_kernel_is_told_and_judged(old, new, row):
    both_ways(lambda first, second: of_kernels(first, second)[0], old, new, row)
    assert of_kernels(old, new)[1] == []


def test_what_compiled_a_kernel_is_no_difference():
    assert of_kernels(a_kernel(), a_kernel(config={**CONFIG, "CC_VERSION_TEXT": "gcc 13", "LD_VERSION": "1"})) == (
        [],
        [],
    )


@pytest.mark.parametrize(("old", "new", "side"), [(CONFIG, None, "new"), (None, CONFIG, "old")])
def test_a_configuration_that_is_known_of_one_side_only_is_told(old, new, side):
    found, undecided = of_kernels(a_kernel(config=old), a_kernel(config=new))
    assert found == []
    assert [f"the configuration of the {side} one is not known" in one for one in undecided] == [True]


@pytest.mark.parametrize(
    ("contents", "new", "whats"),
    [
        (("a", "b"), a_kernel(), ["content"]),
        (("a", "a"), a_kernel(), []),
        (("a", ""), a_kernel(), []),
        (("a", "b"), a_kernel(banner="#2"), ["build"]),
        (("a", "b"), a_kernel()._replace(compression="xz"), []),
    ],
)
def test_another_content_is_told_where_nothing_else_says_why(contents, new, whats):
    found, _ = of_kernels(a_kernel(), new, contents=contents)
    assert [one.what for one in found] == whats


def test_of_several_kernels_each_is_compared_with_the_one_in_its_place():
    old = (a_kernel(), a_kernel("6.12.1", place="b"))
    new = (a_kernel(), a_kernel("6.12.2", place="b"))
    ((found,), _) = of_kernels(old, new)
    assert (found.subject, found.old, found.new) == ("kernel 2", "6.12.1", "6.12.2")
    assert of_kernels((a_kernel("5.4.1"), a_kernel()), a_kernel()) == ([], [])  # of one place: the last counts
