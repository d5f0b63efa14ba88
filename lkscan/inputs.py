"""What the user named: which paths are specs, which are images, and which belong together."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .scanner import spec
from .scanner.source import FileSource
from .scanner.startup import Literal, NamedTuple
from .scanner.subjects import KernelCommandLine, Place, Problem, Sysctl

STDIN = "-"
_HEAD = 65536
_YAML = (".yml", ".yaml", ".yml.in", ".yaml.in")
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


class Boot(NamedTuple):
    """What a kernel alone is booted with, and its architecture where its own files do not tell."""

    arch: str = ""
    lines: tuple[KernelCommandLine, ...] = ()
    settings: tuple[Sysctl, ...] = ()


class Input(NamedTuple):
    """One thing to scan: an image (one path, or those of kernel, initrd and command line), or one or more specs.

    `documents` are (path, bytes) of the specs, joined when there are several. `boot` is what is given beside a kernel
    that is to be judged alone. `folder` is None for an image that the user named; for one that was found and may be no
    image after all, it is the directory that has nothing else, or "". `specs` are (path, bytes) of those that an image
    was built from, as far as the user tells them, and `sources` what files in them are made of (see `specs`).
    """

    kind: Literal["spec", "image"]
    paths: tuple[str, ...]
    documents: tuple[tuple[str, bytes], ...] = ()
    boot: Boot | None = None
    folder: str | None = None
    specs: tuple[tuple[str, bytes], ...] = ()
    sources: Mapping[tuple[str, str], tuple[int, str, str]] = {}


def gather(
    paths: Sequence[str], *, merge: bool = False, if_linuxkit: bool = False, images: bool = False
) -> Iterator[Input | Problem]:
    """Sort the paths into inputs, in their order; a directory stands for the specs and packages below it.

    Where there are none, or with `images`, it stands for the images below it, too. With `merge`, all specs are one
    input, the last. With `if_linuxkit`, YAML files that are no LinuxKit spec or package are left alone without a word,
    as they always are in directories.
    """
    how = _Way(if_linuxkit, images)
    found = _several(paths, how) if len(paths) > 1 else _named(paths[0], how)
    if not merge:
        yield from found
        return
    specs: list[tuple[str, bytes]] = []
    for one in found:
        if isinstance(one, Input) and one.kind == "spec":
            specs += one.documents
        else:
            yield one
    if specs:
        yield Input("spec", tuple(path for path, _ in specs), tuple(specs))


class _Way(NamedTuple):
    """What is passed over without a word, and what is looked for in directories."""

    if_linuxkit: bool
    images: bool


def _several(paths: Sequence[str], how: _Way) -> Iterator[Input | Problem]:
    from .scanner import outputs

    for group in outputs.group(paths):
        if len(group) > 1:
            yield Input("image", group)
        else:
            yield from _named(group[0], how)


def _named(path: str, how: _Way) -> Iterator[Input | Problem]:
    if path == STDIN:
        yield _stdin()
        return
    from .scanner.layout import is_layout

    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode) and is_layout(path):
            yield Input("image", (path,))
        elif stat.S_ISDIR(mode):
            yield from _directory(path, how)
        elif not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
            yield Problem(Place((path,)), f"is {kind}, not a file; give the path of a spec or image", "unusable")
        else:
            yield from _regular(path, if_linuxkit=how.if_linuxkit)
    except FileNotFoundError:
        yield from _missing(path)
    except (OSError, ValueError) as error:
        yield _unreadable(path, error)


def _stdin() -> Input | Problem:
    place = Place((STDIN,))
    if sys.stdin is None:
        return Problem(place, "standard input is closed", "unusable")
    try:
        data = sys.stdin.buffer.read(spec.SIZE_LIMIT + 1)
    except OSError as error:
        return Problem(place, f"standard input cannot be read: {error.strerror}", "unusable")
    if not _is_text(data[:_HEAD]):
        return Problem(place, "standard input is no text: it takes a spec; name an image by its path", "unusable")
    return Input("spec", (STDIN,), ((STDIN, data),)) if data else Problem(place, "standard input is empty", "unusable")


def _missing(path: str) -> Iterator[Input | Problem]:
    """A path that is not there may be the NAME of kernel+initrd's NAME-kernel, NAME-initrd.img, NAME-cmdline."""
    from .scanner import outputs

    group = outputs.group([path])[0]
    if group == (path,):
        yield Problem(Place((path,)), "no such file or directory" if path else "the path is empty", "unusable")
    else:
        yield Input("image", group)


def _unreadable(path: str, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem(Place((path,)), f"cannot be read: {reason}")


def _regular(path: str, *, if_linuxkit: bool) -> Iterator[Input | Problem]:
    source = FileSource(path)
    try:
        head = source.pread(0, _HEAD)
        is_image = not _is_text(head) or _is_kernel_configuration(head)
        data = b"" if is_image else head + source.pread(len(head), spec.SIZE_LIMIT + 1 - len(head))
    finally:
        source.close()
    if is_image:
        yield Input("image", (path,))
    elif if_linuxkit and spec.sniff(data, path) is None:
        return
    elif not data:
        yield Problem(Place((path,)), "the file is empty", "unusable")
    else:
        yield Input("spec", (path,), ((path, data),))


def _is_kernel_configuration(head: bytes) -> bool:
    if b"CONFIG_" not in head and b"Kernel Configuration" not in head:
        return False
    from .scanner import kconfig

    return kconfig.sniff(head)


def _is_text(head: bytes) -> bool:
    """Images have a NUL in their first 64 KiB or a magic that is no text; YAML has neither, save in UTF-16."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\0" not in head and not head.startswith(_MAGICS))


_MAGICS = (
    b"\x1f\x8b",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"\x02\x21\x4c\x18",
    b"BZh",
    b"0707",
    b"# Disk DescriptorFile",
)


def _directory(top: str, how: _Way) -> Iterator[Input | Problem]:
    """The specs below a directory; the images, too, where there are no specs or both are wanted."""
    others: list[str] = []
    has_specs = False
    for path in _files(top):
        if not path.endswith(_YAML):
            others.append(path)
            continue
        try:
            for one in _regular(path, if_linuxkit=True):
                has_specs = True
                yield one
        except OSError as error:
            has_specs = True
            yield _unreadable(path, error)
    has_images = False
    for found in _images(others, top if not has_specs else "") if how.images or not has_specs else ():
        has_images = True
        yield found
    if not (has_specs or has_images):
        text = "holds no LinuxKit spec, package or image; give the path of a file"
        yield Problem(Place((top,)), text, "unusable")


def _files(top: str) -> Iterable[str]:
    """Regular files below `top`, sorted; hidden folders and links left out."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield path


def _images(paths: Iterable[str], folder: str) -> Iterator[Input | Problem]:
    """Those of the files that look like images by what is in them, and the command lines that belong to kernels."""
    from .scanner import image, outputs

    found: list[str] = []
    for path in paths:
        try:
            seen = image.looks_like_one(path)
        except OSError as error:
            yield _unreadable(path, error)
            continue
        if isinstance(seen, Problem):
            yield seen
        elif seen:
            found.append(path)
    for group in outputs.group(found):
        if not all(outputs.is_command_line(path) for path in group):
            yield Input("image", group, folder=folder)
