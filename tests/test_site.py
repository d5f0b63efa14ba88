"""The documentation as a site: built without a warning, whole, self-contained, and each page what it was made from."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

from lkscan.rules.catalogue import RULES

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium")
LOADING = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
}
RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}


def build(configuration, target):
    pytest.importorskip("material", reason="needs mkdocs-material")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        configuration,
        "--site-dir",
        target,
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "website/mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Seen(HTMLParser):
    """What a page loads, where its links lead, and what can be linked to in it."""

    def __init__(self, page):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values.get("id"), values.get("name")}
        self.loads += [value for name, value in attributes if (tag, name) in LOADING]
        if tag == "link" and RELATIONS & set((values.get("rel") or "").split()):
            self.loads.append(values["href"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {page: Seen(page) for page in site.rglob("*.html") if page.name != "404.html"}


def test_nothing_is_loaded_from_elsewhere(site, pages):
    loads = {url for seen in pages.values() for url in seen.loads}
    assert loads
    assert [url for url in loads if urlsplit(url).scheme not in ("", "data") or url.startswith("//")] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*|@import[^;]*", styles) == []


def test_every_link_and_anchor_inside_leads_somewhere(pages):
    lost = []
    for page, seen in pages.items():
        for link in [*seen.links, *seen.loads]:
            url = urlsplit(link)
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            if url.scheme or url.netloc:
                continue
            if not target.is_file() or (target in pages and unquote(url.fragment) not in pages[target].anchors):
                lost.append((page.name, link))
    assert lost == []


def test_every_rule_has_a_page_with_what_it_is(site):
    for rule in RULES:
        text = (site / f"rules/{rule.name}.html").read_text(encoding="utf-8")
        for fact in (rule.id, rule.name, str(rule.severity), str(rule.profile), *rule.nist, 'id="why-it-matters"'):
            assert fact in text, (rule.name, fact)


def test_the_list_has_every_rule_once_by_family(site):
    text = (site / "rules/index.html").read_text(encoding="utf-8")
    rows = re.findall(r"<td>(LK[A-Z]\d{3}) ", text)
    assert sorted(rows) == sorted(rule.id for rule in RULES)
    letters = [row[2] for row in rows]
    assert len(re.findall(r"<h2 ", text)) == len([at for at, one in enumerate(letters) if letters[:at][-1:] != [one]])


def test_every_document_is_a_page(site):
    for path in (ROOT / "docs").glob("*.md"):
        assert (site / f"{path.stem}.html").exists()


@pytest.mark.parametrize("link", ["nowhere.md", "images.md#nowhere", "../rules/nowhere.toml"])
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path, link):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs/ci.md").open("a", encoding="utf-8") as file:
        file.write(f"\n[lost]({link})\n")
    configuration = tmp_path / "mkdocs.yml"
    hooks = ROOT / "website/hooks.py"
    configuration.write_text(
        f"INHERIT: {ROOT / 'website/mkdocs.yml'}\ndocs_dir: {tmp_path / 'docs'}\nhooks: [{hooks}]\n"
    )
    done = build(configuration, tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere" in done.stderr


def test_nothing_that_is_made_is_committed():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git, and a checkout")
    done = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "docs", "website"], capture_output=True, text=True, check=True
    )
    names = {Path(name).stem for name in done.stdout.splitlines()}
    assert names & {rule.name for rule in RULES} == set()


@pytest.fixture
def served(site):
    """Where a browser finds the site, on this machine."""
    handler = partial(Quiet, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """A server that keeps no log."""

    def log_message(self, *_):
        pass


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_list_can_be_searched_and_no_page_asks_for_anything_else(served):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    with playwright.sync_playwright() as one:
        browser = one.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{served}/rules/index.html")
        rows = page.locator("article tbody tr:visible")
        assert rows.count() == len(RULES)
        page.get_by_label("Words to look for").fill("critical DOCKER")
        wanted = [rule for rule in RULES if str(rule.severity) == "critical" and "docker" in rule.summary.lower()]
        assert 0 < rows.count() < 10
        assert {one.name for one in wanted} <= set(page.locator("article tbody tr:visible a").all_inner_texts())
        assert page.locator("article h2:visible").count() <= rows.count()
        page.get_by_label("Words to look for").fill("")
        assert rows.count() == len(RULES)
        page.wait_for_load_state("networkidle")  # the index of the search is there
        page.get_by_role("textbox", name="Search").click()
        page.get_by_role("textbox", name="Search").press_sequentially("getty")
        page.wait_for_selector(".md-search-result__item")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []
