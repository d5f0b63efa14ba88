"""What containers need, told by real programs: nothing that is needed is ever called unused."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from debianlab import unpack
from elflab import a_file
from needlab import ALL, build, configuration, image, libraries, needs, verdicts

from lkscan.rules.needs import interest
from lkscan.scanner.calls import found_texts, program

HOST = [Path(one) for one in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/lib", "/usr/lib")]


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    return build(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def small(programs, tmp_path_factory):
    """What each small program needs, by its name."""
    containers = {}
    for one in programs:
        files = {"app": one.path}
        if one.kind == "dynamic":
            files |= {f"lib64/{path.name}": path for path in libraries(one.path, HOST)}
        containers[one.name] = configuration(["/app"]), files
    return needs(image(tmp_path_factory.mktemp("image") / "small.tar", containers))


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
