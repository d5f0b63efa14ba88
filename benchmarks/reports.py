"""Measures what each report of 50,000 findings takes: CPU seconds, memory, bytes; and how soon a browser has the HTML.

The findings are what the rules on files say of so many files that everybody may write, in forty containers. The browser
is Chromium, driven by Playwright; without them that line is left out.
"""

from __future__ import annotations

import gc
import gzip
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lkscan.reports import formats
from lkscan.reports.saved import load
from lkscan.rules import files
from lkscan.rules.contents import Collector
from lkscan.rules.engine import Engine
from lkscan.rules.funnel import Funnel, Options, Result
from lkscan.scanner.subjects import File, Place, System

FINDINGS, CONTAINERS, RUNS = 50_000, 40, 3
CHROMIUM = "/usr/bin/chromium"
READY = "#filters:not([hidden]) ~ #list > li:nth-child(100)"


def result() -> Result:
    """The result that is rendered."""
    engine, funnel, collector = Engine(files.RULES), Funnel(files.RULES, Options()), Collector()
    for number in range(FINDINGS):
        path = (
            f"containers/services/service-{number % CONTAINERS}/rootfs/usr/share/data/{number // 100:03}/{number}.dat"
        )
        file = File(path, "file", 0o666, 0, 0, 4096 + number, Place(("linuxkit.iso", "boot/initrd.img", path)))
        collector.meet(file)
        for finding in engine.judge(file):
            funnel.add(finding)
    system = System(
        Place(("linuxkit.iso",)), "image", is_linuxkit=True, format="ISO 9660 > gzip > cpio", files=FINDINGS
    )
    collector.meet(system)
    funnel.meet(system)
    made = funnel.result(engine.tally)._replace(contents=tuple(collector.contents))
    if len(made.findings) < FINDINGS:
        raise SystemExit(f"{len(made.findings)} findings, not {FINDINGS}")
    return made


def render(name: str, given: Result, path: Path) -> tuple[float, int]:
    """CPU seconds and MiB that one process takes to write a report, besides what the result takes itself."""
    pid = os.fork()
    if not pid:
        gc.set_threshold(1_000_000)  # as the console script does
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path.write_text(formats.render(name, given), encoding="utf-8", errors="backslashreplace")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        path.with_suffix(".grown").write_text(str(grown), encoding="utf-8")
        os._exit(0)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{name}: the report failed")
    return used.ru_utime + used.ru_stime, int(path.with_suffix(".grown").read_text(encoding="utf-8")) >> 10


def read_back(path: Path) -> float:
    """CPU seconds until a saved JSON report is a result again, of which the formats are made."""
    gc.set_threshold(1_000_000)  # as the console script does
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        load(path.read_bytes())
        times.append(time.process_time() - start)
    return statistics.median(times)


def opened(path: Path) -> float | None:
    """Seconds until a new page of a running Chromium has read the report and shows its findings with their filters."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if not os.path.exists(CHROMIUM):
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        times = []
        for _ in range(RUNS):
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(path.as_uri())
            page.locator(READY).wait_for()
            times.append(time.perf_counter() - start)
            page.close()
        browser.close()
    return statistics.median(times)


def main() -> None:
    """Print a line for each format."""
    given = result()
    print(f"{len(given.findings):,} findings, medians of {RUNS}\n")
    print(f"{'format':<10}{'CPU s':>9}{'MiB':>7}{'MB':>8}{'gzipped':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name in formats.FORMATS:
            path = Path(folder) / f"report.{name}"
            taken = [render(name, given, path) for _ in range(RUNS)]
            seconds, grown = (statistics.median(values) for values in zip(*taken, strict=True))
            data = path.read_bytes()
            packed = len(gzip.compress(data, 6))
            print(f"{name:<10}{seconds:>9.2f}{grown:>7.0f}{len(data) / 1e6:>8.1f}{packed / 1e6:>9.1f}", flush=True)
        print(f"\njson read back by `lkscan report` in {read_back(Path(folder) / 'report.json'):.2f} s")
        seconds_open = opened(Path(folder) / "report.html")
    if seconds_open is None:
        print("html in Chromium: not measured; it takes Playwright and Debian's chromium", file=sys.stderr)
    else:
        print(f"html open in Chromium after {seconds_open:.2f} s")


if __name__ == "__main__":
    main()
