"""Results for tests of the HTML report: all that it shows, with names that nobody should let act."""

from reportlab import ALL, host_root, image_result, inside, secret, spec_result, unpinned, writable
from rulelab import binary, container, file, image

from lkscan.rules import engine
from lkscan.rules.contents import Collector, Contents
from lkscan.rules.engine import Finding, Fix, Location
from lkscan.rules.funnel import Result, Suppressed
from lkscan.scanner.subjects import Binary, Kernel, KernelCommandLine, Place, Problem, System

ISO = Place(("out/linux kit.iso",))
CONFIG = {"LOCALVERSION": '""', "STACKPROTECTOR": "y", "HARDENED_USERCOPY": "n", "PANIC_TIMEOUT": "0"}

ATTACKS = (
    "</script><script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "\"'><svg onload=pwned=1>",
    "line\nbreak\r\x1b[31m\x00",
    "\u202eevil\u2066\u2028",
    "\udcff\udc80",
    "{{ 7*7 }}{% raw %}",
    "<!--<script>",
    "javascript:pwned=1",
    "&lt;b&gt;&quot;",
)
"""Names as an image may hold them."""


def contents(*files: tuple[str, int], programs: tuple[Binary, ...] = (), **system) -> Contents:
    """What an image is made of that has these files, by path and size, and programs."""
    collector = Collector()
    for path, size in files:
        collector.meet(file(path, size=size, at=inside(path)))
    for one in programs:
        collector.meet(one)
    collector.meet(System(ISO, "image", is_linuxkit=True, format="ISO 9660 > cpio", **system))
    return collector.contents[-1]


def image_page() -> Result:
    """An image with something to show in every part of the page."""
    files = (
        ("boot/kernel", 9 << 20),
        ("srv/0", 3 << 20),
        ("usr/share/doc/readme", 2 << 10),
        ("etc/motd", 100),
        ("containers/services/web/rootfs/usr/bin/web", 5 << 20),
        ("containers/services/web/config.json", 4 << 10),
    )
    web = binary("containers/services/web/rootfs/usr/bin/web", kind="exec", relro="partial", answers={"canary": "no"})
    made = contents(*files, programs=(web, binary("bin/sh"), binary("sbin/init")))
    result = image_result(2)
    (system,) = result.systems
    (kernel,) = system.kernels
    kernel = kernel._replace(config=CONFIG, config_source="IKCONFIG")
    lines = (KernelCommandLine(inside("boot/cmdline"), "console=ttyS0"),)
    return result._replace(contents=(made,), systems=(system._replace(kernels=(kernel,), command_lines=lines),))


def many(number: int) -> Result:
    """So many findings, of four rules and two severities in turn, in seven containers."""
    found: list[Finding] = []
    for index in range(number):
        path = f"containers/services/web{index % 7}/rootfs/{index:05}"
        rule = (host_root, unpinned, writable, secret)[index % 4]
        found.append(Finding.of(rule, engine.fail(path, inside(path), path, "x", evidence=[f"fact {index}"])))
    homes = (container(name=f"web{one}", at=inside(f"containers/services/web{one}/config.json")) for one in range(7))
    (system,) = image_result(0).systems
    return Result(findings=tuple(found), systems=(system._replace(containers=tuple(homes)),), rules=ALL)


def hostile() -> Result:
    """A spec and an image in which whatever has a name has a bad one."""
    findings, others = [], []
    for number, name in enumerate(ATTACKS):
        at = Place(("out/linux kit.iso", name, f"containers/services/{name}/rootfs/{name}"))
        fix = Fix(name, ())
        some = engine.fail(name, at, name, note=name, related=[Location(at, name)], evidence=[name], fix=fix)
        findings.append(Finding.of((host_root, writable)[number % 2], some._replace(arguments=(name, name))))
        others.append(Finding.of(host_root, engine.undecided(name, at, f"Nobody knows '{name}'.")))
    containers = tuple(
        container(
            name=name,
            capabilities=[name, "CAP_SYS_ADMIN"],
            pid=name,
            mounts=[{"destination": name, "type": name, "source": name, "options": [name]}],
            command=[name],
            image=image("example.org/web", "untagged")._replace(text=name),
            error=name,
            at=inside(f"containers/services/{name}/config.json"),
        )
        for name in ATTACKS
    )
    kernels = tuple(Kernel(inside(f"boot/{name}"), name, name, name, name, name, CONFIG, name) for name in ATTACKS[:2])
    lines = tuple(KernelCommandLine(inside("boot/cmdline"), name) for name in ATTACKS)
    files = tuple((f"{name}{number}", 1 << 20) for number, name in enumerate(ATTACKS))
    made = contents(*files, programs=tuple(binary(name, relro="none") for name in ATTACKS))
    system = System(ISO, "image", is_linuxkit=False, format=ATTACKS[0], containers=containers, kernels=kernels)
    return Result(
        findings=tuple(findings),
        others=tuple(others),
        suppressed=tuple(Suppressed(one, name) for one, name in zip(findings, ATTACKS, strict=True)),
        problems=tuple(Problem(Place((name,)), name) for name in ATTACKS),
        systems=(system._replace(command_lines=lines), *spec_result().systems),
        rules=ALL,
        contents=(made,),
    )
