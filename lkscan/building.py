"""Building: what LinuxKit would have made of a spec, put beside what was found in an image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from .scanner import bootconf, spec
from .scanner.builds import BootKernel, BootLine, Build, Pair, Row, Written
from .scanner.bundles import pairs
from .scanner.labels import LabelFinder, read_file
from .scanner.ledger import Ledger, Tree
from .scanner.plan import Plan
from .scanner.references import expand
from .scanner.source import Limits
from .scanner.startup import NamedTuple
from .scanner.subjects import Container, File, Kernel, KernelCommandLine, Place, System
from .specs import Sources
from .strays import strays, unexplained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .caching import Compared

_ROOT_DEVICES = ("/dev/sr0", "/dev/vda")
"""What the tools for ISOs append as `root=` where the spec has none: on x86, and on arm64."""
_ROOTS = 8
"""Root file systems of one image that are held against the spec: LinuxKit makes one."""
_QUOTES = re.compile(r"""[\\"']""")


class Beside(NamedTuple):
    """What else is known: digests of files that the spec's `source:` name, and labels, with a cache or without.

    `embedded` are what may be specs in the image, by their artifacts; `is_whole`: all of the image was read.
    """

    sources: Sources
    labels: LabelFinder
    embedded: Mapping[tuple[str, ...], bytes] = {}
    is_whole: bool = True


def build(plan: Plan, ledger: Ledger, system: System, beside: Beside) -> Build:
    """The spec beside the image."""
    layers = beside.labels.layers
    with_containers = {one.place.artifacts[:-1] for one in system.containers}
    roots = sorted(ledger.roots & with_containers or ledger.roots)
    refused = _refused(plan, roots)
    roots = [] if refused else roots
    by_root = {root: list(pairs(plan, _within(system.containers, root))) for root in roots}
    found = [pair for one in by_root.values() for pair in one]
    compared = _compared(plan, ledger, system, by_root, layers) if layers else {}
    astray = [one for root in roots for one in strays(plan, ledger, root, by_root[root])]
    told = [one.path for one in astray]
    astray += [one for root, held in compared.items() for one in held.strays(system, by_root[root], told)]
    command_line = plan.command_line
    return Build(
        system.place,
        plan.place,
        refused,
        tuple(found),
        tuple(one for root in roots for one in _written(plan, ledger.rows.get(root, {}), root, beside)),
        tuple(astray),
        "" if compared and all(one.is_whole for one in compared.values()) else unexplained(ledger, roots),
        plan.kernel.image if plan.kernel else "",
        plan.kernel.place if plan.kernel else None,
        tuple(_boot_kernel(one, ledger, compared) for one in system.kernels),
        command_line,
        tuple(_boot_line(one, command_line.text if command_line else "", ledger.roots) for one in _passed(system)),
        tuple(one for held in compared.values() for one in held.contents),
        beside.is_whole,
    )


def _refused(plan: Plan, roots: list[Tree]) -> str:
    """Why nothing can be held against the spec, in a sentence or two, or ""."""
    if plan.refused:
        return f"LinuxKit refuses the spec: {plan.refused}. Nothing is built from it."
    if not roots:
        return "The image holds no root file system of LinuxKit: there is nothing to hold against the spec."
    if len(roots) > _ROOTS:
        return f"The image holds {len(roots)} root file systems: which of them the spec is of is not known."
    return ""


def _compared(
    plan: Plan, ledger: Ledger, system: System, by_root: Mapping[Tree, list[Pair]], layers: str
) -> dict[Tree, Compared]:
    """Each root file system held against the cache."""
    from .caching import Cache, Compared, machine

    cache = Cache(layers, machine(system.kernels), Limits())
    found = {root: Compared(plan, ledger, root, found, cache) for root, found in by_root.items()}
    for one in found.values():
        plan.learn(one.owners)
    return found


def _boot_kernel(kernel: Kernel, ledger: Ledger, compared: Mapping[Tree, Compared]) -> BootKernel:
    artifacts = kernel.place.artifacts
    digest = ledger.digests.get(artifacts, "") if artifacts[1:] or not compared else _digest(artifacts[0])
    known = next((one.kernels for one in compared.values() if one.kernels), frozenset())
    return BootKernel(
        kernel.place, kernel.version, ("same" if digest in known else "another") if known and digest else ""
    )


def _digest(path: str) -> str:
    """Of a kernel that is a file of its own; "" where it cannot be read."""
    from hashlib import sha256

    try:
        return sha256(read_file(path, Limits().body)).hexdigest()
    except OSError:
        return ""


def _within(containers: tuple[Container, ...], root: Tree) -> list[Container]:
    return [one for one in containers if one.place.artifacts[:-1] == root]


# --- files


def _written(plan: Plan, rows: Mapping[str, Row], root: Tree, beside: Beside) -> Iterator[Written]:
    """What `files` writes, path by path: of a path that is written twice, the last."""
    written: dict[str, Written] = {}
    for file, entry in zip(plan.files, plan.entries, strict=False):
        optional = bool(entry.get("optional"))
        for path in file.folders:
            mode = _folder_mode(file.mode)
            row = Row(path, "dir", mode, file.uid, file.gid)
            written[path] = _beside(rows, root, row, file.place, optional=True)  # the file itself tells
        path = posixpath.normpath(file.path)
        size, digest, doubt = _content(file, entry, beside.sources)
        other = ""
        if entry.get("metadata") and (there := rows.get(path)):
            size, digest = there.size, there.sha256
            other, doubt = _spec_in(plan, beside, (*root, path))
        row = Row(path, file.kind, file.mode, file.uid, file.gid, size, digest, file.target)
        line = (file.parts or {}).get("contents", file.place)
        made = _beside(rows, root, row, line if file.read else file.place, optional=optional)
        written[path] = made._replace(doubt=doubt if made.found else "", other=other)
    yield from written.values()


def _folder_mode(mode: int) -> int:
    """LinuxKit lets those into the folders above a file who have any right to the file."""
    return mode | sum(bit for bit, any_of in ((0o100, 0o700), (0o010, 0o070), (0o001, 0o007)) if mode & any_of)


def _beside(rows: Mapping[str, Row], root: Tree, wanted: Row, line: Place, *, optional: bool) -> Written:
    """What is wanted beside what is there. What lies in /boot is in no initrd, and a link may lead elsewhere."""
    path = wanted.path
    above = [path[: match.start()] for match in re.finditer("/", path)]
    is_led_away = any(rows[one].kind == "symlink" for one in above if one in rows)
    may_lack = optional or is_led_away or path.startswith("boot/")
    return Written(path, line, Place((*root, path)), wanted, rows.get(path), optional=may_lack)


def _content(file: File, entry: Mapping[str, object], sources: Sources) -> tuple[int, str, str]:
    """Size and digest of what LinuxKit writes into a file, and why they are not known, if so."""
    if file.kind != "file":
        return 0, "", ""
    if file.read is not None:
        from hashlib import sha256

        return file.size, sha256(file.read(file.size)).hexdigest(), ""
    return sources.get((file.place.artifacts[0], str(entry.get("source") or "")), (0, "", "its source is not at hand"))


def _spec_in(plan: Plan, beside: Beside, artifacts: tuple[str, ...]) -> tuple[str, str]:
    """What the spec that lies in the image has otherwise, "" where nothing; and why that is not known, if so.

    LinuxKit writes it in words of its own, so that what it says is compared.
    """
    data = beside.embedded.get(artifacts)
    found = Plan(spec.read([(artifacts[-1], data)], beside.labels, "spec")) if data is not None else None
    if found is None or not found.specs or any(one.violations for one in found.specs):
        return "", "it cannot be read as the spec that LinuxKit writes there"
    theirs, ours = _says(found), _says(plan)
    changed = (key for key in dict.fromkeys((*ours, *theirs)) if ours.get(key) != theirs.get(key))
    keys = (key for key in changed if "@pkg:" not in str(ours.get(key)))  # LinuxKit writes what it makes of that
    return next(keys, ""), ""


def _says(plan: Plan) -> dict[str, object]:
    """What the specs say, part by part, however it is written."""
    said: dict[str, object] = {
        "kernel": plan.kernel and _reference(plan.kernel.image),
        "kernel.cmdline": plan.command_line.text if plan.command_line else "",
        "init": [_reference(one.image) for one in plan.init],
    }
    for component, one in plan.numbered():
        said[component.title] = component.location, _reference(component.image), one.oci, one.runtime
    for component in plan.all:
        if component.title.startswith("volumes/"):
            said[component.title] = _reference(component.image)
    for file, entry in zip(plan.files, plan.entries, strict=False):
        content = file.read(file.size) if file.read else (entry.get("source") or "", entry.get("metadata") or "")
        said[f"files: {file.path}"] = file.kind, file.mode, file.uid, file.gid, file.target, content
    return said


def _reference(text: str) -> str:
    return text if text.startswith("@pkg:") else expand(text)


# --- the kernel


def _passed(system: System) -> list[KernelCommandLine]:
    return [one for one in system.command_lines if not one.built_in]


def _boot_line(line: KernelCommandLine, text: str, roots: set[Tree]) -> BootLine:
    """What LinuxKit's tool for the format makes of the spec's command line, in the file that it is in.

    As tools/mkimage-*/make-* have it: ISOs that are the root file system get a `root=`, and what EFI boots ` text`.
    A script for U-Boot (rpi3) has a line of its own.
    """
    path = line.place.artifacts[-1]
    kind = bootconf.kind(path)
    is_root = line.place.artifacts[:-1] in roots
    lines = [text]
    if kind == "u-boot":
        lines = []
    elif "isolinux" in path or (kind == "grub" and is_root):
        lines = [text] if "root=" in text else [f"{text} root={device}" for device in _ROOT_DEVICES]
    if kind == "grub" or path == ".cmdline":
        lines = [f"{one} text" for one in lines]
    if kind == "grub":  # quotes in it are GRUB's
        line = line._replace(text=_QUOTES.sub("", line.text))
        lines = [_QUOTES.sub("", one) for one in lines]
    return BootLine(line, tuple(lines))
