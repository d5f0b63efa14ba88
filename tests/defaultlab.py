"""LinuxKit's default spec of 2026, written anew, and an initrd laid out as LinuxKit builds it from that."""

import json

import elflab
from imagelab import Item, newc

from lkscan.scanner import spec
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.subjects import Container

SYSCTL = """onboot:
  - name: sysctl
    image: linuxkit/sysctl:43ac1d39da329c3567fcb9689e5ca99de6d169b6
"""
TRUST = "trust:\n  org:\n    - linuxkit\n    - library\n"
DEFAULT = """kernel:
  image: linuxkit/kernel:6.12.59
  cmdline: "console=tty0 console=ttyS0 console=ttyAMA0"
init:
  - linuxkit/init:b5506cc74a6812dc40982cacfd2f4328f8a4b12a
  - linuxkit/runc:9442aa234715e751a16144f1d4ae3fd1a00fd492
  - linuxkit/containerd:ba19f64efd3331a8fd0a33e00eabd14f6ee1780e
  - linuxkit/ca-certificates:256f1950df59f2f209e9f0b81374177409eb11de
{onboot}  - name: dhcpcd
    image: linuxkit/dhcpcd:b87e9ececac55a65eaa592f4dd8b4e0c3009afdb
    command: ["/sbin/dhcpcd", "--nobackground", "-f", "/dhcpcd.conf", "-1"]
onshutdown:
  - name: shutdown
    image: busybox:latest
    command: ["/bin/echo", "bye"]
services:
  - name: getty
    image: linuxkit/getty:a86d74c8f89be8956330c3b115b0b1f2e09ef6e0
    env:
      - INSECURE=true
  - name: rngd
    image: linuxkit/rngd:984eb580ecb63986f07f626b61692a97aacd7198
  - name: nginx
    image: nginx:1.19.5-alpine
    capabilities: [CAP_NET_BIND_SERVICE, CAP_CHOWN, CAP_SETUID, CAP_SETGID, CAP_DAC_OVERRIDE]
    binds:
      - /etc/resolv.conf:/etc/resolv.conf
files:
  - path: etc/linuxkit-config
    metadata: yaml
{trust}"""
SETTINGS = """# what linuxkit/sysctl sets of the network and of the kernel, as of 2026
net.ipv4.tcp_syncookies = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.conf.all.rp_filter = 1
kernel.kptr_restrict = 2
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv4.conf.default.accept_source_route = 0
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
kernel.dmesg_restrict = 1
kernel.perf_event_paranoid = 3
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
kernel.unprivileged_bpf_disabled=1
"""
CONFIG = (
    b'# Linux/x86 6.12.59 Kernel Configuration\nCONFIG_64BIT=y\nCONFIG_X86_64=y\nCONFIG_LOCALVERSION="-linuxkit"\n'
    b"CONFIG_HARDENED_USERCOPY=y\nCONFIG_STATIC_USERMODEHELPER=y\n# CONFIG_INIT_ON_ALLOC_DEFAULT_ON is not set\n"
    b"# CONFIG_MODULE_SIG is not set\n"
    b"CONFIG_PANIC_TIMEOUT=0\n# end of Kernel hacking\n"
)


def document(*, sysctl=True, trust=True):
    """The default spec, with or without its sysctl container and the section `trust` that earlier ones had."""
    return DEFAULT.format(onboot=SYSCTL if sysctl else "onboot:\n", trust=TRUST if trust else "")


def initrd(text):
    """An initrd for such a spec: its containers as config.json and runtime.json, a kernel, a command line."""
    banner = elflab.BANNER.replace(b"6.12.1-lab", b"6.12.59-linuxkit")
    kernel = elflab.bzimage(elflab.packed(elflab.vmlinux(CONFIG, banner), "gzip"), release=b"6.12.59-linuxkit (a@b) #1")
    items = [Item("boot/kernel", kernel), Item("boot/cmdline", b"console=tty0 console=ttyS0 console=ttyAMA0")]
    for one in spec.read([("linuxkit.yml", text.encode())], LabelFinder()):
        if isinstance(one, Container):
            name = one.name if one.section == "services" else f"{one.index:03d}-{one.name}"
            folder = f"containers/{one.section}/{name}"
            items.append(Item(f"{folder}/config.json", json.dumps(one.oci).encode()))
            items.append(Item(f"{folder}/runtime.json", json.dumps(one.runtime).encode()))
            if one.name == "sysctl":
                items.append(Item(f"{folder}/rootfs/etc/sysctl.d/00-linuxkit.conf", SETTINGS.encode()))
            if one.name == "getty":
                oci = {**one.oci, "process": {**one.oci["process"], "args": ["/sbin/tini", "/usr/bin/rungetty.sh"]}}
                items[-2] = Item(f"{folder}/config.json", json.dumps(oci).encode())
    return newc(*items)
