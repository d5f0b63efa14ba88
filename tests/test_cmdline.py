"""What a kernel makes of its command line: built in, passed by boot loaders, and one over the other."""

import hypothesis
import pytest
from hypothesis import strategies as st

from lkscan.rules.cmdline import mitigations_disabled
from lkscan.rules.kernel_options import given
from lkscan.scanner.cmdline import effective
from lkscan.scanner.subjects import Kernel, KernelCommandLine, Place

BOOT = Place(("image.iso", "boot/cmdline"))
KERNEL = Place(("image.iso", "boot/kernel"))


def kernel(arch="x86_64", text="nokaslr quiet", *, at=KERNEL, **options):
    return Kernel(at, "6.12.59", "", arch, "bzImage", "", {"CMDLINE_BOOL": "y", "CMDLINE": text, **options})


def lines(*texts):
    return [KernelCommandLine(BOOT, text) for text in texts]


def line(text):
    return KernelCommandLine(BOOT, text)


def heeded(kernels, passed):
    """What is left to each line: its text, and what of it counts, None where it is ignored."""
    found = []
    for line in effective(kernels, passed):
        names = [name for name, _ in line.arguments if name not in line.overridden]
        found.append((line.text, None if line.ignored else names, line.built_in))
    return found


@pytest.mark.parametrize(
    ("kernels", "passed", "expected"),
    [
        ([], ["a"], [("a", ["a"], False)]),
        ([kernel(text="")], ["a"], [("a", ["a"], False)]),
        ([kernel(CMDLINE_BOOL="n")], ["a"], [("a", ["a"], False)]),
        ([kernel()], [], [("nokaslr quiet", ["nokaslr", "quiet"], True)]),
        ([kernel()], ["a quiet"], [("a quiet", ["a", "quiet"], False), ("nokaslr quiet", ["nokaslr"], True)]),
        (
            [kernel()],
            ["quiet", "a"],
            [("quiet", ["quiet"], False), ("a", ["a"], False), ("nokaslr quiet", ["nokaslr", "quiet"], True)],
        ),
        (
            [kernel(CMDLINE_OVERRIDE="y")],
            ["a"],
            [("a", None, False), ("nokaslr quiet", ["nokaslr", "quiet"], True)],
        ),
        (
            [kernel("arm64", CMDLINE_FORCE="y")],
            ["a"],
            [("a", None, False), ("nokaslr quiet", ["nokaslr", "quiet"], True)],
        ),
        ([kernel("arm64")], ["a"], [("a", ["a"], False), ("nokaslr quiet", None, True)]),
        ([kernel("arm64")], [" "], [(" ", [], False), ("nokaslr quiet", ["nokaslr", "quiet"], True)]),
        (
            [kernel("riscv64", CMDLINE_EXTEND="y")],
            ["a quiet"],
            [("a quiet", ["a"], False), ("nokaslr quiet", ["nokaslr", "quiet"], True)],
        ),
        (
            [kernel(CMDLINE_OVERRIDE="y"), kernel(text="")],
            ["a"],
            [("a", ["a"], False), ("nokaslr quiet", ["nokaslr", "quiet"], True)],
        ),
    ],
)
def test_modes_of_a_built_in_command_line(kernels, passed, expected):
    assert heeded(kernels, lines(*passed)) == expected


def test_what_is_built_in_is_judged_and_what_is_ignored_is_not():
    passed, built_in = effective([kernel(CMDLINE_OVERRIDE="y")], lines("mitigations=off"))
    assert mitigations_disabled.about(passed) is False
    (finding,) = mitigations_disabled(built_in)
    assert finding.arguments == ("nokaslr",)
    assert (finding.subject, finding.fix) == ("CONFIG_CMDLINE", None)


def test_what_a_boot_loader_says_again_counts_in_the_place_of_what_is_built_in():
    passed, built_in = effective([kernel(text="mitigations=off")], lines("mitigations=auto"))
    assert list(mitigations_disabled(passed)) == list(mitigations_disabled(built_in)) == []


def test_only_what_every_way_to_boot_gives_is_given():
    found = effective([kernel(text="slab_nomerge quiet")], lines("init_on_alloc=1 pti=on", "pti=on init_on_alloc=0"))
    assert given(found, []).arguments == {"pti": "on", "slab_nomerge": None, "quiet": None}
    assert given(lines("", "a=1"), []).arguments == {"a": "1"}
    assert given([], []).arguments == {}


_ARGUMENTS = st.lists(st.sampled_from(["a", "a=1", "a=2", "b", "c=1", "c=2"]), max_size=4).map(" ".join)


@hypothesis.given(_ARGUMENTS, st.lists(_ARGUMENTS, max_size=4))
def test_what_is_given_is_in_every_line_with_what_is_built_in_in_front(built_in, passed):
    each = [dict(line(f"{built_in} {text}").arguments) for text in passed if text] or [dict(line(built_in).arguments)]
    expected = {name: value for name, value in each[0].items() if all((name, value) in one.items() for one in each)}
    found = [*lines(*passed), KernelCommandLine(KERNEL, built_in, built_in=True)]
    assert given(found, []).arguments == expected
