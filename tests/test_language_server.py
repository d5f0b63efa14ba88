"""The language server, driven by real clients: one that speaks the whole protocol, and Neovim."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="needs pygls (the extra 'lsp')")

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from lkscan import language_server
from lkscan.cli import main

SPEC = """kernel:
  image: linuxkit/kernel:6.12.59
services:
  - name: web
    image: nginx
    pid: host
"""
PATIENCE = 60
"""Seconds after which an answer is not expected any more."""


class Client(LanguageClient):
    """A client that keeps what the server last said of a document."""

    def __init__(self) -> None:
        super().__init__("test", "1")
        self.said: asyncio.Queue[lsp.PublishDiagnosticsParams] = asyncio.Queue()
        self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self.said.put_nowait))

    async def diagnostics(self) -> list[lsp.Diagnostic]:
        """What the server says next."""
        return list((await asyncio.wait_for(self.said.get(), PATIENCE)).diagnostics)


def talk(folder: Path, conversation: Callable, encodings: list[str] | None = None, *options: str):
    """Start the server as an editor does, have a conversation, and end it; gives what the conversation gives."""

    async def whole():
        client = Client()
        await client.start_io(sys.executable, "-m", "lkscan", "lsp", *options, cwd=folder)
        general = lsp.GeneralClientCapabilities(position_encodings=encodings)
        capabilities = lsp.ClientCapabilities(general=general)
        await asyncio.wait_for(
            client.initialize_async(lsp.InitializeParams(capabilities, root_uri=folder.as_uri())), PATIENCE
        )
        client.initialized(lsp.InitializedParams())
        try:
            return await asyncio.wait_for(conversation(client), PATIENCE)
        finally:
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()

    return asyncio.run(whole())


def opened(client: Client, uri: str, text: str) -> None:
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "yaml", 1, text)))


def changed(client: Client, uri: str, text: str, version: int = 2) -> None:
    whole = lsp.TextDocumentContentChangeWholeDocument(text)
    document = lsp.VersionedTextDocumentIdentifier(version, uri)
    client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [whole]))


def rules(diagnostics: list[lsp.Diagnostic]) -> set:
    return {one.code for one in diagnostics}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    path = tmp_path / "linuxkit.yml"
    path.write_text(SPEC, encoding="utf-8")
    return path.as_uri()


def test_what_is_wrong_shows_when_a_spec_is_opened_and_goes_when_it_is_mended(tmp_path, uri) -> None:
    async def conversation(client: Client):
        opened(client, uri, SPEC)
        first = await client.diagnostics()
        changed(client, uri, SPEC.replace("    pid: host\n", ""))
        second = await client.diagnostics()
        client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri)))
        return first, second, await client.diagnostics()

    first, second, closed = talk(tmp_path, conversation)
    pid = next(one for one in first if one.code == "LKN001")
    assert pid.range == lsp.Range(lsp.Position(5, 9), lsp.Position(5, 13))
    assert pid.severity == lsp.DiagnosticSeverity.Error
    assert pid.source == "lkscan"
    assert "LKI001" in rules(first) & rules(second)
    assert "LKN001" not in rules(second)
    assert closed == []


def test_a_half_written_spec_gets_the_place_of_its_fault_and_no_silence(tmp_path, uri) -> None:
    async def conversation(client: Client):
        opened(client, uri, SPEC + "    env: [\n")
        return await client.diagnostics()

    assert "LKS001" in rules(talk(tmp_path, conversation))


def test_other_tools_yaml_is_left_alone(tmp_path) -> None:
    async def conversation(client: Client):
        opened(client, (tmp_path / "ci.yml").as_uri(), "on: push\njobs: {}\n")
        return await client.diagnostics()

    assert talk(tmp_path, conversation) == []


def test_the_profile_is_that_of_the_command_line(tmp_path, uri) -> None:
    async def conversation(client: Client):
        opened(client, uri, SPEC.replace("nginx", "nginx:1.27"))
        return await client.diagnostics()

    assert "LKI002" not in rules(talk(tmp_path, conversation))
    assert "LKI002" in rules(talk(tmp_path, conversation, None, "--profile", "pedantic"))


def test_hovering_tells_the_finding_and_its_rules_page(tmp_path, uri) -> None:
    async def conversation(client: Client):
        opened(client, uri, SPEC)
        await client.diagnostics()
        document = lsp.TextDocumentIdentifier(uri)
        over = await client.text_document_hover_async(lsp.HoverParams(document, lsp.Position(5, 10)))
        beside = await client.text_document_hover_async(lsp.HoverParams(document, lsp.Position(0, 0)))
        return over, beside

    over, beside = talk(tmp_path, conversation)
    assert beside is None
    assert over.range == lsp.Range(lsp.Position(5, 9), lsp.Position(5, 13))
    assert "host-pid-namespace (LKN001)" in over.contents.value
    assert "## Why it matters" in over.contents.value


def test_hovering_over_a_directive_tells_what_it_silences(tmp_path, uri) -> None:
    text = SPEC.replace("host\n", "host  # lkscan: ignore[host-pid-namespace, LKN001] it watches\n")

    async def conversation(client: Client):
        opened(client, uri, text)
        await client.diagnostics()
        document = lsp.TextDocumentIdentifier(uri)
        places = [lsp.Position(5, text.splitlines()[5].index(word) + 1) for word in ("host-pid", "LKN001", "watches")]
        return [await client.text_document_hover_async(lsp.HoverParams(document, place)) for place in places]

    named, numbered, none = talk(tmp_path, conversation)
    assert "(LKN001)" in named.contents.value
    assert numbered.contents.value == named.contents.value
    assert none is None


def applied(text: str, action: lsp.CodeAction, uri: str) -> str:
    """The text after an action's edits, which are in UTF-16 units, as in any editor that says nothing else."""
    lines = [line.encode("utf-16-le") for line in text.splitlines(keepends=True)] + [b""]
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    whole = b"".join(lines)
    edits = sorted(action.edit.changes[uri], key=lambda one: (one.range.start.line, one.range.start.character))
    for one in reversed(edits):
        first, last = (starts[at.line] + 2 * at.character for at in (one.range.start, one.range.end))
        whole = whole[:first] + one.new_text.encode("utf-16-le") + whole[last:]
    return whole.decode("utf-16-le")


async def actions(client: Client, uri: str, at: lsp.Position, only: list | None = None) -> list[lsp.CodeAction]:
    context = lsp.CodeActionContext([], only=only)
    params = lsp.CodeActionParams(lsp.TextDocumentIdentifier(uri), lsp.Range(at, at), context)
    return await client.text_document_code_action_async(params) or []


def test_a_finding_can_be_silenced_where_it_is(tmp_path, uri) -> None:
    async def conversation(client: Client):
        opened(client, uri, SPEC)
        await client.diagnostics()
        found = await actions(client, uri, lsp.Position(5, 10))
        (silence,) = [one for one in found if one.title.startswith("Silence host-pid-namespace")]
        changed(client, uri, applied(SPEC, silence, uri))
        return silence, await client.diagnostics()

    silence, after = talk(tmp_path, conversation)
    assert silence.kind == lsp.CodeActionKind.QuickFix
    assert silence.diagnostics[0].code == "LKN001"
    assert "LKN001" not in rules(after)
    assert "LKI001" in rules(after)


DEAD = SPEC.replace("nginx", "nginx:1.27@sha256:" + "a" * 64).replace("    pid: host\n", "") + (
    "# \U0001f600 nobody reads what follows\ntrust:\n  org:\n    - linuxkit\n"
)


@pytest.mark.parametrize("encodings", [None, ["utf-8", "utf-16"], ["utf-32"]], ids=["utf-16", "utf-8", "utf-32"])
def test_a_quick_fix_mends_what_it_says(tmp_path, uri, encodings) -> None:
    async def conversation(client: Client):
        opened(client, uri, DEAD)
        before = await client.diagnostics()
        (dead,) = [one for one in before if one.code == "LKS004"]
        found = await actions(client, uri, dead.range.start, [lsp.CodeActionKind.QuickFix])
        (mend,) = [one for one in found if not one.title.startswith("Silence")]
        changed(client, uri, applied(DEAD, mend, uri))
        return mend, await client.diagnostics()

    mend, after = talk(tmp_path, conversation, encodings, "--profile", "pedantic")
    assert mend.is_preferred
    assert "LKS004" not in rules(after)


def test_all_safe_fixes_come_as_one_action(tmp_path, uri) -> None:
    async def conversation(client: Client):
        opened(client, uri, DEAD)
        await client.diagnostics()
        (everything,) = await actions(client, uri, lsp.Position(0, 0), [lsp.CodeActionKind.SourceFixAll])
        changed(client, uri, applied(DEAD, everything, uri))
        after = await client.diagnostics()
        return everything, after, await actions(client, uri, lsp.Position(0, 0), [lsp.CodeActionKind.SourceFixAll])

    everything, after, again = talk(tmp_path, conversation, None, "--profile", "pedantic")
    assert everything.kind == lsp.CodeActionKind.SourceFixAll
    assert "LKS004" not in rules(after)
    assert again == []


def test_columns_are_counted_in_the_units_that_the_client_asks_for(tmp_path, uri) -> None:
    text = SPEC.replace("    pid: host\n", '    env: ["A=\U0001f600", "PASSWORD=Gr4vel-Harbour-91"]\n')

    async def conversation(client: Client):
        opened(client, uri, text)
        return await client.diagnostics()

    column = {}
    for encodings in (None, ["utf-8"], ["utf-32"]):
        (secret,) = [one for one in talk(tmp_path, conversation, encodings) if one.code == "LKX002"]
        column[str(encodings)] = secret.range.start.character
    assert column["['utf-8']"] - column["['utf-32']"] == 3
    assert column["None"] - column["['utf-32']"] == 1


def test_without_its_library_the_command_says_what_to_install(monkeypatch, capsys) -> None:
    monkeypatch.setattr("lkscan.commands.lsp.find_spec", lambda _: None)
    assert main(["lsp"]) == 2
    assert capsys.readouterr().err == "lkscan: the language server needs the extra 'lsp': pip install 'lkscan[lsp]'\n"


def test_text_from_a_spec_cannot_write_markdown() -> None:
    assert language_server._escaped("[x](http://y) <b> `c`") == r"\[x\](http://y) \<b\> \`c\`"


NEOVIM = """
local path, out = vim.env.LKSCAN_SPEC, vim.env.LKSCAN_OUT
vim.cmd("edit " .. path)
local client = vim.lsp.start_client({
  name = "lkscan", cmd = vim.fn.json_decode(vim.env.LKSCAN_COMMAND), root_dir = vim.fn.fnamemodify(path, ":h"),
})
vim.lsp.buf_attach_client(0, client)
vim.wait(60000, function() return #vim.diagnostic.get(0) > 0 end, 50)
local before = vim.diagnostic.get(0)
for index, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
  if line:find("pid: host") then vim.api.nvim_buf_set_lines(0, index - 1, index, false, {}) end
end
vim.wait(60000, function() return #vim.diagnostic.get(0) < #before end, 50)
vim.fn.writefile({ vim.fn.json_encode({ before = before, after = vim.diagnostic.get(0) }) }, out)
vim.cmd("qall!")
"""


@pytest.mark.skipif(shutil.which("nvim") is None, reason="needs nvim (neovim)")
def test_neovim_shows_what_is_found_and_forgets_what_was_mended(tmp_path, monkeypatch) -> None:
    spec, script, out = tmp_path / "linuxkit.yml", tmp_path / "drive.lua", tmp_path / "out.json"
    spec.write_text(SPEC, encoding="utf-8")
    script.write_text(NEOVIM, encoding="utf-8")
    monkeypatch.setenv("LKSCAN_SPEC", str(spec))
    monkeypatch.setenv("LKSCAN_OUT", str(out))
    monkeypatch.setenv("LKSCAN_COMMAND", json.dumps([sys.executable, "-m", "lkscan", "lsp"]))
    monkeypatch.setenv("HOME", str(tmp_path))
    command = ["nvim", "--headless", "-u", "NONE", "-n", "-c", f"luafile {script}"]
    subprocess.run(command, check=True, timeout=180, capture_output=True)
    shown = json.loads(out.read_text(encoding="utf-8"))
    assert {"LKN001", "LKI001"} <= {one["code"] for one in shown["before"]}
    assert "LKN001" not in {one["code"] for one in shown["after"]}
