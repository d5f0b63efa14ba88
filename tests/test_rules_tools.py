"""Family L: package managers, compilers, debuggers and shells that nothing in an image has a use for."""

import pytest
from rulelab import container, fires, outcomes, rootfs

from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.tools import compiler_in_image, debugger_in_image, needless_files, package_manager, unused_shell
from lkscan.scanner.subjects import Needless, Place, System

WEB = "services/web"


def image(*roots, containers=()):
    return System(Place(("image.iso",)), "image", True, "cpio", tuple(containers), roots=roots)  # noqa: FBT003 - LinuxKit's


def root(*programs, title="", **more):
    return rootfs(title, programs={**dict.fromkeys(programs, "program"), **more.pop("other", {})}, **more)


def service(name, *command):
    return container(name=name, command=command, at=Place(("image.iso", f"containers/services/{name}/config.json")))


@pytest.mark.parametrize(
    ("rule", "program"),
    [(package_manager, "sbin/apk"), (compiler_in_image, "usr/bin/gcc"), (debugger_in_image, "usr/local/bin/gdb")],
)
def test_the_host_weighs_more_and_containers_are_told_together(rule, program):
    host, *others = (root(program, "bin/sh", title=title) for title in ("", WEB, "services/db"))
    first, second = fires(rule, image(host, *others))
    assert (first.variant, first.severity, first.profile) == ("host", Severity.MEDIUM, Profile.REGULAR)
    assert (second.severity, second.profile, second.members) == (Severity.LOW, Profile.PEDANTIC, (WEB, "services/db"))
    assert second.evidence[0] == f"{WEB}: {program}"


def test_what_a_container_starts_is_of_use_there():
    used = image(
        root("sbin/apk", "usr/bin/pip", title=WEB), containers=[service("web", "/bin/sh", "-c", "apk add x; y")]
    )
    (finding,) = fires(package_manager, used)
    assert finding.evidence == (f"{WEB}: usr/bin/pip",)


def test_a_script_of_that_name_elsewhere_is_none():
    assert outcomes(package_manager, image(root(other={"etc/cron.daily/dpkg": "#!/bin/sh"}))) == {Outcome.PASS}


@pytest.mark.parametrize("target", ["busybox", "/bin/busybox", "../bin/busybox"])
def test_what_busybox_does_in_its_place_is_no_package_manager(target):
    assert outcomes(package_manager, image(root(other={"usr/bin/dpkg": f"-> {target}"}))) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("command", "other", "expected"),
    [
        (("/usr/sbin/nginx", "-g", "daemon off;"), {}, Outcome.FAIL),
        (("nginx",), {}, Outcome.FAIL),
        (("/srv/server",), {}, Outcome.FAIL),
        (("tini", "--", "nginx"), {"sbin/tini": "program"}, Outcome.FAIL),
        (("/sbin/su-exec", "web", "/usr/sbin/nginx"), {}, Outcome.FAIL),
        (("/usr/bin/app",), {"usr/bin/app": "#!/usr/bin/env python3"}, Outcome.FAIL),
        (("/bin/sh", "-c", "x"), {}, Outcome.PASS),
        (("tini", "--", "/bin/ash"), {}, Outcome.PASS),
        (("/entrypoint.sh",), {"entrypoint.sh": "#!/bin/sh -e"}, Outcome.PASS),
        (("run",), {"usr/bin/run": "-> ../../entry", "entry": "#!/bin/bash"}, Outcome.PASS),
        (("/usr/bin/app",), {"usr/bin/app": "#!/usr/bin/env bash"}, Outcome.PASS),
        (("gone",), {}, Outcome.UNDECIDED),
        ((), {}, Outcome.UNDECIDED),
    ],
)
def test_a_shell_is_of_use_to_who_starts_one_or_a_script(command, other, expected):
    found = image(root("bin/sh", "usr/sbin/nginx", title=WEB, other=other), containers=[service("web", *command)])
    assert outcomes(unused_shell, found) == {expected}


def test_a_root_that_two_containers_share_is_judged_by_both():
    made = root("bin/sh", "usr/bin/a", title=WEB)
    other = service("other", "/bin/sh")._replace(runtime={"mounts": [{"source": "/containers/services/web/rootfs"}]})
    assert outcomes(unused_shell, image(made, containers=[service("web", "/usr/bin/a")])) == {Outcome.FAIL}
    assert outcomes(unused_shell, image(made, containers=[service("web", "/usr/bin/a"), other])) == {Outcome.PASS}


def test_containers_without_a_shell_are_fine():
    found = image(root("usr/bin/a", title=WEB), containers=[service("web", "/usr/bin/a")])
    assert outcomes(unused_shell, found) == {Outcome.PASS}


def test_container_images_of_a_cache_are_told_apart_and_are_no_host():
    images = [
        rootfs(programs={"sbin/apk": "program"})._replace(place=Place(("cache", name)))
        for name in ("a:1", "b:1", "b:1")
    ]
    (finding,) = fires(package_manager, image(*images)._replace(is_linuxkit=False))
    assert finding.members == ("a:1", "b:1", "b:1 (2)")
    assert (finding.variant, finding.profile) == ("default", Profile.PEDANTIC)


def test_needless_files_are_told_by_kind_the_largest_first_and_databases_apart():
    kinds = (
        Needless("headers", 2, 900, ("usr/include/b.h", "usr/include/a.h")),
        Needless("manual pages", 1, 5000, ("usr/share/man/a",)),
        Needless("package databases", 1, 70, ("lib/apk/db/installed",)),
    )
    first, second = fires(needless_files, image(root(title=WEB, needless=kinds)))
    assert (first.severity, first.profile) == (Severity.LOW, Profile.PEDANTIC)
    pages, headers = first.evidence[0].split("; ")
    assert pages == f"{WEB}: manual pages 5,000 bytes in 1 file (usr/share/man/a)"
    assert headers == "headers 900 bytes in 2 files (usr/include/b.h, usr/include/a.h)"
    assert (second.variant, second.severity, second.profile) == ("databases", Severity.NOTE, Profile.AUDITOR)
    assert second.evidence == (f"{WEB}: package databases 70 bytes in 1 file (lib/apk/db/installed)",)
