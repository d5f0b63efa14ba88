"""NIST SP 800-190: numbers and titles."""

import pytest

from lkscan.rules.nist import section, sections


def test_every_group_has_its_risks() -> None:
    assert [number for number in sections() if number.startswith("3.4.")] == [f"3.4.{n}" for n in range(1, 6)]
    assert len(sections()) == 5 + 3 + 5 + 5 + 5


def test_a_risk_is_answered_by_the_countermeasure_of_the_same_last_numbers() -> None:
    for number, one in sections().items():
        assert one.countermeasure == f"4{number[1:]}"
        assert one.title
        assert one.group


def test_a_section_reads_well() -> None:
    assert str(section("3.4.3")) == "3.4.3 Insecure container runtime configurations"
    assert section("3.5.5").countermeasure_title == "Host file system tampering"
    assert section("3.1.4").countermeasure_title == section("3.1.4").title


def test_an_invented_number_is_refused() -> None:
    with pytest.raises(KeyError):
        section("3.6.1")
