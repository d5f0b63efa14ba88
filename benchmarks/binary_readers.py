"""One reader of ELF after another, each for itself: what binaries.py measures, with nothing else loaded.

    binary_readers.py facts|code|lief|pyelftools LIST

LIST is a file with a path on each line. The exit status is 0 where all of them were read.
"""

from __future__ import annotations

import mmap
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _lkscan(paths: list[str], *, code: bool) -> int:
    """Looks at the files where they lie in the cache of the system, as it does at those of an image."""
    from lkscan.scanner.hardening import examine
    from lkscan.scanner.subjects import File, Place

    known = 0
    for path in paths:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            file = File(path, "file", 0o755, 0, 0, size, Place((path,)))
            if code:
                found = examine(file, stream.read())
            else:
                with mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
                    found = examine(file, data, code=False)  # type: ignore[arg-type]  # what it asks of bytes, a map has
        known += found is not None
    return known


def _lief(paths: list[str]) -> int:
    import lief

    config = lief.ELF.ParserConfig()
    config.parse_relocations = config.parse_symtab_symbols = config.parse_symbol_versions = config.parse_notes = False
    known = 0
    for path in paths:
        binary: Any = lief.ELF.parse(path, config)
        kinds = {segment.type for segment in binary.segments}
        tags = {entry.tag for entry in binary.dynamic_entries}
        names = {symbol.name for symbol in binary.dynamic_symbols if symbol.shndx == 0}
        known += bool(kinds) and (binary.is_pie, binary.has_nx, len(tags), "__stack_chk_fail" in names) is not None
    return known


def _pyelftools(paths: list[str]) -> int:
    from elftools.elf.elffile import ELFFile

    known = 0
    for path in paths:
        with open(path, "rb") as stream:
            file: Any = ELFFile(stream)
            dynamic = next((one for one in file.iter_segments() if one["p_type"] == "PT_DYNAMIC"), None)
            tags = {entry.entry.d_tag for entry in dynamic.iter_tags()} if dynamic else set()
            table = file.get_section_by_name(".dynsym")
            symbols = (
                table.iter_symbols() if hasattr(table, "iter_symbols") else ()
            )  # of debug symbols it has no content
            names = {one.name for one in symbols if one["st_shndx"] == "SHN_UNDEF"}
            known += (len(tags), "__stack_chk_fail" in names) is not None
    return known


def main() -> None:
    """Read the files of a list in one way."""
    with open(sys.argv[2], encoding="utf-8") as stream:
        paths = stream.read().split("\n")
    name = sys.argv[1]
    if name == "lief":
        known = _lief(paths)
    elif name == "pyelftools":
        known = _pyelftools(paths)
    else:
        known = _lkscan(paths, code=name == "code")
    sys.exit(known != len(paths))


if __name__ == "__main__":
    main()
