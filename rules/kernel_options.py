"""What a kernel's configuration says of the options in kernel_options.toml."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ..scanner.startup import Any, Literal, NamedTuple
from ..scanner.subjects import Kernel, KernelCommandLine, System
from .tables import load

_MARKERS = ("LOCALVERSION", "PANIC_TIMEOUT")
"""Options with a value in every configuration (from 3.14): of its first menu, and of its last."""

_LAST = b"\n# end of Kernel hacking"
"""What closes the last menu."""


class State(NamedTuple):
    """What a configuration says of a feature; `option` is its name in that version, `fact` what decides."""

    value: Literal["on", "off", "absent", "unknown"]
    option: str
    fact: str


class Answer(NamedTuple):
    """What a configuration, with what is given at boot, makes of an option that ought to have a certain value.

    `absent`: this version, architecture or configuration has no such option, and `parent` is the option that it would
    take, "" where it is another reason. `option` is its name in that version, `fact` what decides.
    """

    value: Literal["good", "bad", "absent", "unknown"]
    key: str
    option: str
    fact: str
    parent: str = ""


class Given(NamedTuple):
    """What is given at boot: parameters of the command line, and settings, each with its last value."""

    arguments: Mapping[str, str | None] = {}
    settings: Mapping[str, str] = {}


def given(lines: Iterable[KernelCommandLine], settings: Iterable[tuple[str, str]]) -> Given:
    """What is given at boot in any case: by the settings, and by each of the command lines that there are.

    Of two values for one name, the last one counts. What is built in adds to what boot loaders pass.
    """
    built_in: dict[str, str | None] = {}
    told: dict[str, set[str | None]] = {}
    counts: Counter[str] = Counter()
    number = 0
    for line in lines:
        if line.ignored or not line.text.strip():
            continue
        pairs = dict(_pairs(line))
        if line.built_in:
            built_in.update(pairs)
            continue
        number += 1
        counts.update(pairs.keys())
        for name, value in pairs.items():
            told.setdefault(name, set()).add(value)
    always = {name: values.pop() for name, values in told.items() if len(values) == 1 and counts[name] == number}
    kept = {name: value for name, value in built_in.items() if told.get(name, {value}) <= {value}}
    return Given({**kept, **always}, dict(settings))


def _pairs(line: KernelCommandLine) -> list[tuple[str, str | None]]:
    named = ((name.replace("-", "_"), value) for name, value in line.arguments)
    return [(name, value) for name, value in named if name not in line.overridden]


def is_whole(kernel: Kernel) -> bool:
    """Whether its configuration is complete, as Kconfig wrote it: neither a fragment nor cut off.

    Kconfig closes its menus with a comment (since 4.20), and the last of them is `Kernel hacking`.
    """
    text = kernel.config_text
    if not all(marker in (kernel.config or {}) for marker in _MARKERS):
        return False
    last = text.rfind(_LAST) + len(_LAST)  # from the end, where it stands: this is asked for every option
    return text[last : last + 2].startswith((b"\n", b"\r\n")) if last >= len(_LAST) else b"\n# end of " not in text


def spellings(key: str, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The names of an option, each with the versions that have it."""
    names: list[Mapping[str, Any]] = row.get("names") or [{**row, "name": key}]
    return names


def state_of(kernel: Kernel, config: Mapping[str, str], feature: str) -> State:
    """Whether `feature` (a table of kernel_options.toml) is on; an option that is `y` counts in any version.

    A vendor may have brought it to an older one. `absent`: the version or the architecture has no such option.
    """
    table = load("kernel_options")[feature]
    names = spellings(feature, table)
    on = next((name["name"] for name in names if config.get(name["name"]) == "y"), None)
    if on:
        return State("on", on, f"CONFIG_{on}=y")
    version = _version(kernel.version)
    if version is None:
        return State("unknown", feature, "the kernel's version is not known")
    known = [name["name"] for name in names if _exists(name, version)]
    if not known:
        return State("absent", feature, f"Linux {kernel.version} has no option CONFIG_{feature}")
    return _off(kernel, config, table, known)


def _off(kernel: Kernel, config: Mapping[str, str], table: Mapping[str, Any], known: list[str]) -> State:
    """None of the spellings that this version knows is on: switched off, not on offer, or not in the text."""
    option, whole = known[0], is_whole(kernel)
    mentioned = [name for name in known if name in config]
    if mentioned and (whole or mentioned == known):
        return State("off", mentioned[0], line(config, mentioned[0]))
    if not whole:
        return State("unknown", option, f"the configuration is a fragment and does not tell of CONFIG_{option}")
    if needed := _missing(config, table):
        return State("absent", option, _not_on_offer(option, needed))
    return State("off", option, f"a complete configuration without a line for CONFIG_{option}, so it is off")


def answer(kernel: Kernel, key: str, boot: Given) -> Answer:
    """What the kernel's configuration, and what is given at boot, makes of an option of the table.

    Kconfig writes a line for every option that is on offer, so that one without a line, in a complete configuration,
    could not be switched on: the version or the architecture lacks it, or something that it depends on is off.
    """
    config, row = kernel.config or {}, load("kernel_options")[key]
    names, want = spellings(key, row), row.get("want", "y")
    mentioned = [name["name"] for name in names if name["name"] in config]
    good = [name for name in mentioned if _fits(config, name, want)]
    if good and (want != "n" or good == mentioned):
        return Answer("good", key, good[0], line(config, good[0]))
    if reason := _instead(config, row, boot):
        return Answer("good", key, (mentioned or [key])[0], reason)
    bad = [name for name in mentioned if name not in good]
    version = _version(kernel.version)
    known = [name["name"] for name in names if version is None or _exists(name, version)]
    needed = _missing(config, row) if want.startswith("has ") and is_whole(kernel) else None
    if bad and needed:  # a list has a line whatever it may name
        fact = f"CONFIG_{bad[0]} can have {want[4:]} only with CONFIG_{needed[0]}"
        return Answer("absent", key, bad[0], fact, needed[0])
    if bad and (is_whole(kernel) or want == "n" or set(known) <= set(mentioned)):
        return Answer("bad", key, bad[0], line(config, bad[0]))
    return _unmentioned(kernel, key, row, (known or [names[0]["name"]])[0], lacking=not known)


def _unmentioned(kernel: Kernel, key: str, row: Mapping[str, Any], option: str, *, lacking: bool) -> Answer:
    """What it means that a configuration does not tell of an option."""
    config, arch = kernel.config or {}, kernel.arch
    if arch and arch not in row.get("archs", (arch,)):
        return Answer("absent", key, option, f"CONFIG_{option} is not an option of {arch}")
    if lacking:
        return Answer("absent", key, option, f"Linux {kernel.version} has no option CONFIG_{option}")
    if not is_whole(kernel):
        return Answer("unknown", key, option, f"the configuration does not tell of CONFIG_{option}")
    if row.get("want") == "n":
        return Answer("good", key, option, f"a complete configuration without CONFIG_{option}")
    if needed := _missing(config, row):
        return Answer("absent", key, option, _not_on_offer(option, needed), needed[0].lstrip("!"))
    why = "the version lacks it, or something that it depends on is off"
    return Answer("absent", key, option, f"CONFIG_{option} is not on offer in this configuration: {why}")


def _missing(config: Mapping[str, str], row: Mapping[str, Any]) -> list[str] | None:
    """The options of which an option needs one, where none is on."""
    return next((some for some in row.get("needs", ()) if not any(_is_on(config, one) for one in some)), None)


def _not_on_offer(option: str, needed: list[str]) -> str:
    first = needed[0]
    how = f"with CONFIG_{first[1:]}" if first[0] == "!" else f"without CONFIG_{' or CONFIG_'.join(needed)}"
    return f"CONFIG_{option} is not on offer {how}"


def _is_on(config: Mapping[str, str], option: str) -> bool:
    return config.get(option) in {"y", "m"} if option[0] != "!" else config.get(option[1:]) not in {"y", "m"}


def _fits(config: Mapping[str, str], name: str, want: str) -> bool:
    """Whether the value of an option that is mentioned is the one that is wanted."""
    value = config[name]
    if want.startswith("has "):
        return not {one.strip() for one in value.split(",")}.isdisjoint(want[4:].split("|"))
    if want == "max":
        return _number(value) >= _number(config.get(f"{name}_MAX", value))
    if want.startswith(">="):
        return _number(value) >= int(want[2:])
    return value == want


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else -1


def _instead(config: Mapping[str, str], row: Mapping[str, Any], boot: Given) -> str:
    """What gives the same as the option: another one, an argument, a setting; "" where nothing does."""
    if other := next((name for name in row.get("enough", ()) if config.get(name) == "y"), None):
        return f"CONFIG_{other}=y gives the same"
    if (argument := row.get("argument")) and argument["name"].replace("-", "_") in boot.arguments:
        name, value = argument["name"], boot.arguments[argument["name"].replace("-", "_")]
        if ("values" not in argument and value is None) or re.fullmatch(argument.get("values", "(?!)"), value or ""):
            return f"the command line has {name}" + (f"={value}" if value is not None else "")
    if setting := row.get("setting"):
        value = boot.settings.get(setting["name"])
        if value is not None and re.fullmatch(setting["values"], value):
            return f"{setting['name']} is set to {value} at boot"
    return ""


def line(config: Mapping[str, str], option: str) -> str:
    """The line of a configuration that tells of an option."""
    value = config[option]
    return f"# CONFIG_{option} is not set" if value == "n" else f"CONFIG_{option}={value}"


def answers(kernel: Kernel, boot: Given, group: str | None = None) -> Iterator[Answer]:
    """The answers on all options of a group, or of the whole table, in its order."""
    for key, row in load("kernel_options").items():
        if group is None or row.get("group") == group:
            yield answer(kernel, key, boot)


def label(one: Answer) -> str:
    """How to call an option: by its name, and a list with what it lacks (`LSM with landlock`)."""
    want: str = load("kernel_options")[one.key].get("want", "y")
    return f"{one.option} with {want[4:].replace('|', ' or ')}" if want.startswith("has ") else one.option


def since(key: str, option: str) -> str:
    """The version that brought an option under this name, "" where it is older than what is maintained."""
    found = next((name for name in spellings(key, load("kernel_options")[key]) if name["name"] == option), {})
    return str(found.get("since", ""))


def wanted(kernel: Kernel, key: str, option: str) -> str:
    """The value that an option ought to have, as a configuration would have it."""
    want: str = load("kernel_options")[key].get("want", "y")
    if want == "max":
        return (kernel.config or {}).get(f"{option}_MAX", want)
    return want.removeprefix(">=").removeprefix("has ")


def kernels(system: System) -> list[Kernel]:
    """Those whose configuration is known; of several of one place, which replace one another, the last."""
    found = {one.place.artifacts: one for one in system.kernels}
    return [one for one in found.values() if one.config is not None]


def _version(text: str) -> tuple[int, ...] | None:
    match = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", text, re.ASCII)
    return tuple(int(part) for part in match.groups() if part) if match else None


def _exists(name: Mapping[str, Any], version: tuple[int, ...]) -> bool:
    """Whether the version has the option: from `since` to `until`, or as one that was brought to older series."""
    begin, end = _version(name.get("since", "")), _version(name.get("until", ""))
    if end is not None and version[:2] >= end:
        return False
    if begin is None or begin <= version:
        return True
    older = (_version(text) or () for text in name.get("backports", ()))
    return any(version[:2] == one[:2] and version >= one for one in older)
