"""Family B: the loadable modules of an image's kernels, all together."""

from collections.abc import Callable, Iterator

from ..scanner.subjects import KernelModule, System
from .engine import Profile, Severity, Verdict, fail, not_applicable, rule, undecided

_SUBJECT = "modules"
_LISTED = 20
"""Modules that are named in the evidence."""
_FREE = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL", "Dual MIT/GPL v2"}
)
"""Licences that the kernel takes for compatible with its own (license_is_gpl_compatible)."""


def _has_modules(system: System) -> bool:
    return bool(system.kernel_modules)


def _those(
    system: System,
    lack: Callable[[KernelModule], str],
    *,
    severity: Severity | None = None,
    variant: str = "default",
    profile: Profile | None = None,
) -> Iterator[Verdict]:
    """One failure for all modules of which `lack` says something, at the first of them."""
    facts = [(one, why) for one in system.kernel_modules if (why := lack(one))]
    if facts:
        first = facts[0][0]
        lines = [f"{one.file.path}: {why}" for one, why in facts[:_LISTED]]
        more = len(facts) - len(lines)
        yield fail(
            _SUBJECT,
            first.place,
            *(str(len(facts)), str(len(system.kernel_modules))),
            evidence=[*lines, *([f"and {more} more"] if more else [])],
            severity=severity,
            variant=variant,
            profile=profile,
            key=variant,
            members=[one.name for one, _ in facts],
        )


@rule(
    "LKB014",
    "unsigned-module",
    Severity.LOW,
    {
        "default": "'{0}' of '{1}' kernel modules bear no signature.",
        "some": "'{0}' of '{1}' kernel modules bear no signature, and the others do.",
    },
    remedy="Build modules with the kernel (MODULE_SIG_ALL=y), or sign them by scripts/sign-file with its key.",
    nist=("3.5.2", "3.5.5"),
    about=_has_modules,
)
def unsigned_module(system: System) -> Iterator[Verdict]:
    """Kernel modules have no signature appended, so that nothing ties them to the kernel they are for.

    Whether a signature is valid depends on keys that only the kernel has. Where no kernel checks signatures, it is not
    applicable: that is a matter of the kernel's configuration.
    """
    configured = [one.config for one in system.kernels if one.config is not None]
    if configured and all(one.get("MODULE_SIG", "n") != "y" for one in configured):
        why = "The kernel checks no signatures (MODULE_SIG is not set)."
        yield not_applicable(_SUBJECT, system.kernel_modules[0].place, why)
    elif any(one.signed for one in system.kernel_modules):
        yield from _those(system, _unsigned, severity=Severity.MEDIUM, variant="some")
    else:
        yield from _those(system, _unsigned)


def _unsigned(module: KernelModule) -> str:
    return "" if module.signed else "no signature at its end"


@rule(
    "LKB015",
    "module-of-another-kernel",
    Severity.LOW,
    "'{0}' of '{1}' kernel modules are built for a kernel that is not in the image.",
    remedy="Take modules and kernel from one build.",
    nist=("3.5.1", "3.5.3"),
    about=_has_modules,
)
def module_of_another_kernel(system: System) -> Iterator[Verdict]:
    """Kernel modules name a release that no kernel of the image has, so the kernel refuses to load them.

    What they were put there for (a driver, a filter) is then missing.
    """
    releases = {one.version for one in system.kernels if one.version}
    if not releases:
        why = "No kernel is in the image whose release is known."
        yield undecided(_SUBJECT, system.kernel_modules[0].place, why)
        return
    known = ", ".join(sorted(releases))

    def stranger(module: KernelModule) -> str:
        release = module.info.get("vermagic", "").partition(" ")[0]
        return f"vermagic {release}, kernel {known}" if release and release not in releases else ""

    yield from _those(system, stranger)


@rule(
    "LKB016",
    "module-without-retpoline",
    Severity.MEDIUM,
    "'{0}' of '{1}' kernel modules are compiled without retpolines, which their kernel has.",
    remedy="Compile them with the kernel's own flags (make -C /lib/modules/RELEASE/build M=DIR modules).",
    nist=("3.5.2", "3.5.3"),
    about=_has_modules,
)
def module_without_retpoline(system: System) -> Iterator[Verdict]:
    """Kernel modules undo their kernel's defence against Spectre variant 2: their indirect branches are plain ones.

    x86 only. Whether the kernel has it is taken from its configuration, or else from the other modules.
    """
    first = system.kernel_modules[0].place
    machines = {one.arch for one in system.kernels} or {"x86_64"}
    if not machines & {"x86", "x86_64", "i386"}:
        yield not_applicable(_SUBJECT, first, f"A kernel for {', '.join(sorted(machines))} has no retpolines.")
        return
    configured = [one.config for one in system.kernels if one.config is not None]
    names = ("MITIGATION_RETPOLINE", "RETPOLINE")
    if any(config.get(name) == "y" for config in configured for name in names) or any(
        _has_retpolines(one) for one in system.kernel_modules
    ):
        yield from _those(system, lambda one: "" if _has_retpolines(one) else "no retpoline=Y in .modinfo")
    else:
        yield not_applicable(_SUBJECT, first, "Neither the kernel nor any module is known to have retpolines.")


def _has_retpolines(module: KernelModule) -> bool:
    return module.info.get("retpoline") == "Y"


@rule(
    "LKB017",
    "out-of-tree-module",
    Severity.LOW,
    {
        "default": "'{0}' of '{1}' kernel modules are not part of the kernel's own source.",
        "licence": "'{0}' of '{1}' kernel modules have a licence that the kernel takes for proprietary.",
    },
    remedy="Leave out what the system does not need; prefer drivers that are part of the kernel.",
    nist=("3.5.1", "3.5.2"),
    profile=Profile.PEDANTIC,
    about=_has_modules,
)
def out_of_tree_module(system: System) -> Iterator[Verdict]:
    """Kernel modules come from elsewhere: nobody who looks after the kernel reviews or mends them."""
    yield from _those(system, lambda one: "" if one.info.get("intree") == "Y" else "no intree=Y in .modinfo")
    yield from _those(system, _proprietary, variant="licence")


def _proprietary(module: KernelModule) -> str:
    licences = module.info.get("license", "").split("\n")
    return "" if _FREE.issuperset(licences) else f"license={', '.join(licences) or 'none'}"


RULES = (unsigned_module, module_of_another_kernel, module_without_retpoline, out_of_tree_module)
