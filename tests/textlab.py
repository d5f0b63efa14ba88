"""What people and builds write, to be bent: specs, configurations, programs, and a system that holds one of each.

Fuzzlab bends these as it bends images; here each is put before the whole of lkscan, rules and reports included.
"""

import contextlib
import io
import os
import random
import traceback
from collections.abc import Sequence
from pathlib import Path

import defaultlab
import elflab
import outputlab
import secretlab
from imagelab import Item, newc

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
TOOLS = {"gcc": "gcc"}
PACKAGE = """image: metrics
network: true
config:
  capabilities: [CAP_SYS_ADMIN, CAP_NET_RAW]
  binds.add: ["/var/run:/var/run:ro"]
  readonly: false
  runtime:
    mkdir: [/var/lib/metrics]
    bindNS: {net: /run/netns/metrics}
"""
EVERYTHING = """kernel: {image: "linuxkit/kernel:6.12.59", cmdline: "console=ttyS0", ucode: intel-ucode.cpio, tar: none}
init: &init
  - linuxkit/init:b5506cc74a6812dc40982cacfd2f4328f8a4b12a
volumes:
  - {name: data, image: "busybox:1.36", readonly: true, format: filesystem, platforms: [linux/amd64]}
onboot:
  - &base
    name: one
    image: "alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    command: ["/bin/sh", "-c", "echo $HOME > /proc/sys/kernel/kptr_restrict"]
    mounts:
      - {type: tmpfs, destination: /tmp, source: tmpfs, options: [rw, nosuid, size=10m]}
    binds: ["/etc:/host/etc:ro", "data:/data"]
    capabilities.add: [all]
    ambient: [CAP_KILL]
    devices:
      - {path: all}
      - {path: /dev/kvm, type: c, major: 10, minor: 232, mode: "0666"}
    rlimits: ["nofile,1024,2048", nproc]
    sysctl: {net.ipv4.ip_forward: "1", vm.swappiness: "0"}
    resources: {memory: {limit: 1000000}, pids: {limit: 5}}
    uid: 100
    gid: two
    additionalGids: [3, four]
    runtime:
      cgroups: [x]
      mkdir: [/var/x]
      mounts: [{type: bind, source: /a, destination: /b}]
      interfaces: [{name: eth0, add: veth0, peer: veth1}]
  - <<: *base
    name: two
services:
  - name: three   # lkscan: ignore[LKP002] it has to (until 2030-01-01)
    image: linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0
    env:
      - |-
        INSECURE=true
      - >
        TOKEN=x
    pid: host
    net: new
    readonly: true
    labels: {a: "1"}
files:
  - {path: etc/motd, contents: "hello\\n", mode: "0644"}
  - {path: root/.ssh/authorized_keys, source: ~/.ssh/id.pub, mode: "0600", optional: true}
  - {path: etc/spec.yml, metadata: yaml}
  - {path: var/x, directory: true, uid: 1, gid: three}
  - {path: etc/link, symlink: ../motd}
"""
SSHD = """Port 22
PermitRootLogin prohibit-password
PasswordAuthentication yes
Ciphers aes256-ctr,3des-cbc
Include /etc/ssh/sshd_config.d/*.conf
Match User deploy Address 10.0.0.0/8
  PermitEmptyPasswords yes
"""
PROGRAM = """#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) { char s[64]; strcpy(s, argv[0]); printf("%s %d\\n", s, argc); return 0; }
"""
AUDIT = ("--profile", "auditor", "--fail-on", "never", "--date", "2026-01-01")
RUNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "spec": (
        ("scan", *AUDIT, "-f", "sarif", "{}"),
        ("inspect", "-f", "json", "{}"),
        ("fix", "--unsafe", "--diff", "{}"),
        ("compliance", "-f", "markdown", "{}"),
    ),
    "package": (("scan", *AUDIT, "-f", "html", "{}"), ("scan", *AUDIT, "--packages", "{folder}", "{bad}")),
    "configuration": (("scan", *AUDIT, "--config", "{}", "{bad}"),),
    "baseline": (("scan", *AUDIT, "--baseline", "{}", "-f", "markdown", "{bad}"),),
    "kconfig": (("kernel", "--profile", "auditor", "--fail-on", "never", "{}"),),
    "cmdline": (("kernel", "--fail-on", "never", "--cmdline", "{}", "{folder}/config"),),
}
"""What is run on a bent file; those without a line here are read by `scan` of the API, as images are."""
NAMES = (*RUNS, "sources", "system", "program", "module", "kernel")
TEXTS = frozenset((*RUNS, "sources"))
"""What is bent by words and lines."""


def need() -> None:
    """Skip, with their names, when tools are missing."""
    outputlab.need_tools(TOOLS)


def seeds(folder: Path) -> dict[str, bytes]:
    """One of each of NAMES."""
    (folder / "config").write_bytes(defaultlab.CONFIG)
    (folder / "it.c").write_text(PROGRAM)
    outputlab.run("gcc", "-O2", "-D_FORTIFY_SOURCE=2", "-fstack-protector-all", "-o", folder / "it", folder / "it.c")
    program = (folder / "it").read_bytes()
    outputlab.run("strip", folder / "it")
    module = elflab.module("name=x", "license=GPL", "vermagic=6.12.59-linuxkit SMP", signed=True)
    kernel = elflab.bzimage(elflab.packed(elflab.vmlinux(defaultlab.CONFIG), "gzip"))
    _, baseline = _call(("baseline", str(EXAMPLES / "bad.yml"), "-o", str(folder / "baseline")))
    assert baseline == ""
    texts = "".join(text for _, _, text in list(secretlab.positives(1))[::20])
    files = {
        "etc/linuxkit": b"",
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\ntoor::0:0::/:/bin/ash\n",
        "etc/shadow": b"root:$6$abcdefgh$" + b"a" * 86 + b":19000:0:99999:7:::\nbin:!::0:::::\n",
        "etc/group": b"root:x:0:\nwheel:x:10:root\n",
        "etc/ssh/sshd_config": SSHD.encode(),
        "etc/sysctl.d/00-linuxkit.conf": defaultlab.SETTINGS.encode(),
        "etc/containerd/config.toml": b'version = 2\n[grpc]\naddress = "/run/containerd/containerd.sock"\n',
        "etc/docker/daemon.json": b'{"hosts": ["tcp://0.0.0.0:2375"], "insecure-registries": ["10.0.0.0/8"]}',
        "etc/linuxkit.yml": EVERYTHING.encode(),
        "etc/notes": texts.encode(),
        "boot/grub/grub.cfg": b'set timeout=0\nmenuentry "x" {\n linux /boot/kernel nokaslr\n initrd /i\n}\n',
        "usr/bin/it": (folder / "it").read_bytes(),
        "lib/modules/6.12.59-linuxkit/x.ko": module,
        "usr/share/sbom.spdx.json": b'{"spdxVersion": "SPDX-2.3", "packages": [{"name": "a", "versionInfo": "1"}]}',
    }
    system = newc(*(Item(name, data, mode=0o100755) for name, data in files.items()))
    made = {
        "spec": EVERYTHING.encode(),
        "package": PACKAGE.encode(),
        "configuration": (EXAMPLES / "configured/lkscan.toml").read_bytes(),
        "baseline": (folder / "baseline").read_bytes(),
        "kconfig": defaultlab.CONFIG,
        "cmdline": b"console=ttyS0 mitigations=off nokaslr init=/bin/sh root=/dev/sda1 -- single\n",
        "sources": system,
        "system": defaultlab.initrd(defaultlab.document()),
        "program": program,
        "module": module,
        "kernel": kernel,
    }
    assert set(made) == set(NAMES)
    return {name: made[name] for name in NAMES}


# --- bending

_WORDS = (
    *("[]", "{}", "null", "~", "-1", "0", "1e999", ".inf", "0o777", "18446744073709551616", "true", "2026-01-01"),
    *(
        "&a",
        "*a",
        "<<: *a",
        "!!binary x",
        "!!python/object:os.system",
        "'",
        '"',
        "|",
        ">-",
        "? ",
        ": ",
        "- ",
        "\t",
        "#",
    ),
    *(
        "%s",
        "{0}",
        "\\",
        "\0",
        "\ufeff",
        "\u2028",
        "\x85",
        "\x1b[31m",
        "..",
        "/",
        "../../etc",
        "=",
        ",",
        "@sha256:",
        ":",
    ),
    *(
        "CAP_",
        "all",
        "host",
        "new",
        "root",
        "[" * 300,
        "{a: " * 300,
        "a" * 5000,
        "- " * 300,
        "-----BEGIN",
        "]]>",
        "</script>",
    ),
)


def bend(data: bytes, chance: random.Random) -> bytearray:
    """A few changes to lines and words; half of the new words are from elsewhere in the same text."""
    bent, own = bytearray(data), data.split()
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3))):
        starts = [0, *(at + 1 for at, byte in enumerate(bent) if byte == 10)]
        at = chance.choice(starts)
        end = bent.find(b"\n", at) + 1 or len(bent)
        line = bytes(bent[at:end])
        way = chance.randrange(9)
        if way == 0:
            del bent[at:end]
        elif way == 1:
            bent[at:at] = line
        elif way == 2:
            other = chance.choice(starts)
            bent[other:other] = line
        elif way == 3:
            bent[at:end] = line.lstrip() if chance.random() < 0.5 else b" " * chance.randrange(1, 5) + line
        elif way == 4 and line.strip():
            place = at + chance.randrange(len(line))
            bent[place] ^= 1 << chance.randrange(8)
        else:
            word = chance.choice(own) if chance.random() < 0.5 else chance.choice(_WORDS).encode()
            parts = line.split(b" ")
            number = chance.randrange(len(parts))
            parts[number] = word if way < 7 else parts[number] + word
            bent[at:end] = b" ".join(parts)
    return bent or bytearray(b"\n")


# --- what lkscan says of it


def examine(name: str, path: str) -> str:
    """What is wrong with how lkscan takes it; "" when nothing is."""
    try:
        if name not in RUNS:
            return _scan(path)
        for words in RUNS[name]:
            told = [word.format(path, folder=os.path.dirname(path), bad=EXAMPLES / "bad.yml") for word in words]
            status, said = _call(told)
            if status not in range(4) or "Traceback" in said or "please report it" in said:
                return f"{' '.join(words)}: exit status {status}: {said[-2000:]}"
    except Exception:  # noqa: BLE001 - whatever leaves it is what is looked for
        return traceback.format_exc()
    return ""


def _scan(path: str) -> str:
    from lkscan import scan
    from lkscan.reports.formats import render
    from lkscan.rules.engine import Profile
    from lkscan.rules.funnel import Options

    result = scan([path], options=Options(profile=Profile.AUDITOR))
    for form in ("sarif", "text"):
        render(form, result)
    return "; ".join(str(one.message) for one in result.problems if "please report it" in one.message)


def _call(words: Sequence[str]) -> tuple[int, str]:
    """The exit status of one command, and what it says on standard error."""
    from lkscan import cli

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(list(words))
        except SystemExit as ended:  # argparse
            status = int(ended.code or 0)
    return status, err.getvalue()
