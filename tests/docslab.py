"""Collects what the documents tell their readers to type, and builds the files that it is typed for."""

import gzip
import importlib
import io
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from imagelab import Item, newc
from test_oci import one_image

from lkscan import cli
from lkscan.scanner.references import canonical

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *(name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md") if (ROOT / name).exists()),
    *sorted(
        str(path.relative_to(ROOT))
        for folder in ("docs", "packaging", "rules/pages")
        for path in (ROOT / folder).rglob("*.md")
    ),
]
PROGRAMS = ("lkscan", "make", "pip", "pre-commit", "python", "hx")
"""What a line, or a span of code in a sentence, starts with when it is a command."""
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}[^\n]*\n|\n(?= {4}))+")
_SPAN = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")
_MICROCODE = bytes.fromhex("01000000 2a000000 21202504") + bytes(36)
"""The head of an update for Intel's processors, of 2021-04-25 (Intel SDM, volume 3, 10.11.1)."""
_PLACEHOLDERS = {
    "SPEC": "linuxkit.yml",
    "RULE": "LKP002",
    "PATH": "linuxkit.yml",
    "DIR": "pkg",
    "FILE": "linuxkit.yml",
    "IMAGE": "linuxkit.iso",
}


class Block(NamedTuple):
    """A fenced or indented block of a document: `language` is "" for an indented one, `line` counts from 1."""

    document: str
    line: int
    language: str
    text: str


class Command(NamedTuple):
    """A line to type, without its comment, and what the document shows as its output; None where it shows none."""

    text: str
    shown: str | None = None


def blocks(document: str, *languages: str) -> Iterator[Block]:
    """The blocks of a document in its order, of these languages or of all."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = [(match.start(), match[1], match[2]) for match in _FENCE.finditer(text)]
    rest = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(rest):
        start = text.find(match[0])
        found.append((start, "", re.sub("^ {4}", "", match[0], flags=re.MULTILINE)))
    for start, language, body in sorted(found):
        if not languages or language in languages:
            yield Block(document, text.count("\n", 0, start) + 1, language, body)


def sessions(document: str) -> Iterator[tuple[str, tuple[Command, ...]]]:
    """Commands that are typed one after the other: those of a block, and each that a sentence names.

    Pages of rules also show what other tools say, and what is said of images that are not at hand: of theirs, only
    lkscan's own are taken, and without the output.
    """
    page = document.startswith("rules/")
    for block in blocks(document, "sh", "console", "text", ""):
        if typed := tuple(one for one in _commands(block) if not page or one.text.startswith("lkscan ")):
            yield f"{document}:{block.line}", typed
    text = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), (ROOT / document).read_text(encoding="utf-8"))
    for match in _SPAN.finditer(text):
        if match[1].startswith("lkscan ") or not page:
            typed = " ".join(_PLACEHOLDERS.get(word, word) for word in match[1].split())
            typed += " --help" if typed.removeprefix("lkscan ") in cli.COMMANDS else ""  # it is only named
            yield f"{document}:{text.count(chr(10), 0, match.start()) + 1}", (Command(typed),)


def _commands(block: Block) -> Iterator[Command]:
    """Lines behind a `$`, with what follows as their output; else every line for a shell, and others by program."""
    if block.text.startswith("$ "):
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            yield Command(uncommented(line), None if block.document.startswith("rules/") else shown)
    elif block.language != "text":
        for line in block.text.splitlines():
            typed = uncommented(line)
            if typed and (block.language or typed.split()[0] in PROGRAMS):
                yield Command(typed)


def uncommented(line: str) -> str:
    """A line of shell without its comment."""
    return re.sub(r"(^|\s+)#.*", "", line).strip()


def matches(shown: str, printed: str) -> bool:
    """Whether a document shows what was printed; `[...]` on a line stands for any lines."""
    lines = ["(?:.*\n)*?" if line == "[...]" else f"{re.escape(line)}\n" for line in shown.strip("\n").split("\n")]
    return re.fullmatch("".join(lines), printed.strip("\n") + "\n") is not None


# --- the files that the documents speak of


def workshop(folder: Path) -> None:
    """A folder with a spec, what is built of it, and what users have beside them, under the names in the documents."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        demo, iso9660 = importlib.import_module("build_demo_iso"), importlib.import_module("iso9660")
    finally:
        sys.path.remove(str(ROOT / "examples"))
    (folder / "examples").symlink_to(ROOT / "examples")
    spec = (ROOT / "examples/bad.yml").read_text(encoding="utf-8")
    for name in ("linuxkit.yml", "in.yml"):
        (folder / name).write_text(spec, encoding="utf-8")
    head, services, rest = spec.partition("services:\n")
    (folder / "base.yml").write_text(head, encoding="utf-8")
    (folder / "site.yml").write_text(services + rest, encoding="utf-8")
    _packages(folder / "pkg")
    _lock(folder, spec)
    _kernel(folder, demo)
    _images(folder, demo, iso9660)
    for path, data in one_image().items():
        target = folder / "home/.linuxkit/cache" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _packages(folder: Path) -> None:
    (folder / "agent").mkdir(parents=True)
    (folder / "agent/build.yml").write_text("image: agent\norg: example\nconfig:\n  pid: host\n", encoding="utf-8")


def _lock(folder: Path, spec: str) -> None:
    """Digests for the images of the spec, as `lkscan pin` keeps them."""
    names = {
        canonical(text)
        for text in re.findall(r"(?:image: |^  - )((?:[\w-]+/)?[\w-]+(?::[\w.]+)?)$", spec, re.MULTILINE)
    }
    lines = "".join(f'"{name}" = "sha256:{"a" * 64}"\n' for name in sorted(names))
    (folder / "lkscan.lock").write_text(f"version = 1\n[images]\n{lines}", encoding="utf-8")


def _kernel(folder: Path, demo: ModuleType) -> None:
    (folder / ".config").write_text(demo._kernel_config("4.14.53"), encoding="utf-8")
    for name in ("sysctl.conf", "00-linuxkit.conf"):
        (folder / name).write_text("kernel.kptr_restrict = 2\n", encoding="utf-8")


def _images(folder: Path, demo: ModuleType, iso9660: ModuleType) -> None:
    """The ISO of the demo; and one with an initrd, which also lies beside its kernel and command line."""
    (folder / "build").mkdir()
    (folder / "build/demo.iso").write_bytes(demo.build())
    entries = {one.path: one for one in demo.entries()}
    kernel, menu = (entries.pop(path) for path in ("boot/kernel", "isolinux/isolinux.cfg"))
    items = [Item("kernel/x86/microcode/GenuineIntel.bin", _MICROCODE)]
    root = [Item(one.path, one.data or b"", _type(one) | one.mode, one.uid, one.gid) for one in entries.values()]
    initrd = newc(*items) + gzip.compress(newc(*root), mtime=0)
    whole = iso9660.iso9660([kernel, menu, iso9660.Entry("boot/initrd.img", initrd)])
    for name, data in {
        "linuxkit.iso": whole,
        "image.iso": whole,
        "linuxkit.tar": _tar(entries.values()),
        "initrd.img": initrd,
        "out/linuxkit-initrd.img": initrd,
        "out/linuxkit-kernel": kernel.data,
        "out/linuxkit-cmdline": menu.data.rpartition(b"APPEND ")[2].strip(),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def _tar(entries: Iterable[Any]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.mode, info.uid, info.gid, info.size = entry.mode, entry.uid, entry.gid, len(entry.data or b"")
            info.type = tarfile.DIRTYPE if entry.data is None else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(entry.data or b""))
    return out.getvalue()


def _type(entry: Any) -> int:
    return 0o120000 if entry.target else 0o040000 if entry.data is None else 0o100000
