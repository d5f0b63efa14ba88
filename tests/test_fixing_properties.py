"""Whatever a spec looks like, mending it keeps its comments, and changes of the configuration only what is said."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lkscan.fixing import mend
from lkscan.inputs import Input
from lkscan.rules.engine import Profile
from lkscan.rules.funnel import Options
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Container, File, KernelCommandLine, Spec
from lkscan.scanning import scan_inputs

HASH = "08e5d4a46603eff485d5d1b14001cc932a530858"
IMAGES = (
    f"linuxkit/sshd:{HASH}",
    "linuxkit/getty:05eca453695984a69617f1f1f0bcdae7f7032967",
    "linuxkit/modprobe:1.0",
    "nginx:1.27",
    "example.org/agent",
)
LISTS = {
    "capabilities": ("CAP_NET_ADMIN", "NET_ADMIN", "cap-net-raw", "CAP_CHOWN", "CAP_CHOWN"),
    "capabilities.add": ("CAP_NET_ADMIN", "CAP_CHOWN"),
    "binds": ("/etc:/etc", "/etc:/etc", "/lib/modules:/lib/modules", "/var:/data:ro", "/srv:/data"),
    "binds.add": ("/run:/run", "'/dev:/dev:rw'"),
    "env": ("INSECURE=true", "A=1", "A=1", "A=2"),
    "tmpfs": ("/tmp", "/tmp", "/data:size=1m"),
    "maskedPaths": ("/proc/kcore", "/proc/kcore"),
    "additionalGids": ("7", "7", "8"),
}
SCALARS = {
    "readonly": ("true", "false", "yes"),
    "noNewPrivileges": ("false", "true"),
    "noNewPrivilege": ("true",),
    "hostname": ("box", "12"),
    "pid": ("host",),
    "nett": ("host",),
}
FILES = {
    "mode": ("0644", '"0666"', "'0777'", "0o755", "420", "'0660'"),
    "optional": ("no", "false"),
    "contents": ("hi", "12"),
}
CMDLINE = ("console=tty0", "mitigations=off", "nokaslr", "init=/bin/sh", "quiet", "page_poison=1", "mitigations=auto")


class Writer:
    """Writes a spec in mixed styles, with a comment of a number of its own wherever one may stand."""

    def __init__(self, draw):
        self.draw = draw
        self.lines = []
        self.count = 0

    def one_of(self, *values):
        return self.draw(st.sampled_from(values))

    def put(self, indent, text):
        if self.one_of(0, 0, 0, 1):
            self.lines.append(f"{' ' * indent}{self.comment()}")
        self.lines.append(f"{' ' * indent}{text}{f'  {self.comment()}' if self.one_of(0, 0, 1) else ''}")

    def comment(self):
        self.count += 1
        directive = self.one_of("", "", "", "", " # lkscan: ignore[LKF002] why", " # lkscan: ignore[LKS002, LKB001]")
        return f"# c{self.count};{directive}"

    def listed(self, indent, key, values):
        if self.one_of(0, 1):
            self.put(indent, f"{key}: [{', '.join(values)}]")
            return
        self.put(indent, f"{key}:")
        deeper = indent + self.one_of(0, 1, 2, 4)
        for value in values:
            self.put(deeper, f"- {value}")

    def some(self, values, most=4):
        return self.draw(st.lists(st.sampled_from(values), min_size=1, max_size=most))

    def container(self, indent, name):
        image = self.one_of(*IMAGES)
        if self.one_of(0, 0, 0, 1):
            flags = ", ".join(f"{key}: {self.one_of(*SCALARS[key])}" for key in self.keys(SCALARS))
            self.put(indent, f"- {{name: {name}, image: '{image}'{f', {flags}' if flags else ''}}}")
            return
        gap = " " * self.one_of(1, 3)
        self.put(indent, f"-{gap}name: {name}")
        inner = indent + 1 + len(gap)
        self.put(inner, f"image: {image}")
        for key in self.keys({**LISTS, **SCALARS}):
            if key in LISTS:
                self.listed(inner, key, self.some(LISTS[key]))
            else:
                self.put(inner, f"{key}: {self.one_of(*SCALARS[key])}")
        if self.one_of(0, 0, 1):
            self.put(inner, "sysctl:")
            self.put(inner + 2, f"net.ipv4.ip_forward: {self.one_of('1', repr('1'))}")

    def keys(self, table):
        return self.draw(st.lists(st.sampled_from(sorted(table)), unique=True, max_size=4))

    def file(self, indent, number):
        self.put(indent, f"- path: etc/f{number}")
        for key in {"contents", *self.keys(FILES)}:
            self.put(indent + 2, f"{key}: {self.one_of(*FILES[key])}")

    def spec(self):
        if self.one_of(0, 1):
            words = " ".join(self.some(CMDLINE))
            self.put(0, "kernel:")
            self.put(2, "image: linuxkit/kernel:6.12.59")
            self.put(
                2, f"cmdline: {self.one_of('{}', chr(34) + '{}' + chr(34), '>-' + chr(10) + '    {}').format(words)}"
            )
        if self.one_of(0, 1):
            self.listed(0, "trust", ["a"]) if self.one_of(0, 1) else self.put(0, "trust: {org: [linuxkit]}")
        self.put(0, "services:")
        indent = self.one_of(0, 2)
        for number in range(self.one_of(1, 2)):
            self.container(indent, f"s{number}")
        if self.one_of(0, 1):
            self.put(0, "files:")
            indent = self.one_of(0, 1, 2)
            for number in range(self.one_of(1, 2)):
                self.file(indent, number)
        if self.one_of(0, 0, 1):
            self.put(0, "volumes:")
            self.put(2, "- name: data")
        ending = self.one_of("\n", "\n", "\r\n")
        return ending.join([*self.lines, *([""] if self.one_of(0, 1, 1) else [])])


@st.composite
def specs(draw):
    return Writer(draw).spec()


PLACES = {
    ("process", "capabilities"): {"capabilities", "ambient"},
    ("process", "noNewPrivileges"): {"noNewPrivileges"},
    ("process", "env"): {"env"},
    ("process", "user"): {"additionalGids"},
    ("root", "readonly"): {"readonly"},
    ("mounts", ""): {"binds", "readonly"},
    ("linux", "maskedPaths"): {"maskedPaths"},
}
"""Parts of config.json, and the keys of a spec that decide them."""


def configuration(text):
    """What LinuxKit would make of a spec, part by part; None where it refuses the spec."""
    found = {}
    for one in read([("linuxkit.yml", text.encode())], LabelFinder(), "spec"):
        if isinstance(one, Spec) and one.violations:
            return None
        if isinstance(one, KernelCommandLine):
            found["kernel", "cmdline"] = one.text
        elif isinstance(one, File):
            found[one.path, "mode"] = one.mode
            found[one.path, "rest"] = (one.kind, one.uid, one.gid, one.target, one.read and one.read(99))
        elif isinstance(one, Container):
            found[one.title, "runtime"] = one.runtime
            for key, value in one.oci.items():
                parts = value if isinstance(value, dict) else {"": value}
                found.update({(one.title, (key, part)): settled(inner) for part, inner in parts.items()})
    return found


def settled(value):
    """Capabilities are a set: a label may list them in another order."""
    return (
        {key: sorted(one) for key, one in value.items()} if isinstance(value, dict) and "bounding" in value else value
    )


def decided_by(subject, part):
    return {f"{subject} {key}" for key in PLACES.get(part, {part})}


def changed(before, after):
    return [place for place in before.keys() | after.keys() if before.get(place) != after.get(place)]


def lost_in_vain(text, after):
    """Comments that are gone although they had a line of their own, or more of them than lines."""
    lost = set(re.findall(r"# c\d+;", text)) - set(re.findall(r"# c\d+;", after))
    alone = [line for line in text.splitlines() if line.lstrip().startswith(tuple(lost) or "\0")]
    gone = Counter(map(code, text.splitlines())) - Counter(map(code, after.splitlines()))
    return alone or sorted(lost)[gone.total() :]


def code(line):
    """A line without its comment."""
    return line.partition("# c")[0].rstrip()


def scan(document):
    return scan_inputs([document], Options(Profile.AUDITOR), LabelFinder())


def found(text):
    result = scan(Input("spec", ("linuxkit.yml",), (("linuxkit.yml", text.encode()),)))
    return Counter((one.fingerprint, one.message) for one in result.findings)


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "unsafe"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_mended_spec_has_what_was_claimed_and_no_other_configuration(unsafe, data):
    text = data.draw(specs())
    mended, _ = mend("linuxkit.yml", text.encode(), scan, unsafe=unsafe)
    after = mended.after.decode()
    if mended.failure:  # what a directive would come to cover is for its author to say
        assert re.fullmatch(r"a directive would come to silence \w+, which it was not written for", mended.failure)
        assert "lkscan: ignore" in text
        assert after == text
        return

    claimed = Counter((one.fingerprint, one.message) for one in mended.mended)
    before, left = found(text), found(after)
    assert [one for one in claimed if before[one] and left[one] > max(before[one] - claimed[one], 0)] == []

    assert lost_in_vain(text, after) == []

    old, new = configuration(text), configuration(after)
    if old is not None:
        effects = {effect for one in mended.mended for effect in one.fix.effects}
        assert new is not None
        assert [place for place in changed(old, new) if not decided_by(*place) & effects] == []

    assert mend("linuxkit.yml", mended.after, scan, unsafe=unsafe)[0].after == mended.after
