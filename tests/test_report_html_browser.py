"""The HTML report in a real browser: it opens without a complaint or a request, works, and everybody can use it."""

import os
import shutil
from pathlib import Path

import pytest
from htmllab import hostile, image_page, many
from reportlab import GETTY, spec_result
from test_diff import differing
from test_size import hostile as sizes

from lkscan.reports import formats
from lkscan.rules.funnel import Result
from lkscan.rules.joining import join

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium")
AXE = Path(os.environ.get("LKSCAN_AXE", "node_modules")) / "axe-core/axe.min.js"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

WIDTHS = (390, 820, 1440)
"""Of a phone, a tablet and a desk, in pixels."""
RESULTS = {
    "spec": spec_result(),
    "image": image_page(),
    "several": join([spec_result(), image_page()], ["linuxkit.yml", "out/linux kit.iso"]),
    "hostile": hostile(),
    "many": many(250),
    "nothing": Result(),
}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as one:
        running = one.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, result in RESULTS.items():
        (folder / f"{name}.html").write_text(formats.render("html", result), encoding="utf-8")
    assessment = formats.render("html", hostile(), formats.COMPLIANCE)
    (folder / "assessment.html").write_text(assessment, encoding="utf-8")
    comparison = formats.render("html", differing(), formats.COMPARISON)
    (folder / "comparison.html").write_text(comparison, encoding="utf-8")
    (folder / "sizes.html").write_text(formats.render("html", sizes(), formats.SIZES), encoding="utf-8")
    return folder


class Visit:
    """A page that was opened, and what the browser had to say meanwhile."""

    def __init__(self, context, url: str) -> None:
        self.said: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(5000)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on(
            "request", lambda request: self.said.append(request.url) if request.url != url.partition("#")[0] else None
        )
        self.page.goto(url)

    def tally(self) -> str:
        return self.page.text_content("#tally")

    def rows(self) -> int:
        return self.page.locator("#list > li").count()

    def settled(self, text: str) -> None:
        """Wait until the filters, which wait for more typing, have done their work."""
        playwright.expect(self.page.locator("#tally")).to_contain_text(text)


@pytest.fixture
def visit(browser, pages):
    contexts = []

    def open_page(
        name: str, hash_: str = "", *, width: int = 1440, scripts: bool = True, scheme: str = "light"
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, color_scheme=scheme
        )
        contexts.append(context)
        url = (pages / f"{name}.html").as_uri()
        return Visit(context, url + hash_)

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", [*RESULTS, "assessment", "sizes", "comparison"])
def test_it_opens_without_a_word_and_without_a_request(visit, name):
    seen = visit(name)
    assert seen.page.title().startswith("lkscan: ")
    assert seen.said == []


@pytest.mark.parametrize("name", [*RESULTS, "assessment", "sizes", "comparison"])
def test_it_fits_the_screen(visit, name):
    seen = visit(name)
    seen.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for width in WIDTHS:
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core (npm) in the node_modules that LKSCAN_AXE names")
@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("image", 390, "dark"),
        ("image", 1440, "light"),
        ("hostile", 1440, "dark"),
        ("spec", 820, "light"),
        ("assessment", 390, "dark"),
        ("nothing", 390, "light"),
        ("sizes", 390, "dark"),
        ("sizes", 1440, "light"),
        ("comparison", 390, "dark"),
        ("comparison", 1440, "light"),
    ],
)
def test_everybody_can_use_it(visit, name, width, scheme):
    seen = visit(name, width=width, scheme=scheme)
    seen.page.evaluate("[...document.querySelectorAll('details')].forEach((one, n) => { one.open = n % 3 === 0 })")
    found = seen.page.evaluate(f"{AXE.read_text(encoding='utf-8')}; axe.run()")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 15


def test_the_first_screen_has_the_verdict_the_input_and_what_to_do(visit):
    seen = visit("many")
    assert seen.page.locator("h1").is_visible()
    bottom = seen.page.locator(".actions").bounding_box()
    assert bottom["y"] + bottom["height"] < 900
    assert seen.page.locator(".input h2").first.text_content() == "out/linux kit.iso"


def test_filters_narrow_the_findings_and_stand_in_the_address(visit):
    seen = visit("many")
    assert seen.tally() == "250 findings."
    seen.page.check("input[value=high]")
    seen.settled("62 findings of 250.")
    seen.page.select_option("select[name=component]", "services/web2")
    seen.page.fill("input[name=text]", "FACT 00226")
    seen.settled("1 finding of 250.")
    assert [row.text_content() for row in seen.page.locator("#list .rule").all()] == ["LKF901"]
    assert seen.page.evaluate("location.hash") == "#findings?severity=high&component=services%2Fweb2&text=FACT+00226"
    seen.page.fill("input[name=text]", "nobody says so")
    seen.settled("No finding of 250 is like that.")
    seen.page.click("#all")
    seen.settled("250 findings.")
    assert seen.page.evaluate("location.hash") == "#findings"


def test_an_address_with_filters_opens_the_same_view(visit):
    seen = visit("many", "#findings?severity=high&severity=critical&rule=LKX901")
    assert seen.tally() == "62 findings of 250."
    assert seen.page.locator("input[value=high]").is_checked()
    assert seen.page.input_value("select[name=rule]") == "LKX901"
    assert seen.said == []


def test_numbers_and_steps_lead_to_their_findings(visit):
    seen = visit("many")
    seen.page.click(".counts .medium")
    seen.settled("63 findings of 250.")
    assert seen.page.evaluate("document.activeElement.id") == "findings-title"
    seen.page.click(".actions a >> nth=0")
    playwright.expect(seen.page.locator("#list .rule").first).to_have_text("LKP902")
    assert set(seen.page.locator("#list .rule").all_text_contents()) == {"LKP902"}


def test_of_several_inputs_a_container_leads_to_its_own_findings(visit):
    seen = visit("several")
    seen.settled("5 findings.")
    web = seen.page.locator("#containers details", has_text="out/linux kit.iso").first
    web.locator("summary").click()
    web.locator("a").click()
    seen.settled("1 finding of 5.")
    assert seen.page.input_value("select[name=input]") == "out/linux kit.iso"
    assert seen.page.input_value("select[name=component]") == "services/web"


def test_the_findings_come_in_pages(visit):
    seen = visit("many")
    pager = seen.page.locator("#pager")
    assert seen.rows() == 100
    assert pager.text_content() == "Previous1 to 100 of 250Next"
    assert pager.locator("button").first.is_disabled()
    for _ in range(2):
        pager.locator("button").last.click()
    assert pager.text_content() == "Previous201 to 250 of 250Next"
    assert seen.rows() == 50
    assert pager.locator("button").last.is_disabled()


def test_a_link_to_a_finding_opens_it_whatever_page_it_is_on(visit):
    seen = visit("many")
    last = seen.page.evaluate("JSON.parse(document.getElementById('data').textContent).findings.at(-1)[0]")
    again = visit("many", f"#{last}")
    again.page.keyboard.press("Tab")
    assert again.page.evaluate("document.activeElement.closest('li').id") == last
    assert again.page.locator(f"#{last} .evidence").is_visible()
    assert again.page.locator(f"#{last} a").get_attribute("href") == f"#{last}"
    again.page.check("input[value=high]")
    again.settled("62 findings of 250.")
    again.page.evaluate(f"location.hash = '{last}'")
    again.settled("250 findings.")
    assert again.page.locator(f"#{last}").is_visible()
    assert visit("many", "#f-nothing").rows() == 100


def test_an_opened_finding_says_all_that_is_known(visit):
    seen = visit("spec", f"#f-{GETTY.fingerprint[:12]}")
    told = seen.page.locator(".finding .body").first.text_content()
    for text in (
        "bounding set: CAP_SYS_MODULE",
        "from the label of linuxkit/getty",
        "also: linuxkit.yml:6:13: the host's /run",
        "Do: Give it only the capabilities that it needs.",
        "lkscan fix does this: bind '/etc' read-only",
        "3.4.3 Insecure container runtime configurations",
    ):
        assert text in told


def test_the_keyboard_reaches_everything(visit):
    seen = visit("many")
    press = seen.page.keyboard.press
    press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip"
    press("Enter")
    assert seen.page.evaluate("location.hash") == "#findings"
    seen.page.focus("#containers summary")
    press("Enter")
    assert seen.page.locator("#containers dl").first.is_visible()
    seen.page.focus("input[type=checkbox]")
    press("Space")
    seen.settled("of 250.")
    seen.page.focus("#list summary")
    press("Space")
    assert seen.page.locator("#list .body").first.is_visible()


def test_without_scripts_it_still_shows_the_worst(visit):
    seen = visit("many", scripts=False)
    assert seen.rows() == 50
    seen.page.click("#list summary >> nth=0")
    assert seen.page.locator("#list .body").first.is_visible()
    assert not seen.page.locator("#filters").is_visible()


def test_hostile_names_do_nothing(visit):
    seen = visit("hostile")
    seen.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for _ in range(3):
        seen.page.fill("input[name=text]", "</script>")
        seen.settled("of ")
        seen.page.click("#all")
    for value in seen.page.locator("select[name=component] option").evaluate_all("all => all.map(one => one.value)"):
        seen.page.select_option("select[name=component]", value)
    for link in seen.page.locator("a[data-filter=component]").all():
        link.evaluate("one => one.click()")
    assert seen.page.evaluate("typeof pwned") == "undefined"
    assert seen.page.locator("img, main script, [onload], [onerror]").count() == 0
    assert seen.page.locator("script").count() == 2
    assert seen.said == []


def test_the_policy_stops_what_would_get_in(visit):
    seen = visit("spec")
    tried = "try { document.body.innerHTML = '<img src=x>'; 'done' } catch (error) { error.name }"
    assert seen.page.evaluate(tried) == "TypeError"
    assert seen.page.evaluate("fetch('data:,x').then(() => 'done', error => error.name)") == "TypeError"
    seen.page.evaluate("document.body.append(Object.assign(document.createElement('img'), { src: 'file:///x.png' }))")
    assert "violates the following Content Security Policy" in " ".join(seen.said)


def test_a_print_has_all_opened_and_no_controls(visit):
    seen = visit("many", "#findings?severity=high")
    seen.page.emulate_media(media="print")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.rows() == 62
    assert seen.page.locator("details:not([open])").count() == 0
    assert seen.page.locator("#list .evidence").count() == 62
    assert not seen.page.locator("#filters").is_visible()
    assert seen.page.pdf().startswith(b"%PDF")
