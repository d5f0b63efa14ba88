"""Builds: the subject for what is held against a spec: what LinuxKit would have made of it, beside what is there."""

from __future__ import annotations

from collections.abc import Mapping

from .startup import Any, Literal, NamedTuple
from .subjects import Container, FileKind, KernelCommandLine, Place


class Row(NamedTuple):
    """A file, as far as two trees are compared; `sha256` is of its content, "" where that is not known.

    `mode` is the twelve permission bits, `target` that of a link.
    """

    path: str
    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int = 0
    sha256: str = ""
    target: str = ""


class Pair(NamedTuple):
    """A container as the spec asks for it and as it lies in the image; one of them is None where there is no such.

    `oci` and `runtime` are what LinuxKit would have written into its two files, `given` what the spec itself says of
    it. `line` is where the spec asks for it (the spec as a whole, where it does not), `folder` where it belongs in the
    image. `is_label_known`: the label of its image is; `is_image_known`: so are the image's own Env, Entrypoint, Cmd
    and WorkingDir.
    """

    title: str
    line: Place
    folder: str
    expected: Container | None
    built: Container | None
    oci: Mapping[str, Any] = {}
    runtime: Mapping[str, Any] = {}
    given: Mapping[str, Any] = {}
    is_label_known: bool = False
    is_image_known: bool = False


class Written(NamedTuple):
    """What an entry of `files` makes LinuxKit write: the file itself, or a folder above it.

    `wanted` is what the spec says, `found` what is in the image. `doubt` says why the content cannot be compared, or
    is ""; with `optional`, it may not be there. Of one that LinuxKit writes the spec itself into, `other` says what
    is otherwise in that, or is "".
    """

    path: str
    line: Place
    place: Place
    wanted: Row
    found: Row | None
    doubt: str = ""
    optional: bool = False
    other: str = ""


class Stray(NamedTuple):
    """Files that no component of the spec brings: the first one, how many there are, and what tells that."""

    path: str
    place: Place
    number: int
    reason: str


class BootLine(NamedTuple):
    """A kernel command line of the image, and what the format makes of that in the spec: all that it may be.

    None of them, where the format heeds none.
    """

    line: KernelCommandLine
    wanted: tuple[str, ...]


class BootKernel(NamedTuple):
    """A kernel of the image: its place, its release, and whether it is the one that the cache has under the tag."""

    place: Place
    version: str
    cached: Literal["same", "another", ""] = ""


class Content(NamedTuple):
    """The content of a container image in the cache, held against what it brought into the image.

    `title` and `image` are the component's. `differing` has a line for each path that is not the same; `compared` is
    the number of paths. `doubt` says why they cannot be compared, or is "".
    """

    title: str
    image: str
    line: Place
    place: Place
    compared: int = 0
    differing: tuple[str, ...] = ()
    doubt: str = ""


class Build(NamedTuple):
    """An image and the spec that it is said to be built from.

    `refused` says why nothing is held against the spec, or is ""; where it is not `is_whole`, not all of the image was
    read, and what is not there may be. `unexplained` says why it is open whether all
    other files are explained, "" where nothing is open. `kernel` is the reference in the spec, with its `kernel_line`;
    `command_line` that of the spec.
    """

    place: Place
    spec: Place
    refused: str = ""
    pairs: tuple[Pair, ...] = ()
    written: tuple[Written, ...] = ()
    strays: tuple[Stray, ...] = ()
    unexplained: str = ""
    kernel: str = ""
    kernel_line: Place | None = None
    kernels: tuple[BootKernel, ...] = ()
    command_line: KernelCommandLine | None = None
    lines: tuple[BootLine, ...] = ()
    contents: tuple[Content, ...] = ()
    is_whole: bool = True
