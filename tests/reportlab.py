"""Results for report tests: rules of their own, a spec with its text, an image, and names nobody should print raw."""

import os
from collections.abc import Iterator
from pathlib import Path

from rulelab import container, image

from lkscan.rules import engine, secrets
from lkscan.rules.engine import Finding, Fix, Location, Profile, Rule, Severity, Verdict
from lkscan.rules.funnel import Result, Suppressed
from lkscan.scanner.subjects import Change, Container, File, ImageReference, Kernel, Label, Place, Problem, Span, System

TEXT = """\
kernel:
  image: linuxkit/kernel:6.12.59
services:
  - name: getty
    image: linuxkit/getty:05eca453695984a69617f1f1f0bcdae7f7032967
    binds: [/run:/run, /etc:/etc]
  - name: web
    image: example.org/web
files:
  - path: etc/token
    contents: "hunter2-hunter2"
"""


@engine.rule(
    "LKP902",
    "test-host-root",
    Severity.CRITICAL,
    "Container '{0}' holds what it takes to become root on the host: '{1}'.",
    remedy="Give it only the capabilities that it needs.",
    nist=("3.4.3", "3.5.5"),
)
def host_root(_: Container) -> Iterator[Verdict]:
    """A container holds what it takes to become root on the host."""
    yield from ()


@engine.rule(
    "LKI901",
    "test-unpinned",
    Severity.MEDIUM,
    {"default": "Image '{0}' has no tag.", "latest": "Image '{0}' is tagged latest."},
    remedy="Name a digest.",
    nist=("3.2.2",),
    profile=Profile.PEDANTIC,
)
def unpinned(_: ImageReference) -> Iterator[Verdict]:
    """An image is not pinned."""
    yield from ()


@engine.rule("LKF901", "test-writable", Severity.HIGH, "File '{0}' is writable by all.", remedy="chmod it.", nist=())
def writable(_: File) -> Iterator[Verdict]:
    """A file is writable by everybody."""
    yield from ()


@engine.rule("LKX901", "test-secret", Severity.CRITICAL, "File '{0}' holds a token.", remedy="Revoke.", nist=("3.1.4",))
def secret(_: File) -> Iterator[Verdict]:
    """A secret lies in clear text."""
    yield from ()


RULES = (host_root, unpinned, writable, secret)
ALL = (*RULES, *secrets.RULES)


def at(line: int, column: int, end_column: int, pointer: str = "", name: str = "linuxkit.yml") -> Place:
    """A stretch of one line of the spec."""
    return Place((name,), Span(line, column, line, end_column), pointer)


def inside(path: str) -> Place:
    """A place in an image."""
    return Place(("out/linux kit.iso", "boot/initrd.img", path))


def finding(rule: Rule, verdict: Verdict) -> Finding:
    """What the rule would have said."""
    return Finding.of(rule, verdict)


PINNED = Fix(
    "name its tag, and never let it write",
    (
        Change("replace", at(8, 12, 27, "services[1].image"), "example.org/web:1.4"),
        Change("set", at(7, 5, 7, "services[1]"), "true", "readonly"),
    ),
    safe=False,
)

GETTY = finding(
    host_root,
    engine.fail(
        "services/getty",
        at(5, 12, 67, "services[0].image"),
        "getty",
        "CAP_SYS_MODULE",
        note="from the label of linuxkit/getty",
        related=[Location(at(6, 13, 22, "services[0].binds[0]"), "the host's /run")],
        evidence=["bounding set: CAP_SYS_MODULE"],
        fix=Fix("bind '/etc' read-only", (Change("replace", at(6, 24, 33, "services[0].binds[1]"), "/etc:/etc:ro"),)),
    ),
)
WEB = finding(unpinned, engine.fail("services/web", at(8, 12, 27, "services[1].image"), "example.org/web", fix=PINNED))
TOKEN = finding(secret, engine.fail("etc/token", at(10, 11, 20, "files[0].path"), "etc/token"))
UNDECIDED = finding(host_root, engine.undecided("services/web", at(7, 11, 14), "Nobody knows the label of 'web'."))

GETTY_CONTAINER = container(
    name="getty",
    capabilities=["CAP_SYS_ADMIN", "CAP_SYS_MODULE"],
    pid="host",
    binds=["/run:/run", "/etc:/etc"],
    image=image("linuxkit/getty:05eca453695984a69617f1f1f0bcdae7f7032967", "content-tag"),
    at=at(4, 11, 16, "services[0].name"),
)
WEB_CONTAINER = container(
    name="web",
    index=1,
    label=Label("unknown"),
    image=image("example.org/web", "untagged"),
    at=at(7, 11, 14, "services[1].name"),
)
SPEC_SYSTEM = System(
    Place(("linuxkit.yml",)), "spec", is_linuxkit=True, format="YAML", containers=(GETTY_CONTAINER, WEB_CONTAINER)
)


def spec_result(*extra: Finding) -> Result:
    """A spec with two findings to show, and one of everything else."""
    return Result(
        findings=(GETTY, WEB, *extra),
        others=(UNDECIDED,),
        not_applicable={("LKP902", "It is not built."): 1},
        suppressed=(Suppressed(GETTY, "we know"),),
        hidden=3,
        problems=(Problem(Place(("broken.yml",)), "ends in the middle of a line"),),
        systems=(SPEC_SYSTEM,),
        tally={("LKP902", engine.Outcome.FAIL): 1, ("LKP902", engine.Outcome.PASS): 7},
        texts={"linuxkit.yml": TEXT},
        rules=ALL,
    )


def image_result(files: int = 9) -> Result:
    """An image with as many world-writable files in its root filesystem, and one with a hostile name in a container."""
    evil = "containers/services/web/rootfs/tmp/\x1b[31m\udcff\u202eevil"
    paths = [f"srv/{number}" for number in range(files)]
    findings = [finding(writable, engine.fail(path, inside(path), path)) for path in (*paths, evil)]
    web = container(name="web", label="built", at=inside("containers/services/web/config.json"))
    kernel = Kernel(inside("boot/kernel"), "6.12.59-linuxkit", "Linux version 6.12.59", "x86_64", "bzImage", "gzip")
    system = System(
        Place(("out/linux kit.iso",)),
        "image",
        is_linuxkit=True,
        format="ISO 9660 > cpio",
        containers=(web,),
        kernels=(kernel,),
        files=files + 1,
        binaries=1,
    )
    return Result(findings=tuple(findings), systems=(system,), rules=RULES)


def traced_result() -> Result:
    """Findings on an image that lead back to a line of the spec that it was built from."""
    origin = Location(GETTY.place, "brought by services, linuxkit/getty")
    result = image_result(2)
    findings = tuple(one._replace(origin=origin) for one in result.findings)
    return result._replace(findings=findings, texts={"linuxkit.yml": TEXT}, rules=ALL)


def image_of_risks() -> Result:
    """An image whose findings are about a section of NIST SP 800-190."""
    result = image_result(1)
    rules = [one._replace(nist=("3.1.2",)) for one in result.rules]
    findings = tuple(one._replace(rule=one.rule._replace(nist=("3.1.2",))) for one in result.findings)
    tally = {("LKF901", engine.Outcome.FAIL): 2, ("LKX901", engine.Outcome.PASS): 1}
    return result._replace(findings=findings, rules=tuple(rules), tally=tally)


def snapshot(name: str, text: str) -> str:
    """What tests/snapshots/NAME holds; LKSCAN_SNAPSHOTS=write first writes the text there, for review in the diff."""
    path = Path(__file__).parent / "snapshots" / name
    if os.environ.get("LKSCAN_SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")
