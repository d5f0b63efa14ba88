"""Measures what a verdict on a kernel costs once it is decompressed: reading its configuration, and rules of K, C, Y.

    python benchmarks/kernels.py [KERNEL|CONFIG ...]

Without an argument a configuration is made, as long as a distribution's. A figure is the median of the runs, in CPU
time of this process. Where kernel-hardening-checker is on the PATH it judges the same configuration, in a process of
its own, beside one of lkscan's: there, start-up counts.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring import LKSCAN, Command, measure, where
from results import Sheet, Table, figures
from results import rows as usage_rows

from lkscan.rules.catalogue import RULES
from lkscan.rules.engine import Engine
from lkscan.rules.tables import load
from lkscan.scanner import kconfig, kernel
from lkscan.scanner.subjects import Kernel, Place, System

RUNS = 31
OPTIONS = 8_777
"""Options of a configuration that is made here: Debian's for amd64, of 6.1, has as many."""
CHECKER = "kernel-hardening-checker"


def configuration() -> bytes:
    """A complete configuration, all of the table's options switched off."""
    known = [key for key in load("kernel_options") if ":" not in key]
    some = [f"# CONFIG_{key} is not set" for key in known]
    some += [f"CONFIG_NUMBER_{number}=y" for number in range(OPTIONS - len(known))]
    head = ["# Linux/x86 6.12.59 Kernel Configuration", "CONFIG_64BIT=y", "CONFIG_X86_64=y", 'CONFIG_LOCALVERSION=""']
    return "\n".join([*head, *some, "CONFIG_PANIC_TIMEOUT=0", "# end of Kernel hacking", ""]).encode()


def text_of(path: Path) -> bytes:
    """The configuration in a file: of a kernel, or the file itself. Raises SystemExit for one without."""
    data = path.read_bytes()
    if kconfig.sniff(data[:1024]):
        return data
    found = kernel.read(data, Place((str(path),)))
    if found.config is None:
        raise SystemExit(f"{path}: {found.config_source}")
    return found.config_text


def verdict(text: bytes) -> int:
    """Read a configuration and judge its kernel; the number of findings."""
    options = kconfig.parse(text)
    place = Place(("kernel",))
    known = kconfig.version(text), "", kconfig.architecture(options), "configuration", "", options, "IKCONFIG", text
    subject = Kernel(place, *known)
    engine = Engine(rule for rule in RULES if rule.id[2] in "KCY")
    system = System(place, "image", is_linuxkit=False, format="", kernels=(subject,))
    return sum(1 for one in (subject, system) for _ in engine.judge(one))


def median(work: Callable[[], object]) -> float:
    """The median of the CPU seconds that the work takes, after a first time that fills the caches."""
    work()
    return statistics.median(_timed(work) for _ in range(RUNS))


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def processes(path: str) -> dict[str, Command]:
    """A process of lkscan, and one of the checker, where it is installed."""
    commands: dict[str, Command] = {"lkscan kernel": [LKSCAN, "kernel", path, "-f", "json", "--fail-on", "never"]}
    return commands | ({CHECKER: [CHECKER, "-c", path, "-m", "json"]} if where(CHECKER) else {})


def measured(sheet: Sheet, given: list[str]) -> None:
    """A row for each kernel, and one for each process."""
    inputs = {Path(one).name: text_of(Path(one)) for one in given} or {"a configuration": configuration()}
    rows = []
    for name, text in inputs.items():
        seconds = median(lambda text=text: verdict(text))  # type: ignore[misc]
        rows.append(figures(name, count=len(kconfig.parse(text)), cpu=seconds))
    sheet.add(Table("A kernel's verdict, once decompressed", rows, note="number: options"))
    if not where(CHECKER):
        sheet.lacks(CHECKER, "not installed")
    with tempfile.NamedTemporaryFile(suffix=".config") as file:
        file.write(next(iter(inputs.values())))
        file.flush()
        found = measure(processes(file.name), 7)
    sheet.add(Table("A kernel's verdict in a process of its own", usage_rows(found), "lkscan kernel"))


if __name__ == "__main__":
    measured(Sheet(), sys.argv[1:])
