"""`python -m lkscan`."""

from .cli import run

run()
