"""What readers make of an image, as text: each entry, what is said of it, and a line for each way to bend or cut it.

    python tests/readinglab.py

packs the small images that the real tools make today into tests/seeds/images, and the programs of the sources in
tests/seeds/programs. They are kept, as other versions of those tools lay the same files out otherwise, and what is read
of them is to be the same everywhere.
"""

import gzip
import lzma
import random
import tempfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import fuzzlab
import needlab
from imagelab import Item, newc, run

from lkscan.rules import needs
from lkscan.scanner import calls, hardening, image
from lkscan.scanner.source import DamagedError, LimitError
from lkscan.scanner.subjects import File, Place, Problem
from lkscan.witness import Witness

SEEDS = Path(__file__).resolve().parent / "seeds"
PROGRAMS = sorted(path.stem for path in SEEDS.glob("programs/*.xz"))
"""Made of the sources beside them, by gcc 12."""
KEPT = {path.name.partition(".")[0]: path for path in sorted(SEEDS.glob("images/*.xz"))}
KEPT |= {f"newer-erofs-{path.stem}": path for path in sorted(SEEDS.glob("erofs/*.gz"))}
"""Format -> its packed image; the second ones are of a newer mkfs.erofs, see test_erofs.py."""
BUILDS = {
    "hard": "calls.c -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -pie -Wl,-z,now,-e,main",
    "soft": "calls.c -O1 -fno-stack-protector -fno-PIE -no-pie -zexecstack -Wl,-z,norelro,-z,lazy,-e,main",
    "small": "calls.c -Os -fPIE -pie -fno-plt -Wl,-e,main -fno-asynchronous-unwind-tables",
    "shared": "calls.c -O2 -fPIC -shared -Wl,-soname,libcalls.so.1",
    "kernel-plain": "kernel.c -O0 -ffreestanding -nostdlib -static -fno-stack-protector -w",
    "kernel": "kernel.c -O2 -ffreestanding -nostdlib -static -fno-stack-protector -w",
    "kernel-bare": "kernel.c -O1 -ffreestanding -nostdlib -static -fno-stack-protector -fno-asynchronous-unwind-tables",
    "clean": "kernel.c -DCLEAN -O2 -ffreestanding -nostdlib -static -fno-stack-protector -w",
    "guarded": "calls.c -O2 -fstack-clash-protection -fPIE -pie -Wl,-z,lazy,-e,main {guard}",
}
"""Program -> its source and how it is compiled."""
MACHINES = {
    "x86_64": ("gcc", "-fcf-protection=full"),
    "arm64": ("aarch64-linux-gnu-gcc", "-mbranch-protection=standard"),
}
"""Machine -> compiler, and what guards branches there."""
WHOLE = {"gzip", "lz4", "lz4-legacy", "qcow2-zlib", "uimage", "uimage-several", "vmdk-stream"}
"""Damaged, these give more or less of themselves, by which library for deflate there is, and those for LZ4 say it in
other words; they are only read whole.
"""
BENT, CUT = 50, 16
"""How many inputs are bent, and cut."""
_READ = 1 << 16
_WIDTH = 120


def seed(name: str) -> bytes:
    """The image of a format, whole."""
    packed = KEPT[name].read_bytes()
    return lzma.decompress(packed) if KEPT[name].suffix == ".xz" else gzip.decompress(packed)


def listing(name: str, path: Path) -> Iterator[str]:
    """The lines about one format; `path` is where its inputs are written, below the present folder."""
    data = seed(name)
    yield "# whole"
    yield from _lines(path, data)
    if name in WHOLE:
        return
    yield "# bent: the number of the input, how many entries are read, all that is read in short, the first problem"
    for number, (_, made) in zip(range(BENT), fuzzlab.bent(name, data, 0), strict=False):
        yield f"{number} {_summary(path, made)}"
    yield "# cut: the size, and the same"
    chance = random.Random(name)
    end = len(data.rstrip(b"\0"))
    for size in sorted({chance.randrange(end) for _ in range(CUT)} | {end, end - 1}):
        yield f"{size} {_summary(path, data[:size])}"


def program_listing(name: str) -> Iterator[str]:
    """The same of a program: what its code asks for, its defences, and those of what is bent and cut."""
    data = lzma.decompress((SEEDS / "programs" / f"{name}.xz").read_bytes())
    yield "# whole"
    found = calls.program(_program(data), data, needs.interest())
    for field, value in found._asdict().items():
        if field == "calls":
            yield from sorted(f"call {one.address:#x} {plain(one._replace(address=0))}" for one in value)
        elif field == "names":
            yield f"{field}: {digest(plain(value).encode())}"
        else:
            yield f"{field}: {plain(value)}"
    yield from _defences(data)
    yield "# bent: the number of the input, and in short what is told of its defences"
    for number, (_, made) in zip(range(BENT), fuzzlab.bent(name, data, 0), strict=False):
        yield f"{number} {_told(bytes(made))}"
    yield "# cut: the size, and the same"
    chance = random.Random(name)
    for size in sorted({chance.randrange(len(data)) for _ in range(CUT)} | {len(data) - 1, 63, 64}):
        yield f"{size} {_told(data[:size])}"


SCRIPT = b"""#!/bin/sh -e
# what a script may do
. /etc/settings
export PATH=/usr/bin
if [ -x /usr/bin/other ]; then exec /usr/bin/other "$@"; fi
for each in one two; do echo $each | tool --quiet; done
nohup second & sh /etc/later.sh
"""
TREE: Mapping[str, str | bytes] = {
    "bin/sh": "kernel-x86_64",
    "usr/bin/it": "guarded-x86_64",
    "usr/bin/old": "kernel-plain-x86_64",
    "usr/bin/first": b"#!/usr/bin/env -S sh\nexec second\n",
    "usr/bin/second": "kernel-bare-x86_64",
    "usr/bin/other": "soft-arm64",
    "usr/bin/tool": b"#!/usr/bin/perl\nexit\n",
    "usr/bin/python3": "kernel-x86_64",
    "usr/bin/busybox": "kernel-x86_64",
    "lib/x86_64-linux-gnu/libcalls.so.1": "shared-x86_64",
    "etc/settings": b"LEVEL=3\n",
    "etc/later.sh": b"eval $LATER\n",
    "start.sh": SCRIPT,
    "usr/bin/clean": "clean-x86_64",
    "clean.sh": b"#!/bin/clean\n/usr/bin/clean --all\n",
    "bin/clean": "clean-x86_64",
    "odd": b"neither",
}
COMMANDS = """\
/usr/bin/it
/usr/bin/clean
/usr/bin/old
/usr/bin/clean a
/usr/bin/second
/start.sh
/usr/bin/first
/bin/sh /start.sh now
sh -c second
/bin/sh
sh -x $1
/usr/bin/busybox sh /etc/later.sh
/usr/bin/busybox ls
missing
/usr/bin/python3 /start.sh
/mnt/it
/odd
/usr/bin/clean /usr/bin/second
/usr/bin/tool
/usr/bin/second /start.sh
/usr/bin/other
/bin/sh /clean.sh
/clean.sh
/bin/sh -c /usr/bin/clean""".splitlines()
"""Commands of containers that all have the same tree."""
_WHOLE = 2
"""Containers of which each answer is told whole."""


def needs_listing() -> Iterator[str]:
    """What containers need, and what they do not, by their programs."""
    packed = {name: (SEEDS / "programs" / f"{name}.xz") for name in PROGRAMS}
    tree = {
        path: lzma.decompress(packed[one].read_bytes()) if isinstance(one, str) else one for path, one in TREE.items()
    }
    items = []
    binds = [("/var/log", "/var/log", ["rw", "rbind"]), ("/data", "/mnt", ["rw"]), ("/etc/x", "/etc/x", ["ro"])]
    mounts = [{"destination": to, "type": "bind", "source": one, "options": more} for one, to, more in binds]
    for number, command in enumerate(COMMANDS):
        more = {0: ["TOOL=/usr/bin/second"], 2: ["LD_PRELOAD=libcalls.so.1"]}
        env = [f"PATH={needlab.PATH}", *more.get(number % 6, ())]
        config = needlab.configuration(command.split(), mounts=mounts if number % 3 else (), env=env)
        base = f"containers/services/c{number:02}"
        items += [Item(f"{base}/{name}", data) for name, data in config.items()]
        items += [Item(f"{base}/rootfs/{path}", data, mode=0o100755) for path, data in tree.items()]
        if number % 4 == 0:
            items.append(Item(f"{base}/rootfs/usr/bin/su", tree["usr/bin/it"], mode=0o104755))
    witness = Witness(1 << 20)
    Path("needs.cpio").write_bytes(newc(*items))
    for subject in image.read(("needs.cpio",)):
        witness.meet(subject)
    for number, one in enumerate(witness.needs()):
        yield f"# {one.title}: {one.command}"
        yield f"reached: {' '.join(f'{each.path} ({each.certainty}, by {each.by})' for each in one.reached)}"
        yield from (f"may run more: {gap}" for gap in one.gaps)
        answers = [*one.capabilities, *one.settings, *one.binds]
        lines = [f"{each.name}: {each.verdict}; {each.reason}; {'; '.join(each.evidence)}" for each in answers]
        yield from lines[: None if number < _WHOLE else 0]
        counts = ((which, sum(each.verdict == which for each in answers)) for which in ("used", "unused", "unknown"))
        told = ", ".join(f"{count} {which}" for which, count in counts)
        yield f"{told}: {digest(chr(10).join(lines).encode())}"
        yield f"masked: {' '.join(one.masked)}"
    for idle in witness.unreached():
        yield f"unreached {plain(idle._replace(container=None))}"


def _program(data: bytes) -> File:
    return File("usr/bin/it", "file", 0o755, 0, 0, len(data), Place(("image", "usr/bin/it")))


def _defences(data: bytes) -> Iterator[str]:
    try:
        binary = hardening.examine(_program(data), data)
    except (DamagedError, LimitError) as error:
        yield f"damage: {error}"
        return
    if binary is not None:
        for field, value in binary._asdict().items():
            if value and field != "file" and not callable(value):
                yield f"{field}: {plain(value)}"


def _told(data: bytes) -> str:
    lines = list(_defences(data))
    damage = next((line for line in lines if line.startswith("damage")), "")
    return f"{len(lines)} {digest(chr(10).join(lines).encode())} {_short(damage)}".strip()


def _summary(path: Path, data: bytes | bytearray) -> str:
    lines = list(_lines(path, data))
    problems = [line for line in lines if line.startswith("problem ")]
    words = [str(len(lines) - len(problems)), digest("\n".join(lines).encode(errors="surrogateescape"))]
    if problems:
        words.append(_short(problems[0].removeprefix("problem ")))
        words += [f"(and {len(problems) - 1} more)"] if problems[1:] else []
    return " ".join(words)


def _lines(path: Path, data: bytes | bytearray) -> Iterator[str]:
    path.write_bytes(data)
    for subject in image.read((path.name,)):
        if isinstance(subject, File):
            yield _file(subject)
        elif isinstance(subject, Problem):
            yield f"problem {'!'.join(subject.place.artifacts[1:])!a}: {subject.kind}: {subject.message!a}"
        else:
            yield f"{type(subject).__name__} {_short(plain(subject))}"


def _file(file: File) -> str:
    content = digest(file.read(_READ)) if file.read else "-"
    attributes = " ".join(f"{name!a}={value.hex()}" for name, value in sorted(file.xattrs.items()))
    owner = f"{file.uid}:{file.gid}"
    words = (file.kind, f"{file.mode:04o}", owner, str(file.size), content, f"{'!'.join(file.place.artifacts[1:])!a}")
    more = (f"-> {file.target!a}" if file.target else "", attributes, "again" if file.replaces else "")
    return " ".join(("file", *words, *filter(None, more)))


def plain(value: object) -> str:
    """A subject without what differs from run to run: functions, and the order of sets."""
    if hasattr(value, "_asdict"):
        fields = value._asdict().items()
        return f"({', '.join(f'{name}={plain(one)}' for name, one in fields if one and not callable(one))})"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(plain, value)))}}}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(plain, value))}]"
    if hasattr(value, "items"):
        return f"{{{', '.join(f'{plain(key)}: {plain(one)}' for key, one in value.items())}}}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes {digest(value)}"
    return ascii(value)


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]} … {digest(text.encode())}"


def digest(value: bytes | bytearray | memoryview) -> str:
    return sha256(value).hexdigest()[:8]


def main() -> None:
    """Make the images anew."""
    import seedlab

    with tempfile.TemporaryDirectory() as folder:
        for name, data in seedlab.seeds(Path(folder)).items():
            if name != "uki":  # holds a program of the system's
                _keep("images", name, data)
        for machine, (compiler, guard) in MACHINES.items():
            for name, words in BUILDS.items():
                out = Path(folder) / f"{name}-{machine}"
                run(
                    compiler,
                    "-nostartfiles",
                    "-s",
                    *words.format(guard=guard).split(),
                    "-o",
                    out,
                    cwd=SEEDS / "programs",
                )
                _keep("programs", out.name, out.read_bytes())


def _keep(folder: str, name: str, data: bytes) -> None:
    (SEEDS / folder / f"{name}.xz").write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
