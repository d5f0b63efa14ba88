"""What every test may rely on: one date to judge ends of life by, no LinuxKit cache of the machine's user, no clock."""

import os

from hypothesis import settings

os.environ["LKSCAN_DATE"] = "2026-11-23"
os.environ["LINUXKIT_CACHE"] = os.devnull
os.environ.pop("NO_COLOR", None)
os.environ.pop("COLUMNS", None)

settings.register_profile("lkscan", deadline=None)  # how fast a busy machine is says nothing about the code
settings.load_profile("lkscan")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are not named by what they are: compressors write the time into them, and names must not change."""
    return argname if isinstance(val, bytes) and not val.isalnum() else None
