"""Container images as inputs: layouts, `docker save`, layers, whiteouts, platforms, hostile ones."""

import gzip
import hashlib
import io
import json
import os
import tarfile

import pytest
from imagelab import of, paths, subjects

from lkscan import cli
from lkscan.rules.funnel import Options
from lkscan.scanner import compression, image, oci
from lkscan.scanner.source import Limits, MemorySource
from lkscan.scanner.subjects import File, Problem, System
from lkscan.scanning import scan

DIR, LINK, SYM = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE


def layer(*entries):
    """A layer: (path, content) for a file, (path, type) for a folder, (path, type, target) for a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for path, content, *target in entries:
            info = tarfile.TarInfo(path)
            info.type = content if content in {DIR, LINK, SYM} else tarfile.REGTYPE
            info.linkname = target[0] if target else ""
            info.size = len(content) if info.isreg() else 0
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


BASE = layer(
    ("etc", DIR), ("etc/shadow", b"root::0\n"), ("etc/old", b"old"), ("srv", DIR), ("srv/a", b"a"), ("bin", DIR)
)
UPPER = layer(("etc/shadow", b"root:*:0\n"), ("etc/.wh.old", b""), ("srv/.wh..wh..opq", b""), ("srv/b", b"b"))
SEEN = {"etc", "etc/shadow", "srv", "srv/b", "bin"}


class Blobs(dict):
    """Blobs by their path in a layout."""

    def add(self, data, kind, **more):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        digest = hashlib.sha256(data).hexdigest()
        self[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(
        self, *layers, kind="application/vnd.oci.image.layer.v1.tar+gzip", pack=gzip.compress, arch="amd64", **more
    ):
        config = self.add({"architecture": arch, "os": "linux", "config": {"Env": []}}, "config")
        found = [self.add(pack(one), kind) for one in layers]
        manifest = {"schemaVersion": 2, "config": config, "layers": found}
        return self.add(manifest, "application/vnd.oci.image.manifest.v1+json", **more)

    def layout(self, *entries):
        self["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        self["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
        return self


def named(name):
    return {"annotations": {"org.opencontainers.image.ref.name": name}}


def one_image(*layers, **more):
    blobs = Blobs()
    return blobs.layout(blobs.image(*(layers or (BASE, UPPER)), **named("lab:1"), **more))


def as_tar(blobs, prefix=""):
    return layer(*((prefix + path, data) for path, data in sorted(blobs.items())))


def as_folder(tmp_path, blobs):
    for path, data in blobs.items():
        target = tmp_path / "layout" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return tmp_path / "layout"


def of_folder(tmp_path, blobs, **limits):
    return list(image.read((str(as_folder(tmp_path, blobs)),), Limits(**limits)))


def trees(items):
    """The paths of each image, by its label; the configurations stand beside them."""
    found = {}
    for file in of(items, File):
        label = file.place.artifacts[1] if len(file.place.artifacts) > 2 else ""
        found.setdefault(label, []).append(file.path)
    found.pop("", None)
    return found


def messages(items):
    return [f"{item.place.artifacts[-1]}: {item.message}" for item in of(items, Problem)]


def docker_save(layers, *, link=False):
    files = [("config.json", json.dumps({"architecture": "arm64", "os": "linux"}).encode())]
    names = []
    for number, data in enumerate(layers):
        names.append(f"{number:064x}/layer.tar")
        files.append((names[-1], data))
    if link:
        names.append(f"{99:064x}/layer.tar")
        files.append((names[-1], SYM, f"../{0:064x}/layer.tar"))
    manifest = [{"Config": "config.json", "RepoTags": ["lab:1"], "Layers": names}]
    return layer(*files[1:], files[0], ("manifest.json", json.dumps(manifest).encode()), ("repositories", b"{}"))


@pytest.mark.parametrize(
    "data",
    [
        as_tar(one_image()),
        as_tar(one_image(), "./"),
        gzip.compress(as_tar(one_image())),
        compression.zstd_module().compress(as_tar(one_image())),
        as_tar(one_image(pack=bytes, kind="application/vnd.oci.image.layer.v1.tar")),
        as_tar(one_image(pack=compression.zstd_module().compress, kind="application/vnd.oci.image.layer.v1.tar+zstd")),
    ],
)
def test_a_layout_in_an_archive_is_the_tree_that_its_layers_make_up(tmp_path, data):
    items = subjects(tmp_path, data)
    assert {label: set(found) for label, found in trees(items).items()} == {"lab:1 (linux/amd64)": SEEN}
    assert of(items, Problem) == []
    assert "image archive" in items[-1].format


def test_a_layout_in_a_folder_is_the_same(tmp_path):
    items = of_folder(tmp_path, one_image())
    assert {label: sorted(found) for label, found in trees(items).items()} == {"lab:1 (linux/amd64)": sorted(SEEN)}
    assert of(items, Problem) == []
    assert items[-1].format == "OCI layout"


def test_the_uppermost_content_counts(tmp_path):
    folder = as_folder(tmp_path, one_image())
    contents = {}
    for item in image.read((str(folder),), Limits()):
        if isinstance(item, File) and item.read and item.size:
            contents[item.path] = item.read(100)
    assert contents["etc/shadow"] == b"root:*:0\n"


@pytest.mark.parametrize("link", [False, True])
def test_what_docker_save_writes_is_read(tmp_path, link):
    items = subjects(tmp_path, docker_save([BASE, UPPER], link=link))
    wanted = SEEN | ({"etc/old", "srv/a"} if link else set())  # the lowest layer once more on top
    assert {label: set(found) for label, found in trees(items).items()} == {"lab:1 (linux/arm64)": wanted}
    assert of(items, Problem) == []


def test_every_image_and_every_platform_is_named(tmp_path):
    blobs = Blobs()
    attestation = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    statement = blobs.add({"config": {}, "layers": [blobs.add({}, "application/vnd.in-toto+json")]}, "m", **attestation)
    several = blobs.add(
        {
            "manifests": [
                blobs.image(BASE, platform={"os": "linux", "architecture": "amd64"}),
                blobs.image(UPPER, platform={"os": "linux", "architecture": "arm", "variant": "v7"}),
                {"digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": "s390x"}},
                statement,
            ]
        },
        "application/vnd.oci.image.index.v1+json",
        **named("docker.io/lab/many:1"),
    )
    blobs.layout(several, blobs.image(UPPER, arch="riscv64"), {**several, **named("docker.io/lab/again:1")})
    items = of_folder(tmp_path, blobs)
    names = "docker.io/lab/many:1, docker.io/lab/again:1"
    assert list(trees(items))[:2] == [f"{names} (linux/amd64)", f"{names} (linux/arm/v7)"]
    assert len(trees(items)) == 3
    assert list(trees(items))[2].endswith(" (linux/riscv64)")
    assert of(items, Problem) == []


def test_the_configuration_of_an_image_is_a_file_beside_it(tmp_path):
    configs = [file for file in of(of_folder(tmp_path, one_image()), File) if file.path.startswith("blobs/")]
    assert [len(file.place.artifacts) for file in configs] == [2]


@pytest.mark.parametrize(
    ("layers", "seen"),
    [
        ([layer(("a", b"1")), layer(("a", DIR), ("a/b", b"2"))], ["a", "a/b"]),
        ([layer(("a", DIR), ("a/b", b"2")), layer(("a", b"1"))], ["a"]),
        ([layer(("a", DIR), ("a/b/c", b"2")), layer((".wh.a", b""))], []),
        ([layer(("a", b"1")), layer((".wh..wh..opq", b""), ("b", b"2"))], ["b"]),
        ([layer(("a", b"1")), layer((".wh.a", b"")), layer(("a", b"3"))], ["a"]),
        ([layer(("ab", b"1")), layer((".wh.a", b""))], ["ab"]),
        ([layer(("a", b"1"), (".wh.a", b""))], ["a"]),
        ([layer(("a", b"1"), (".wh..wh.plnk/5", b"x"), (".wh..wh.aufs", b""))], ["a"]),
        ([layer()], []),
    ],
)
def test_layers_hide_what_is_below(tmp_path, layers, seen):
    items = of_folder(tmp_path, one_image(*layers))
    assert sorted(path for found in trees(items).values() for path in found) == seen
    assert of(items, Problem) == []


def test_a_hard_link_that_outlives_its_target_is_told(tmp_path):
    items = of_folder(tmp_path, one_image(layer(("a", b"1"), ("b", LINK, "a")), layer((".wh.a", b""))))
    assert [path for found in trees(items).values() for path in found] == ["b"]
    assert "shares its content with 'a', which an upper layer replaces" in messages(items)[0]


def damaged(kind):
    blobs = one_image()
    manifest = json.loads(blobs["index.json"])["manifests"][0]["digest"].replace(":", "/")
    layers = [path for path, data in blobs.items() if data[:2] == b"\x1f\x8b"]
    if kind == "layer":
        del blobs[layers[0]]
    elif kind == "cut":
        blobs[layers[0]] = blobs[layers[0]][:60]
    elif kind == "no tar":
        blobs[layers[0]] = b"no archive"
    elif kind == "manifest":
        del blobs["blobs/" + manifest]
    elif kind == "no json":
        blobs["blobs/" + manifest] = b"["
    elif kind == "index":
        blobs["index.json"] = b"[]"
    elif kind == "empty":
        blobs["index.json"] = b"{}"
    return blobs


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("layer", "is not here; what it holds is not read"),
        ("cut", "gzip data breaks off"),
        ("no tar", "it is no tar archive"),
        ("manifest", "is not here; the image is not read"),
        ("no json", "is no manifest of an image that is read"),
        ("index", "it cannot be read as the index of a layout"),
        ("empty", "no container image is in it"),
    ],
)
def test_what_is_missing_or_damaged_is_told(tmp_path, kind, message):
    for items in (of_folder(tmp_path, damaged(kind)), subjects(tmp_path, as_tar(damaged(kind)))):
        assert any(message in one for one in messages(items)), messages(items)
        if kind in {"layer", "cut", "no tar"}:
            assert "srv/b" in paths(items)


def test_a_link_of_a_blob_to_a_file_outside_is_not_followed(tmp_path):
    blobs = one_image()
    secret = tmp_path / "secret"
    secret.write_bytes(gzip.compress(layer(("leaked", b"1"))))
    folder = as_folder(tmp_path, blobs)
    for path in (folder / "blobs/sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.unlink()
            path.symlink_to(secret)
    items = list(image.read((str(folder),), Limits()))
    assert trees(items) == {}
    assert len([one for one in messages(items) if "is not here" in one]) == 2


def test_names_that_only_look_like_an_archive_of_images_are_a_tar_archive(tmp_path):
    items = subjects(tmp_path, layer(("blobs/one", b"1"), ("etc/passwd", b"2")))
    assert paths(items) == ["blobs/one", "etc/passwd"]


def test_limits_hold(tmp_path):
    blobs = Blobs()
    many = [blobs.image(layer((str(number), b""))) for number in range(30)]
    items = of_folder(tmp_path, blobs.layout(*many), entries=50)
    assert any("more than 50 entries" in one for one in messages(items))


def test_indexes_inside_one_another_end(tmp_path):
    blobs = Blobs()
    inner = blobs.image(BASE)
    for _ in range(6):
        inner = blobs.add({"manifests": [inner]}, "index")
    assert any("inside one another" in one for one in messages(of_folder(tmp_path, blobs.layout(inner))))


def test_a_folder_with_a_layout_is_scanned_as_an_image(tmp_path, capsys):
    folder = as_folder(tmp_path, one_image())
    assert cli.main(["inspect", str(folder)]) == 0
    assert "OCI layout" in capsys.readouterr().out
    os.unlink(next(path for path in (folder / "blobs/sha256").iterdir() if path.read_bytes()[:2] == b"\x1f\x8b"))
    assert cli.main(["inspect", str(folder)]) == 3


def test_the_labels_of_an_image_are_judged_by_its_name(tmp_path):
    result = scan([as_folder(tmp_path, one_image())], options=Options(select=("LKV005",)))
    (finding,) = result.findings
    assert finding.subject.startswith("lab:")
    assert finding.subject.endswith("(linux/amd64)")


def test_a_system_ends_every_reading(tmp_path):
    assert isinstance(of_folder(tmp_path, one_image())[-1], System)


def test_a_layout_in_the_tree_of_an_image_is_told(tmp_path):
    volume = "containers/volumes/images/lower/"
    items = subjects(tmp_path, layer(("etc/oci-layout", b"notes"), *((volume + k, v) for k, v in one_image().items())))
    (message,) = messages(items)
    assert message.startswith(f"{volume}oci-layout: container images lie beside it")


def header(name, *, kind=b"0", size=b"00000000000", magic=b"ustar\x0000"):
    """A header of a tar archive with its sum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[124 : 124 + len(size)], block[156:157], block[257:265] = b"0000644\0", size, kind, magic
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    return bytes(block)


FIRST = header(b"oci-layout")


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        *((header(name), True)
          for name in (b"oci-layout", b"./index.json", b"manifest.json", b"repositories", b"blobs")),
        *((header(name), True)
          for name in (b"blobs/", b"blobs/sha256/x", b"a" * 64, b"a" * 64 + b".json", b"0" * 64 + b"/x")),
        *((header(name), False)
          for name in (b"blobs2", b"a" * 63, b"g" * 64, b"a" * 64 + b"x", b"x/oci-layout", b"oci-layouts")),
        (FIRST[:511], False),
        (bytes(512), False),
        (bytes(512) + FIRST, False),
        (header(b"x", kind=b"g", size=b"00000000000") + FIRST, True),
        (header(b"x", kind=b"x", size=b"00000000001") + bytes(512) + FIRST, True),
        (header(b"x", kind=b"g", size=b"00000000777") + bytes(512) + FIRST, True),
        (header(b"x", kind=b"g", size=b"00000001000") + bytes(512) + FIRST, True),
        (header(b"x", kind=b"g", size=b"00000001001") + bytes(1024) + FIRST, True),
        (header(b"x", kind=b"g", size=b"       1001\0") + bytes(1024) + FIRST, True),
        (header(b"x", kind=b"g", size=b"00000001000") + FIRST, False),
        (header(b"x", kind=b"g", size=b"00000000009") + FIRST, True),  # no octal number
        (header(b"x", kind=b"g", size=b"00000000008") + FIRST, True),
        (header(b"x", kind=b"g", size=b"zzz") + FIRST, True),
        (header(b"oci-layout", kind=b"g") + header(b"x"), False),
        (header(b"./", kind=b"5") + FIRST, True),
        (header(b"./", kind=b"5") * 3 + FIRST, True),
        (header(b"./", kind=b"5") * 4 + FIRST, False),
        (header(b"x", kind=b"L") + FIRST, False),
    ],
)  # fmt: skip
def test_an_archive_of_images_is_known_by_its_first_name(data, is_one):
    assert oci.sniff(MemorySource(data)) == ("image archive" if is_one else None)
