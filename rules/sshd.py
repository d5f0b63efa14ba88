"""Family A, its second part: whom sshd lets in with no more than a password."""

from collections.abc import Iterator

from ..scanner.startup import NamedTuple, late
from ..scanner.subjects import File
from .engine import Confidence, Severity, Verdict, fail, rule
from .origins import unread

_CONFIGURATION = late(r"(?:containers/[^/]+/[^/]+/(?:rootfs|lower)/)?etc/ssh/sshd_config(?:\.d/[^/]+\.conf)?")
_LIMIT = 1 << 20
_LINE = late(r"[ \t]*([A-Za-z]+)(?:[ \t]*=[ \t]*|[ \t]+)\"?([^\s\"#]+)")
_SEVERITIES = {
    "PermitEmptyPasswords": Severity.HIGH,
    "PermitRootLogin": Severity.MEDIUM,
    "PasswordAuthentication": Severity.LOW,
}
"""Keywords that let people in with a password when they say `yes`; case does not count."""


class _Setting(NamedTuple):
    """A keyword as the file has it; `included`: files that were read before it may have settled it."""

    keyword: str
    line: int
    match: str = ""
    included: bool = False


def _is_configuration(file: File) -> bool:
    """Where sshd reads it; of that name anywhere in a spec, from where it is bound into a container."""
    if "sshd_config" not in file.path:
        return False
    named = file.parts is not None and file.path.rpartition("/")[2] == "sshd_config"
    return file.kind in {"file", "hardlink"} and (named or _CONFIGURATION.fullmatch(file.path) is not None)


@rule(
    "LKA006",
    "sshd-password-login",
    Severity.MEDIUM,
    "'{0}' sets '{1}': whoever guesses a password is in.",
    remedy="Set PasswordAuthentication and PermitEmptyPasswords to 'no', PermitRootLogin to 'prohibit-password'.",
    nist=("3.5.4",),
    about=_is_configuration,
)
def sshd_password_login(file: File) -> Iterator[Verdict]:
    """An ssh server accepts passwords, for root or for anybody.

    Read as sshd reads it: the first value of a keyword counts, and each block of Match has its own. Only what stands
    there fires: sshd's own default for PasswordAuthentication is `yes` as well, but what it is worth is left to PAM.
    """
    if file.read is None:
        yield unread(file)
        return
    text = file.read(_LIMIT).decode("utf-8", "replace")
    for setting in _set_to_yes(text):
        evidence = [f"line {setting.line} of the file"]
        if setting.match:
            evidence.append(f"for those whom 'Match {setting.match}' describes")
        if setting.included:
            evidence.append("files that it includes before that line may say otherwise")
        yield fail(
            file.path,
            file.place,
            file.path,
            f"{setting.keyword} yes",
            key=f"{setting.keyword} {setting.match}".rstrip(),
            evidence=evidence,
            severity=_SEVERITIES[setting.keyword],
            confidence=Confidence.MEDIUM if setting.included else None,
        )


def _set_to_yes(text: str) -> Iterator[_Setting]:
    """The keywords of the table whose first value, in the file or in one block of Match, is `yes`."""
    names = {name.lower(): name for name in _SEVERITIES}
    match, included = "", False
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(text.split("\n"), 1):
        found = _LINE.match(line)
        if not found:
            continue
        word, value = found[1].lower(), found[2]
        if word == "match":
            match = line.strip()[len("match") :].strip(" \t=")
        included = included or word == "include"
        if word in names and (match, word) not in seen:
            seen.add((match, word))
            if value.lower() == "yes":
                yield _Setting(names[word], number, match, included)


RULES = (sshd_password_login,)
