"""Completion scripts, in the shells themselves: a line is typed with its tabs, and the shell says what became of it."""

import os
import pty
import re
import select
import time
from pathlib import Path

import pytest
from imagelab import needs

from lkscan.cli import main
from lkscan.commands import COMMANDS
from lkscan.completions import commands, script

SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        ". ./script.bash; bind 'set enable-bracketed-paste off'; lkscan() { printf '<%s>' \"$@\"; echo '<end>'; }",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -u -D; . ./script.zsh; lkscan() { printf '<%s>' \"$@\"; echo '<end>'; }",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        "source ./script.fish; function lkscan; printf '<%s>' $argv; echo '<end>'; end",
    ),
}


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "TERM": "dumb",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PS1": "$ ",
        }
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)

    def type(self, text: str) -> None:
        for part in re.split(r"(?<=\t)", text):  # a tab that comes with what follows may be taken for pasted text
            os.write(self._terminal, part.encode())
            time.sleep(0.05)

    def read_until(self, end: str) -> str:
        """What is shown up to the marker; fails after half a minute."""
        shown, deadline = "", time.monotonic() + 30
        while end not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([self._terminal], [], [], 0.5)[0]:
                shown += os.read(self._terminal, 4096).decode(errors="replace")
        return shown

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._process, 0)


@pytest.fixture(scope="module", params=[pytest.param(one, marks=needs(one)) for one in SHELLS])
def complete(request, tmp_path_factory):
    """Give a function that types a line into the shell and gives the arguments that came of it."""
    folder = tmp_path_factory.mktemp(request.param)
    command, start = SHELLS[request.param]
    (folder / f"script.{request.param}").write_text(script(request.param), encoding="utf-8")
    (folder / "linuxkit site.yml").touch()
    (folder / "packed.yml").touch()
    (folder / "packages").mkdir()
    (folder / "known.json").touch()
    terminal = Terminal(command, folder)
    terminal.type(f"{start}; echo rea''dy\n")
    terminal.read_until("ready")

    def run(typed: str) -> list[str]:
        terminal.type(f"lkscan {typed}\n")
        shown = terminal.read_until("<end>")
        return re.findall(r"<([^<>]*)>", shown)[:-1]  # without the end

    yield run
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("insp\t", ["inspect"]),
        ("linux\t", ["linuxkit site.yml"]),
        ("scan linux\t", ["scan", "linuxkit site.yml"]),
        ("--vers\t", ["--version"]),
        ("--prof\tped\t", ["--profile", "pedantic"]),
        ("--profile ped\t", ["--profile", "pedantic"]),
        ("linux\t--fail-on hi\t", ["linuxkit site.yml", "--fail-on", "high"]),
        ("-f sar\t", ["-f", "sarif"]),
        ("inspect --format=js\t", ["inspect", "--format=json"]),
        ("rules -f mark\t", ["rules", "-f", "markdown"]),
        ("--packages pack\t", ["--packages", "packages"]),
        ("baseline --upd\tkno\tpacked\t", ["baseline", "--update", "known.json", "packed.yml"]),
        ("explain host-pid\t", ["explain", "host-pid-namespace"]),
        ("explain LKP002 host-pid\t", ["explain", "LKP002", "host-pid-namespace"]),
        ("--select host-pid\t", ["--select", "host-pid-namespace"]),
        ("--ignore LKP001,host-pid\t", ["--ignore", "LKP001,host-pid-namespace"]),
        ("--ignore=LKP001,host-pid\t", ["--ignore=LKP001,host-pid-namespace"]),
        ("completion fi\t", ["completion", "fish"]),
    ],
)
def test_a_line_is_completed(complete, typed: str, arguments: list[str]) -> None:
    got = complete(typed)  # zsh puts `=` behind an option that takes a value; and no `/` behind a folder at the end
    plain = [part.rstrip("/") for one in got for part in (one.split("=") if one.startswith("--") else [one])]
    assert plain == [part for one in arguments for part in (one.split("=") if one.startswith("--") else [one])]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_and_names_every_command_and_option(shell: str, capsys) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == script(shell)
    for command in commands():
        assert command.name in text
        for option in command.options:
            assert all(flag.lstrip("-") in text for flag in option.flags)
    assert [one.name for one in commands()] == list(COMMANDS)
    assert "@" not in text.replace("$@", "").replace("[@]", "")


def test_a_shell_that_is_not_known_is_refused(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["completion", "csh"])
    assert end.value.code == 2
