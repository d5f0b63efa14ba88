"""HTTP within bounds: time, size, redirects and retries are limited, and credentials go to one host only."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager
from urllib3 import exceptions as errors
from urllib3.util import Timeout, make_headers

SIZE_LIMIT = 8 << 20
"""Bytes of an answer; registries are asked to take manifests of 4 MiB."""
_CHUNK = 1 << 16
_CONNECT = 10.0
"""Seconds until a connection stands."""
_REDIRECTS = 5
_RETRIES = 3
_PATIENCE = 30.0
"""Seconds that are waited in all before a request is tried again."""
_BUSY = frozenset({429, 502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})


class RegistryError(Exception):
    """A registry gave no answer that can be used; one clear line that says why."""


class UnreachableError(RegistryError):
    """There is no use in asking this host for anything more."""


class NoTlsError(UnreachableError):
    """The other side does not speak TLS."""


class Answer(NamedTuple):
    """A whole answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests. Raises OSError (ssl.SSLError is one) when `ca_cert`, a PEM file or "", cannot be used.

    `plain_hosts` (`HOST` or `HOST:PORT`) may be spoken to without TLS, as this machine itself may. `timeout` is in
    seconds, for each wait for bytes. Proxies are those of the environment (HTTPS_PROXY, NO_PROXY …).
    """

    def __init__(self, *, plain_hosts: frozenset[str] = frozenset(), ca_cert: str = "", timeout: float = 30.0) -> None:
        self._plain_hosts = plain_hosts
        self._timeout = timeout
        context = ssl.create_default_context()
        if ca_cert:
            context.load_verify_locations(ca_cert)
        self._direct = PoolManager(ssl_context=context)
        self._proxies = {
            scheme: _proxy(url, context) for scheme, url in getproxies().items() if scheme in {"http", "https"}
        }

    def is_plain(self, host: str) -> bool:
        """Whether a host (`HOST` or `HOST:PORT`) may be spoken to without TLS."""
        name = urlsplit(f"//{host}").hostname or ""
        return host in self._plain_hosts or name in self._plain_hosts or _is_here(name)

    def send(
        self, method: str, url: str, headers: Mapping[str, str], fields: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to a request, redirects followed. Raises RegistryError.

        `fields` are sent as a form. The header Authorization goes to the host of `url` only.
        """
        sent = {**headers, "Accept-Encoding": "identity", "User-Agent": "lkscan"}
        if fields is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        for _ in range(_REDIRECTS + 1):
            here = self._checked(url)
            answer = self._patiently(method, url, sent, fields)
            if answer.status not in _MOVED or "location" not in answer.headers:
                return answer
            there = parse_url(answer.headers["location"], url)
            url = there.geturl()
            if there.scheme != "https" and here.scheme == "https":
                raise RegistryError(f"{here.netloc} redirects to a place without TLS")
            if fields is not None:
                raise RegistryError(f"{here.netloc} redirects credentials to another place")
            if (there.scheme, there.netloc) != (here.scheme, here.netloc):
                sent.pop("Authorization", None)
        raise RegistryError(f"{here.netloc} redirects more than {_REDIRECTS} times")

    def _checked(self, url: str) -> SplitResult:
        """The parts of an URL. Raises RegistryError for what is not to be spoken to."""
        parts = parse_url(url)
        if parts.scheme == "http" and not self.is_plain(parts.netloc):
            raise RegistryError(
                f"{parts.netloc} would be spoken to without TLS; --insecure-registry {parts.netloc} allows that"
            )
        return parts

    def _patiently(self, method: str, url: str, headers: Mapping[str, str], fields: Mapping[str, str] | None) -> Answer:
        """Once more, a few times, when the other side says that it is busy."""
        waited = 0.0
        for attempt in range(_RETRIES + 1):
            answer = self._once(method, url, headers, fields)
            if answer.status not in _BUSY:
                return answer
            wait = _asked_wait(answer.headers.get("retry-after", ""), otherwise=2.0**attempt)
            waited += wait
            if attempt == _RETRIES or waited > _PATIENCE:
                break
            time.sleep(wait)
        host = urlsplit(url).netloc
        if answer.status == 429:  # noqa: PLR2004 - Too Many Requests
            raise UnreachableError(
                f"{host} limits the rate of requests and asks to wait {wait:.0f} seconds; "
                "try again later, or sign in with `docker login`"
            )
        raise UnreachableError(f"{host} is busy or out of order (status {answer.status}); try again later")

    def _once(self, method: str, url: str, headers: Mapping[str, str], fields: Mapping[str, str] | None) -> Answer:
        where = urlsplit(url)
        is_near = _is_here(where.hostname or "") or proxy_bypass(where.netloc)
        manager = self._direct if is_near else self._proxies.get(where.scheme, self._direct)
        timeout = Timeout(connect=min(_CONNECT, self._timeout), read=self._timeout)
        try:
            response = manager.urlopen(
                method,
                url,
                body=None if fields is None else urlencode(fields),
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=timeout,
            )
            with response:
                body = _bounded(response, where.netloc)
        except (errors.HTTPError, ValueError) as error:
            raise self._failure(where.netloc, error) from None
        found = {name.lower(): response.headers[name] for name in response.headers}
        return Answer(response.status, found, body)

    def _failure(self, host: str, error: Exception) -> UnreachableError:
        """What went wrong, in words that say what to do."""
        if isinstance(error, errors.SSLError):
            return _tls_failure(host, error)
        if isinstance(error, errors.ProxyError):
            text = f"the proxy cannot be used to reach {host}"
        elif isinstance(error, errors.NameResolutionError):
            text = f"the name of {host} cannot be resolved"
        elif isinstance(error, errors.NewConnectionError):
            text = f"{host} cannot be reached: {getattr(error.__cause__, 'strerror', None) or 'no connection'}"
        elif isinstance(error, errors.TimeoutError):
            text = f"{host} did not answer within {self._timeout:g} seconds; see --timeout"
        else:
            text = f"{host} broke off its answer, or answered with something else than HTTP"
        return UnreachableError(text)


def _tls_failure(host: str, error: errors.SSLError) -> UnreachableError:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UnreachableError(f"the TLS certificate of {host} is not trusted ({cause.verify_message}); see --ca-cert")
    return NoTlsError(f"no TLS connection to {host} comes about ({getattr(cause, 'reason', None) or error})")


def parse_url(url: str, base: str = "") -> SplitResult:
    """The parts of an URL, which may be relative to `base`. Raises RegistryError."""
    try:
        parts = urlsplit(urljoin(base, url))
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_whole = False
    if not is_whole or "@" in parts.netloc:
        raise RegistryError(f"'{url}' is no address that can be asked")
    return parts


def _proxy(url: str, context: ssl.SSLContext) -> ProxyManager:
    """The way through a proxy. Raises OSError for one that is of no use."""
    whole = url if "://" in url else f"http://{url}"
    parts = urlsplit(whole)
    login = unquote(f"{parts.username or ''}:{parts.password or ''}") if parts.username else None
    try:
        return ProxyManager(whole, proxy_headers=make_headers(proxy_basic_auth=login), ssl_context=context)
    except (errors.HTTPError, errors.ProxySchemeUnknown, ValueError):
        raise OSError("the proxy that the environment names is none for HTTP") from None


def _is_here(name: str) -> bool:
    """Whether a host name stands for this machine."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _asked_wait(header: str, *, otherwise: float) -> float:
    """The seconds that a Retry-After asks for, given in seconds or as a date."""
    from email.utils import parsedate_to_datetime

    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, OverflowError):
        return otherwise


def _bounded(response: BaseHTTPResponse, host: str) -> bytes:
    """The body. Raises RegistryError when it is larger than the limit, urllib3's errors when it breaks off."""
    body = bytearray()
    while chunk := response.read(_CHUNK):
        body += chunk
        if len(body) > SIZE_LIMIT:
            raise RegistryError(f"the answer of {host} exceeds the limit of {SIZE_LIMIT >> 20} MiB")
    return bytes(body)
