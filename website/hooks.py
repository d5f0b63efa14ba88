"""Adds to the site what docs/ does not hold: a page for each rule, the documents at the root, links out of docs/."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from lkscan.reports.links import HOME
from lkscan.reports.pages import body, facts, family, rank
from lkscan.rules.catalogue import RULES
from lkscan.rules.engine import Rule

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
DOCUMENTS = {"contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md", "changelog.md": "CHANGELOG.md"}
"""Pages that are documents at the root of the repository."""
ASSETS = ("site.css", "rules.js")
_SITE = {source: page for page, source in DOCUMENTS.items()}
_SITE |= {"rules/pages": "rules/index.md"} | {f"rules/pages/{rule.name}.md": f"rules/{rule.name}.md" for rule in RULES}
"""Where in the site a path of the repository is; all other pages lie at its root, under their names in docs/."""
_LINK = re.compile(r"(\]\()([^)\s:#]+)(#[^)\s]*)?(?=\))")
_NAMED = re.compile(r"`(" + "|".join(re.escape(rule.name) for rule in RULES) + ")`")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, the documents and the assets."""
    made = {f"rules/{rule.name}.md": _page(rule) for rule in RULES} | {"rules/index.md": _index()}
    made |= {page: (ROOT / name).read_text(encoding="utf-8") for page, name in DOCUMENTS.items()}
    made |= {name: (HERE / name).read_text(encoding="utf-8") for name in ASSETS}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs names them
    """Let links that lead out of docs/ lead to the page that it became, or to the repository."""
    here = page.file.src_uri
    return _LINK.sub(lambda match: match[1] + _target(match[2], here) + (match[3] or ""), markdown)


def _target(link: str, page: str) -> str:
    """Where a link leads in the site; as it stands where it leads nowhere, which mkdocs then warns of."""
    if page.startswith("rules/"):
        return link
    name = posixpath.normpath(posixpath.join(posixpath.dirname(DOCUMENTS.get(page, f"docs/{page}")), link))
    path = ROOT / name
    if inside := _SITE.get(name) or (name.removeprefix("docs/") if name.startswith("docs/") else ""):
        return inside
    return f"{HOME}/{'tree' if path.is_dir() else 'blob'}/main/{name}" if path.exists() else link


def _page(rule: Rule) -> str:
    """A rule: what it is, then its page."""
    rows = "".join(f"| {name} | {_cell(value)} |\n" for name, value in facts(rule))
    text = body(rule) or rule.remedy
    return f"# {rule.id} {rule.name}\n\n{rule.summary}\n\n| | |\n|---|---|\n{rows}\n{_linked(text, rule)}\n"


def _linked(text: str, rule: Rule) -> str:
    """The text with other rules' names as links, but for what is code."""
    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        code = fenced or line.startswith(("    ", "```"))
        lines.append(line if code else _NAMED.sub(lambda match: _to(match[1], rule), line))
    return "\n".join(lines)


def _to(name: str, rule: Rule) -> str:
    return f"`{name}`" if name == rule.name else f"[`{name}`]({name}.md)"


def _index() -> str:
    return "\n".join(_index_lines()) + "\n"


def _index_lines() -> Iterator[str]:
    yield "---\nhide: [toc]\n---\n# All rules\n"
    yield f"lkscan has {len(RULES)} rules. `lkscan explain RULE` prints the page of one, `lkscan rules` this list.\n"
    yield '<label class="rule-filter" hidden>Words to look for <input type="search" autocomplete="off"></label>\n'
    yield "In the examples of their pages, a comment `# expect: NAME` marks the lines where the rule fires; on all"
    yield "others it is silent.\n"
    heads = ("Rule", "Severity", "Profile", "NIST SP 800-190", "Fix", "What it finds")
    for name, rules in groupby(sorted(RULES, key=rank), family):
        yield f"## {name.capitalize()}\n"
        yield f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
        for rule in rules:
            grades = (str(rule.severity), str(rule.profile), ", ".join(rule.nist), rule.autofix)
            yield f"| {' | '.join((f'{rule.id} [{rule.name}]({rule.name}.md)', *grades, _cell(rule.summary)))} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
