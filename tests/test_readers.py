"""Three readers of ELF agree on every ELF file below /usr: lkscan's own, lief and pyelftools.

Where lkscan says more than the others, or means another thing by it, the comparisons below say what and why. Files
above 64 MiB are left out, as lief reads all of a file (1 ms and 1 MB of memory each); pyelftools reads the symbols of
one file in twelve, at 15 ms each. Headers and dynamic sections are compared of all.
"""

import os
from pathlib import Path

import pytest

from lkscan.scanner import hardening, imports
from lkscan.scanner.elf import MAGIC, Elf
from lkscan.scanner.notes import features
from lkscan.scanner.source import DamagedError
from lkscan.scanner.subjects import Binary, File, Place

LARGE = 64 << 20
SYMBOLS = 12
LEAST = 200
"""Files that any machine with the tools for these tests has."""
MANY = 1 << 14
"""Of a library that defines more than that, lkscan leaves out weak symbols whose address is compared."""
X86_FEATURES = 0xC0000002


def programs() -> list[Path]:
    """All ELF files below /usr, each once."""
    found: dict[tuple[int, int], Path] = {}
    for top, folders, files in os.walk("/usr"):
        folders.sort()
        for path in (Path(top, name) for name in sorted(files)):
            status = path.lstat()
            if path.is_symlink() or not path.is_file() or not len(MAGIC) < status.st_size <= LARGE:
                continue
            with path.open("rb") as stream:
                if stream.read(4) == MAGIC:
                    found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())


@pytest.fixture(scope="module")
def read() -> list[tuple[Path, Binary, frozenset[str], int]]:
    """Each program and library: what lkscan says of its headers, its undefined symbols, its features of x86."""
    known = []
    for path in programs():
        data = path.read_bytes()
        try:
            found = hardening.examine(
                File(str(path), "file", 0o755, 0, 0, len(data), Place((str(path),))), data, code=False
            )
            if found and found.kind not in {"debug", "object"}:
                parsed = Elf(data)
                known.append((path, found, frozenset(imports.undefined(parsed)), features(parsed, X86_FEATURES)))
        except DamagedError:
            continue  # test data of compilers; of these the others guess, or raise
    assert len(known) > LEAST
    return known


def by_the_book(*, relro: bool, now: bool, lazy: bool, dynamic: bool, mine: Binary) -> str:
    """What other readers make of the same headers, in lkscan's words."""
    if mine.relro == "static" or not dynamic:
        return mine.relro  # they have no word for a program that binds nothing at run time
    if not relro:
        return mine.relro if mine.relro == "na" else "none"  # nor for one without anything writable
    if "outside" in mine.evidence["relro"] or "covers no whole page" in mine.evidence["relro"]:
        return mine.relro  # they do not look whether what is bound lies within what is protected
    return "full" if now or not lazy else "partial"  # without JMPREL nothing is left to bind


def test_lief_agrees(read) -> None:
    lief = pytest.importorskip("lief")
    config = lief.ELF.ParserConfig()
    config.parse_relocations = config.parse_symtab_symbols = config.parse_symbol_versions = False
    tag = lief.ELF.DynamicEntry.TAG
    for path, mine, undefined, _ in read:
        theirs = lief.ELF.parse(str(path), config)
        kinds = {segment.type for segment in theirs.segments}
        entries = list(theirs.dynamic_entries)
        tags = {entry.tag: entry for entry in entries}
        now = tag.BIND_NOW in tags or bool(tags.get(tag.FLAGS, 0) and int(tags[tag.FLAGS].value) & 8)
        now = now or bool(tags.get(tag.FLAGS_1, 0) and int(tags[tag.FLAGS_1].value) & 1)
        lazy = tag.PLTRELSZ in tags and int(tags[tag.PLTRELSZ].value) > 0
        relro = lief.ELF.Segment.TYPE.GNU_RELRO in kinds
        assert mine.relro == by_the_book(relro=relro, now=now, lazy=lazy, dynamic=bool(entries), mine=mine), path
        if lief.ELF.Segment.TYPE.GNU_STACK in kinds:
            assert (mine.nx == "yes") == theirs.has_nx, path
        assert mine.interpreter == (theirs.interpreter if theirs.has_interpreter else ""), path
        assert list(mine.needed) == theirs.libraries, path
        if not (mine.kind == "dso" and mine.interpreter):  # it takes a library that can be run, libc, for a program
            assert (mine.kind in {"pie", "static-pie"}) == theirs.is_pie, path
        if entries:
            names = {one.name for one in theirs.dynamic_symbols if one.shndx == 0 and one.name}
            assert len(theirs.dynamic_symbols) > MANY or undefined - {""} == names, path


def test_pyelftools_agrees(read) -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    for number, (path, mine, undefined, x86) in enumerate(read):
        with path.open("rb") as stream:
            theirs = elffile.ELFFile(stream)
            segments = {segment["p_type"]: segment for segment in theirs.iter_segments()}
            dynamic = segments.get("PT_DYNAMIC")
            entries = list(dynamic.iter_tags()) if dynamic else []
            tags = {entry.entry.d_tag: entry.entry.d_val for entry in entries}
            now = "DT_BIND_NOW" in tags or bool(tags.get("DT_FLAGS", 0) & 8 or tags.get("DT_FLAGS_1", 0) & 1)
            relro, lazy = "PT_GNU_RELRO" in segments, bool(tags.get("DT_PLTRELSZ"))
            assert mine.relro == by_the_book(relro=relro, now=now, lazy=lazy, dynamic=bool(entries), mine=mine), path
            stack = segments.get("PT_GNU_STACK")
            assert stack is None or (mine.nx == "no") == bool(stack["p_flags"] & 1), path
            assert mine.needed == tuple(e.needed for e in entries if e.entry.d_tag == "DT_NEEDED"), path
            assert mine.soname == "".join(e.soname for e in entries if e.entry.d_tag == "DT_SONAME"), path
            paths = [e for e in entries if e.entry.d_tag in {"DT_RUNPATH", "DT_RPATH"}]
            paths.sort(key=lambda e: e.entry.d_tag != "DT_RUNPATH")
            text = getattr(paths[0], paths[0].entry.d_tag[3:].lower()) if paths else ""
            assert ":".join(mine.search) == text, path
            assert mine.textrel == ("DT_TEXTREL" in tags or bool(tags.get("DT_FLAGS", 0) & 4)), path
            assert (mine.kind in {"exec", "static"}) == (theirs.header.e_type == "ET_EXEC"), path
            assert (mine.answer("stripped") == "no") == any(
                one["sh_type"] == "SHT_SYMTAB" for one in theirs.iter_sections()
            )
            if number % SYMBOLS == 0:
                table = theirs.get_section_by_name(".dynsym")  # by the hash table, it finds none where none is defined
                symbols = list(table.iter_symbols()) if table else []
                assert len(symbols) > MANY or undefined - {""} == {
                    one.name for one in symbols if one["st_shndx"] == "SHN_UNDEF" and one.name
                }, path
                assert x86 == _features(theirs), path


def _features(theirs) -> int:
    """The bits of the property for x86, as pyelftools reads the notes."""
    for segment in (one for one in theirs.iter_segments() if one["p_type"] == "PT_NOTE"):
        for note in segment.iter_notes():
            entries = note["n_desc"] if note["n_type"] == "NT_GNU_PROPERTY_TYPE_0" else ()
            for entry in entries:
                if entry["pr_type"] == "GNU_PROPERTY_X86_FEATURE_1_AND":
                    return int(entry["pr_data"])
    return 0
