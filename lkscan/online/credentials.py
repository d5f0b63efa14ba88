"""Docker's credentials: its configuration file, and the helper programs that are named there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple

from ..scanner.labels import read_file
from .transport import RegistryError

_LIMIT = 1 << 20
_PATIENCE = 30
"""Seconds that a helper may take."""
_HUB = "https://index.docker.io/v1/"
"""What Docker Hub is called in Docker's files, and to its helpers."""
_NOT_FOUND = "credentials not found"
_TOKEN = "<token>"  # noqa: S105 - the user name that says that the secret is a token


class CredentialsError(RegistryError):
    """The configuration file cannot be read; one clear line that names it."""


class Credentials(NamedTuple):
    """How to sign in to a registry; all "" for nobody in particular. `token` is an OAuth 2 refresh token."""

    user: str = ""
    password: str = ""
    token: str = ""


class DockerCredentials:
    """The credentials that `docker login` keeps. Raises CredentialsError when the file is damaged.

    The file is `config.json` in DOCKER_CONFIG or `~/.docker`, as for Docker. A helper is the program
    `docker-credential-NAME`, which is run as Docker runs it: with `get`, and the registry's name on standard input.
    """

    def __init__(self) -> None:
        folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
        self.path = os.path.join(folder, "config.json")
        self._config = _load(self.path)
        self._found: dict[str, Credentials | CredentialsError] = {}
        self._lock = Lock()

    def find(self, host: str) -> Credentials:
        """The credentials for a registry's host, asked for once. Raises CredentialsError when they are of no use."""
        with self._lock:
            if host not in self._found:
                try:
                    self._found[host] = self._look_up(host)
                except CredentialsError as error:
                    self._found[host] = error
        found = self._found[host]
        if isinstance(found, CredentialsError):
            raise found
        return found

    def _look_up(self, host: str) -> Credentials:
        server = _HUB if host == "docker.io" else host
        helpers = _table(self._config, "credHelpers")
        helper = next((helpers[name] for name in (server, host) if name in helpers), self._config.get("credsStore"))
        if helper:
            return self._ask(helper, server)
        for key, entry in _table(self._config, "auths").items():
            if _hostname(key) == _hostname(server) and isinstance(entry, dict):
                return self._entry(entry, host)
        return Credentials()

    def _entry(self, entry: Mapping[str, Any], host: str) -> Credentials:
        """What an entry of `auths` says."""
        user, password = (_text(entry, key) for key in ("username", "password"))
        if auth := _text(entry, "auth"):
            try:
                user, colon, password = b64decode(auth, validate=True).decode().rstrip("\0").partition(":")
            except ValueError:
                colon = ""
            if not colon:
                raise CredentialsError(f"{self.path}: the entry of {host} is damaged; sign in again")
        return Credentials(user, password, _text(entry, "identitytoken"))

    def _ask(self, helper: object, server: str) -> Credentials:
        if not isinstance(helper, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", helper):
            raise CredentialsError(f"{self.path}: a credential helper has an impossible name")
        program = f"docker-credential-{helper}"
        try:
            done = subprocess.run(  # noqa: S603 - the program that the user told Docker to ask
                [program, "get"], input=server.encode(), capture_output=True, timeout=_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise CredentialsError(f"{program} did not answer within {_PATIENCE} seconds") from None
        except OSError as error:
            raise CredentialsError(f"{program}, named in {self.path}, cannot be run: {error.strerror}") from None
        if done.returncode:
            if _NOT_FOUND in done.stdout.decode("utf-8", "replace"):
                return Credentials()
            raise CredentialsError(f"{program} failed (status {done.returncode})")
        try:
            answer = json.loads(done.stdout[:_LIMIT])
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise CredentialsError(f"{program} gave no credentials that can be read")
        user, secret = _text(answer, "Username"), _text(answer, "Secret")
        return Credentials(token=secret) if user == _TOKEN else Credentials(user, secret)


def _load(path: str) -> Mapping[str, Any]:
    try:
        value = json.loads(read_file(path, _LIMIT))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CredentialsError(f"{path}: is not the JSON that Docker keeps its credentials in")
    return value


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _hostname(key: str) -> str:
    """The host of a key of `auths`, which may be an URL."""
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]
