"""Container registries: what a tag stands for, asked in the OCI distribution protocol."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import parse_qsl, urlencode
from urllib.request import parse_http_list

from ..scanner.references import address, is_sha256
from .credentials import Credentials
from .transport import Answer, NoTlsError, RegistryError, Transport, UnreachableError, parse_url

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_TYPES = (*_INDEXES, *_MANIFESTS)
_ACCEPT = ", ".join(_TYPES)
"""With these a registry answers a tag by its index where it has one: the digest that LinuxKit compares."""
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_CLIENT = "lkscan"
_WORKERS = 8
_PATIENCE = 180.0
"""Seconds without any result after which no more are waited for: a registry may send a byte now and then for ever."""


class Registry:
    """Asks registries for digests, with what `credentials` knows of a host; it may be called from several threads."""

    def __init__(self, transport: Transport, credentials: Callable[[str], Credentials]) -> None:
        self._transport = transport
        self._credentials = credentials
        self._plain: set[str] = set()
        self._authorization: dict[tuple[str, str], str] = {}
        self._failed: dict[str, UnreachableError] = {}

    def digest(self, reference: str) -> str:
        """The digest of what a canonical reference stands for, the index where there is one. Raises RegistryError.

        A HEAD request tells it, which Docker Hub does not count as a pull. Only where its answer is not whole is the
        manifest itself fetched, and its digest computed.
        """
        found = address(reference)
        if found is None:
            raise RegistryError("it is no name that an image in a registry can have")
        host, repository, tag = found
        if host == "docker.io" and "/" not in repository:
            repository = f"library/{repository}"
        head = self._manifest("HEAD", host, repository, tag)
        digest = head.headers.get("docker-content-digest", "")
        if head.status == _OK and is_sha256(digest) and _media_type(head) in _TYPES:
            return digest
        answer = self._manifest("GET", host, repository, tag)
        if answer.status != _OK:
            raise RegistryError(_refusal(answer, host, repository, tag))
        return _verified(answer, host)

    def digests(self, references: Iterable[str], patience: float = _PATIENCE) -> dict[str, str | RegistryError]:
        """The digests of many references, several at a time, or why there is none."""
        wanted = list(dict.fromkeys(references))
        todo: SimpleQueue[str] = SimpleQueue()
        done: SimpleQueue[tuple[str, str | RegistryError]] = SimpleQueue()
        for reference in wanted:
            todo.put(reference)
        for _ in range(min(_WORKERS, len(wanted))):
            Thread(target=self._work, args=(todo, done), daemon=True).start()
        found: dict[str, str | RegistryError] = {}
        try:
            while len(found) < len(wanted):
                reference, result = done.get(timeout=patience)
                found[reference] = result
        except Empty:
            pass
        late = RegistryError(f"there was no answer within {patience:g} seconds")
        return {reference: found.get(reference, late) for reference in wanted}

    def _work(self, todo: SimpleQueue[str], done: SimpleQueue[tuple[str, str | RegistryError]]) -> None:
        while True:
            try:
                reference = todo.get_nowait()
            except Empty:
                return
            try:
                done.put((reference, self.digest(reference)))
            except RegistryError as error:
                done.put((reference, error))
            except Exception as error:  # noqa: BLE001 - a defect must not cost the other references' digests
                done.put((reference, RegistryError(f"asking failed: {type(error).__name__}; please report it")))

    def _manifest(self, method: str, host: str, repository: str, tag: str) -> Answer:
        """The answer for a manifest, signed in as the registry asks for."""
        path = f"/v2/{repository}/manifests/{tag}"
        key = host, repository
        answer = self._send(method, host, path, {"Accept": _ACCEPT, **_header(self._authorization.get(key))})
        if answer.status == _UNAUTHORIZED:
            self._authorization[key] = self._sign_in(answer.headers.get("www-authenticate", ""), host, repository)
            answer = self._send(method, host, path, {"Accept": _ACCEPT, **_header(self._authorization[key])})
        return answer

    def _send(self, method: str, host: str, path: str, headers: Mapping[str, str]) -> Answer:
        """Over TLS; without, if that is allowed and the host has none. A host that failed is not asked again."""
        if host in self._failed:
            raise self._failed[host]
        name = "registry-1.docker.io" if host == "docker.io" else host
        try:
            if host not in self._plain:
                try:
                    return self._transport.send(method, f"https://{name}{path}", headers)
                except NoTlsError:
                    if not self._transport.is_plain(host):
                        raise
                    self._plain.add(host)
            return self._transport.send(method, f"http://{name}{path}", headers)
        except UnreachableError as error:
            self._failed[host] = error
            raise

    # --- signing in

    def _sign_in(self, header: str, host: str, repository: str) -> str:
        """The header that the registry asks for: user and password, or a token of the server it names."""
        challenges = dict(_challenges(header))
        known = self._credentials(host)
        if "bearer" in challenges:
            return f"Bearer {self._token(challenges['bearer'], host, repository, known)}"
        if "basic" in challenges and known.user:
            return _basic(known)
        raise RegistryError(f"{host} wants a login; sign in with `docker login {host}`")

    def _token(self, challenge: Mapping[str, str], host: str, repository: str, known: Credentials) -> str:
        """A token to read one repository, from the server that the registry trusts."""
        realm, fields = parse_url(challenge.get("realm", "")), {"scope": f"repository:{repository}:pull"}
        if "service" in challenge:
            fields["service"] = challenge["service"]
        if known.token:
            fields |= {"grant_type": "refresh_token", "refresh_token": known.token, "client_id": _CLIENT}
            answer = self._transport.send("POST", realm.geturl(), {}, fields)
        else:
            query = urlencode([*parse_qsl(realm.query), *fields.items()])
            url = realm._replace(query=query, fragment="").geturl()
            answer = self._transport.send("GET", url, _header(_basic(known) if known.user else None))
        if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
            is_known = bool(known.user or known.token)
            reason = "refuses the credentials that Docker keeps" if is_known else "wants a login"
            raise RegistryError(f"{host} {reason}; sign in with `docker login {host}`")
        value = _json(answer.body) if answer.status == _OK else {}
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise RegistryError(f"{realm.netloc} gave no token for {host} (status {answer.status})")
        return token


def _challenges(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The schemes of a WWW-Authenticate header, in lower case, with their parameters."""
    parameters: dict[str, str] = {}
    for item in parse_http_list(header):
        found = re.fullmatch(r'(?:([A-Za-z]+)(?:\s+|$))?(?:([A-Za-z]+)\s*=\s*"?(.*?)"?)?', item, re.DOTALL)
        if found is None:
            continue
        if found[1]:
            parameters = {}
            yield found[1].lower(), parameters
        if found[2]:
            parameters[found[2].lower()] = found[3]


def _header(authorization: str | None) -> dict[str, str]:
    return {"Authorization": authorization} if authorization else {}


def _basic(known: Credentials) -> str:
    return f"Basic {b64encode(f'{known.user}:{known.password}'.encode(errors='replace')).decode()}"


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _json(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _verified(answer: Answer, host: str) -> str:
    """The digest of a manifest that came whole. Raises RegistryError for what is none, or not what was announced."""
    value = _json(answer.body)
    if value.get("schemaVersion") == 1:
        raise RegistryError("it is an image of the old manifest schema 1, which LinuxKit cannot read")
    if not isinstance(value.get("manifests"), list) and not isinstance(value.get("config"), dict):
        raise RegistryError(f"{host} answers with something else than an image ('{_media_type(answer)}')")
    digest = f"sha256:{sha256(answer.body).hexdigest()}"
    announced = answer.headers.get("docker-content-digest", "")
    if is_sha256(announced) and announced != digest:
        raise RegistryError(f"{host} announces {announced}, but what it sends has {digest}")
    return digest


def _refusal(answer: Answer, host: str, repository: str, tag: str) -> str:
    """Why there is no manifest, out of the status and the codes of the answer."""
    errors = _json(answer.body).get("errors")
    codes = {one.get("code") for one in errors if isinstance(one, dict)} if isinstance(errors, list) else set()
    if answer.status == _NOT_FOUND and "NAME_UNKNOWN" in codes:
        return f"{host} has no repository '{repository}'"
    if answer.status == _NOT_FOUND:
        return f"{host} has no image '{repository}:{tag}'"
    if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
        return f"{host} has no repository '{repository}', or does not show it to this login; see `docker login {host}`"
    return f"{host} refuses the request (status {answer.status})"
