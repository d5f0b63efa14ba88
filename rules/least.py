"""Family P, with evidence: privileges that a container holds, and no program that it reaches can use."""

from collections.abc import Iterator

from ..scanner.subjects import Change, Container, Mount
from .engine import Fix, Severity, Verdict, fail, not_applicable, rule, undecided
from .fixes import entry, read_only, set_true
from .needs import Answer, Needs

_CONFIGURATION = ("3.4.3",)
_NAMESPACES = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}
"""The spec's key for each kind of namespace of which a use would be seen."""


@rule(
    "LKP016",
    "capability-without-use",
    Severity.LOW,
    "Container '{0}' holds '{1}', and nothing that it reaches can ask for that.",
    remedy="Drop the capability, and try the container; `lkscan suggest` prints what is left, with the evidence.",
    nist=_CONFIGURATION,
)
def capability_without_use(needs: Needs) -> Iterator[Verdict]:
    """A container holds a capability that none of the programs it reaches can use.

    Asked with --evidence only. What can't be told is undecided, in one sentence for all such capabilities.
    """
    container = needs.container
    if not needs.capabilities:
        yield not_applicable(container.title, container.place, "It holds no capability.")
    unused = [one for one in needs.capabilities if one.verdict == "unused"]
    for answer in unused:
        yield fail(
            container.title,
            container.origin("capabilities", answer.name).place,
            container.name,
            answer.name,
            note="holds it",
            key=answer.name,
            evidence=answer.evidence,
            fix=_dropped(container, [one.name for one in needs.capabilities if one not in unused], answer.name),
        )
    unknown = [one.name for one in needs.capabilities if one.verdict == "unknown"]
    if unknown:
        reason = f"Whether container '{container.name}' uses {', '.join(unknown)} can't be told."
        yield undecided(container.title, container.origin("capabilities").place, reason, key="unknown")


def _dropped(container: Container, kept: list[str], name: str) -> Fix | None:
    """Take a capability out of a spec's list; a list in the place of `all`, or of a label's."""
    place = entry(container)
    if place is None:
        return None
    origin = container.origin("capabilities", name)
    is_listed = (
        origin.source == "spec"
        and origin.place.pointer.endswith("]")
        and container.origins.get(f"capabilities:{name}") != container.origins.get("capabilities")
    )
    others = {container.origins.get(f"capabilities:{one}") for one in kept}
    if kept and is_listed and origin not in others:
        change = Change("remove", origin.place)
    else:
        change = Change("set", place, f"[{', '.join(kept) or 'none'}]", "capabilities")
    return Fix(f"drop '{name}'", (change,), safe=False, effects=(f"{container.title} capabilities",))


@rule(
    "LKP017",
    "privilege-without-use",
    Severity.LOW,
    {
        "default": "Container '{0}' may write its root filesystem, and nothing that it reaches does.",
        "network": "Container '{0}' shares the network of the host, and nothing that it reaches opens a socket.",
        "ipc": "Container '{0}' shares the ipc namespace of the host, and nothing that it reaches uses System V IPC.",
        "uts": "Container '{0}' shares the uts namespace of the host, and nothing that it reaches is about its name.",
        "pid": "Container '{0}' shares the pid namespace of the host, and nothing that it reaches is about processes.",
        "bind": "Container '{0}' may write '{1}', and nothing that it reaches does.",
        "privileges": "Container '{0}' may gain privileges by execve, and there is nothing that it could gain them by.",
        "masked": "Container '{0}' may read '{1}' of the kernel's own files, which nothing that it reaches names.",
    },
    remedy="Take it away, and try the container; `lkscan suggest` prints the keys, with the evidence.",
    nist=_CONFIGURATION,
)
def privilege_without_use(needs: Needs) -> Iterator[Verdict]:
    """A container may write, share namespaces or gain privileges, and none of the programs it reaches does.

    Asked with --evidence only.
    """
    container = needs.container
    shared = [kind for kind in _NAMESPACES if container.namespace(kind) == "host"]
    masked = [one for one in needs.masked if one not in container.masked_paths]
    if container.readonly and container.no_new_privileges and not (shared or needs.binds or masked):
        reason = "It may do none of that: no writing, no namespace of the host, no new privileges."
        yield not_applicable(container.title, container.place, reason)
        return
    settings = {one.name: one for one in needs.settings}
    if not container.readonly:
        yield from _setting(needs, settings["root"], "default", "readonly", set_true([container], "readonly"))
    for kind in shared:
        key = _NAMESPACES[kind]
        yield from _setting(needs, settings[kind], kind, key, _set(container, key, "new"))
    if not container.no_new_privileges:
        fix = set_true([container], "noNewPrivileges")
        yield from _setting(needs, settings["privileges"], "privileges", "noNewPrivileges", fix)
    mounts = {one.destination: one for one in container.mounts}
    for answer in needs.binds:
        yield from _bind(needs, answer, mounts[answer.name])
    if masked:
        held = ("'" + one.replace("'", "''") + "'" for one in container.masked_paths)  # the user's own: any text
        listed = f"[{', '.join([*held, *masked])}]"
        yield fail(
            container.title,
            container.origin("maskedPaths").place,
            container.name,
            str(len(masked)),
            variant="masked",
            key="maskedPaths",
            evidence=(f"nothing that is reached names {', '.join(masked)}",),
            fix=_set(container, "maskedPaths", listed, f"mask {len(masked)} more paths"),
        )


def _set(container: Container, key: str, value: str, title: str = "") -> Fix | None:
    """Set a key of a container in its spec; programs were not told of it: they may fail by it."""
    place = entry(container)
    if place is None:
        return None
    change = Change("set", place, value, key)
    return Fix(title or f"set '{key}: {value}'", (change,), safe=False, effects=(f"{container.title} {key}",))


def _setting(needs: Needs, answer: Answer, variant: str, key: str, fix: Fix | None) -> Iterator[Verdict]:
    container = needs.container
    if answer.verdict == "unused":
        yield fail(
            container.title,
            container.origin(key).place,
            container.name,
            variant=variant,
            key=key,
            evidence=answer.evidence,
            fix=fix,
        )
    elif answer.verdict == "unknown":
        reason = (
            f"Whether container '{container.name}' needs what '{key}' would take away can't be told: {answer.reason}."
        )
        yield undecided(container.title, container.origin(key).place, reason, key=key)


def _bind(needs: Needs, answer: Answer, mount: Mount) -> Iterator[Verdict]:
    container = needs.container
    place = container.origin("binds", mount.destination).place
    if answer.verdict == "unused":
        yield fail(
            container.title,
            place,
            container.name,
            mount.destination,
            variant="bind",
            key=mount.destination,
            evidence=answer.evidence,
            fix=read_only(container, mount),
        )
    elif answer.verdict == "unknown":
        reason = f"Whether container '{container.name}' writes '{mount.destination}' can't be told: {answer.reason}."
        yield undecided(container.title, place, reason, key=mount.destination)


RULES = (capability_without_use, privilege_without_use)
