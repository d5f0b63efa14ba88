"""Directives in a text: where they stand, what they say, and which lines of YAML each covers."""

import re
from bisect import bisect_left

from ..scanner.startup import NamedTuple
from ..scanner.subjects import Place, Span
from .ignores import UNTIL, Ignore, Scope

_BREAK = re.compile(r"\r\n?|\n")
_START = r"#\s*lkscan(?::|[\s-]+ignore\b)"
"""What looks like a directive, one without its colon included: that is told, not passed over."""
_OPENING = re.compile(_START, re.IGNORECASE)
_NEXT = re.compile(rf"\s#\s|{_START}", re.IGNORECASE)
"""Where the comment for the next reader begins."""
_DIRECTIVE = re.compile(r"#\s*lkscan:\s*ignore\s*\[(?P<rules>[^\]]*)\](?P<reason>.*)", re.DOTALL | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FORM = "write 'lkscan: ignore[RULE, ...] reason (until YYYY-MM-DD)'"

_RULES, _DIRECTIVES = 32, 500
"""Patterns of a directive and directives of a file that are heeded; those beyond are reported and silence nothing."""

_BLOCK = re.compile(
    r"""[\s\ufeff]+ | (?P<comment>\#.*) | (?P<open>[\[{]+) | (?P<quote>["']) | (?P<mark>[-?:])(?=\s|$) | [!&*]\S*
    | (?P<block>[|>][-+\d]{0,2}(?=\s*$|\s+\#)) | (?P<plain>\S(?:(?!:(?:\s|$)|\s\#).)*)""",
    re.VERBOSE,
)
_FLOW = re.compile(
    r"""[\s\ufeff,]+ | (?P<comment>\#.*) | (?P<open>[\[{]+) | (?P<close>[\]}]+) | (?P<quote>["'])
    | (?P<mark>[-?:])(?=[\s,\[\]{}]|$) | [!&*][^\s,\[\]{}]* | (?P<plain>\S(?:(?!:(?:\s|$)|\s\#|[,\[\]{}]).)*)""",
    re.VERBOSE,
)
_QUOTED = {'"': re.compile(r'(?:[^"\\]|\\.?)*(?P<end>")?'), "'": re.compile(r"(?:[^']|'')*(?P<end>')?")}


class Line(NamedTuple):
    """A line of YAML: the column of its content (None: none of its own), whether it is an item, its comment's column.

    Columns count from 0. `alone`: there is only a comment.
    Lines inside of a scalar or of brackets have no content of their own: they belong to the line
    that opened these.
    """

    indent: int | None
    item: bool
    comment: int | None
    alone: bool = False


def parse(text: str) -> list[tuple[Scope, Ignore]]:
    """The directives of a spec with the lines that each covers, in their order; their places name no file yet."""
    if not _OPENING.search(text):
        return []
    rows = _BREAK.split(text)
    lexer = _Lexer()
    lines = [lexer.line(row) for row in rows]
    scopes = _Scopes(rows, lines)
    found: list[tuple[Scope, Ignore]] = []
    for number, (row, line) in enumerate(zip(rows, lines, strict=True), 1):
        if line.comment is None:
            continue
        for match in _OPENING.finditer(row, line.comment):
            start, after = match.start(), _NEXT.search(row, match.end())
            end = len(row[: after.start() if after else None].rstrip())
            ignore = _ignore(row[start:end], Span(number, start + 1, number, end + 1))
            if len(found) == _DIRECTIVES:
                flaw = f"a file has at most {_DIRECTIVES}, and this and all after it are not heeded"
                return [*found, (Scope(number, number), ignore._replace(flaw=flaw))]
            found.append((scopes.of(number), ignore))
    return found


def _ignore(comment: str, span: Span) -> Ignore:
    match = _DIRECTIVE.fullmatch(comment)
    place = Place((), span)
    if match is None:
        return Ignore(place, (), "", "", _FORM)
    patterns = tuple(dict.fromkeys(filter(None, map(str.strip, match["rules"].split(",")))))
    reason = match["reason"].strip()
    until = re.search(UNTIL, reason)
    date = (until["date"] or until["bare"] or "").strip() if until else ""
    flaw = ""
    if not patterns:
        flaw = "it names no rule"
    elif len(patterns) > _RULES:
        flaw, patterns = f"it names more than {_RULES} rules", ()
    elif until and not _is_date(date):
        flaw = f"'{date}' is no day of the form YYYY-MM-DD"
    return Ignore(place, patterns, reason, date, flaw)


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


class _Scopes:
    """Tells the lines that a comment speaks for."""

    def __init__(self, rows: list[str], lines: list[Line]) -> None:
        self._lines = lines
        self._ends = _ends(lines)
        self._contents = [number for number, line in enumerate(lines, 1) if line.indent is not None]
        top = rows[: self._contents[0] - 1] if self._contents else []
        self._apart = max((number for number, row in enumerate(top, 1) if not _OPENING.match(row.lstrip())), default=0)
        """The last line above the first key that sets what is above it apart from that key."""

    def of(self, number: int) -> Scope:
        """The block that the comment's line, or else the next one with content, opens; at the top, the whole file."""
        if number < self._apart:
            return Scope(0, len(self._lines))
        if not self._lines[number - 1].alone:
            return Scope(number, max(number, self._ends[number - 1]))
        place = bisect_left(self._contents, number)
        if place == len(self._contents):
            return Scope(number, number)
        return Scope(self._contents[place], self._ends[self._contents[place] - 1])


def _ends(lines: list[Line]) -> list[int]:
    """For each line with content the last one nested in it; items may stand as far left as the key that holds them."""
    ends = list(range(1, len(lines) + 1))
    around: list[tuple[int, bool, int]] = []
    for number, (indent, item, _, _) in enumerate(lines, 1):
        if indent is None:
            continue
        while around and not (around[-1][0] < indent or (around[-1][0] == indent and item and not around[-1][1])):
            ends[around.pop()[2] - 1] = number - 1
        around.append((indent, item, number))
    for _, _, number in around:
        ends[number - 1] = len(lines)
    return ends


class _Lexer:
    """Tells comments from text, line by line: as much of YAML's lexical grammar as that takes."""

    def __init__(self) -> None:
        self._quote = ""
        self._depth = 0
        self._parent: int | None = None
        """The column that text of the present block scalar is to the right of; None outside of one."""

    def line(self, row: str) -> Line:
        """Read the next line."""
        body = row.strip("\ufeff \t")
        indent = len(row) - len(row.lstrip("\ufeff \t"))
        if self._parent is not None and (not body or indent > self._parent):
            return Line(None, item=False, comment=None)
        self._parent = None
        nested = bool(self._quote or self._depth)
        comment = self._tokens(row)
        alone = comment == indent
        bare = nested or alone or not body or body.startswith(("---", "%"))
        item = body == "-" or body.startswith("- ")
        return Line(None if bare else indent, item=item, comment=comment, alone=alone)

    def _tokens(self, row: str) -> int | None:
        """Go through a line; the column of its comment."""
        at, start, parent = 0, 0, len(row) - len(row.lstrip()) - 1
        while at < len(row):
            if self._quote:
                at = self._quoted(row, at)
                continue
            match = (_FLOW if self._depth else _BLOCK).match(row, at)
            if match is None:
                return None
            kind, at = match.lastgroup, match.end()
            if kind == "comment":
                return match.start()
            if kind in {"plain", "quote"}:
                start = match.start()
            elif kind == "mark":
                parent = start if match["mark"] == ":" else match.start()
            self._enter(kind, match[0], parent)
        return None

    def _enter(self, kind: str | None, token: str, parent: int) -> None:
        if kind == "quote":
            self._quote = token
        elif kind == "block":
            self._parent = parent
        elif kind in {"open", "close"}:
            self._depth = max(0, self._depth + (len(token) if kind == "open" else -len(token)))

    def _quoted(self, row: str, at: int) -> int:
        match = _QUOTED[self._quote].match(row, at)
        if match is None:
            return len(row)
        if match["end"]:
            self._quote = ""
        return match.end()
