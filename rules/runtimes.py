"""Family A, its third part: container runtimes that listen to the network, or trust what comes from it."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from ..scanner.startup import Any, late
from ..scanner.subjects import Container, File
from .engine import Severity, Verdict, fail, not_applicable, rule, undecided
from .origins import note, unread

_PROGRAMS = frozenset({"dockerd", "dockerd-entrypoint.sh", "buildkitd"})
"""Programs whose `-H`, `--host` or `--addr` says where they listen. That of `docker` itself says where it calls."""
_OWN = late(r"tcp://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?:[:/]|$)")
_SECURED = ("--tlsverify", "--tlsverify=true", "--tlsverify=1")
_LIMIT = 1 << 20
_FILE = late(
    r"(?:containers/[^/]+/[^/]+/(?:rootfs|lower)/)?etc/(?:docker/daemon\.json|containerd/(?:[^/]+/)*[^/]+\.toml)"
)


def _has_command(container: Container) -> bool:
    return bool(container.command)


@rule(
    "LKA009",
    "runtime-listens-on-network",
    Severity.CRITICAL,
    {
        "default": "Container '{0}' runs '{1}' for whoever reaches '{2}': that is root on the host.",
        "own": "Container '{0}' runs '{1}' for every program that shares its network, at '{2}'.",
        "verified": "Container '{0}' runs '{1}' for holders of a certificate, at '{2}'.",
    },
    remedy="Let the runtime listen on its Unix socket only; where it must be remote, use --tlsverify or an ssh tunnel.",
    nist=("3.4.3", "3.4.2"),
    about=_has_command,
)
def runtime_listens_on_network(container: Container) -> Iterator[Verdict]:
    """A container runtime takes orders over TCP, as its command says."""
    words = [word for argument in container.command for word in argument.split()]
    program = next((name for word in words if (name := word.rpartition("/")[2]) in _PROGRAMS), "")
    if not program:
        yield not_applicable(container.title, container.place, "Its command names no container runtime.")
        return
    origin = container.origin("command")
    secured = any(word in _SECURED for word in words)
    for address in dict.fromkeys(_listens(words)):
        own = _OWN.match(address) is not None
        variant = "own" if own else "verified" if secured else "default"
        yield fail(
            container.title,
            origin.place,
            container.name,
            program,
            address,
            note=note(container, origin),
            key=address,
            variant=variant,
            severity={"own": Severity.HIGH, "verified": Severity.LOW}.get(variant),
        )


def _listens(words: list[str]) -> Iterator[str]:
    """The addresses that `-H`, `--host` or `--addr` name."""
    for before, word in zip(("", *words), words, strict=False):
        if before in {"-H", "--host", "--addr"} and word.startswith("tcp://"):
            yield word
        elif found := re.fullmatch(r"(?:-H=?|--host=|--addr=)(tcp://\S*)", word):
            yield found[1]


def _is_configuration(file: File) -> bool:
    is_named = file.path.endswith((".json", ".toml"))
    return is_named and file.kind in {"file", "hardlink"} and _FILE.fullmatch(file.path) is not None


@rule(
    "LKA010",
    "runtime-configured-for-network",
    Severity.CRITICAL,
    {
        "default": "'{0}' has the runtime listen at '{1}': whoever reaches it is root on the host.",
        "own": "'{0}' has the runtime listen at '{1}', for every program that shares its network.",
        "verified": "'{0}' has the runtime listen at '{1}', for holders of a certificate.",
        "registry": "'{0}' takes images from '{1}' without checking whose server it is.",
    },
    remedy="Let the runtime listen on its Unix socket only, and give registries a certificate that it can check.",
    nist=("3.4.3", "3.2.1"),
    about=_is_configuration,
)
def runtime_configured_for_network(file: File) -> Iterator[Verdict]:
    """A configuration of docker or containerd opens its API to the network, or trusts a registry blindly."""
    if file.read is None:
        yield unread(file)
        return
    text = file.read(_LIMIT)
    read = _docker if file.path.endswith(".json") else _containerd
    try:
        found = list(read(text.decode("utf-8", "replace")))
    except ValueError:
        yield undecided(file.path, file.place, f"'{file.path}' cannot be parsed; the runtime would not start with it.")
        return
    for variant, what, severity in found:
        yield fail(file.path, file.place, file.path, what, variant=variant, key=what, severity=severity)


_Flaw = tuple[str, str, Severity | None]
"""The variant of the message, the address, and the severity where it differs from the rule's."""


def _docker(text: str) -> Iterator[_Flaw]:
    """What docker's daemon.json opens. Raises ValueError."""
    import json

    try:
        settings = json.loads(text or "{}")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(settings, dict):
        raise ValueError("no object")  # noqa: TRY004 - of the file, not of a caller
    for address in _texts(settings.get("hosts")):
        if address.startswith("tcp://"):
            yield _listener(address, verified=settings.get("tlsverify") is True)
    for registry in _texts(settings.get("insecure-registries")):
        if not _OWN.match(f"tcp://{registry}"):
            yield "registry", registry, Severity.MEDIUM


def _containerd(text: str) -> Iterator[_Flaw]:
    """What containerd's config.toml opens. Raises ValueError."""
    import tomli

    try:
        settings = tomli.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    grpc, debug = (settings.get(name) for name in ("grpc", "debug"))
    for table in (grpc, debug):
        if isinstance(table, Mapping) and isinstance(table.get("tcp_address"), str) and table["tcp_address"]:
            yield _listener(f"tcp://{table['tcp_address']}", verified=bool(table.get("tcp_tls_ca")))
    for registry in _unchecked(settings):
        yield "registry", registry, Severity.MEDIUM


def _listener(address: str, *, verified: bool) -> _Flaw:
    if _OWN.match(address):
        return "own", address, Severity.HIGH
    return ("verified", address, Severity.LOW) if verified else ("default", address, None)


def _unchecked(settings: Mapping[str, Any]) -> Iterator[str]:
    """Registries of the CRI plugin with `insecure_skip_verify = true`, and of hosts.toml with `skip_verify = true`."""
    waiting = [settings]
    while waiting:
        for name, value in waiting.pop().items():
            if isinstance(value, Mapping):
                tls = value.get("tls")
                inside = isinstance(tls, Mapping) and tls.get("insecure_skip_verify") is True
                if inside or value.get("skip_verify") is True:
                    yield str(name)
                waiting.append(value)


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - what a file holds
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


_DEBUG = late(
    r"(?:containers/[^/]+/[^/]+/(?:rootfs|lower)/)?etc/(?:docker/daemon\.json|containerd/(?:runtime-)?config\.toml)"
)
_LOUD = ("debug", "trace")


def _may_debug(file: File) -> bool:
    is_named = file.path.endswith(("daemon.json", "config.toml"))
    return is_named and file.kind in {"file", "hardlink"} and _DEBUG.fullmatch(file.path) is not None


@rule(
    "LKA014",
    "runtime-debugging",
    Severity.LOW,
    {
        "default": "'{0}' has the runtime write down all that it does: '{1}'.",
        "metrics": "'{0}' has the runtime tell its figures to whoever asks, at '{1}'.",
    },
    remedy="Leave the level at 'info', and metrics off or at an address of the machine's own.",
    nist=("3.4.2", "3.5.1"),
    about=_may_debug,
)
def runtime_debugging(file: File) -> Iterator[Verdict]:
    """A configuration of docker or containerd is one for debugging.

    At the levels debug and trace, configurations of containers, with their environment, end in the log. LinuxKit's init
    reads `runtime-config.toml`, whose `cliopts` are handed to containerd.
    """
    if file.read is None:
        yield unread(file)
        return
    text = file.read(_LIMIT).decode("utf-8", "replace")
    try:
        found = list(_debugging(text, file.path.rpartition("/")[2]))
    except (ValueError, RecursionError):
        yield undecided(file.path, file.place, f"'{file.path}' cannot be parsed; the runtime would not start with it.")
        return
    for variant, what in found:
        yield fail(file.path, file.place, file.path, what, variant=variant, key=what)


def _debugging(text: str, name: str) -> Iterator[tuple[str, str]]:
    """The variant of the message and the setting. Raises ValueError."""
    if name == "daemon.json":
        import json

        settings = json.loads(text or "{}")
        if not isinstance(settings, dict):
            raise ValueError("no object")
        level, address = settings.get("log-level"), settings.get("metrics-addr")
        if settings.get("debug") is True:
            yield "default", "debug: true"
    else:
        import tomli

        settings = tomli.loads(text)
        debug, metrics = (settings.get(table) for table in ("debug", "metrics"))
        level = debug.get("level") if isinstance(debug, Mapping) else None
        address = metrics.get("address") if isinstance(metrics, Mapping) else None
        options = settings.get("cliopts")
        words = options.replace("=", " ").split() if isinstance(options, str) else []
        for option, value in pairwise(words):
            if option in {"--log-level", "-l"} and value in _LOUD:
                yield "default", f"{option} {value}"
    if level in _LOUD:
        yield "default", f"level: {level}"
    if isinstance(address, str) and address and not _OWN.match(f"tcp://{address}"):
        yield "metrics", address


RULES = (runtime_listens_on_network, runtime_configured_for_network, runtime_debugging)
