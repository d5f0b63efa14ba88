"""Family N: namespaces that a container shares with the host."""

from collections.abc import Iterator

from ..scanner.subjects import Container
from .engine import Profile, Severity, Verdict, fail, rule, undecided
from .escape import effective, is_host_root, is_setup, is_told_once, shares
from .provenance import confidence, open_question, stand_in, where


@rule(
    "LKN001",
    "host-pid-namespace",
    Severity.HIGH,
    "Container '{0}' sees the processes of the host.",
    remedy="Leave 'pid' out, or set 'pid: new' where the image's label asks for the host's.",
    nist=("3.4.3",),
)
def host_pid_namespace(container: Container) -> Iterator[Verdict]:
    """A container shares the host's pid namespace: it sees, and as root may signal, the processes of all others."""
    keys = (("pid", None),)
    if shares(container, "pid"):
        at, *related = where(container, keys)
        yield fail(
            container.title,
            at.place,
            container.name,
            note=at.note,
            related=related,
            evidence=(*_only_looks(container), *stand_in(container, keys)),
            severity=Severity.LOW if _only_looks(container) else None,
            confidence=confidence(container, keys),
            profile=Profile.PEDANTIC if is_setup(container) or is_told_once(container) else None,
        )
    elif question := open_question(container, "pid"):
        yield undecided(container.title, container.place, question)


def _only_looks(container: Container) -> tuple[str, ...]:
    """Evidence that it cannot touch the processes that it sees: those of root, unless it holds a capability."""
    if is_host_root(container) or not effective(container).isdisjoint({"CAP_KILL", "CAP_SYS_PTRACE"}):
        return ()
    return (f"Its user is not root on the host (uid {container.uid}): it sees the processes of root, and no more.",)


RULES = (host_pid_namespace,)
