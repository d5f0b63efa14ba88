"""The subjects: fact-bearing things, of the same type whether found in a spec or in an image."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from .startup import Any, Literal, NamedTuple, late

Yes = Literal["yes", "no", "na", "undecided"]
"""A binary property: has it, lacks it, has no use for it, or the evidence is not there."""

Answer = Literal["yes", "no", "na", "undecided", "partial"]
"""The same, with what is true of a part only."""

SECTIONS = ("onboot", "onshutdown", "services")
"""The sections of a spec that hold containers, in the order in which LinuxKit numbers them."""


_CONTAINER_DEPTH = 3
"""`containers/services/sshd`: the components that name a container's folder in an image."""


class Span(NamedTuple):
    """A stretch of text: lines and columns count from 1 in code points, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Place(NamedTuple):
    """Where something is: the chain of artifacts, outermost first, and the place in the innermost.

    `artifacts` is `("image.iso", "boot/initrd.img", "containers/services/sshd/config.json")` or `("linuxkit.yml",)`;
    the first is the path as the user gave it. `pointer` is a path of keys inside the innermost artifact
    (`services[2].binds[0]`, `process.capabilities.bounding`); `span` is known in text only.
    """

    artifacts: tuple[str, ...]
    span: Span | None = None
    pointer: str = ""

    def inside(self, artifact: str) -> "Place":
        """The place of `artifact`, found within this one."""
        return Place((*self.artifacts, artifact))

    @property
    def home(self) -> tuple[str, ...]:
        """What a container and all that is inside it have in common: its folder in an image, its entry in a spec."""
        *outer, innermost = self.artifacts
        steps = innermost.split("/")
        if steps[0] == "containers" and len(steps) > _CONTAINER_DEPTH:
            return (*outer, "/".join(steps[:_CONTAINER_DEPTH]))
        return (*self.artifacts, self.pointer.partition("]")[0])

    def __str__(self) -> str:
        """`linuxkit.yml:12:7`, or `image.iso / boot/initrd.img / etc/shadow`."""
        text = " / ".join(self.artifacts)
        return f"{text}:{self.span.line}:{self.span.column}" if self.span else text


class Change(NamedTuple):
    """A change to a document, told by its path of keys; what it is in text is found where the text is at hand.

    `place` is in the document: its artifacts and its pointer count. `action`:

    - `replace`: the scalar at `place` becomes `text`, which is YAML (quoted where it must be).
    - `set`: key `key` of the map at `place` gets the value `text`, in place of the one it has.
    - `remove`: the item or the key with its value at `place` goes, with the lines that hold nothing else.
    - `append`: `text` becomes the last item of the list at `place`.
    - `rename`: the key of the value at `place` becomes `text`.
    - `comment`: the comment, or part of one, at the span of `place` becomes `text`; without text it goes.
    """

    action: Literal["replace", "set", "remove", "append", "rename", "comment"]
    place: Place
    text: str = ""
    key: str = ""


class Problem(NamedTuple):
    """Something that could not be read: what, where and what to do. Never silently dropped.

    `kind` is `unusable` (no spec or image at all: exit status 2), `incomplete` (read in part: exit status 3) or
    `failed` (a rule broke on it, the others did not: exit status 2).
    """

    place: Place
    message: str
    kind: Literal["unusable", "incomplete", "failed"] = "incomplete"


class Origin(NamedTuple):
    """Where a value of a container's configuration came from, and the place to point at for it.

    `source`: `spec` (a line of it), `label` (the image's org.mobyproject.config), `default` (LinuxKit's own) or
    `image` (read from a built config.json). `place` is the line that decides: the value's own, else the line of the
    image reference whose label brings it, else the container's name.
    """

    source: Literal["spec", "label", "default", "image"]
    place: Place


class Label(NamedTuple):
    """How an image's default configuration (its org.mobyproject.config label) was found.

    `exact`: of this very tag. `newest`: the tag is not in the table, the package's newest state stands in for it.
    `unknown`: nobody knows this image: what the spec does not set is not known. `built`: read from a built image,
    where nothing is left to guess. `detail` says which file or table it came from.
    """

    kind: Literal["exact", "newest", "unknown", "built"]
    detail: str = ""


class Cure(NamedTuple):
    """The change after which LinuxKit accepts a value; `certain` where nothing else can have been meant."""

    change: Change
    certain: bool


class Violation(NamedTuple):
    """A reason why LinuxKit itself would refuse a spec, a package or one of its containers.

    `kind`: `yaml` (cannot be parsed), `schema` (unknown key, wrong type), `build` (a build-time check) or
    `capability` (an unknown capability). `hint` is a suggestion ("did you mean 'noNewPrivileges'?") or "". `stops` says
    whether LinuxKit refuses the spec as it reads it, or stops later, at the container or file that it concerns. `cure`
    is what to change, where that is known.
    """

    kind: Literal["yaml", "schema", "build", "capability"]
    message: str
    place: Place
    hint: str = ""
    stops: Literal["spec", "build"] = "spec"
    cure: Cure | None = None


class Spec(NamedTuple):
    """A LinuxKit spec, or a package's build.yml, as a whole.

    `sections` maps each top-level key to the place of that key (`trust`, `services` …). `violations` holds every
    reason to refuse it, its containers' included; `text` is the document itself, for snippets. `value` is what
    LinuxKit's types hold of it, before anything is joined or merged; `find` gives the place of a value in it.
    `ignored` is where a further document starts, which LinuxKit never reads.
    """

    place: Place
    kind: Literal["spec", "package"]
    text: str
    sections: Mapping[str, Place]
    violations: tuple[Violation, ...] = ()
    value: Mapping[str, Any] = {}
    find: Callable[[tuple[str | int, ...]], Place] | None = None
    ignored: Place | None = None

    def at(self, *path: str | int) -> Place:
        """The place of the value that a path of keys and indices leads to: `("services", 2, "binds", 0)`."""
        return self.find(path) if self.find else self.place


ReferenceClass = Literal[
    "digest", "content-tag", "dirty-tag", "version-tag", "latest", "untagged", "placeholder", "package"
]


class ImageReference(NamedTuple):
    """A reference to a container image, and what pins it.

    `role` is the key that holds it: `kernel`, `init`, `onboot`, `onshutdown`, `services`, `volumes`. `name` is what
    stands before the tag, as written; `repository` is the same with its registry (`docker.io/library/redis`), "" where
    a template or a local package stands. `kind`: `digest` (anything behind an @), `content-tag` (40 hexadecimal
    digits, a git tree hash), `dirty-tag` (the same with -dirty), `version-tag` (any other), `latest`, `untagged`,
    `placeholder` (filled in by somebody's template), `package` (@pkg:, built from a local folder). `known` is the
    digest that this machine knows for the tag, "" where it knows none, and `source` says from where: `lock` (the lock
    file) or `cache` (an image cache, which may also hold what no registry has).
    """

    text: str
    name: str
    tag: str
    digest: str
    kind: ReferenceClass
    role: str
    place: Place
    repository: str = ""
    known: str = ""
    source: Literal["", "lock", "cache"] = ""

    @property
    def registry(self) -> str:
        """The host that it is pulled from, with its port if one is given."""
        return self.repository.partition("/")[0]

    def pinned(self, digest: str) -> str:
        """The same by digest. The tag stays, for the reader; where there is none, it is the one that is meant."""
        return f"{self.name}:{self.tag or 'latest'}@{digest}"


class Volume(NamedTuple):
    """A volume that a spec declares, at its name."""

    name: str
    readonly: bool
    place: Place


class Mount(NamedTuple):
    """One mount of a container, as its config.json has it; `options` in their order."""

    destination: str
    type: str
    source: str
    options: tuple[str, ...]

    @property
    def is_bind(self) -> bool:
        """Whether it exposes a path of the host."""
        return self.type == "bind" or "bind" in self.options or "rbind" in self.options

    @property
    def writable(self) -> bool:
        """Whether it can be written through: the last of `ro` and `rw` counts, and `rw` is the default."""
        return next((o for o in reversed(self.options) if o in {"ro", "rw"}), "rw") == "rw"


class _Container(NamedTuple):
    """The fields of `Container`."""

    name: str
    section: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which has no meaning here
    place: Place
    image: ImageReference | None
    label: Label
    oci: Mapping[str, Any]
    runtime: Mapping[str, Any]
    origins: Mapping[str, Origin]
    error: str = ""
    restated: Mapping[str, Place] = {}


class Container(_Container):
    """A container with its effective configuration: what LinuxKit writes, or wrote, into its config.json.

    `oci` and `runtime` are shaped as in the OCI runtime specification and LinuxKit's runtime.json; readers guarantee
    the types of all that the accessors below touch. `origins` is keyed by the spec's key (`pid`, `capabilities`) and,
    where items can differ, by key and item: `capabilities:CAP_SYS_ADMIN`, `binds:/run` and `mounts:/run` and
    `tmpfs:/run` (by destination), `devices:0`, `env:0` (by index). `capabilities.add` and `binds.add` are there only
    where the plain key makes LinuxKit ignore them. `place` is its entry: the value of `name` in a
    spec, config.json in an image. `error` is LinuxKit's reason not to build it. `restated` are the keys of the spec
    that give what the label gives anyway, each with its place.
    """

    @property
    def title(self) -> str:
        """`services/sshd`: stable across rebuilds and moved lines."""
        return f"{self.section}/{self.name}"

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """The bounding set: all it can ever hold (LinuxKit gives the same to inheritable and permitted)."""
        return frozenset(self._capability_set("bounding"))

    @property
    def ambient(self) -> frozenset[str]:
        """The ambient set: kept across execve by a process that is not root."""
        return frozenset(self._capability_set("ambient"))

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """Every mount, LinuxKit's own included, in the order in which they are made."""
        return tuple(
            Mount(
                m.get("destination", ""),
                m.get("type", ""),
                m.get("source", ""),
                tuple(m.get("options") or ()),
            )
            for m in self.oci.get("mounts") or ()
        )

    @property
    def env(self) -> tuple[str, ...]:
        """The environment, as NAME=value."""
        return tuple(self._process.get("env") or ())

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments of the process; empty when the spec leaves it to an image that was not read."""
        return tuple(self._process.get("args") or ())

    @cached_property
    def uid(self) -> int:
        """The numeric user of the process."""
        return int((self._process.get("user") or {}).get("uid") or 0)

    @property
    def readonly(self) -> bool:
        """Whether its root filesystem is read-only."""
        return bool((self.oci.get("root") or {}).get("readonly"))

    @property
    def no_new_privileges(self) -> bool:
        """Whether execve can never grant it more."""
        return bool(self._process.get("noNewPrivileges"))

    @property
    def devices(self) -> tuple[Mapping[str, Any], ...]:
        """The device cgroup's allow list: type (a, b, c), major and minor (absent: any), access."""
        return tuple((self._linux.get("resources") or {}).get("devices") or ())

    @property
    def masked_paths(self) -> tuple[str, ...]:
        """Paths that it cannot read."""
        return tuple(self._linux.get("maskedPaths") or ())

    def namespace(self, kind: str) -> str:
        """`host`, `new`, or the path that is joined; `kind` as in OCI: network, ipc, uts, pid, user, mount, cgroup."""
        return self._namespaces.get(kind, "host")

    def origin(self, key: str, item: str | None = None) -> Origin:
        """Where `key` (or one item of it) came from; LinuxKit's default when nothing sets it."""
        found = self.origins.get(f"{key}:{item}") if item is not None else None
        return (
            found or self.origins.get(key) or Origin("image" if self.label.kind == "built" else "default", self.place)
        )

    @cached_property
    def _namespaces(self) -> Mapping[str, str]:
        """By kind; the first of a kind counts."""
        listed = self._linux.get("namespaces") or ()
        return {one.get("type", ""): one.get("path") or "new" for one in reversed(listed)}

    @property
    def _process(self) -> Mapping[str, Any]:
        return self.oci.get("process") or {}

    @property
    def _linux(self) -> Mapping[str, Any]:
        return self.oci.get("linux") or {}

    def _capability_set(self, name: str) -> tuple[str, ...]:
        return tuple((self._process.get("capabilities") or {}).get(name) or ())


FileKind = Literal["file", "dir", "symlink", "hardlink", "char", "block", "fifo", "socket"]


class File(NamedTuple):
    """One entry of a file tree: a file of the image, or one that a spec's `files:` will write.

    `path` has no leading slash; bytes that are not UTF-8 stand as surrogates (os.fsdecode). `mode` is the twelve
    permission bits. `read(limit)` gives up to `limit` bytes of the content, and is None where the content is not
    known (a spec's `source:`); it is valid only until the next subject is asked for. So is `pieces`, which gives the
    whole content bit by bit, once, and uses it up; None where the content is still to be read as a layer. `again` gives
    the same and uses nothing up, or gives None where nothing can be read twice. `packed` gives it as it lies in the
    image, for somebody else to unpack, or None. `source` and `location` are LinuxKit's
    own provenance (the image it came from, `services[2]`), "" where the format drops it. `replaces`: the same path was
    met before in the same tree; the last one counts, and what was found on the earlier one is void. `parts` are the
    places of its keys in a spec (`mode`, `contents`, `source` …), None in an image. `folders` are those above it that
    LinuxKit writes for it into the image, with its owner and its mode (of paths of up to 512 characters).
    """

    path: str
    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int
    place: Place
    target: str = ""
    xattrs: Mapping[str, bytes] = {}
    source: str = ""
    location: str = ""
    read: Callable[[int], bytes] | None = None
    replaces: bool = False
    parts: Mapping[str, Place] | None = None
    folders: tuple[str, ...] = ()
    pieces: Callable[[], Iterator[bytes]] | None = None
    again: Callable[[], Iterator[bytes] | None] | None = None
    packed: Callable[[], Any] | None = None

    @property
    def container(self) -> str:
        """`services/sshd` when it lies in a container's own tree, "" in the root filesystem."""
        parts = self.path.split("/", 3)
        return f"{parts[1]}/{parts[2]}" if parts[0] == "containers" and len(parts) == 4 else ""  # noqa: PLR2004

    @property
    def inner(self) -> str:
        """The path below the root directory that it is seen from: the container's own in its tree, else the image's."""
        parts = self.path.split("/", 4)
        is_in_tree = len(parts) == 5 and parts[0] == "containers" and parts[3] in {"rootfs", "lower"}  # noqa: PLR2004
        return parts[4] if is_in_tree else self.path


class Directory(NamedTuple):
    """A folder that the loader looks into for libraries, as RPATH or RUNPATH has it, and what it is in the image.

    `state`: `fine`, `writable` (by others than root, `path` being the folder that is), `missing`, `relative` (to where
    the program is started: the working folder), `temporary` (below /tmp and its like, where anybody writes),
    `foreign` (left from a build: below /home, /build), `unknown` (no tree is known, or a name that only the loader
    fills in).
    """

    written: str
    path: str
    state: Literal["fine", "writable", "missing", "relative", "temporary", "foreign", "unknown"]


class Use(NamedTuple):
    """What a container makes of a program or library in its tree, whose `path` is that of the file.

    `role`: `process` (it starts it), `library` (what it starts needs it), `idle` (what it starts is another program,
    which can start nothing), `unknown`. `listens`: what it starts can accept connections.
    """

    path: str
    container: Container
    role: Literal["process", "library", "idle", "unknown"]
    listens: bool = False


class Binary(NamedTuple):
    """An ELF file and what its program headers and dynamic section prove about its hardening.

    `kind`: `exec` (not PIE), `pie`, `static-pie`, `static` (not PIE), `dso`, `object`, `debug` (symbols only),
    `damaged` (it breaks off or contradicts itself, so nothing is decided). `relro`: none, partial, full, static (no
    lazy binding to protect), na or undecided. `rwx` names the segments that are both writable and executable.
    `evidence` maps a property (`relro`, `nx`, `pie`, `rwx`, `textrel`, each of `answers`) to the fact that decides it,
    in readelf's words; `answers` tell how it was compiled and linked, by the properties that hardening.py lists. `made`
    is what made it (`Go 1.19.8 with C`, `Rust`, `GCC 12.2.0`), `libc` whose C library it uses (`glibc`, `musl`), both
    "" where that is not told. `calls`: `exec`, `dlopen`, `listen`, where it imports functions of that kind. `search` is
    RPATH or RUNPATH in parts. `symbols` are the bytes of symbols and of what debuggers read, which nothing loads.

    What the whole image tells is added in the end, when the content is at hand no more: `copies` are other files of the
    same content, `directories` what `search` leads to, and `uses` what containers that have it make of it.
    """

    file: File
    machine: str
    bits: int
    kind: Literal["exec", "pie", "static-pie", "static", "dso", "object", "debug", "damaged"]
    interpreter: str
    needed: tuple[str, ...]
    relro: Literal["none", "partial", "full", "static", "na", "undecided"]
    nx: Yes
    rwx: tuple[str, ...]
    textrel: bool
    evidence: Mapping[str, str]
    soname: str = ""
    search: tuple[str, ...] = ()
    answers: Mapping[str, Answer] = {}
    made: str = ""
    libc: str = ""
    calls: tuple[str, ...] = ()
    symbols: int = 0
    copies: tuple[File, ...] = ()
    directories: tuple[Directory, ...] = ()
    uses: tuple[Use, ...] = ()

    @property
    def place(self) -> Place:
        """The file's."""
        return self.file.place

    def answer(self, name: str) -> Answer:
        """The answer for a property; `undecided` where nobody asked."""
        return self.answers.get(name, "undecided")

    @property
    def files(self) -> tuple[File, ...]:
        """All files of this content, the first one first."""
        return (self.file, *self.copies)


class KernelModule(NamedTuple):
    """A loadable kernel module: `info` holds the pairs of its .modinfo section (license, vermagic, intree …)."""

    file: File
    name: str
    info: Mapping[str, str]
    signed: bool

    @property
    def place(self) -> Place:
        """The file's."""
        return self.file.place


class EfiProgram(NamedTuple):
    """A program that the firmware starts: a boot loader, a driver, a kernel or a unified kernel image.

    `subsystem`: `application`, `boot driver`, `runtime driver` or `ROM`. `alignment` is that of its sections in memory,
    in bytes. `writable_code` names the sections that are both writable and executable, `misaligned` those that start
    within a page. `nx` is whether it claims to need no writable code (NX_COMPAT). `sbat` are its components with their
    generations (`shim,4`), None where it has no such section. `certificates` counts what is attached; `signature` is
    what became of them: `matches` these bytes, `broken` (none does), `unread`, `none`; `signers` are the names on them.
    """

    file: File
    machine: str
    subsystem: str
    alignment: int
    writable_code: tuple[str, ...]
    misaligned: tuple[str, ...]
    nx: bool
    sbat: tuple[str, ...] | None
    certificates: int
    signature: Literal["matches", "broken", "unread", "none"] = "none"
    signers: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """The file's."""
        return self.file.place


class Kernel(NamedTuple):
    """A kernel image.

    `version` is the release (`6.12.59-linuxkit`), `banner` the line that starts with "Linux version". `config` maps
    option names without CONFIG_ to `y`, `m`, `n` (is not set) or the value's text; it is None when no configuration
    was found, and `config_source` says where it came from (`IKCONFIG`, a path) or why there is none. `config_text`
    is the configuration byte for byte. `initramfs` is a root file system built in, while it is still to be read.
    `traces` are, where there is no configuration, options that the kernel probably has: each with the text in it that
    suggests so.
    """

    place: Place
    version: str
    banner: str
    arch: str
    format: str
    compression: str
    config: Mapping[str, str] | None = None
    config_source: str = ""
    config_text: bytes = b""
    initramfs: bytes = b""
    traces: tuple[tuple[str, str], ...] = ()


_WORD = late(r'(\s+)|[^\s"]+|"[^"]*"?')


class KernelCommandLine(NamedTuple):
    """A kernel command line and the file it was found in (kernel.cmdline of a spec, boot/cmdline, isolinux.cfg …).

    Of one that is built into a kernel `built_in` holds. `ignored` says why the kernel never heeds it, "" where it does.
    `overridden` are the parameters in it, with `_` for `-`, that are given again behind it, so that they don't count.
    """

    place: Place
    text: str
    built_in: bool = False
    ignored: str = ""
    overridden: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[tuple[str, str | None], ...]:
        """Its arguments in order: (name, value), the value None where there is no `=`. Stops at `--` (init's own).

        As in the kernel, double quotes hold an argument together and are no part of it.
        """
        found: list[tuple[str, str | None]] = []
        for word in _words(self.text):
            if word == "--":
                break
            name, equals, value = word.replace('"', "").partition("=")
            found.append((name, value if equals else None))
        return tuple(found)


def _words(text: str) -> Iterator[str]:
    """Without a nested repetition in the pattern, which would cost memory for each of its turns."""
    if '"' not in text:
        yield from text.split()
        return
    word = ""
    for part in _WORD.finditer(text):
        if not part[1]:
            word += part[0]
        elif word:
            yield word
            word = ""
    if word:
        yield word


class Sysctl(NamedTuple):
    """One file of kernel settings: (name with dots, value, line number) in file order.

    `settings` is None where the content is not known (a spec's `source:`). `path` is as in `File`.
    """

    place: Place
    settings: tuple[tuple[str, str, int], ...] | None
    path: str = ""


class PeeledLayer(NamedTuple):
    """A layer of an image, in the order in which they are met: what is of greater `depth` behind it lies in it.

    `place` is the file that it is in, or what that is called (`image.iso / boot/initrd.img`). `offset` and `size` are
    bytes in the layer that holds it, -1 where a stream does not tell; `entries` is how many a tree has of its own.
    """

    place: Place
    format: str
    depth: int
    offset: int = -1
    size: int = -1
    entries: int = 0

    @property
    def is_in_memory(self) -> bool:
        """Whether the kernel unpacks its files into memory, as it does with an initramfs."""
        return self.format == "cpio"


class Owners(NamedTuple):
    """How many files of a root file system belong to a user or group, and the first of them."""

    number: int
    files: int
    paths: tuple[str, ...]


class Needless(NamedTuple):
    """Files of a root file system that running it does not take: their kind, number, bytes, and the three largest."""

    kind: str
    files: int
    size: int
    paths: tuple[str, ...]


class Link(NamedTuple):
    """A symbolic link that leads nowhere, or out of its root file system.

    `missing` is the path below the root directory that is not there, as far as it was followed, "" where it leads to
    something; `climbs`: its target has more steps up than there are directories above it.
    """

    path: str
    target: str
    missing: str
    climbs: bool


class Rootfs(NamedTuple):
    """One root file system of an image as a whole: the image's own (or a layer's), or that of a container.

    Paths are below its root directory. `container` is `services/web`, "" for the image's own. `tops` are the names in
    the root directory. `texts` are the first 64 KiB of the files that rules read together (accounts, sshd, `.conf`),
    None where a spec does not tell them, which has no more than such files, with their `places`. `programs` maps what
    can be run to what it is: `program`, the first line of a script (`#!/bin/sh`), or a link (`-> busybox`). `links`
    are those that lead nowhere or out. `users` and `groups` own its files. `needless` are those to build,
    to read about or to install it with, by kind. `is_whole`: all of it was kept; what is left out exceeds what real
    systems have.
    """

    place: Place
    container: str
    files: int
    tops: frozenset[str]
    texts: Mapping[str, bytes | None]
    programs: Mapping[str, str] = {}
    links: tuple[Link, ...] = ()
    users: tuple[Owners, ...] = ()
    groups: tuple[Owners, ...] = ()
    is_whole: bool = True
    places: Mapping[str, Place] = {}
    needless: tuple[Needless, ...] = ()

    @property
    def title(self) -> str:
        """`services/web`, or the layer or container image that it is in, or `the root filesystem`."""
        return self.container or " / ".join(self.place.artifacts[1:]) or "the root filesystem"

    def path(self, inner: str) -> str:
        """A path below its root directory, as File has it."""
        return f"{self.place.artifacts[-1]}/{inner}" if self.container else inner

    def at(self, inner: str) -> Place:
        """The place of a file in it."""
        outer = self.place.artifacts[:-1] if self.container else self.place.artifacts
        return self.places.get(inner) or Place((*outer, self.path(inner)))


class System(NamedTuple):
    """The whole of one input: what rules that need all of it look at; always the last subject of an input.

    `kind`: `spec`, `package` or `image`; `is_linuxkit` whether an image bears LinuxKit's marks. `format` names the
    layers that were peeled (`ISO 9660 (Rock Ridge) > gzip > cpio`). `files`, `binaries`: how many were seen. `images`
    and `volumes` are a spec's, `layers` an image's; of `roots` a spec has what it writes for sshd. `kernel_modules` are
    modules without their aliases and the like, some 30,000 at most.
    """

    place: Place
    kind: Literal["spec", "package", "image"]
    is_linuxkit: bool
    format: str
    containers: tuple[Container, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    command_lines: tuple[KernelCommandLine, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    files: int = 0
    binaries: int = 0
    modules: int = 0
    images: tuple[ImageReference, ...] = ()
    volumes: tuple[Volume, ...] = ()
    layers: tuple[PeeledLayer, ...] = ()
    roots: tuple[Rootfs, ...] = ()
    kernel_modules: tuple[KernelModule, ...] = ()


Subject = (
    Spec
    | ImageReference
    | Container
    | File
    | Binary
    | KernelModule
    | EfiProgram
    | Kernel
    | KernelCommandLine
    | Sysctl
    | System
)
