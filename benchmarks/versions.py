"""Installs the wheel on each Python, with the oldest dependencies it allows and the newest, and tries it there.

    versions.py [PYTHON...]

Without arguments, Python 3.10 to 3.14 are taken as far as uv finds them on this machine; one that is not there is
named. For each one and each end of the range an environment is made below build/versions, with the wheel and all
extras, out of wheels alone. In it a spec and an image are scanned into every format of reports, and what is printed has
to be what this checkout prints; then the tests are run that lead through the dependencies. The exit status is 1 where
something fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/versions"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ENDS = {"oldest": "lowest-direct", "newest": "highest"}
FORMATS = ("text", "json", "sarif", "html", "markdown", "junit", "gitlab", "github")
DATE = "2026-01-01"
TESTS = (
    *("compression", "sums", "efi", "rules_secrets", "own_rules", "registry", "language_server", "needs", "suggest"),
    *("findings", "readings", "reach"),
)
TOOLS = ("pytest", "hypothesis", "jsonschema", "packaging")
"""What those tests need besides the dependencies."""
PROGRAM = """
import contextlib, hashlib, io, sys
from lkscan import cli
for order in {orders}:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = cli.main(order)
    print(status, hashlib.sha256(out.getvalue().encode()).hexdigest(), *order)
"""


class Row(NamedTuple):
    """What came of a Python and an end of the range: "" for `why` where all went well."""

    python: str
    end: str
    why: str
    told: str


def orders(image: Path) -> list[list[str]]:
    """What is run: the same everywhere, so that the same is printed."""
    spec = str(ROOT / "examples/bad.yml")
    scans = [[path, "--format", form, "--date", DATE] for path in (spec, str(image)) for form in FORMATS]
    return [*scans, ["explain", "LKP002"], ["rules"], ["inspect", str(image), "--files", "--binaries"]]


def main(pythons: list[str]) -> int:
    """Do it for each Python, print a table, and tell whether all went well."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    image = FOLDER / "demo.iso"
    run(sys.executable, ROOT / "examples/build_demo_iso.py", image)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", FOLDER, ROOT)
    (wheel,) = FOLDER.glob("*.whl")
    program = PROGRAM.format(orders=orders(image))
    wanted = run(sys.executable, "-c", program)
    rows = [row for python in pythons or PYTHONS for row in rows_of(python, wheel, program, wanted)]
    for row in rows:
        print(f"{row.python:24}  {row.end:6}  {row.why or 'as wanted'}  {row.told}".rstrip())
    return 1 if any(row.why and row.end for row in rows) else 0


def rows_of(python: str, wheel: Path, program: str, wanted: str) -> Iterator[Row]:
    """A row for each end of the range; one without an end where the Python is not there."""
    try:
        found = run("uv", "python", "find", "--no-python-downloads", python).strip()
        version = run(found, "-c", "import sys; print(*sys.version_info[:3], sep='.')").strip()
    except RuntimeError:
        yield Row(python, "", "not on this machine", "")
        return
    for end, resolution in ENDS.items():
        folder = FOLDER / f"{version}-{end}"
        try:
            run("uv", "venv", "--quiet", "--python", found, folder)
            install = ["uv", "pip", "install", "--quiet", "--python", folder / "bin/python", "--only-binary", ":all:"]
            run(*install, "--resolution", resolution, "--requirements", ROOT / "pyproject.toml", "--all-extras")
            run(*install, "--no-deps", wheel)
            got = run(folder / "bin/python", "-c", program)
            versions = run("uv", "pip", "freeze", "--python", folder / "bin/python").split()
            run(*install, *TOOLS)
            tests = [ROOT / f"tests/test_{name}.py" for name in TESTS]
            options = ["-q", "-o", "addopts=", "-W", "default", "-p", "no:cacheprovider"]
            passed = run(folder / "bin/python", "-m", "pytest", *options, *tests).strip().rpartition("\n")[2]
        except RuntimeError as error:
            yield Row(version, end, str(error), "")
            continue
        different = [line for line, right in zip(got.splitlines(), wanted.splitlines(), strict=True) if line != right]
        told = " ".join(one for one in versions if "==" in one)
        yield Row(version, end, "".join(f"differs: {line}" for line in different), f"{passed}; {told}")


def run(*command: object) -> str:
    """What a command printed, in an empty folder and without variables of Python's. Raises RuntimeError."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LINUXKIT"))}
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")  # uv knows only PATH
    path = os.pathsep.join(map(str, (Path(sys.executable).parent, clean["PATH"], *sorted(managed))))
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=FOLDER, env={**clean, "PATH": path})
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:4])}: {(done.stdout + done.stderr).strip()[-600:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
