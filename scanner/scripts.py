"""What a shell script may start: every word that may name a program, and where its commands are not told."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .startup import NamedTuple, late

_COMMENT = late(r"(?m)^[ \t]*#.*$")
_CONTINUED = late(r"\\\n")
_WORD = late(r"[^\s;|&(){}<>\"'`=,$\[\]*?!\\]+")
_ASSIGNED = r"(?:[A-Za-z_]\w*\+?=(?:\"[^\"]*\"|'[^']*'|\$\([^()]*\)|[^\s;|&\"'()])*[ \t]+)*"
_STARTS = r"(?:^|[;|&({`]|\$\(|\b(?:then|do|else|elif|if|while|until)(?=[\s!]))[ \t]*(?:![ \t]+)?"
_COMMAND = late(rf"(?m){_STARTS}{_ASSIGNED}([^\s;|&()<>#]+)([ \t]*\))?")
_PLAIN = late(r"[\w./:+@%,~-]+|\[\[?|\]\]?|[{}!:]|\"[\w./+-]+\"|'[\w./+-]+'|[A-Za-z_]\w*\+?=.*|\d*[<>].*", re.DOTALL)
"""A command that is told, or none at all."""
_OTHERS = late(
    r"\b(?:exec|command|builtin|nohup|setsid|nice|timeout|time|sudo|doas|su|su-exec|gosu|chroot|xargs|env|busybox|trap"
    r"|nsenter|unshare|setpriv|capsh|runuser|start-stop-daemon|chpst|s6-\w+|ip[ \t]+netns[ \t]+exec|-exec(?:dir)?)\b"
    r"[^\n;|&]*\$"
)
_SHELL = late(r"\b(?:ba|da|a|k|z)?sh\b[ \t]+(?:-\w+[ \t]+)*[^\n;|&]*\$|\|[ \t]*(?:/\S*/)?(?:ba|da|a|k|z)?sh\b")
_SOURCED = late(r"(?m)(?:^|[;|&({]|\b(?:then|do|else)\s)[ \t]*(?:\.|source)[ \t]+([^\s;|&()]+)")
_EVALUATED = late(r"(?m)(?:^|[\s;|&({`])eval(?:[\s;]|$)")
_AWK = late(r"\bsystem[ \t]*\(|\|[ \t]*getline|\bawk\b[^\n]*[ \t]-f")
_ARGUMENTS = late(r"(?:exec[ \t]+)?\"\$@\"")


class Script(NamedTuple):
    """`words` are all that may name programs, `sourced` the files that are read in, `unknown` says what is not told."""

    words: frozenset[str]
    sourced: frozenset[str]
    unknown: str


def read(text: str, arguments: Sequence[str] | None = ()) -> Script:
    """What a script may start when it is called with `arguments` (None: nobody knows which).

    Words that are no command are among them, so none is missed. Where a command is made by the script, from variables
    or by eval, that is said; `exec "$@"` is told by the arguments.
    """
    text = _CONTINUED.sub(" ", _COMMENT.sub("", text))
    words = {one.rstrip(":.") or one for one in _WORD.findall(text)}
    if arguments is not None and (runs := _ARGUMENTS.search(text)):
        words |= set(arguments)
        text = text.replace(runs[0], "true")
    sourced = {one.strip("\"'") for one in _SOURCED.findall(text)}
    unknown = ""
    if _EVALUATED.search(text):
        unknown = "it evaluates text as commands (eval)"
    elif any("$" in one for one in sourced):
        unknown = "it reads in a file whose name is not told"
    elif (match := _OTHERS.search(text)) or (match := _SHELL.search(text)):
        unknown = f"it starts a command that is made as it runs: {_short(match[0])}"
    elif _AWK.search(text):
        unknown = "it has awk start commands"
    else:
        made = next((one for one in _COMMAND.finditer(text) if not one[2] and not _PLAIN.fullmatch(one[1])), None)
        unknown = f"it starts a command that is made as it runs: {_short(made[1])}" if made else ""
    return Script(frozenset(words), frozenset(sourced), unknown)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - columns
