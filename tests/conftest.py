"""What every test may rely on: one date to judge ends of life by, and no LinuxKit cache of the machine's user."""

import os

os.environ["LKSCAN_DATE"] = "2026-11-23"
os.environ["LINUXKIT_CACHE"] = os.devnull
os.environ.pop("NO_COLOR", None)
os.environ.pop("COLUMNS", None)
