"""Modules of an image's kernels are told of together, with those that differ named."""

import pytest
from elflab import module as module_bytes
from imagelab import Item, newc, of, subjects
from rulelab import SPEC, file, fires, outcomes

from lkscan.rules.engine import Outcome, Severity
from lkscan.rules.modules import (
    RULES,
    module_of_another_kernel,
    module_without_retpoline,
    out_of_tree_module,
    unsigned_module,
)
from lkscan.scanner.subjects import Kernel, KernelModule, System

INFO = {"vermagic": "6.12.1-lab SMP mod_unload ", "retpoline": "Y", "intree": "Y", "license": "GPL v2"}


def module(name="overlay", *, signed=True, **info):
    facts = {key: value for key, value in {**INFO, **info}.items() if value}
    return KernelModule(file(f"lib/modules/6.12.1-lab/{name}.ko"), name, facts, signed)


def system(*modules, config=None, version="6.12.1-lab", arch="x86_64"):
    kernels = (Kernel(SPEC, version, "", arch, "bzImage", "gzip", config),) if version else ()
    made = System(SPEC, "image", False, "cpio", kernels=kernels)  # noqa: FBT003 - of LinuxKit
    return made._replace(kernel_modules=modules, modules=len(modules))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_image_without_modules_is_not_asked(rule):
    assert outcomes(rule, system()) == {Outcome.NOT_APPLICABLE}


CASES = [
    (unsigned_module, system(module()), Outcome.PASS),
    (unsigned_module, system(module(signed=False)), Outcome.FAIL),
    (unsigned_module, system(module(signed=False), config={"MODULES": "y"}), Outcome.NOT_APPLICABLE),
    (unsigned_module, system(module(signed=False), config={"MODULE_SIG": "y"}), Outcome.FAIL),
    (module_of_another_kernel, system(module()), Outcome.PASS),
    (module_of_another_kernel, system(module(vermagic="6.6.13 SMP ")), Outcome.FAIL),
    (module_of_another_kernel, system(module(vermagic="")), Outcome.PASS),
    (module_of_another_kernel, system(module(), version=""), Outcome.UNDECIDED),
    (module_without_retpoline, system(module()), Outcome.PASS),
    (module_without_retpoline, system(module(), module("b", retpoline="")), Outcome.FAIL),
    (module_without_retpoline, system(module(retpoline="")), Outcome.NOT_APPLICABLE),
    (module_without_retpoline, system(module(retpoline=""), config={"RETPOLINE": "y"}), Outcome.FAIL),
    (module_without_retpoline, system(module(retpoline=""), config={"MITIGATION_RETPOLINE": "y"}), Outcome.FAIL),
    (module_without_retpoline, system(module(), module("b", retpoline=""), arch="arm64"), Outcome.NOT_APPLICABLE),
    (out_of_tree_module, system(module()), Outcome.PASS),
    (out_of_tree_module, system(module(intree="")), Outcome.FAIL),
    (out_of_tree_module, system(module(license="Proprietary")), Outcome.FAIL),
    (out_of_tree_module, system(module(license="")), Outcome.FAIL),
]


@pytest.mark.parametrize(("rule", "subject", "outcome"), CASES)
def test_modules_are_judged_by_what_modinfo_tells(rule, subject, outcome):
    assert outcomes(rule, subject) == {outcome}


def test_a_few_without_a_signature_among_others_with_one_count_for_more():
    (found,) = fires(unsigned_module, system(module(), module("extra", signed=False)))
    assert found.message.startswith("'1' of '2' kernel modules bear no signature, and the others do")
    assert (found.severity, found.members) == (Severity.MEDIUM, ("extra",))
    assert found.evidence == ("lib/modules/6.12.1-lab/extra.ko: no signature at its end",)


def test_of_many_modules_some_are_named():
    (found,) = fires(unsigned_module, system(*(module(f"m{i}", signed=False) for i in range(25))))
    assert (len(found.evidence), found.evidence[-1], len(found.members)) == (21, "and 5 more", 25)


def test_what_differs_is_said():
    (found,) = fires(module_of_another_kernel, system(module(vermagic="6.6.13 SMP ")))
    assert found.evidence == ("lib/modules/6.12.1-lab/overlay.ko: vermagic 6.6.13, kernel 6.12.1-lab",)
    tree, licence = fires(out_of_tree_module, system(module(intree="", license="Proprietary")))
    assert (tree.key, licence.key) == ("default", "licence")
    assert licence.evidence == ("lib/modules/6.12.1-lab/overlay.ko: license=Proprietary",)


def test_modules_of_an_image_come_together_in_the_end(tmp_path):
    path = "lib/modules/6.12.1-lab/kernel/{}.ko"
    lines = [f"{key}={value}" for key, value in INFO.items()]
    inner = [
        Item(path.format("a"), module_bytes(*lines, "alias=x", signed=True)),
        Item(path.format("b"), module_bytes(*lines)),
    ]
    items = subjects(tmp_path, newc(*inner))
    assert [one.signed for one in items[-1].kernel_modules] == [True, False]
    assert items[-1].kernel_modules[0].info == INFO
    assert [one.info["alias"] for one in of(items, KernelModule) if "alias" in one.info] == ["x"]
