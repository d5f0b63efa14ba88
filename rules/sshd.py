"""Family A, its second part: whom sshd lets in with no more than a password."""

import re
from collections.abc import Iterator

from ..scanner.startup import NamedTuple, late
from ..scanner.subjects import Rootfs, System
from .engine import Confidence, Severity, Verdict, fail, rule, undecided

_MAIN = "etc/ssh/sshd_config"
_DEPTH = 16
"""Files inside one another, as many as sshd reads."""
_FILES, _PATTERNS = 200, 200
"""Files that are read, and patterns that are looked up, for all configurations of an image: by including one another, a
few could be read without end."""
_LINE = late(r"[ \t]*([A-Za-z]+)(?:[ \t]*=[ \t]*|[ \t]+)(.*)")
_WORD = late(r'"([^"]*)"|([^\s"#]+)')
_SEVERITIES = {
    "PermitEmptyPasswords": Severity.HIGH,
    "PermitRootLogin": Severity.MEDIUM,
    "PasswordAuthentication": Severity.LOW,
}
"""Keywords that let people in with a password when they say `yes`; case does not count."""
_NAMES = {name.lower(): name for name in _SEVERITIES}


class _Setting(NamedTuple):
    """A keyword that counts; `match` is the condition that it counts under, "" for all.

    `included`: files that are not known here were read before it, and may have settled it.
    """

    keyword: str
    value: str
    path: str
    line: int
    match: str
    included: bool


def _has_configuration(system: System) -> bool:
    return any(True for root in system.roots for _ in _configurations(root))


def _configurations(root: Rootfs) -> Iterator[str]:
    """What sshd starts to read with: one file in an image, whatever is called so in a spec."""
    if root.places:
        yield from (path for path in root.texts if path.rpartition("/")[2] == "sshd_config" or _is_part(path))
    elif _MAIN in root.texts:
        yield _MAIN


def _is_part(path: str) -> bool:
    """Whether a spec adds it to a configuration that an image brings."""
    return path.startswith(f"{_MAIN}.d/") and path.endswith(".conf")


@rule(
    "LKA006",
    "sshd-password-login",
    Severity.MEDIUM,
    "'{0}' sets '{1}': whoever guesses a password is in.",
    remedy="Set PasswordAuthentication and PermitEmptyPasswords to 'no', PermitRootLogin to 'prohibit-password'.",
    nist=("3.5.4",),
    about=_has_configuration,
)
def sshd_password_login(system: System) -> Iterator[Verdict]:
    """An ssh server accepts passwords, for root or for anybody.

    Read as sshd reads it: the first value of a keyword counts, each block of Match has its own, and what is included
    stands where it is included. Only what stands there fires: sshd's own default for PasswordAuthentication is `yes`
    as well, but what it is worth is left to PAM.
    """
    budget = _Budget()
    for root in system.roots:
        for path in _configurations(root):
            if root.texts[path] is None:
                reason = f"The content of '{path}' is not known here; the built image tells."
                yield undecided(path, root.at(path), reason)
            for setting in _settings(root, path, budget):
                if setting.value.lower() == "yes":
                    yield _told(root, path, setting)
    if budget.is_spent:
        reason = f"The configurations of sshd include more than {_FILES} files: not all were read."
        yield undecided(system.kind, system.place, reason)


def _told(root: Rootfs, main: str, setting: _Setting) -> Verdict:
    evidence = [f"line {setting.line} of the file"]
    if setting.path != main:
        evidence.append(f"'{root.path(main)}' includes it")
    if setting.match:
        evidence.append(f"for those whom 'Match {setting.match}' describes")
    if setting.included:
        evidence.append("files that are included before that line may say otherwise")
    return fail(
        root.path(setting.path),
        root.at(setting.path),
        *(root.path(setting.path), f"{setting.keyword} yes"),
        key=f"{setting.keyword} {setting.match}".rstrip(),
        evidence=evidence,
        severity=_SEVERITIES[setting.keyword],
        confidence=Confidence.MEDIUM if setting.included else None,
    )


class _Budget:
    """What may still be read."""

    def __init__(self) -> None:
        self.files, self.patterns = _FILES, _PATTERNS
        self.is_spent = False

    def take(self, files: int = 0, patterns: int = 0) -> bool:
        """Whether there is enough left for it."""
        self.files -= files
        self.patterns -= patterns
        self.is_spent |= self.files < 0 or self.patterns < 0
        return not self.is_spent


def _settings(root: Rootfs, main: str, budget: _Budget) -> Iterator[_Setting]:
    """The keywords of the table with the value that counts, for all and for each condition."""
    reading = _Reading(root, budget)
    seen: set[tuple[str, str]] = set()
    for setting in reading.file(main, "", _DEPTH):
        if (setting.match, setting.keyword) not in seen:
            seen.add((setting.match, setting.keyword))
            yield setting


class _Reading:
    """A configuration on its way through the files that it is made of."""

    def __init__(self, root: Rootfs, budget: _Budget) -> None:
        self._root = root
        self._budget = budget
        self._included = False

    def file(self, path: str, match: str, depth: int) -> Iterator[_Setting]:
        """The keywords of a file and of those that it includes, in the order in which sshd meets them.

        A block of Match ends with its file; what is included in one counts only under its condition.
        """
        text = self._root.texts.get(path)
        if text is None:
            self._included = True
            return
        if not depth or not self._budget.take(files=1):
            return
        for number, line in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
            found = _LINE.match(line)
            if not found:
                continue
            word = found[1].lower()
            values = [quoted or plain for quoted, plain in _WORD.findall(found[2])]
            if word == "match":
                match = found[2].strip()
            elif word == "include":
                for value in values:
                    for name in self._named(value):
                        yield from self.file(name, match, depth - 1)
            elif word in _NAMES and values:
                yield _Setting(_NAMES[word], values[0], path, number, match, self._included)

    def _named(self, pattern: str) -> list[str]:
        """The files that a pattern stands for, in the order of their names; a spec does not know those of an image."""
        from .globs import fits

        whole = pattern.strip("/") if pattern.startswith("/") else f"etc/ssh/{pattern}"
        self._included = self._included or bool(self._root.places)
        if "**" in whole or not self._budget.take(patterns=1):
            return []
        start = re.split(r"[*?\[]", whole, maxsplit=1)[0]
        return sorted(path for path in self._root.texts if path.startswith(start) and fits(path, whole))


RULES = (sshd_password_login,)
