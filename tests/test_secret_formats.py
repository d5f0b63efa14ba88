"""What gitleaks' and detect-secrets' rules find is found, made anew from the formats that issuers document.

Left out are rules of theirs for what is no secret: ids of clients and accounts, public keys, addresses, any text of
high entropy.
"""

import random
import re
from collections import Counter

import pytest
from secretlab import LOOKS, NAMES, NOTATIONS, made, positives, texts

from lkscan.rules.detectors import find


def test_99_of_100_secrets_of_all_formats_are_found():
    total, missed = 0, Counter()
    for name, path, text in positives(3):
        total += 1
        if not any(find(text.encode(), in_spec=False, path=path)):
            missed[name] += 1
    assert total > 10_000
    assert missed.total() <= total // 100, missed.most_common(20)


@pytest.mark.parametrize("name", [*LOOKS, *NAMES])
def test_every_format_is_found_in_every_notation_most_of_the_time(name):
    rng = random.Random(name)
    template = {**LOOKS, **NAMES}[name]
    for notation in NOTATIONS:
        texts = [notation.format(i="service", I="SERVICE", s=made(template, rng)) for _ in range(4)]
        assert any(any(find(text.encode(), in_spec=False)) for text in texts), notation


def test_the_same_formats_filled_with_one_letter_are_placeholders():
    filled = Counter()
    for name, template in LOOKS.items():
        text = re.sub(r"<([a-z])(\d+)>", lambda m: "x" * int(m[2]), template.replace("<2>", "X" * 58))
        filled[name] += len(list(find(f"token: {text}\n".encode(), in_spec=False)))
    assert +filled == Counter()


def test_nothing_of_what_a_distribution_ships_is_taken_for_a_secret():
    """Keys are none the less keys where a package's manual or test suite brings one, a browser its own for an API, or
    this machine has some."""
    found = [
        (path, secret.kind, secret.start)
        for path, text in texts("/etc", "/usr/share")
        for secret in find(text, in_spec=False, path=path)
    ]
    assert [one for one in found if one[1] not in {"private key", "Google API key"}] == []
