"""What a container reaches: its command, libraries, programs that are named, and where that can't be told."""

import pytest
from elflab import EXEC, RW, Lab
from needlab import configuration, image, needs

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
