"""Real registries on this machine, with what stands around them: a token server, certificates, and awkward fronts."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PROGRAM = shutil.which("docker-registry")
USER, PASSWORD = "alice", "s3cret"
HTPASSWD = "alice:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


# --- a registry


@contextmanager
def registry(folder, *, auth="", tls=None):
    """A docker-registry over the storage in `folder`, on a port of its own; gives `127.0.0.1:PORT`."""
    http = f"  tls: {{certificate: {tls[0]}, key: {tls[1]}}}\n" if tls else ""
    config = folder / f"registry-{time.monotonic_ns()}.yml"
    config.write_text(
        "version: 0.1\nlog: {level: info, formatter: json}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}\n"
        f"http:\n  addr: 127.0.0.1:0\n{http}{auth}"
    )
    server = subprocess.Popen([PROGRAM, "serve", config], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with server:
        try:
            port = _port(server)
            drain = threading.Thread(target=server.stderr.read)  # a full pipe would stop it
            drain.start()
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
        drain.join(10)


def _port(server):
    for line in server.stderr:
        if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
            return found[1]
    raise RuntimeError("docker-registry did not start")


def htpasswd(folder):
    (folder / "htpasswd").write_text(HTPASSWD)
    return f"auth: {{htpasswd: {{realm: lab, path: {folder}/htpasswd}}}}\n"


def token(realm, certificate):
    return f"auth: {{token: {{realm: '{realm}', service: lab, issuer: lab, rootcertbundle: {certificate}}}}}\n"


# --- what is in it


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push_blob(host, name, data):
    with call(f"http://{host}/v2/{name}/blobs/uploads/", "POST") as answer:
        location = answer.headers["Location"]
    call(f"{location}&digest={digest_of(data)}", "PUT", data, "application/octet-stream").close()
    return {"digest": digest_of(data), "size": len(data)}


def push_image(host, name, tag, **config):
    """One platform's image; gives the descriptor of its manifest."""
    blob = {"mediaType": "application/vnd.oci.image.config.v1+json", **push_blob(host, name, as_json(config))}
    return push(host, name, tag, MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": blob, "layers": []})


def push_index(host, name, tag):
    """An image for two platforms; gives the descriptor of its index."""
    platforms = []
    for architecture in ("amd64", "arm64"):
        descriptor = push_image(host, name, f"{tag}-{architecture}", architecture=architecture, os="linux")
        platforms.append({**descriptor, "platform": {"architecture": architecture, "os": "linux"}})
    return push(host, name, tag, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": platforms})


def push(host, name, tag, media_type, value):
    data = as_json(value)
    call(f"http://{host}/v2/{name}/manifests/{tag}", "PUT", data, media_type).close()
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def as_json(value):
    return json.dumps(value, sort_keys=True).encode()


def call(url, method, data=None, media_type=None, accept=None):
    headers = {key: value for key, value in (("Content-Type", media_type), ("Accept", accept)) if value}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, data, headers, method=method), timeout=10)


# --- certificates


class Authority:
    """A certificate authority of its own, and what it signs."""

    def __init__(self, folder):
        self.folder = folder
        self.certificate = folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab", "-sha256",
                "-addext", "keyUsage=critical,keyCertSign,digitalSignature",
                "-keyout", folder / "ca.key", "-out", self.certificate)  # fmt: skip

    def sign(self, *names):
        """A certificate and key for host names and addresses."""
        path = self.folder / names[0]
        alternatives = ",".join(f"IP:{one}" if one[0].isdigit() else f"DNS:{one}" for one in names)
        (self.folder / "extension").write_text(f"subjectAltName={alternatives}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={names[0]}",
                "-keyout", f"{path}.key", "-out", f"{path}.csr")  # fmt: skip
        openssl("x509", "-req", "-in", f"{path}.csr", "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
                "-CAcreateserial", "-days", "2", "-sha256", "-extfile", self.folder / "extension",
                "-out", f"{path}.pem")  # fmt: skip
        return f"{path}.pem", f"{path}.key"

    def jwt(self, claims):
        """A signed token, with the authority's own certificate in it."""
        lines = self.certificate.read_text().splitlines()
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(lines[1:-1])]}
        text = b".".join(url64(as_json(part)) for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.folder / "ca.key", stdin=text)
        return (text + b"." + url64(signature)).decode()


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


# --- servers of our own


class Request:
    """What a server was asked; the path is a whole URL where it is asked as a proxy."""

    def __init__(self, handler):
        self.method = handler.command
        self.path = handler.path
        self.headers = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    @property
    def query(self):
        return {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}


@contextmanager
def serve(answer, context=None):
    """A server; `answer(request)` gives status, headers and body, or None for silence. Gives host and requests."""
    asked = []
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def respond(self):
            request = Request(self)
            asked.append(request)
            result = answer(request)
            if result is None:
                stop.wait(30)
                return
            status, headers, body = result
            self.send_response_only(status)
            for name, value in {"Content-Length": len(body), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = respond  # noqa: N815 - the names that the library calls

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # clients that hang up are what is tested
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        stop.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


def forward(host, request):
    """What the registry at `host` answers to a request: status, headers, body."""
    try:
        reply = call(f"http://{host}{request.path}", request.method, accept=request.headers["Accept"])
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return reply.status, dict(reply.headers), reply.read()


def token_server(authority, *, users=(), refresh_tokens=()):
    """What a token server answers: a signed token for one repository, to anybody or only to those it knows."""

    def answer(request):
        fields = request.query
        if request.method == "POST":
            fields = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
            is_known = fields.get("refresh_token") in refresh_tokens
        else:
            is_known = not users or request.headers.get("Authorization") in users
        if not is_known:
            return 401, {}, b"{}"
        kind, name, actions = fields["scope"].split(":")
        now = int(time.time())
        times = {"exp": now + 60, "nbf": now - 60, "iat": now, "jti": os.urandom(4).hex()}
        access = [{"type": kind, "name": name, "actions": [actions]}]
        claims = {"iss": "lab", "sub": "", "aud": fields["service"], **times, "access": access}
        return 200, {"Content-Type": "application/json"}, as_json({"token": authority.jwt(claims)})

    return answer
