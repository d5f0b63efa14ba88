"""Programs and libraries of containers that nothing reaches: told only where all that may run is told."""

import json
import tarfile

import pytest
from elflab import EXEC, RW, Lab
from imagelab import Item, newc
from needlab import configuration, image
from rulelab import container, fires

from lkscan.cli import main
from lkscan.desks import read
from lkscan.inputs import Input
from lkscan.rules.engine import Outcome
from lkscan.rules.unreached import unreached_program
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.reached import Unreached
from lkscan.witness import Witness

APP, SPARE = (Lab(type=EXEC, has_dynamic=False, loads=loads).build() for loads in ((RW,), (RW, RW)))
"""Programs that do nothing."""
HELD = {"app": APP, "bin/spare": SPARE}


def of_image(path):
    """What nothing reaches, by the container that brings it: its files with their bytes, and the reasons."""
    witness = Witness(1 << 20)
    for subject in read(Input("image", (str(path),)), LabelFinder()):
        witness.meet(subject)
    return {one.container.name: one for one in witness.unreached()}


def unreached(tmp_path, args, files, **options):
    return of_image(image(tmp_path / "image.tar", {"web": (configuration(args, **options), files)}))["web"]


@pytest.mark.parametrize(
    ("args", "files", "expected"),
    [
        (["/app"], HELD, {"bin/spare"}),
        (["/app"], {"app": APP}, set()),
        (["/app"], {"app": APP, "lib/libx.so.1": SPARE}, {"lib/libx.so.1"}),
        (["/app"], {"app": APP, "x.o": SPARE, "lib/modules/6.1/a.ko": SPARE}, {"x.o"}),
        (["/app"], {"app": APP, "bin/script": b"#!/app\n", "etc/motd": b"x"}, set()),
        (["/app"], {"app": APP, "lib/gconv/A.so": SPARE, "lib/libgcc_s.so.1": SPARE, "a.debug": SPARE}, set()),
        (["/link"], {"link": "-> app", **HELD}, {"bin/spare"}),
        (["/app", "/bin/spare"], HELD, set()),
        (["/go"], {"go": b"#!/bin/sh\nspare\n", "bin/sh": APP, "bin/spare": SPARE, "bin/more": SPARE}, {"bin/more"}),
    ],
)
def test_what_no_step_leads_to_is_told(tmp_path, args, files, expected):
    found = unreached(tmp_path, args, files)
    assert not found.gaps
    assert {path for path, _ in found.files} == expected


@pytest.mark.parametrize(
    ("args", "files", "why"),
    [
        (["/bin/sh"], {"bin/sh": APP, "bin/spare": SPARE}, "may give commands to the shell"),
        (["/bin/python3", "x.py"], {"bin/python3": APP, "bin/spare": SPARE}, "interprets programs"),
        (["/go"], {"go": b'#!/bin/sh\neval "$x"\n', "bin/sh": APP, "bin/spare": SPARE}, "eval"),
        (["/gone"], HELD, "not in its root file system"),
        ([], HELD, "no command"),
        (["/app"], {**HELD, "etc/ld.so.preload": b"/lib/x.so\n"}, "names libraries that every program loads"),
    ],
)
def test_nothing_is_told_where_more_may_run(tmp_path, args, files, why):
    found = unreached(tmp_path, args, files)
    assert found.files == ()
    assert why in "; ".join(found.gaps)


def bind(source, destination="/seen"):
    return {"destination": destination, "type": "bind", "source": source, "options": ["bind", "ro"]}


@pytest.mark.parametrize(
    ("source", "is_open", "is_seen"),
    [
        ("/", False, True),
        ("/containers", False, True),
        ("/containers/services/web/rootfs", True, False),
        ("/containers/services/web/rootfs/bin", True, False),
        ("/containers/services/webs", False, False),
        ("/containers/services/web/config.json", False, False),
        ("/var", False, False),
    ],
)
def test_nothing_is_told_of_what_another_container_has_mounted_and_who_sees_it_is_told(
    tmp_path, source, is_open, is_seen
):
    other = configuration(["/app"], mounts=[bind(source)])
    found = of_image(image(tmp_path / "a.tar", {"web": (configuration(["/app"]), HELD), "eye": (other, {"app": APP})}))
    assert bool(found["web"].gaps) is is_open
    assert bool(found["web"].files) is not is_open
    assert found["web"].seen_by == (("eye",) if is_seen else ())
    assert not found["eye"].gaps


@pytest.mark.parametrize("options", [["bind"], ["lowerdir=/containers/services/web/rootfs", "upperdir=/x"]])
def test_containers_that_share_a_root_file_system_are_taken_together(tmp_path, options):
    """LinuxKit unpacks an image once, for the first container that has it."""
    mounts = [{"source": "/containers/services/web/rootfs", "options": options}]
    mounts[0]["destination"] = "/containers/services/twin/rootfs"
    twin = {**configuration(["/bin/spare"]), "runtime.json": json.dumps({"mounts": mounts}).encode()}
    found = of_image(image(tmp_path / "a.tar", {"web": (configuration(["/app"]), HELD), "twin": (twin, {})}))
    assert [*found] == ["web"]
    assert (found["web"].files, found["web"].gaps) == ((), ())


def test_a_content_with_two_names_counts_once_and_not_where_one_of_them_is_reached(tmp_path):
    path = image(tmp_path / "a.tar", {"web": (configuration(["/app"]), HELD)})
    with tarfile.open(path, "a") as tar:
        for name, target in (("bin/again", "bin/spare"), ("bin/other", "app")):
            entry = tarfile.TarInfo(f"containers/services/web/rootfs/{name}")
            entry.type, entry.linkname = tarfile.LNKTYPE, f"containers/services/web/rootfs/{target}"
            entry.mode = 0o755
            tar.addfile(entry)
    found = of_image(path)["web"]
    assert [size for _, size in found.files] == [len(SPARE)]


def test_reasons_why_nothing_can_be_told_are_listed_up_to_five():
    gaps = tuple(f"reason {number}" for number in range(7))
    for count, told in ((1, ": reason 0."), (5, "; reason 4."), (7, "; reason 4; and 2 more reasons.")):
        (finding,) = unreached_program(Unreached(container(), 9, (), gaps[:count]))
        assert finding.outcome is Outcome.UNDECIDED
        assert finding.message.endswith(told)


def test_the_largest_are_named_the_rest_is_summed_up_and_memory_is_mentioned():
    files = tuple((f"bin/{size}", size) for size in range(7000, 0, -1000))
    lines = fires(unreached_program, Unreached(container(), 9, files, (), ("getty",), is_in_memory=True))[0].evidence
    assert lines[0] == "/bin/7000: 7,000 bytes"
    assert lines[5:] == (
        "2 more: 3,000 bytes",
        "They are seen, and may be started by hand, from getty.",
        "They are unpacked into memory on every machine, whether or not the container runs.",
    )


@pytest.mark.parametrize(("form", "expected"), [("tar", False), ("newc", True)])
def test_files_of_an_initramfs_lie_in_memory(tmp_path, form, expected):
    path = image(tmp_path / "image", {"web": (configuration(["/app"]), HELD)})
    if form == "newc":
        with tarfile.open(path) as tar:
            items = [Item(one.name, tar.extractfile(one).read(), 0o100755) for one in tar]
        path.write_bytes(newc(*items))
    found = of_image(path)["web"]
    assert [one for one, _ in found.files] == ["bin/spare"]
    assert found.is_in_memory is expected


def test_a_scan_tells_the_bytes_when_it_is_asked_and_says_nothing_otherwise(tmp_path, capsys):
    path = str(image(tmp_path / "a.tar", {"web": (configuration(["/app"]), {**HELD, "bin/more": SPARE})}))
    order = [path, "--select", "LKL012", "--no-config", "--profile", "pedantic", "--format", "json"]
    main(order)
    assert json.loads(capsys.readouterr().out)["findings"] == []
    main([*order, "--evidence"])
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert f"'2' of its '3' programs and libraries: '{2 * len(SPARE):,}' bytes" in found["message"]
    assert found["evidence"] == [f"/bin/{one}: {len(SPARE):,} bytes" for one in ("more", "spare")]
