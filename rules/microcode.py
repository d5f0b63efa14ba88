"""Family K: the microcode that an initrd brings for the CPU."""

from collections.abc import Iterator, Mapping
from struct import Struct

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import File
from .engine import Profile, Severity, Verdict, fail, rule, undecided
from .kernel import days_between, today
from .origins import unread
from .tables import load

_PATHS = {"kernel/x86/microcode/GenuineIntel.bin": "Intel", "kernel/x86/microcode/AuthenticAMD.bin": "AMD"}
"""Where Linux looks, in the uncompressed archive in front of the initrd (Documentation/arch/x86/microcode.rst)."""
_LIMIT = 64 << 20
"""Bytes of such a file that are read: Intel's whole set has some 13 MiB."""
_UPDATES = 4096
_WHOLE = 50
"""Models from which a set is Intel's and not made for one machine, for which there may be nothing newer."""
_INTEL = Struct("<IiIIIIIII")
"""Header: 1, revision, date, signature, sum, loader's revision, flags, size of the data, size of all."""
_PAIR = Struct("<II")
_AMD_MAGIC = 0x00414D44


class Update(NamedTuple):
    """An update for one model: its signature (CPUID; of AMD's, its number) and its date, YYYY-MM-DD."""

    signature: int
    date: str


def intel(data: bytes) -> Iterator[Update]:
    """The updates of a file as Intel makes them, one behind the other; ends where there is no header."""
    at = 0
    for _ in range(_UPDATES):
        if at + _INTEL.size > len(data):
            return
        version, _, date, signature, _, _, _, _, size = _INTEL.unpack_from(data, at)
        if version != 1:
            return
        yield Update(signature, _date(date))
        at += size or 2048


def amd(data: bytes) -> Iterator[Update]:
    """The updates of AMD's containers: a table of models, then patches; ends where there is neither."""
    at = 0
    for _ in range(_UPDATES):
        if at + 8 > len(data):
            return
        kind, size = _PAIR.unpack_from(data, at)
        if kind == _AMD_MAGIC:  # the kind and the size of the table follow
            size = int.from_bytes(data[at + 8 : at + 12], "little") + 4
        elif kind == 1 and at + 16 <= len(data):
            date, number = _PAIR.unpack_from(data, at + 8)
            yield Update(number, _date(date))
        else:
            return
        at += 8 + size


def _date(number: int) -> str:
    """`0x04252021` is 2021-04-25, in both formats; "" for what is no date."""
    text = f"{number:08x}"
    return f"{text[4:]}-{text[:2]}-{text[2:4]}" if text.isdecimal() and "0101" <= text[:4] <= "1231" else ""


def _is_microcode(file: File) -> bool:
    return file.kind in {"file", "hardlink"} and file.path in _PATHS


@rule(
    "LKK019",
    "old-microcode",
    Severity.MEDIUM,
    {
        "default": "The newest of Intel's microcode in '{0}' is of '{1}': '{2}' later releases are not in it.",
        "amd": "The newest of AMD's microcode in '{0}' is of '{1}'.",
    },
    remedy="Take the microcode of a newer package into the initrd (`kernel.ucode`).",
    nist=("3.5.3",),
    about=_is_microcode,
    parameters={"days": 180},
)
def old_microcode(file: File, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """The microcode that Linux loads first at boot lacks updates that Intel published long ago.

    `days`: for so long a release that is missing may have been out. AMD's is told of, not judged: its maker keeps no
    list of dates. A file with updates for a few models only is not judged either.
    """
    if file.read is None:
        yield unread(file)
        return
    data, maker = file.read(_LIMIT), _PATHS[file.path]
    found = [one for one in (intel if maker == "Intel" else amd)(data) if one.date]
    if not found:
        yield undecided(file.path, file.place, f"It holds no microcode of {maker}'s that could be read.")
        return
    newest, models = max(one.date for one in found), len({one.signature for one in found})
    facts = [f"{len(found)} updates for {models} models, the newest of {newest}"]
    if maker == "AMD":
        yield fail(
            *(file.path, file.place, file.path, newest),
            variant="amd",
            severity=Severity.NOTE,
            profile=Profile.AUDITOR,
            evidence=facts,
        )
        return
    table, now = load("microcode"), today()
    later = sorted(day for day, date in table["intel"].items() if date > newest and day <= now)
    if not later or days_between(later[0], now) <= parameters["days"]:
        return
    if models < _WHOLE:
        reason = f"It has microcode for {models} models only: whether there is newer for these is not known."
        yield undecided(file.path, file.place, reason)
        return
    facts.append(f"the first release that has newer updates is of {later[0]} (table of {table['as_of']})")
    yield fail(file.path, file.place, file.path, newest, str(len(later)), evidence=[*facts, f"compared with {now}"])


RULES = (old_microcode,)
