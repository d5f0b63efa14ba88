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
import tempfile
import time
from pathlib import Path

from measuring import Usage
from results import Sheet, Table, figures

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


def result(findings: int = FINDINGS) -> Result:
    """The result that is rendered."""
    engine, funnel, collector = Engine(files.RULES), Funnel(files.RULES, Options()), Collector()
    for number in range(findings):
        path = (
            f"containers/services/service-{number % CONTAINERS}/rootfs/usr/share/data/{number // 100:03}/{number}.dat"
        )
        file = File(path, "file", 0o666, 0, 0, 4096 + number, Place(("linuxkit.iso", "boot/initrd.img", path)))
        collector.meet(file)
        for finding in engine.judge(file):
            funnel.add(finding)
    system = System(
        Place(("linuxkit.iso",)), "image", is_linuxkit=True, format="ISO 9660 > gzip > cpio", files=findings
    )
    collector.meet(system)
    funnel.meet(system)
    made = funnel.result(engine.tally)._replace(contents=tuple(collector.contents))
    if len(made.findings) < findings:
        raise SystemExit(f"{len(made.findings)} findings, not {findings}")
    return made


def render(name: str, given: Result, path: Path) -> Usage:
    """What one process takes to write a report, its memory besides what the result takes itself."""
    started = time.perf_counter()
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
    grown = int(path.with_suffix(".grown").read_text(encoding="utf-8")) >> 10
    return Usage(time.perf_counter() - started, used.ru_utime + used.ru_stime, grown)


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


def measured(sheet: Sheet) -> None:
    """A row for each format, and one for each way to read a report."""
    given = result()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in formats.FORMATS:
            path = Path(folder) / f"report.{name}"
            taken = [render(name, given, path) for _ in range(RUNS)]
            wall, cpu, grown = (statistics.median(values) for values in zip(*taken, strict=True))
            data = path.read_bytes()
            sizes = {"size": len(data) / 1e6, "packed": len(gzip.compress(data, 6)) / 1e6}
            found.append(figures(name, wall=wall, cpu=cpu, peak=grown, **sizes))
        sheet.add(Table(f"Reports of {FINDINGS:,} findings", found, note="memory: besides the findings"))
        reading = [figures("json, by lkscan report", cpu=read_back(Path(folder) / "report.json"))]
        seconds = opened(Path(folder) / "report.html")
    if seconds is None:
        sheet.lacks("html in a browser", "it takes Playwright and Debian's chromium")
    else:
        reading.append(figures("html, by Chromium, until its filters work", wall=seconds))
    sheet.add(Table("Reading them again", reading))


if __name__ == "__main__":
    measured(Sheet())
