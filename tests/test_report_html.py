"""The HTML report as text: what stands in it, and what can't get out of its place."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from htmllab import ATTACKS, hostile, image_page, many
from reportlab import (
    GETTY,
    RULES,
    SPEC_SYSTEM,
    TOKEN,
    WEB,
    image_of_risks,
    image_result,
    inside,
    snapshot,
    spec_result,
    writable,
)
from rulelab import container

from lkscan.reports import formats, treemap
from lkscan.rules import engine
from lkscan.rules.components import Component, Part, amount
from lkscan.rules.contents import Contents
from lkscan.rules.engine import Finding
from lkscan.rules.funnel import Result, Suppressed
from lkscan.scanner.subjects import KernelCommandLine, Place, Problem


def render(result: Result) -> str:
    return formats.render("html", result, version="1.2.3")


def embedded(page: str, element: str) -> str:
    """What stands between the tags of the first such element."""
    return re.search(rf"<{element}>(.*?)</", page, re.DOTALL)[1]


def data(page: str) -> dict:
    return json.loads(embedded(page, 'script type="application/json" id="data"'))


def bare(page: str) -> str:
    """Without the style and the script, which are files to review by themselves, and their hashes."""
    page = page.replace(embedded(page, "style"), "STYLE").replace(embedded(page, "script"), "SCRIPT")
    return re.sub(r"sha256-[\w+/=]+", "sha256-HASH", page)


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("spec.html", spec_result()._replace(rules=RULES)),
        ("image.html", image_result(2)._replace(contents=image_page().contents)),
    ],
)
def test_the_page_looks_as_reviewed(name: str, result: Result) -> None:
    text = bare(render(result))
    assert text == snapshot(name, text)


def test_the_assessment_is_a_page_of_its_own_without_scripts() -> None:
    results = {"compliance": spec_result()._replace(rules=RULES), "compliance-image": image_of_risks()}
    for name, result in results.items():
        assert_is_assessment(name, formats.render("html", result, formats.COMPLIANCE, version="1.2.3"))


def assert_is_assessment(name: str, page: str) -> None:
    policy = next(one["content"] for tag, one in Elements(page).found if one.get("http-equiv"))
    assert "script-src 'none'; style-src 'sha256-" in policy
    page = page.replace(embedded(page, "style"), "STYLE")
    page = re.sub(r"sha256-[\w+/=]+", "sha256-HASH", page)
    assert page == snapshot(f"{name}.html", page)


def test_the_same_result_gives_the_same_bytes() -> None:
    assert render(image_page()) == render(image_page())


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    page = render(spec_result())
    (policy,) = [one["content"] for tag, one in Elements(page).found if one.get("http-equiv")]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))

    def digest(element: str) -> str:
        return f"'sha256-{b64encode(sha256(embedded(page, element).encode()).digest()).decode()}'"

    assert (
        allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == allowed["trusted-types"] == "'none'"
    )
    assert (allowed["script-src"], allowed["style-src"]) == (digest("script"), digest("style"))
    assert "unsafe" not in policy


@pytest.mark.parametrize("result", [spec_result(), image_page(), hostile(), Result()])
def test_nothing_is_asked_of_a_network_and_no_element_acts_by_an_attribute(result: Result) -> None:
    for tag, attributes in Elements(render(result)).found:
        assert tag not in {"img", "iframe", "object", "embed", "base", "audio", "video", "source"}
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src", "action"}]
        link = attributes.get("href", "#")
        assert link.startswith("#") or (tag == "link" and link == "data:,")


def test_hostile_names_stay_text() -> None:
    page = render(hostile())
    tags = [tag for tag, _ in Elements(page).found]
    assert tags.count("script") == 2
    assert tags.count("style") == 1
    assert all(character.isprintable() or character == "\n" for character in page)
    assert "49" not in embedded(page, "title")
    body = page.partition('<script type="application/json"')[0]
    assert "<img" not in body
    assert "&lt;img src=x onerror=pwned=1&gt;" in body
    assert "\\u202eevil" in body
    assert "\\xff\\x80" in body
    page.encode("utf-8")


def test_the_findings_are_data_that_cannot_leave_its_element() -> None:
    page = render(hostile())
    text = embedded(page, 'script type="application/json" id="data"')
    assert not set("<>&") & set(text)
    messages = [row[5] for row in json.loads(text)["findings"]]
    assert any(ATTACKS[0] in one for one in messages)
    assert all(one.isprintable() for one in messages)


def test_findings_come_most_severe_first_each_with_an_id_that_survives_the_next_report() -> None:
    found = data(render(spec_result(TOKEN, TOKEN)))
    assert [row[2] for row in found["findings"]] == [4, 4, 4, 2]
    ids = [row[0] for row in found["findings"]]
    assert ids[0] == f"f-{GETTY.fingerprint[:12]}"
    assert ids[1:3] == [f"f-{TOKEN.fingerprint[:12]}", f"f-{TOKEN.fingerprint[:12]}-2"]


def test_a_finding_has_its_evidence_other_places_and_fix() -> None:
    found = data(render(spec_result()))
    getty, web = found["findings"]
    assert getty[6:] == [
        "linuxkit.yml:5:12",
        ["from the label of linuxkit/getty", "bounding set: CAP_SYS_MODULE"],
        ["linuxkit.yml:6:13: the host's /run"],
        "lkscan fix does this: bind '/etc' read-only",
    ]
    assert web[9].startswith("lkscan fix --unsafe does this: name its tag")
    assert found["rules"][0]["nist"][0] == "3.4.3 Insecure container runtime configurations"
    assert found["components"] == ["services/getty", "services/web"]


def test_without_scripts_the_most_severe_findings_are_there() -> None:
    page = render(many(300))
    listed = [one["id"] for tag, one in Elements(page).found if tag == "li" and "id" in one]
    assert listed == [row[0] for row in data(page)["findings"]][:50]
    assert "The 50 most severe of 300 findings." in page


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (Result(), "Nothing could be scanned."),
        (Result(systems=spec_result().systems), "Nothing to mend was found."),
        (Result(systems=spec_result().systems, suppressed=(Suppressed(WEB, ""),)), "Nothing new to mend."),
        (Result(systems=spec_result().systems, findings=(WEB,)), "Defences that LinuxKit"),
        (spec_result(), "Host root, or a secret, is within reach."),
        (image_result(), "A container&#39;s boundary is void"),
    ],
)
def test_the_verdict_is_that_of_the_worst_finding(result: Result, told: str) -> None:
    assert told in embedded(render(result).replace("<h1 id", "<h1><h1 id"), "h1")


def test_what_could_not_be_read_is_said_on_the_first_screen() -> None:
    problems = tuple(Problem(Place((f"{number}.iso",)), "ends in the middle") for number in range(301))
    page = render(Result(systems=spec_result().systems, problems=problems))
    assert '<a href="#unread">301 problems</a>' in page
    assert "199.iso: ends in the middle" in page
    assert "and 1 more" in page


def test_a_flood_of_names_is_bounded() -> None:
    many_mounts = [{"destination": f"/{one}", "type": "bind", "source": "/x", "options": []} for one in range(5000)]
    flooded = container(command=["x" * 100_000] * 3, mounts=many_mounts, capabilities=[f"CAP_{n}" for n in range(5000)])
    crowd = tuple(container(name=f"c{number}") for number in range(600))
    system = SPEC_SYSTEM._replace(containers=(flooded, *crowd))
    told = engine.fail("x" * 50_000, inside("x"), "y" * 50_000, evidence=["z" * 50_000] * 500)
    page = render(Result(systems=(system,), findings=(Finding.of(writable, told),), rules=RULES))
    assert len(page) < 2_000_000
    assert "<p>and 301 more</p>" in page
    assert '<td colspan="4">and 4,703 more</td>' in page
    (finding,) = data(page)["findings"]
    assert len(finding[5]) < 4000
    assert finding[7][-1] == "and 450 more (--format json has them all)"


def test_the_three_things_to_do_first_are_of_the_worst_rules() -> None:
    page = render(many(40))
    assert "Do these three first" in page
    steps = re.findall(r"(\d+) findings of (LK\w+)", page.partition("</section>")[0])
    assert steps == [("10", "LKP902"), ("10", "LKX901"), ("10", "LKF901")]


def test_containers_stand_by_exposure_with_what_they_hold() -> None:
    page = render(spec_result())
    titles = re.findall(r'<span class="title">([^<]+)', page)
    assert titles == ["services/getty", "services/web"]
    getty = page.partition("services/getty")[2].partition("</details>")[0]
    assert all(name in getty for name in ("CAP_SYS_MODULE", "pid: the host&#39;s", "<code>/etc</code>", "as root"))
    assert "Not known, as its label is not" in page


def test_what_may_be_a_secret_is_not_quoted() -> None:
    options = ["ro", "size=10m", "password=hunter2-hunter2"]
    mount = {"destination": "/x", "type": "cifs", "source": "//host/x", "options": options}
    one = container(command=["/bin/app", "--token", "hunter2-hunter2"], env=["TOKEN=hunter2-hunter2"], mounts=[mount])
    lines = (KernelCommandLine(inside("boot/cmdline"), "token=hunter2-hunter2"),)
    page = render(Result(systems=(SPEC_SYSTEM._replace(containers=(one,), command_lines=lines),)))
    assert "hunter2" not in page
    assert "ro, size=10m, password=…" in page
    assert "<code>/bin/app</code> with 2 arguments" in page


def test_a_kernel_is_told_option_by_option() -> None:
    page = render(image_page())
    kernel = page.partition('<section id="kernel"')[2].partition("</section>")[0]
    assert "<code>HARDENED_USERCOPY</code>" in kernel.partition("</table>")[0]
    assert "As recommended: " in kernel


def test_programs_that_are_hardened_alike_share_a_row_the_worst_first() -> None:
    page = render(image_page())
    matrix = page.partition('<section id="binaries"')[2].partition("</section>")[0]
    assert matrix.index("root filesystem") < matrix.index("services/web")
    assert "bin/sh and 1 more" in matrix
    assert '<td class="part">partial</td>' in matrix


def test_sections_of_the_guide_carry_the_status_of_the_assessment() -> None:
    page = render(spec_result())
    rows = re.findall(r'<th scope="row">(3\.\d\.\d|4\.6)[^<]*</th>.*?badge (\w+)">([^<]+)<', page, re.DOTALL)
    assert len(rows) == 24
    status = {number: word for number, _, word in rows}
    assert status["3.4.3"] == "fail"
    assert status["3.1.3"] == "not assessable"


def test_the_map_fills_its_frame_in_proportion() -> None:
    (made,) = image_page().contents
    areas = treemap.draw(made, treemap.Tones(()), (1000, 500))
    sizes = {one.name: one.size for one in made.components}
    whole = sum(sizes.values())
    for area in areas:
        share = sizes[area.frame.title.partition(":")[0]] / whole
        assert area.frame.width * area.frame.height == pytest.approx(500_000 * share, rel=0.01)
        for one in area.parts:
            assert area.frame.x <= one.x
            assert one.x + one.width <= area.frame.x + area.frame.width + 0.2
            assert one.y + one.height <= area.frame.y + area.frame.height + 0.2


def test_the_map_colours_files_and_folders_by_the_worst_found_there() -> None:
    result = image_page()
    (made,) = result.contents
    tones = treemap.Tones(result.findings)
    areas = treemap.draw(made, tones, (1000, 500))
    parts = {one.label: one.severity for area in areas for one in area.parts}
    assert parts["0"] == "high"
    assert parts["kernel"] == ""
    rows = {row.name: (row.findings, row.severity) for row in treemap.rows(made, tones)}
    assert rows == {"root filesystem": (2, "high"), "services/web": (1, "high"), "kernel and modules": (0, "")}


@pytest.mark.parametrize("sizes", [[1 << 60, 1], [1 << one for one in range(63, -1, -1)], [1] * 10_000, [0, 0], [7]])
def test_a_map_of_any_sizes_can_be_drawn(sizes: list[int]) -> None:
    made = (Component(f"services/{n}", Place(("x",)), size, 1, (Part("a", size, 1),)) for n, size in enumerate(sizes))
    areas = treemap.draw(Contents(Place(("x",)), tuple(made), ()), treemap.Tones(()), treemap.WIDE)
    assert bool(areas) == any(sizes)
    assert all(area.frame.x + area.frame.width < 1120.1 for area in areas)


def test_an_image_of_one_empty_file_and_sizes_of_any_kind_draw_something() -> None:
    assert treemap.draw(image_page().contents[0]._replace(components=()), treemap.Tones(()), (100, 100)) == []
    assert [amount(size) for size in (0, 1023, 1 << 20, 3 << 40)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 MiB",
        "3072.0 GiB",
    ]
