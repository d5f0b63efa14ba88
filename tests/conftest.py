"""What every test may rely on: one date to judge ends of life by, no LinuxKit cache of the machine's user, no clock."""

import mmap
import os
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

os.environ["LKSCAN_DATE"] = "2026-11-23"
os.environ["LINUXKIT_CACHE"] = os.devnull
os.environ.pop("NO_COLOR", None)
os.environ.pop("COLUMNS", None)

settings.register_profile("lkscan", deadline=None)  # how fast a busy machine is says nothing about the code
settings.load_profile("lkscan")

_LONG = {
    "test_drift.py", "test_needs.py", "test_outputs.py", "test_diff.py", "test_fuzz.py", "test_debian_image.py",
    "test_report_sarif_multitool.py", "test_release.py", "test_readers.py", "test_fixing_properties.py",
    "test_findings.py", "test_hostile_images.py",
}  # fmt: skip
"""Files that take long for their number of tests. A file is run by one process, so the others wait for the last one."""


_UNTRACED = {
    "test_findings.py", "test_fixing_properties.py", "test_fuzz.py", "test_host_untouched.py", "test_hostile_images.py",
    "test_needs.py", "test_outputs.py", "test_readers.py", "test_third_party.py", "test_truth.py", "test_variants.py",
}  # fmt: skip
"""Files whose tests run much code that others cover, too: watched line by line they take up to five times as long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Some tests are not watched, nor what they set up, unless it is asked which test runs a line."""
    coverage = getattr(item.config.pluginmanager.get_plugin("_cov"), "cov_controller", None)
    if coverage is None or item.path.name not in _UNTRACED or item.config.getoption("cov_context", None):
        return (yield)
    coverage.pause()
    try:
        return (yield)
    finally:
        coverage.resume()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are not named by what they are: compressors write the time into them, and names must not change."""
    return argname if isinstance(val, bytes) and not val.isalnum() else None


@pytest.fixture(autouse=True)
def _date() -> Iterator[None]:
    """Whatever date a test judges by, as `--date` and `lkscan report` set one for the whole process, ends with it."""
    yield
    if "lkscan.rules.kernel" in sys.modules:
        sys.modules["lkscan.rules.kernel"].set_today(None)


@pytest.fixture(autouse=True)
def _here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a module is marked `read_here`, images are read in this process: what runs in another one is not counted
    as covered. Tests marked `shut_in` are as everywhere else: what they call works without files, network and so on.
    """
    if request.node.get_closest_marker("read_here") and not request.node.get_closest_marker("shut_in"):
        from lkscan import workers

        def run(tasks: list[workers.Task], _: int, take: object, **__: object) -> workers.Ends:
            for number, task in enumerate(tasks):
                with mmap.mmap(-1, workers._SLOT) as board:
                    for piece in task.work(workers.Slot(board, 0)):
                        take(number, piece)
            return workers.Ends([""] * len(tasks), 0)

        monkeypatch.setattr(workers, "run", run)
