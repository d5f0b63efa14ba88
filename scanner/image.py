"""Images: the files that make up a system, read in one pass, and the subjects that are found in them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from . import bootconf, cmdline, configurations, elf, hardening, kconfig, kernel, layout, module, pe, sysctl, unread
from . import container_files as containers
from .compression import expand, identify
from .outputs import is_command_line
from .peel import Peeler, inside, recognise
from .programs import Programs
from .rootfs import Roots
from .source import DamagedError, FileSource, LimitError, Limits, Watch
from .startup import Protocol
from .stream import Stream, over
from .subjects import (
    Binary,
    File,
    Kernel,
    KernelCommandLine,
    KernelModule,
    Place,
    Problem,
    Subject,
    Sysctl,
    System,
)

_Read = Callable[[File, bytes], Iterator[Subject | Problem]]

_MODULES = 1 << 15
"""Modules that are told of in the end: a distribution's kernel has some 5,000."""
_PROBLEMS = 100
"""Problems of one input that are listed one by one."""
_KEPT = 64 << 20
"""Bytes of kernel configurations and command lines that are held until the end: real images have less than one MiB."""
_SHOWN = 8
"""Ways through the layers that System names."""
_LARGE = 1 << 20
"""Bytes from which a file may be a kernel whatever its name, and is looked at further than its first bytes."""
_HEAD = 1024
"""Bytes that tell what a file is: the kernels' marks stand in the first 600."""

_MODULE = re.compile(r"(?:.*/)?lib/modules/.+\.ko(?:\.gz|\.xz|\.zst)?")
_KERNEL_NAME = re.compile(r"(?:.*/)?(?:[^/]*-)?(?:vmlinu[xz]|bzImage|zImage|Image|kernel)(?:[.-][^/]*)?")


def looks_like_one(path: str) -> bool | Problem:
    """Whether a file is a regular one and in a format that is read, by its first bytes, or named as a command line.

    A disk or file system of a kind that is known and not read is a Problem. What is compressed may turn out to be no
    image. Raises OSError.
    """
    if is_command_line(path):
        return True
    if not stat.S_ISREG(os.stat(path).st_mode):
        return False
    source = FileSource(path)
    try:
        found = recognise(source) if source.size else None
        if found and not found[0].is_read and unread.is_image(found[1]):
            return Problem(Place((path,)), f"{found[1]} are not read yet")
        return (found is not None and found[0].is_read) or kernel.sniff(source.pread(0, kernel.HEAD))
    finally:
        source.close()


class Elsewhere(Protocol):
    """Another process, which examines some of the programs in an image."""

    def number(self, file: File) -> int | None:
        """The number (from 1 on) of the file that was met last, where the other process examines it."""
        ...

    def programs(self) -> Iterable[tuple[int, int, Binary | None]]:
        """The number of each, a number that stands for its content, and what it is; None where it is no program."""
        ...


def read(
    paths: tuple[str, ...],
    limits: Limits | None = None,
    watch: Watch | None = None,
    *,
    exact: bool = False,
    elsewhere: Elsewhere | None = None,
) -> Iterator[Subject | Problem]:
    """The subjects of one system, made of all `paths`, as they are met; System comes last.

    `watch` is told how many bytes of the files are read, each time; where `exact`, all evidence on programs is told.
    Programs may be examined `elsewhere`.

    Raises nothing: what cannot be read is a Problem. When nothing at all was found, there is no System, and the kind
    of the Problem tells what is damaged (`incomplete`) from what is no image (`unusable`). An earlier File of the same
    place in the same tree counts no more, and what was found on it: `File.replaces` tells.
    """
    return _Reader(paths, limits or Limits(), watch, elsewhere, exact=exact).subjects()


@dataclass(slots=True)
class _Found:
    """What System tells in the end."""

    files: int = 0
    binaries: int = 0
    modules: int = 0
    kernel_modules: list[KernelModule] = field(default_factory=list)
    is_linuxkit: bool = False
    kernels: list[Kernel] = field(default_factory=list)
    command_lines: dict[tuple[str, ...], list[KernelCommandLine]] = field(default_factory=dict)
    heeded: tuple[KernelCommandLine, ...] = ()
    sysctls: list[Sysctl] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)


class _Reader:
    """Reads one system; every method yields what it found."""

    def __init__(
        self, paths: tuple[str, ...], limits: Limits, watch: Watch | None, elsewhere: Elsewhere | None, *, exact: bool
    ) -> None:
        self._paths = paths
        self._elsewhere = elsewhere
        self._exact = exact
        self._watch = watch
        self._limits = limits
        self._peeler = Peeler(limits)
        self._found = _Found()
        self._roots = Roots(lambda artifacts: hash(artifacts) in self._seen)
        self._kept = 0
        self._seen: set[int] = set()
        self._containers = containers.ContainerFiles()
        self._bare: list[Kernel] = []
        self._configurations = configurations.Configurations(self._keep)
        self._programs = Programs(lambda place: hash((*place[0], place[1])) in self._seen)

    def subjects(self) -> Iterator[Subject | Problem]:
        """All subjects; problems wait until something was found, as without anything they mean another thing."""
        waiting: list[Problem] = []
        count = 0
        for item in self._all():
            if isinstance(item, Problem):
                count += 1
                waiting += (item,) if count <= _PROBLEMS else ()
            if self._anything:
                yield from map(_partly, waiting)
                waiting = []
            if not isinstance(item, Problem):
                yield item
        place = Place((self._paths[0],))
        if count > _PROBLEMS:
            waiting.append(Problem(place, f"{count - _PROBLEMS} more problems are not listed"))
        if self._anything:
            yield from map(_partly, waiting)
            yield self._system(place)
        else:
            yield from waiting or [Problem(place, "nothing is in it", "unusable")]

    @property
    def _anything(self) -> bool:
        found = self._found
        return bool(found.files or found.kernels or found.command_lines or self._bare)

    def _all(self) -> Iterator[Subject | Problem]:
        for path in self._paths:
            yield from self._input(path)
        yield from self._containers.unpaired()
        for bare in self._bare:
            self._found.kernels.append(self._configurations.join(bare))
            yield self._found.kernels[-1]
        self._bare = []
        yield from self._heeded()
        for number, content, found in self._elsewhere.programs() if self._elsewhere else ():
            self._found.binaries += self._programs.complete(number, content, found)
        yield from self._programs.joined(self._containers.found.values())
        if self._roots.left:
            why = f"more root file systems than are told apart: {self._roots.left} files are judged one by one only"
            yield Problem(Place((self._paths[0],)), why)
        if not (self._found.kernels and self._found.command_lines):
            yield from self._peeler.deferred

    def _input(self, path: str) -> Iterator[Subject | Problem]:
        """One of the files that were named."""
        place = Place((path,))
        if layout.is_layout(path):
            yield from self._peeled(self._peeler.peel_folder(path, place))
            return
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                yield Problem(place, f"{_kind_of(path)}, not an image: name a regular file", "unusable")
                return
            source = FileSource(path, self._watch)
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            reason = getattr(error, "strerror", None) or error
            yield Problem(place, f"cannot be read: {reason}", "unusable" if missing else "incomplete")
            return
        try:
            self._peeler.budget.given += source.size
            if source.size:
                yield from self._top(source, place)
            else:
                yield Problem(place, "the file is empty", "unusable")
        finally:
            source.close()

    def _top(self, source: FileSource, place: Place) -> Iterator[Subject | Problem]:
        """A file that was named: a kernel, a layer, an ELF file, a command line, or nothing that is known."""
        stream = over(source, self._peeler.budget, "the file")
        name, status = os.path.basename(place.artifacts[0]), source.status
        mode, owner = status.st_mode & 0o7777, (status.st_uid, status.st_gid)
        file = File(name, "file", mode, *owner, source.size, place, read=stream.peek)
        head = stream.peek(kernel.HEAD)
        try:
            found = self._peeler.find(stream)
            inner = b"" if found else inside(stream)
        except DamagedError as error:
            yield Problem(place, str(error))
            return
        if kernel.sniff(head) or kernel.sniff(inner) or inner.startswith(elf.MAGIC):
            yield from self._facts(file, self._kernel)
        elif kconfig.sniff(head) or kconfig.sniff(inner):
            yield from self._facts(file, self._configuration)
        elif found and found[0].is_read:
            if pe.sniff(head):
                yield from self._facts(file, self._efi)
            yield from self._peeled(self._peeler.peel(stream, place))
        elif head.startswith(elf.MAGIC) or (pe.sniff(head) and pe.is_efi(stream.peek(_LARGE))):
            yield from self._file(file)
        elif bootconf.kind(file.path):
            yield from self._facts(file, self._command_lines)
        elif found:
            why = f"{found[1]} are not read yet"
            yield Problem(place, why) if unread.is_image(found[1]) else Problem(place, why, "unusable")
        else:
            yield Problem(place, "not a LinuxKit spec or image", "unusable")

    def _peeled(self, items: Iterator[File | Problem]) -> Iterator[Subject | Problem]:
        for item in items:
            yield from self._file(item) if isinstance(item, File) else (item,)

    def _file(self, file: File) -> Iterator[Subject | Problem]:
        """One file of a tree, and what is to be read from it."""
        identity = hash(file.place.artifacts)
        if identity in self._seen:
            file = file._replace(replaces=True)
        else:
            self._seen.add(identity)
            self._found.files += 1
        if file.location:
            self._found.is_linuxkit = True
        self._programs.meet(file)
        self._roots.see(file)
        yield file
        if file.kind == "file" and file.size:
            reader = self._by_place(file.path) or self._by_content(file)
            if reader:
                yield from self._facts(file, reader)

    def _by_place(self, path: str) -> _Read | None:
        if containers.is_one(path):
            return self._containers.take
        if sysctl.is_mine(path):
            return self._sysctl
        if bootconf.kind(path):
            return self._command_lines
        if _MODULE.fullmatch(path):
            return self._module
        if path.rpartition("/")[2] == "oci-layout":
            return self._embedded
        return self._kernel_config if configurations.is_one(path) else None

    def _by_content(self, file: File) -> _Read | None:
        if file.read is None:
            return None
        named = _KERNEL_NAME.fullmatch(file.path) is not None
        head = file.read(kernel.HEAD if named or file.size >= _LARGE else _HEAD)
        if head.startswith(elf.MAGIC):
            return self._vmlinux if named else self._binary
        return self._kernel if kernel.sniff(head) else self._efi if pe.sniff(head) else None

    def _facts(self, file: File, reader: _Read) -> Iterator[Subject | Problem]:
        """What `reader` makes of a file's whole content."""
        if file.read is None:
            return
        number = self._elsewhere.number(file) if self._elsewhere and reader == self._binary else None
        if number and self._programs.await_one(file, number):
            return
        limit = self._limits.body
        if file.size > limit:
            yield from self._large(file, reader, limit)
            return
        data = file.read(limit)
        if len(data) < file.size:
            return  # it breaks off, which the layer that holds it reports
        try:
            yield from reader(file, data)
        except DamagedError as error:
            yield Problem(file.place, f"{error}; it is not examined")
        except (MemoryError, RecursionError):
            yield Problem(file.place, "it does not fit into memory; it is not examined")

    def _large(self, file: File, reader: _Read, limit: int) -> Iterator[Subject | Problem]:
        """Of a program that is too large to be held, what its headers tell, if they stand within the first part."""
        why = f"it has {file.size} bytes, more than {limit} (limit: body)"
        if reader != self._binary or file.read is None:
            yield Problem(file.place, f"{why}; it is not examined")
            return
        try:
            found = elf.read(file, file.read(limit))
        except DamagedError as error:
            yield Problem(file.place, f"{why}, and {error} of what is held; it is not examined")
            return
        if found:
            self._found.binaries += 1
            yield from self._held(hardening.undecided(found, why), None)

    def _binary(self, file: File, data: bytes) -> Iterator[Subject | Problem]:
        try:
            found = hardening.examine(file, data, exact=self._exact)
        except DamagedError as error:
            yield Problem(file.place, f"{error}; it is not examined")
            found = elf.damaged(file, str(error))
        if found:
            self._found.binaries += found.kind != "damaged"
            yield from self._held(found, data)

    def _held(self, binary: Binary, data: bytes | None) -> Iterator[Binary]:
        """Programs wait for what the rest of the image tells of them."""
        if not self._programs.hold(binary, data):
            yield binary

    def _vmlinux(self, file: File, data: bytes) -> Iterator[Subject | Problem]:
        yield from self._kernel(file, data) if kernel.has_banner(data) else self._binary(file, data)

    def _embedded(self, file: File, data: bytes) -> Iterator[Subject | Problem]:
        """A layout in a tree, as LinuxKit's volumes of `format: oci` are: its blobs come as files, in any order."""
        if b"imageLayoutVersion" in data:
            why = "container images lie beside it, in blobs, whose layers are not read; scan the layout as an input"
            yield Problem(file.place, why)

    def _module(self, file: File, data: bytes) -> Iterator[Subject]:
        found = module.read(file, data, self._peeler.budget)
        self._found.modules += 1
        if len(self._found.kernel_modules) < _MODULES:
            self._found.kernel_modules.append(module.outline(found))
        if release := configurations.release_of_module(file.path):
            text, _ = kernel.configuration(module.expanded(data, self._peeler.budget))
            releases = {release, found.info.get("vermagic", "").partition(" ")[0]}
            self._configurations.add(file, text or b"", releases)
        yield found

    def _efi(self, file: File, data: bytes) -> Iterator[Subject]:
        found = pe.read(file, data)
        if found and found.certificates:
            from .authenticode import check

            signature, signers = check(data)
            found = found._replace(signature=signature, signers=signers)
        if found:
            yield found

    def _kernel(self, file: File, data: bytes) -> Iterator[Subject | Problem]:
        """A kernel without its configuration waits for one that may come later."""
        try:
            found = kernel.read(data, file.place, self._peeler.budget)
        except DamagedError as error:
            outline = kernel.outline(data, file.place, str(error))
            if outline is None:
                raise
            yield Problem(file.place, f"{error}; it is not examined")
            found = outline
        if pe.sniff(data):
            yield from self._efi(file, data)
        built_in, found = found.initramfs, found._replace(initramfs=b"")
        self._keep(len(found.config_text))
        if len(file.place.artifacts) == 1:
            self._found.formats.append(found.format)
        if found.config is None:
            self._bare.append(found)
        else:
            self._found.kernels.append(found)
            yield found
        if built_in:
            place = file.place.inside("[built-in initramfs]")
            yield from self._peeled(self._peeler.peel(Stream(iter((built_in,))), place))
        elif source := (found.config or {}).get("INITRAMFS_SOURCE", "").strip('"'):
            why = f"a root file system is built in (CONFIG_INITRAMFS_SOURCE={source}) and was not found; it is not read"
            yield Problem(file.place, why)

    def _configuration(self, file: File, data: bytes) -> Iterator[Subject]:
        """A configuration that was named stands for its kernel; a compressed one is that of a running kernel."""
        compression = identify(data[:16]) or ""
        text = expand(data, compression, kconfig.LIMIT, self._peeler.budget) if compression else data
        options = kconfig.parse(text)
        found = Kernel(
            file.place,
            kconfig.version(text),
            "",
            kconfig.architecture(options),
            "configuration",
            compression,
            options,
            file.path,
            text,
        )
        self._found.formats.append("kernel configuration")
        self._found.kernels.append(found)
        yield found

    def _kernel_config(self, file: File, data: bytes) -> Iterator[Subject]:
        compression = identify(data[:16])
        text = expand(data, compression, kconfig.LIMIT, self._peeler.budget) if compression else data
        self._configurations.add(file, text, configurations.releases_of(file.path))
        yield from ()

    def _keep(self, length: int) -> None:
        """Count what is held until the end. Raises LimitError: no image needs much, and many files add up."""
        self._kept += length
        if self._kept > _KEPT:
            raise LimitError(f"configurations of more than {_KEPT} bytes in all")

    def _command_lines(self, file: File, data: bytes) -> Iterator[Subject]:
        """They wait for the kernels, which may have one built in; of a file that is met twice, the last counts."""
        text = data.decode("utf-8", "surrogateescape")
        found = bootconf.read(file.path, text, file.place)
        self._keep(sum(len(one.text) for one in found))
        if found or file.replaces:
            self._found.command_lines[file.place.artifacts] = found
        yield from ()

    def _heeded(self) -> Iterator[Subject]:
        lines = (one for found in self._found.command_lines.values() for one in found)
        last = {kernel.place.artifacts: kernel for kernel in self._found.kernels}
        self._found.heeded = tuple(cmdline.effective(list(last.values()), lines))
        yield from self._found.heeded

    def _sysctl(self, file: File, data: bytes) -> Iterator[Subject]:
        found = sysctl.read(data.decode("utf-8", "surrogateescape"), file.place, file.path)
        self._keep(len(data))
        self._found.sysctls.append(found)
        yield found

    def _system(self, place: Place) -> System:
        found = self._found
        return System(
            place,
            "image",
            found.is_linuxkit or self._containers.is_linuxkit,
            " + ".join([*dict.fromkeys(found.formats), *_chains(self._peeler.chains)]) or "file",
            self._containers.in_order(),
            tuple(found.kernels),
            found.heeded,
            tuple(found.sysctls),
            found.files,
            found.binaries,
            found.modules,
            layers=tuple(self._peeler.layers),
            roots=tuple(self._roots.found()),
            kernel_modules=tuple(found.kernel_modules),
        )


def _partly(problem: Problem) -> Problem:
    """One file is of no use, but the rest of the system was read."""
    return problem._replace(kind="incomplete")


def _chains(chains: Iterable[tuple[str, ...]]) -> list[str]:
    """The ways down, in words, those left out that another one continues."""
    known = list(chains)
    continued = {chain[:length] for chain in known for length in range(1, len(chain))}
    ends = [" > ".join(chain) for chain in known if chain not in continued]
    return ends if len(ends) <= _SHOWN else [*ends[:_SHOWN], "…"]


def _kind_of(path: str) -> str:
    mode = os.stat(path).st_mode
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")
