"""Family S, its third part: what a spec says twice, in vain, or in a way that comes out different elsewhere."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ..scanner.startup import Any
from ..scanner.subjects import SECTIONS, Change, Container, File, Spec
from .engine import Fix, Location, Profile, Severity, Verdict, fail, rule, undecided
from .files import MOUNTED

_DEFECT = ("3.1.2",)
_ONCE = (
    "capabilities",
    "capabilities.add",
    "ambient",
    "binds",
    "binds.add",
    "tmpfs",
    "maskedPaths",
    "readonlyPaths",
    "additionalGids",
)
"""Lists in which an item that is given twice says nothing new."""

_LONGEST = 512
"""Characters of a path whose folders are looked at: a hostile one may have a million."""
_KEYED = frozenset({"binds", "binds.add", "tmpfs"})
"""Those of them that LinuxKit keeps by mount point: the second one leaves no trace in config.json."""

_Step = tuple[str | int, ...]
_Given = tuple[_Step, Mapping[str, Any]]
"""A map that a document holds, and the way to it."""


def _is_sound(spec: Spec) -> bool:
    """Whether LinuxKit reads it: what is wrong besides is worth telling only then."""
    return all(violation.stops != "spec" for violation in spec.violations if violation.kind in {"yaml", "schema"})


def _has_containers(spec: Spec) -> bool:
    return _is_sound(spec) and any(_containers(spec))


def _has_files(spec: Spec) -> bool:
    return _is_sound(spec) and any(_items(spec, "files"))


def _items(spec: Spec, section: str) -> Iterator[_Given]:
    """The maps of a section, each with the way to it."""
    for index, value in enumerate(spec.value.get(section) or ()):
        if isinstance(value, dict):
            yield (section, index), value


def _containers(spec: Spec) -> Iterator[_Given]:
    """What a document says of containers: those of a spec, or the `config` of a package."""
    if isinstance(config := spec.value.get("config"), dict):
        yield ("config",), config
    for section in SECTIONS:
        yield from _items(spec, section)


def _title(spec: Spec, steps: _Step, value: Mapping[str, Any]) -> tuple[str, str]:
    """`services/sshd` and `sshd`; a package's container bears its image's name."""
    name = str(value.get("name") or spec.value.get("image") or "")
    return f"{steps[0] if len(steps) > 1 else 'package'}/{name}", name


# --- said twice


@rule(
    "LKS010",
    "repeated-item",
    Severity.LOW,
    {
        "default": "Container '{0}' lists '{1}' twice in '{2}'.",
        "mount": "Container '{0}' mounts on '{1}' twice: only the last mount counts.",
        "env": "Container '{0}' sets '{1}' twice: only the last value counts.",
    },
    remedy="Keep the one that is meant.",
    nist=("3.4.3",),
    about=_has_containers,
    autofix="safe",
)
def repeated_item(spec: Spec) -> Iterator[Verdict]:
    """A container lists a capability, bind, mount point or environment variable twice.

    Of mounts only those of one list: hidden-mount tells of those that different lists, or spellings, put on one place.
    """
    for steps, value in _containers(spec):
        subject, name = _title(spec, steps, value)
        for variant, key, item, first, again in _repetitions(value):
            related = (Location(spec.at(*steps, *first), "first here"),)
            yield fail(
                subject,
                spec.at(*steps, *again),
                *((name, item, key) if variant == "default" else (name, item)),
                note="again",
                related=related,
                variant=variant,
                key=f"{variant} {key} {item}",
                fix=_once(spec, subject, (steps, value), variant, (first, again)),
            )


def _once(spec: Spec, subject: str, given: _Given, variant: str, places: tuple[_Step, _Step]) -> Fix | None:
    """Drop the one that says nothing: the later of two that are the same, of mounts on one path the earlier.

    `all` and `none` mean another thing as the single item of their list; of two values, nobody knows which is meant.
    """
    steps, value = given
    first, again = (_follow(value, place) for place in places)
    if variant == "mount":
        key = str(places[0][0])
        points = [_destination(key, one) for one in value[key]]
        if points.count(_destination(key, first)) > 2:  # noqa: PLR2004 - a pair
            return None
        return Fix("drop the mount that is hidden", (Change("remove", spec.at(*steps, *places[0])),))
    if first != again or str(again).lower() in {"all", "none"}:
        return None
    key = str(places[1][0])
    if key in _KEYED:  # of all mounts on one path the last one counts: the earlier of two that are the same never does
        is_pair = value[key].count(first) == 2  # noqa: PLR2004 - a pair
        return Fix("drop the first one", (Change("remove", spec.at(*steps, *places[0])),)) if is_pair else None
    effects = (f"{subject} {key.removesuffix('.add')}",)
    return Fix("drop the second one", (Change("remove", spec.at(*steps, *places[1])),), effects=effects)


def _follow(value: Any, steps: _Step) -> Any:  # noqa: ANN401 - what a spec holds
    for step in steps:
        value = value[step]
    return value


def _destination(key: str, item: Any) -> str:  # noqa: ANN401 - a text or a map
    """Where an item of a list mounts, as written: LinuxKit compares that. "" where LinuxKit itself fills it in."""
    if key == "mounts":
        return str(item.get("destination", ""))
    parts = str(item).split(":")
    return parts[0] if key == "tmpfs" else "".join(parts[1:2])


def _repetitions(value: Mapping[str, Any]) -> Iterator[tuple[str, str, str, _Step, _Step]]:
    """Variant of the message, list (where the message names it), item, the ways to where it is first and again."""
    for key in _ONCE:
        for found in _twice((str(one), (key, i)) for i, one in enumerate(value.get(key) or ())):
            yield "default", key, *found
    for key in ("tmpfs", "binds", "binds.add", "mounts"):
        for found in _twice(_mount_points(value, key)):
            yield "mount", "", *found
    env = enumerate(value.get("env") or ())
    for found in _twice((one.partition("=")[0], ("env", i)) for i, one in env if "=" in one):  # else it may be a secret
        yield "env", "", *found


def _twice(named: Iterable[tuple[str, _Step]]) -> Iterator[tuple[str, _Step, _Step]]:
    """Every name that was met before, the way to where it was first, and the way to where it is again."""
    first: dict[str, _Step] = {}
    for name, steps in named:
        if name in first:
            yield name, first[name], steps
        first.setdefault(name, steps)


def _mount_points(value: Mapping[str, Any], key: str) -> Iterator[tuple[str, _Step]]:
    """Where the items of one list mount; a text given twice word by word counts once."""
    seen = set()
    for i, item in enumerate(value.get(key) or ()):
        if (destination := _destination(key, item)) and str(item) not in seen:
            yield destination, (key, i)
        if key != "mounts":
            seen.add(item)


@rule(
    "LKS011",
    "file-written-twice",
    Severity.LOW,
    {
        "default": "'{0}' is written twice: only the last entry of 'files' for it counts.",
        "below": "'{0}' lies below '{1}', which another entry of 'files' makes something else than a folder.",
    },
    remedy="Keep the entry that is meant.",
    nist=_DEFECT,
    about=_has_files,
)
def file_written_twice(spec: Spec) -> Iterator[Verdict]:
    """Two entries of `files:` in one document write to the same path, or one below what the other makes a file or link.

    An optional file that takes the place of one given before is a default and its replacement: that is meant.
    """
    entries = [(_path(value), steps, value) for steps, value in _items(spec, "files") if not value.get("optional")]
    for path, first, again in _twice((path, steps) for path, steps, _ in entries if path):
        related = (Location(spec.at(*first, "path"), "overwritten"),)
        yield fail(path, spec.at(*again, "path"), path, note="again", related=related)
    leaves = {path: steps for path, steps, value in entries if not value.get("directory")}
    for path, steps, _ in entries:
        if above := next((folder for folder in _above(path) if folder in leaves), None):
            related = (Location(spec.at(*leaves[above], "path"), "no folder"),)
            yield fail(path, spec.at(*steps, "path"), path, above, related=related, variant="below", key=above)


def _above(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first."""
    while (path := posixpath.dirname(path)) not in {"", "/"} and len(path) <= _LONGEST:
        yield path


def _path(value: Mapping[str, Any]) -> str:
    """The path in the image that an entry of `files:` writes to."""
    path = str(value.get("path") or "").lstrip("/")
    return f"/{posixpath.normpath(path)}" if path else ""


# --- files whose place or content is not what it seems


@rule(
    "LKS012",
    "file-path-with-dots",
    Severity.LOW,
    "The path '{0}' climbs with '..': where the file ends up depends on what unpacks the image.",
    remedy="Write the path from the root of the image, without '..'.",
    nist=_DEFECT,
    about=_has_files,
)
def file_path_with_dots(spec: Spec) -> Iterator[Verdict]:
    """The path of an entry of `files:` holds `..`, which LinuxKit writes into the image as it stands."""
    for steps, value in _items(spec, "files"):
        path = str(value.get("path") or "")
        if ".." in path.split("/"):
            yield fail(path, spec.at(*steps, "path"), path)


@rule(
    "LKS013",
    "source-of-one-machine",
    Severity.LOW,
    {
        "default": "'{0}' comes from '{1}', outside the project: each machine builds another image.",
        "several": "'{0}' files come from outside the project, first from '{1}': each machine builds another image.",
    },
    remedy="Keep the files beside the spec and name them by relative paths; bring keys at boot, by linuxkit/metadata.",
    nist=_DEFECT,
    profile=Profile.PEDANTIC,
    about=_has_files,
)
def source_of_one_machine(spec: Spec) -> Iterator[Verdict]:
    """Files come from the home or another folder of whoever builds: `source: ~/…` or an absolute path."""
    found = [(steps, value) for steps, value in _items(spec, "files") if _is_foreign(value)]
    if found:
        at, *others = [spec.at(*steps, "source") for steps, _ in found]
        optional = [_path(value) for _, value in found if value.get("optional")]
        evidence = [f"{_path(value)}: from {value['source']}" for _, value in found]
        if optional:
            evidence.append(f"Left out without a word where it is not there: {', '.join(optional)}.")
        related = [Location(place, "from outside, too") for place in others]
        variant, what = ("several", str(len(found))) if others else ("default", _path(found[0][1]))
        source = str(found[0][1]["source"])
        yield fail(spec.kind, at, what, source, related=related, variant=variant, evidence=evidence)


def _is_foreign(value: Mapping[str, Any]) -> bool:
    """Whether its source is named by a path that leads out of any project."""
    return str(value.get("source") or "").startswith(("/", "~/"))


@rule(
    "LKS014",
    "optional-file",
    Severity.LOW,
    {
        "default": "'{0}' is left out without a word where its source is missing.",
        "several": "'{0}' files are left out without a word where their source is missing, the first of them '{1}'.",
    },
    remedy="Drop 'optional: true', so that a build without the file stops; or write a default before it.",
    nist=_DEFECT,
    profile=Profile.PEDANTIC,
    about=_has_files,
)
def optional_file(spec: Spec) -> Iterator[Verdict]:
    """Files are optional: whether the image holds them is decided by the machine that builds, and not told.

    Those from outside the project are left to source-of-one-machine, which tells the same of them and more.
    """
    defaults = {_path(value) for _, value in _items(spec, "files") if not value.get("optional")}
    found = [
        (steps, _path(value))
        for steps, value in _items(spec, "files")
        if value.get("optional") and value.get("source") and not _is_foreign(value) and _path(value) not in defaults
    ]
    if found:
        at, *others = [spec.at(*steps, "optional") for steps, _ in found]
        related = [Location(place, "optional, too") for place in others]
        listed = f"Files: {', '.join(path for _, path in found)}."
        if others:
            count = str(len(found))
            yield fail(spec.kind, at, count, found[0][1], related=related, variant="several", evidence=[listed])
        else:
            yield fail(spec.kind, at, found[0][1])


def _makes_folders(file: File) -> bool:
    return bool(file.folders)


@rule(
    "LKS016",
    "folder-with-the-files-mode",
    Severity.LOW,
    {
        "default": "LinuxKit gives the folders above '{0}' its mode: every user may replace what is in '{1}'.",
        "owner": "LinuxKit gives the folders above '{0}' its owner: user '{2}' may replace what is in '{1}'.",
    },
    remedy="Give the file a mode like '0755', or put an entry for the folder before it, with 'directory: true'.",
    nist=("3.5.5",),
    about=_makes_folders,
)
def folder_with_the_files_mode(file: File) -> Iterator[Verdict]:
    """LinuxKit writes the folders above a file anew, with the owner and the mode of the file: writable like it.

    A mode is for the pedantic: world-writable-file tells of it in the regular profile, with the folders.
    """
    folders = [folder for folder in file.folders if folder.split("/")[0] not in MOUNTED[""]]
    if not folders:
        return
    listed = ", ".join(f"/{folder}" for folder in folders)
    evidence = ("They lie in the root filesystem, read-only where LinuxKit's init runs.",)
    path = f"/{file.path}"
    if file.mode & 0o002 and not file.mode & 0o1000:
        at = (file.parts or {}).get("mode", file.place)
        note, profile = f"mode {file.mode:04o}", Profile.PEDANTIC
        yield fail(file.path, at, path, listed, note=note, evidence=evidence, profile=profile)
    elif file.uid and file.mode & 0o200:
        at = (file.parts or {}).get("uid", file.place)
        yield fail(file.path, at, path, listed, str(file.uid), variant="owner", evidence=evidence)


# --- said in vain


def _restates(container: Container) -> bool:
    return container.section != "package" and container.label.kind != "built"


@rule(
    "LKS017",
    "restated-label",
    Severity.LOW,
    "Container '{0}' repeats what the label of its image says: '{1}'.",
    remedy="Drop the keys: the label gives the same, and a later one may give less.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
    about=_restates,
    autofix="safe",
)
def restated_label(container: Container) -> Iterator[Verdict]:
    """Keys of a container give what the image's label gives anyway, and keep it when a later label gives less."""
    keys, places = ", ".join(container.restated), list(container.restated.values())
    if keys and container.label.kind != "exact":
        reason = f"That tag's label is not known; another state of the package says the same as the spec: {keys}."
        yield undecided(container.title, places[0], reason)
    elif keys:
        first, *others = places
        related = [Location(place, "the same as in the label, too") for place in others]
        evidence = (f"The label of this very tag is known, from {container.label.detail}.",)
        yield fail(
            container.title,
            first,
            container.name,
            keys,
            note="the same as in the label",
            related=related,
            evidence=evidence,
            fix=Fix(f"drop what the label says: {keys}", tuple(Change("remove", place) for place in places)),
        )


@rule(
    "LKS018",
    "ambiguous-user-name",
    Severity.MEDIUM,
    "'{0}' stands for the user of container '{1}', and more than one container is called so.",
    remedy="Give the containers names of their own: each name stands for one user.",
    nist=("3.4.3",),
    about=_has_containers,
)
def ambiguous_user_name(spec: Spec) -> Iterator[Verdict]:
    """A `uid` or `gid` names a container, and two containers have this name, each with a user of its own."""
    names = Counter(value.get("name") for _, value in _containers(spec))
    for steps, value in (*_containers(spec), *_items(spec, "files")):
        for key in ("uid", "gid"):
            name = value.get(key)
            if isinstance(name, str) and names[name] > 1:
                subject = _path(value) if steps[0] == "files" else _title(spec, steps, value)[0]
                yield fail(subject, spec.at(*steps, key), key, name, key=key)


_TEMPLATE = frozenset("$<>%@")
"""Characters that stand in names only where a template fills them in."""


@rule(
    "LKS019",
    "container-that-never-starts",
    Severity.MEDIUM,
    {
        "default": "Container '{0}' never starts: containerd refuses its name.",
        "runc": "Container '{0}' never starts: runc refuses its name.",
        "env": "Container '{0}' never starts: runc refuses its environment, item '{1}' has no '=' or no name.",
    },
    remedy="Name services by letters and digits, with single '.', '_' or '-' between them, in at most 76 characters; "
    "write variables as NAME=value.",
    nist=_DEFECT,
)
def container_that_never_starts(container: Container) -> Iterator[Verdict]:
    """LinuxKit builds the container, and at boot its name or its environment is refused; only the log tells."""
    name = container.name
    if not _TEMPLATE.isdisjoint(name) or "{{" in name:
        yield undecided(container.title, container.place, f"A template fills in the name of '{name}'.")
    elif container.section == "services" and not (
        len(name) <= 76 and re.fullmatch(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*", name)  # noqa: PLR2004 - containerd's limit
    ):
        yield fail(container.title, container.place, name)
    elif container.section in SECTIONS and not re.fullmatch(r"[\w+.-]*", name, re.ASCII):
        yield fail(container.title, container.place, name, variant="runc")
    for i, variable in enumerate(container.env):
        if not variable.partition("=")[0] or "=" not in variable:
            place = container.origin("env", str(i)).place
            yield fail(container.title, place, name, str(i + 1), variant="env", key=f"env {i}")


RULES = (
    repeated_item,
    file_written_twice,
    file_path_with_dots,
    source_of_one_machine,
    optional_file,
    folder_with_the_files_mode,
    restated_label,
    ambiguous_user_name,
    container_that_never_starts,
)
