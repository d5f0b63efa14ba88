"""Boot loaders' configuration: which files are read, and the command lines that each loader would pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import bootconf
from lkscan.scanner.source import LimitError
from lkscan.scanner.subjects import Place, Span

HERE = Place(("image.iso", "the file"))

KINDS = [
    ("boot/cmdline", "cmdline"),
    ("/boot/cmdline", "cmdline"),
    ("cmdline", "cmdline"),
    ("linuxkit-cmdline", "cmdline"),
    ("boot/cmdline.txt", "cmdline"),
    ("etc/kernel/cmdline", "cmdline"),
    ("isolinux/isolinux.cfg", "syslinux"),
    ("ISOLINUX/ISOLINUX.CFG", "syslinux"),
    ("syslinux.cfg", "syslinux"),
    ("extlinux.conf", "syslinux"),
    ("boot/extlinux/extlinux.conf", "syslinux"),
    ("isolinux/txt.cfg", "syslinux"),
    ("adtxt.cfg", "syslinux"),
    ("pxelinux.cfg/default", "syslinux"),
    ("debian-installer/amd64/boot-screens/txt.cfg", "syslinux"),
    ("EFI/BOOT/grub.cfg", "grub"),
    ("EFI/BOOT/GRUB.CFG", "grub"),
    ("boot/grub/grub.cfg", "grub"),
    ("boot/grub/x86_64-efi/load.cfg", "grub"),
    ("loader/entries/linuxkit.conf", "loader"),
    ("efi/loader/entries/a.conf", "loader"),
    ("loader/loader.conf", None),
    ("proc/cmdline", None),
    ("usr/share/doc/x-cmdline", None),
    ("usr/share/syslinux/isolinux.cfg", None),
    ("containers/services/pxe/rootfs/boot/grub/grub.cfg", None),
    ("etc/foo.cfg", None),
    ("isolinux/isolinux.bin", None),
    ("", None),
]


@pytest.mark.parametrize(("path", "kind"), KINDS)
def test_files_that_a_boot_loader_reads(path, kind):
    assert bootconf.kind(path) == kind


def lines(path: str, text: str) -> list[str]:
    return [one.text for one in bootconf.read(path, text, HERE)]


PLAIN = [
    ("console=ttyS0 quiet\n", ["console=ttyS0 quiet"]),
    ("  a\n b \0", ["a\n b"]),
    ("", []),
    (" \n\0", []),
]


@pytest.mark.parametrize(("text", "expected"), PLAIN)
def test_a_plain_file_is_the_command_line(text, expected):
    assert lines("boot/cmdline", text) == expected


LINUXKIT_ISO = """DEFAULT linux
LABEL linux
    KERNEL /boot/kernel
    INITRD /boot/initrd.img
    APPEND console=ttyS0 page_poison=1 root=/dev/sr0
"""

SYSLINUX = {
    "as LinuxKit writes it": (LINUXKIT_ISO, ["console=ttyS0 page_poison=1 root=/dev/sr0"]),
    "case and CRLF": ("label a\r\nkernel /k\r\nappend quiet\r\n", ["quiet"]),
    "a global APPEND counts where a label has none": (
        "APPEND quiet\nLABEL a\nKERNEL /k\nLABEL b\nLINUX /k\nAPPEND loud\n",
        ["quiet", "loud"],
    ),
    "a dash takes the global APPEND away": ("APPEND quiet\nLABEL a\nKERNEL /k\nAPPEND -\n", []),
    "a global APPEND alone": ("APPEND quiet\n", ["quiet"]),
    "arguments beside the kernel come first": ("LABEL a\nKERNEL /k one two\nAPPEND three\n", ["one two three"]),
    "arguments beside the kernel alone": ("LABEL a\nLINUX /k one\n", ["one"]),
    "each label once": ("LABEL a\nKERNEL /k\nAPPEND x\nLABEL b\nKERNEL /k\nAPPEND y\n", ["x", "y"]),
    "labels that share a line": ("APPEND x\nLABEL a\nKERNEL /k\nLABEL b\nKERNEL /k\n", ["x"]),
    "modules are no kernels": ("LABEL a\nKERNEL vesamenu.c32\nAPPEND menu.cfg\n", []),
    "nor are other programs": ("LABEL a\nCOM32 chain.c32\nAPPEND hd0\nLABEL b\nLOCALBOOT 0\n", []),
    "LINUX is one whatever its name": ("LABEL a\nLINUX /k.img\nAPPEND x\n", ["x"]),
    "a label is its own kernel when none is named": ("LABEL linux\nAPPEND x\n", ["x"]),
    "comments": (
        "# APPEND no\nLABEL a\n  # KERNEL no\nKERNEL /k\nAPPEND yes # not a comment\n",
        ["yes # not a comment"],
    ),
    "help texts": ("LABEL a\nKERNEL /k\nTEXT HELP\nAPPEND no\nENDTEXT\nAPPEND yes\n", ["yes"]),
    "a help text without an end": ("LABEL a\nKERNEL /k\nAPPEND yes\nTEXT HELP\nAPPEND no\n", ["yes"]),
    "DEFAULT with arguments": ("DEFAULT a more\nLABEL a\nKERNEL /k\nAPPEND x\n", ["x", "x more"]),
    "DEFAULT of a kernel": ("DEFAULT /k more\nAPPEND x\nLABEL a\nKERNEL /k\nAPPEND y\n", ["y", "x more"]),
    "DEFAULT of a label": ("DEFAULT a\nLABEL a\nKERNEL /k\n", []),
    "directives without a value": ("DEFAULT\nLABEL\nKERNEL\nAPPEND\n", []),
    "quotes mean nothing": ('LABEL a\nKERNEL /k\nAPPEND a="b c"\n', ['a="b c"']),
}


@pytest.mark.parametrize("title", SYSLINUX)
def test_syslinux(title):
    text, expected = SYSLINUX[title]
    assert lines("isolinux/isolinux.cfg", text) == expected


LINUXKIT_EFI = """set timeout=0
set gfxpayload=text
menuentry 'LinuxKit ISO Image' {
	linux /boot/kernel console=tty0 root=/dev/sr0 text
	initrd /boot/initrd.img
}
"""

GRUB = {
    "as LinuxKit writes it": (LINUXKIT_EFI, ["console=tty0 root=/dev/sr0 text"]),
    "every spelling of the command": ("linuxefi /k a\nlinux16 /k b\nlinux /k c\n", ["a", "b", "c"]),
    "on one line": ("menuentry x { linux /k a; initrd /i; }", ["a"]),
    "continued": ("linux /k a \\\n  b\\\nc\n", ["a bc"]),
    "continued with CRLF": ("linux /k a \\\r\n  b\r\n", ["a b"]),
    "comments": ("# linux /k no\nlinux /k a#b # no\n", ["a#b"]),
    "single quotes": ("linux /k a='b c' 'd'\n", ['"a=b c" d']),
    "double quotes": ('linux /k "a=\\$b \\x" c\\ d\n', ['"a=$b \\\\x" "c d"']),
    "quotes within": ('linux /k a=\\"b\\"\n', ['a=\\"b\\"']),
    "quotes over two lines": ('linux /k "a\\\nb"\n', ["ab"]),
    "the command in quotes": ("'linux' /k a\n", ["a"]),
    "variables stay": ("linux /k root=$root ${extra}\n", ["root=$root ${extra}"]),
    "without arguments": ("linux /k\nlinux\n", []),
    "other commands": ("echo linux /k a\nlinuxkit /k a\n", []),
    "a quote without an end": ("linux /k a 'b\nlinux /k c\n", ["a b", "c"]),
}


@pytest.mark.parametrize("title", GRUB)
def test_grub(title):
    text, expected = GRUB[title]
    assert lines("EFI/BOOT/grub.cfg", text) == expected


LOADER = [
    ("title LinuxKit\nlinux /k\noptions a b\n", ["a b"]),
    ("options\ta\r\noptions b \n", ["a b"]),
    ("# options no\noptions\ntitle options x\n", []),
]


@pytest.mark.parametrize(("text", "expected"), LOADER)
def test_systemd_boot(text, expected):
    assert lines("loader/entries/a.conf", text) == expected


SPANS = [
    ("boot/cmdline", "\n a b \n", Span(2, 2, 2, 5)),
    ("isolinux.cfg", LINUXKIT_ISO, Span(5, 12, 5, 53)),
    ("isolinux.cfg", "LABEL é\r\nKERNEL /k\r\nAPPEND ünïcode\r\n", Span(3, 8, 3, 15)),
    ("grub.cfg", LINUXKIT_EFI, Span(4, 21, 4, 52)),
    ("grub.cfg", "linux /k a \\\n  b c\n", Span(1, 10, 2, 6)),
    ("loader/entries/a.conf", "options a\noptions b c \n", Span(1, 9, 2, 12)),
]


@pytest.mark.parametrize(("path", "text", "span"), SPANS)
def test_a_command_line_knows_its_lines_and_columns(path, text, span):
    (found,) = bootconf.read(path, text, HERE)
    assert found.place == Place(HERE.artifacts, span)


def test_a_file_of_no_boot_loader_holds_none():
    assert bootconf.read("etc/fstab", "linux /k a\n", HERE) == []


def test_absurd_sizes_are_refused():
    with pytest.raises(LimitError, match="more than"):
        bootconf.read("grub.cfg", " " * (bootconf.LIMIT + 1), HERE)


WORDS = st.one_of(
    st.sampled_from(
        ["linux", "LABEL", "KERNEL", "APPEND", "DEFAULT", "TEXT HELP", "ENDTEXT", "options", "/k", "-", "a=b"]
    ),
    st.sampled_from(["'", '"', "\\", "{", "}", ";", "${", "$x", "#", "é"]),
    st.sampled_from(["\n", "\r\n", " ", "\t", "\0", "\x85", "\u2028"]),
)


@given(st.sampled_from(["cmdline", "isolinux.cfg", "grub.cfg", "loader/entries/a.conf"]), st.lists(WORDS))
def test_any_text_is_read_and_every_span_lies_in_it(path, words):
    text = "".join(f"{word} " if word.isalpha() else word for word in words)
    rows = text.split("\n")
    for found in bootconf.read(path, text, HERE):
        span = found.place.span
        assert span is not None
        assert (1, 1) <= (span.line, span.column) <= (span.end_line, span.end_column)
        assert span.end_line <= len(rows)
        assert span.end_column <= len(rows[span.end_line - 1]) + 1


@pytest.mark.parametrize("piece", ["'", '"', "\\", "${", '"\\', " ", "$", "\n", "linux '", "a=\"\\'"])
@pytest.mark.parametrize("path", ["grub.cfg", "isolinux.cfg", "loader/entries/a.conf", "cmdline"])
def test_hostile_repetition_is_read_to_its_end_and_grows_by_nothing(path, piece):
    text = "linux /k " + piece * (bootconf.LIMIT // len(piece) // 4)
    assert sum(len(found.text) for found in bootconf.read(path, text, HERE)) <= len(text)
