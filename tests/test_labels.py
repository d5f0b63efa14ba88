"""Labels come from package folders, a cache, and the table of LinuxKit's own, and only as far as they are known."""

import hashlib
import json
import os

import pytest

from lkscan.scanner import labels
from lkscan.scanner.labels import LABEL, LabelError, LabelFinder, read_file
from lkscan.scanner.layout import Layout
from lkscan.scanner.references import reference
from lkscan.scanner.subjects import Place

GETTY = "linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0"


def ref(text):
    return reference(text, "services", Place(("spec.yml",)))


def blob(folder, value):
    data = json.dumps(value).encode() if not isinstance(value, bytes) else value
    digest = hashlib.sha256(data).hexdigest()
    os.makedirs(folder / "blobs" / "sha256", exist_ok=True)
    (folder / "blobs" / "sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def cache(folder, config, name="docker.io/acme/web:1", **index):
    """An OCI layout as LinuxKit keeps it: an index by name, in it an index by platform, in it manifests."""
    manifest = blob(folder, {"config": blob(folder, {"config": config})})
    other = blob(folder, {"config": blob(folder, {"config": {"Cmd": ["other"]}})})
    platforms = [
        {**blob(folder, {"config": {}}), "platform": {"os": "unknown"}},
        {**other, "platform": {"os": "linux", "architecture": "arm64"}},
        {**manifest, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    entry = {**blob(folder, {"manifests": platforms}), "annotations": {"org.opencontainers.image.ref.name": name}}
    (folder / "index.json").write_text(json.dumps({"manifests": [entry], **index}))
    return entry


def test_the_label_of_a_known_tag_is_exact():
    label, config, image = LabelFinder().find(ref(GETTY))
    assert label.kind == "exact"
    assert "capabilities" in config
    assert image == {}


@pytest.mark.parametrize("text", ["linuxkit/getty:v0.8", "linuxkit/getty", "index.docker.io/linuxkit/getty:latest"])
def test_an_unknown_tag_of_a_known_package_has_its_newest_state(text):
    assert LabelFinder().find(ref(text))[0].kind == "newest"


@pytest.mark.parametrize(
    "text", ["quay.io/linuxkit/getty:v0.8", "acme/getty", "getty", "linuxkit/unheard-of", "@pkg:./x", "GETTY_TAG", ""]
)
def test_nobody_elses_image_has_linuxkits_label(text):
    label, config, _ = LabelFinder().find(ref(text))
    assert label.kind == "unknown"
    assert config is None


def test_a_package_without_a_label_is_known_to_have_none():
    label, config, _ = LabelFinder().find(ref("linuxkit/init:latest"))
    assert label.kind == "newest"
    assert config is None


def test_every_state_of_the_table_leads_somewhere():
    table, middle = labels._table()
    states = table[:middle].decode().split()
    assert len(states) == 3 * 2743
    for name, tag in zip(states[::3], states[1::3], strict=True):
        label, config, _ = LabelFinder().find(ref(f"linuxkit/{name}:{tag}"))
        assert label.kind == "exact"
        assert config is None or isinstance(json.loads(config), dict)


@pytest.mark.parametrize("name", ["0", "=0", "a b", "acpid dbd30b25903bf17042c22171b729f94c4bd3d98d"])
def test_odd_names_find_nothing_in_the_table(name):
    assert LabelFinder().find(ref("x")._replace(text=f"linuxkit/{name}", name=f"linuxkit/{name}"))[0].kind != "exact"


def test_the_table_is_not_read_for_other_images(monkeypatch):
    monkeypatch.setattr(labels, "_table", lambda: pytest.fail("was read"))
    LabelFinder().find(ref("acme/web"))


def test_a_package_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "build.yml").write_text("image: [\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "build.yml").write_text("stages: [x]\n")  # somebody else's: not a package, and no problem
    finder = LabelFinder(packages=str(tmp_path))
    assert finder.find(ref("linuxkit/a:1"))[0].kind == "unknown"
    assert finder.find(ref("linuxkit/b:1"))[0].kind == "unknown"
    assert [str(one.place) for one in finder.unread] == [str(tmp_path / "a" / "build.yml")]


def test_package_folders_come_first(tmp_path):
    (tmp_path / "pkg" / "getty").mkdir(parents=True)
    (tmp_path / "pkg" / "getty" / "build.yml").write_text("image: getty\nconfig:\n  pid: host\n")
    (tmp_path / "pkg" / "broken").mkdir()
    (tmp_path / "pkg" / "broken" / "build.yml").write_text("image: [\n")
    (tmp_path / "pkg" / "nameless").mkdir()
    (tmp_path / "pkg" / "nameless" / "build.yml").write_text("org: acme\n")
    (tmp_path / "pkg" / "empty").mkdir()
    (tmp_path / "pkg" / "empty" / "build.yml").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "build.yml").write_text("image: hidden\n")
    finder = LabelFinder(str(tmp_path))
    label, config, _ = finder.find(ref("linuxkit/getty:anything"))
    assert label.kind == "newest"
    assert label.detail.endswith("build.yml")
    assert config == {"pid": "host"}
    assert finder.find(ref("linuxkit/hidden"))[0].kind == "unknown"
    assert finder.find(ref(GETTY.replace("getty", "sshd")))[0].kind == "newest"


def test_packages_that_lie_too_deep_are_left_alone(tmp_path):
    deep = tmp_path.joinpath(*"abcdefghijk")
    deep.mkdir(parents=True)
    (deep / "build.yml").write_text("image: deep\n")
    assert LabelFinder(str(tmp_path)).find(ref("linuxkit/deep"))[0].kind == "unknown"


def test_a_local_package_is_what_its_build_yml_says(tmp_path):
    (tmp_path / "build.yml").write_text("image: web\norg: acme\nconfig: {net: new}\n")
    package = LabelFinder().local(str(tmp_path))
    assert (package.name, package.config) == ("acme/web", {"net": "new"})
    assert LabelFinder().local(str(tmp_path / "none")) is None


def test_a_cache_gives_label_and_image_configuration(tmp_path):
    cache(tmp_path, {"Labels": {LABEL: '{"pid": "host"}'}, "Entrypoint": ["/web"]})
    finder = LabelFinder(cache=str(tmp_path))
    label, config, image = finder.find(ref("acme/web:1"))
    assert label.kind == "exact"
    assert config == '{"pid": "host"}'
    assert image["Entrypoint"] == ["/web"]
    assert finder.find(ref("acme/web:2"))[0].kind == "unknown"


def test_a_cache_finds_an_image_by_its_digest(tmp_path):
    entry = cache(tmp_path, {"Cmd": ["x"]})
    label, config, image = LabelFinder(cache=str(tmp_path)).find(ref(f"acme/web:9@{entry['digest']}"))
    assert label.kind == "exact"
    assert config is None
    assert image == {"Cmd": ["x"]}


def test_a_cache_tells_the_digest_of_the_index_that_a_tag_stands_for(tmp_path):
    entry = cache(tmp_path, {})
    finder = LabelFinder(cache=str(tmp_path))
    assert finder.digest("acme/web:1") == finder.digest(f"acme/web:1@sha256:{'0' * 64}") == entry["digest"]
    assert finder.digest("acme/web:2") == finder.digest("acme/web") == ""
    assert LabelFinder().digest("acme/web:1") == ""


def test_an_untagged_name_is_latest_in_a_cache(tmp_path):
    cache(tmp_path, {"Cmd": ["x"]}, name="docker.io/library/web:latest")
    assert LabelFinder(cache=str(tmp_path)).find(ref("web"))[0].kind == "exact"


@pytest.mark.parametrize(
    "entry",
    [
        {"digest": "sha256:../../../etc/passwd"},
        {"digest": "md5:00"},
        {"digest": 5},
        {},
        {"digest": "sha256:" + "0" * 64},
    ],
)
def test_a_digest_is_never_a_path(tmp_path, entry):
    asked = []

    def read(path, limit):
        asked.append(os.path.relpath(path, tmp_path))
        return read_file(path, limit)

    index = {"manifests": [{**entry, "annotations": {"io.containerd.image.name": "docker.io/acme/web:1"}}, 5]}
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert Layout(str(tmp_path), read).find("acme/web:1") is None
    assert all(".." not in path for path in asked)


@pytest.mark.parametrize(
    "value",
    [{"config": 5}, {"config": {"digest": "sha256:" + "0" * 64}}, {"manifests": 5}, [], b"\xff", b"[" * 100_000],
)
def test_a_hostile_blob_is_as_good_as_none(tmp_path, value):
    entry = {**blob(tmp_path, value), "annotations": {"org.opencontainers.image.ref.name": "web"}}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    assert LabelFinder(cache=str(tmp_path)).find(ref("web"))[0].kind == "unknown"


@pytest.mark.parametrize("config", [[], 5, {"config": [1]}])
def test_an_image_configuration_of_the_wrong_shape_is_none(tmp_path, config):
    manifest = blob(tmp_path, {"config": blob(tmp_path, config)})
    entry = {**manifest, "annotations": {"org.opencontainers.image.ref.name": "web", "other": 5}}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{**entry, "annotations": []}, entry]}))
    assert LabelFinder(cache=str(tmp_path)).find(ref("web"))[0].kind == "unknown"


def test_indexes_are_not_followed_for_ever(tmp_path):
    entry = blob(tmp_path, {"config": blob(tmp_path, {"config": {}})})
    for _ in range(6):
        entry = blob(tmp_path, {"manifests": [entry]})
    entry["annotations"] = {"org.opencontainers.image.ref.name": "web"}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    assert LabelFinder(cache=str(tmp_path)).find(ref("web"))[0].kind == "unknown"


@pytest.mark.parametrize("labels_", [None, [], {}, {LABEL: ""}, {LABEL: 5}])
def test_an_image_without_the_label_is_known_to_have_none(tmp_path, labels_):
    cache(tmp_path, {"Labels": labels_})
    label, config, _ = LabelFinder(cache=str(tmp_path)).find(ref("acme/web:1"))
    assert (label.kind, config) == ("exact", None)


def test_folders_that_are_none_are_told_in_one_line(tmp_path):
    with pytest.raises(LabelError, match="not a folder"):
        LabelFinder(packages=str(tmp_path / "none"))
    with pytest.raises(LabelError, match=r"no OCI image layout or LinuxKit cache"):
        LabelFinder(cache=str(tmp_path))


def test_local_files_are_read_within_bounds(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    assert read_file(str(tmp_path / "f"), 5) == b"12345"
    with pytest.raises(OSError, match="limit of 4"):
        read_file(str(tmp_path / "f"), 4)
    with pytest.raises(OSError, match="not a regular file"):
        read_file(str(tmp_path), 4)
    with pytest.raises(OSError, match="null"):
        read_file("a\0b", 4)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        read_file(str(tmp_path / "fifo"), 4)
