"""`lkscan kernel`: kernels and configurations alone, with command lines and settings; configurations as inputs."""

import gzip
import importlib.util
import json
from pathlib import Path

import pytest
from elflab import bzimage, packed, vmlinux

from lkscan.cli import main
from lkscan.commands.kernel import _ARCHITECTURES
from lkscan.scanner import kconfig
from lkscan.scanner.subjects import Kernel, Place

HEADING = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.59 Kernel Configuration\n#\n"
BODY = """CONFIG_LOCALVERSION=""
CONFIG_64BIT=y
CONFIG_X86_64=y
# end of General setup
CONFIG_MODULES=y
# CONFIG_MODULE_SIG is not set
# CONFIG_INIT_ON_ALLOC_DEFAULT_ON is not set
CONFIG_LDISC_AUTOLOAD=y
CONFIG_USER_NS=y
CONFIG_SECURITY=y
# CONFIG_SECURITY_LANDLOCK is not set
CONFIG_LSM="yama,apparmor"
CONFIG_ARCH_MMAP_RND_BITS_MAX=32
CONFIG_ARCH_MMAP_RND_BITS=28
CONFIG_PANIC_TIMEOUT=0
# end of Kernel hacking
"""
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("LKSCAN_DATE", "2026-01-01")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kernel.config"
    path.write_text(HEADING + BODY, encoding="utf-8")
    return path


def run(capsys, *arguments):
    status = main(list(map(str, arguments)))
    found = capsys.readouterr()
    return status, found.out, found.err


def members(text):
    """The options that the failures of a JSON report name, from their evidence."""
    document = json.loads(text)
    return {line.split(",")[0] for one in document["findings"] for line in one["evidence"] if ", wanted " in line}


def test_a_configuration_is_judged_alone(config, capsys):
    status, out, err = run(capsys, "kernel", config)
    assert (status, err) == (1, "")
    assert "LKK012" in out
    assert "# CONFIG_MODULE_SIG is not set, wanted y (since 3.7)" in out
    assert "MODULE_SIG_FORCE, MODULE_SIG_ALL" in out
    assert "USER_NS" not in out


def test_scan_takes_a_configuration_for_what_it_is(config, capsys):
    status, out, _ = run(capsys, "scan", config, "-f", "json")
    assert status == 1
    assert "# CONFIG_MODULE_SIG is not set" in members(out)


def test_a_compressed_configuration_is_that_of_a_running_kernel(config, capsys):
    packed = config.with_name("config.gz")
    packed.write_bytes(gzip.compress(config.read_bytes()))
    plain = members(run(capsys, "kernel", config, "-f", "json")[1])
    assert members(run(capsys, "kernel", packed, "-f", "json")[1]) == plain
    assert members(run(capsys, "scan", packed, "-f", "json")[1]) == plain


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (("--cmdline", "quiet init_on_alloc=1"), "# CONFIG_INIT_ON_ALLOC_DEFAULT_ON is not set"),
        (("--cmdline", "cmdline.txt"), "# CONFIG_INIT_ON_ALLOC_DEFAULT_ON is not set"),
        (("--sysctl", "a.conf"), "CONFIG_LDISC_AUTOLOAD=y"),
    ],
)
def test_what_is_given_beside_it_counts(config, capsys, options, gone):
    config.with_name("cmdline.txt").write_text("quiet init_on_alloc=1\n", encoding="utf-8")
    config.with_name("a.conf").write_text("dev.tty.ldisc_autoload = 0\n", encoding="utf-8")
    assert gone in members(run(capsys, "kernel", config, "-f", "json")[1])
    assert gone not in members(run(capsys, "kernel", config, "-f", "json", *options)[1])


def test_the_command_line_and_the_settings_are_judged_as_well(config, capsys):
    config.with_name("a.conf").write_text("kernel.kptr_restrict=0\n", encoding="utf-8")
    _, out, _ = run(capsys, "kernel", config, "--cmdline", "mitigations=off", "--sysctl", "a.conf")
    assert "LKC001" in out
    assert "LKY002" in out
    assert "broke off" not in out


def test_options_that_break_containers_are_for_auditors(config, capsys):
    assert "CONFIG_USER_NS=y" in members(run(capsys, "kernel", config, "-f", "json", "--profile", "auditor")[1])


def test_a_fragment_says_what_to_change_and_why(config, capsys):
    status, out, _ = run(capsys, "kernel", config, "--fragment", "--profile", "pedantic")
    assert status == 0
    assert kconfig.sniff(out.encode())
    changes = kconfig.parse(out.encode())
    assert changes["MODULE_SIG"] == changes["MODULE_SIG_FORCE"] == changes["INIT_ON_ALLOC_DEFAULT_ON"] == "y"
    assert changes["LDISC_AUTOLOAD"] == "n"
    assert changes["ARCH_MMAP_RND_BITS"] == "32"
    assert changes["LSM"] == "landlock,yama,apparmor"
    assert "USER_NS" not in changes
    lines = out.splitlines()
    assert all(lines[number - 1].startswith("# ") for number, one in enumerate(lines) if one.startswith("CONFIG_"))


def test_what_the_fragment_asks_for_is_what_was_missing(config, capsys):
    out = run(capsys, "kernel", config, "--fragment")[1]
    config.write_text(HEADING + BODY + out, encoding="utf-8")
    assert members(run(capsys, "kernel", config, "-f", "json")[1]) == set()


def test_the_list_has_every_option_with_its_fact(config, capsys):
    status, out, _ = run(capsys, "kernel", config, "--list")
    assert status == 0
    assert any(line.startswith("FAIL ") and "CONFIG_MODULE_SIG " in line for line in out.splitlines())
    assert "LSM with landlock" in out
    assert any(line.startswith("n/a ") and "without CONFIG_MODULE_SIG" in line for line in out.splitlines())


def test_a_configuration_that_breaks_off_is_undecided(config, capsys):
    config.write_text(HEADING + BODY[:-40], encoding="utf-8")
    _, out, _ = run(capsys, "kernel", config, "-f", "json")
    texts = [one["message"] for one in json.loads(out)["others"]]
    assert any("is a fragment, or breaks off, and does not tell of" in text for text in texts), texts


def test_the_architecture_can_be_told_of_a_fragment(config, capsys):
    config.write_text("# CONFIG_ARM64_BTI is not set\nCONFIG_INTEL_IOMMU=y\n", encoding="utf-8")
    assert "arm64" in _ARCHITECTURES
    out = run(capsys, "kernel", config, "--list", "--arch", "arm64")[1]
    assert "CONFIG_X86_UMIP is not an option of arm64" in out


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("gone", None, 2),
        ("empty", b"", 2),
        ("notes.txt", b"some words\n", 2),
        ("spec.yml", b"kernel:\n  image: linuxkit/kernel:6.12.59\n", 2),
        ("cut.gz", gzip.compress(HEADING.encode() + BODY.encode())[:-30], 3),
    ],
)
def test_what_is_no_kernel_is_told_in_a_line(config, capsys, name, content, expected):
    if content is not None:
        config.with_name(name).write_bytes(content)
    for options in ((), ("--fragment",), ("--list",)):
        status, _, err = run(capsys, "kernel", name, *options)
        assert (status, err.count("\n")) == (expected, 1)
        assert err.startswith(f"lkscan: {name}: ")


@pytest.mark.parametrize("options", [("--sysctl", "gone"), ("--sysctl", "."), ("--cmdline", ".")])
def test_what_is_given_beside_it_must_be_readable(config, capsys, options):
    status, _, err = run(capsys, "kernel", config, *options)
    assert (status, err.count("\n")) == (2, 1)
    assert "cannot be read" in err


def test_reports_are_written_and_a_baseline_is_heeded_as_by_scan(config, capsys):
    assert run(capsys, "kernel", config, "-o", "a.json", "-o", "a.sarif")[0] == 1
    printed = run(capsys, "kernel", config, "-f", "json")[1]
    assert config.with_name("a.json").read_text(encoding="utf-8") == printed
    assert json.loads(config.with_name("a.sarif").read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert run(capsys, "baseline", config, "-o", "known.json")[0] == 0
    status, out, _ = run(capsys, "kernel", config, "--baseline", "known.json", "-f", "json")
    document = json.loads(out)
    assert (status, document["findings"], len(document["baselined"])) == (0, [], len(json.loads(printed)["findings"]))


@pytest.mark.parametrize("options", [("-o", "x.pdf"), ("--baseline", "gone"), ("--list", "-o", "x.json")])
def test_orders_that_make_no_sense_are_refused(config, capsys, options):
    status, out, err = run(capsys, "kernel", config, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)


def _comparison(name="kernel_options"):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"benchmarks/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figures_are_of_a_whole_configuration_or_of_those_that_are_named(tmp_path):
    module = _comparison("kernels")
    made = module.configuration()
    (tmp_path / "x.config").write_bytes(made)
    assert module.text_of(tmp_path / "x.config") == made
    assert module.verdict(made) > len(kconfig.parse(b""))
    (tmp_path / "bare").write_bytes(bzimage(packed(vmlinux(None), "gzip")))
    with pytest.raises(SystemExit, match="no IKCONFIG"):
        module.text_of(tmp_path / "bare")


def test_a_comparison_of_nothing_says_what_it_wants(tmp_path):
    module = _comparison()
    for arguments, text in (([], r"NAME\.khc\.json"), ([str(tmp_path)], r"no NAME\.config is in there")):
        with pytest.raises(SystemExit, match=text):
            module.main(arguments)
    (tmp_path / "x.config").touch()
    with pytest.raises(SystemExit, match=r"x\.config has no verdicts beside it"):
        module.main([str(tmp_path)])


def test_a_comparison_tells_by_its_status_whether_all_is_explained(tmp_path, capsys):
    module = _comparison()
    (tmp_path / "x.config").write_text(HEADING + BODY, encoding="utf-8")
    row = {"type": "kconfig", "option_name": "CONFIG_MODULE_SIG", "desired_val": "y", "check_result": "FAIL"}
    verdicts = tmp_path / "x.khc.json"
    verdicts.write_text(json.dumps([{**row, "check_result_bool": False}]), encoding="utf-8")
    assert module.main([str(tmp_path)]) == 0
    verdicts.write_text(json.dumps([{**row, "check_result_bool": True}]), encoding="utf-8")
    assert module.main([str(tmp_path)]) == 1
    assert "NOT EXPLAINED" in capsys.readouterr().out


def test_a_comparison_explains_what_does_not_exist_and_asks_about_the_rest():
    module = _comparison()
    text = (HEADING + BODY).encode()
    subject = Kernel(Place(("x",)), "6.12.59", "", "x86_64", "configuration", "", kconfig.parse(text), "x", text)
    rows = [
        ("CONFIG_MODULE_SIG", "y", False),
        ("CONFIG_MODULE_SIG_FORCE", "y", False),
        ("CONFIG_LDISC_AUTOLOAD", "is not set", True),
        ("CONFIG_LSM", "*landlock*", False),
    ]
    verdicts = [
        {"option_name": name, "desired_val": want, "check_result": "?", "check_result_bool": good}
        for name, want, good in rows
    ]
    found = {one.option: one for one in module.compare(subject, verdicts, {})}
    assert set(found) == {"MODULE_SIG_FORCE", "LDISC_AUTOLOAD", "LSM landlock"}
    assert "without CONFIG_MODULE_SIG" in found["MODULE_SIG_FORCE"].why
    assert found["LDISC_AUTOLOAD"].why == ""
