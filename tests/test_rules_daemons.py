"""Family B: the daemons of the base, and what they are written in."""

import pytest
from rulelab import binary, file, fires, outcomes

from lkscan.rules.daemons import daemon_not_type_safe
from lkscan.rules.engine import Outcome


@pytest.mark.parametrize(
    ("made", "expected"),
    [("Rust", Outcome.PASS), ("Go 1.22.1", Outcome.PASS), ("Clang 18", Outcome.FAIL), ("", Outcome.UNDECIDED)],
)
def test_the_daemons_of_the_base_are_to_be_type_safe(made, expected):
    assert outcomes(daemon_not_type_safe, binary("usr/bin/containerd", made=made)) == {expected}
    assert outcomes(daemon_not_type_safe, binary("usr/bin/docker", made=made)) == {Outcome.NOT_APPLICABLE}


def test_a_copy_of_another_program_counts_as_the_daemon_that_it_is():
    made = binary("bin/app", made="GCC 12.2.0")._replace(copies=(file("usr/bin/runc", b""),))
    assert [one.subject for one in fires(daemon_not_type_safe, made)] == ["usr/bin/runc"]
