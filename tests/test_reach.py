"""What a container reaches: its command, libraries, programs that are named, and where that can't be told."""

import chancelab
import pytest
from elflab import EXEC, RW, Lab
from needlab import configuration, image, needs
from readinglab import digest, plain
from reportlab import snapshot

from lkscan.rules.needs import judge
from lkscan.scanner import scripts

SHELL, MOUNT = (Lab(type=EXEC, has_dynamic=False, loads=loads).build() for loads in ((RW,), (RW, RW)))
"""Programs that do nothing: what is told is that they are reached."""


@pytest.mark.parametrize(
    ("text", "words", "unknown"),
    [
        ("mount -t proc proc /proc", {"mount"}, ""),
        ("# eval nothing\nmodprobe \\\n  loop", {"modprobe", "loop"}, ""),
        ('if [ -x "$X" ]; then /sbin/ip link; fi', {"/sbin/ip"}, ""),
        ("case $1 in\n start) mount a b;;\n *) exit 1;;\nesac", {"mount"}, ""),
        ('A="x y" B=$(cat f) mount "$C"', {"mount", "cat"}, ""),
        ("$COMMAND x", set(), "made as it runs"),
        ("/usr/bin/$NAME", set(), "made as it runs"),
        ("x && `cat f`", {"cat"}, "made as it runs"),
        ('eval "$x"', set(), "eval"),
        ('nice -n 5 "$x"', {"nice"}, "made as it runs"),
        ('sh -c "$x"', {"sh"}, "made as it runs"),
        ("cat list | sh", {"cat", "sh"}, "made as it runs"),
        (". /etc/$file", set(), "reads in a file"),
        ("awk '{ system($1) }' list", {"awk"}, "awk"),
    ],
)
def test_a_script_names_what_it_starts_or_says_that_it_does_not(text, words, unknown):
    found = scripts.read(text)
    assert words <= found.words
    assert unknown in found.unknown
    assert bool(found.unknown) == bool(unknown)


def test_a_script_that_ends_in_its_arguments_starts_these():
    assert "app" in scripts.read('exec "$@"', ["app", "-x"]).words
    assert scripts.read('exec "$@"', None).unknown


def reached(tmp_path, args, files, **options):
    found = needs(image(tmp_path / "image.tar", {"web": (configuration(args, **options), files)}))["web"]
    return {one.path: one.certainty for one in found.reached}, found.gaps


@pytest.mark.parametrize(
    ("args", "files", "expected"),
    [
        (["app"], {"usr/bin/app": SHELL}, {"/usr/bin/app": "certain"}),
        (["/bin/app"], {"bin/app": "-> /opt/real", "opt/real": SHELL}, {"/opt/real": "certain"}),
        (["/bin/app"], {"bin/app": "-> ../../../opt/real", "opt/real": SHELL}, {"/opt/real": "certain"}),
        (["/go"], {"go": b"#!/bin/sh\nmount a b\n", "bin/sh": SHELL, "bin/mount": MOUNT},
         {"/go": "certain", "/bin/sh": "certain", "/bin/mount": "named"}),
        (["sh", "/go"], {"go": b"mount\n", "bin/sh": SHELL, "bin/mount": MOUNT}, {"/bin/sh": "certain"}),
        (["sh", "-c", "mount a"], {"bin/sh": SHELL, "bin/mount": MOUNT}, {"/bin/sh": "certain", "/bin/mount": "named"}),
        (["tini", "--", "app"], {"bin/tini": MOUNT, "bin/app": SHELL}, {"/bin/tini": "certain", "/bin/app": "named"}),
    ],
)  # fmt: skip
def test_a_command_is_found_as_runc_does(tmp_path, args, files, expected):
    assert reached(tmp_path, args, files)[0] == expected


@pytest.mark.parametrize(
    ("args", "files", "why"),
    [
        ([], {"bin/app": MOUNT}, "it has no command"),
        (["/gone"], {"bin/app": MOUNT}, "its program '/gone' is not in its root file system"),
        (["/loop"], {"loop": "-> /loop"}, "its program '/loop' is not in its root file system"),
        (["/bin/sh"], {"bin/sh": SHELL}, "may give commands to the shell '/bin/sh' that are not told"),
        (["/usr/bin/python3", "/app.py"], {"usr/bin/python3": SHELL}, "interprets programs"),
        (["/go"], {"go": b"#!/usr/bin/env python3\n", "usr/bin/env": MOUNT}, "whose language is not followed"),
        (["/go"], {"go": b"#!/bin/sh\n$1\n", "bin/sh": SHELL}, "what '/go' starts is not told"),
        (["/go"], {"go": b"#!/bin/sh\n\0\n", "bin/sh": SHELL}, "is no text"),
    ],
)
def test_what_may_run_besides_is_said(tmp_path, args, files, why):
    _, gaps = reached(tmp_path, args, files)
    assert any(why in gap for gap in gaps), gaps


def test_a_program_of_the_host_is_not_taken_for_one_of_the_container(tmp_path):
    mount = {"destination": "/bin", "type": "bind", "source": "/usr/bin", "options": ["rw", "rbind"]}
    _, gaps = reached(tmp_path, ["/bin/app"], {"bin/app": MOUNT}, mounts=[mount])
    assert "'/bin/app' is covered by a mount, and what lies there instead is not told" in gaps
    _, gaps = reached(tmp_path, ["/bin/ctr"], {"bin/app": MOUNT}, mounts=[mount])
    assert gaps == ("'/bin/ctr' is the host's: /usr/bin/ctr is bound there",)


APP = Lab(needed=("liba.so",), interpreter="/lib/ld.so", tags=((0x6FFFFFFB, 0x08000000),)).build()
LIBRARY, OTHER = Lab(needed=("libb.so",)).build(), Lab().build()
LOADER = {"lib/ld.so": MOUNT}
PRELOADED = {"env": ("PATH=/bin", "LD_PRELOAD=libb.so:/opt/libc.so")}


@pytest.mark.parametrize(
    "case",
    [
        # libraries
        (["/bin/app"],
         {"bin/app": APP, **LOADER, "lib/liba.so": LIBRARY, "usr/lib/libb.so": OTHER, "lib/libc.so": OTHER},
         {},
         {"/bin/app": "certain", "/lib/ld.so": "certain", "/lib/liba.so": "certain", "/usr/lib/libb.so": "certain"},
         ()),
        (["/bin/app"], {"bin/app": APP, **LOADER}, {}, {"/bin/app": "certain", "/lib/ld.so": "certain"},
         ("'liba.so', which '/bin/app' needs, is not in its root file system",)),
        (["/bin/app"], {"bin/app": APP, **LOADER, "opt/liba.so": OTHER}, {},
         {"/bin/app": "certain", "/lib/ld.so": "certain", "/opt/liba.so": "certain"}, ()),
        (["/bin/app"], {"bin/app": SHELL, "lib/libb.so": OTHER, "opt/libc.so": OTHER}, PRELOADED,
         {"/bin/app": "certain", "/lib/libb.so": "certain", "/opt/libc.so": "certain"}, ()),
        # variables
        (["/bin/app"], {"bin/app": SHELL, "bin/mount": MOUNT, "bin/other": LIBRARY},
         {"env": ("PATH=/bin/mount", "X=/bin/mount y")},
         {"/bin/app": "certain", "/bin/mount": "named"}, ()),
        (["/bin/app"], {"bin/app": SHELL, "bin/mount": MOUNT}, {"env": ("PATH=/bin/mount", "A=bin/mount")},
         {"/bin/app": "certain"}, ()),
        # shells
        (["/bin/sh", "-e", "/go", "x"], {"bin/sh": SHELL, "bin/mount": MOUNT, "go": b"#!/bin/sh\nmount\n"}, {},
         {"/bin/sh": "certain", "/go": "named", "/bin/mount": "named"}, ()),
        (["/bin/sh", "/go"], {"bin/sh": SHELL}, {}, {"/bin/sh": "certain"},
         ("the script '/go' is not in the root file system, or not read",)),
        (["/bin/sh", "-c"], {"bin/sh": SHELL}, {}, {"/bin/sh": "certain"},
         ("the script '-c' is not in the root file system, or not read",)),
        (["/bin/sh", "-ec", "mount"], {"bin/sh": SHELL, "bin/mount": MOUNT}, {},
         {"/bin/sh": "certain", "/bin/mount": "named"}, ()),
        (["/bin/busybox", "sh", "-c", "mount"], {"bin/busybox": SHELL, "bin/mount": MOUNT}, {},
         {"/bin/busybox": "certain", "/bin/mount": "named"}, ()),
        # scripts
        (["/go"], {"go": b"#!/bin/no\n", "bin/sh": SHELL}, {}, {"/go": "certain"},
         ("'/bin/no', which the script '/go' names, is not in its root file system",
          "'/go' is a script for 'no', whose language is not followed")),
        (["/go"], {"go": b"#!/bin/busybox sh\nmount\n", "bin/busybox": SHELL, "bin/mount": MOUNT}, {},
         {"/bin/busybox": "certain", "/go": "certain", "/bin/mount": "named"}, ()),
        (["/go"], {"go": b"#!/bin/busybox awk\n", "bin/busybox": SHELL},
         {}, {"/bin/busybox": "certain", "/go": "certain"},
         ("'/go' is a script for 'busybox', whose language is not followed",)),
        (["/go"], {"go": b"#!/bin/sh\n. /more\n", "bin/sh": SHELL, "bin/mount": MOUNT, "more": b"#!/bin/sh\nmount\n"},
         {},
         {"/go": "certain", "/bin/sh": "certain", "/more": "named", "/bin/mount": "named"}, ()),
        (["/go"], {"go": b"#!/bin/sh\n/then\n", "bin/sh": SHELL, "bin/mount": MOUNT, "then": b"#!/bin/sh\nmount\n"}, {},
         {"/go": "certain", "/bin/sh": "certain", "/then": "named", "/bin/mount": "named"}, ()),
        (["/go"], {"go": b"#!/bin/sh\nsh /then\n", "bin/sh": SHELL, "bin/mount": MOUNT, "then": b"#!/bin/sh\nmount\n"},
         {},
         {"/go": "certain", "/bin/sh": "certain", "/then": "named", "/bin/mount": "named"}, ()),
        (["/go"], {"go": b"#!/bin/sh\npython3 x\n", "bin/sh": SHELL, "bin/python3": MOUNT}, {},
         {"/go": "certain", "/bin/sh": "certain", "/bin/python3": "named"},
         ("the script '/go' starts '/bin/python3', and what that runs is not followed",)),
        (["/go"], {"go": b"#!/bin/sh\nawk x y\n", "bin/sh": SHELL, "bin/awk": MOUNT}, {},
         {"/go": "certain", "/bin/sh": "certain", "/bin/awk": "named"}, ()),
        # what is certain stays so, and what is named becomes it
        (["/bin/app", "/bin/app", "/bin/mount"], {"bin/app": SHELL, "bin/mount": MOUNT}, {},
         {"/bin/app": "certain", "/bin/mount": "named"}, ()),
        (["/bin/app"], {"bin/app": b"neither"}, {}, {}, ("its program '/bin/app' is not in its root file system",)),
    ],
)  # fmt: skip
def test_all_that_is_reached_and_all_gaps(tmp_path, case):
    args, files, options, *told = case
    assert reached(tmp_path, args, files, **options) == tuple(told)


# --- by chance


@pytest.mark.parametrize("start", range(0, 1600, 200))
def test_what_containers_of_chance_are_said_to_need_has_not_changed(start):
    told = ""
    for number in range(start, start + 200):
        container, reach, has_set_id = chancelab.reach(number)
        found = judge(container, reach, has_set_id=has_set_id)
        verdicts = "".join(one.verdict[2] for one in (*found.capabilities, *found.settings, *found.binds))
        parts = (plain(found.capabilities), plain((found.settings, found.binds)), plain(found.masked))
        told += f"{number} {' '.join(digest(one.encode()) for one in parts)} {verdicts}\n"
    assert told == snapshot(f"findings/needs-{start}.txt", told)
