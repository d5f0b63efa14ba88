"""LinuxKit's specs and packages are recognised, everybody else's YAML is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner.sniff import likely
from lkscan.scanner.spec import sniff


@pytest.mark.parametrize(
    "text",
    [
        "kernel:\n  image: linuxkit/kernel:6.6\n",
        "# a comment\n---\nkernel: # why\n\n  cmdline: x\ninit:\n  - a/b:c\n",
        "init:\n  - linuxkit/init:abc\n",
        'init:\n  - "{{ init }}"\n  - a/b\nservices:\n  - name: a\n    image: b\n',
        "onboot: []\n",
        "onshutdown:\n  - name: a\n",
        "services:\n  - name: a\n    image: b\n",
        "services:\n- image: b\n  name: a\n",
        "files:\n  - path: etc/x\n    contents: y\n",
        "files:\n  - directory: true\n    path: etc/x\n",
        "volumes:\n  - name: data\n    image: a/b\n",
        "trust:\n  org:\n    - linuxkit\n",
        "  onboot:\n    - name: a\n",
        '{"kernel": {"image": "a"}, "services": []}',
        '"onboot": []\n',
        "\ufeffonboot: []\n",
        "onboot:\r\n  - name: a\r\n",
        "onboot: [\n",
        "image: x\nonboot: []\n",
        "kernel: {image: a}\n",
        "services: [{name: a, image: b}]\n",
        "services:\n- {name: a, image: b}\n",
        "files: [{path: a, source: b}]\n",
        "trust: {org: [a]}\n",
        "kernel: mobylinux/kernel\nsystem:\n  - name: a\n    image: b\n",
    ],
)
def test_specs(text):
    assert sniff(text.encode()) == "spec"


def test_a_spec_in_utf_16():
    assert sniff("onboot: []\n".encode("utf-16")) == "spec"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("image: web\n", "pkg/web/build.yml"),
        ("image: web\nunknownField: 1\n", "build.yml"),
        ("image: web\norg: acme\n", "build-nvidia.yml"),
        ("org: acme\nimage: web\nconfig:\n  pid: host\n", ""),
        ("image: web\narches:\n  - amd64\n", "anything.yml"),
    ],
)
def test_packages(text, name):
    assert sniff(text.encode(), name) == "package"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("just text", ""),
        ("- a\n- b\n", ""),
        ("services:\n  web:\n    image: nginx\nvolumes:\n  data:\n", "docker-compose.yml"),
        ("version: '3'\nservices:\n  - name: a\n    image: b\n", "docker-compose.yml"),
        ("init:\n  - git config --global core.autocrlf input\nenvironment: {}\n", "appveyor.yml"),
        ("name: build\non: push\njobs:\n  build:\n    runs-on: x\n", "build.yml"),
        ("image: python\nstages:\n  - test\nscript: x\n", "build.yml"),
        ("image: python\norg: acme\n", "values.yaml"),
        ("apiVersion: v1\nkind: Pod\nvolumes:\n  - name: x\n    emptyDir: {}\n", ""),
        ("volumes:\n  - name: x\n    hostPath: {path: /}\n", ""),
        ("image:\n  repository: x\nreplicas: 1\n", "values.yaml"),
        ("files:\n  - '*.py'\nrepos: []\n", ".pre-commit-config.yaml"),
        ("kernel: linux\n", ""),
        ("{not json", ""),
        ('{"onboot": ', ""),
        ('{"files": 1', ""),
        ('{"a": "onboot"}', ""),
        ("{} # image", ""),
        ("trust: yes\n", ""),
        ("a: |\n  onboot: x\n", ""),
    ],
)
def test_everybody_elses(text, name):
    assert sniff(text.encode(), name) is None


@given(st.binary(max_size=300) | st.text("onbt: []{}-\n\"'#", max_size=80).map(str.encode))
def test_any_bytes_get_an_answer(data):
    assert sniff(data) in {"spec", "package", None}


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  - nmae: x\n",
        "services: [\n",
        "services: # none yet\n\n  # still none\n  - x\n",
        "files:\n  - contents: x\n",
        "kernel:\n  imgae: a\n",
        "trust:\n",
        '{"services": [{"name": "a"}]}',
    ],
)
def test_a_file_that_somebody_calls_a_spec_may_have_an_error_where_sniff_looks(text):
    assert sniff(text.encode()) is None or text.startswith("{")
    assert likely(text.encode()) == "spec"


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  web:\n    image: nginx\n",  # a compose file
        "services:\n",
        "version: 2\nservices:\n  - a\n",
        "image: ruby\nservices:\n  - postgres\n",  # a pipeline
        "volumes:\n  data: {}\n",
        "jobs: {}\n",
        "",
    ],
)
def test_and_others_are_still_none(text):
    assert likely(text.encode()) is None


def test_what_sniff_knows_likely_knows():
    assert likely(b"image: sshd\n", "build.yml") == "package"
