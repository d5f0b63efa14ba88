"""The SARIF report: what GitHub and the standard ask for, and no secret in a snippet."""

import gzip
import json
from uuid import UUID

import multitoollab
import pytest
import sarif_om
from hypothesis import given
from hypothesis import strategies as st
from reportlab import (
    ALL,
    GETTY,
    RULES,
    SPEC_SYSTEM,
    TEXT,
    TOKEN,
    WEB,
    at,
    finding,
    host_root,
    image_result,
    inside,
    secret,
    snapshot,
    spec_result,
    unpinned,
    writable,
)

from lkscan.reports import dense, formats, sarif
from lkscan.reports.linehash import line_hashes
from lkscan.reports.sarif_plain import plain
from lkscan.rules import engine
from lkscan.rules.engine import Location, Severity
from lkscan.rules.funnel import Result, Suppressed
from lkscan.rules.spec import schema_violation
from lkscan.scanner.subjects import Place, Problem, Span, System


def load(result: Result, *, root: str = "") -> dict:
    text = formats.render("sarif", result, version="1.2.3", root=root)
    assert text.isascii()
    return json.loads(text)["runs"][0]


def only(one: engine.Finding, text: str = TEXT) -> dict:
    (found,) = load(Result(findings=(one,), systems=(SPEC_SYSTEM,), texts={"linuxkit.yml": text}, rules=ALL))["results"]
    return found


def quoted(text: str) -> list[str]:
    """What a report quotes of its files."""
    places = [place["physicalLocation"] for one in json.loads(text)["runs"][0]["results"] for place in one["locations"]]
    regions = [place.get(name, {}) for place in places for name in ("region", "contextRegion")]
    return [region["snippet"]["text"] for region in regions if "text" in region.get("snippet", {})]


def physical(result: dict) -> dict:
    return result["locations"][0]["physicalLocation"]


def test_the_report_looks_as_reviewed() -> None:
    for name, result in (("spec", spec_result()), ("image", image_result(1))):
        text = formats.render("sarif", result, version="1.2.3")
        assert text == snapshot(f"{name}.sarif", text)


def test_the_document_names_its_schema_and_version_first() -> None:
    log = json.loads(formats.render("sarif", spec_result()))
    assert list(log)[:2] == ["$schema", "version"]
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    assert log["$schema"].endswith("/errata01/os/schemas/sarif-schema-2.1.0.json")


@pytest.mark.parametrize("result", [spec_result(TOKEN), image_result(), Result()], ids=["spec", "image", "nothing"])
def test_the_document_fits_the_schema(result: Result) -> None:
    program = multitoollab.program()
    if program is None:
        pytest.skip("needs the npm package @microsoft/sarif-multitool, which brings the schema")
    from jsonschema import validate

    schema = json.loads((program.parent / "sarif-2.1.0.json").read_text(encoding="utf-8-sig"))
    validate(json.loads(formats.render("sarif", result)), schema)


def mended(text: str, fix: dict) -> str:
    """A text after the replacements of a fix, each on one line, as a viewer makes them."""
    lines = text.splitlines(keepends=True)
    (change,) = fix["artifactChanges"]
    for one in sorted(change["replacements"], key=lambda one: -one["deletedRegion"]["startColumn"]):
        region = one["deletedRegion"]
        assert region["startLine"] == region["endLine"]
        line = lines[region["startLine"] - 1]
        new = one.get("insertedContent", {"text": ""})["text"]
        lines[region["startLine"] - 1] = line[: region["startColumn"] - 1] + new + line[region["endColumn"] - 1 :]
    return "".join(lines)


def test_a_fix_holds_the_edits_that_mend_it() -> None:
    (getty,) = only(GETTY)["fixes"]
    assert mended(TEXT, getty) == TEXT.replace("/etc:/etc]", "/etc:/etc:ro]")
    assert getty["description"]["text"] == "Bind '/etc' read-only."
    (web,) = only(WEB)["fixes"]
    image = "    image: example.org/web"
    assert mended(TEXT, web) == TEXT.replace(f"{image}\n", f"{image}:1.4\n    readonly: true\n")
    assert web["description"]["text"].endswith(" Programs may miss what is changed.")


def test_no_fix_where_there_is_none_or_it_would_touch_something_else() -> None:
    assert "fixes" not in only(TOKEN)
    assert "fixes" not in only(GETTY, "services: [{image: *x}]\n")


def test_no_edit_of_a_text_that_may_hold_a_secret() -> None:
    assert all("fixes" not in one for one in load(spec_result(TOKEN))["results"])


def test_the_driver_describes_each_rule_that_fired_and_no_other() -> None:
    driver = load(spec_result())["tool"]["driver"]
    assert (driver["name"], driver["version"], driver["semanticVersion"]) == ("lkscan", "1.2.3", "1.2.3")
    assert [rule["id"] for rule in driver["rules"]] == ["LKI901", "LKP902"]
    rule = driver["rules"][1]
    assert rule["name"] == "TestHostRoot"
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert rule["properties"] == {
        "precision": "high",
        "security-severity": "9.5",
        "tags": ["security", "linuxkit", "NIST-SP-800-190-3.4.3", "NIST-SP-800-190-3.5.5"],
    }
    assert rule["help"]["text"].startswith("A container holds what it takes to become root on the host.\n")
    assert "3.4.3 Insecure container runtime configurations (answered by 4.4.3)" in rule["help"]["markdown"]
    assert rule["helpUri"].endswith("/rules/pages/test-host-root.md")


def test_every_rule_of_the_catalogue_keeps_the_limits() -> None:
    from lkscan.rules.catalogue import RULES as CATALOGUE

    every = tuple(
        finding(rule, engine.Verdict(engine.Outcome.FAIL, "x", (Location(Place(("a.yml",))),), ("a",) * 9, variant))
        for rule in CATALOGUE
        for variant in rule.messages
    )
    run = load(Result(findings=every))
    assert len(run["tool"]["driver"]["rules"]) == len(CATALOGUE)
    for rule in run["tool"]["driver"]["rules"]:
        assert len(rule["properties"]["tags"]) <= 10
        for field in ("shortDescription", "fullDescription"):
            assert 0 < len(rule[field]["text"]) <= 1024
            assert rule[field]["text"].endswith(".")
        assert rule["name"].isalnum()
        assert rule["helpUri"].endswith(".md")
        assert "## " in rule["help"]["markdown"]


def test_a_long_description_is_cut_to_githubs_limit() -> None:
    one = finding(host_root._replace(remedy="Mend it. " * 300), engine.fail("a", at(1, 1, 2), "a", "b"))
    (rule,) = load(Result(findings=(one,)))["tool"]["driver"]["rules"]
    assert len(rule["fullDescription"]["text"]) <= 1024
    assert rule["fullDescription"]["text"].endswith(" ...")


def test_the_taxonomy_has_constant_guids_and_every_reference_resolves() -> None:
    run = load(spec_result())
    (taxonomy,) = run["taxonomies"]
    assert UUID(taxonomy["guid"]).version == 5
    assert [taxon["id"] for taxon in taxonomy["taxa"]] == ["3.2.2", "3.4.3", "3.5.5"]
    for rule in run["tool"]["driver"]["rules"]:
        for relationship in rule["relationships"]:
            target = relationship["target"]
            taxon = taxonomy["taxa"][target["index"]]
            assert (target["id"], target["guid"]) == (taxon["id"], taxon["guid"])
            assert target["toolComponent"]["guid"] == taxonomy["guid"]
    assert run["tool"]["driver"]["supportedTaxonomies"][0]["name"] == taxonomy["name"]
    assert "countermeasure 4.5.5 Host file system tampering" in taxonomy["taxa"][2]["fullDescription"]["text"]


def test_without_a_reference_there_is_no_taxonomy() -> None:
    run = load(image_result(1))
    assert "taxonomies" not in run
    assert "supportedTaxonomies" not in run["tool"]["driver"]


def test_a_result_points_at_the_exact_stretch_and_quotes_it() -> None:
    result = only(GETTY)
    assert physical(result)["region"] == {
        "startLine": 5,
        "startColumn": 12,
        "endLine": 5,
        "endColumn": 67,
        "snippet": {"text": "linuxkit/getty:05eca453695984a69617f1f1f0bcdae7f7032967"},
    }
    context = physical(result)["contextRegion"]
    assert (context["startColumn"], context["endColumn"]) == (1, 67)
    assert context["snippet"]["text"].startswith("    image: linuxkit/getty")
    assert physical(result)["artifactLocation"] == {"uri": "linuxkit.yml", "uriBaseId": "SRCROOT"}
    assert result["locations"][0]["logicalLocations"] == [
        {"fullyQualifiedName": "services[0].image", "kind": "value", "name": "services/getty"}
    ]


def test_the_rule_index_and_the_level_are_explicit() -> None:
    run = load(spec_result())
    rules = run["tool"]["driver"]["rules"]
    assert [(one["level"], one["kind"]) for one in run["results"]] == [("error", "fail"), ("warning", "fail")]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.CRITICAL, "error"),
        (Severity.HIGH, "error"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "note"),
        (Severity.NOTE, "note"),
    ],
)
def test_the_level_is_that_of_the_finding(severity: Severity, level: str) -> None:
    assert only(finding(unpinned, engine.fail("a", at(1, 1, 2), "a", severity=severity)))["level"] == level


def test_the_message_stands_as_text_and_as_id_with_arguments() -> None:
    message = only(GETTY)["message"]
    assert message["id"] == "default"
    assert message["arguments"] == ["getty", "CAP_SYS_MODULE"]
    assert message["text"] == (
        "Container 'getty' holds what it takes to become root on the host: 'CAP_SYS_MODULE'."
        " (from the label of linuxkit/getty) See: [the host's /run](1)."
    )
    assert only(GETTY)["relatedLocations"][0]["id"] == 1


def test_a_name_can_neither_make_a_link_nor_a_placeholder() -> None:
    message = only(finding(unpinned, engine.fail("a", at(1, 1, 2), "[x](http://evil) {0}")))["message"]
    assert message == {"text": "Image '[x] (http://evil) {0}' has no tag."}
    related = [Location(at(2, 1, 2), "a]b\\")]
    text = only(finding(unpinned, engine.fail("a", at(1, 1, 2), "a", related=related)))["message"]["text"]
    assert text.endswith("See: [a\\]b\\\\](1).")


def test_an_image_finding_names_the_place_inside() -> None:
    result = load(image_result(1))["results"][0]
    assert physical(result)["artifactLocation"]["uri"] == "out/linux%20kit.iso"
    assert physical(result)["region"] == {
        "startLine": 1,
        "startColumn": 1,
        "endLine": 1,
        "endColumn": 2,
        "snippet": {"rendered": {"text": "out/linux kit.iso / boot/initrd.img / srv/0"}},
    }
    assert " In boot/initrd.img / srv/0." in result["message"]["text"]
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "boot/initrd.img / srv/0"


def test_lines_of_a_file_inside_an_image_are_no_lines_of_the_image() -> None:
    place = Place(("a.iso", "isolinux.cfg"), Span(4, 12, 4, 20))
    result = only(finding(unpinned, engine.fail("a", place, "a", related=[Location(place, "too")])))
    assert physical(result)["region"]["startLine"] == 1
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 1
    assert " In isolinux.cfg:4:12." in result["message"]["text"]


def test_an_image_finding_with_a_line_of_the_spec_is_shown_there() -> None:
    one = finding(
        writable, engine.fail("srv/0", inside("srv/0"), "srv/0", related=[Location(at(5, 5, 10), "asked for")])
    )
    result = only(one)
    assert physical(result)["artifactLocation"]["uri"] == "linuxkit.yml"
    assert physical(result)["region"]["startLine"] == 5
    assert result["relatedLocations"][0]["message"]["text"] == "out/linux kit.iso / boot/initrd.img / srv/0"


def test_no_line_is_quoted_unless_every_rule_about_secrets_has_looked() -> None:
    assert not quoted(formats.render("sarif", spec_result()._replace(rules=RULES)))
    unsure = finding(secret, engine.undecided("a", at(1, 1, 2), "Its content is not known."))
    assert quoted(formats.render("sarif", spec_result()._replace(others=(unsure,))))


def test_no_line_of_a_spec_with_a_secret_is_quoted_wherever_the_secret_was_reported() -> None:
    for result in (
        spec_result(TOKEN),
        spec_result()._replace(suppressed=(Suppressed(TOKEN, "known"),)),
        spec_result()._replace(others=(TOKEN,)),
    ):
        text = formats.render("sarif", result)
        assert "hunter2" not in text
        assert not quoted(text)
    assert quoted(formats.render("sarif", spec_result()))


@pytest.mark.parametrize(
    "line",
    ["    command: [app, --password=velvet-Otter-19]", "    environment: {DB_PASSWORD: velvet-Otter-19}"],
    ids=["of a command", "of a key that nobody knows"],
)
def test_no_line_is_quoted_where_a_place_that_no_rule_searches_may_hold_a_secret(line: str) -> None:
    text = formats.render(
        "sarif", spec_result()._replace(texts={"linuxkit.yml": TEXT.replace("    binds:", f"{line}\n    binds:")})
    )
    assert not quoted(text)


def test_what_linuxkit_refuses_is_not_quoted() -> None:
    refused = finding(schema_violation, engine.fail("spec", at(11, 5, 13), "unknown key"))
    told = physical(only(refused))
    assert told["region"]["snippet"] == told["contextRegion"]["snippet"]
    assert told["region"]["snippet"] == {"rendered": {"text": "Not quoted here: a secret may stand in this file."}}


@pytest.mark.parametrize(
    ("span", "text", "snippet"),
    [
        (Span(2, 3, 2, 8), TEXT, "image"),
        (Span(1, 1, 2, 8), TEXT, "kernel:\n  image"),
        (Span(3, 1, 3, 10), "a\r\nb\rservices:\n", "services:"),
        (Span(99, 1, 99, 4), TEXT, None),  # no such line
        (Span(1, 1, 1, 3000), "x" * 3000, None),  # nobody reads that
        (Span(2, 1, 2, 2), "a\x85b\nc", None),  # where lines end is disputed
    ],
)
def test_snippets_are_exact_or_absent(span: Span, text: str, snippet: str | None) -> None:
    result = only(finding(unpinned, engine.fail("a", Place(("linuxkit.yml",), span), "a")), text)
    assert physical(result)["region"].get("snippet", {}).get("text") == snippet


def test_a_context_is_larger_than_its_region_or_absent() -> None:
    whole = only(finding(unpinned, engine.fail("a", at(1, 1, 8), "a")))
    assert "contextRegion" not in physical(whole)


def test_an_empty_stretch_is_made_visible() -> None:
    region = physical(only(finding(unpinned, engine.fail("a", at(1, 8, 8), "a"))))["region"]
    assert (region["startColumn"], region["endColumn"]) == (8, 9)


@pytest.mark.parametrize(
    ("path", "uri", "known"),
    [
        ("a/./b/../linux kit.yml", "a/linux%20kit.yml", True),
        ("c:evil.yml", "c%3Aevil.yml", True),
        ("\udcff.yml", "%FF.yml", True),
        ("/src/project/a.yml", "a.yml", True),
        ("/elsewhere/a.yml", "elsewhere/a.yml", False),
        ("../../a.yml", "a.yml", False),
    ],
)
def test_uris_are_relative_and_hide_no_path(path: str, uri: str, *, known: bool) -> None:
    one = finding(unpinned, engine.fail("a", at(1, 1, 2, name=path), "a"))
    artifact = physical(load(Result(findings=(one,)), root="/src/project")["results"][0])["artifactLocation"]
    assert artifact["uri"] == uri
    assert ("uriBaseId" in artifact) is known
    assert ("description" in artifact) is not known


def test_the_category_is_the_input_when_there_is_one() -> None:
    assert load(spec_result())["automationDetails"]["id"] == "lkscan/linuxkit.yml/"
    other = System(Place(("b.yml",)), "spec", is_linuxkit=True, format="YAML")
    assert load(Result(systems=(SPEC_SYSTEM, other)))["automationDetails"]["id"] == "lkscan/"


def test_fingerprints_are_githubs_and_our_own_and_unique() -> None:
    run = load(spec_result()._replace(findings=(GETTY, GETTY, WEB)))
    prints = [one["partialFingerprints"] for one in run["results"]]
    assert prints[0]["primaryLocationLineHash"] == line_hashes(TEXT, [5])[5]
    assert [one["lkscan/v1"] for one in prints[:2]] == [f"{GETTY.fingerprint}:1", f"{GETTY.fingerprint}:2"]


def test_findings_in_an_image_stay_apart_for_github() -> None:
    hashes = [one["partialFingerprints"]["primaryLocationLineHash"] for one in load(image_result(9))["results"]]
    assert len(set(hashes)) == len(hashes)


def test_suppressed_and_open_verdicts_are_no_results_but_are_mentioned() -> None:
    run = load(spec_result()._replace(findings=()))
    assert run["results"] == []
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert notes[-1]["level"] == "note"
    assert "1 undecided" in notes[-1]["message"]["text"]


def test_what_could_not_be_read_is_said() -> None:
    problems = (Problem(Place(("a.iso", "b")), "breaks off"), Problem(Place(("/x",)), "is a folder", "unusable"))
    (invocation,) = load(Result(problems=problems))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [(one["level"], one["message"]["text"]) for one in invocation["toolExecutionNotifications"]] == [
        ("warning", "a.iso / b: breaks off"),
        ("error", "/x: is a folder"),
    ]
    assert load(Result())["invocations"] == [{"executionSuccessful": True}]


def test_too_many_results_are_cut_by_severity_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "RESULTS", 3)
    low = [finding(unpinned, engine.fail(str(n), at(n, 1, 2), "a", severity=Severity.LOW)) for n in range(1, 5)]
    run = load(Result(findings=(*low, GETTY, WEB)))
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("LKI901", "note"),
        ("LKP902", "error"),
        ("LKI901", "warning"),
    ]
    assert "3 of the least severe findings were left out" in json.dumps(run["invocations"])


def test_a_file_too_large_for_github_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "COMPRESSED", 2500)
    run = load(image_result(200))
    assert 0 < len(run["results"]) < 201
    assert "were left out" in json.dumps(run["invocations"])
    monkeypatch.setattr(sarif, "COMPRESSED", 0)
    assert len(load(image_result(5))["results"]) == 1  # never none, never for ever


def test_of_more_findings_than_github_takes_the_report_holds_its_limits_and_says_so() -> None:
    text = formats.render("sarif", image_result(26_000), version="1.2.3")
    run = json.loads(text)["runs"][0]
    assert len(run["results"]) == 25_000
    assert len(gzip.compress(text.encode(), 1)) < 10_000_000
    (said,) = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert said == "1001 of the least severe findings were left out to keep GitHub's limits."


def test_the_same_result_gives_the_same_bytes() -> None:
    assert formats.render("sarif", spec_result()) == formats.render("sarif", spec_result())


def test_the_serialiser_keeps_level_and_kind_and_drops_what_says_nothing() -> None:
    result = sarif_om.Result(message=sarif_om.Message(text="x"), level="warning")
    assert plain(result) == {"message": {"text": "x"}, "kind": "fail", "level": "warning"}
    assert plain(sarif_om.ToolComponent(name="a")) == {"name": "a"}
    assert plain({"a": [1, None, "x"]}) == {"a": [1, None, "x"]}


LOREM = "Lorem ipsum dolor sit amet.\n" * 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["c129715d7a2bc9a3:1"]),
        (" a\nb\n  \t\tc\n d", ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"]),
        *(
            (
                text,
                [
                    "e9496ae3ebfced30:1",
                    "fb7c023a8b9ccb3f:1",
                    "ce8ba1a563dcdaca:1",
                    "e20e36e16fcb0cc8:1",
                    "b3edc88f2938467e:1",
                    "c8e28b0b4002a3a0:1",
                    "c129715d7a2bc9a3:1",
                ],
            )
            for text in (
                " hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End\n",
                " hello; \t\nworld!!!\r\r\r  \t\tGreetings\r End\r",
                " hello; \t\r\nworld!!!\r\n\r\n\r\n  \t\tGreetings\r\n End\r\n",
                " hello; \t\nworld!!!\r\n\n\r  \t\tGreetings\r End\r\n",
            )
        ),
        (
            LOREM,
            [
                *(f"a7f2ff13bc495cf2:{number}" for number in range(1, 7)),
                "a7f2ff1481e87703:1",
                "a9cf91f7bbf1862b:1",
                "55ec222b86bcae53:1",
                "cc97dc7b1d7d8f7b:1",
                "c129715d7a2bc9a3:1",
            ],
        ),
    ],
)
def test_line_hashes_are_those_that_github_computes(text: str, expected: list[str]) -> None:
    assert list(line_hashes(text, range(1, 20)).values()) == expected


@given(st.text(st.sampled_from("ab \t\r\n\U0001f600é"), max_size=300))
def test_line_hashes_agree_with_the_definition(text: str) -> None:
    """A rolling hash over a window, unit by unit, as GitHub's action goes about it."""
    lines: list[int] = []
    units: list[int] = []
    fresh, after_return = True, False
    data = text.encode("utf-16-le")
    for unit in (*(int.from_bytes(data[i : i + 2], "little") for i in range(0, len(data), 2)), 0xFFFF):
        if unit in (0x20, 0x09) or (after_return and unit == 0x0A):
            after_return = False
            continue
        after_return = unit == 0x0D
        if fresh:
            lines.append(len(units))
        units.append(0x0A if after_return else unit)
        fresh = units[-1] == 0x0A
    seen: dict[int, int] = {}
    expected = []
    for start in lines:
        window = [*units[start : start + 100], *(0,) * 100][:100]
        value = sum(unit * 37 ** (99 - place) for place, unit in enumerate(window)) % 2**64
        seen[value] = seen.get(value, 0) + 1
        expected.append(f"{value:x}:{seen[value]}")
    assert list(line_hashes(text, range(1, 400)).values()) == expected


def test_the_fixture_rules_are_well_formed() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


# --- the working tree

CHECKOUT = formats.Checkout("/srv/repo", "https://example.org/o/r", "0" * 40, "main")


def test_in_a_working_tree_paths_start_at_its_root_and_the_revision_is_told() -> None:
    text = formats.render("sarif", spec_result(), root="/srv/repo/os", checkout=CHECKOUT)
    run = json.loads(text)["runs"][0]
    assert physical(run["results"][0])["artifactLocation"] == {"uri": "os/linuxkit.yml", "uriBaseId": "SRCROOT"}
    assert run["automationDetails"]["id"] == "lkscan/os/linuxkit.yml/"
    (provenance,) = run["versionControlProvenance"]
    assert provenance == {
        "branch": "main",
        "mappedTo": {"uriBaseId": "SRCROOT"},
        "repositoryUri": "https://example.org/o/r",
        "revisionId": "0" * 40,
    }


# --- files in images, and what is told on request


def test_a_file_in_an_image_is_an_artifact_that_knows_what_it_is_in() -> None:
    run = load(image_result(1))
    chains = []
    for one in run["artifacts"]:
        above = chains[one["parentIndex"]] if "parentIndex" in one else []
        chains.append([*above, one["location"]["uri"]])
    assert chains[:3] == [
        ["out/linux%20kit.iso"],
        ["out/linux%20kit.iso", "boot/initrd.img"],
        ["out/linux%20kit.iso", "boot/initrd.img", "srv/0"],
    ]
    result = run["results"][0]
    assert physical(result)["artifactLocation"]["index"] == 0
    inner = result["relatedLocations"][-1]["physicalLocation"]["artifactLocation"]
    assert chains[inner["index"]][-1] == inner["uri"] == "srv/0"


def test_what_is_silenced_is_told_as_such_on_request_and_then_every_result_says_so() -> None:
    result = spec_result()._replace(baselined=(Suppressed(WEB, ""),))
    run = json.loads(formats.render("sarif", result, silenced=True))["runs"][0]
    assert [one["suppressions"] for one in run["results"]] == [
        [],
        [],
        [{"kind": "inSource", "status": "accepted", "justification": "we know"}],
        [{"kind": "external", "status": "accepted", "justification": "No reason is given."}],
    ]
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert not any("left out" in one["message"]["text"] for one in notes)
    assert "suppressions" not in formats.render("sarif", result)


def test_every_outcome_is_told_on_request() -> None:
    run = json.loads(formats.render("sarif", spec_result(), everything=True))["runs"][0]
    kinds = [(one["kind"], one["level"]) for one in run["results"]]
    assert kinds == [
        ("fail", "error"),
        ("fail", "warning"),
        ("open", "none"),
        ("pass", "none"),
        ("notApplicable", "none"),
    ]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
    assert {one["kind"] for one in load(spec_result())["results"]} == {"fail"}


def test_where_nothing_was_found_the_rules_that_ran_are_named_without_their_pages() -> None:
    run = load(Result(rules=RULES))
    assert run["results"] == []
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == sorted(rule.id for rule in RULES)
    assert all("markdown" not in rule["help"] for rule in run["tool"]["driver"]["rules"])


def test_very_many_results_are_a_line_each_and_the_same_document(monkeypatch) -> None:
    spread = formats.render("sarif", image_result(30), version="1.2.3")
    monkeypatch.setattr(dense, "_SPREAD", 10)
    told = formats.render("sarif", image_result(30), version="1.2.3")
    assert json.loads(told) == json.loads(spread)
    assert list(json.loads(told)) == list(json.loads(spread))
    assert len(told.splitlines()) < len(spread.splitlines()) / 5
