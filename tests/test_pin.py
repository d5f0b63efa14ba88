"""`lkscan pin`: what becomes of references, files and the lock file, offline and from a real registry."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import registrylab as lab
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lkscan.cli import FINDINGS, INCOMPLETE, OK, USAGE, main
from lkscan.pinning import Answer, Document, pin, read, unknown

ROOT = Path(__file__).resolve().parent.parent
A, B, C = ("sha256:" + digit * 64 for digit in "abc")
SPEC = f"""\
# the kernel
kernel:
  image: linuxkit/kernel:6.12.59   # keep me
init: [ linuxkit/init:1, "linuxkit/runc:2" ]
onboot:
  - name: dhcpcd
    image: 'linuxkit/dhcpcd:3'
services:
  - {{name: web, image: nginx}}
  - name: pinned
    image: acme/pinned:1@{C}
  - name: template
    image: ${{IMAGE}}
  - name: local
    image: "@pkg:./local"
volumes:
  - name: data
    image: quay.io/acme/data:latest
"""
NAMES = [
    "docker.io/linuxkit/kernel:6.12.59",
    "docker.io/linuxkit/init:1",
    "docker.io/linuxkit/runc:2",
    "docker.io/linuxkit/dhcpcd:3",
    "docker.io/library/nginx:latest",
    "quay.io/acme/data:latest",
]
PINNED = (
    SPEC.replace("6.12.59 ", f"6.12.59@{A} ")
    .replace("init:1", f"init:1@{A}")
    .replace("runc:2", f"runc:2@{A}")
    .replace("dhcpcd:3", f"dhcpcd:3@{A}")
    .replace("nginx", f"nginx:latest@{A}")
    .replace("data:latest", f"data:latest@{A}")
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of its own, in which the test is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "linuxkit.yml").write_text(SPEC)
    return tmp_path


HEAD = (
    "# The digests of image tags, found by `lkscan pin`; `lkscan pin --update` renews them.\nversion = 1\n\n[images]\n"
)


def lock(images):
    return HEAD + "".join(f'"{name}" = "{digest}"\n' for name, digest in sorted(images.items()))


def cache(folder, images):
    folder.mkdir(exist_ok=True)
    entries = [
        {"digest": digest, "annotations": {"org.opencontainers.image.ref.name": name}}
        for name, digest in images.items()
    ]
    (folder / "index.json").write_text(json.dumps({"manifests": entries}))
    return str(folder)


# --- from the lock file


def test_what_is_locked_is_pinned_in_place_and_the_rest_is_left_alone(folder, capsys):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    assert main(["pin", "linuxkit.yml"]) == OK
    assert (folder / "linuxkit.yml").read_text() == PINNED
    assert (folder / "lkscan.lock").read_text() == lock(dict.fromkeys(NAMES, A))
    printed = capsys.readouterr()
    assert printed.err == ""
    *lines, summary = printed.out.splitlines()
    assert lines[0] == f"linuxkit.yml:3:10: linuxkit/kernel:6.12.59 is {A}, from the lock file"
    assert len(lines) == 6
    left = "3 left alone (1 already pinned, 1 built from a local folder, 1 placeholder)"
    assert summary == f"6 pinned (6 from the lock file), {left}"


def test_a_second_time_there_is_nothing_to_do(folder, capsys):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    main(["pin", "linuxkit.yml"])
    before = (folder / "linuxkit.yml").stat()
    assert main(["pin", "linuxkit.yml"]) == OK
    assert main(["pin", "linuxkit.yml", "--check"]) == OK
    assert (folder / "linuxkit.yml").stat() == before
    assert "0 pinned, 9 left alone (7 already pinned" in capsys.readouterr().out


def test_from_the_lock_file_no_socket_is_opened_and_no_client_loaded(folder):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    program = (
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event.startswith(('socket.', 'subprocess.')): raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)\n"
        "from lkscan.cli import main\n"
        "status = main(['pin', 'linuxkit.yml'])\n"
        "assert not {'urllib3', 'ssl', 'socket'} & set(sys.modules)\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (OK, "")
    assert (folder / "linuxkit.yml").read_text() == PINNED


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["specs/a.yml"], "specs/lkscan.lock"),
        (["specs"], "specs/lkscan.lock"),
        (["."], "lkscan.lock"),
        (["specs/a.yml", "--lock", "other.lock"], "other.lock"),
    ],
)
def test_a_new_lock_file_is_beside_the_spec_or_in_the_folder_that_was_named(folder, paths, wanted):
    (folder / "linuxkit.yml").unlink()
    (folder / "specs").mkdir()
    (folder / "specs" / "a.yml").write_text("kernel: {image: acme/a:1}\ninit: [acme/a:1]\n")
    main(["pin", *paths, "--cache", cache(folder / "cache", {"docker.io/acme/a:1": A})])
    assert (folder / wanted).read_text() == lock({"docker.io/acme/a:1": A})
    assert len(list(folder.rglob("*.lock"))) == 1


def test_the_nearest_lock_file_above_is_the_one_that_grows(folder):
    (folder / "lkscan.lock").write_text(lock({"docker.io/acme/z:1": B}))
    (folder / "specs").mkdir()
    (folder / "specs" / "a.yml").write_text("kernel: {image: acme/z:1}\ninit: [acme/a:1]\n")
    assert main(["pin", "specs", "--cache", cache(folder / "cache", {"docker.io/acme/a:1": A})]) == OK
    assert (folder / "lkscan.lock").read_text() == lock({"docker.io/acme/a:1": A, "docker.io/acme/z:1": B})
    assert (folder / "specs" / "a.yml").read_text() == f"kernel: {{image: acme/z:1@{B}}}\ninit: [acme/a:1@{A}]\n"


def test_one_new_lock_file_serves_all_that_were_named(folder):
    (folder / "other.yml").write_text("init: [linuxkit/other:1]\n")
    where = cache(folder / "cache", {**dict.fromkeys(NAMES, A), "docker.io/linuxkit/other:1": B})
    assert main(["pin", ".", "other.yml", "--cache", where]) == OK
    assert (folder / "lkscan.lock").read_text() == lock({**dict.fromkeys(NAMES, A), "docker.io/linuxkit/other:1": B})


def test_a_damaged_lock_file_stops_everything_in_one_line(folder, capsys):
    (folder / "lkscan.lock").write_text("<<<<<<< HEAD\n")
    assert main(["pin", "linuxkit.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"lkscan: lkscan\.lock: is no TOML: .*; restore it, or delete it and pin again\n", printed.err)
    assert (folder / "linuxkit.yml").read_text() == SPEC


# --- from a cache


def test_what_the_cache_has_is_pinned_and_locked(folder, capsys):
    known = {NAMES[0]: A, NAMES[4]: B}
    assert main(["pin", "linuxkit.yml", "--cache", cache(folder / "cache", known)]) == FINDINGS
    assert (folder / "linuxkit.yml").read_text() == SPEC.replace("59 ", f"59@{A} ").replace(
        "nginx", f"nginx:latest@{B}"
    )
    assert (folder / "lkscan.lock").read_text() == lock(known)
    printed = capsys.readouterr()
    assert "linuxkit.yml:4:9: linuxkit/init:1 is not pinned: neither in the lock file nor in the cache" in printed.err
    assert "4 not resolved (--online would ask the registries)" in printed.out


def test_linuxkits_own_cache_is_looked_into_unasked(folder, monkeypatch):
    monkeypatch.setenv("LINUXKIT_CACHE", cache(folder / "cache", dict.fromkeys(NAMES, A)))
    assert main(["pin", "linuxkit.yml"]) == OK
    assert (folder / "linuxkit.yml").read_text() == PINNED


def test_the_cache_that_the_configuration_names_is_looked_into(folder):
    cache(folder / "cache", dict.fromkeys(NAMES, A))
    (folder / "lkscan.toml").write_text('cache = "cache"\n')
    assert main(["pin", "linuxkit.yml", "--check", "--no-config"]) == FINDINGS
    assert main(["pin", "linuxkit.yml"]) == OK
    assert (folder / "linuxkit.yml").read_text() == PINNED


def test_the_tag_counts_and_not_what_was_asked_for_by_digest(folder):
    known = {f"docker.io/linuxkit/init:1@{B}": B, "docker.io/linuxkit/init:1": A, f"docker.io/linuxkit/init:1@{C}": C}
    (folder / "linuxkit.yml").write_text("init: [linuxkit/init:1]\n")
    assert main(["pin", "linuxkit.yml", "--cache", cache(folder / "cache", known)]) == OK
    assert (folder / "linuxkit.yml").read_text() == f"init: [linuxkit/init:1@{A}]\n"


@pytest.mark.parametrize("digest", ["sha256:0", "sha512:" + "0" * 128, 5, None, "sha256:" + "g" * 64])
def test_a_digest_of_the_cache_that_is_none_is_not_taken(folder, digest):
    (folder / "linuxkit.yml").write_text("init: [linuxkit/init:1]\n")
    assert main(["pin", "linuxkit.yml", "--cache", cache(folder / "cache", {NAMES[1]: digest})]) == FINDINGS
    assert (folder / "linuxkit.yml").read_text() == "init: [linuxkit/init:1]\n"
    assert not (folder / "lkscan.lock").exists()


# --- update, check, diff


def test_update_renews_what_is_pinned_and_locked(folder, capsys):
    (folder / "linuxkit.yml").write_text(f"init: [acme/a:1@{A}, acme/b:1, acme/c@{A}, acme/d:1@{A}]\n")
    (folder / "lkscan.lock").write_text(lock({f"docker.io/acme/{x}:1": A for x in "abz"}))
    known = {"docker.io/acme/a:1": B, "docker.io/acme/b:1": B, "docker.io/acme/d:1": A}
    assert main(["pin", "linuxkit.yml", "--update", "--cache", cache(folder / "cache", known)]) == OK
    assert (folder / "linuxkit.yml").read_text() == f"init: [acme/a:1@{B}, acme/b:1@{B}, acme/c@{A}, acme/d:1@{A}]\n"
    assert (folder / "lkscan.lock").read_text() == lock({**known, "docker.io/acme/z:1": A})
    assert "2 pinned (2 from the cache), 2 left alone (1 already pinned, 1 up to date)" in capsys.readouterr().out


def test_update_leaves_what_it_cannot_renew_as_it_is(folder, capsys):
    (folder / "linuxkit.yml").write_text(f"init: [acme/a:1@{A}]\n")
    assert main(["pin", "linuxkit.yml", "--update"]) == FINDINGS
    assert (folder / "linuxkit.yml").read_text() == f"init: [acme/a:1@{A}]\n"
    assert f"acme/a:1@{A} is not renewed: not in the cache" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ("acme/a:1", FINDINGS),
        (f"acme/a:1@{A}", OK),
        (f"acme/a@{B}", OK),
        (f"acme/other:1@{B}", OK),
        (f"acme/a:1@{B}", FINDINGS),
        ("acme/other:1", FINDINGS),
        ("acme/a:1@sha256:0", FINDINGS),
        ("$IMAGE", OK),
        ("'@pkg:./a'", OK),
    ],
)
def test_check_tells_by_its_exit_status_and_writes_nothing(folder, spec, status):
    (folder / "linuxkit.yml").write_text(f"init: [{spec}]\n")
    (folder / "lkscan.lock").write_text(lock({"docker.io/acme/a:1": A}))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(["pin", "linuxkit.yml", "--check"]) == status
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_digest_that_is_not_the_locked_one_is_told_and_left(folder, capsys):
    (folder / "linuxkit.yml").write_text(f"init: [acme/a:1@{B}]\n")
    (folder / "lkscan.lock").write_text(lock({"docker.io/acme/a:1": A}))
    assert main(["pin", "linuxkit.yml"]) == FINDINGS
    wanted = f"lkscan: linuxkit.yml:1:8: acme/a:1@{B} differs from lkscan.lock, which has {A}; --update settles it\n"
    assert capsys.readouterr().err == wanted
    assert (folder / "linuxkit.yml").read_text() == f"init: [acme/a:1@{B}]\n"


def test_diff_shows_and_writes_nothing(folder, capsys):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    assert main(["pin", "linuxkit.yml", "--diff"]) == FINDINGS
    assert (folder / "linuxkit.yml").read_text() == SPEC
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[:2] == ["--- a/linuxkit.yml", "+++ b/linuxkit.yml"]
    assert "-  image: linuxkit/kernel:6.12.59   # keep me" in lines
    assert f"+  image: linuxkit/kernel:6.12.59@{A}   # keep me" in lines
    assert printed.err.startswith("6 to pin")


def test_diff_can_be_applied(folder):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    command = [sys.executable, "-m", "lkscan", "pin", "linuxkit.yml", "--diff"]
    shown = subprocess.run(
        command, check=False, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ).stdout
    subprocess.run(["git", "apply", "-"], input=shown, check=True)
    assert (folder / "linuxkit.yml").read_text() == PINNED


# --- what is no spec, and what cannot be written


@pytest.mark.parametrize(
    ("name", "data", "status", "reason"),
    [
        ("a.yml", b"services: [\n", INCOMPLETE, "cannot be read as YAML"),
        ("a.yml", b"jobs: {}\n", USAGE, "not a LinuxKit spec"),
        ("a.yml", b"", USAGE, "the file is empty"),
        ("a.img", b"\x1f\x8b\0", USAGE, "is an image; pin the spec that it is built from"),
        ("none.yml", None, USAGE, "no such file"),
        ("-", None, USAGE, "a spec is pinned in its file; name that"),
    ],
)
def test_what_is_no_spec_is_told_and_the_others_are_pinned(folder, capsys, name, data, status, reason):  # noqa: PLR0917 - a table's columns
    if data is not None:
        (folder / name).write_bytes(data)
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    assert main(["pin", name, "linuxkit.yml"]) == status
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert reason in printed.err
    assert (folder / "linuxkit.yml").read_text() == PINNED


def test_a_package_has_nothing_to_pin(folder, capsys):
    (folder / "build.yml").write_text("image: web\norg: acme\n")
    assert main(["pin", "build.yml"]) == OK
    assert capsys.readouterr() == ("0 pinned\n", "")


def test_foreign_yaml_is_passed_over_in_silence_for_hooks(folder, capsys):
    (folder / "workflow.yml").write_text("on: push\njobs: {}\n")
    assert main(["pin", "workflow.yml", "--if-linuxkit"]) == OK
    assert capsys.readouterr() == ("", "")


def test_a_link_is_not_followed(folder, capsys):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    (folder / "link.yml").symlink_to("linuxkit.yml")
    assert main(["pin", "link.yml"]) == USAGE
    assert capsys.readouterr().err == "lkscan: link.yml: is a symbolic link; name the file that it leads to\n"
    assert (folder / "linuxkit.yml").read_text() == SPEC


def test_a_path_that_is_named_twice_is_pinned_once(folder, capsys):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    assert main(["pin", "linuxkit.yml", ".", "./linuxkit.yml"]) == OK
    assert "6 pinned" in capsys.readouterr().out


def test_without_a_lock_file_that_can_be_written_no_spec_is_touched(folder, capsys):
    where = cache(folder / "cache", dict.fromkeys(NAMES, A))
    assert main(["pin", "linuxkit.yml", "--cache", where, "--lock", "none/x.lock"]) == USAGE
    printed = capsys.readouterr()
    assert printed.err == "lkscan: none/x.lock: cannot be written: No such file or directory\n"
    assert printed.out == "0 pinned\n"
    assert (folder / "linuxkit.yml").read_text() == SPEC


def test_a_spec_that_cannot_be_written_is_told_and_not_counted(folder, capsys, monkeypatch):
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert main(["pin", "linuxkit.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.err == "lkscan: linuxkit.yml: cannot be written: No space left on device\n"
    assert printed.out == "0 pinned\n"
    assert (folder / "linuxkit.yml").read_text() == SPEC


def test_a_configuration_that_cannot_be_used_is_told(folder, capsys):
    (folder / "lkscan.toml").write_text("nonsense = 1\n")
    assert main(["pin", "linuxkit.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.err.startswith("lkscan: lkscan.toml: ")
    assert (len(printed.err.splitlines()), printed.out) == (1, "0 pinned\n")


@pytest.mark.parametrize("option", ["--timeout=0", "--timeout=nan", "--timeout=-1", "--timeout=soon"])
def test_a_timeout_is_a_number_of_seconds(folder, option, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["pin", "linuxkit.yml", option])
    assert caught.value.code == USAGE
    assert "--timeout" in capsys.readouterr().err


# --- the text


def pinned(text, answer=A):
    """The text after all its tags were resolved to the same digest."""
    document = read("a.yml", text.encode())
    assert isinstance(document, Document)
    names = unknown(document, {}, update=False)
    return pin(document, dict.fromkeys(names, Answer(answer, "here")), {}, update=False)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("init:\r\n- a/b:1  # c\r\n", f"init:\r\n- a/b:1@{A}  # c\r\n"),
        ("init: ['a/b:1',\"c\"]", f"init: ['a/b:1@{A}',\"c:latest@{A}\"]"),
        ("init: [!!str a/b:1]\n", f"init: [!!str a/b:1@{A}]\n"),
        ("init: [&x a/b:1]\n", f"init: [&x a/b:1@{A}]\n"),
        ("init:\n- &x a/b:1\n- *x\n", f"init:\n- &x a/b:1@{A}\n- a/b:1@{A}\n"),
        ("init: [host:5000/a/b]\n", f"init: [host:5000/a/b:latest@{A}]\n"),
        (
            "kernel: {image: a/b:1}\n---\nkernel: {image: c}\n",
            f"kernel: {{image: a/b:1@{A}}}\n---\nkernel: {{image: c}}\n",
        ),
        ('init: ["\\x61/b:1"]\n', f'init: ["a/b:1@{A}"]\n'),
        ("init:\n- >-\n  a/b:1\n", f"init:\n- a/b:1@{A}\n"),
    ],
)
def test_the_layout_stays(text, wanted):
    assert pinned(text)[0] == wanted


def test_what_cannot_be_changed_in_place_is_told_and_the_rest_is_pinned():
    text = "services:\n- &base\n  name: a\n  image: a/b:1\n- <<: *base\n  name: b\ninit:\n- c/d:1\n"
    result, outcomes = pinned(text)
    assert result == text.replace("c/d:1", f"c/d:1@{A}")
    assert [one.state for one in outcomes] == ["pinned", "open", "open"]
    assert all(one.note.startswith("it cannot be changed in place: ") for one in outcomes[1:])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_encoding_stays(folder, encoding):
    (folder / "linuxkit.yml").write_bytes(SPEC.encode(encoding))
    (folder / "lkscan.lock").write_text(lock(dict.fromkeys(NAMES, A)))
    assert main(["pin", "linuxkit.yml"]) == OK
    assert (folder / "linuxkit.yml").read_bytes() == PINNED.encode(encoding)


references = st.sampled_from(
    ["a", "a/b", "a/b:1", "r.example:5000/a/b:x", f"a/b:1@{C}", f"a@{C}", "$X", "@pkg:./x", "a/b:latest", "UPPER/x:1"]
)
styles = st.sampled_from(["{}", "'{}'", '"{}"', "{}  # comment: a/b:1", "'{}'   #x"])
gaps = st.sampled_from(["", "\n", "# a/b:1\n", "  # indented\n\n"])


@st.composite
def specs(draw):
    """A spec in pieces: what is no reference, and (style, reference) in between."""
    pieces = ["kernel:\n  image: ", draw_reference(draw), draw(gaps), "init:\n"]
    for _ in range(draw(st.integers(1, 4))):
        pieces += ["  - ", draw_reference(draw), draw(gaps)]
    pieces.append("services:\n")
    for i in range(draw(st.integers(1, 4))):
        pieces += [f"  - name: s{i}\n    image: ", draw_reference(draw), draw(gaps), "    command: [a/b:1]\n"]
    return pieces


def draw_reference(draw):
    text, style = draw(references), draw(styles)
    return (style.replace("{}", "'{}'") if text[0] == "@" and style[0] == "{" else style), text


def rendered(pieces, change=lambda text: text):
    return "".join(piece if isinstance(piece, str) else f"{piece[0].format(change(piece[1]))}\n" for piece in pieces)


def expected(text):
    if "@" in text or text[0] == "$":
        return text
    name = text if ":" in text.rpartition("/")[2] else f"{text}:latest"
    return f"{name}@{A}"


@given(specs())
def test_every_byte_but_the_references_stays_and_once_is_enough(pieces):
    text = rendered(pieces)
    result, outcomes = pinned(text)
    assert result == rendered(pieces, expected)
    assert pinned(result)[0] == result
    assert {one.state for one in outcomes} <= {"pinned", "kept"}
    assert yaml.safe_load(text).keys() == yaml.safe_load(result).keys()


# --- from a registry


@pytest.fixture
def registry(tmp_path_factory, monkeypatch):
    pytest.importorskip("urllib3")
    if lab.PROGRAM is None:
        pytest.skip("docker-registry is not installed")
    storage = tmp_path_factory.mktemp("registry")
    monkeypatch.setenv("DOCKER_CONFIG", str(storage))
    with lab.registry(storage) as host:
        yield storage, host


def test_a_registry_is_asked_only_for_what_is_known_nowhere_else(folder, registry, capsys):
    _, host = registry
    web = lab.push_index(host, "acme/web", "1")["digest"]
    spec = f"init: [{host}/acme/web:1, {host}/acme/old:1, {host}/acme/kept:1]\n"
    (folder / "linuxkit.yml").write_text(spec)
    (folder / "lkscan.lock").write_text(lock({f"{host}/acme/old:1": A}))
    where = cache(folder / "cache", {f"{host}/acme/kept:1": B})
    assert main(["pin", "linuxkit.yml", "--online", "--cache", where]) == OK
    text = f"init: [{host}/acme/web:1@{web}, {host}/acme/old:1@{A}, {host}/acme/kept:1@{B}]\n"
    assert (folder / "linuxkit.yml").read_text() == text
    assert f"3 pinned (1 from {host}, 1 from the cache, 1 from the lock file)" in capsys.readouterr().out
    assert f'"{host}/acme/web:1" = "{web}"\n' in (folder / "lkscan.lock").read_text()


def test_update_asks_the_registry_before_all_others(folder, registry, capsys):
    _, host = registry
    web = lab.push_index(host, "acme/web", "1")["digest"]
    (folder / "linuxkit.yml").write_text(f"init: [{host}/acme/web:1@{A}]\n")
    (folder / "lkscan.lock").write_text(lock({f"{host}/acme/web:1": A}))
    where = cache(folder / "cache", {f"{host}/acme/web:1": B})
    assert main(["pin", "linuxkit.yml", "--check", "--online", "--update", "--cache", where]) == FINDINGS
    assert main(["pin", "linuxkit.yml", "--online", "--update", "--cache", where]) == OK
    assert (folder / "linuxkit.yml").read_text() == f"init: [{host}/acme/web:1@{web}]\n"
    assert (folder / "lkscan.lock").read_text() == lock({f"{host}/acme/web:1": web})
    capsys.readouterr()
    assert main(["pin", "linuxkit.yml", "--check", "--online", "--update", "--cache", where]) == OK
    assert capsys.readouterr().out == "0 to pin, 1 left alone (1 up to date)\n"


def test_what_the_registry_lacks_is_told_and_the_rest_is_pinned(folder, registry, capsys):
    _, host = registry
    web = lab.push_index(host, "acme/web", "1")["digest"]
    (folder / "linuxkit.yml").write_text(f"init: [{host}/acme/none:1, {host}/acme/web:1, {host}/Acme/x:1]\n")
    assert main(["pin", "linuxkit.yml", "--online"]) == FINDINGS
    assert (
        folder / "linuxkit.yml"
    ).read_text() == f"init: [{host}/acme/none:1, {host}/acme/web:1@{web}, {host}/Acme/x:1]\n"
    printed = capsys.readouterr()
    assert [line.partition(" is not pinned: ")[2] for line in printed.err.splitlines()] == [
        f"{host} has no image 'acme/none:1'",
        "it is no name that an image in a registry can have",
    ]
    assert printed.out.endswith(f"1 pinned (1 from {host}), 2 not resolved\n")


@pytest.mark.parametrize("way", ["auths", "helper"])
def test_dockers_credentials_are_used(folder, registry, monkeypatch, way):
    storage, host = registry
    web = lab.push_index(host, "acme/web", "1")["digest"]
    with lab.registry(storage, auth=lab.htpasswd(storage)) as closed:
        if way == "auths":
            config = {"auths": {closed: {"auth": "YWxpY2U6czNjcmV0"}}}
        else:
            config = {"credHelpers": {closed: "lab"}}
            program = storage / "docker-credential-lab"
            program.write_text(
                '#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = "' + closed + '" ] && '
                'echo \'{"Username": "alice", "Secret": "s3cret"}\'\n'
            )
            program.chmod(0o755)
            monkeypatch.setenv("PATH", f"{storage}:{os.environ['PATH']}")
        (storage / "config.json").write_text(json.dumps(config))
        (folder / "linuxkit.yml").write_text(f"init: [{closed}/acme/web:1]\n")
        assert main(["pin", "linuxkit.yml", "--online"]) == OK
        assert (folder / "linuxkit.yml").read_text() == f"init: [{closed}/acme/web:1@{web}]\n"


def test_an_authority_of_ones_own_is_taken(folder, registry):
    storage, host = registry
    web = lab.push_index(host, "acme/web", "1")["digest"]
    authority = lab.Authority(storage)
    with lab.registry(storage, tls=authority.sign("127.0.0.1")) as secure:
        (folder / "linuxkit.yml").write_text(f"init: [{secure}/acme/web:1]\n")
        assert main(["pin", "linuxkit.yml", "--online"]) == FINDINGS
        assert main(["pin", "linuxkit.yml", "--online", "--ca-cert", str(authority.certificate)]) == OK
    assert (folder / "linuxkit.yml").read_text() == f"init: [{secure}/acme/web:1@{web}]\n"


@pytest.mark.parametrize(
    ("options", "config", "reason"),
    [
        (["--ca-cert", "none.pem"], "{}", "none.pem: cannot be used: No such file or directory"),
        (["--ca-cert", "linuxkit.yml"], "{}", "linuxkit.yml: cannot be used: "),
        ([], "[", "config.json: is not the JSON"),
    ],
)
def test_what_the_user_gave_wrongly_is_told_in_one_line(folder, monkeypatch, capsys, options, config, reason):  # noqa: PLR0917 - a table's columns
    pytest.importorskip("urllib3")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    (folder / "config.json").write_text(config)
    assert main(["pin", "linuxkit.yml", "--online", *options]) == USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_without_the_extra_it_is_named(folder):
    program = (
        "import sys\nsys.modules['urllib3'] = None\nfrom lkscan.cli import main\n"
        "sys.exit(main(['pin', 'linuxkit.yml', '--online']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert done.stderr == "lkscan: --online needs the extra 'online': pip install 'lkscan[online]'\n"
