"""Completion scripts for shells, made of what the commands take: static, so that completing starts no Python.

No library is used: the default command, and lists with commas, are beyond those that read argparse's parsers.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Iterator
from importlib import import_module

from .commands import COMMANDS
from .rules.catalogue import RULES
from .scanner.startup import Literal, NamedTuple

Kind = Literal["words", "file", "folder", "rule", "rules", "text"]

KINDS: dict[str, Kind] = {
    "PATH": "file",
    "OLD": "file",
    "NEW": "file",
    "IMAGE": "file",
    "FILE": "file",
    "DIR": "folder",
    "RULE": "rule",
    "RULES": "rules",
    "YYYY-MM-DD": "text",
    "SECONDS": "text",
    "HOST": "text",
    "N": "text",
    "SIZE": "text",
    "NAME=SIZE": "text",
    "PLACE": "file",
}
"""What an argument is, by the word that the help has for it."""


class Argument(NamedTuple):
    """An option with its `flags`, or what is given without one; `kind` is None where it takes no value."""

    flags: tuple[str, ...]
    help: str
    kind: Kind | None
    words: tuple[str, ...] = ()
    repeats: bool = False


class Command(NamedTuple):
    """A command with its options and what it takes besides; None: nothing."""

    name: str
    help: str
    options: tuple[Argument, ...]
    rest: Argument | None


def commands() -> tuple[Command, ...]:
    """All commands, the default one first. Raises KeyError for an argument of an unknown kind."""
    return tuple(_command(name) for name in COMMANDS)


def _command(name: str) -> Command:
    parser = argparse.ArgumentParser(prog=f"lkscan {name}")
    import_module(f".commands.{name}", __package__).add_options(parser)
    arguments = [_argument(one) for one in parser._actions if one.help != argparse.SUPPRESS]  # noqa: SLF001 - no other way
    options = tuple(one for one in arguments if one.flags)
    return Command(name, COMMANDS[name], options, next((one for one in arguments if not one.flags), None))


def _argument(action: argparse.Action) -> Argument:
    text = (action.help or "") % vars(action)
    repeats = type(action).__name__ == "_AppendAction"
    if action.nargs == 0:
        return Argument(tuple(action.option_strings), text, None)
    if action.choices is not None:
        return Argument(tuple(action.option_strings), text, "words", tuple(map(str, action.choices)), repeats)
    return Argument(tuple(action.option_strings), text, KINDS[str(action.metavar)], (), repeats)


def script(shell: str) -> str:
    """The completion script for `bash`, `zsh` or `fish`."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands())


# --- bash

_BASH = """\
# lkscan in bash; `lkscan completion bash` prints this.
_lkscan() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=scan kind=file words='' list=''
    COMPREPLY=()
    if [[ $word == = ]]; then  # bash takes --format=json for three words
        word=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    ((COMP_CWORD > 1)) && case ${COMP_WORDS[1]} in
        @NAMES@) command=${COMP_WORDS[1]} ;;
    esac
    case "$command $before" in
@VALUES@
    *)
        case $command in
@REST@
        esac
        if [[ $word == -* ]]; then
            kind=words
            case $command in
@FLAGS@
            esac
        fi
        if ((COMP_CWORD == 1)); then
            kind=words words=${words:+"$words --version"}
            words=${words:-'@COMMANDS@'}
        fi
        ;;
    esac
    case $kind in
    rule | rules)
        words='@RULES@'
        [[ $kind == rules ]] && list=${word%"${word##*,}"}
        ;;
    folder) compopt -o dirnames +o default 2>/dev/null ;;  # an older bash offers files
    text) compopt +o default 2>/dev/null ;;
    esac
    COMPREPLY=($(compgen -P "$list" -W "$words" -- "${word#"$list"}"))
}
complete -o default -F _lkscan lkscan
"""


def _bash(found: tuple[Command, ...]) -> str:
    def kind(argument: Argument) -> str:
        return f"kind={argument.kind}" + (f" words={shlex.quote(' '.join(argument.words))}" if argument.words else "")

    return _filled(
        _BASH,
        NAMES=[" | ".join(one.name for one in found)],
        VALUES=[
            f"    {' | '.join(f'{chr(39)}{one.name} {flag}{chr(39)}' for flag in option.flags)}) {kind(option)} ;;"
            for one in found
            for option in one.options
            if option.kind
        ],
        REST=[f"        {one.name}) {kind(one.rest) if one.rest else 'kind=text'} ;;" for one in found],
        FLAGS=[
            f"            {one.name}) words='{' '.join(flag for option in one.options for flag in option.flags)}' ;;"
            for one in found
        ],
        COMMANDS=[" ".join(one.name for one in found)],
        RULES=[" ".join(text for rule in RULES for text in (rule.id, rule.name))],
    )


# --- zsh

_ZSH = """\
#compdef lkscan
# lkscan in zsh; `lkscan completion zsh` prints this.
_lkscan_rule() {
    local -a rules=(
@RULES@
    )
    _describe -t rules rule rules "$@"
}
_lkscan() {
    local command=scan
    local -a options commands=(
@COMMANDS@
    )
    if ((CURRENT > 2)); then
        case $words[2] in
        @NAMES@)
            command=$words[2]
            shift words
            ((CURRENT--))
            ;;
        esac
    elif [[ $words[2] == -* ]]; then
        options=('--version[print the version]')
    else
        _describe -t commands command commands
    fi
    case $command in
@ARGUMENTS@
    esac
}
if [[ $funcstack[1] == _lkscan ]]; then
    _lkscan "$@"
else
    compdef _lkscan lkscan
fi
"""

_ZSH_KINDS = {
    "file": "_files",
    "folder": "_files -/",
    "rule": "_lkscan_rule",
    "rules": "_sequence _lkscan_rule",
    "text": " ",
}


def _zsh(found: tuple[Command, ...]) -> str:
    def value(argument: Argument) -> str:
        action = f"({' '.join(argument.words)})" if argument.words else _ZSH_KINDS[str(argument.kind)]
        return f":{_zsh_text(argument.help) or 'value'}:{action}"

    def option(argument: Argument) -> Iterator[str]:
        others = "*" if argument.repeats else f"({' '.join(argument.flags)})"
        for flag in argument.flags:
            takes = "" if argument.kind is None else value(argument)
            equals = "=" if takes and flag.startswith("--") else ""
            yield shlex.quote(f"{others}{flag}{equals}[{_zsh_text(argument.help)}]{takes}")

    def arguments(command: Command) -> str:
        rest = [shlex.quote(f"*{value(command.rest)}")] if command.rest else []
        specs = [*(spec for one in command.options for spec in option(one)), *rest]
        return "".join(f" \\\n            {spec}" for spec in specs)

    return _filled(
        _ZSH,
        RULES=[f"        {rule.id}:{rule.name} {rule.name}:{rule.id}" for rule in RULES],
        COMMANDS=[f"        {shlex.quote(f'{one.name}:{one.help}')}" for one in found],
        NAMES=[" | ".join(one.name for one in found)],
        ARGUMENTS=[f"    {one.name})\n        _arguments -s -S $options{arguments(one)}\n        ;;" for one in found],
    )


def _zsh_text(text: str) -> str:
    r"""With a backslash before what means something to _arguments."""
    return "".join(f"\\{character}" if character in "[]:\\" else character for character in text)


# --- fish

_FISH = """\
# lkscan in fish; `lkscan completion fish` prints this.
function __lkscan_is
    set -l words (commandline -opc)
    set -l command scan
    if set -q words[2]; and contains -- $words[2] @COMMANDS@
        set command $words[2]
    end
    test $command = $argv[1]
end
function __lkscan_rules
    set -l before ''
    if test "$argv[1]" = list
        set before (string match -r '^(?:--[a-z-]+=)?((?:[^,]*,)*)' -- (commandline -ct))[2]
    end
@RULES@
end
complete -c lkscan -e
complete -c lkscan -n 'test (count (commandline -opc)) -eq 1' -l version -d 'print the version'
@OPTIONS@
"""

_FISH_KINDS = {
    "file": "-r -F",
    "folder": "-x -a '(__fish_complete_directories)'",
    "rule": "-x -a '(__lkscan_rules)'",
    "rules": "-x -a '(__lkscan_rules list)'",
    "text": "-x",
}


def _fish(found: tuple[Command, ...]) -> str:
    def takes(argument: Argument) -> str:
        if argument.kind is None:
            return ""
        return f" -x -a {_fish_text(' '.join(argument.words))}" if argument.words else f" {_FISH_KINDS[argument.kind]}"

    def lines(command: Command) -> Iterator[str]:
        start = f"complete -c lkscan -n '__lkscan_is {command.name}'"
        text = _fish_text(command.help)
        yield f"complete -c lkscan -n 'test (count (commandline -opc)) -eq 1' -a {command.name} -d {text}"
        for option in command.options:
            flags = "".join(f" -l {one[2:]}" if one.startswith("--") else f" -s {one[1:]}" for one in option.flags)
            yield f"{start}{flags}{takes(option)} -d {_fish_text(option.help)}"
        if command.rest is None:
            yield f"{start} -f"
        elif command.rest.kind != "file":
            yield f"{start} -f{takes(command.rest).replace(' -x', '')}"

    return _filled(
        _FISH,
        COMMANDS=[" ".join(one.name for one in found)],
        RULES=[
            f'    printf \'%s\\t%s\\n\' "$before"{rule.id} {rule.name} "$before"{rule.name} {rule.id}' for rule in RULES
        ],
        OPTIONS=[line for one in found for line in lines(one)],
    )


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _filled(template: str, **parts: Iterable[str]) -> str:
    """The template with its @NAMES@ replaced by lines."""
    for name, lines in parts.items():
        template = template.replace(f"@{name}@", "\n".join(lines))
    return template
