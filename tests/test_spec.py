"""Specs and packages become subjects whose values know their places, and every reason to refuse them is told."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lkscan.scanner.labels import LABEL, LabelFinder
from lkscan.scanner.layout import Layout
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import (
    Container,
    File,
    ImageReference,
    KernelCommandLine,
    Origin,
    Place,
    Problem,
    Spec,
    System,
)

SPEC = """\
kernel:
  image: linuxkit/kernel:6.6.13
  cmdline: "console=tty0"
init:
  - linuxkit/init:abc
onboot:
  - name: first
    image: acme/first
onshutdown:
  - name: last
    image: acme/last:1
services:
  - name: getty
    image: linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0
    env:
      - INSECURE=true
  - name: web
    image: acme/web:latest
    capabilities:
      - CAP_NET_BIND_SERVICE
    binds: [/var/www:/www:ro]
    net: new
    uid: web
    runtime: {mkdir: [/var/www]}
volumes:
  - name: data
    image: acme/data
files:
  - path: /etc/motd
    contents: hello
    mode: "0644"
  - path: etc/keys
    directory: true
  - path: etc/link
    symlink: motd
  - path: root/key
    source: key
    uid: web
  - path: etc/spec.yml
    metadata: yaml
trust:
  org: [acme]
"""


def subjects(*texts, **options):
    documents = [(f"spec{i}.yml", text if isinstance(text, bytes) else text.encode()) for i, text in enumerate(texts)]
    return list(read(documents, LabelFinder(), **options))


def of(kind, found):
    return [one for one in found if isinstance(one, kind)]


def violations(*texts, **options):
    return [one for spec in of(Spec, subjects(*texts, **options)) for one in spec.violations]


def at(place, text=SPEC):
    """The text that a place points at, when it lies in one line."""
    line = text.splitlines()[place.span.line - 1]
    return line[place.span.column - 1 : place.span.end_column - 1]


def test_subjects_come_in_their_order():
    names = [type(one).__name__ for one in subjects(SPEC)]
    assert list(dict.fromkeys(names)) == ["Spec", "ImageReference", "KernelCommandLine", "Container", "File", "System"]


def test_the_spec_knows_its_sections():
    (spec,) = of(Spec, subjects(SPEC))
    assert (spec.kind, spec.text, spec.violations) == ("spec", SPEC, ())
    assert at(spec.sections["trust"]) == "trust"


def test_the_spec_finds_the_place_of_any_of_its_values():
    (spec,) = of(Spec, subjects(SPEC))
    place = spec.at("services", 1, "capabilities", 0)
    assert (at(place), place.pointer) == ("CAP_NET_BIND_SERVICE", "services[1].capabilities[0]")
    assert spec.at("services", 1, "env", 7) == spec.at("services", 1)
    assert spec.at().span is not None
    assert spec.value["services"][1]["net"] == "new"


def test_a_further_document_is_noted_and_not_read():
    (spec,) = of(Spec, subjects("services: []\n---\nservices: [{name: a}]\n"))
    assert (spec.ignored.span.line, spec.violations) == (2, ())
    assert of(Spec, subjects(SPEC))[0].ignored is None


def test_every_reference_has_its_role_and_place():
    found = of(ImageReference, subjects(SPEC))
    assert [one.role for one in found] == ["kernel", "init", "onboot", "onshutdown", "services", "services", "volumes"]
    assert all(at(one.place) == one.text for one in found)
    assert found[1].place.pointer == "init[0]"


def test_the_command_line():
    (line,) = of(KernelCommandLine, subjects(SPEC))
    assert line.text == "console=tty0"
    assert at(line.place) == '"console=tty0"'


def test_containers_are_numbered_within_their_section():
    found = of(Container, subjects(SPEC))
    assert [(one.title, one.index) for one in found] == [
        ("onboot/first", 0),
        ("onshutdown/last", 0),
        ("services/getty", 0),
        ("services/web", 1),
    ]
    assert all(at(one.place) == one.name for one in found)
    assert [one.label.kind for one in found] == ["unknown", "unknown", "exact", "unknown"]


def test_names_stand_for_ids_from_100_on():
    web = of(Container, subjects(SPEC))[3]
    assert web.uid == 103


@pytest.mark.parametrize(
    ("key", "item", "source", "text"),
    [
        ("capabilities", "CAP_NET_BIND_SERVICE", "spec", "CAP_NET_BIND_SERVICE"),
        ("binds", "/www", "spec", "/var/www:/www:ro"),
        ("mounts", "/www", "spec", "/var/www:/www:ro"),
        ("net", None, "spec", "new"),
        ("pid", None, "default", "web"),
        ("runtime", None, "spec", "{mkdir: [/var/www]}"),
    ],
)
def test_values_of_the_spec_point_at_themselves(key, item, source, text):
    origin = of(Container, subjects(SPEC))[3].origin(key, item)
    assert (origin.source, at(origin.place)) == (source, text)


def test_values_of_a_label_point_at_the_image():
    getty = of(Container, subjects(SPEC))[2]
    assert getty.origin("env", "0").source == "spec"
    origin = getty.origin("capabilities")
    assert (origin.source, at(origin.place)) == ("label", getty.image.text)


def test_files_have_mode_owner_contents_and_places():
    motd, keys, link, key, spec = of(File, subjects(SPEC))
    assert (motd.path, motd.kind, motd.mode, motd.size, motd.location) == ("etc/motd", "file", 0o644, 5, "files[0]")
    assert motd.read(3) == b"hel"
    assert at(motd.parts["mode"]) == '"0644"'
    assert (keys.kind, keys.mode, keys.read) == ("dir", 0o700, None)
    assert (link.kind, link.target) == ("symlink", "motd")
    assert (key.mode, key.uid, key.read) == (0o600, 103, None)
    assert spec.read is None
    assert [one.folders for one in (motd, keys, link, key, spec)] == [("etc",), (), (), ("root",), ()]


@pytest.mark.parametrize(
    ("paths", "folders"),
    [
        (("a/b/c", "a/d/e"), (("a", "a/b"), ("a/d",))),
        (("/a//./b/c",), (("a", "a/b"),)),
        (("a/b", "a/b/c"), (("a",), ())),
        (("a/" * 31 + "b",), (tuple("/".join("a" * n) for n in range(1, 32)),)),
        (("a/" * 33 + "b",), ((),)),
        (("a" * 600 + "/b",), ((),)),
        (("a/" * 500_000 + "b",), ((),)),
    ],
)
def test_folders_above_a_file_are_written_once_and_bounded(paths, folders):
    text = "files:\n" + "".join(f"  - {{path: '{path}', contents: x}}\n" for path in paths)
    assert tuple(one.folders for one in of(File, subjects(text))) == folders


def test_what_repeats_the_label_is_noted():
    text = "services: [{name: a, image: 'linuxkit/sysctl:43ac1d39da329c3567fcb9689e5ca99de6d169b6', %s}]\n"
    restated = {
        "capabilities: [CAP_NET_ADMIN, CAP_SYS_ADMIN]": ["capabilities"],
        "capabilities: [CAP_SYS_ADMIN]": [],
        "capabilities.add: [CAP_SYS_ADMIN]": ["capabilities.add"],
        "capabilities.add: [CAP_SYS_ADMIN, CAP_KILL]": [],
        "capabilities.add: []": [],
        "pid: host, readonly: true": ["pid", "readonly"],
        "net: host": [],
        "binds: []": [],
    }
    found = {key: list(of(Container, subjects(text % key))[0].restated) for key in restated}
    assert found == restated


def test_the_system_comes_last():
    system = subjects(SPEC)[-1]
    assert (system.kind, system.is_linuxkit, system.format, system.files) == ("spec", True, "YAML", 5)
    assert len(system.containers) == 4
    assert len(system.command_lines) == 1
    assert [one.role for one in system.images] == [one.role for one in of(ImageReference, subjects(SPEC))]
    assert [(one.name, one.readonly, at(one.place)) for one in system.volumes] == [("data", False, "data")]


# --- reasons to refuse


@pytest.mark.parametrize(
    ("text", "kind", "message", "stops", "pointed"),
    [
        ("onboot: []\nbogus: 1\n", "schema", "unknown key 'bogus' in a spec", "spec", "bogus"),
        ("onboot: [\n", "yaml", "did not find", "spec", None),
        ("onboot:\n- {name: a, image: 'A:b/c'}\n", "build", "cannot be parsed: 'b' is no port", "spec", "'A:b/c'"),
        ("kernel:\n  image: //x\n", "build", "cannot be parsed: it names no registry host", "spec", "//x"),
        (
            "services:\n- {name: a, image: b}\n- {name: a, image: c}\n",
            "build",
            "two services are called 'a'",
            "spec",
            "a",
        ),
        ("onboot: []\nvolumes:\n- {name: a}\n- {name: a}\n", "build", "two volumes are called 'a'", "spec", "a"),
        ("onboot: []\nvolumes:\n- {name: A/b}\n", "build", "the volume name 'A/b' holds more", "spec", "A/b"),
        (
            "onboot:\n- {name: a, image: b, capabilities: [CAP_X]}\n",
            "capability",
            "unknown capability 'CAP_X'",
            "build",
            "CAP_X",
        ),
        ("onboot:\n- {name: a, image: b, binds: [c]}\n", "build", "lacks a ':'", "build", "c"),
        ("onboot:\n- {name: a, image: b, binds: ['c:/d']}\n", "build", "no volume is called 'c'", "build", "'c:/d'"),
        ("onboot:\n- {name: a, image: b, uid: c}\n", "build", "'c' names no container", "build", "c"),
        ("files:\n- {path: a, mode: 'rw', contents: x}\n", "build", "the mode 'rw' of a is not octal", "build", "'rw'"),
        ("files:\n- path: a\n", "build", "a has neither contents nor source", "build", "a"),
        ("files:\n- {path: '', contents: x}\n", "build", "a file must have a path", "build", "''"),
        ("files:\n- {path: a, source: b, metadata: yaml}\n", "build", "both source and metadata", "build", "yaml"),
        ("files:\n- {path: a, contents: x, source: b}\n", "build", "and has a source too", "build", "b"),
        ("files:\n- {path: a, contents: x, metadata: yaml}\n", "build", "has metadata too", "build", "yaml"),
        ("files:\n- {path: a, metadata: toml}\n", "build", "yaml or json, not 'toml'", "build", "toml"),
        ("files:\n- {path: a, directory: true, contents: x}\n", "build", "cannot have contents", "build", "x"),
        ("files:\n- {path: a, contents: x, gid: b}\n", "build", "'b' names no container", "build", "b"),
        ("image: a\nunknown: 1\nconfig: {}\n", "schema", "unknown key 'unknown' in a build.yml", "spec", "unknown"),
        ("org: a\nimage: ''\nconfig: {}\n", "schema", "a build.yml must have 'image'", "spec", None),
        ("image: a\nconfig: {capabilities: [CAP_X]}\n", "capability", "unknown capability 'CAP_X'", "build", "CAP_X"),
    ],
)
def test_one_reason_to_refuse(text, kind, message, stops, pointed):
    (found,) = violations(text)
    assert (found.kind, found.stops) == (kind, stops)
    assert message in found.message
    if pointed is not None:
        assert at(found.place, text) == pointed


@pytest.mark.parametrize(
    "text",
    [
        "onboot: []\n",
        "onboot:\n- {name: a, image: '${REG}/a/b'}\n",
        "onboot:\n- {name: a, image: '@pkg:./nowhere'}\n",
        "onboot:\n- {name: a, image: NAME_TAG}\n",
        "files:\n- {path: a, contents: ''}\n",
        "files:\n- {path: a, source: ~/.ssh/id, optional: true}\n",
        "volumes:\n- {name: d, readonly: true}\nonboot:\n- {name: a, image: b, binds: ['d:/d:ro']}\n",
        "trust: {org: [a]}\nonboot: []\n",
    ],
)
def test_no_reason_to_refuse(text):
    assert violations(text) == []


def test_a_refused_value_does_not_hide_the_others():
    text = "services:\n- {name: a, image: b, capabilities: [CAP_X, CAP_KILL, CAP_Y], uid: z, pid: host}\n"
    found = subjects(text)
    (container,) = of(Container, found)
    assert container.error == "unknown capability 'CAP_X'"
    assert container.capabilities == {"CAP_KILL"}
    assert container.namespace("pid") == "host"
    assert [one.message for one in found[0].violations] == [
        "unknown capability 'CAP_X'",
        "unknown capability 'CAP_Y'",
        "'uid' cannot be resolved: 'z' names no container",
    ]


def test_a_worse_container_is_given_up():
    caps = ", ".join(f"CAP_{i}" for i in range(50))
    (container,) = of(Container, subjects(f"services:\n- {{name: a, image: b, capabilities: [{caps}]}}\n"))
    assert container.error
    assert container.capabilities == frozenset()


def test_reasons_are_bounded_and_the_bound_is_told():
    found = violations("onboot: []\n" + "".join(f"k{i}: 1\n" for i in range(300)))
    assert len(found) == 201
    assert "more than 200 reasons" in found[-1].message
    caps = "".join(f"- {{name: a{i}, image: b, capabilities: [X]}}\n" for i in range(300))
    assert len(violations("onboot:\n" + caps)) == 201
    files = "".join(f"- {{path: a{i}}}\n" for i in range(300))
    assert len(violations("files:\n" + files)) == 201


def test_what_a_bad_spec_still_says_is_read():
    text = (
        "onboot:\n- 5\n- {image: b, bogus: 1, binds: [/run:/run]}\nservices: {}\ninit: [[a], b]\nkernel: 5\nfiles: 1\n"
    )
    found = subjects(text)
    (container,) = of(Container, found)
    assert container.mounts[3].destination == "/run"
    assert [one.text for one in of(ImageReference, found)] == ["b", "b"]
    assert isinstance(found[-1], System)


@pytest.mark.parametrize("text", ["", "~\n", "# nothing\n"])
def test_an_empty_document(text):
    found = subjects(text, kind="spec")
    assert [type(one) for one in found] == [Spec, System]
    assert bool(found[0].violations) == (text != "~\n")


# --- documents


def test_what_is_no_linuxkit_yaml_is_a_problem():
    (problem,) = subjects("jobs: {}\n")
    assert isinstance(problem, Problem)
    assert problem.kind == "unusable"


def test_too_much_is_a_problem_that_names_the_limit():
    (problem,) = subjects("onboot: " + "[" * 100)
    assert (problem.kind, problem.message) == ("incomplete", "the YAML exceeds the limit of 64 nested values")


def test_several_documents_are_joined_and_keep_their_places():
    first = "kernel: {image: k1, cmdline: one}\nservices:\n- {name: a, image: i}\nvolumes:\n- {name: v}\n"
    second = "kernel: {cmdline: two}\nservices:\n- {name: b, image: j, uid: a, binds: ['v:/v']}\n"
    found = subjects(first, second)
    assert [one.place.artifacts for one in of(Spec, found)] == [("spec0.yml",), ("spec1.yml",)]
    assert [one.text for one in of(KernelCommandLine, found)] == ["two"]
    assert [one.text for one in of(ImageReference, found)] == ["k1", "i", "j"]
    a, b = of(Container, found)
    assert (a.index, b.index, b.uid) == (0, 1, 100)
    assert b.place.artifacts == ("spec1.yml",)
    assert b.place.span.line == 3
    # LinuxKit forgets the volumes of all documents but the last
    assert [one.message for one in of(Spec, found)[1].violations] == ["no volume is called 'v'"]


def test_services_are_unique_over_all_documents():
    text = "services:\n- {name: a, image: i}\n"
    assert [one.place.artifacts for one in violations(text, text)] == [("spec1.yml",)]


def test_a_bad_document_does_not_hide_the_others():
    found = subjects("jobs: {}\n", "onboot: [\n", SPEC)
    assert isinstance(found[0], Problem)
    assert len(of(Container, found)) == 4


# --- packages and labels


def test_a_package_is_the_container_its_image_makes():
    text = "image: web\nconfig:\n  capabilities:\n    - CAP_KILL\n  binds:\n    - /run:/run\n"
    spec, container, system = subjects(text)
    assert (spec.kind, system.kind) == ("package", "package")
    assert (container.title, container.image, container.label.kind) == ("package/web", None, "exact")
    origin = container.origin("capabilities", "CAP_KILL")
    assert origin == Origin("label", Place(("spec0.yml",), origin.place.span, "config.capabilities[0]"))
    assert at(origin.place, text) == "CAP_KILL"
    assert at(container.place, text) == "web"


def test_a_package_without_config_makes_no_container():
    assert of(Container, subjects("image: web\norg: acme\narches: [amd64]\n")) == []


def test_a_package_whose_label_no_spec_could_use():
    text = "image: web\nconfig:\n  resources:\n    blockio: {weight: 5}\n"
    (found,) = violations(text)
    assert "its label is refused: unknown key 'blockIO'" in found.message
    assert of(Container, subjects(text))[0].error


def test_packages_and_specs_together():
    found = subjects("image: web\nconfig: {pid: host}\n", SPEC)
    assert found[-1].kind == "spec"
    assert [one.section for one in of(Container, found)][-1] == "package"


def test_pkg_is_resolved_beside_the_spec(tmp_path):
    (tmp_path / "pkg" / "web").mkdir(parents=True)
    (tmp_path / "pkg" / "web" / "build.yml").write_text("image: web\nconfig: {pid: host}\n")
    spec = b"onboot:\n- {name: a, image: '@pkg:./pkg/web'}\n- {name: b, image: '@pkg:/none'}\n"
    found = list(read([(str(tmp_path / "spec.yml"), spec)], LabelFinder()))
    a, b = of(Container, found)
    assert (a.label.kind, a.namespace("pid"), a.origin("pid").source) == ("exact", "host", "label")
    assert b.label.kind == "unknown"
    assert "none" in b.label.detail


class Shelf(LabelFinder):
    """A finder that knows one label for every image."""

    def __init__(self, label, config=None):
        super().__init__()
        self._answer = label, config or {}

    def find(self, reference):
        from lkscan.scanner.subjects import Label

        return Label("exact"), *self._answer


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("[]", "it is no object"),
        ("", "it is no object"),
        ("{", "did not find"),
        ("[" * 100, "limit of 64"),
        ('{"name": "x"}', "it cannot set a name"),
        ('{"image": "x"}', "it cannot set a name"),
        ('{"bogus": 1}', "unknown key 'bogus'"),
        ({"pid": 5}, "'pid' must be text"),
    ],
)
def test_a_bad_label_is_the_containers_error(label, reason):
    text = b"onboot:\n- {name: a, image: b, pid: host}\n"
    spec, _, container, _ = read([("spec.yml", text)], Shelf(label))
    assert reason in container.error
    assert container.label.kind == "unknown"
    assert container.namespace("pid") == "host"
    assert [(one.stops, at(one.place, text.decode())) for one in spec.violations] == [("build", "b")]


def test_a_bad_value_in_a_label_points_at_the_image():
    text = b"onboot:\n- {name: a, image: b}\n"
    spec, _, container, _ = read([("spec.yml", text)], Shelf('{"capabilities": ["CAP_X"], "readonly": true}'))
    assert container.error == "unknown capability 'CAP_X'"
    assert container.readonly
    assert at(spec.violations[0].place, text.decode()) == "b"


def test_what_the_image_itself_says_points_at_it():
    text = b"onboot:\n- {name: a, image: b}\n"
    _, _, container, _ = read([("spec.yml", text)], Shelf(None, {"Cmd": ["/run"]}))
    assert container.command == ("/run",)
    assert (container.origin("command").source, at(container.origin("command").place, text.decode())) == ("image", "b")


def test_layout_and_label_names_agree():
    assert LABEL == "org.mobyproject.config"
    assert callable(Layout)


# --- anything


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=100)
        | st.text("onbotserviceskernelimagename: []{}-\n\"'#&*<|", max_size=100).map(str.encode),
        max_size=3,
    ),
    st.sampled_from(["spec", "package", None]),
)
def test_any_text_is_read_without_raising(texts, kind):
    found = list(read([("a.yml", text) for text in texts], LabelFinder(), kind=kind))
    assert not texts or isinstance(found[-1], System | Problem)


keys = (
    "onboot services files volumes kernel init name image path mode uid capabilities binds mounts devices runtime type"
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["all", "/a:/b", "x", "", "0644", "@pkg:\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys.split()), inner, max_size=5),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(keys.split()), json_values))
def test_any_structure_is_read_and_places_lie_in_the_text(value):
    text = json.dumps(value)
    found = list(read([("a.yml", text.encode())], LabelFinder(), kind="spec"))
    assert isinstance(found[-1], System)
    for one in found:
        span = one.place.span
        assert span is None or (span.line == 1 and 1 <= span.column <= span.end_column <= len(text) + 1)
        if isinstance(one, Container):
            assert [one.mounts, one.env, one.command, one.uid, one.devices, one.capabilities, one.namespace("pid")]
