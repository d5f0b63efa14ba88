"""What a fault of a program is worth to an attacker: what it grants, and who runs it with which powers, if anybody."""

from collections.abc import Iterator, Sequence

from ..scanner.startup import NamedTuple
from ..scanner.subjects import Binary, Container, File, Use
from .engine import Profile, Severity
from .escape import effective, has_all_capabilities, is_host_root, shares
from .exposure import exposure

_SET_ID = 0o6000
_NAMED = 4
"""Capabilities that are named one by one."""
_WIDE = frozenset({"EXPOSED", "UNSAFE"})


class Standing(NamedTuple):
    """How much a fault of a program counts, and the facts that say so.

    It has at least the severity `least` and at most `most`; everyone wants to see it where it `grants` privilege, and
    only who wants more hardening where it is `idle`.
    """

    facts: tuple[str, ...] = ()
    least: Severity = Severity.NOTE
    most: Severity = Severity.CRITICAL
    grants: bool = False
    idle: bool = False

    def severity(self, own: Severity) -> Severity:
        """The severity of a fault that has this one by itself."""
        return min(max(own, self.least), self.most)

    def profile(self, own: Profile) -> Profile:
        """Who wants to see a fault that these want to see by itself."""
        return Profile.REGULAR if self.grants else max(own, Profile.PEDANTIC) if self.idle else own


def standing(binary: Binary) -> Standing:
    """Where it stands: granting privilege by itself, started with power over the host, started by nobody, or none."""
    if grants := privilege(binary.file):
        return Standing((grants, *_told(binary.uses)), Severity.MEDIUM, grants=True)
    wide = [one for one in binary.uses if one.role in {"process", "library"} and _is_wide(one)]
    if wide:
        return Standing(tuple(_told(wide)), Severity.MEDIUM)
    used = {one.path for one in binary.uses}
    if used >= {one.path for one in binary.files} and all(one.role == "idle" for one in binary.uses):
        return Standing(tuple(_told(binary.uses)), most=Severity.NOTE, idle=True)
    return Standing(tuple(_told(binary.uses)))


def privilege(file: File) -> str:
    """What executing the file grants, "" when nothing."""
    if file.mode & _SET_ID:
        return f"set-id, mode {file.mode:04o}"
    return "holds file capabilities" if "security.capability" in file.xattrs else ""


def _is_wide(use: Use) -> bool:
    """Whether whoever takes it over from the network has the host within reach."""
    container = use.container
    is_reached = use.listens and shares(container, "network")
    return is_reached and is_host_root(container) and exposure(container).word in _WIDE


def _told(uses: Sequence[Use]) -> Iterator[str]:
    """A line for each container that runs it, or else for those that do not."""
    told: dict[str, None] = {}
    for one in uses:
        if one.role == "process":
            told[f"{one.container.title} starts it, {_powers(one)}"] = None
        elif one.role == "library":
            told[f"what {one.container.title} starts needs it, {_powers(one)}"] = None
    for one in uses if not told else ():
        if one.role == "idle":
            told[f"{one.container.title} starts another program, which can start none"] = None
    yield from told


def _powers(use: Use) -> str:
    container = use.container
    network = "on the host's network" if shares(container, "network") else "in a network of its own"
    listens = ", and can accept connections" if use.listens else ""
    return f"as uid {container.uid} with {_capabilities(container)} {network}{listens}"


def _capabilities(container: Container) -> str:
    held = sorted(effective(container))
    if has_all_capabilities(container) and held:
        return "all capabilities"
    if not held:
        return "no capability"
    return ", ".join(held) if len(held) <= _NAMED else f"{', '.join(held[:_NAMED])} and {len(held) - _NAMED} more"
