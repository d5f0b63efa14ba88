import pytest
from rulelab import SPEC, fires, outcomes

from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.registries import image_not_allowed, implied_registry, look_alike_image_owner, registry_without_tls
from lkscan.scanner.references import reference

DIGEST = f"@sha256:{'0' * 64}"


def image(text):
    return reference(text, "services", SPEC)


ALLOWED = [
    # registries, images, reference, whether it is allowed
    (("docker.io",), (), "redis:7", True),
    (("index.docker.io",), (), "redis:7", True),
    (("docker.io",), (), "ghcr.io/acme/web:1", False),
    (("*.example.org",), (), "eu.example.org/web:1", True),
    (("*.example.org",), (), "example.org/web:1", False),
    (("example.org",), (), "example.org:5000/web:1", False),
    (("example.org:*",), (), "example.org:5000/web:1", True),
    ((), ("linuxkit/*",), "linuxkit/sshd:1", True),
    ((), ("linuxkit/*",), "docker.io/linuxkit/sshd:1", True),
    ((), ("linuxkit/*",), "quay.io/linuxkit/sshd:1", False),
    ((), ("linuxkit/*",), "linuxkit-evil/sshd:1", False),
    ((), ("redis",), "redis:7", True),
    ((), ("redis",), "acme/redis:7", False),
    ((), ("docker.io/library/*",), "redis:7", True),
    ((), ("ghcr.io/acme/*",), "ghcr.io/acme/team/web:1", True),
    ((), ("index.docker.io/acme/*",), "acme/web", True),
    (("ghcr.io",), ("redis",), "redis", True),
    (("ghcr.io",), ("redis",), "nginx", False),
]


@pytest.mark.parametrize(("registries", "images", "text", "allowed"), ALLOWED)
def test_an_image_is_allowed_by_its_registry_or_by_its_name(registries, images, text, allowed):
    rule = image_not_allowed._replace(parameters={"registries": registries, "images": images})
    assert bool(fires(rule, image(text))) is not allowed


def test_nothing_is_forbidden_where_nothing_is_configured():
    assert outcomes(image_not_allowed, image("anything")) == {Outcome.NOT_APPLICABLE}


HOSTS = [
    # reference, severity and profile of the finding
    ("10.1.2.3/web:1", (Severity.MEDIUM, Profile.REGULAR)),
    ("172.16.0.1:80/web:1", (Severity.MEDIUM, Profile.REGULAR)),
    ("172.31.0.1/web:1", (Severity.MEDIUM, Profile.REGULAR)),
    ("192.168.0.9:5000/web:1", (Severity.MEDIUM, Profile.REGULAR)),
    ("registry.local:5000/web:1", (Severity.MEDIUM, Profile.REGULAR)),
    ("registry.localhost/web:1", (Severity.MEDIUM, Profile.REGULAR)),
    ("localhost/web:1", (Severity.LOW, Profile.PEDANTIC)),
    ("localhost:5000/web:1", (Severity.LOW, Profile.PEDANTIC)),
    ("127.0.0.1:5000/web:1", (Severity.LOW, Profile.PEDANTIC)),
    ("172.32.0.1/web:1", None),
    ("11.0.0.1/web:1", None),
    ("10.example.org/web:1", None),
    ("example.org:80/web:1", None),
    ("example.org:5000/web:1", None),
    ("harbor.lab.example.lan/web:1", None),
    ("local/web:1", None),
    ("web:1", None),
    (f"10.1.2.3/web:1{DIGEST}", None),
]


@pytest.mark.parametrize(("text", "told"), HOSTS, ids=[text for text, _ in HOSTS])
def test_plain_http_is_told_for_the_hosts_that_linuxkit_speaks_it_with(text, told):
    found = fires(registry_without_tls, image(text))
    assert [(finding.severity, finding.profile) for finding in found] == ([told] if told else [])


@pytest.mark.parametrize(("text", "short"), [("redis", True), ("redis:7", True), ("acme/web:1", False)])
def test_only_names_of_one_word_are_short(text, short):
    found = fires(implied_registry, image(text))
    assert [finding.arguments for finding in found] == ([(text, "docker.io/library/redis")] if short else [])


@pytest.mark.parametrize("owner", ["linuxkt", "linuxkits", "linuxk1t", "linuxikt", "inuxkit", "linux-kit", "Linuxkt"])
def test_one_letter_off_is_a_look_alike(owner):
    (finding,) = fires(look_alike_image_owner, image(f"{owner}/sshd:1"))
    assert finding.arguments[1:] == (owner.lower(), "linuxkit")


@pytest.mark.parametrize(
    "text", ["linuxkit/sshd", "linuxkitprojects/x", "linuxkitab/x", "linuxkiut2/x", "linux/x", "redis", "lfedge/eve"]
)
def test_the_name_itself_and_other_names_are_none(text):
    assert outcomes(look_alike_image_owner, image(text)) == {Outcome.PASS}


def test_owners_are_looked_for_on_every_registry_and_can_be_set():
    rule = look_alike_image_owner._replace(parameters={"owners": ("acme", "acne")})
    assert fires(rule, image("ghcr.io/acm/web:1"))
    assert not fires(rule, image("ghcr.io/acne/web:1"))
    assert not fires(rule, image("linuxkt/web:1"))
