"""Own rules: what a user declares in a configuration, with a condition in CEL, becomes a rule like all others."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from string import Formatter

from ..scanner.startup import Any, late
from .engine import Check, RuleError, Verdict, fail, undecided
from .vocabulary import KINDS, types, unknown

_LENGTH, _DEPTH = 1000, 6
"""Characters of a condition, brackets within brackets: the worst that fits takes about a second for a subject."""

_DIALECT = """
stdlib:
  exclude_macros: [map, filter, exists_one]
  exclude_functions:
    - name: _+_
"""
"""What CEL is to do without: with these a short expression can fill any memory."""

_ARGUMENT = 200
"""Characters of a value in a message."""

_STRINGS = late(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')


class DeclarationError(ValueError):
    """A rule that is declared in a wrong way: `key` is at fault, the message says how."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def declared(kind: str, condition: str, message: str, summary: str) -> tuple[Check, str]:
    """The check of a rule that fires where the condition holds, and its message with numbered placeholders.

    Raises DeclarationError, and ImportError where no CEL is installed.
    """
    template, names = _template(kind, message)
    judge, asked = _compiled(kind, condition)
    used = frozenset(asked)
    values_of, title_of = KINDS[kind].values, KINDS[kind].title

    def check(subject: Any) -> Iterator[Verdict]:  # noqa: ANN401 - of the kind's type
        values, title = values_of(subject), title_of(subject)
        open_ = {name for name in used if unknown(subject, kind, [name])}
        try:
            holds = judge({name: _clean(values[name]) for name in used - open_})
        except RuleError:
            if not open_:
                raise
            yield undecided(title, subject.place, unknown(subject, kind, sorted(open_)))  # the rest does not decide it
            return
        if holds:
            yield fail(title, subject.place, *(_text(values[name]) for name in names))

    check.__doc__ = summary
    return check, template


def _template(kind: str, message: str) -> tuple[str, list[str]]:
    """`{name}` becomes `{0}`: a message's placeholders are fields, and nothing that formatting could do besides."""
    known, names, text = types(kind), [], ""
    try:
        parts = list(Formatter().parse(message))
    except ValueError as error:
        raise DeclarationError("message", f"is no template: {error}") from None
    for literal, name, form, conversion in parts:
        text += literal.replace("{", "{{").replace("}", "}}")
        if name is None:
            continue
        if name not in known or form or conversion:
            raise DeclarationError("message", f"has '{{{name}}}', which is no field of a {kind}: {', '.join(known)}")
        names += [] if name in names else [name]
        text += f"{{{names.index(name)}}}"
    return (text if text.endswith(".") else f"{text}."), names


def _compiled(kind: str, condition: str) -> tuple[Callable[[Mapping[str, Any]], bool], list[str]]:
    """What evaluates a condition, and the fields that it asks for."""
    bare = _STRINGS.sub('""', condition)
    if len(condition) > _LENGTH:
        raise DeclarationError("condition", f"has more than {_LENGTH} characters")
    if _depth(bare) > _DEPTH:
        raise DeclarationError("condition", f"has more than {_DEPTH} brackets within brackets")
    cel, environment = _environment(kind)
    try:
        program = environment.compile(condition)
    except (RuntimeError, TypeError, ValueError) as error:
        raise DeclarationError("condition", f"is no CEL: {_complaint(error)}") from None
    if program.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise DeclarationError("condition", f"must be true or false, and is of type {program.return_type().name()}")

    def judge(values: Mapping[str, Any]) -> bool:
        try:
            result = program.eval(data=dict(values)).value()
        except (RuntimeError, TypeError, ValueError) as error:
            raise RuleError(_complaint(error)) from None
        if not isinstance(result, bool):
            raise RuleError(_complaint(result))
        return result

    return judge, [name for name in types(kind) if re.search(rf"\b{name}\b", bare)]


@cache
def _environment(kind: str) -> tuple[Any, Any]:
    """CEL with the fields of a kind of subject."""
    from cel_expr_python import cel

    variables = {name: cel.Type(signature) for name, signature in types(kind).items()}
    return cel, cel.NewEnv(config=cel.NewEnvConfigFromYaml(_DIALECT), variables=variables)


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _complaint(error: object) -> str:
    """The first line of what CEL says, with the place in the expression: `1:8: undeclared reference to 'nme'`."""
    first = str(error).partition("\n")[0]
    return re.sub(r"^[A-Z_]+: (?:ERROR: )?(?:<input>:)?| \(in container ''\)| \[[A-Z_]+\]$", "", first)


def _clean(value: Any) -> Any:  # noqa: ANN401 - as CEL takes it
    """The value with bytes that are no UTF-8 escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - of any field
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        value = [f"{key}={one}" for key, one in value.items()]
    if isinstance(value, list):
        value = ", ".join(_row(one) if isinstance(one, dict) else str(one) for one in value)
    text = str(value)
    return text if len(text) <= _ARGUMENT else f"{text[:_ARGUMENT]}…"


def _row(row: Mapping[str, Any]) -> str:
    """A mount by its destination, a device by all that it is."""
    return row.get("destination") or " ".join(map(str, row.values()))
