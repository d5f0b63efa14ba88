"""Docker's credentials are found as Docker finds them, and what is damaged is told in one line."""

import base64
import json
import os

import pytest

pytest.importorskip("urllib3")

from lkscan.online import credentials
from lkscan.online.credentials import Credentials, CredentialsError, DockerCredentials

ALICE = {"auth": base64.b64encode(b"alice:s3:cret").decode()}


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Write Docker's configuration and read it; helpers are looked for in `bin` beside it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def write(config):
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        return DockerCredentials()

    return write


def helper(tmp_path, name, script):
    path = tmp_path / "bin" / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_a_configuration_nobody_is_signed_in(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    assert DockerCredentials().find("quay.io") == Credentials()


def test_the_configuration_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {"quay.io": ALICE}}))
    assert DockerCredentials().find("quay.io") == Credentials("alice", "s3:cret")


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("quay.io", "quay.io"),
        ("https://quay.io", "quay.io"),
        ("https://quay.io/v2/", "quay.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_an_entry_is_found_by_its_host(docker, key, host):
    found = docker({"auths": {"other.example": {}, key: ALICE}})
    assert found.find(host) == Credentials("alice", "s3:cret")
    assert found.find("else.example") == found.find("localhost") == Credentials()


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({}, Credentials()),
        ({"auth": ""}, Credentials()),
        ({"username": "bob", "password": "p"}, Credentials("bob", "p")),
        ({"identitytoken": "t", **ALICE}, Credentials("alice", "s3:cret", "t")),
        (5, Credentials()),
    ],
)
def test_an_entry_has_several_forms(docker, entry, wanted):
    assert docker({"auths": {"quay.io": entry}}).find("quay.io") == wanted


@pytest.mark.parametrize("auth", ["%%%", "YWxpY2U=", "/w=="])
def test_a_damaged_entry_is_told(docker, auth):
    with pytest.raises(CredentialsError, match=r"config\.json: the entry of quay\.io is damaged"):
        docker({"auths": {"quay.io": {"auth": auth}}}).find("quay.io")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"auths": '])
def test_a_damaged_configuration_is_told(docker, text):
    with pytest.raises(CredentialsError, match=r"config\.json: is not the JSON"):
        docker(text)


def test_a_configuration_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").mkdir()
    with pytest.raises(CredentialsError, match=r"config\.json: cannot be read: not a regular file"):
        DockerCredentials()


@pytest.mark.parametrize("config", [{"auths": 5, "credHelpers": []}, {"credsStore": ""}, {"auths": {"quay.io": None}}])
def test_odd_shapes_hold_no_credentials(docker, config):
    assert docker(config).find("quay.io") == Credentials()


def test_a_helper_is_asked_as_docker_asks_it(docker, tmp_path):
    helper(tmp_path, "lab", f'echo "$1 $(cat)" >>{tmp_path}/asked; echo \'{{"Username": "bob", "Secret": "s"}}\'')
    found = docker({"credHelpers": {"quay.io": "lab"}, "auths": {"quay.io": ALICE}})
    assert found.find("quay.io") == found.find("quay.io") == Credentials("bob", "s")
    assert (tmp_path / "asked").read_text() == "get quay.io\n"
    assert found.find("else.example") == Credentials()


def test_the_store_knows_docker_hub_by_its_old_name(docker, tmp_path):
    helper(tmp_path, "store", f'cat >{tmp_path}/asked; echo \'{{"Username": "<token>", "Secret": "t"}}\'')
    assert docker({"credsStore": "store"}).find("docker.io") == Credentials(token="t")
    assert (tmp_path / "asked").read_text() == "https://index.docker.io/v1/"


def test_a_helper_that_knows_nobody_leaves_the_registry_to_anybody(docker, tmp_path):
    helper(tmp_path, "lab", "echo credentials not found in native keychain; exit 1")
    assert docker({"credsStore": "lab"}).find("quay.io") == Credentials()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo secret; exit 3", r"docker-credential-lab failed \(status 3\)"),
        ("echo no json", "gave no credentials"),
        ("echo '[]'", "gave no credentials"),
    ],
)
def test_a_helper_that_fails_is_told_without_its_output(docker, tmp_path, script, reason):
    helper(tmp_path, "lab", script)
    found = docker({"credsStore": "lab"})
    for _ in range(2):
        with pytest.raises(CredentialsError, match=reason) as caught:
            found.find("quay.io")
        assert "secret" not in str(caught.value)


def test_a_helper_that_never_answers_is_given_up(docker, tmp_path, monkeypatch):
    helper(tmp_path, "lab", "exec sleep 30")
    monkeypatch.setattr(credentials, "_PATIENCE", 0.2)
    with pytest.raises(CredentialsError, match=r"docker-credential-lab did not answer within 0\.2 seconds"):
        docker({"credsStore": "lab"}).find("quay.io")


def test_a_helper_that_is_not_there_is_told(docker):
    with pytest.raises(
        CredentialsError, match=r"docker-credential-none, named in .*config\.json, cannot be run: No such"
    ):
        docker({"credsStore": "none"}).find("quay.io")


@pytest.mark.parametrize("name", ["../../tmp/x", "a b", "-x", 5, ["x"]])
def test_a_helper_is_only_a_name(docker, name):
    with pytest.raises(CredentialsError, match="impossible name"):
        docker({"credsStore": name}).find("quay.io")
