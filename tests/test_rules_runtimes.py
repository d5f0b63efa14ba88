"""Family A: what opens a container runtime to the network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import container, file, fires, outcomes

from lkscan.rules.engine import Outcome, Severity
from lkscan.rules.runtimes import runtime_configured_for_network, runtime_debugging, runtime_listens_on_network


@pytest.mark.parametrize(
    ("command", "address", "severity"),
    [
        (["dockerd", "-H", "tcp://0.0.0.0:2375"], "tcp://0.0.0.0:2375", Severity.CRITICAL),
        (["/usr/local/bin/docker-init", "/usr/local/bin/dockerd", "-Htcp://:2375"], "tcp://:2375", Severity.CRITICAL),
        (["dockerd", "--host=tcp://10.0.0.1:2375", "--tls"], "tcp://10.0.0.1:2375", Severity.CRITICAL),
        (["sh", "-c", "exec dockerd -H unix:// -H tcp://0.0.0.0:2375"], "tcp://0.0.0.0:2375", Severity.CRITICAL),
        (["dockerd", "-H", "tcp://127.0.0.1:2375"], "tcp://127.0.0.1:2375", Severity.HIGH),
        (["dockerd", "-H", "tcp://localhost:2375"], "tcp://localhost:2375", Severity.HIGH),
        (["dockerd", "-H", "tcp://127.0.0.1.example.org:1"], "tcp://127.0.0.1.example.org:1", Severity.CRITICAL),
        (["dockerd", "-H", "tcp://0.0.0.0:2376", "--tlsverify"], "tcp://0.0.0.0:2376", Severity.LOW),
        (["buildkitd", "--addr", "tcp://0.0.0.0:1234"], "tcp://0.0.0.0:1234", Severity.CRITICAL),
    ],
)
def test_an_address_on_the_command_line_fires(command, address, severity):
    (finding,) = fires(runtime_listens_on_network, container(command=command))
    assert f"'{address}'" in finding.message
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["dockerd", "-H", "unix:///var/run/docker.sock"], Outcome.PASS),
        (["dockerd", "--insecure-registry", "tcp://0.0.0.0:1"], Outcome.PASS),
        (["docker", "-H", "tcp://10.0.0.1:2375", "ps"], Outcome.NOT_APPLICABLE),
        (["web", "--host=tcp://0.0.0.0:1"], Outcome.NOT_APPLICABLE),
        ([], Outcome.NOT_APPLICABLE),
    ],
)
def test_unix_sockets_and_clients_are_fine(command, expected):
    assert outcomes(runtime_listens_on_network, container(command=command)) == {expected}


CRI = """
version = 2
[plugins."io.containerd.grpc.v1.cri".registry.configs."registry.example.org".tls]
  insecure_skip_verify = true
"""


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("docker/daemon.json", '{"hosts": ["unix://", "tcp://0.0.0.0:2375"]}', [("tcp://0.0.0.0:2375", 4)]),
        ("docker/daemon.json", '{"hosts": ["tcp://127.0.0.1:2375"]}', [("tcp://127.0.0.1:2375", 3)]),
        ("docker/daemon.json", '{"hosts": ["tcp://:2376"], "tlsverify": true}', [("tcp://:2376", 1)]),
        ("docker/daemon.json", '{"insecure-registries": ["a:5000", "localhost:5000"]}', [("a:5000", 2)]),
        ("containerd/config.toml", '[grpc]\ntcp_address = "0.0.0.0:9"', [("tcp://0.0.0.0:9", 4)]),
        ("containerd/config.toml", '[grpc]\ntcp_address = ":9"\ntcp_tls_ca = "/ca"', [("tcp://:9", 1)]),
        ("containerd/config.toml", CRI, [("registry.example.org", 2)]),
        ("containerd/certs.d/a/hosts.toml", '[host."https://a"]\nskip_verify = true', [("https://a", 2)]),
    ],
)
def test_a_configuration_fires(path, content, found):
    findings = fires(runtime_configured_for_network, file(f"etc/{path}", content.encode()))
    assert [(finding.key, int(finding.severity)) for finding in findings] == found


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("etc/docker/daemon.json", b'{"debug": true, "hosts": "unix://"}', Outcome.PASS),
        ("etc/docker/daemon.json", b"", Outcome.PASS),
        ("etc/docker/daemon.json", b"[]", Outcome.UNDECIDED),
        ("etc/docker/daemon.json", b"{,}", Outcome.UNDECIDED),
        ("etc/docker/daemon.json", b"[" * 100_000, Outcome.UNDECIDED),
        ("etc/docker/daemon.json", None, Outcome.UNDECIDED),
        ("etc/containerd/config.toml", b'[grpc]\naddress = "/run/containerd/containerd.sock"', Outcome.PASS),
        ("etc/containerd/config.toml", b"[grpc", Outcome.UNDECIDED),
        ("etc/containerd/config.toml", b"a = " + b"[" * 100_000, Outcome.UNDECIDED),
        ("etc/containerd/config.toml", b".".join([b"a"] * 50) + b" = 1", Outcome.PASS),
        ("containers/services/docker/lower/etc/docker/daemon.json", b"{}", Outcome.PASS),
        ("srv/docker/daemon.json", b'{"hosts": ["tcp://:1"]}', Outcome.NOT_APPLICABLE),
    ],
)
def test_other_configurations_are_fine_or_cannot_be_read(path, content, expected):
    assert outcomes(runtime_configured_for_network, file(path, content)) == {expected}


@given(st.binary(), st.sampled_from(["etc/docker/daemon.json", "etc/containerd/config.toml"]))
def test_any_bytes_are_read(data, path):
    for finding in runtime_configured_for_network(file(path, data)):
        assert finding.message


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("etc/docker/daemon.json", '{"debug": true, "log-level": "debug"}', ["debug: true", "level: debug"]),
        ("etc/docker/daemon.json", '{"metrics-addr": "0.0.0.0:9323"}', ["0.0.0.0:9323"]),
        ("etc/docker/daemon.json", '{"metrics-addr": "127.0.0.1:9323", "debug": false}', []),
        ("etc/containerd/config.toml", '[debug]\nlevel = "trace"\n', ["level: trace"]),
        ("etc/containerd/config.toml", '[debug]\naddress = "/run/debug.sock"\nlevel = "info"\n', []),
        ("etc/containerd/config.toml", '[metrics]\naddress = ":1338"\n', [":1338"]),
        ("etc/containerd/config.toml", '[metrics]\naddress = ""\n', []),
        ("etc/containerd/runtime-config.toml", 'cliopts="--log-level debug"', ["--log-level debug"]),
        ("etc/containerd/runtime-config.toml", 'cliopts="--log-level=trace -x"', ["--log-level trace"]),
        ("etc/containerd/runtime-config.toml", 'cliopts="--log-level info"', []),
        ("containers/services/docker/lower/etc/docker/daemon.json", '{"debug": true}', ["debug: true"]),
    ],
)
def test_configurations_for_debugging_are_told(path, text, said):
    assert [finding.key for finding in fires(runtime_debugging, file(path, text.encode()))] == said


@pytest.mark.parametrize("text", [None, b"{", b"[]", b"[" * 100_000])
def test_what_cannot_be_read_for_debugging_is_undecided(text):
    assert outcomes(runtime_debugging, file("etc/docker/daemon.json", text)) == {Outcome.UNDECIDED}
