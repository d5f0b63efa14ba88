"""Every rule can fail, can pass, and knows when its question does not arise, or says why it always does."""

import json
import struct

import pytest
from rulelab import SPEC, binary, container, fires, image, outcomes, place, rootfs, spec
from rulelab import file as entry
from secretlab import pem
from test_efi import FINE
from test_microcode import intel_update
from test_rules_modules import module
from test_rules_modules import system as modules

from lkscan.rules.catalogue import RULES
from lkscan.rules.components import Component, ImageSize
from lkscan.rules.engine import Outcome
from lkscan.rules.ignores import Ignore
from lkscan.rules.needs import Answer, Needs
from lkscan.rules.tables import load
from lkscan.scanner.ballast import Ballast, Copies, Module
from lkscan.scanner.builds import BootKernel, BootLine, Build, Content, Pair, Row, Stray, Written
from lkscan.scanner.effective import CAPABILITIES
from lkscan.scanner.reached import Unreached
from lkscan.scanner.subjects import (
    Directory,
    Kernel,
    KernelCommandLine,
    Label,
    Link,
    Needless,
    Origin,
    Owners,
    Place,
    Sysctl,
    System,
    Violation,
    Volume,
)

CONFIGURED = {"LKI004": {"registries": ("quay.io",)}}
"""Rules that say nothing without parameters, and some to make them speak."""
BY_ID = {rule.id: rule._replace(parameters={**rule.parameters, **CONFIGURED.get(rule.id, {})}) for rule in RULES}


def kernel(version="6.12.59-linuxkit", **options):
    """A kernel with a configuration that is complete, as far as rules can tell."""
    config = {"LOCALVERSION": '""', "PANIC_TIMEOUT": "0", "MODULES": "y", **options}
    return Kernel(SPEC, version, "", "x86_64", "bzImage", "gzip", config, "IKCONFIG")


def booted(**options):
    """A system whose kernel has a complete configuration with these options."""
    return System(SPEC, "image", False, "cpio", kernels=(kernel(**options),))  # noqa: FBT003 - of LinuxKit


def rooted(*, container="", containers=(), **facts):
    """An image with one root file system."""
    found = System(SPEC, "image", True, "cpio", tuple(containers))  # noqa: FBT003 - of LinuxKit
    return found._replace(roots=(rootfs(container, **facts),))


def shelled(*command):
    """A container with a shell and a program, and what it starts."""
    web = container(name="web", command=command, at=Place(("image.iso", "containers/services/web/config.json")))
    programs = {"bin/sh": "program", "usr/bin/web": "program"}
    return rooted(container="services/web", containers=(web,), programs=programs)


def configuration(labels, created=""):
    """A file of an OCI layout that configures a container image."""
    value = {"os": "linux", "rootfs": {"type": "layers"}, "config": {"Labels": labels}, "created": created}
    return entry("blobs/sha256/" + "0" * 64, json.dumps(value).encode(), source="web:1")


def evidenced(verdict, *capabilities, **options):
    """What a container needs, where the evidence has the same answer to everything."""
    held = container(capabilities=capabilities, **options)
    answers = [Answer(one, verdict, ("/app",)) for one in ("network", "ipc", "uts", "pid", "root", "privileges")]
    names = [one.destination for one in held.mounts if one.is_bind and one.writable]
    listed = (tuple(Answer(name, verdict, ("/app",)) for name in some) for some in (capabilities, names))
    capable, binds = listed
    return Needs(held.title, held, "/app", (), (), capable, tuple(answers), binds, ())


def idle(*files, programs=1):
    """What nothing reaches in a container."""
    return Unreached(container(), programs, files, ())


def brought(twice=0, *, loads=("web",), xfs=False, symbols=0, programs=2):
    """A system with a program of so many bytes in two containers, a kernel module, or symbols in a program."""
    path = "lib/modules/6.12.1/kernel/fs/xfs.ko"
    modules = (Module(Place(("initrd.img", path)), 900, ("xfs",), ()),) if xfs else ()
    places = tuple(Place(("initrd.img", f"containers/services/{name}/rootfs/bin/a")) for name in "ab")
    found = rooted(
        containers=(container(command=loads), container(name="b", command=("b",))), tops=frozenset({"bin", "etc"})
    )
    copies = (Copies(twice, places, may_share=False),) if twice else ()
    return Ballast(found._replace(binaries=programs), modules, copies, ((places[0], symbols),) if symbols else ())


def weighed(size):
    """An image of one component, with a budget of 1,000 bytes."""
    return ImageSize(SPEC, (Component("services/web", SPEC, size, 1, ()),), {"": 1000, "services/web": 1000})


def refused(kind):
    return spec(Violation(kind, "it is odd", SPEC))


def directive(*patterns, reason="", until="", flaw="", strangers=(), unused=(), required=False):
    return Ignore(SPEC, patterns, reason, until, flaw, strangers, unused, required=required)


ALL_WANTED = tuple(
    text
    for name, row in load("sysctls")["wanted"].items()
    for whose in ("all", "default")
    for text in (name.replace("*", whose), row["values"].strip("[")[0])
)
"""Every setting that is worth having, and a value of it."""


def settings(path, *pairs):
    """An image with one file of settings: name, value, name, value …"""
    lines = tuple((name, value, 1) for name, value in zip(pairs[::2], pairs[1::2], strict=True))
    return System(SPEC, "image", False, "cpio", sysctls=(Sysctl(SPEC, lines, path),))  # noqa: FBT003 - of LinuxKit


def microcode(date, models=60):
    """What stands in front of an initrd, with updates of this date for so many models."""
    return entry("kernel/x86/microcode/GenuineIntel.bin", b"".join(intel_update(date, one) for one in range(models)))


def line(text):
    return KernelCommandLine(SPEC, text)


def system(*containers, lines=(), **facts):
    found = System(SPEC, "spec", True, "YAML", containers, command_lines=tuple(map(line, lines)))  # noqa: FBT003 - of LinuxKit
    return found._replace(**facts)


def files(*entries):
    return spec(value={"files": list(entries)})


def services(*entries):
    return spec(value={"services": list(entries)})


def package(**keys):
    return spec(kind="package", value={"image": "agent", **keys})


def made(path, *folders, **facts):
    return entry(path, b"", **facts)._replace(folders=folders)


def paired(built=container(), expected=container()):  # noqa: B008 - a value like any other
    """A container of a spec beside that of an image, all that may set something known."""
    oci, runtime = (expected.oci, expected.runtime) if expected else ({}, {})
    place = Place(("image.iso", "containers/services/app/config.json"))
    there = built and built._replace(place=place, label=Label("built"))
    known = {"is_label_known": True, "is_image_known": True}
    return Pair("services/app", SPEC, "containers/services/app", expected, there, oci, runtime, **known)


def row(mode=0o644):
    """A file of a spec, and what there is of it in an image."""
    wanted = Row("etc/motd", "file", 0o644, 0, 0, 1, "a")
    return Written("etc/motd", SPEC, SPEC, wanted, wanted._replace(mode=mode))


def held(*pairs, **facts):
    """An image held against a spec."""
    return Build(SPEC, SPEC, pairs=pairs, **facts)


def booted_from(which):
    kernels = (BootKernel(SPEC, "6.12.59", which),)
    return held(kernel="linuxkit/kernel:6.12.59", kernel_line=SPEC, kernels=kernels)


def cached(*differing):
    return held(contents=(Content("services/app", "app:1", SPEC, SPEC, 10, differing),))


def alone(*containers):
    return System(SPEC, "package", True, "YAML", containers)  # noqa: FBT003 - of LinuxKit


def filtered():
    made = container()
    return made._replace(
        oci={**made.oci, "linux": {**made.oci["linux"], "seccomp": {"defaultAction": "SCMP_ACT_KILL"}}}
    )


def device(kind, major, minor, mode=0o600):
    numbers = {"type": kind, "major": major, "minor": minor}
    return container(devices=[{"allow": True, **numbers}], nodes=[{"path": "/dev/it", "fileMode": mode, **numbers}])


def limited(**facts):
    return container(resources={"memory": {"limit": 1 << 28}, "pids": {"limit": 100}}, **facts)


def rlimit(name, soft, hard):
    return container(rlimits=[{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}])


def leaves(path, **facts):
    return container(runtime={"bindNS": {"net": path}}, **facts)


def hidden(path):
    return entry(path, b"", source="linuxkit.files")


def sysctl(name, **facts):
    made = container(**facts)
    return made._replace(oci={**made.oci, "linux": {**made.oci["linux"], "sysctl": {name: "1"}}})


def propagating(made):
    return made._replace(oci={**made.oci, "linux": {**made.oci["linux"], "rootfsPropagation": "shared"}})


def tmpfs(destination, *options):
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": list(options)}


def answering(**answers):
    return binary(answers=answers)


def searching(path, state):
    return binary(search=(path,), directories=(Directory(path, path, state),))


NET_RAW, NO_CAPABILITY = (struct.pack("<IIIII", 0x02000001, bits, 0, 0, 0) for bits in (1 << 13, 0))
PASSWD = b"root:x:0:0::/:/bin/sh\n"
LABELS = {"org.opencontainers.image.source": "https://git.corp/web", "org.opencontainers.image.revision": "1"}
GUARDS = ("nosuid", "nodev", "noexec", "size=64m")
HARD = {
    "STACKPROTECTOR": "y",
    "STACKPROTECTOR_STRONG": "y",
    "HARDENED_USERCOPY": "y",
    "STRICT_KERNEL_RWX": "y",
    "STRICT_MODULE_RWX": "y",
    "DEVMEM": "n",
}
CASES = {
    "LKS001": (refused("yaml"), spec(), None),
    "LKS002": (refused("schema"), spec(), refused("yaml")),
    "LKS003": (refused("build"), spec(), refused("yaml")),
    "LKS004": (spec(sections={"trust": place(9)}), spec(), spec(kind="package")),
    "LKS005": (directive("LKZ999", strangers=("LKZ999",)), directive("LKP002"), None),
    "LKS006": (directive("LKP002", unused=("LKP002",)), directive("LKP002"), directive(flaw="it is odd")),
    "LKS007": (directive("LKP002", until="2001-01-01"), directive("LKP002", until="9999-12-31"), directive("LKP002")),
    "LKS008": (
        directive("LKP002", reason="(until 9999-12-31)", required=True),
        directive("LKP002", reason="it is fine", required=True),
        directive("LKP002"),
    ),
    "LKS009": (spec(ignored=place(9)), spec(), refused("yaml")),
    "LKS010": (services({"name": "a", "env": ["A=1", "A=2"]}), services({"name": "a", "env": ["A=1"]}), spec()),
    "LKS011": (
        files({"path": "etc/a"}, {"path": "/etc/a"}),
        files({"path": "etc/a"}, {"path": "/etc/a", "optional": True}),
        spec(),
    ),
    "LKS012": (files({"path": "a/../b"}), files({"path": "a/..b"}), spec()),
    "LKS013": (files({"path": "a", "source": "~/a"}), files({"path": "a", "source": "a"}), spec()),
    "LKS014": (
        files({"path": "a", "source": "a", "optional": True}),
        files({"path": "a", "source": "a", "optional": False}),
        spec(),
    ),
    "LKS016": (made("etc/a", "etc", mode=0o777), made("etc/a", "etc"), entry("etc/a", b"", mode=0o777)),
    "LKS017": (container(restated={"pid": place(4)}), container(), container(section="package")),
    "LKS018": (
        services({"name": "a", "uid": "a"}, {"name": "a"}),
        services({"name": "a", "uid": "a"}, {"name": "b"}),
        spec(),
    ),
    "LKS019": (container(name="web_"), container(name="web"), None),
    "LKI001": (image("nginx", "untagged"), image("nginx:1", "version-tag"), image("${IT}", "placeholder")),
    "LKI002": (
        image("nginx:1", "version-tag"),
        image("nginx@sha256:" + "a" * 64, "digest"),
        image("@pkg:./x", "package"),
    ),
    "LKI003": (
        image("nginx@sha256:abc", "digest"),
        image("nginx@sha256:" + "a" * 64, "digest"),
        image("nginx", "untagged"),
    ),
    "LKI004": (image("nginx:1", "version-tag"), image("quay.io/a/b:1", "version-tag"), image("${IT}", "placeholder")),
    "LKI005": (
        image("10.0.0.1:5000/web:1", "version-tag"),
        image("10.0.0.1:5000/web@sha256:" + "a" * 64, "digest"),
        image("@pkg:./x", "package"),
    ),
    "LKI006": (image("nginx:1", "version-tag"), image("a/nginx:1", "version-tag"), image("@pkg:./x", "package")),
    "LKI007": (
        image("linuxkt/sshd:1", "version-tag"),
        image("linuxkit/sshd:1", "version-tag"),
        image("@pkg:./x", "package"),
    ),
    "LKI008": (
        system(images=(image("web:1", "version-tag"), image("web:2", "version-tag"))),
        system(images=(image("web:1", "version-tag"), image("web:1", "version-tag"))),
        system(),
    ),
    "LKI009": (
        image("linuxkit/runc:v0.6", "version-tag", role="init"),
        image("linuxkit/runc:v1.3.0", "version-tag", role="init"),
        image("runc:v0.6", "version-tag"),
    ),
    "LKP001": (container(capabilities=CAPABILITIES), container(capabilities=["CAP_CHOWN"]), None),
    "LKP002": (container(capabilities=["CAP_SYS_MODULE"]), container(capabilities=["CAP_CHOWN"]), None),
    "LKP003": (refused("capability"), spec(), refused("yaml")),
    "LKP006": (container(capabilities=["CAP_NET_RAW"]), container(capabilities=["CAP_NET_RAW"], net="new"), None),
    "LKP007": (container(uid=1, capabilities=["CAP_KILL"]), container(uid=1, ambient=["CAP_KILL"]), container()),
    "LKP008": (system(container()), system(container(uid=1)), system(container(section="onboot"))),
    "LKP009": (container(uid=1), container(uid=1, gid=1), container()),
    "LKP010": (
        system(container(uid=1), container(name="b", uid=1)),
        system(container(uid=1), container(name="b", uid=2)),
        system(container(section="onboot")),
    ),
    "LKP011": (device("c", 10, 223), device("c", 1, 3), container()),
    "LKP012": (container(devices=[{"allow": True, "type": "c"}]), device("c", 1, 3), container()),
    "LKP013": (device("c", 5, 1, mode=0o666), device("c", 5, 1), container()),
    "LKP014": (system(container(label="unknown")), system(container()), system()),
    "LKP015": (system(container()), system(filtered()), alone(container())),
    "LKN001": (container(pid="host"), container(), None),
    "LKN003": (system(container()), system(container(net="new", ipc="new", uts="new")), system()),
    "LKN004": (container(net="/run/netns/a"), None, container()),
    "LKN005": (container(runtime={"namespace": "k8s.io"}), None, container()),
    "LKN006": (leaves("/run/netns/a"), leaves("/run/netns/a", net="new"), container()),
    "LKN007": (
        container(runtime={"interfaces": [{"name": "wg0"}]}),
        container(runtime={"interfaces": [{"name": "wg0"}]}, net="new"),
        container(),
    ),
    "LKN008": (container(user="new"), None, container()),
    "LKR001": (system(container()), system(limited()), system(container(section="onboot"))),
    "LKR002": (rlimit("NOFILE", 1 << 20, 1 << 21), rlimit("NOFILE", 1024, 1 << 20), container()),
    "LKR003": (rlimit("CORE", 1, 1), rlimit("CORE", 0, 1), container()),
    "LKR004": (container(oom=-1000), container(oom=-800), container()),
    "LKR005": (system(container(cgroup="/")), system(container(cgroup="/app")), system()),
    "LKR006": (limited(capabilities=["CAP_SYS_ADMIN"]), limited(), container()),
    "LKM001": (container(binds=["/run:/run"]), container(), container(binds=["/run:/run"], section="onboot")),
    "LKM002": (container(binds=["/etc:/etc"]), container(binds=["/etc:/etc:ro"]), None),
    "LKN002": (
        system(container(net="/run/netns/a")),
        system(container(net="/run/netns/a"), container(name="b", runtime={"bindNS": {"net": "/run/netns/a"}})),
        system(container()),
    ),
    "LKM003": (hidden("var/lib/a"), hidden("etc/a"), entry("var/lib/a", b"")),
    "LKM004": (system(container()), system(container(readonly=True)), system(container(section="onboot"))),
    "LKM005": (
        propagating(container(capabilities=["CAP_SYS_ADMIN"], binds=["/srv:/srv"])),
        propagating(container(binds=["/srv:/srv"])),
        container(capabilities=["CAP_SYS_ADMIN"], binds=["/srv:/srv"]),
    ),
    "LKM006": (container(mounts=[tmpfs("/tmp")]), container(mounts=[tmpfs("/tmp", *GUARDS)]), container()),
    "LKM007": (
        container(mounts=[{"destination": "/sys/fs/cgroup", "type": "cgroup2", "options": ["rw"]}]),
        container(mounts=[{"destination": "/sys/fs/cgroup", "type": "cgroup2", "options": ["ro"]}]),
        None,
    ),
    "LKM008": (
        system(container()),
        system(container(readonly_paths=["/proc/sys", "/proc/sysrq-trigger"])),
        system(container(section="onboot")),
    ),
    "LKM009": (
        system(container(binds=["data:/a"]), container(name="b", binds=["data:/a"])),
        system(container(binds=["data:/a"]), container(name="b", binds=["data:/a:ro"])),
        system(),
    ),
    "LKM010": (container(binds=["/a:/data", "/b:/data/"]), container(binds=["/a:/data", "/b:/data/b"]), None),
    "LKP004": (
        container(origins={"binds.add": Origin("spec", place(5))}),
        container(),
        container(label="built"),
    ),
    "LKP005": (system(container(uid=1)), system(container(uid=1, no_new_privileges=True)), system()),
    "LKY001": (sysctl("vm.swappiness"), sysctl("net.core.somaxconn", net="new"), container()),
    "LKY002": (
        settings("etc/sysctl.d/a", "kernel.kptr_restrict", "0"),
        settings("etc/sysctl.d/a", "kernel.kptr_restrict", "2"),
        settings("containers/services/web/lower/etc/sysctl.conf", "kernel.kptr_restrict", "0"),
    ),
    "LKY003": (
        container(command=["sysctl", "-w", "kernel.kptr_restrict=0"]),
        container(command=["sysctl", "-w", "kernel.kptr_restrict=2"]),
        container(),
    ),
    "LKY004": (
        entry("etc/sysctl.d/a", b"kernel.kptr_restrict 2"),
        entry("etc/sysctl.d/a", b"kernel.kptr_restrict=2"),
        entry("etc/sysctl.conf", b"kernel.kptr_restrict 2"),
    ),
    "LKY005": (
        system(container(), sysctls=(Sysctl(SPEC, (), "etc/sysctl.d/a"),)),
        system(container(binds=["/etc/sysctl.d/a:/etc/sysctl.d/a"]), sysctls=(Sysctl(SPEC, (), "etc/sysctl.d/a"),)),
        system(container()),
    ),
    "LKY006": (
        container(image=image("linuxkit/sysctl:1", "version-tag"), binds=["/etc/sysctl.d:/etc/sysctl.d"]),
        container(image=image("linuxkit/sysctl:1", "version-tag")),
        container(),
    ),
    "LKY007": (
        settings("etc/sysctl.d/a", "net.ipv4.conf.all.send_redirects", "0"),
        settings("etc/sysctl.d/a", "net.ipv4.conf.all.rp_filter", "1"),
        system(container()),
    ),
    "LKY008": (settings("etc/sysctl.d/a", "kernel.sysrq", "0"), settings("etc/sysctl.d/a", *ALL_WANTED), system()),
    "LKY009": (
        sysctl("net.ipv4.conf.all.route_localnet", net="new"),
        sysctl("net.core.somaxconn", net="new"),
        container(),
    ),
    "LKL001": (system(container()), system(container(), container(name="sysctl")), system()),
    "LKL002": (
        image("linuxkit/kernel:5.10.104-dbg", "version-tag", role="kernel"),
        image("linuxkit/kernel:5.10.104-rt", "version-tag", role="kernel"),
        image("app:dbg", "version-tag"),
    ),
    "LKL003": (
        image("linuxkit/test-ns:1", "version-tag"),
        image("test-ns:1", "version-tag"),
        image("@pkg:./x", "package"),
    ),
    "LKL004": (
        system(*(container(name=name, image=image("web:1", "version-tag")) for name in "ab")),
        system(*(container(name=name, image=image(f"{name}:1", "version-tag")) for name in "ab")),
        system(container()),
    ),
    "LKL005": (
        system(container(), volumes=(Volume("data", False, place(9)),)),  # noqa: FBT003 - read-only
        system(container(binds=["data:/data"]), volumes=(Volume("data", False, place(9)),)),  # noqa: FBT003
        system(container()),
    ),
    "LKL010": (rooted(programs={"sbin/apk": "program"}), rooted(programs={"bin/sh": "program"}), system()),
    "LKL007": (rooted(programs={"usr/bin/gcc": "program"}), rooted(programs={"bin/sh": "program"}), system()),
    "LKL008": (rooted(programs={"usr/bin/gdb": "program"}), rooted(programs={"bin/sh": "program"}), system()),
    "LKL011": (
        rooted(needless=(Needless("headers", 2, 900, ("usr/include/a.h",)),)),
        rooted(needless=(Needless("headers", 1, 0, ("usr/include/a.h",)),)),
        system(),
    ),
    "LKL009": (
        shelled("/usr/bin/web"),
        shelled("/bin/sh"),
        rooted(programs={"bin/sh": "program"}),
    ),
    "LKL012": (idle(("bin/spare", 900)), idle(), idle(programs=0)),
    "LKL013": (brought(xfs=True), brought(loads=("modprobe", "xfs"), xfs=True), brought()),
    "LKL014": (brought(1 << 20), brought(1 << 10), brought()._replace(system=rooted())),
    "LKL015": (brought(symbols=1 << 20), brought(symbols=1 << 10), brought(programs=0)),
    "LKL020": (weighed(1001), weighed(1000), weighed(1001)._replace(budget={})),
    "LKP016": (
        evidenced("unused", "CAP_SYS_BOOT"),
        evidenced("used", "CAP_SYS_BOOT"),
        evidenced("unused"),
    ),
    "LKP017": (
        evidenced("unused"),
        evidenced("used"),
        evidenced("unused", net="new", ipc="new", uts="new", readonly=True, no_new_privileges=True),
    ),
    "LKV003": (
        rooted(),
        rooted(tops=frozenset({"bin", "etc", "sbom.spdx.json"})),
        rooted()._replace(is_linuxkit=False),
    ),
    "LKV004": (
        entry("sbom.spdx.json", b"{}"),
        entry("sbom.spdx.json", b'{"spdxVersion":"SPDX-2.3","packages":[{"name":"musl"}]}'),
        entry("etc/motd", b""),
    ),
    "LKV005": (configuration({}), configuration(LABELS), entry("etc/motd", b"")),
    "LKV006": (
        configuration({}, "2019-03-01T00:00:00Z"),
        configuration({}, "2026-03-01T00:00:00Z"),
        entry("etc/motd", b""),
    ),
    "LKV001": (package(network=True), package(network=False), spec()),
    "LKV002": (package(tag="1"), package(tag="{{.Hash}}-a"), spec()),
    "LKL006": (container(name="watchtower"), container(), None),
    "LKA001": (
        container(image=image("linuxkit/getty:1", "version-tag"), env=["INSECURE=true"]),
        container(image=image("linuxkit/getty:1", "version-tag")),
        container(command=["/bin/web"]),
    ),
    "LKA002": (entry("etc/shadow", b"root::::::::\n"), entry("etc/shadow", b"root:*:::::::\n"), entry("bin/sh", b"")),
    "LKA003": (
        entry("etc/ssh/ssh_host_rsa_key", b"-----BEGIN OPENSSH PRIVATE KEY-----"),
        None,
        entry("etc/ssh/sshd_config", b""),
    ),
    "LKA004": (
        image("linuxkit/getty:1", "version-tag", role="init"),
        image("linuxkit/init:1", "version-tag", role="init"),
        image("linuxkit/getty:1", "version-tag"),
    ),
    "LKA005": (
        entry("etc/inittab", b"::respawn:/bin/sh"),
        entry("etc/inittab", b"::sysinit:/bin/rc.init"),
        entry("etc/motd", b"::respawn:/bin/sh"),
    ),
    "LKA006": (
        rooted(texts={"etc/ssh/sshd_config": b"PermitRootLogin yes"}),
        rooted(texts={"etc/ssh/sshd_config": b"PermitRootLogin no"}),
        rooted(texts={"etc/ssh/ssh_config": b"PasswordAuthentication yes"}),
    ),
    "LKA007": (
        entry("etc/shadow", b"root:$1$lkscanpg$H3CHh.3.pfWjYSFlntn3z0:1::::::\n"),
        entry("etc/shadow", b"root:*:1::::::\n"),
        entry("etc/group", b"root:x:0:\n"),
    ),
    "LKA008": (
        entry("root/.ssh/authorized_keys", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK someone\n"),
        entry("root/.ssh/authorized_keys", b"# none\n"),
        entry("root/.ssh/config", b""),
    ),
    "LKA009": (
        container(command=["dockerd", "-H", "tcp://0.0.0.0:2375"]),
        container(command=["dockerd"]),
        container(command=["web", "-H", "tcp://0.0.0.0:2375"]),
    ),
    "LKA010": (
        entry("etc/docker/daemon.json", b'{"hosts": ["tcp://0.0.0.0:2375"]}'),
        entry("etc/docker/daemon.json", b"{}"),
        entry("etc/motd", b""),
    ),
    "LKA011": (
        entry("etc/passwd", b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"),
        entry("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        entry("etc/group", b"root:x:0:\n"),
    ),
    "LKA012": (
        entry("etc/passwd", b"web:x:100:100::/:/bin/sh\n"),
        entry("etc/passwd", b"web:x:100:100::/:/sbin/nologin\n"),
        entry("etc/group", b"root:x:0:\n"),
    ),
    "LKA013": (
        entry("etc/group", b"web:$1$a$b:100:\n"),
        entry("etc/group", b"web:x:100:\n"),
        entry("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
    ),
    "LKA014": (
        entry("etc/docker/daemon.json", b'{"debug": true}'),
        entry("etc/docker/daemon.json", b"{}"),
        entry("etc/motd", b""),
    ),
    "LKX003": (
        container(command=["web", "--password", "Gr4vel-Harbour-91"]),
        container(command=["web", "--password-file", "/run/password"]),
        container(),
    ),
    "LKX004": (line("app.password=Gr4vel-Harbour-91"), line("quiet"), None),
    "LKX001": (
        entry("etc/it", pem().encode()),
        entry("etc/motd", b"welcome"),
        entry("etc/it", b"", kind="symlink"),
    ),
    "LKX002": (container(env=["PASSWORD=Gr4vel-Harbour-91"]), container(env=["LANG=C"]), container()),
    "LKB022": (
        binary("usr/bin/runc", made="GCC 12.2.0"),
        binary("usr/bin/runc", made="Go 1.22.1 with C"),
        binary("bin/app", made="GCC 12.2.0"),
    ),
    "LKF001": (
        entry("etc/app.conf", b"", mode=0o666),
        entry("etc/app.conf", b"", mode=0o644),
        entry("etc/link", b"", mode=0o777, kind="symlink"),
    ),
    "LKF002": (entry("bin/su", b"", mode=0o4755), entry("bin/sh", b"", mode=0o755), entry("bin", b"", kind="dir")),
    "LKF003": (
        entry("etc/shadow", b"root:*:::::::\n", mode=0o644),
        entry("etc/shadow", b"root:*:::::::\n", mode=0o600),
        entry("etc/motd", b""),
    ),
    "LKF004": (
        entry("etc/app.conf", b"", mode=0o664),
        entry("etc/app.conf", b"", mode=0o644),
        entry("etc/link", b"", kind="symlink"),
    ),
    "LKF005": (entry("sbin/app", b"", mode=0o755, uid=9), None, entry("sbin/app", b"", mode=0o755)),
    "LKF006": (hidden("etc/inittab"), hidden("etc/motd"), entry("etc/inittab", b"")),
    "LKF007": (
        entry("etc/linuxkit.yml", None)._replace(parts={"metadata": place(4)}),
        None,
        entry("etc/linuxkit.yml", b""),
    ),
    "LKF008": (
        entry("bin/ping", b"", mode=0o755, xattrs={"security.capability": NET_RAW}),
        entry("bin/ping", b"", mode=0o755, xattrs={"security.capability": NO_CAPABILITY}),
        entry("bin/ping", b"", mode=0o755),
    ),
    "LKF009": (entry("srv/disk", None, kind="block"), None, entry("srv/pipe", None, kind="fifo")),
    "LKF010": (
        rooted(texts={"etc/passwd": PASSWD}, users=(Owners(7, 1, ("a",)),)),
        rooted(texts={"etc/passwd": PASSWD}, users=(Owners(0, 1, ("a",)),)),
        rooted(users=(Owners(7, 1, ("a",)),)),
    ),
    "LKF011": (
        rooted(links=(Link("a", "../b", "", True),)),  # noqa: FBT003 - it climbs
        rooted(links=(Link("a", "b", "b", False),)),  # noqa: FBT003 - it does not
        system(),
    ),
    "LKF012": (
        rooted(links=(Link("a", "b", "b", False),)),  # noqa: FBT003 - it does not climb
        rooted(links=(Link("a", "/run/b", "run/b", False),)),  # noqa: FBT003 - it does not climb
        system(),
    ),
    "LKB001": (binary(nx="no"), binary(), binary(kind="object", nx="na")),
    "LKB002": (binary(rwx=("LOAD RWE",)), binary(), binary(kind="object")),
    "LKB003": (binary(textrel=True), binary(), binary(kind="object")),
    "LKB004": (binary(relro="none"), binary(), binary(relro="na", kind="object")),
    "LKB005": (binary(kind="exec"), binary(), binary(kind="object")),
    "LKB006": (binary(answers={"canary": "no"}), binary(), binary(answers={"canary": "na"})),
    "LKB007": (binary(answers={"fortify": "no"}), binary(), binary(answers={"fortify": "na"})),
    "LKB008": (answering(stack_clash="no"), answering(stack_clash="yes"), answering(stack_clash="na")),
    "LKB009": (answering(sanitizer="yes"), answering(sanitizer="no"), answering(sanitizer="na")),
    "LKB010": (searching("/tmp", "temporary"), searching("/usr/lib", "fine"), binary()),
    "LKB011": (answering(packed="yes"), answering(packed="no"), binary(kind="object")),
    "LKB012": (answering(ibt="partial"), answering(ibt="yes"), answering(ibt="no")),
    "LKB013": (answering(separate_code="no"), answering(separate_code="yes"), binary(kind="object")),
    "LKB014": (modules(module(signed=False)), modules(module()), system()),
    "LKB015": (modules(module(vermagic="6.6.13 SMP ")), modules(module()), system()),
    "LKB016": (modules(module(), module("b", retpoline="")), modules(module()), system()),
    "LKB017": (modules(module(intree="")), modules(module()), system()),
    "LKB018": (FINE._replace(nx=False), FINE, None),
    "LKB019": (FINE._replace(sbat=None), FINE, FINE._replace(certificates=0)),
    "LKB020": (FINE._replace(signature="broken"), FINE, FINE._replace(certificates=0)),
    "LKB021": (FINE._replace(certificates=0), FINE, FINE._replace(file=entry(".linux", b""))),
    "LKK001": (kernel(STACKPROTECTOR="n", HAVE_STACKPROTECTOR="y"), kernel(**HARD), kernel("2.4.20")),
    "LKK002": (kernel(), kernel(**HARD), kernel("4.4.1")),
    "LKK003": (kernel(STRICT_KERNEL_RWX="n", ARCH_OPTIONAL_KERNEL_RWX="y"), kernel(**HARD), kernel("3.2.1")),
    "LKK004": (kernel(DEVMEM="y"), kernel(**HARD), kernel("2.6.20")),
    "LKK005": (kernel("4.14.53-linuxkit"), kernel("6.12.59-linuxkit"), None),
    "LKK006": (
        image("linuxkit/kernel:4.14.53", "version-tag", role="kernel"),
        image("linuxkit/kernel:6.12.59", "version-tag", role="kernel"),
        image("nginx:1.19", "version-tag"),
    ),
    "LKK007": (booted(INIT_ON_ALLOC_DEFAULT_ON="n"), booted(INIT_ON_ALLOC_DEFAULT_ON="y"), system()),
    "LKK008": (booted(SLAB_FREELIST_HARDENED="n"), booted(SLAB_FREELIST_HARDENED="y"), system()),
    "LKK009": (booted(VMAP_STACK="n"), booted(VMAP_STACK="y"), system()),
    "LKK010": (booted(RANDOMIZE_BASE="n"), booted(RANDOMIZE_BASE="y"), system()),
    "LKK011": (booted(MITIGATION_RETPOLINE="n"), booted(MITIGATION_RETPOLINE="y"), system()),
    "LKK012": (booted(MODULE_SIG="n"), booted(MODULE_SIG="y", MODULES="n"), system()),
    "LKK013": (booted(SECCOMP="n"), booted(SECCOMP="y"), system()),
    "LKK014": (booted(BPF_UNPRIV_DEFAULT_OFF="n"), booted(BPF_UNPRIV_DEFAULT_OFF="y"), system()),
    "LKK015": (booted(PROC_KCORE="y"), booted(PROC_KCORE="n"), system()),
    "LKK016": (booted(KGDB="y"), booted(KGDB="n"), system()),
    "LKK017": (kernel("6.6.71-linuxkit"), kernel("6.12.104-linuxkit"), kernel("4.14.53-linuxkit")),
    "LKK018": (
        image("linuxkit/kernel:6.6.71", "version-tag", role="kernel"),
        image("linuxkit/kernel:6.12.104", "version-tag", role="kernel"),
        image("nginx:1.19", "version-tag"),
    ),
    "LKK019": (microcode("2021-04-25"), microcode("2025-10-12"), entry("etc/motd", b"")),
    "LKK020": (kernel("6.1.0-56-amd64"), kernel("6.12.59-linuxkit"), None),
    "LKD001": (held(paired(built=None)), held(paired()), held(refused="it is odd")),
    "LKD002": (held(paired(expected=None)), held(paired()), held(refused="it is odd")),
    "LKD003": (held(paired(container(pid="host"))), held(paired()), held()),
    "LKD004": (held(written=[row(mode=0o666)]), held(written=[row()]), held()),
    "LKD005": (held(strays=[Stray("etc/x", SPEC, 1, "it is odd")]), held(), held(refused="it is odd")),
    "LKD006": (booted_from("another"), booted_from("same"), held()),
    "LKD007": (held(lines=[BootLine(line("a"), ("b",))]), held(lines=[BootLine(line("a"), ("a",))]), held()),
    "LKD008": (cached("etc/x has another content"), cached(), held()),
    "LKC001": (line("mitigations=off"), line("quiet"), line("")),
    "LKC002": (line("rdinit=/bin/sh"), line("rdinit=/init"), line("")),
    "LKC003": (
        system(lines=["quiet"]),
        system(lines=["slab_nomerge init_on_alloc=1 init_on_free=1"]),
        system(),
    ),
}
"""Rule -> a subject that fails, one that passes, one that it does not apply to; None: see below."""

ALWAYS = {
    "LKS001": "every document is YAML or is not",
    "LKS005": "every directive is one or is not",
    "LKP001": "every container has a bounding set",
    "LKS019": "every container has a name",
    "LKP002": "every container holds something",
    "LKP006": "every container holds something",
    "LKN001": "every container has a pid namespace, its own or another's",
    "LKM002": "every container may have binds",
    "LKM007": "every container may have mounts",
    "LKM010": "every container may have mounts",
    "LKL006": "every container may be there to update others",
    "LKX004": "every command line may hold a secret",
    "LKB018": "every program of the firmware has sections",
    "LKK005": "every kernel is of a series, or that is not known: undecided",
    "LKK020": "every kernel is somebody's, or that is not known: undecided",
}
"""Rules whose question arises for every subject of their type: there is nothing they do not apply to."""

NEVER_PASSES = {
    "LKA003": "what is named like a host key is one, or is none: then the rule does not apply",
    "LKN004": "who joins a namespace is told of; to others the rule does not apply",
    "LKN005": "every other containerd namespace is told of",
    "LKN008": "every user namespace is told of",
    "LKF009": "every device node is told of",
    "LKF005": "what is not root's is a program or is none: then the rule does not apply",
    "LKF007": "whatever has metadata is the spec",
}


def test_the_table_holds_every_rule() -> None:
    assert set(CASES) == set(BY_ID)
    assert {rule for rule, (_, _, away) in CASES.items() if away is None} == set(ALWAYS)
    assert {rule for rule, (_, passes, _) in CASES.items() if passes is None} == set(NEVER_PASSES)


@pytest.mark.parametrize("rule", CASES)
def test_it_fires(rule: str) -> None:
    assert fires(BY_ID[rule], CASES[rule][0])


@pytest.mark.parametrize("rule", sorted(CASES.keys() - NEVER_PASSES.keys()))
def test_it_passes(rule: str) -> None:
    assert outcomes(BY_ID[rule], CASES[rule][1]) == {Outcome.PASS}


@pytest.mark.parametrize("rule", sorted(CASES.keys() - ALWAYS.keys()))
def test_it_knows_when_it_does_not_apply(rule: str) -> None:
    assert outcomes(BY_ID[rule], CASES[rule][2]) == {Outcome.NOT_APPLICABLE}
