"""Digests from real registries on this machine, and what becomes of registries that misbehave."""

import contextlib
import socket
import ssl
import threading
import time
from email.utils import formatdate

import pytest
import registrylab as lab

pytest.importorskip("urllib3")

from lkscan.online.credentials import Credentials
from lkscan.online.registry import Registry
from lkscan.online.transport import SIZE_LIMIT, RegistryError, Transport

NOBODY = Credentials()
ALICE = Credentials(lab.USER, lab.PASSWORD)


@pytest.fixture(scope="module", autouse=True)
def no_proxy():
    """The machine's own proxy has no part in this."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if lab.PROGRAM is None:
        pytest.skip("docker-registry is not installed")
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def authority(folder):
    return lab.Authority(folder)


@pytest.fixture(scope="module")
def plain(folder):
    """An open registry with acme/web:1, an image of two platforms, and acme/tool:1, of one; the hub has redis."""
    with lab.registry(folder) as host:
        lab.push_index(host, "acme/web", "1")
        lab.push_image(host, "acme/tool", "1", os="linux")
        lab.push_index(host, "library/redis", "7")
        yield host


def pushed(plain, name, tag):
    """The digest that the registry tells for what is pushed under a tag, when it is asked for an index, too."""
    with lab.call(f"http://{plain}/v2/{name}/manifests/{tag}", "GET", accept=f"{lab.INDEX},{lab.MANIFEST}") as answer:
        return lab.digest_of(answer.read())


def ask(reference, known=NOBODY, **options):
    return Registry(Transport(timeout=5, **options), lambda host: known).digest(reference)


def complaint(reference, known=NOBODY, **options):
    with pytest.raises(RegistryError) as caught:
        ask(reference, known, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what registries tell


def test_a_tag_for_several_platforms_has_the_digest_of_its_index(plain):
    index = lab.push_index(plain, "acme/several", "1")
    assert ask(f"{plain}/acme/several:1") == index["digest"]
    manifest = ask(f"{plain}/acme/several:1-amd64")
    assert manifest not in {index["digest"], ask(f"{plain}/acme/several:1-arm64")}


def test_a_tag_for_one_platform_has_the_digest_of_its_manifest(plain):
    assert ask(f"{plain}/acme/tool:1") == pushed(plain, "acme/tool", "1")


def test_a_moved_tag_is_told_as_it_is_now(plain):
    lab.push_image(plain, "acme/moving", "1", os="linux")
    before = ask(f"{plain}/acme/moving:1")
    after = lab.push_image(plain, "acme/moving", "1", os="linux", author="b")["digest"]
    assert ask(f"{plain}/acme/moving:1") == after != before


@pytest.mark.parametrize("name", ["acme/web:2", "acme/nothing:1", "nothing:latest"])
def test_what_is_not_there_is_told_by_name(plain, name):
    assert complaint(f"{plain}/{name}") == f"{plain} has no image '{name}'"


@pytest.mark.parametrize(
    "name", ["acme/Web:1", "acme/web:" + "a" * 129, "acme/../web:1", "acme/web:1?x", "acme//web:1", "a" * 600 + "/b:1"]
)
def test_a_name_that_no_registry_could_have_is_not_asked_for(name):
    with lab.serve(lambda _: (200, {}, b"")) as (host, asked):
        assert complaint(f"{host}/{name}") == "it is no name that an image in a registry can have"
    assert asked == []


def test_one_request_without_a_body_is_enough(plain):
    with lab.serve(lambda request: lab.forward(plain, request)) as (host, asked):
        ask(f"{host}/acme/web:1")
    assert [request.method for request in asked] == ["HEAD"]


# --- signing in


def test_a_token_is_fetched_from_the_server_that_the_registry_names(folder, plain, authority):
    with (
        lab.serve(lab.token_server(authority)) as (server, asked),
        lab.registry(folder, auth=lab.token(f"http://{server}/token", authority.certificate)) as host,
    ):
        registry = Registry(Transport(timeout=5), lambda host: NOBODY)
        assert registry.digest(f"{host}/acme/web:1") == pushed(plain, "acme/web", "1")
        assert registry.digest(f"{host}/acme/web:1-amd64") == pushed(plain, "acme/web", "1-amd64")
        assert [request.query for request in asked] == [{"service": "lab", "scope": "repository:acme/web:pull"}]
        assert complaint(f"{host}/acme/web:2") == f"{host} has no image 'acme/web:2'"


def test_a_token_for_somebody_is_fetched_with_their_password(folder, plain, authority):
    users = {"Basic YWxpY2U6czNjcmV0"}  # alice:s3cret
    with (
        lab.serve(lab.token_server(authority, users=users)) as (server, _),
        lab.registry(folder, auth=lab.token(f"http://{server}/token", authority.certificate)) as host,
    ):
        assert ask(f"{host}/acme/web:1", ALICE) == pushed(plain, "acme/web", "1")
        assert complaint(f"{host}/acme/web:1") == f"{host} wants a login; sign in with `docker login {host}`"
        wrong = complaint(f"{host}/acme/web:1", Credentials("alice", "wrong"))
        assert wrong == f"{host} refuses the credentials that Docker keeps; sign in with `docker login {host}`"


def test_a_token_is_fetched_with_a_refresh_token(folder, plain, authority):
    with (
        lab.serve(lab.token_server(authority, users={""}, refresh_tokens={"r+1"})) as (server, asked),
        lab.registry(folder, auth=lab.token(f"http://{server}/token", authority.certificate)) as host,
    ):
        assert ask(f"{host}/acme/web:1", Credentials(token="r+1")) == pushed(plain, "acme/web", "1")
        assert [request.method for request in asked] == ["POST"]
        assert "refuses the credentials" in complaint(f"{host}/acme/web:1", Credentials(token="old"))


def test_user_and_password_are_sent_where_the_registry_wants_them(folder, plain):
    with lab.registry(folder, auth=lab.htpasswd(folder)) as host:
        assert ask(f"{host}/acme/web:1", ALICE) == pushed(plain, "acme/web", "1")
        assert complaint(f"{host}/acme/web:1") == f"{host} wants a login; sign in with `docker login {host}`"
        assert "does not show it to this login" in complaint(f"{host}/acme/web:1", Credentials("alice", "wrong"))


def test_nothing_is_sent_to_a_registry_that_does_not_ask_for_it(plain):
    with lab.serve(lambda request: lab.forward(plain, request)) as (host, asked):
        ask(f"{host}/acme/web:1", ALICE)
    assert all("Authorization" not in request.headers for request in asked)


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="x", Bearer realm="{realm}",service="lab"',
        'bearer service=lab , realm="{realm}"',
        '=, Bearer realm="{realm}",service="lab", ?',
        'Negotiate, Bearer realm="{realm}", service="lab", error="a, b"',
    ],
)
def test_challenges_are_found_in_all_their_spellings(challenge):
    def answer(request):
        if request.path.startswith("/token"):
            return 200, {}, b'{"access_token": "t0"}'
        if request.headers.get("Authorization") == "Bearer t0":
            return 404, {}, b""
        return 401, {"WWW-Authenticate": challenge.format(realm=f"http://{request.headers['Host']}/token?a=b")}, b""

    with lab.serve(answer) as (host, asked):
        assert complaint(f"{host}/acme/web:1") == f"{host} has no image 'acme/web:1'"
    fetched = [request.query for request in asked if request.path.startswith("/token")]
    assert fetched == [{"a": "b", "service": "lab", "scope": "repository:acme/web:pull"}]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {}, b"{}"), "gave no token"),
        ((200, {}, b"[1]"), "gave no token"),
        ((200, {}, b'{"token": 5}'), "gave no token"),
        ((200, {}, b'{"token": "a\\r\\nX: y"}'), "gave no token"),
        ((200, {}, b"[" * 100_000), "gave no token"),
        ((500, {}, b""), "gave no token"),
        ((302, {"Location": "/token"}, b""), "redirects more than 5 times"),
    ],
)
def test_a_token_server_that_gives_no_token_is_told(answer, reason):
    def either(request):
        if request.path.startswith("/token"):
            return answer
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{request.headers["Host"]}/token"'}, b""

    with lab.serve(either) as (host, _):
        assert reason in complaint(f"{host}/acme/web:1")


@pytest.mark.parametrize(
    ("realm", "reason"),
    [
        ("", "no address that can be asked"),
        ("ftp://127.0.0.1/", "no address that can be asked"),
        ("http://a@127.0.0.1/", "no address that can be asked"),
        ("http://[/", "no address that can be asked"),
        ("http://registry.invalid/token", "--insecure-registry registry.invalid allows that"),
    ],
)
def test_a_token_is_not_fetched_from_a_doubtful_place(realm, reason):
    def answer(_):
        return 401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b""

    with lab.serve(answer) as (host, _):
        assert reason in complaint(f"{host}/a/b:1", ALICE)


# --- registries that misbehave


def test_a_registry_that_is_busy_is_asked_again(plain):
    waits = ["0", formatdate(time.time() - 5, usegmt=True)]

    def answer(request):
        return (429, {"Retry-After": waits.pop()}, b"") if waits else lab.forward(plain, request)

    with lab.serve(answer) as (host, asked):
        assert ask(f"{host}/acme/web:1") == pushed(plain, "acme/web", "1")
        assert len(asked) == 3


def test_a_registry_that_wants_a_long_wait_is_not_waited_for():
    with lab.serve(lambda _: (429, {"Retry-After": "3600"}, b"")) as (host, asked):
        assert "asks to wait 3600 seconds" in complaint(f"{host}/acme/web:1")
        assert len(asked) == 1


@pytest.mark.parametrize(("status", "reason"), [(429, "limits the rate of requests"), (503, "busy or out of order")])
def test_a_registry_that_stays_busy_is_given_up(status, reason):
    with lab.serve(lambda _: (status, {"Retry-After": "0"}, b"")) as (host, asked):
        assert reason in complaint(f"{host}/acme/web:1")
        assert len(asked) == 4


def test_a_wait_in_words_is_taken_for_a_short_one(plain, monkeypatch):
    waits, slept = ["soon", "-3"], []
    monkeypatch.setattr(time, "sleep", slept.append)

    def answer(request):
        return (429, {"Retry-After": waits.pop()}, b"") if waits else lab.forward(plain, request)

    with lab.serve(answer) as (host, _):
        ask(f"{host}/acme/web:1")
    assert slept == [1.0, 2.0]


def test_a_registry_that_never_answers_is_given_up():
    with lab.serve(lambda _: None) as (host, _):
        text = complaint_within(f"{host}/acme/web:1", 0.2)
    assert text == f"{host} did not answer within 0.2 seconds; see --timeout"


def test_a_port_that_takes_no_tls_and_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        assert "did not answer within" in complaint_within(f"{host}/acme/web:1", 0.2)


def complaint_within(reference, timeout):
    with pytest.raises(RegistryError) as caught:
        Registry(Transport(timeout=timeout), lambda host: NOBODY).digest(reference)
    return str(caught.value)


def test_a_host_that_failed_is_not_asked_again():
    with lab.serve(lambda _: (503, {"Retry-After": "0"}, b"")) as (host, asked):
        registry = Registry(Transport(timeout=5), lambda host: NOBODY)
        found = registry.digests([f"{host}/a/b:1"])
        found |= registry.digests([f"{host}/a/b:{i}" for i in range(2, 20)])
        assert all("out of order" in str(one) for one in found.values())
        assert len(asked) == 4


def test_a_byte_now_and_then_does_not_keep_anybody_for_ever():
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()
        thread = threading.Thread(target=trickle, args=(server, stop))
        thread.start()
        try:
            name = f"127.0.0.1:{server.getsockname()[1]}/acme/web:1"
            found = Registry(Transport(timeout=5), lambda host: NOBODY).digests([name], patience=0.3)
        finally:
            stop.set()
            thread.join(10)
        assert str(found[name]) == "there was no answer within 0.3 seconds"


def trickle(server, stop):
    connections = []
    server.settimeout(0.02)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            connections.append(server.accept()[0])
        for one in connections:
            with contextlib.suppress(OSError):
                one.send(b"H")
    for one in connections:
        one.close()


def test_a_port_where_nobody_listens_is_told():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host = f"127.0.0.1:{gone.getsockname()[1]}"
    assert complaint(f"{host}/acme/web:1") == f"{host} cannot be reached: Connection refused"


def test_a_name_that_cannot_be_resolved_is_told(monkeypatch):
    def refuse(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert complaint("registry.invalid/a/b:1") == "the name of registry.invalid cannot be resolved"


def test_a_defect_of_ones_own_costs_one_digest_and_not_the_others(plain):
    def stumble(_):
        raise TypeError

    def answer(request):
        return (401, {"WWW-Authenticate": "Basic"}, b"") if "/closed/" in request.path else lab.forward(plain, request)

    with lab.serve(answer) as (host, _):
        found = Registry(Transport(timeout=5), stumble).digests([f"{host}/closed/a:1", f"{host}/acme/web:1"])
    assert str(found[f"{host}/closed/a:1"]) == "asking failed: TypeError; please report it"
    assert found[f"{host}/acme/web:1"] == pushed(plain, "acme/web", "1")


def without_header(plain, change=lambda answer: answer):
    """A registry that tells no digest with HEAD; with GET, what `change` makes of the true answer."""

    def answer(request):
        status, headers, body = lab.forward(plain, request)
        if request.method == "HEAD":
            return status, {"Content-Type": lab.INDEX}, b""
        return change((status, headers, body))

    return lab.serve(answer)


def test_without_a_digest_in_the_header_it_is_computed(plain):
    with without_header(plain) as (host, asked):
        assert ask(f"{host}/acme/web:1") == pushed(plain, "acme/web", "1")
        assert [request.method for request in asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("header", ["sha256:0", "md5:00", "sha256:" + "A" * 64, ""])
def test_a_header_that_holds_no_digest_counts_as_none(plain, header):
    def answer(request):
        status, headers, body = lab.forward(plain, request)
        return status, {**headers, "Docker-Content-Digest": header}, body

    with lab.serve(answer) as (host, _):
        assert ask(f"{host}/acme/web:1") == pushed(plain, "acme/web", "1")


def test_a_registry_without_head_is_asked_for_the_manifest(plain):
    def answer(request):
        return (405, {}, b"") if request.method == "HEAD" else lab.forward(plain, request)

    with lab.serve(answer) as (host, _):
        assert ask(f"{host}/acme/web:1") == pushed(plain, "acme/web", "1")


def test_a_manifest_that_is_not_what_its_header_says_is_refused(plain):
    def other(answer):
        status, headers, body = answer
        return status, {**headers, "Docker-Content-Digest": "sha256:" + "0" * 64}, body

    with without_header(plain, other) as (host, _):
        text = complaint(f"{host}/acme/web:1")
    assert text.startswith(f"{host} announces sha256:0000")
    assert text.endswith(pushed(plain, "acme/web", "1"))


def test_a_body_that_breaks_off_is_refused(plain):
    with without_header(plain, lambda answer: (200, {"Content-Length": 5000}, answer[2])) as (host, _):
        assert complaint(f"{host}/acme/web:1").startswith(f"{host} broke off its answer")


def test_a_huge_body_is_refused(plain):
    with without_header(plain, lambda _: (200, {}, b" " * (SIZE_LIMIT + 1))) as (host, _):
        assert complaint(f"{host}/acme/web:1") == f"the answer of {host} exceeds the limit of 8 MiB"


@pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b"{}", b"[]", b"[" * 100_000, b"\xff", b""])
def test_a_page_for_people_is_no_image(plain, body):
    headers = {"Content-Type": "text/html; charset=utf-8"}
    with without_header(plain, lambda _: (200, headers, body)) as (host, _):
        assert complaint(f"{host}/acme/web:1") == f"{host} answers with something else than an image ('text/html')"


def test_the_old_schema_is_refused(plain):
    with without_header(plain, lambda _: (200, {}, b'{"schemaVersion": 1, "fsLayers": []}')) as (host, _):
        assert "old manifest schema 1" in complaint(f"{host}/acme/web:1")


def test_an_unknown_repository_is_told_where_the_registry_says_so():
    body = b'{"errors": [5, {"code": "NAME_UNKNOWN"}]}'
    with lab.serve(lambda _: (404, {}, body)) as (host, _):
        assert complaint(f"{host}/acme/web:1") == f"{host} has no repository 'acme/web'"


def test_another_refusal_is_told_with_its_status():
    with lab.serve(lambda _: (418, {}, b'{"errors": 5}')) as (host, _):
        assert complaint(f"{host}/acme/web:1") == f"{host} refuses the request (status 418)"


# --- redirects


def test_credentials_are_not_sent_on_to_another_host(plain):
    with lab.serve(lambda request: lab.forward(plain, request)) as (other, seen):

        def answer(request):
            if "Authorization" not in request.headers:
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
            return 307, {"Location": f"http://{other}{request.path}"}, b""

        with lab.serve(answer) as (host, asked):
            assert ask(f"{host}/acme/web:1", ALICE) == pushed(plain, "acme/web", "1")
    assert "Authorization" in asked[-1].headers
    assert [request.headers.get("Authorization") for request in seen] == [None]


def test_credentials_stay_on_a_redirect_within_the_host(plain):
    def answer(request):
        if request.path.startswith("/v2/"):
            return 308, {"Location": f"/moved{request.path}"}, b""
        if "Authorization" not in request.headers:
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 200, {"Docker-Content-Digest": "sha256:" + "1" * 64, "Content-Type": lab.INDEX}, b""

    with lab.serve(answer) as (host, _):
        assert ask(f"{host}/acme/web:1", ALICE) == "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/v2/", "redirects more than 5 times"),
        ("http://registry.invalid/", "without TLS"),
        ("file:///etc/passwd", "no address"),
        ("http://user:word@127.0.0.1/", "no address"),
        ("http://[", "no address"),
        ("//127.0.0.1:99999/", "no address"),
    ],
)
def test_a_redirect_is_not_followed_anywhere(location, reason):
    with lab.serve(lambda _: (302, {"Location": location}, b"")) as (host, _):
        assert reason in complaint(f"{host}/acme/web:1")


def test_a_refresh_token_is_not_sent_on():
    def answer(request):
        if request.method == "POST":
            return 307, {"Location": "/elsewhere"}, b""
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{request.headers["Host"]}/token"'}, b""

    with lab.serve(answer) as (host, asked):
        assert "redirects credentials" in complaint(f"{host}/acme/web:1", Credentials(token="r1"))
    assert [request.path for request in asked if request.method == "POST"] == ["/token"]


# --- TLS


@pytest.fixture(scope="module")
def secure(folder, plain, authority):
    with lab.registry(folder, tls=authority.sign("127.0.0.1", "localhost", "registry-1.docker.io")) as host:
        yield host


def test_a_certificate_that_nobody_vouches_for_is_refused(secure):
    text = complaint(f"{secure}/acme/web:1")
    assert text.startswith(f"the TLS certificate of {secure} is not trusted (")
    assert text.endswith("see --ca-cert")


def test_a_certificate_that_the_users_authority_vouches_for_is_taken(secure, authority, plain):
    assert ask(f"{secure}/acme/web:1", ca_cert=str(authority.certificate)) == pushed(plain, "acme/web", "1")


def test_a_certificate_for_another_name_is_refused(folder, plain, authority):
    with lab.registry(folder, tls=authority.sign("other.invalid")) as host:
        assert "is not trusted" in complaint(f"{host}/acme/web:1", ca_cert=str(authority.certificate))


def test_a_bad_certificate_is_not_got_round_by_leaving_tls_out(secure):
    assert "is not trusted" in complaint(f"{secure}/acme/web:1", plain_hosts=frozenset({secure}))


def test_a_redirect_out_of_tls_is_refused(plain, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("127.0.0.1"))
    with lab.serve(lambda request: (302, {"Location": f"http://{plain}{request.path}"}, b""), context) as (host, _):
        text = complaint(f"{host}/acme/web:1", ca_cert=str(authority.certificate))
    assert text == f"{host} redirects to a place without TLS"


def test_only_this_machine_and_named_hosts_are_spoken_to_without_tls():
    transport = Transport(plain_hosts=frozenset({"near.example:5000", "far.example"}))
    plain = ["localhost:5000", "127.0.0.9", "[::1]:80", "near.example:5000", "far.example", "far.example:1"]
    assert [host for host in plain if not transport.is_plain(host)] == []
    assert [
        host for host in ["near.example", "localhost.example", "10.0.0.1", "docker.io"] if transport.is_plain(host)
    ] == []


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_an_authority_that_is_none_is_an_error_of_the_user(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(OSError):
        Transport(ca_cert=str(tmp_path / "ca.pem"))


# --- proxies, and Docker Hub's names


@pytest.fixture
def proxy(monkeypatch):
    """A proxy before all hosts, which goes where it is told, once; gives how to tell it, and what it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        target, asked = [], []
        thread = threading.Thread(target=tunnel, args=(server, target, asked))
        thread.start()
        port = server.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://me:pass%20word@127.0.0.1:{port}")
        yield target.append, asked
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
        thread.join(10)


def tunnel(server, target, asked):
    """One CONNECT, carried out to another host than was asked for."""
    client, _ = server.accept()
    with client:
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(4096)
            if not part:
                return
            head += part
        asked.append(head.decode())
        name, port = target[0].split(":")
        with socket.create_connection((name, int(port)), 10) as upstream:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=pump, args=(upstream, client))
            back.start()
            pump(client, upstream)
            back.join(10)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("name", ["docker.io/library/redis:7", "docker.io/redis:7"])
def test_docker_hub_is_asked_by_its_own_names_through_the_proxy(proxy, secure, plain, authority, name):
    lead, heads = proxy
    lead(secure)
    asked_for = []
    registry = Registry(
        Transport(timeout=5, ca_cert=str(authority.certificate)), lambda host: asked_for.append(host) or NOBODY
    )
    assert registry.digest(name) == pushed(plain, "library/redis", "7")
    registry._transport._proxies["https"].clear()
    (head,) = heads
    assert head.startswith("CONNECT registry-1.docker.io:443 ")
    assert "proxy-authorization: Basic bWU6cGFzcyB3b3Jk" in head.replace("Proxy-Authorization", "proxy-authorization")


def test_a_host_elsewhere_that_has_no_tls_is_not_asked_without(proxy, plain):
    lead, heads = proxy
    lead(plain)
    assert complaint("registry.invalid/a/b:1").startswith("no TLS connection to registry.invalid comes about")
    assert len(heads) == 1


def test_a_proxy_that_is_none_is_an_error_of_the_user(monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(OSError, match="none for HTTP"):
        Transport()


def test_a_proxy_that_cannot_be_reached_is_told(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{gone.getsockname()[1]}")
    assert complaint("registry.invalid/a/b:1") == "the proxy cannot be used to reach registry.invalid"
