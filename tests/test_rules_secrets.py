"""Family X: what is a secret, what only looks like one, and that no finding ever holds one.

Every secret here is made up at run time, so that no scanner takes this file for a leak.
"""

import base64
import json
import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import container, file, fires, outcomes, place
from secretlab import ALNUM, docker, jwt, noise, openssh, pem

from lkscan.rules import detectors
from lkscan.rules.detectors import entropy, find, is_placeholder, key_store
from lkscan.rules.engine import Confidence, Outcome, Severity
from lkscan.rules.secrets import (
    looks_secret,
    secret_in_command,
    secret_in_environment,
    secret_in_file,
    secret_in_kernel_arguments,
)
from lkscan.scanner.subjects import KernelCommandLine, Origin, Place, Span

MIB = 1 << 20

WIREGUARD = base64.b64encode(random.Random(5).randbytes(32)).decode()
AWS_SECRET = noise(40, ALNUM + "/+")
PASSWORD = "k9#Vq2" + noise(6)
BASE32 = string.ascii_uppercase + "234567"
BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"

SECRETS = {
    "PKCS #1": ("private key", pem()),
    "PKCS #8": ("private key", pem("")),
    "EC": ("private key", pem("EC ", "MHcCAQEE" + noise(150))),
    "Ed25519 in PKCS #8": ("private key", pem("", "MC4CAQAwBQYDK2VwBCIEI" + noise(43))),
    "OpenSSH": ("private key", openssh(b"none")),
    "PGP": ("private key", pem("PGP ", "lQOYBF" + noise(600), "Version: 1\n\n", " BLOCK")),
    "in JSON": ("private key", json.dumps({"private_key": pem("")})),
    "in source code": ("private key", "".join(f'  "{line}\\n" +\n' for line in pem().splitlines())),
    "PuTTY": ("PuTTY private key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\n"),
    "WireGuard": ("WireGuard private key", f"[Interface]\nPrivateKey = {WIREGUARD}\n"),
    "WireGuard, NetworkManager": ("WireGuard private key", f"private-key={WIREGUARD}\n"),
    "age": ("age identity", "AGE-SECRET-" + "KEY-1" + noise(58, BECH32)),
    "AWS secret": ("AWS secret access key", f"aws_secret_access_key = {AWS_SECRET}\n"),
    "AWS secret, exported": ("AWS secret access key", f"export AWS_SECRET_ACCESS_KEY='{AWS_SECRET}'"),
    "AWS id": ("AWS access key id", f"aws_access_key_id=AK{'IA'}{noise(16, BASE32)}\n"),
    "AWS temporary id": ("AWS access key id", f"AS{'IA'}{noise(16, BASE32)}"),
    "GitHub": ("GitHub token", "gh" + "p_" + noise(36)),
    "GitHub, fine-grained": ("GitHub token", "github_" + "pat_" + noise(22) + "_" + noise(59)),
    "GitHub, escaped": ("GitHub token", r"token:\ngh" + "o_" + noise(36)),
    "GitLab": ("GitLab token", "glp" + "at-" + noise(20)),
    "Slack": ("Slack token", "xo" + "xb-" + "738205519463-8205519463738-" + noise(24)),
    "Google": ("Google API key", "AI" + "za" + noise(35)),
    "npm": ("npm token", "//registry/:_authToken=np" + "m_" + noise(36)),
    "Docker Hub": ("Docker Hub token", "dckr" + "_pat_" + noise(27)),
    "Vault": ("Vault token", "hv" + "s." + noise(90)),
    "Tailscale": ("Tailscale key", "tsk" + "ey-auth-" + noise(17) + "-" + noise(32)),
    "JWT": ("JSON Web Token", "Authorization: Bearer " + jwt()),
    "registry": ("registry login", docker(f"robot:{PASSWORD}")),
    "URL": ("password in a URL", f"postgres://app:{PASSWORD}@db.corp:5432/app"),
}

HARMLESS = {
    "public key": pem().replace("PRIVATE", "PUBLIC"),
    "certificate": pem().replace("RSA PRIVATE KEY", "CERTIFICATE"),
    "header alone": "-----BEGIN PRIVATE KEY-----",
    "header and footer in code": 'if "-----BEGIN PRIVATE KEY-----" in t and "-----END PRIVATE KEY-----" in t: pass',
    "template": "-----BEGIN RSA PRIVATE KEY-----\n${KEY}\n-----END RSA PRIVATE KEY-----\n",
    "ellipsis": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow...\n-----END RSA PRIVATE KEY-----\n",
    "filler": pem("", "M" + "x" * 640),
    "no DER": pem("", "Z" + noise(640)),
    "no OpenSSH": pem("OPENSSH ", "MII" + noise(640)),
    "no end": pem().partition("-----END")[0],
    "an end too far away": pem(material="MII" + noise(40_000)),
    "PuTTY, locked": "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: aes256-cbc\n",
    "WireGuard public key": f"PublicKey = {WIREGUARD}",
    "WireGuard template": "PrivateKey = ${WG_KEY}",
    "WireGuard filler": "PrivateKey = " + "A" * 43 + "=",
    "AWS documentation": "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS filler": f"AK{'IA'}{'A' * 16}",
    "base64 that holds the letters": noise(30) + f"AK{'IA'}" + noise(16, BASE32) + noise(30),
    "GitHub filler": "gh" + "p_" + "x" * 36,
    "GitHub, too short": "gh" + "p_" + noise(20),
    "a longer word": "my_gh" + "p_" + noise(36),
    "an attribute": "hvs.some_attribute_of_a_module",
    "public key token of .NET": "Culture=neutral, PublicKeyToken=b77a5c561934e089,",
    "client secret of Chromium": f"export GOOGLE_DEFAULT_CLIENT_SECRET={noise(24)}",
    "JWT, unsigned": jwt(header={"alg": "none"}),
    "JWT, no algorithm": jwt(header={"typ": "JWT"}),
    "JWT, header no object": jwt(header=["alg", "typ", "HS256"]),
    "JWT, demonstration": jwt(payload={"some": "payload", "more": "data"}),
    "JWT, known demonstration": jwt(payload={"sub": "1234567890", "name": "John Doe"}),
    "JWT, filler": jwt(signature="s" * 43),
    "JWT, no JSON": f"eyJ{noise(20)}.eyJ{noise(20)}.{noise(43)}",
    "source map": "data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbXX0=",
    "registry, filler": docker("user:password"),
    "registry, no login": '{"auth": "required"}',
    "registry, no base64": '{"auth": "abcdefghi"}',
    "registry, helper": '{"auths": {"registry.corp": {}}, "credsStore": "pass"}',
    "URL, manual": "https://user:password@host/ https://u:p@host/",
    "URL, template": "https://user:${PASSWORD_OF_DB}@db/ https://u:{{password}}@db/",
    "URL, example host": f"https://user:{PASSWORD}@www.example.com/ ftp://user:{PASSWORD}@localhost/",
    "URL, port": "http://proxy:3128/path@v1",
    "password hash, normal in an image": "root:$6$" + noise(16) + "$" + noise(86) + ":1::::::",
}

HASHES = {
    "SHA-512": "$6$" + noise(16) + "$" + noise(86),
    "SHA-512, rounds": "$6$rounds=5000$" + noise(16) + "$" + noise(86),
    "SHA-256": "$5$" + noise(16) + "$" + noise(43),
    "MD5": "$1$" + noise(8) + "$" + noise(22),
    "bcrypt": "$2b$12$" + noise(53),
    "yescrypt": "$y$j9T$" + noise(22) + "$" + noise(43),
}


def in_spec(content, path="etc/app.conf"):
    return file(path, content, at=place(12))


def said(finding):
    """All that a report could print of a finding."""
    return "\n".join(
        [finding.message, finding.key, finding.subject, *finding.evidence, *(s.note for s in finding.locations)]
    )


@pytest.fixture(params=["loaded", "not loaded"])
def search(request):
    """The library that searches long texts, loaded or not: short ones are searched by it only if it is."""
    detectors._search.cache_clear()
    if request.param == "loaded":
        detectors._search(in_spec=True)
    yield
    detectors._search.cache_clear()


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("in_spec", [True, False])
def test_literals_are_found_wherever_they_overlap(in_spec):
    literals = [literal for one in detectors._detectors(in_spec=in_spec) for literal in one.literals]
    rng = random.Random(5)
    for _ in range(200):
        text = b"".join(word[: rng.randint(1, len(word))] for word in rng.choices(literals, k=rng.choice((5, 100))))
        found = detectors._present(text, in_spec=in_spec)
        assert found.keys() == {literal for literal in literals if literal in text}
        assert all(text[:end].endswith(literal) for literal, ends in found.items() for end in ends)


def test_many_short_texts_are_searched_by_the_library_too():
    detectors._search.cache_clear()
    for _ in range(detectors._FEW + 2):
        assert detectors._present(b"password", in_spec=True) == {b"password": [8]}
    assert detectors._search.cache_info().currsize == 1


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize(("kind", "text"), SECRETS.values(), ids=list(SECRETS))
@pytest.mark.parametrize("make", [file, in_spec])
def test_a_secret_is_found_and_named(make, kind, text):
    (finding,) = fires(secret_in_file, make(content=text.encode(), path="etc/app.conf"))
    assert finding.key == kind
    assert kind in finding.message


@pytest.mark.parametrize("text", [text for _, text in SECRETS.values()], ids=list(SECRETS))
def test_no_finding_holds_a_part_of_the_secret(text):
    (finding,) = fires(secret_in_file, in_spec(text.encode()))
    (secret,) = find(text.encode(), in_spec=True)
    start = secret.start + len(secret.prefix)
    hidden = text[start : secret.start + secret.length]
    assert not any(hidden[i : i + 6] in said(finding) for i in range(len(hidden) - 5))


def members(content):
    (finding,) = fires(secret_in_file, file("etc/app.conf", content.encode()))
    return finding.members


def test_another_secret_in_the_place_of_one_is_news_to_a_baseline(monkeypatch):
    monkeypatch.delenv("LKSCAN_KEY", raising=False)
    first, second = (f"token: gh{'p_'}{noise(36, seed=seed)}\n" for seed in (1, 2))
    assert members(first) == members("# moved\n" + first)
    assert members(first) != members(second)


def test_what_could_be_guessed_gets_a_hash_only_by_a_key_of_ones_own(monkeypatch):
    urls = [f"url: postgres://app:{password}@db.corp/app\n" for password in ("velvet-Otter-19", "velvet-Otter-20")]
    monkeypatch.delenv("LKSCAN_KEY", raising=False)
    assert members(urls[0]) == members(urls[1]) == members(docker("robot:velvet-Otter-19")) == ("1",)
    monkeypatch.setenv("LKSCAN_KEY", "one")
    assert re.fullmatch("[0-9a-f]{10}", *members(docker("robot:velvet-Otter-19")))
    known = members(urls[0])
    assert known != members(urls[1])
    monkeypatch.setenv("LKSCAN_KEY", "two")
    assert members(urls[0]) not in {known, ("1",)}


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda value: (secret_in_environment, container(env=[f"API_TOKEN={value}"])), noise(32)),
        (lambda value: (secret_in_command, container(command=["app", "--token", value])), noise(40)),
        (lambda value: (secret_in_kernel_arguments, KernelCommandLine(place(3), f"x.token={value}")), noise(32)),
    ],
)
def test_secrets_that_are_named_get_a_hash_too(make, value):
    found = [fires(*make(one))[0].members for one in (value, value[::-1])]
    assert found[0] != found[1]
    assert all(re.fullmatch("[0-9a-f]{10}", *one) for one in found)


def test_a_password_in_a_file_of_a_spec_is_found_by_its_name():
    (finding,) = fires(secret_in_file, in_spec(b"user: app\ndb_password: velvet-Otter-19\n"))
    assert finding.key == "password"
    assert finding.evidence == ("line 2 of the file: 15 characters, the value of 'db_password'",)
    assert outcomes(secret_in_file, file("etc/app.conf", b"db_password: velvet-Otter-19\n")) == {Outcome.PASS}


def test_a_spec_full_of_passwords_is_searched_in_time():
    (finding,) = fires(secret_in_file, in_spec(b"password: velvet-Otter-19\n" * 30_000))
    assert "'at least 100' times" in finding.message


@pytest.mark.parametrize("text", HARMLESS.values(), ids=list(HARMLESS))
def test_what_only_looks_like_a_secret_is_left_alone(text):
    assert outcomes(secret_in_file, file("etc/app.conf", text.encode())) == {Outcome.PASS}


@pytest.mark.parametrize("value", HASHES.values(), ids=list(HASHES))
def test_a_password_hash_counts_in_a_spec_only(value):
    shadow = f"root:{value}:17322:0:::::".encode()
    (finding,) = fires(secret_in_file, in_spec(shadow, "etc/getty.shadow"))
    assert (finding.key, finding.severity) == ("password hash", Severity.MEDIUM)
    assert value[8:] not in said(finding)
    assert outcomes(secret_in_file, file("etc/shadow", shadow)) == {Outcome.PASS}


def test_the_hash_of_the_documentation_weighs_more_and_speaks_once():
    (finding,) = fires(secret_in_file, in_spec(b"root:$6$6tPd2uhHrecCEKug$" + noise(86).encode() + b":17322:0:::::"))
    assert finding.severity is Severity.HIGH
    assert "documentation" in finding.key


@pytest.mark.parametrize(
    "text",
    [
        pem("ENCRYPTED "),
        pem(headers="Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n"),
        openssh(b"aes256-ctr"),
    ],
)
def test_a_key_with_a_passphrase_weighs_less(text):
    (finding,) = fires(secret_in_file, file("etc/app.key", text.encode()))
    assert finding.severity is Severity.MEDIUM
    assert "passphrase" in finding.evidence[0]


@pytest.mark.parametrize(
    ("path", "severity", "confidence"),
    [
        ("usr/lib/app/app.key", Severity.CRITICAL, Confidence.HIGH),
        ("usr/lib/app/Tests/app.key", Severity.LOW, Confidence.LOW),
        ("usr/share/doc/app/app.key", Severity.LOW, Confidence.LOW),
        ("usr/lib/testing.key", Severity.CRITICAL, Confidence.HIGH),
    ],
)
def test_a_published_sample_is_reported_with_less_weight(path, severity, confidence):
    (finding,) = fires(secret_in_file, file(path, pem().encode()))
    assert (finding.severity, finding.confidence) == (severity, confidence)


def test_one_finding_a_kind_at_the_first_place():
    keys = "".join(f"ü token: gh{'p_'}{noise(36, seed=seed)}\n" for seed in range(7))
    found = fires(secret_in_file, file("etc/app.conf", ("# tokens\n" + keys + SECRETS["URL"][1]).encode()))
    assert [finding.key for finding in found] == ["GitHub token", "password in a URL"]
    assert found[0].place.span == Span(2, 10, 2, 50)
    assert "'7' times" in found[0].message
    assert len(found[0].evidence) == 6
    assert found[0].evidence[-1] == "2 more"
    assert re.fullmatch(
        "line 2 of the file: 40 characters, starts with 'ghp_', keyed hash [0-9a-f]{10}", found[0].evidence[0]
    )


def test_in_a_spec_the_finding_stands_at_the_entry():
    (finding,) = fires(secret_in_file, in_spec(pem().encode()))
    assert finding.place == place(12)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (file("etc/empty", b""), Outcome.PASS),
        (file("etc/link", pem().encode(), kind="symlink"), Outcome.NOT_APPLICABLE),
        (file("etc/ssh/ssh_host_rsa_key", pem().encode()), Outcome.NOT_APPLICABLE),
        (file("containers/services/web/config.json", pem().encode()), Outcome.NOT_APPLICABLE),
        (file("bin/app", b"\x7fELF\0" + pem().encode()), Outcome.NOT_APPLICABLE),
        (file("containers/services/app/config.json", pem().encode()), Outcome.NOT_APPLICABLE),
        (file("etc/source", None), Outcome.UNDECIDED),
        (file("etc/large", b"a" * (MIB + 1)), Outcome.UNDECIDED),
        (file("etc/full", b"a" * MIB), Outcome.PASS),
    ],
)
def test_what_is_not_searched_is_told(given, expected):
    assert outcomes(secret_in_file, given) == {expected}


PKCS_12 = bytes.fromhex("308209d1020103308209970609") + bytes(99)
STORES = {
    "PKCS #12 key store": PKCS_12 + bytes.fromhex("060b2a864886f70d010c0a0102"),
    "Java key store": bytes.fromhex("feedfeed000000020000000100000001") + bytes(99),
    "Kerberos key table": bytes.fromhex("05020000003f0001") + bytes(99),
}


@pytest.mark.parametrize(("kind", "data"), STORES.items(), ids=list(STORES))
def test_stores_of_keys_are_known_by_their_first_bytes(kind, data):
    (finding,) = fires(secret_in_file, file("etc/app/store", data))
    assert (finding.key, finding.severity) == (kind, Severity.MEDIUM)
    assert fires(secret_in_file, file("usr/share/doc/store", data))[0].severity is Severity.LOW


@pytest.mark.parametrize(
    "data", [bytes(100), b"\x05\x02\0\0\0", bytes.fromhex("3082020930820172a003020102") + bytes(99)]
)
def test_other_binary_files_are_none(data):  # the last is a certificate
    assert outcomes(secret_in_file, file("etc/app/store", data)) == {Outcome.NOT_APPLICABLE}


def test_the_spec_itself_as_a_file_raises_no_question():
    at = place(9, "files[0].path")
    (finding,) = secret_in_file(file("etc/linuxkit.yml", None, at=at)._replace(parts={"path": at, "metadata": at}))
    assert finding.outcome is Outcome.NOT_APPLICABLE
    (finding,) = secret_in_file(file("etc/key", None, at=at)._replace(parts={"path": at, "source": at}))
    assert "'etc/key'" in finding.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password: velvet-Otter-19", True),
        ("cmd --db-password=velvet-Otter-19", True),
        (f"command: [app, {noise(2)}, ghp_{noise(36)}]", True),
        (f'{{"api_key": "{noise(32)}"}}', True),
        ('command: ["app", "--password", "velvet-Otter-19"]', True),
        (f'"deployToken" => "{noise(32)}"', True),
        ("password: ${PASSWORD}", False),
        ("app --password-file /run/secret --token $TOKEN -p 80", False),
        ("token: none", False),
        ("image: nginx:1.27", False),
        ("", False),
        ("a" * 100_000, False),
    ],
)
def test_any_text_that_may_hold_a_secret_is_known(text, expected):
    assert looks_secret(text) is expected


def test_the_beginning_of_a_large_text_is_searched():
    large = file("etc/large", pem().encode() + b"a" * MIB)
    assert outcomes(secret_in_file, large) == {Outcome.FAIL, Outcome.UNDECIDED}


def test_endless_first_lines_hold_no_key():
    assert list(find(b"-----BEGIN PRIVATE KEY-----\n" * 20_000, in_spec=True)) == []


def test_fillers_do_not_hide_the_secret_behind_them():
    filler = f"gh{'p_'}{'x' * 36} "
    assert fires(secret_in_file, file("etc/app.conf", (filler * 2000 + SECRETS["GitHub"][1]).encode()))


def test_so_many_secrets_are_counted_and_no_more():
    (finding,) = fires(secret_in_file, file("etc/app.conf", (SECRETS["GitHub"][1] + " ").encode() * 200))
    assert "'at least 100' times" in finding.message


VARIABLES = {
    "POSTGRES_PASSWORD": "velvet-Otter-19",
    "PGPASSWORD": "otter",
    "MYSQL_PWD": "otter",
    "DB_PASS": "otter7",
    "KEY_PASSPHRASE": "two words",
    "API_TOKEN": noise(32),
    "API_KEY": noise(32),
    "CLIENT_SECRET": noise(32),
    "GCP_CREDENTIALS": noise(32),
    "DATABASE_URL": SECRETS["URL"][1],
    "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
    "SHORT_URL": "postgres://app:" + "s3cr3tPa55" + "@db.corp.io/x",
    "ANYTHING": "gh" + "s_" + noise(36),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_secret_in_a_variable_is_found(name):
    origins = {"env:1": Origin("spec", place(9))}
    app = container(env=["A=b", f"{name}={VARIABLES[name]}"], origins=origins)
    (finding,) = fires(secret_in_environment, app)
    assert (finding.place, finding.key) == (place(9), name)
    assert VARIABLES[name] not in said(finding)


@pytest.mark.parametrize(
    "entry",
    [
        "PATH=/bin:/sbin",
        "PWD=/",
        "ETCD_INITIAL_CLUSTER_TOKEN=etcd-cluster-1",
        "USE_TOKEN=kubernetes-service",
        "DB_PASSWORD=vault:secret/data/db",
        "DB_PASSWORD=ssm://db",
        "DB_PASSWORD",
        "DB_PASSWORD=",
        "DB_PASSWORD=${DB_PASSWORD}",
        "DB_PASSWORD={{ db.password }}",
        "DB_PASSWORD=changeme",
        "DB_PASSWORD=/run/secrets/db",
        "DB_PASSWORD=file:/run/secrets/db",
        "DB_PASSWORD_FILE=db.txt",
        "ALLOW_EMPTY_PASSWORD=yes",
        "TOKEN_TTL=3600",
        "API_TOKEN=short",
        "API_KEY=aaaaaaaaaaaaaaaaaaaa",
        f"GPG_KEY={noise(40, '0123456789ABCDEF')}",
        f"AWS_ACCESS_KEY_NAME={noise(20)}",
        "COMPASS=north-by-northwest",
        "MONKEY=business-as-usual-7",
    ],
)
def test_a_harmless_variable_is_left_alone(entry):
    assert outcomes(secret_in_environment, container(env=[entry])) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (container(), Outcome.NOT_APPLICABLE),
        (container(label="unknown"), Outcome.UNDECIDED),
        (container(label="unknown", env=["A=b"]), Outcome.PASS),
    ],
)
def test_an_unknown_environment_is_undecided(given, expected):
    assert outcomes(secret_in_environment, given) == {expected}


@given(st.binary(max_size=400), st.sampled_from([text for _, text in SECRETS.values()]), st.booleans())
def test_any_text_can_be_searched(junk, text, cut):
    data = junk + text.encode()[: 60 if cut else None] + junk
    for secret in find(data, in_spec=True):
        assert 0 <= secret.start < secret.end <= len(data)
    assert outcomes(secret_in_file, file("etc/app.conf", data)) <= set(Outcome)


@given(st.binary(max_size=200))
def test_any_bytes_have_an_entropy_and_may_be_a_placeholder(value):
    assert 0 <= entropy(value) <= 8
    assert is_placeholder(value + b"${X}")


# --- commands and the kernel's arguments


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (["app", "--password=velvet-Otter-19"], "password"),
        (["app", "--db-password", "velvet-Otter-19"], "db-password"),
        (["sh", "-c", "export PGPASSWORD=velvet-Otter-19\nexec app"], "PGPASSWORD"),
        (["app", f"--api-key={noise(32)}"], "api-key"),
        (["app", "--token", noise(40)], "token"),
        (["app", f"ghp_{noise(36)}"], "GitHub token"),
        (["app", f"--token=ghp_{noise(36)}"], "GitHub token"),
        (["app", "postgres://app:velvet-Otter-19@db/app"], "password in a URL"),
    ],
)
def test_a_secret_in_a_command_fires_and_is_not_shown(command, key):
    (finding,) = fires(secret_in_command, container(command=command))
    assert finding.key == key
    assert key in finding.message
    assert not any(word in repr(finding) for word in ("Otter", noise(32), noise(36), noise(40)))


@pytest.mark.parametrize(
    "command",
    [
        ["app", "--password-file", "/run/config/password"],
        ["app", "--password=$PASSWORD", "--token", "${TOKEN}", "--secret=/run/secret"],
        ["app", "--password", "--verbose"],
        ["app", "--token", "none", "--password=changeme"],
        ["openssl", "enc", "-pass", "stdin"],
        ["app", "--discovery-token=my-cluster-1", "-p", "8080"],
        ["sh", "-c", 'test -n "$PASSWORD" && echo ok'],
    ],
)
def test_references_and_placeholders_in_a_command_are_fine(command):
    assert outcomes(secret_in_command, container(command=command)) == {Outcome.PASS}


def test_a_secret_in_a_command_points_at_the_command():
    where = Origin("spec", place(7))
    (finding,) = fires(
        secret_in_command, container(command=["a", "--password=velvet-Otter-19"], origins={"command": where})
    )
    assert (finding.place, finding.locations[0].note) == (place(7), "set here")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("console=ttyS0 rancher.password=velvet-Otter-19 quiet", "rancher.password"),
        ("quiet -- join_token=" + noise(32), "join_token"),
        ("quiet ds=ghp_" + noise(36), "GitHub token"),
    ],
)
def test_a_secret_in_the_kernels_arguments_fires_and_is_not_shown(text, key):
    line = KernelCommandLine(Place(("linuxkit.yml",), None, "kernel.cmdline"), text)
    (finding,) = fires(secret_in_kernel_arguments, line)
    assert (finding.key, finding.subject) == (key, "kernel.cmdline")
    assert not any(word in repr(finding) for word in ("Otter", noise(32), noise(36)))


@pytest.mark.parametrize("text", ["", "console=ttyS0 root=LABEL=token init_on_alloc=1", "app.password={{ .Password }}"])
def test_other_arguments_of_the_kernel_are_fine(text):
    assert outcomes(secret_in_kernel_arguments, KernelCommandLine(Place(("linuxkit.yml",)), text)) == {Outcome.PASS}


DER = bytes.fromhex("30820204020100300d06") + bytes(510)
"""The beginning of a private key in PKCS #8 that says of itself that 516 bytes follow its first four."""


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (DER[:520], "private key"),
        (DER[:519], ""),
        (DER[:520] + b"\0", ""),
        (b"\x05\x02\0\0\0" + bytes(27), ""),
        (b"\x05\x02\0\0\0" + bytes(28), "Kerberos key table"),
    ],
)
def test_a_key_in_binary_is_as_long_as_it_says(data, kind):
    assert key_store(data, len(data)) == kind
