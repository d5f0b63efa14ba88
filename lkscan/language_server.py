"""The language server: diagnostics, hover and quick fixes for specs and packages while they are being written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

from . import __version__
from .config.policies import Policies
from .fixing import together
from .inputs import Input
from .reports import pages
from .reports.printable import printable
from .rules.catalogue import find
from .rules.engine import Finding, Rule, Severity
from .rules.funnel import Result
from .scanner.sniff import sniff
from .scanner.subjects import Problem, Span
from .scanner.yamlpatch import Edit, edits
from .scanner.yamlpos import Document
from .scanner.yamltext import PatchError
from .scanning import scan_judged

_SEVERITIES = {
    Severity.CRITICAL: lsp.DiagnosticSeverity.Error,
    Severity.HIGH: lsp.DiagnosticSeverity.Error,
    Severity.MEDIUM: lsp.DiagnosticSeverity.Warning,
    Severity.LOW: lsp.DiagnosticSeverity.Information,
    Severity.NOTE: lsp.DiagnosticSeverity.Hint,
}
_START = Span(1, 1, 1, 1)
_FIXES = 100
"""Fixes that one action makes: where they get in one another's way, each is tried with all before it."""
_LINE_END = re.compile(r"\r\n?|\n")
_DIRECTIVE = re.compile(r"#\s*lkscan:\s*ignore\[([^\]]*)\]", re.IGNORECASE)
_WORD = re.compile(r"[\w-]+")


_Position = tuple[int, int]
"""Line and code point within it, from 0."""


class Checked(NamedTuple):
    """A document as it was when it was last checked, and what was found in it."""

    text: str
    path: str
    result: Result

    @property
    def lines(self) -> list[str]:
        """Its lines as an editor counts them, without their ends."""
        return _LINE_END.split(self.text)

    def at(self, start: _Position, end: _Position) -> Iterator[Finding]:
        """The findings whose primary place touches a range."""
        for finding in self.result.findings:
            span = finding.place.span or _START
            if (span.line - 1, span.column - 1) <= end and start <= (span.end_line - 1, span.end_column - 1):
                yield finding


def serve(policies: Callable[[], Policies]) -> None:
    """Speak the language server protocol on standard input and output until the client ends it.

    `policies` tells how to judge each path; it is asked again whenever a document is opened or saved, as
    configurations, packages and caches may have changed.
    """
    Server(policies).start_io()


class Server(LanguageServer):
    """The server with the documents it has checked, by their URIs."""

    def __init__(self, policies: Callable[[], Policies]) -> None:
        super().__init__("lkscan", __version__)
        self._make_policies = policies
        self._policies: Policies | None = None
        self._checked: dict[str, Checked] = {}
        kinds = lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll])
        # Partials, as pygls marks what it registers, and a method cannot be marked.
        self.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(partial(self._opened))
        self.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(partial(self._changed))
        self.feature(lsp.TEXT_DOCUMENT_DID_SAVE)(partial(self._opened))
        self.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(partial(self._closed))
        self.feature(lsp.TEXT_DOCUMENT_HOVER)(partial(self._hover))
        self.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, kinds)(partial(self._actions))

    # --- checking

    def _opened(self, params: lsp.DidOpenTextDocumentParams | lsp.DidSaveTextDocumentParams) -> None:
        """Opened or saved: the configuration may be another one by now, so it is read anew."""
        self._policies = None
        self._check(params.text_document.uri)

    def _changed(self, params: lsp.DidChangeTextDocumentParams) -> None:
        self._check(params.text_document.uri)

    def _closed(self, params: lsp.DidCloseTextDocumentParams) -> None:
        self._checked.pop(params.text_document.uri, None)
        self._publish(params.text_document.uri, [], None)

    def _check(self, uri: str) -> None:
        """Scan a document as it stands in the editor and tell what was found; other tools' YAML is left alone."""
        document = self.workspace.get_text_document(uri)
        path = to_fs_path(uri) or uri
        data = document.source.encode("utf-8", "surrogatepass")
        if sniff(data, path) is None:
            self._checked.pop(uri, None)
            self._publish(uri, [], document.version)
            return
        if self._policies is None:
            self._policies = self._make_policies()
        result = scan_judged([Input("spec", (path,), ((path, data),))], self._policies)
        checked = self._checked[uri] = Checked(document.source, path, result)
        found = [_of_finding(finding, checked, document) for finding in result.findings]
        found += [_of_problem(problem, checked, document) for problem in result.problems]
        self._publish(uri, found, document.version)

    def _publish(self, uri: str, found: Sequence[lsp.Diagnostic], version: int | None) -> None:
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version))

    # --- asking

    def _hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        """The page of the rule that found something here, or that a directive names here."""
        checked, document = self._asked(params.text_document.uri)
        if checked is None:
            return None
        at, _ = _positions(lsp.Range(params.position, params.position), checked, document)
        if rule := _named(checked.lines, at):
            return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, _page(rule)))
        found = list(checked.at(at, at))
        if not found:
            return None
        rules = {finding.rule.id: finding.rule for finding in found}
        text = "\n\n---\n\n".join([*map(_told, found), *map(_page, rules.values())])
        span = _range(found[0].place.span, checked, document)
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), span)

    def _actions(self, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        """For what was found here: to mend it, or to silence it; and to mend all that can be mended safely."""
        checked, document = self._asked(params.text_document.uri)
        if checked is None:
            return []
        actions: list[lsp.CodeAction] = []
        if _is_asked(params, lsp.CodeActionKind.QuickFix):
            for finding in checked.at(*_positions(params.range, checked, document)):
                diagnostic = _of_finding(finding, checked, document)
                actions += _mending(finding, checked, document, diagnostic)
                actions.append(_silencing(finding, checked, document, diagnostic))
        if _is_asked(params, lsp.CodeActionKind.SourceFixAll):
            actions += _mending_all(checked, document)
        return actions

    def _asked(self, uri: str) -> tuple[Checked | None, TextDocument]:
        return self._checked.get(uri), self.workspace.get_text_document(uri)


# --- from findings to the protocol's types


def _of_finding(finding: Finding, checked: Checked, document: TextDocument) -> lsp.Diagnostic:
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(document.uri, _range(one.place.span, checked, document)), one.note or finding.subject
        )
        for one in finding.locations[1:]
        if one.place.artifacts == (checked.path,)
    ]
    note = finding.locations[0].note
    return lsp.Diagnostic(
        _range(finding.place.span, checked, document),
        printable(f"{finding.message} ({note})" if note else finding.message),
        _SEVERITIES[finding.severity],
        finding.rule.id,
        source="lkscan",
        related_information=related or None,
    )


def _of_problem(problem: Problem, checked: Checked, document: TextDocument) -> lsp.Diagnostic:
    span = problem.place.span if problem.place.artifacts == (checked.path,) else None
    where = "" if problem.place.artifacts == (checked.path,) else f"{problem.place}: "
    message = printable(f"{where}{problem.message}")
    return lsp.Diagnostic(_range(span, checked, document), message, lsp.DiagnosticSeverity.Error, source="lkscan")


def _range(span: Span | None, checked: Checked, document: TextDocument) -> lsp.Range:
    """A span in the units of the client; without one, the document's start."""
    one = span or _START
    start, end = lsp.Position(one.line - 1, one.column - 1), lsp.Position(one.end_line - 1, one.end_column - 1)
    return document.position_codec.range_to_client_units(checked.lines, lsp.Range(start, end))


def _positions(wanted: lsp.Range, checked: Checked, document: TextDocument) -> tuple[_Position, _Position]:
    """A client's range as positions in the text."""
    found = document.position_codec.range_from_client_units(checked.lines, wanted)
    return (found.start.line, found.start.character), (found.end.line, found.end.character)


def _named(lines: Sequence[str], at: _Position) -> Rule | None:
    """The rule whose id or name in a directive stands at a position."""
    line = lines[at[0]] if at[0] < len(lines) else ""
    for directive in _DIRECTIVE.finditer(line):
        for word in _WORD.finditer(line, directive.start(1), directive.end(1)):
            if word.start() <= at[1] <= word.end():
                return find(word[0])
    return None


def _told(finding: Finding) -> str:
    """A finding in Markdown: the sentence, the evidence, the remedy."""
    head = f"**{finding.severity}** {_escaped(finding.message)}"
    evidence = "".join(f"\n- {_escaped(one)}" for one in finding.evidence)
    return f"{head}\n{evidence}\n\n{finding.rule.remedy}"


def _page(rule: Rule) -> str:
    facts = " · ".join(f"{name}: {value}" for name, value in pages.facts(rule))
    return f"### {rule.name} ({rule.id})\n\n{facts}\n\n{pages.body(rule) or rule.summary}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: names in a spec may hold anything."""
    return re.sub(r"([\\`*_\[\]<>#|!&~])", r"\\\1", printable(text))


# --- actions


def _is_asked(params: lsp.CodeActionParams, kind: lsp.CodeActionKind) -> bool:
    """Whether the client wants actions of a kind; `source` asks for `source.fixAll` as well."""
    only = params.context.only
    return only is None or any(kind.value == one or kind.value.startswith(f"{one}.") for one in only)


def _mending(
    finding: Finding, checked: Checked, document: TextDocument, diagnostic: lsp.Diagnostic
) -> Iterator[lsp.CodeAction]:
    if finding.fix is None:
        return
    try:
        found = edits(checked.text, finding.fix.changes)
    except PatchError:
        return
    title = finding.fix.description if finding.fix.safe else f"{finding.fix.description} (unsafe)"
    yield lsp.CodeAction(
        title,
        lsp.CodeActionKind.QuickFix,
        [diagnostic],
        is_preferred=finding.fix.safe,
        edit=_workspace(found, checked, document),
    )


def _mending_all(checked: Checked, document: TextDocument) -> Iterator[lsp.CodeAction]:
    """One action for all safe fixes that go together; what they leave comes with the next one."""
    safe = [finding for finding in checked.result.findings if finding.fix is not None and finding.fix.safe]
    accepted, _, _ = together(checked.text, safe[:_FIXES])
    if accepted:
        changes = [change for finding in accepted if finding.fix for change in finding.fix.changes]
        edit = _workspace(edits(checked.text, changes), checked, document)
        yield lsp.CodeAction("Mend all that is safe to mend", lsp.CodeActionKind.SourceFixAll, edit=edit)


def _workspace(found: Sequence[Edit], checked: Checked, document: TextDocument) -> lsp.WorkspaceEdit:
    """Edits of the text as the protocol tells them."""
    text = Document(checked.text, None)
    parts = [lsp.TextEdit(_range(text.stretch(one.start, one.end), checked, document), one.text) for one in found]
    return lsp.WorkspaceEdit({document.uri: parts})


def _silencing(
    finding: Finding, checked: Checked, document: TextDocument, diagnostic: lsp.Diagnostic
) -> lsp.CodeAction:
    """A directive on a line of its own above the finding's: there it never breaks a value that goes on."""
    line = (finding.place.span or _START).line - 1
    text = checked.lines[line]
    indent = text[: len(text) - len(text.lstrip())]
    at = lsp.Position(line, 0)
    directive = f"{indent}# lkscan: ignore[{finding.rule.name}] reason\n"
    return lsp.CodeAction(
        f"Silence {finding.rule.name} here",
        lsp.CodeActionKind.QuickFix,
        [diagnostic],
        edit=lsp.WorkspaceEdit({document.uri: [lsp.TextEdit(lsp.Range(at, at), directive)]}),
    )
