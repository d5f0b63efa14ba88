"""What containers need, told by real programs: nothing that is needed is ever called unused."""

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from debianlab import unpack
from elflab import a_file
from needlab import ALL, build, configuration, image, libraries, needs, verdicts
from rulelab import container

from lkscan.rules import needs as rules
from lkscan.rules.needs import interest, judge
from lkscan.rules.tables import load
from lkscan.scanner.calls import found_texts, program, system_calls
from lkscan.scanner.reached import Call, Program, Reach, Step

HOST = [Path(one) for one in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/lib", "/usr/lib")]


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    return build(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def small(programs, tmp_path_factory):
    """What each small program needs, by its name."""
    return needs_of(programs, HOST, tmp_path_factory.mktemp("image"))


def needs_of(programs, folders, where):
    """What each of some programs needs, by its name, in a container with the libraries that it is linked with."""
    containers = {}
    for one in programs:
        files = {"app": one.path}
        if one.kind == "dynamic":
            files |= {f"lib64/{path.name}": path for path in libraries(one.path, folders)}
        containers[one.name] = configuration(["/app"]), files
    return needs(image(where / "small.tar", containers))


def test_there_are_more_than_twenty_small_programs_of_each_kind(programs):
    assert {kind: sum(one.kind == kind for one in programs) for kind in ("dynamic", "static", "go")} == {
        "dynamic": 30,
        "static": 30,
        "go": 6,
    }


def test_what_a_small_program_needs_is_never_called_unused(programs, small):
    missed = [one.name for one in programs if verdicts(small[one.name])[one.capability] == "unused"]
    assert missed == []


def test_most_of_what_small_programs_do_not_need_is_recognised(programs, small):
    shares = {
        kind: [small[one.name].count("unused") for one in programs if one.kind == kind]
        for kind in ("dynamic", "static", "go")
    }
    assert {kind: sum(found) // len(found) >= 25 for kind, found in shares.items()} == {
        "dynamic": True,
        "static": True,
        "go": True,
    }, shares


def test_a_call_with_its_constants_is_shown_where_it_is_made(small):
    evidence = {one.name: one.evidence for one in small["net-raw-dynamic"].capabilities}["CAP_NET_RAW"]
    assert evidence[0].startswith("/app: socket at 0x")
    assert "net/packet/af_packet.c: packet_create" in evidence[0]


# --- the same programs for arm64


@pytest.fixture(scope="session")
def arm_programs(tmp_path_factory):
    return build(tmp_path_factory.mktemp("arm-programs"), machine="arm64")


@pytest.fixture(scope="session")
def arm(arm_programs, tmp_path_factory):
    return needs_of(arm_programs, [Path("/usr/aarch64-linux-gnu/lib")], tmp_path_factory.mktemp("arm-image"))


def test_what_a_program_of_arm64_needs_is_never_called_unused(arm_programs, arm):
    assert len(arm_programs) == 64  # all but iopl, which is of x86
    assert [one.name for one in arm_programs if verdicts(arm[one.name])[one.capability] == "unused"] == []


def test_most_of_what_programs_of_arm64_do_not_need_is_recognised(arm_programs, arm):
    least = {"dynamic": 36, "static": 25, "go": 30}
    open_ = {f"set{what}-static" for what in ("uid", "gid")}  # glibc sets ids in all threads by numbers that it keeps
    counts = {one.name: (one.kind, arm[one.name].count("unused")) for one in arm_programs if one.name not in open_}
    assert {name: found for name, found in counts.items() if found[1] < least[found[0]]} == {}


def test_a_call_of_arm64_is_shown_with_its_constants(arm):
    evidence = {one.name: one.evidence for one in arm["net-raw-static"].capabilities}["CAP_NET_RAW"]
    assert evidence[0].startswith("/app: socket at 0x")
    assert "packet_create" in evidence[0]


# --- the kernel agrees


def run(program, held, folder, other):
    """The exit status of a program that root starts with a bounding set."""
    names = ",".join(f"+{one.removeprefix('CAP_').lower()}" for one in held)
    command = ["setpriv", f"--bounding-set=-all{',' + names if names else ''}", "--inh-caps=-all", program.path, other]
    return subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, check=False, timeout=20).returncode


@pytest.fixture
def folder(tmp_path):
    """Where a program is started: files of root, of another user, and of another group."""
    tmp_path.chmod(0o755)
    for name, owner, group, mode in (
        ("own", 0, 0, 0o644),
        ("theirs", 1, 0, 0o600),
        ("readable", 1, 0, 0o644),
        ("grouped", 0, 7, 0o755),
    ):
        (tmp_path / name).touch()
        os.chown(tmp_path / name, owner, group)
        (tmp_path / name).chmod(mode)
    return tmp_path


@pytest.fixture(scope="module")
def bounding():
    """What this process may give: root's bounding set."""
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("needs to be root, and setpriv of util-linux")
    mask = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    return {name for number, name in enumerate(ALL) if int(mask.split()[1], 16) >> number & 1}


def test_small_programs_work_with_what_is_suggested_and_fail_without_what_they_use(programs, small, bounding, folder):
    told = {}
    other = subprocess.Popen(["setpriv", "--reuid=1", "--clear-groups", "sleep", "60"])
    try:
        for one in programs:
            if one.kind == "dynamic" or one.capability not in bounding:
                continue
            kept = {name for name, verdict in verdicts(small[one.name]).items() if verdict != "unused"} & bounding
            told[one.name] = (
                run(one, kept, folder, str(other.pid)),
                run(one, bounding - {one.capability} - WITHOUT.get(one.capability, set()), folder, str(other.pid)),
            )
    finally:
        other.kill()
        other.wait()
    works = {name for name, (with_it, without) in told.items() if (with_it, without) == (0, 1)}
    inapplicable = {name for name, (with_it, without) in told.items() if with_it == without}
    assert {name: told[name] for name in told.keys() - works - inapplicable} == {}
    assert len(works) >= 20, told


WITHOUT = {
    "CAP_DAC_READ_SEARCH": {"CAP_DAC_OVERRIDE"},
    "CAP_SYSLOG": {"CAP_SYS_ADMIN"},
    "CAP_SYS_BOOT": set(),
}
"""Capabilities that stand in for another one."""

# --- Debian's programs

DEBIAN = {
    "dhcpcd": (
        ("dhcpcd-base",),
        ["/usr/sbin/dhcpcd"],
        "CHOWN DAC_OVERRIDE KILL NET_ADMIN NET_BIND_SERVICE NET_RAW SETGID SETUID SYS_CHROOT",
    ),
    "chronyd": (
        ("chrony",),
        ["/usr/sbin/chronyd"],
        "CHOWN DAC_OVERRIDE IPC_LOCK NET_BIND_SERVICE SETGID SETUID SYS_NICE SYS_RESOURCE SYS_TIME",
    ),
    "nginx": (
        ("nginx",),
        ["/usr/sbin/nginx"],
        "CHOWN DAC_OVERRIDE KILL NET_ADMIN NET_BIND_SERVICE NET_RAW SETGID SETUID SYS_RESOURCE",
    ),
    "sshd": (
        ("openssh-server",),
        ["/usr/sbin/sshd", "-D"],
        (
            "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER KILL NET_BIND_SERVICE SETGID SETUID SYS_CHROOT "
            "SYS_RESOURCE SYS_TTY_CONFIG"
        ),
    ),
    "ip": (
        ("iproute2",),
        ["/bin/ip", "link"],
        "BPF DAC_OVERRIDE NET_ADMIN NET_RAW SYS_ADMIN SYS_PTRACE",
    ),
    "mount": (
        (),
        ["/bin/mount"],
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH SETGID SETUID SYS_ADMIN",
    ),
    "chown": (
        (),
        ["/bin/chown"],
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID",
    ),
    "modprobe": (
        ("kmod",),
        ["/bin/kmod"],
        "DAC_READ_SEARCH SYS_MODULE",
    ),
    "ping": (
        ("iputils-ping",),
        ["/bin/ping"],
        "NET_ADMIN NET_BIND_SERVICE NET_RAW SETUID",
    ),
    "tcpdump": (
        ("tcpdump",),
        ["/usr/bin/tcpdump"],
        "CHOWN DAC_OVERRIDE NET_ADMIN NET_RAW SETGID SETUID SYS_CHROOT",
    ),
    "busybox": (
        ("busybox-static",),
        ["/bin/busybox", "httpd"],
        "ALL",
    ),
    "containerd": (
        ("containerd",),
        ["/usr/bin/containerd"],
        (
            "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL MKNOD NET_ADMIN SETFCAP SETGID SETUID "
            "SYS_ADMIN SYS_PTRACE SYS_RESOURCE"
        ),
    ),
    "runc": (
        ("runc",),
        ["/usr/sbin/runc"],
        (
            "BPF CHOWN DAC_OVERRIDE FOWNER KILL MKNOD NET_ADMIN SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT "
            "SYS_PTRACE SYS_RESOURCE"
        ),
    ),
}
"""Packages, the command, and capabilities that the program is known to need, for some of what it can do."""
LIBRARIES = (
    "libpcap0.8 libwrap0 libcap2 libseccomp2 libnettle8 libgnutls30 libpam0g libaudit1 libcap-ng0 libbpf1 "
    "libelf1 libmnl0 libidn2-0 libunistring2 libssl3 libcrypt1 libkeyutils1 libkrb5-3 libk5crypto3 "
    "libkrb5support0 libgssapi-krb5-2 libcom-err2 libsystemd0 libgcrypt20 libgpg-error0 libpcre2-8-0 "
    "liblz4-1 libzstd1 libp11-kit0 libtasn1-6 libffi8 libgmp10 libhogweed6 libdbus-1-3 libudev1 libtirpc3 "
    "libnsl2 liblzma5 zlib1g libselinux1"
)


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """What Debian's programs need, by their names, each in a container with all that it is linked with."""
    pytest.importorskip("capstone")
    folder = tmp_path_factory.mktemp("debian")
    roots = [unpack(package, folder) for package in LIBRARIES.split()]
    where = [root / inner for root in roots for inner in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")] + HOST
    containers = {}
    for name, (packages, command, _) in DEBIAN.items():
        root = next((unpack(package, folder) for package in packages), Path("/"))
        path = root / command[0].removeprefix("/")
        files = {command[0].removeprefix("/"): path}
        files |= {f"lib/x86_64-linux-gnu/{one.name}": one for one in libraries(path, where)}
        containers[name] = configuration(["/sbin/modprobe"] if name == "modprobe" else command), files
        if name == "modprobe":
            files["sbin/modprobe"] = "-> /bin/kmod"
    return needs(image(folder / "debian.tar", containers))


@pytest.mark.parametrize("name", DEBIAN)
def test_what_debians_programs_are_known_to_need_is_never_called_unused(debian, name):
    unused = {one for one, verdict in verdicts(debian[name]).items() if verdict == "unused"}
    known = set(ALL) if DEBIAN[name][2] == "ALL" else {f"CAP_{one}" for one in DEBIAN[name][2].split()}
    assert unused & known == set()


def test_a_third_of_what_debians_programs_do_not_need_is_recognised(debian):
    counts = {name: one.count("unused") for name, one in debian.items()}
    assert sum(counts.values()) > 41 * len(DEBIAN) / 3, counts


@pytest.mark.parametrize(
    ("data", "is_go", "found"),
    [
        (b"\0/proc/sys/\0", False, {"/proc/sys/\0"}),
        (b"open/proc/sys/net", False, set()),
        (b"open/proc/sys/net", True, {"/proc/sys/\0"}),
        (b"\x48\xb8/proc/kc\x50", False, {"/proc/kcore"}),
        (b"/proc/kc ore", False, set()),
    ],
)
def test_texts_are_found_as_compilers_write_them(data, is_go, found):
    assert found_texts(("/proc/sys/\0", "/proc/kcore"), data, is_go=is_go) == found


def test_a_bent_program_breaks_nothing(programs):
    whole = next(one.path for one in programs if one.name == "net-admin-static").read_bytes()
    chance = random.Random(7)
    for _ in range(150):
        bent = bytearray(whole)
        for _ in range(chance.choice((1, 30))):
            bent[chance.choice((chance.randrange(512), chance.randrange(len(bent))))] = chance.randrange(256)
        program(a_file(b"", "app"), bytes(bent[: chance.choice((len(bent), chance.randrange(len(bent))))]), interest())


# --- the table

SOURCE = re.compile(
    r"(?:arch|block|crypto|drivers|fs|include|io_uring|ipc|kernel|lib|mm|net|security|sound)/[\w./-]+\.[ch]"
)
FUNCTIONS = re.compile(r"\w+(?:, \w+)*(?: \([^()]+\))?(?:, \w+(?:, \w+)*(?: \([^()]+\))?)*")
USES = load("capability_uses")["use"]


@pytest.mark.parametrize("row", USES, ids=lambda row: row["capability"])
def test_each_use_names_the_kernels_file_and_function_that_check(row):
    for place in row["kernel"].split("; "):
        path, _, functions = place.partition(": ")
        assert SOURCE.fullmatch(path), place
        assert FUNCTIONS.fullmatch(functions), place


def test_each_capability_has_a_use_and_each_use_something_that_a_program_can_do():
    assert {row["capability"] for row in USES} == set(ALL)
    assert all(row.keys() & {"calls", "ioctls", "texts"} for row in USES)
    assert {row.get("only", "") for row in USES} <= {"", "inet", "unix", "ports", "credentials", "set-id", "wakes"}


def test_each_call_of_the_table_is_one_of_linux():
    known = {name for machine in ("x86_64", "arm64") for name in system_calls(machine).values()}
    newer = {
        "getxattrat",
        "setxattrat",
        "listxattrat",
        "removexattrat",
        "open_tree_attr",
        "file_getattr",
        "file_setattr",
    }
    named = {call for row in USES for key in ("calls", "beside") for call in row.get(key, ())}
    assert named - known - newer == set()


def told(calls, capability, *, texts=(), command=("/app",)):
    """What is said of a capability where a program makes calls, each with its arguments by position."""
    made = tuple(Call(name, 0x1000, arguments, is_direct=True) for name, arguments in calls)
    step = Step("/app", "certain", "the container's command", Program(calls=made, texts=frozenset(texts)))
    holder = container(capabilities=(capability,), command=command)
    (answer,) = judge(holder, Reach((step,), ()), has_set_id=False).capabilities
    return answer.verdict


def ints(*values):
    return frozenset(values)


USED, UNUSED, UNKNOWN = "used", "unused", "unknown"
CALLS = (
    ([("io_uring_setup", {})], "CAP_DAC_OVERRIDE", UNKNOWN),
    ([("io_uring_setup", {})], "CAP_CHOWN", UNUSED),
    ([("io_uring_setup", {})], "CAP_NET_RAW", UNKNOWN),
    ([("bind", {}), ("socket", {0: ints(40)})], "CAP_NET_BIND_SERVICE", UNKNOWN),
    ([("bind", {}), ("socket", {0: ints(1)})], "CAP_NET_BIND_SERVICE", UNUSED),
    ([("sendmsg", {}), ("socket", {0: ints(16)})], "CAP_SETUID", UNKNOWN),
    ([("sendmsg", {}), ("socket", {0: ints(2)})], "CAP_SETUID", UNUSED),
    ([("sendto", {}), ("socket", {0: ints(1)})], "CAP_DAC_OVERRIDE", UNKNOWN),
    ([("fsetxattr", {}), ("flistxattr", {})], "CAP_SETFCAP", UNKNOWN),
    ([("fsetxattr", {})], "CAP_SETFCAP", UNUSED),
    ([("prctl", {0: ints(57)})], "CAP_SYS_RESOURCE", USED),
    ([("prctl", {0: ints(33)})], "CAP_SYS_ADMIN", UNUSED),
    ([("process_madvise", {})], "CAP_SYS_NICE", UNKNOWN),
    ([("landlock_restrict_self", {})], "CAP_SYS_ADMIN", UNKNOWN),
    ([("open_by_handle_at", {})], "CAP_SYS_ADMIN", UNKNOWN),
    ([("fanotify_init", {0: ints(0x40)})], "CAP_AUDIT_WRITE", USED),
    ([("fanotify_init", {0: ints(0)})], "CAP_AUDIT_WRITE", UNUSED),
    ([("ptrace", {0: ints(0x4200), 3: ints(0x200000)})], "CAP_SYS_ADMIN", USED),
    ([("ptrace", {0: ints(0x4200), 3: ints(1)})], "CAP_SYS_ADMIN", UNUSED),
    ([("ioctl", {1: ints(0x400870A2)})], "CAP_SYS_TIME", USED),
    ([("ioctl", {1: ints(0x894C)})], "CAP_NET_ADMIN", USED),
    ([("open", {1: ints(0x40), 2: ints(0o2755)})], "CAP_FSETID", UNKNOWN),
    ([("open", {1: ints(0x40), 2: ints(0o755)})], "CAP_FSETID", UNUSED),
    ([("open", {1: ints(0), 2: None})], "CAP_FSETID", UNUSED),
    ([("setsockopt", {1: ints(1), 2: ints(60)})], "CAP_IPC_LOCK", UNKNOWN),
)


@pytest.mark.parametrize(
    ("calls", "capability", "verdict"), CALLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_calls_say_of_a_capability(calls, capability, verdict):
    assert told(calls, capability) == verdict


def test_what_the_command_names_counts_like_what_a_program_names():
    assert told([("openat", {})], "CAP_SYS_RAWIO") == UNUSED
    assert told([("openat", {})], "CAP_SYS_RAWIO", texts=["/dev/mem"]) == USED
    assert told([("openat", {})], "CAP_SYS_RAWIO", command=("/bin/dd", "if=/dev/mem")) == USED


def test_what_the_c_library_opens_by_itself_sets_no_flags_that_need_a_capability():
    def of(call):
        program = Program(calls=(Call(call, 0x1000, {}),))
        reach = Reach((Step("/app", "certain", "the container's command", program),), ())
        (answer,) = judge(container(capabilities=("CAP_FOWNER",)), reach, has_set_id=False).capabilities
        return answer.verdict

    assert of("fopen") == UNUSED
    assert of("open") == UNKNOWN


# --- what is made of calls, one at a time


OPEN_WRITES = frozenset({0x241})


def call(name, at=0, *, texts=(), arguments=None, function="", is_direct=True):
    told = {number: frozenset({text}) for number, text in texts}
    return Call(name, at, arguments or {}, told, is_direct, function)


def judged(*calls, path="/bin/a", certainty="certain", gaps=(), has_set_id=False, imports=(), multiple=False, **facts):
    step = Step(path, certainty, "/bin/sh", Program(calls=calls, imports=frozenset(imports)), multiple)
    return judge(container(**facts), Reach((step,), gaps), has_set_id=has_set_id)


def setting(found, name):
    return next(one for one in (*found.settings, *found.binds) if one.name == name)


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (call("mkdir", texts=[(0, "/etc/x")]), "used"),
        (call("mkdir", texts=[(0, "/data/x")]), "unused"),
        (call("mkdir", texts=[(0, "/data")]), "unused"),
        (call("mkdir", texts=[(0, "/database")]), "used"),
        (call("mkdir", texts=[(0, "/data/../etc")]), "used"),
        (call("mkdir", texts=[(0, "relative")]), "unknown"),
        (call("mkdir"), "unknown"),
        (call("mkdirat", texts=[(1, "/etc/x")]), "used"),
        (call("rename", texts=[(0, "/data/x"), (1, "/etc/x")]), "used"),
        (call("renameat2", texts=[(3, "/etc/x")]), "used"),
        (call("tmpfile"), "unknown"),
        (call("getpid"), "unused"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: OPEN_WRITES}), "used"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: frozenset({0})}), "unused"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: frozenset({0x80000})}), "unused"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: frozenset({0x1})}), "used"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: frozenset({0x2})}), "used"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: frozenset({0x40})}), "used"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: frozenset({0x200})}), "used"),
        (call("open", texts=[(0, "/etc/x")], arguments={1: None}), "used"),
        (call("openat", texts=[(1, "/etc/x")], arguments={2: OPEN_WRITES}), "used"),
        (call("openat", texts=[(1, "/etc/x")], arguments={2: frozenset({0})}), "unused"),
        (call("fopen", texts=[(0, "/etc/x"), (1, "w")], is_direct=False), "used"),
        (call("fopen", texts=[(0, "/etc/x"), (1, "a")], is_direct=False), "used"),
        (call("fopen", texts=[(0, "/etc/x"), (1, "r+")], is_direct=False), "used"),
        (call("fopen", texts=[(0, "/etc/x"), (1, "re")], is_direct=False), "unused"),
        (call("fopen", texts=[(0, "/etc/x")], is_direct=False), "used"),
    ],
    ids=lambda value: f"{value.name} {dict(value.texts)}" if isinstance(value, Call) else value,
)
def test_a_root_is_written_where_a_call_changes_what_lies_on_no_mount(made, verdict):
    assert setting(judged(made, binds=["/srv:/data"]), "root").verdict == verdict


@pytest.mark.parametrize(
    ("path", "shorter", "longer"),
    [("/data/x", "used", "unused"), ("/data/inner/x", "unused", "used"), ("/etc/x", "unused", "unused")],
)
def test_a_bind_is_written_where_no_deeper_mount_is_in_the_way(path, shorter, longer):
    found = judged(call("mkdir", texts=[(0, path)]), binds=["/srv:/data", "/opt:/data/inner"])
    assert setting(found, "/data").verdict == shorter
    assert setting(found, "/data/inner").verdict == longer


@pytest.mark.parametrize(
    ("calls", "has_set_id", "gaps", "verdict"),
    [
        ([call("execve")], True, (), "unknown"),
        ([call("execve")], False, (), "unused"),
        ([], True, (), "unused"),
        ([], True, ("a gap",), "unknown"),
        ([], False, ("a gap",), "unused"),
    ],
)
def test_execve_grants_something_where_there_is_a_file_that_does(calls, has_set_id, gaps, verdict):
    found = setting(judged(*calls, has_set_id=has_set_id, gaps=gaps), "privileges")
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("families", "gaps", "verdict"),
    [
        (frozenset({2}), (), "used"),
        (frozenset({10}), (), "used"),
        (frozenset({1}), (), "unused"),
        (frozenset({1, 2}), (), "used"),
        (frozenset({1}), ("a gap",), "unknown"),
    ],
)
def test_the_network_is_used_where_a_socket_of_it_is_opened(families, gaps, verdict):
    found = judged(call("socket", arguments={0: families}), gaps=gaps)
    assert setting(found, "network").verdict == verdict


UNIX = call("socket", arguments={0: frozenset({1})})
SHARED = (
    ("network", [call("socket")], "unknown"),
    ("network", [UNIX, call("connect")], "unknown"),
    ("network", [call("socketpair"), call("sendmsg")], "unknown"),
    ("network", [call("socketpair")], "unused"),
    ("network", [call("io_uring_setup")], "unknown"),
    ("ipc", [call("shmget")], "used"),
    ("ipc", [call("mq_open")], "used"),
    ("ipc", [call("mmap")], "unused"),
    ("uts", [call("sethostname")], "used"),
    ("uts", [call("uname")], "unknown"),
    ("uts", [call("open")], "unused"),
    ("pid", [call("reboot")], "used"),
    ("pid", [call("kill")], "unknown"),
    ("pid", [call("prlimit64")], "unknown"),
    ("pid", [call("getpid")], "unused"),
)


@pytest.mark.parametrize(("name", "calls", "verdict"), SHARED)
def test_what_is_shared_with_the_host_is_used_where_a_call_is_about_it(name, calls, verdict):
    assert setting(judged(*calls), name).verdict == verdict
    assert setting(judged(*calls, gaps=("a gap",)), name).verdict == ("unknown" if verdict == "unused" else verdict)


@pytest.mark.parametrize(
    ("name", "text"),
    [("network", "/proc/net"), ("network", "class/net"), ("uts", "/proc/sys/kernel"), ("pid", "/proc/%")],
)
def test_a_path_that_shows_the_hosts_leaves_open_whether_it_is_needed(name, text):
    step = Step("/bin/a", "certain", "the container's command", Program(texts=frozenset({text})))
    assert setting(judge(container(), Reach((step,), ()), has_set_id=False), name).verdict == "unknown"


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({}, "used"),
        ({"certainty": "named"}, "used"),
        ({"certainty": "guessed"}, "unknown"),
        ({"multiple": True}, "unknown"),
    ],
)
def test_a_call_counts_as_far_as_its_program_is_certain_to_run(facts, verdict):
    found = judged(call("settimeofday", 0x4010), capabilities=["CAP_SYS_TIME"], **facts)
    (answer,) = found.capabilities
    assert (answer.verdict, found.count(verdict)) == (verdict, 1)
    assert answer.evidence[0].startswith("/bin/a: settimeofday at 0x4010 [security/commoncap.c: cap_settime]")


@pytest.mark.parametrize(("gaps", "verdict"), [((), "unused"), (("a gap",), "unknown")])
def test_what_nothing_calls_is_unused_unless_more_may_run(gaps, verdict):
    (answer,) = judged(call("getpid"), gaps=gaps, capabilities=["CAP_SYS_TIME"]).capabilities
    assert answer.verdict == verdict
    assert answer.evidence == (gaps or ("1 program reached; nothing that was seen can ask for it",))


def test_at_most_five_calls_are_shown_and_capabilities_stand_in_the_kernels_order():
    calls = [call("settimeofday", number) for number in range(1, 9)]
    found = judged(*calls, capabilities=["CAP_SYS_TIME", "CAP_CHOWN", "CAP_UNHEARD", "CAP_BPF"])
    assert [one.name for one in found.capabilities] == ["CAP_CHOWN", "CAP_SYS_TIME", "CAP_BPF", "CAP_UNHEARD"]
    assert len(found.capabilities[1].evidence) == 5


def test_only_what_no_text_names_and_no_gap_hides_is_masked():
    assert "/proc/kcore" in judged().masked
    assert judged(gaps=("a gap",)).masked == ()
    step = Step("/bin/a", "certain", "", Program(texts=frozenset({"/proc/kcore"})))
    assert "/proc/kcore" not in judge(container(), Reach((step,), ()), has_set_id=False).masked


@pytest.mark.parametrize(
    ("arguments", "verdict", "doubt"),
    [
        ({1: frozenset({0x4024700A})}, "used", "RTC_SET_TIME"),
        ({1: frozenset({0xFFFFFFFF4024700A})}, "used", "RTC_SET_TIME"),
        ({1: frozenset({1})}, "unused", ""),
        ({1: None}, "unused", ""),
    ],
)
def test_a_request_of_ioctl_counts_by_its_number(arguments, verdict, doubt):
    found = judged(call("ioctl", 1, arguments=arguments), capabilities=["CAP_SYS_TIME"])
    assert found.capabilities[0].verdict == verdict
    assert doubt in found.capabilities[0].evidence[0]


def test_a_number_that_stands_in_a_program_whose_requests_are_not_told_leaves_the_question_open():
    calls = (call("ioctl", 1, arguments={1: None}),)
    step = Step("/bin/a", "certain", "", Program(calls=calls, constants=frozenset({0x4024700A})))
    (answer,) = judge(container(capabilities=["CAP_SYS_TIME"]), Reach((step,), ()), has_set_id=False).capabilities
    assert (answer.verdict, answer.reason) == ("unknown", "the arguments of the call are not told")
    assert "RTC_SET_TIME (0x4024700a) stands in it" in answer.evidence[0]


@pytest.mark.parametrize(
    ("value", "condition", "fits"),
    [
        (5, {"values": [5, 6]}, True),
        (4, {"values": [5, 6]}, False),
        (0x15, {"values": [5], "mask": 0xF}, True),
        (0x15, {"values": [5]}, False),
        (6, {"bits": 2}, True),
        (5, {"bits": 2}, False),
    ],
)
def test_an_argument_fits_by_its_value_or_its_bits(value, condition, fits):
    assert rules._fits(value, condition) is fits


def test_a_text_in_the_command_the_variables_or_a_script_names_what_it_names():
    timens = ["CAP_SYS_TIME"]
    script = Step("/a.sh", "certain", "", Program(is_elf=False, text="echo 1 > /proc/1/timens_offsets\n"))
    (answer,) = judge(container(capabilities=timens), Reach((script,), ()), has_set_id=False).capabilities
    assert (answer.verdict, "names '/timens_offsets'" in answer.evidence[0]) == ("used", True)
    for facts in ({"command": ["/proc/1/timens_offsets"]}, {"env": ["A=/proc/1/timens_offsets"]}):
        (answer,) = judged(capabilities=timens, **facts).capabilities
        assert answer.evidence[0].startswith("the container's command or environment names '/timens_offsets'")
