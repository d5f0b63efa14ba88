"""Bends images, specs and configurations and reads them, in a process that may take so much memory and so long.

    fuzzlab.py [--inputs 100000] [--seconds S] [--minutes M] [--jobs N] [--cover] [--write] [--keep FOLDER] [FORMAT ...]

Prints a line for each format: inputs, inputs a second, the slowest, the most memory, failures. `--seconds` is for each
format, `--minutes` for all of them, in equal parts; `--jobs` formats are read at a time. `--cover` tells which share of
the readers' lines and branches the inputs went through; that makes it some five times slower. `--write` keeps the sums
in benchmarks/fuzz.json. What failed is kept in tests/seeds/failures, where the tests read it from then on.
"""

import argparse
import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

FAILURES = Path(__file__).resolve().parent / "seeds" / "failures"
RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "fuzz.json"
MEMORY = 512 << 20
"""Bytes of address space, Python's own included."""
DEADLINE = 10
"""Seconds of a processor for one input; and a minute and a half of the clock, as other work may have the processors."""
_READ = 1 << 16
"""Bytes that are read of each file."""
_ROOT = Path(__file__).resolve().parent.parent
_WIDTHS = (1, 2, 4, 8)
_ROW = 16


class Report(NamedTuple):
    """What a run over one format came to; `failures` are the inputs and why."""

    inputs: int
    seconds: float
    slowest: float
    memory: int
    failures: tuple[tuple[bytes, str], ...]


class Asked(NamedTuple):
    """How much of a format is read: inputs, seconds of the clock (0: no bound), and whether coverage is noted."""

    inputs: int
    seconds: float = 0
    cover: bool = False


# --- bending


def interesting(width: int, chance: random.Random) -> int:
    """A number of so many bytes that counts, sizes and places are known to stumble over."""
    bits = 8 * width
    power = 1 << chance.randrange(bits)
    numbers = (0, 1, power, power - 1, power + 1, (1 << bits) - 1, (1 << bits - 1) - 1, chance.getrandbits(bits))
    return chance.choice(numbers) & (1 << bits) - 1


def rows(data: bytes) -> list[int]:
    """Where there is something: what is all zeros is seldom looked at."""
    return [at for at in range(0, len(data), _ROW) if any(data[at : at + _ROW])]


def bend(data: bytes, places: list[int], chance: random.Random) -> bytearray:
    """A few changes: numbers, bits, rows copied from elsewhere, a piece cut out, an end cut off."""
    bent = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        # the first half of a few kilobytes are headers, and get a third of the changes
        at = places[chance.randrange(len(places) if chance.random() < 0.7 else max(1, min(len(places), 24)))]
        way = chance.randrange(12)
        if way < 6:
            width = chance.choice(_WIDTHS)
            at += chance.randrange(0, _ROW, width)
            number = interesting(width, chance)
            if way == 5:
                old = int.from_bytes(bent[at : at + width], "little")
                number = max(0, old + chance.choice((-1, 1, -2, 2, 8, -8))) & (1 << 8 * width) - 1
            bent[at : at + width] = number.to_bytes(width, chance.choice(("little", "little", "big")))
        elif way < 9:
            at = min(at + chance.randrange(_ROW), len(bent) - 1)
            bent[at] ^= 1 << chance.randrange(8)
        elif way == 9:
            source, length = chance.choice(places), chance.choice((4, 8, 16, 32, 64))
            bent[at : at + length] = data[source : source + length]
        elif way == 10:
            bent[at : at + chance.choice((4, 16, 64))] = bytes(chance.choice((4, 16, 64)))
        elif chance.random() < 0.2:
            del bent[at:]
        if len(bent) < _ROW:
            bent = bytearray(data[:_ROW])
        elif len(bent) != len(data):
            places = places[: bisect_left(places, len(bent))] or [0]
    return bent


def bent(name: str, data: bytes, start: int) -> Iterator[tuple[int, bytearray]]:
    """Endless inputs of a format, from number `start` on: a number always gives the same one."""
    import seedlab
    import textlab

    places = rows(data)
    mend = seedlab.MENDS.get(name)
    number = start
    while True:
        chance = random.Random(f"{name} {number}")
        made = textlab.bend(data, chance) if name in textlab.TEXTS else bend(data, places, chance)
        if mend and chance.random() < 0.8:
            mend(made)
        yield number, made
        number += 1


# --- reading, in a process of its own


def examine(name: str, path: str) -> str:
    """What is wrong with how an input of a format is read; "" when nothing is."""
    import textlab
    from imagelab import ends_well

    if name in textlab.NAMES:
        return textlab.examine(name, path)
    from lkscan.scanner import image
    from lkscan.scanner.subjects import File, Problem

    items = []
    try:
        for item in image.read((path,)):
            if isinstance(item, File) and item.read:
                item.read(_READ)
            items.append(item)
    except Exception:  # noqa: BLE001 - whatever leaves it is what is looked for
        return traceback.format_exc()
    if any(isinstance(item, Problem) and "not fit into memory" in item.message for item in items):
        return "it does not fit into memory"
    return "" if ends_well(items) else "neither a system nor a problem came out"


def work(name: str, seed: Path, start: int, count: int, seconds: float) -> None:
    """Read bent inputs. Prints the number of each before it is read, and JSON: each failure, and what was done."""
    target = seed.with_suffix(".input")
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT)  # once: emptying a file takes longer than reading it
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    begun, done, slowest = time.monotonic(), 0, 0.0
    for number, data in bent(name, seed.read_bytes(), start):
        if done == count or (seconds and time.monotonic() - begun > seconds):
            break
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
        say(number)
        watch(DEADLINE)
        before = time.process_time()
        why = examine(name, str(target))
        slowest = max(slowest, time.process_time() - before)
        watch(0)
        done += 1
        if why:
            say(json.dumps({"number": number, "why": why}))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    say(json.dumps({"done": done, "slowest": slowest, "memory": memory}))


def watch(seconds: int) -> None:
    """End this process after so many seconds of its processor, or nine times as many of the clock; 0 for no bound."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(9 * seconds)


def say(line: object) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def check(name: str, path: Path) -> str:
    """Read one input of a format in a process of its own; what is wrong, "" when nothing is."""
    command = [sys.executable, __file__, "--check", name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    how = f"ended by signal {-done.returncode}" if done.returncode < 0 else done.stderr
    return (done.stdout + how).strip()


def keep(name: str, data: bytes, folder: Path = FAILURES) -> Path:
    """Keep an input that failed; packed, as most of it is zeros."""
    path = folder / f"{name}-{sha256(data).hexdigest()[:12]}.gz"
    path.write_bytes(gzip.compress(data, mtime=0))
    return path


def fuzz(name: str, data: bytes, folder: Path, asked: Asked) -> Report:
    """Read bent inputs of a format, as many as are asked for or there is time for; goes on behind one that kills.

    With `cover`, what of lkscan was run is noted in `folder`.
    """
    count, seconds = asked.inputs, asked.seconds
    python = [sys.executable, *(_coverage(folder, "run", "--parallel-mode") if asked.cover else ())]
    seed = folder / f"{name}.seed"
    seed.write_bytes(data)
    begun, number, slowest, memory, failures = time.monotonic(), 0, 0.0, 0, []
    while number < count:
        left = seconds - (time.monotonic() - begun) if seconds else 0
        if left < 0:
            break
        words = ["--work", name, str(seed), str(number), str(count - number), str(left)]
        done = subprocess.run([*python, __file__, *words], capture_output=True, text=True, check=False, cwd=_ROOT)
        last = number
        for line in done.stdout.splitlines():
            if not line.startswith("{"):
                last = int(line)
                continue
            found = json.loads(line)
            if "done" in found:
                slowest, memory = max(slowest, found["slowest"]), max(memory, found["memory"])
            else:
                _, made = next(bent(name, data, found["number"]))
                failures.append((bytes(made), f"input {found['number']}: {found['why']}"))
        if done.returncode:
            how = f"killed by signal {-done.returncode}" if done.returncode < 0 else done.stderr
            _, made = next(bent(name, data, last))
            failures.append((bytes(made), f"input {last}: {how}"))
        number = last + 1
        if not done.returncode and seconds:
            break
    return Report(number, time.monotonic() - begun, slowest, memory, tuple(failures))


def _coverage(folder: Path, order: str, *options: str) -> list[str]:
    return ["-m", "coverage", order, f"--data-file={folder / 'coverage'}", *options]


def tell_coverage(folder: Path) -> None:
    """Print which share of each module of scanner/ the inputs went through; what none of them loaded is left out."""
    for words in (
        _coverage(folder, "combine", "--quiet"),
        _coverage(folder, "report", f"--include={_ROOT}/scanner/*.py", "--sort=cover"),
    ):
        subprocess.run([sys.executable, *words], cwd=_ROOT, check=True)


# --- the command


def main() -> int:
    """The long shape: as many inputs as one has time for."""
    parser = argparse.ArgumentParser(description="Bend images, specs and configurations of every format and read them.")
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs of each format")
    parser.add_argument("--seconds", type=float, default=0, help="seconds for each format, 0 for no bound")
    parser.add_argument("--minutes", type=float, default=0, help="minutes for all formats together, 0 for no bound")
    parser.add_argument("--jobs", type=int, default=1, help="formats at a time")
    parser.add_argument("--cover", action="store_true", help="tell which share of the readers was run")
    parser.add_argument("--write", action="store_true", help=f"keep the sums in {RESULTS.name}")
    parser.add_argument("--keep", type=Path, default=FAILURES, help="folder for what failed")
    parser.add_argument("format", nargs="*", help="formats; all by default")
    asked = parser.parse_args()
    import seedlab
    import textlab

    found = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz") as temporary, ThreadPoolExecutor(asked.jobs) as pool:
        folder = Path(temporary)
        seeds = {**textlab.seeds(folder), **seedlab.seeds(folder)}
        seeds = {name: data for name, data in seeds.items() if not asked.format or name in asked.format}
        seconds = asked.seconds or asked.minutes * 60 * asked.jobs / max(1, len(seeds))
        each = Asked(asked.inputs, seconds, asked.cover)
        for name, report in zip(
            seeds, pool.map(lambda name: fuzz(name, seeds[name], folder, each), seeds), strict=True
        ):
            found.append(report)
            pace = report.inputs / report.seconds
            say(
                f"{name:18} {report.inputs:7} inputs {pace:6.0f}/s  slowest {report.slowest:5.2f} s  "
                f"{report.memory >> 20:4} MiB  {len(report.failures)} failures"
            )
            for made, why in report.failures:
                say(f"  {keep(name, made, asked.keep)}: {why}")
        sums = {
            "formats": len(found),
            "minutes": round((time.monotonic() - begun) / 60),
            "inputs": sum(one.inputs for one in found),
            "failures": sum(len(one.failures) for one in found),
            "slowest": round(max(one.slowest for one in found), 2),
            "memory": max(one.memory for one in found) >> 20,
        }
        say(f"{sums['inputs']} inputs of {sums['formats']} formats, {sums['failures']} failures")
        if asked.write:
            RESULTS.write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
        if asked.cover:
            tell_coverage(folder)
    return 1 if sums["failures"] else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        name_, seed_, start_, count_, seconds_ = sys.argv[2:]
        work(name_, Path(seed_), int(start_), int(count_), float(seconds_))
    elif sys.argv[1:2] == ["--check"]:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        watch(DEADLINE)
        say(examine(sys.argv[2], sys.argv[3]))
    else:
        sys.exit(main())
