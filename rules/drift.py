"""Family D: whether an image is what LinuxKit would have built from its spec."""

import json
from collections.abc import Iterator, Mapping, Sequence

from ..scanner.builds import Build, Content, Pair, Row, Written
from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Container, Place
from .engine import Location, Outcome, Severity, Verdict, fail, not_applicable, partial, proved, rule, undecided
from .origins import note

_SHOWN = 160
"""Characters of a value that a message shows."""
_LISTED = 10
"""Paths that the evidence lists."""
_SETS = frozenset({"effective", "bounding", "inheritable", "permitted", "ambient"})
"""Lists in config.json whose order means nothing."""
_LATEST = frozenset({"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"})
"""What earlier releases of LinuxKit did not know, so that their `all` has it not."""
_BY = {"mounts": "destination", "namespaces": "type", "rlimits": "type"}
"""Lists whose items are told apart by a key."""
_OF_IMAGE = ("command", "env", "cwd")
"""What an image's own configuration sets where neither spec nor label does."""
_MOUNTS = ("tmpfs", "binds", "mounts")
"""The keys that mount, in the order in which a later one takes the place of an earlier one's mount."""
_KEYS = {
    "process.args": ("command",),
    "process.env": ("env",),
    "process.cwd": ("cwd",),
    "process.user.uid": ("uid",),
    "process.user.gid": ("gid",),
    "process.user.additionalGids": ("additionalGids",),
    "process.capabilities.effective": ("capabilities",),
    "process.capabilities.ambient": ("ambient",),
    "process.capabilities": ("capabilities", "ambient"),
    "process.rlimits": ("rlimits",),
    "process.noNewPrivileges": ("noNewPrivileges",),
    "process.oomScoreAdj": ("oomScoreAdj",),
    "root.readonly": ("readonly",),
    "hostname": ("hostname",),
    "annotations": ("annotations",),
    "mounts./dev": ("readonly", *_MOUNTS),
    "mounts./sys": ("readonly", *_MOUNTS),
    "mounts": _MOUNTS,
    "linux.uidMappings": ("uidMappings",),
    "linux.gidMappings": ("gidMappings",),
    "linux.sysctl": ("sysctl",),
    "linux.resources.devices": ("resources", "devices"),
    "linux.resources": ("resources",),
    "linux.cgroupsPath": ("cgroupsPath",),
    "linux.rootfsPropagation": ("rootfsPropagation",),
    "linux.maskedPaths": ("maskedPaths",),
    "linux.readonlyPaths": ("readonlyPaths",),
    "linux.devices": ("devices",),
    "linux.namespaces.network": ("net",),
    "linux.namespaces.ipc": ("ipc",),
    "linux.namespaces.uts": ("uts",),
    "linux.namespaces.pid": ("pid",),
    "linux.namespaces.user": ("userns",),
}
"""Which keys of spec and label decide a field; what is in none of them, LinuxKit decides alone."""
_RUNTIME = ("cgroups", "mounts", "mkdir", "interfaces", "bindNS", "namespace")


def _is_buildable(build: Build) -> bool:
    """Whether LinuxKit builds from the spec; where it refuses it, one rule says so."""
    return not build.refused


# --- containers


@rule(
    "LKD001",
    "container-missing-in-image",
    Severity.HIGH,
    "Container '{0}' of the spec is not in the image.",
    remedy="Build the image anew from this spec, or hold it against the one that it was built from.",
    nist=("3.1.2",),
    about=_is_buildable,
)
def container_missing_in_image(build: Build) -> Iterator[Verdict]:
    """The spec asks for a container that the image does not have."""
    for pair in build.pairs:
        if pair.built is None:
            lacking = f"{pair.folder} is not there"
            verdict = _fail(pair.title, build.place, pair.line, pair.title, key="missing", evidence=(lacking,))
            yield _as_far_as_read(build, verdict)


@rule(
    "LKD002",
    "container-added-to-image",
    Severity.HIGH,
    "Container '{0}' of the image is not in the spec.",
    remedy="Find out who added it; build the image anew from the spec.",
    nist=("3.4.5",),
    about=_is_buildable,
)
def container_added_to_image(build: Build) -> Iterator[Verdict]:
    """The image has a container that the spec does not ask for."""
    for pair in build.pairs:
        if pair.expected is None and pair.built is not None:
            yield _fail(pair.title, pair.built.place, build.spec, pair.title, key="added")


@rule(
    "LKD003",
    "container-configured-otherwise",
    Severity.HIGH,
    "Container '{0}' has '{1}' = '{2}'; from the spec, LinuxKit makes it '{3}'.",
    remedy="Find out what changed it, or its image's label; build the image anew from the spec.",
    nist=("3.1.2", "3.4.3"),
)
def container_configured_otherwise(build: Build) -> Iterator[Verdict]:
    """A container's configuration is not the one that LinuxKit would have built from the spec."""
    if build.refused:
        yield _refused(build)
        return
    if not build.pairs:
        yield not_applicable("image", build.place, "Neither the spec nor the image has a container.")
        return
    known = [pair for pair in build.pairs if pair.expected and pair.built]
    verdicts = [one for pair in known for one in _configured(pair)]
    yield from verdicts
    if verdicts or len(known) < len(build.pairs):
        return
    number = f"{len(known)} container{'s' * (len(known) != 1)}"
    listed = [pair.title for pair in known]
    if doubts := [(pair, open_) for pair in known if (open_ := _open(pair))]:
        reason = f"{number}, configuration equal to the spec's, but for what labels or images set that are not known."
        evidence = [f"{pair.title}: {', '.join(keys)}. {_why(pair, keys)}" for pair, keys in doubts]
        yield partial("image", build.place, reason, key="configured", evidence=evidence)
    else:
        yield proved("image", build.place, f"{number}, configuration equal to the spec's.", evidence=listed)


def _why(pair: Pair, keys: Sequence[str]) -> str:
    """Why something of a container is not known."""
    image = _image(pair)
    if set(keys) <= set(_OF_IMAGE):
        return f"What '{image}' itself sets is not known: a cache (--cache) that holds it tells."
    return f"The label of '{image}' is not known: --cache or --packages can tell it."


def _image(pair: Pair) -> str:
    return pair.expected.image.text if pair.expected and pair.expected.image else pair.title


class _Difference(NamedTuple):
    """A field that is otherwise; `pointer` leads to it in its file, a value is None where there is none."""

    pointer: str
    found: Any
    wanted: Any


def _configured(pair: Pair) -> Iterator[Verdict]:
    """The fields of one container that are certainly otherwise."""
    expected, built = pair.expected, pair.built
    if expected is None or built is None:
        return
    if expected.error:
        reason = f"LinuxKit does not build container '{pair.title}' from this spec: {expected.error}."
        yield undecided(pair.title, built.place, reason, key="configured")
        return
    open_ = _open(pair)
    folder = built.place.artifacts[-1].rpartition("/")[0]
    if folder != pair.folder:
        order = _Difference("order", folder, pair.folder)
        yield _differs(pair, order, built.place)
    for difference in differences(_plain(pair.oci), _plain(built.oci)):
        if not _decided_by(difference.pointer, open_):
            yield _differs(pair, difference, built.place)
    runtime = built.place._replace(artifacts=(*built.place.artifacts[:-1], f"{folder}/runtime.json"))
    for difference in differences(_plain(pair.runtime), _plain(built.runtime)):
        if f"runtime.{difference.pointer.partition('.')[0]}" not in open_:
            yield _differs(pair, difference._replace(pointer=f"runtime.{difference.pointer}"), runtime)


def _differs(pair: Pair, one: _Difference, at: Place) -> Verdict:
    place = Place(at.artifacts, None, one.pointer.removeprefix("runtime."))
    told = (pair.title, one.pointer, _told(one.found), _told(one.wanted))
    line = _line(pair, one.pointer)
    verdict = fail(pair.title, place, *told, related=(line,), key=one.pointer)
    if pair.expected and any(_is_of_label(pair.expected, key) for key in _keys(one.pointer)):
        detail = f"The label of '{_image(pair)}' has a part in it ({pair.expected.label.detail})."
        verdict = verdict._replace(evidence=(detail,))
    return verdict


def _line(pair: Pair, pointer: str) -> Location:
    """Where the spec sets a field, or names the image whose label does."""
    expected = pair.expected
    if expected is not None:
        targets = [one.destination for one in expected.mounts if f"{pointer}.".startswith(f"mounts.{one.destination}.")]
        for key in (*(f"mounts:{one}" for one in sorted(targets, key=len)[-1:]), *_keys(pointer)):
            origin = expected.origins.get(key)
            if origin and origin.source in {"spec", "label"}:
                return Location(origin.place, note(expected, origin))
    return Location(pair.line, "as the spec has it")


def _is_of_label(container: Container, key: str) -> bool:
    origin = container.origins.get(key)
    return origin is not None and origin.source == "label"


def _told(value: Any) -> str:  # noqa: ANN401 - JSON holds anything
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _open(pair: Pair) -> tuple[str, ...]:
    """The keys that an unknown label or image may set, as the spec leaves them alone; of runtime.json `runtime.KEY`."""
    expected = pair.expected
    if expected is None:
        return ()
    given = pair.given
    if not pair.is_label_known:
        keys = dict.fromkeys(key for listed in _KEYS.values() for key in listed)
        runtime = given.get("runtime") or {}
        lacking = [key for key in keys if not _is_given(given, key)]
        return (*lacking, *(f"runtime.{key}" for key in _RUNTIME if key not in runtime))
    if pair.is_image_known:
        return ()
    return tuple(key for key in _OF_IMAGE if not _is_given(given, key) and not _is_of_label(expected, key))


def _is_given(given: Mapping[str, Any], key: str) -> bool:
    """Whether the spec itself sets a key: an empty text, as of `net`, sets nothing."""
    return key in given and (bool(given[key]) or not isinstance(given[key], str))


def _keys(pointer: str) -> tuple[str, ...]:
    """The keys that decide a field of config.json."""
    if pointer.startswith("runtime."):
        return ("runtime",)
    if pointer.startswith("mounts."):
        own = [name for name in ("mounts./dev", "mounts./sys") if pointer in {name, f"{name}.options"}]
        return _KEYS[own[0] if own else "mounts"]
    while pointer and pointer not in _KEYS:
        pointer = pointer.rpartition(".")[0]
    return _KEYS.get(pointer, ())


def _decided_by(pointer: str, open_: Sequence[str]) -> bool:
    """Whether a field hangs on a key that is open."""
    return not set(_keys(pointer)).isdisjoint(open_)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON holds anything
    """The same without what Go's JSON leaves out, and without the version of the OCI specification.

    That is the one of the LinuxKit that built the image, and in no spec.
    """
    if isinstance(value, Mapping):
        parts = {key: _plain(one) for key, one in value.items() if key != "ociVersion"}
        return {key: one for key, one in parts.items() if one not in (None, "", [], {}) and one is not False}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def differences(wanted: Any, found: Any, pointer: str = "") -> Iterator[_Difference]:  # noqa: ANN401 - as above
    """The fields in which two values differ, each by the path that leads to it."""
    key = pointer.rpartition(".")[2]
    if isinstance(wanted, list) and isinstance(found, list) and (by := _BY.get(key)):
        wanted, found = _indexed(wanted, by), _indexed(found, by)
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in (*wanted, *(one for one in found if one not in wanted)):
            inner = f"{pointer}.{name}" if pointer else str(name)
            yield from differences(wanted.get(name), found.get(name), inner)
    elif not _is_same(key, wanted, found):
        yield _Difference(pointer, found, wanted)


def _indexed(items: Sequence[Any], by: str) -> dict[str, Any]:
    """Items of a list by what tells them apart; of several that are alike, each by its number, too."""
    found: dict[str, Any] = {}
    for one in items:
        name = str(one.get(by, "")) if isinstance(one, dict) else str(one)
        number = 1
        while (key := name if number == 1 else f"{name}[{number}]") in found:
            number += 1
        found[key] = one
    return found


def _is_same(key: str, wanted: Any, found: Any) -> bool:  # noqa: ANN401 - as above
    if key in _SETS and isinstance(wanted, list) and isinstance(found, list):
        lacking = set(map(str, wanted)) - set(map(str, found))
        earlier = lacking == _LATEST and len(wanted) == len(found) + len(_LATEST) > len(_LATEST) + _LISTED
        return sorted(map(str, wanted)) == sorted(map(str, found)) or (earlier and set(found) <= set(wanted))
    return bool(wanted == found)


# --- files


@rule(
    "LKD004",
    "file-of-spec-differs",
    Severity.HIGH,
    {
        "default": "'{0}' has another content in the image ('{1}') than the spec gives it ('{2}').",
        "kind": "'{0}' is a '{1}' in the image; the spec makes it a '{2}'.",
        "target": "'{0}' leads to '{1}' in the image; the spec has it lead to '{2}'.",
        "mode": "'{0}' has the mode '{1}' in the image; the spec makes it '{2}'.",
        "owner": "'{0}' belongs to '{1}' in the image; the spec makes it '{2}'.",
        "spec": "The spec that LinuxKit wrote into the image as '{0}' is another one: it has '{1}' otherwise.",
        "missing": "'{0}' is not in the image, though the spec has it written.",
    },
    remedy="Find out what changed the file; build the image anew from the spec.",
    nist=("3.1.2",),
    about=_is_buildable,
)
def file_of_spec_differs(build: Build) -> Iterator[Verdict]:
    """A file that `files` has written is missing, or has another content, mode or owner."""
    if not build.written:
        yield not_applicable("image", build.place, "The spec has no 'files'.")
        return
    verdicts = [_as_far_as_read(build, one) for written in build.written for one in _written(written)]
    yield from verdicts
    doubts = [one for one in build.written if one.doubt]
    for one in doubts:
        yield undecided(
            one.path, one.place, f"The content of '{one.path}' is not compared: {one.doubt}.", key="content"
        )
    files = [one for one in build.written if one.found]
    if not verdicts and files:
        what = (
            "content, mode and owner" if not doubts else f"mode and owner, and content of {len(files) - len(doubts)},"
        )
        plural = "s" * (len(files) != 1)
        yield proved(
            "image", build.place, f"{len(files)} path{plural} of 'files', {what} equal to the spec's.", key="files"
        )


def _written(one: Written) -> Iterator[Verdict]:
    """What is otherwise about one path."""
    if one.found is None:
        if not one.optional:
            yield _fail(one.path, one.place, one.line, one.path, variant="missing", key="missing")
        return
    if one.other:
        yield _fail(one.path, one.place, one.line, one.path, one.other, variant="spec", key="spec")
    for name, found, wanted in _compared(one.found, one.wanted):
        if name != "default" or not one.doubt:
            yield _fail(one.path, one.place, one.line, one.path, found, wanted, variant=name, key=name)


def _compared(found: Row, wanted: Row) -> Iterator[tuple[str, str, str]]:
    """What of a file differs: its name, and both values."""
    if found.kind != wanted.kind:
        yield "kind", found.kind, wanted.kind
        return
    if wanted.kind == "symlink":
        if found.target != wanted.target:
            yield "target", found.target, wanted.target
    elif found.mode != wanted.mode:
        yield "mode", f"{found.mode:04o}", f"{wanted.mode:04o}"
    if (found.uid, found.gid) != (wanted.uid, wanted.gid):
        yield "owner", f"{found.uid}:{found.gid}", f"{wanted.uid}:{wanted.gid}"
    if wanted.kind == "file" and (found.size, found.sha256) != (wanted.size, wanted.sha256):
        yield "default", _content(found), _content(wanted)


def _content(row: Row) -> str:
    return f"{row.size} bytes, SHA-256 {row.sha256[:16] or 'not known'}"


@rule(
    "LKD005",
    "unexplained-file",
    Severity.HIGH,
    "No component of the spec brings '{0}'.",
    remedy="Find out who added it; build the image anew from the spec.",
    nist=("3.1.3",),
    about=_is_buildable,
)
def unexplained_file(build: Build) -> Iterator[Verdict]:
    """The image has a file that no component of the spec brings."""
    for stray in build.strays:
        more = [f"and {stray.number - 1} more"] if stray.number > 1 else []
        yield _fail(stray.path, stray.place, build.spec, stray.path, evidence=(stray.reason, *more))
    if build.unexplained:
        yield undecided("image", build.place, build.unexplained)


@rule(
    "LKD008",
    "content-differs-from-cache",
    Severity.HIGH,
    "'{0}' brought something else into the image than the cache has under this name: '{1}' of '{2}' paths differ.",
    remedy="Find out which of them is right; pin the image by its digest, and build anew.",
    nist=("3.1.3", "3.1.5"),
    about=_is_buildable,
)
def content_differs_from_cache(build: Build) -> Iterator[Verdict]:
    """What an image brought is not what the cache holds under the same name."""
    if not build.contents:
        yield not_applicable("image", build.place, "No cache was given (--cache) to hold the content against.")
        return
    for one in build.contents:
        yield from (_as_far_as_read(build, verdict) for verdict in _against_cache(one))
    same = [one for one in build.contents if not one.doubt and not one.differing]
    if len(same) == len(build.contents):
        paths = sum(one.compared for one in same)
        plural = "s" * (len(same) != 1)
        reason = f"{len(same)} image{plural}, {paths:,} paths, content equal to the cache's."
        yield proved("image", build.place, reason, key="contents", evidence=[one.image for one in same])


def _against_cache(one: Content) -> Iterator[Verdict]:
    if one.doubt:
        yield undecided(
            one.title, one.place, f"The content of '{one.image}' is not compared: {one.doubt}.", key=one.title
        )
    elif one.differing:
        number = len(one.differing)
        more = [f"and {number - _LISTED} more"] if number > _LISTED else []
        listed = (*one.differing[:_LISTED], *more)
        told = (one.image, str(number), str(one.compared))
        yield _fail(one.title, one.place, one.line, *told, key=one.title, evidence=listed)


# --- the kernel


@rule(
    "LKD006",
    "kernel-of-another-build",
    Severity.HIGH,
    {
        "default": "The kernel '{0}' in the image is not the one that the cache has as '{1}'.",
        "version": "The kernel in the image is Linux '{0}'; the spec asks for '{1}'.",
    },
    remedy="Build the image anew from the spec; pin the kernel's image by its digest.",
    nist=("3.1.2", "3.5.3"),
    about=_is_buildable,
)
def kernel_of_another_build(build: Build) -> Iterator[Verdict]:
    """The image has another kernel than the spec asks for."""
    if not build.kernels or not build.kernel or build.kernel_line is None:
        reason = "The image has no kernel." if build.kernel else "The spec has no kernel."
        yield not_applicable("kernel", build.place, reason)
        return
    wanted = _release(build.kernel)
    for one in build.kernels:
        version = one.version.partition("-")[0]
        if one.cached == "another":
            yield _fail("kernel", one.place, build.kernel_line, one.version, build.kernel, key="kernel")
        elif wanted and version and wanted != version and not one.cached:
            told = (one.version, build.kernel)
            yield _fail("kernel", one.place, build.kernel_line, *told, variant="version", key="kernel")
        elif not one.cached:
            reason = f"Whether Linux '{one.version}' is that of '{build.kernel}' is not known: a cache (--cache) tells."
            yield undecided("kernel", one.place, reason, key="kernel")
    if all(one.cached == "same" for one in build.kernels):
        yield proved(
            "kernel", build.place, f"The kernel is the one that the cache has as '{build.kernel}'.", key="kernel"
        )


def _release(reference: str) -> str:
    """The release of Linux that the tag of LinuxKit's own kernels names (`6.12.59`), or ""."""
    name, _, tag = reference.partition("@")[0].rpartition(":")
    release = tag.partition("-")[0]
    own = name.removeprefix("docker.io/").startswith("linuxkit/kernel")
    return release if own and release.count(".") > 1 and release.replace(".", "").isdigit() else ""


@rule(
    "LKD007",
    "command-line-of-another-build",
    Severity.HIGH,
    "The kernel is started with '{0}'; from the spec, LinuxKit makes it '{1}'.",
    remedy="Find out who changed it; build the image anew from the spec.",
    nist=("3.1.2", "3.5.3"),
    about=_is_buildable,
)
def command_line_of_another_build(build: Build) -> Iterator[Verdict]:
    """The image starts its kernel with another command line than LinuxKit makes of the spec's."""
    lines = [one for one in build.lines if one.wanted]
    if not lines:
        reason = "The output format heeds none of the spec." if build.lines else "The image has no command line."
        yield not_applicable("kernel", build.place, reason)
        return
    line = build.command_line.place if build.command_line else build.spec
    fails = [
        _fail("kernel", one.line.place, line, one.line.text, one.wanted[0], key="cmdline")
        for one in lines
        if one.line.text.split() not in [text.split() for text in one.wanted]
    ]
    yield from fails
    if not fails:
        yield proved("kernel", lines[0].line.place, "The kernel's command line is that of the spec.", key="cmdline")


# --- what they share


def _fail(
    subject: str,
    at: Place,
    line: Place | None,
    *arguments: str,
    variant: str = "default",
    key: str = "",
    evidence: Sequence[str] = (),
) -> Verdict:
    """The image is otherwise at `at`; `line` is where the spec asks for it, or a trace finds it."""
    related = (Location(line, "as the spec has it"),) if line else ()
    return fail(subject, at, *arguments, related=related, variant=variant, key=key, evidence=evidence)


def _as_far_as_read(build: Build, verdict: Verdict) -> Verdict:
    """What lacks, or is of an image's, may be there or replaced in what was not read."""
    if build.is_whole or verdict.outcome is not Outcome.FAIL:
        return verdict
    reason = f"Whether '{verdict.subject}' is as the spec has it is not known: the image was not read whole."
    return undecided(verdict.subject, verdict.locations[0].place, reason, key=verdict.key)


def _refused(build: Build) -> Verdict:
    return undecided("image", build.place, build.refused)


RULES = (
    container_missing_in_image,
    container_added_to_image,
    container_configured_otherwise,
    file_of_spec_differs,
    unexplained_file,
    kernel_of_another_build,
    command_line_of_another_build,
    content_differs_from_cache,
)
