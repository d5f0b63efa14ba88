"""What a kernel makes of its command line: the one that is built in, and those that boot loaders pass.

CONFIG_CMDLINE and the options beside it, as arch/*/Kconfig of Linux 4.4 to 7.3 have them: on x86 it stands in front of
the boot loader's, or takes its place; elsewhere it serves where the boot loader passes none (the default), follows the
boot loader's, or takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .startup import Literal
from .subjects import Kernel, KernelCommandLine, Place

POINTER = "CONFIG_CMDLINE"
"""The place of a command line inside a kernel."""

_Mode = Literal["none", "alone", "in front", "behind", "instead"]


def effective(kernels: Sequence[Kernel], lines: Iterable[KernelCommandLine]) -> list[KernelCommandLine]:
    """The command lines as the kernels heed them: those of boot loaders first, then those that are built in.

    What a kernel does with a boot loader's line counts only where all of them do the same: which boots by which line
    is not known.
    """
    passed = [line for line in lines if not line.built_in]
    if not any(_text(kernel) for kernel in kernels):
        return passed
    modes = {_mode(kernel) for kernel in kernels}
    mode = modes.pop() if len(modes) == 1 else "none"
    given = [line for line in passed if line.text.strip()]
    if mode == "alone":
        passed = [line._replace(ignored="the kernel was built to heed its own command line only") for line in passed]
    elif mode == "behind":
        passed = [line._replace(overridden=_common([_built_in(kernel) for kernel in kernels])) for line in passed]
    again = _common(given)
    return [*passed, *(_heeded(kernel, again, is_passed=bool(given)) for kernel in kernels if _text(kernel))]


def _heeded(kernel: Kernel, again: tuple[str, ...], *, is_passed: bool) -> KernelCommandLine:
    """What is built in; `again` are the parameters that all boot loaders pass, if anything `is_passed`."""
    line, mode = _built_in(kernel), _mode(kernel)
    if mode == "instead" and is_passed:
        return line._replace(ignored="the boot loader passes one, in the place of which it would serve")
    return line._replace(overridden=again) if mode == "in front" else line


def _built_in(kernel: Kernel) -> KernelCommandLine:
    return KernelCommandLine(Place(kernel.place.artifacts, None, POINTER), _text(kernel), built_in=True)


def _text(kernel: Kernel) -> str:
    """What is built in; on x86 CONFIG_CMDLINE_BOOL switches it."""
    config = kernel.config or {}
    if "CMDLINE_BOOL" in config and config["CMDLINE_BOOL"] != "y":
        return ""
    return config.get("CMDLINE", "").strip()


def _mode(kernel: Kernel) -> _Mode:
    config = kernel.config or {}
    if not _text(kernel):
        return "none"
    if "y" in {config.get("CMDLINE_OVERRIDE"), config.get("CMDLINE_FORCE")}:
        return "alone"
    if kernel.arch in {"x86", "x86_64"}:
        return "in front"
    return "behind" if config.get("CMDLINE_EXTEND") == "y" else "instead"


def _common(lines: Iterable[KernelCommandLine]) -> tuple[str, ...]:
    """The parameters that every one of the lines gives."""
    names = [{name.replace("-", "_") for name, _ in line.arguments} for line in lines]
    return tuple(sorted(set.intersection(*names))) if names else ()
