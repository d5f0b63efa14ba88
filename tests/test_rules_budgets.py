"""Rule LKL020: an image, or a component of it, is larger than its budget; by order and by configuration."""

import json

import pytest
from imagelab import Item, newc
from rulelab import SPEC

from lkscan import cli
from lkscan.config.files import ConfigurationError
from lkscan.config.policies import Policies
from lkscan.rules.budgets import over_budget
from lkscan.rules.components import Component, ImageSize, Part
from lkscan.rules.engine import Outcome
from lkscan.scanner.subjects import Place

pytestmark = pytest.mark.read_here

CONFIG = b'{"ociVersion":"1.0.0","process":{"args":["/bin/web"]},"linux":{}}'
HOME = "containers/services/web"


def image(budget, **homes):
    parts = (Part("bin/web", 2_000, 1, Place(("x", "initrd", "bin/web"))), Part("", 48, 2))
    web = Component("services/web", Place(("x", "initrd")), 2048, 3, parts)
    root = Component("root filesystem", Place(("x", "initrd")), 1024, 1, (Part("bin/init", 1024, 1),))
    return ImageSize(SPEC, (web, root, root._replace(layer=Place(("x",)))), budget, homes)


@pytest.fixture
def initrd(tmp_path):
    items = [Item("bin/init", bytes(5000)), Item(f"{HOME}/config.json", CONFIG), Item(f"{HOME}/runtime.json", b"{}")]
    items += [Item(f"{HOME}/rootfs/bin/web", bytes(3000))]
    (tmp_path / "initrd.img").write_bytes(newc(*items))
    return str(tmp_path / "initrd.img")


def report(capsys, *arguments):
    """The exit status, and the findings and open verdicts of the rule."""
    status = cli.main(["scan", *arguments, "--select", "LKL020", "-f", "json"])
    told = json.loads(capsys.readouterr().out)
    return status, [one for one in told["findings"] if one["rule"] == "LKL020"], told


@pytest.mark.parametrize(
    ("budget", "subjects"),
    [
        ({"": 4096}, []),
        ({"": 4095}, ["image"]),
        ({"services/web": 2047, "root filesystem": 2047}, ["services/web", "root filesystem"]),
        ({"services/web": 2048, "root filesystem": 2048}, []),
    ],
)
def test_what_is_larger_is_told_and_components_of_one_name_count_together(budget, subjects) -> None:
    assert [one.subject for one in over_budget(image(budget))] == subjects


def test_a_finding_names_the_sizes_and_the_largest_parts() -> None:
    (web,) = over_budget(image({"services/web": 1024}))
    assert web.message == "Component 'services/web' has '2.0 KiB' unpacked, more than its budget of '1.0 KiB'."
    assert web.evidence == ("bin/web: 2.0 KiB", "other files: 48 bytes")
    (whole,) = over_budget(image({"": 1024}))
    assert whole.message == "The image has '4.0 KiB' unpacked, more than its budget of '1.0 KiB'."
    assert whole.evidence[0] == "services/web: 2.0 KiB"


def test_a_container_is_pointed_at_and_what_is_none_by_its_layer() -> None:
    home = Place(("x", "initrd", f"{HOME}/config.json"))
    budget = {"services/web": 1, "root filesystem": 1}
    web, root = over_budget(image(budget, **{"services/web": home}))
    assert web.place == home
    assert root.place == Place(("x", "initrd"))


def test_a_component_that_is_not_there_is_undecided() -> None:
    (one,) = over_budget(image({"services/wbe": 1}))
    assert one.outcome is Outcome.UNDECIDED
    assert "'services/wbe'" in one.message


@pytest.mark.shut_in
@pytest.mark.parametrize(
    ("arguments", "status", "subjects"),
    [
        ([], cli.OK, []),
        (["--budget", "1M"], cli.OK, []),
        (["--budget", "8K"], cli.OK, []),
        (["--budget", "7K"], cli.FINDINGS, ["image"]),
        (["--budget", "7K", "--fail-on", "high"], cli.OK, ["image"]),
        (
            ["--budget", "services/web=2K", "--budget", "root filesystem=1K"],
            cli.FINDINGS,
            ["root filesystem", "services/web"],
        ),
    ],
)
def test_a_scan_fails_by_the_severity_as_for_every_finding(initrd, capsys, arguments, status, subjects) -> None:
    found, findings, _ = report(capsys, initrd, "--no-config", *arguments)
    assert found == status
    assert sorted(one["subject"] for one in findings) == subjects


def test_size_and_scan_judge_alike_a_kernel_beside_the_initrd_included(tmp_path, initrd, capsys) -> None:
    from elflab import bzimage, packed, vmlinux

    kernel = bzimage(packed(vmlinux(), "gzip"))
    (tmp_path / "x-kernel").write_bytes(kernel)
    (tmp_path / "x-initrd.img").write_bytes((tmp_path / "initrd.img").read_bytes())
    whole = 5000 + len(CONFIG) + 2 + 3000 + len(kernel)
    for most, status in ((whole, cli.OK), (whole - 1, cli.FINDINGS)):
        assert cli.main(["size", str(tmp_path / "x"), "--no-config", "--budget", str(most)]) == status
        capsys.readouterr()
        assert report(capsys, str(tmp_path / "x"), "--no-config", "--budget", str(most))[0] == status


def test_a_configuration_gives_budgets_and_the_order_has_the_last_word_on_each(tmp_path, initrd, capsys) -> None:
    (tmp_path / "lkscan.toml").write_text('budget = ["7K", "services/web=1K"]\n')
    assert [one["subject"] for one in report(capsys, initrd)[1]] == ["image", "services/web"]
    assert [one["subject"] for one in report(capsys, initrd, "--budget", "1M")[1]] == ["services/web"]
    assert cli.main(["scan", initrd, "--budget", "1M", "--show-config"]) == cli.OK
    text = capsys.readouterr().out
    assert "1048576" in text
    assert "services/web=1024" in text
    assert f"# command line, {Policies(scanned=[initrd]).governing(initrd)}\nbudget" in text


@pytest.mark.parametrize("text", ["35X", "=35M", "web=", "web", "0", "-1"])
def test_what_is_no_budget_is_refused_with_what_to_write(tmp_path, text, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["scan", "x.iso", f"--budget={text}"])
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "lkscan.toml").write_text(f'budget = ["{text}"]\n')
    with pytest.raises(ConfigurationError, match="'budget' cannot be used"):
        Policies(config=str(tmp_path / "lkscan.toml"))


def test_a_spec_has_no_size_to_judge(tmp_path, capsys) -> None:
    (tmp_path / "a.yml").write_text("kernel:\n  image: a\n")
    assert report(capsys, str(tmp_path / "a.yml"), "--no-config", "--budget", "1K")[:2] == (cli.OK, [])
