"""The guard against regressions: which reference an interpreter has, and what is off."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def guard() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guard", ROOT / "benchmarks/guard.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "whose", "tolerance"),
    [
        pytest.param("3.11.7", "3.11.7", 0.05, id="its own"),
        pytest.param("3.11.2", "3.11.7", 0.15, id="that of another build of the same version, loosely"),
        pytest.param("3.1.7", "", 0.15, id="none, though 3.11 starts alike"),
    ],
)
def test_an_interpreter_is_compared_with(guard: ModuleType, version: str, whose: str, tolerance: float) -> None:
    assert guard.reference_for(version, {"3.11.7": {}, "3.13.0": {}}) == (whose, tolerance)


@pytest.mark.parametrize(
    ("found", "off"),
    [
        pytest.param(1.049, 0, id="a little more work is let pass"),
        pytest.param(1.051, 1, id="more work is off"),
        pytest.param(0.949, 1, id="less work is off: the reference is old"),
    ],
)
def test_a_figure_against_its_reference(guard: ModuleType, found: float, off: int) -> None:
    assert guard.compare({"version": found}, {"version": 1.0}, 0.05) == off


def test_a_scenario_without_a_figure_is_off(guard: ModuleType) -> None:
    assert guard.compare({"new": 1.0}, {}, 0.05) == 1


def test_every_reference_has_a_figure_for_each_scenario(guard: ModuleType) -> None:
    references = json.loads((ROOT / "benchmarks/guard.json").read_text(encoding="utf-8"))
    assert len({tuple(sorted(one)) for one in references.values()}) == 1
    assert all(figure > 0 for one in references.values() for figure in one.values())
