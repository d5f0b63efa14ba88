import pytest
from rulelab import bind, container, fires, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.mounts import runtime_socket_reachable, writable_host_path
from lkscan.scanner.subjects import Label, Origin

RULES = pytest.mark.parametrize("rule", [runtime_socket_reachable, writable_host_path])


def raw(source, *options):
    return {"destination": "/x", "type": "bind", "source": source, "options": list(options)}


@pytest.mark.parametrize(
    "source",
    [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/containerd",
        "/run/crio",
        "/var/run/podman/podman.sock",
        "/run",
        "/run/",
        "/var/run",
        "/",
    ],
)
@pytest.mark.parametrize("options", ["", ":ro"])
def test_the_socket_and_every_directory_above_it(source, options):
    (finding,) = fires(runtime_socket_reachable, container(binds=[f"{source}:/x{options}"]))
    assert (finding.severity, finding.profile) == (Severity.CRITICAL, Profile.REGULAR)
    assert f"'{source}'" in finding.message
    assert any("read-only" in line for line in finding.evidence) == bool(options)


@pytest.mark.parametrize("source", ["/var", "/run/config", "/run/docker.socket", "/tmp", "/etc/docker", "/runner"])
def test_a_place_without_a_socket(source):
    assert outcomes(runtime_socket_reachable, container(binds=[f"{source}:/x"])) == {Outcome.PASS}


def test_no_mount_but_a_bind_reaches_the_host():
    tmpfs = {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": []}
    assert outcomes(runtime_socket_reachable, container(mounts=[tmpfs])) == {Outcome.PASS}


@pytest.mark.parametrize(("options", "reached"), [(("bind",), False), (("rbind",), True)])
def test_the_root_holds_the_filesystems_below_it_only_recursively(options, reached):
    assert bool(fires(runtime_socket_reachable, container(mounts=[raw("/", *options)]))) == reached


def test_no_runtime_runs_while_onboot_does():
    subject = container(binds=["/run:/run"], section="onboot")
    assert outcomes(runtime_socket_reachable, subject) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize("user", [{"uid": 100}, {"user": "new"}])
def test_another_user_meets_the_mode_of_the_socket(user):
    (finding,) = fires(runtime_socket_reachable, container(binds=["/run:/run"], **user))
    assert (finding.severity, finding.profile) == (Severity.MEDIUM, Profile.PEDANTIC)


@RULES
def test_a_part_gives_way_to_the_combination(rule):
    subject = container(binds=["/:/hostroot"], capabilities=["CAP_SYS_MODULE"])
    assert [finding.profile for finding in fires(rule, subject)] == [Profile.AUDITOR]


@RULES
def test_points_at_the_bind(rule):
    origins = {"binds:/x": Origin("spec", place(7)), "binds": Origin("spec", place(6))}
    (finding,) = fires(rule, container(binds=["/:/x"], origins=origins))
    assert (finding.place.span.line, finding.key) == (7, "/x")


@RULES
def test_points_at_an_entry_of_mounts(rule):
    subject = container(mounts=[raw("/", "rbind")], origins={"mounts:/x": Origin("spec", place(9))})
    assert [finding.place.span.line for finding in fires(rule, subject)] == [9]


@RULES
def test_an_unknown_label_leaves_the_question_open(rule):
    assert outcomes(rule, container(label="unknown")) == {Outcome.UNDECIDED}
    (finding,) = rule(container(label="unknown", origins={"binds": Origin("spec", place(5))}))
    assert finding.message == "The label of 'its image' is not known. The spec leaves 'mounts' to it."


@RULES
def test_an_unknown_label_does_not_hide_what_the_spec_sets(rule):
    assert outcomes(rule, container(label="unknown", binds=["/:/x"])) == {Outcome.FAIL}


@RULES
def test_a_container_that_linuxkit_refuses_is_not_settled(rule):
    assert outcomes(rule, container(error="unknown capability 'X'")) == {Outcome.UNDECIDED}


@RULES
def test_ten_thousand_mounts_cost_no_square(rule):
    mounts = [{**raw("/var/run/" + "a/" * 200, "ro"), "destination": f"/{number}"} for number in range(10_000)]
    assert outcomes(rule, container(mounts=mounts)) == {Outcome.PASS}


@RULES
def test_a_built_image_leaves_nothing_open(rule):
    origins = {"mounts:/x": Origin("image", place(1, "mounts[3]"))}
    subject = container(label=Label("built"), binds=["/:/x"], origins=origins)
    (finding,) = fires(rule, subject)
    assert (finding.place.pointer, finding.locations[0].note) == ("mounts[3]", "as built")


@pytest.mark.parametrize(
    ("source", "severity", "profile"),
    [
        ("/", Severity.CRITICAL, Profile.REGULAR),
        ("/etc", Severity.LOW, Profile.REGULAR),
        ("/usr/bin/runc", Severity.LOW, Profile.REGULAR),
        ("/containers", Severity.LOW, Profile.REGULAR),
        ("/lib/modules", Severity.LOW, Profile.PEDANTIC),
        ("/run/config/ssh", Severity.HIGH, Profile.REGULAR),
        ("/proc", Severity.CRITICAL, Profile.REGULAR),
        ("/proc/sys", Severity.CRITICAL, Profile.REGULAR),
        ("/proc/sys/kernel", Severity.MEDIUM, Profile.REGULAR),
        ("/proc/sys/fs/binfmt_misc", Severity.CRITICAL, Profile.REGULAR),
        ("/dev", Severity.MEDIUM, Profile.PEDANTIC),
        ("/var/lib/docker", Severity.MEDIUM, Profile.PEDANTIC),
    ],
)
def test_a_writable_bind_weighs_what_its_path_does(source, severity, profile):
    (finding,) = fires(writable_host_path, container(binds=[f"{source}:/x"]))
    assert (finding.severity, finding.profile) == (severity, profile)


def test_what_makes_a_path_critical_is_named_where_it_lies_below():
    below, itself = (
        fires(writable_host_path, container(binds=[f"{source}:/x"]))[0].evidence
        for source in ("/proc", "/proc/sys/fs/binfmt_misc")
    )
    assert any("'/proc/sys/fs/binfmt_misc'" in line for line in below)
    assert itself == ()


def test_another_filesystem_comes_along_only_recursively():
    (finding,) = fires(writable_host_path, container(mounts=[raw("/proc", "bind")]))
    assert finding.severity is Severity.MEDIUM


def test_cap_sys_admin_undoes_the_read_only_root():
    (finding,) = fires(writable_host_path, container(binds=["/etc:/x"], capabilities=["CAP_SYS_ADMIN"]))
    assert (finding.severity, finding.profile) == (Severity.HIGH, Profile.AUDITOR)


def test_another_user_meets_the_modes_of_the_files():
    (finding,) = fires(writable_host_path, container(binds=["/run/config:/x"], uid=100))
    assert finding.severity is Severity.LOW


def test_a_container_of_onboot_is_for_pedants():
    (finding,) = fires(writable_host_path, container(binds=["/run/config:/x"], section="onboot"))
    assert finding.profile is Profile.PEDANTIC


@pytest.mark.parametrize("given", ["/etc:/x:ro", "/usr:/x:ro", "/dev/console:/x", "/etc/resolv.conf:/x", "/srv:/x"])
def test_read_only_and_harmless_binds_pass(given):
    assert outcomes(writable_host_path, container(binds=[given])) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("mount", "outcome"),
    [
        (bind("/:/x:ro"), Outcome.PARTIAL),
        (bind("/sys:/x:ro"), Outcome.PARTIAL),
        (bind("/proc:/x:ro"), Outcome.PARTIAL),
        (bind("/proc/sys/net:/x:ro"), Outcome.PASS),
        (bind("/:/x:ro,rro"), Outcome.PASS),
        (raw("/", "bind", "ro"), Outcome.PASS),
    ],
)
def test_read_only_is_not_recursive(mount, outcome):
    assert outcomes(writable_host_path, container(mounts=[mount])) == {outcome}


def test_sockets_are_below_run():
    assert all(socket["path"].startswith("/run/") for socket in tables.load("host_paths")["socket"])
