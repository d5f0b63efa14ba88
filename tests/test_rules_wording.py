import pytest
from rulelab import container, fires, outcomes, place, spec

from lkscan.rules.engine import Engine, Outcome
from lkscan.rules.wording import (
    ambiguous_user_name,
    container_that_never_starts,
    file_path_with_dots,
    file_written_twice,
    folder_with_the_files_mode,
    optional_file,
    repeated_item,
    restated_label,
    source_of_one_machine,
)
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Violation


def told(rule, text, name="linuxkit.yml"):
    """What a rule says of a text, as (line, message)."""
    judge = Engine([rule])
    subjects = read([(name, text.encode())], LabelFinder())
    found = [finding for subject in subjects for finding in judge.judge(subject)]
    assert not judge.broken
    return [(one.place.span.line, one.message) for one in found if one.outcome is Outcome.FAIL]


def web(lines):
    return f"services:\n  - name: web\n    image: acme/web:1\n{lines}"


TWICE = [
    ("    capabilities: [CAP_CHOWN, CAP_CHOWN]\n", ["lists 'CAP_CHOWN' twice in 'capabilities'"]),
    ("    capabilities.add: [CAP_KILL, CAP_KILL]\n", ["twice in 'capabilities.add'"]),
    ("    binds: ['/a:/a', '/a:/a']\n", ["lists '/a:/a' twice in 'binds'"]),
    ("    binds: ['/a:/x:ro', '/b:/x']\n", ["mounts on '/x' twice"]),
    ("    binds.add: ['/a:/x', '/b:/x', '/b:/x']\n", ["lists '/b:/x' twice", "mounts on '/x' twice"]),
    ("    tmpfs: ['/x', '/x:size=1m']\n", ["mounts on '/x' twice"]),
    ("    mounts: [{type: tmpfs, destination: /x}, {type: proc, destination: /x}]\n", ["mounts on '/x' twice"]),
    ("    mounts: [{type: proc}, {type: proc}]\n", []),
    ("    binds: ['/a:/x', '/b:/x/']\n", []),
    ("    tmpfs: [/x]\n    binds: ['/b:/x']\n", []),
    ("    binds: ['/a', '/b']\n", []),
    ("    binds: ['/b:/x']\n    binds.add: ['/c:/x']\n", []),
    ("    env: [A=1, B=2, A=1]\n", ["sets 'A' twice"]),
    ("    env: [A=1, AA=1]\n", []),
    ("    env: [Zq8vT3, Zq8vT3]\n", []),
    ("    binds: ['/a:/a', '/a:/b']\n", []),
    ("    command: [/x, -v, -v]\n", []),
    ("    additionalGids: [1, 2, 1]\n", ["lists '1' twice in 'additionalGids'"]),
]


@pytest.mark.parametrize(("lines", "messages"), TWICE)
def test_what_a_container_is_given_twice_is_told_at_the_second(lines, messages):
    found = told(repeated_item, web(lines))
    assert len(found) == len(messages)
    assert all(part in message for part, (_, message) in zip(messages, found, strict=True))


def test_it_points_at_the_item_itself():
    text = web("    env:\n      - A=1\n      - B=1\n      - A=2\n")
    assert [line for line, _ in told(repeated_item, text)] == [7]


def test_a_packages_config_is_a_container_too():
    text = "image: agent\nconfig:\n  capabilities:\n    - CAP_CHOWN\n    - CAP_CHOWN\n"
    assert [line for line, _ in told(repeated_item, text, "build.yml")] == [5]


def test_findings_of_one_container_are_told_apart():
    text = web("    env: [A=1, A=2, B=1, B=2]\n    binds: ['/a:/A', '/b:/A']\n")
    judge = Engine([repeated_item])
    found = [one for subject in read([("a.yml", text.encode())], LabelFinder()) for one in judge.judge(subject)]
    assert len({one.fingerprint for one in found}) == len(found) == 3


def test_nothing_is_said_of_what_linuxkit_does_not_read():
    broken = spec(Violation("schema", "odd", place(1)), value={"services": [{"name": "a", "env": ["A=1", "A=2"]}]})
    assert outcomes(repeated_item, broken) == {Outcome.NOT_APPLICABLE}


def files(*entries):
    return "files:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


WRITTEN = [
    (("path: etc/a, contents: x", "path: /etc/a, contents: y"), [3]),
    (("path: etc/a, contents: x", "path: etc//./a, contents: y"), [3]),
    (("path: etc/a, contents: x", "path: etc/a, contents: y", "path: etc/a, contents: z"), [3, 4]),
    (("path: etc/a, contents: x", "path: etc/a, source: b, optional: true"), []),
    (("path: etc/a, contents: x", "path: etc/b, contents: x"), []),
    (("path: etc/a, symlink: /run/a", "path: etc/a/b, contents: x"), [3]),
    (("path: etc/a/b/c, contents: x", "path: etc/a, contents: x"), [2]),
    (("path: etc/a, directory: true", "path: etc/a/b, contents: x"), []),
    (("path: etc/a, contents: x", "path: etc/ab/c, contents: x"), []),
]


@pytest.mark.parametrize(("entries", "lines"), WRITTEN)
def test_a_file_that_takes_the_place_of_another_is_told(entries, lines):
    assert [line for line, _ in told(file_written_twice, files(*entries))] == lines


def test_a_file_of_another_document_may_take_its_place():
    documents = [(name, files("path: etc/a, contents: x").encode()) for name in ("a.yml", "b.yml")]
    judge = Engine([file_written_twice])
    assert [one for subject in read(documents, LabelFinder()) for one in judge.judge(subject)] == []


@pytest.mark.parametrize(("path", "fires_"), [("../a", True), ("a/..", True), ("a/..b", False), ("a/b...", False)])
def test_only_whole_steps_climb(path, fires_):
    assert bool(told(file_path_with_dots, files(f"path: {path}, contents: x"))) is fires_


def test_sources_from_outside_are_one_finding_with_a_list():
    text = files(
        "path: a, source: a",
        "path: b, source: ~/b, optional: true",
        "path: c, source: /etc/c",
        "path: d, contents: ~/d",
    )
    judge = Engine([source_of_one_machine])
    (finding,) = [one for subject in read([("a.yml", text.encode())], LabelFinder()) for one in judge.judge(subject)]
    assert [location.place.span.line for location in finding.locations] == [3, 4]
    assert finding.evidence[-1].endswith("not there: /b.")


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        (("path: a, source: a, optional: true", "path: b, source: b, optional: true"), [2]),
        (("path: a, contents: x", "path: a, source: a, optional: true"), []),
        (("path: a, source: ~/a, optional: true",), []),
        (("path: a, contents: x, optional: true",), []),
        (("path: a, source: a, optional: false",), []),
    ],
)
def test_optional_files_without_a_default_are_one_finding(entries, lines):
    assert [line for line, _ in told(optional_file, files(*entries))] == lines


FOLDERS = [
    (("path: sbin/a, contents: x, mode: '0777'",), [("'/sbin'", 2)]),
    (("path: a/b/c, contents: x, mode: '0666'",), [("'/a, /a/b'", 2)]),
    (("path: a/b, contents: x, mode: '0644'", "path: a/c/d, contents: x, mode: '0777'"), [("'/a/c'", 3)]),
    (("path: a, directory: true, mode: '0755'", "path: a/b, contents: x, mode: '0777'"), []),
    (("path: a/b, directory: true, mode: '0777'",), [("'/a'", 2)]),
    (("path: a/b, directory: true, mode: '1777'",), []),
    (("path: a/b, contents: x, mode: '2777'",), [("'/a'", 2)]),
    (("path: a/b, contents: x, mode: '0772'",), [("'/a'", 2)]),
    (("path: var/lib/b, contents: x, mode: '0777'",), []),
    (("path: a, contents: x, mode: '0777'",), []),
    (("path: a/b, contents: x, mode: '0644'",), []),
    (("path: a/b, contents: x, uid: 7",), [("user '7'", 2)]),
    (("path: a/b, contents: x, uid: 7, mode: '0400'",), []),
    (("path: a/b, source: x, optional: true", "path: a/c, contents: x, mode: '0777'"), [("'/a'", 3)]),
]


@pytest.mark.parametrize(("entries", "wanted"), FOLDERS)
def test_folders_are_told_that_get_a_files_mode_or_owner(entries, wanted):
    found = told(folder_with_the_files_mode, files(*entries))
    assert [line for line, _ in found] == [line for _, line in wanted]
    assert all(part in message for (part, _), (_, message) in zip(wanted, found, strict=True))


def test_a_folder_that_an_earlier_document_wrote_is_not_written_again():
    first, second = files("path: a/b, contents: x, mode: '0644'"), files("path: a/c, contents: x, mode: '0777'")
    judge = Engine([folder_with_the_files_mode])
    documents = [("a.yml", first.encode()), ("b.yml", second.encode())]
    assert [one for subject in read(documents, LabelFinder()) for one in judge.judge(subject)] == []


@pytest.mark.parametrize(
    ("label", "outcome"), [("exact", Outcome.FAIL), ("newest", Outcome.UNDECIDED), ("built", Outcome.NOT_APPLICABLE)]
)
def test_a_label_is_restated_only_where_it_is_known(label, outcome):
    assert outcomes(restated_label, container(label=label, restated={"pid": place(4)})) == {outcome}


def test_all_keys_that_restate_the_label_are_one_finding():
    (finding,) = fires(restated_label, container(restated={"pid": place(4), "binds": place(6)}))
    assert finding.arguments == ("app", "pid, binds")
    assert [location.place for location in finding.locations] == [place(4), place(6)]


@pytest.mark.parametrize(
    ("onboot", "service", "lines"),
    [
        ("web", "uid: web", [6]),
        ("web", "gid: web", [6]),
        ("other", "uid: web", []),
        ("web", "uid: 7", []),
        ("web", "hostname: web", []),
    ],
)
def test_a_name_that_two_containers_bear_stands_for_one_user(onboot, service, lines):
    text = f"onboot:\n  - {{name: {onboot}, image: a}}\nservices:\n  - name: web\n    image: a\n    {service}\n"
    assert [line for line, _ in told(ambiguous_user_name, text)] == lines


def test_the_owner_of_a_file_is_such_a_name_too():
    text = "onboot: [{name: a, image: a}]\nservices: [{name: a, image: a}]\n" + files("path: x, contents: y, uid: a")
    assert [line for line, _ in told(ambiguous_user_name, text)] == [4]


@pytest.mark.parametrize(
    ("name", "section", "variant"),
    [
        ("web", "services", None),
        ("web-1.2_x", "services", None),
        ("web_", "services", "default"),
        ("web--x", "services", "default"),
        ("my web", "services", "default"),
        ("../web", "services", "default"),
        ("w" * 76, "services", None),
        ("w" * 77, "services", "default"),
        ("web--x_", "onboot", None),
        ("my web", "onboot", "runc"),
        ("a/b", "onshutdown", "runc"),
        ("grün", "onboot", "runc"),
        ("acme/web", "package", None),
    ],
)
def test_names_are_what_the_runtime_of_their_section_takes(name, section, variant):
    found = fires(container_that_never_starts, container(name=name, section=section))
    assert [finding.variant for finding in found] == ([variant] if variant else [])


@pytest.mark.parametrize("name", ["${NAME}", "{{ name }}", "@@NAME@@"])
def test_a_name_that_a_template_fills_in_is_not_judged(name):
    assert outcomes(container_that_never_starts, container(name=name)) == {Outcome.UNDECIDED}


@pytest.mark.parametrize(("variable", "refused"), [("A=1", False), ("A=", False), ("A", True), ("=1", True)])
def test_a_variable_needs_a_name_and_an_equals_sign(variable, refused):
    found = fires(container_that_never_starts, container(env=["B=1", variable]))
    assert [finding.arguments for finding in found] == ([("app", "2")] if refused else [])
