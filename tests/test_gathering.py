"""What differs by the container only is told once, and each container can still be silenced, or be news, by itself."""

from rulelab import file
from secretlab import noise

from lkscan.rules.engine import Engine
from lkscan.rules.files import set_id_file, world_writable_file
from lkscan.rules.gathering import gathered
from lkscan.rules.secrets import secret_in_file

SERVICES = [f"containers/services/{name}/rootfs" for name in "abc"]


def judged(rule, *files):
    return [finding for one in files for finding in Engine([rule]).judge(one)]


def su(folder, **facts):
    return file(f"{folder}/bin/su", b"", **{"mode": 0o4755, **facts})


def test_one_file_of_three_containers_is_one_finding_with_three_places():
    found = gathered(judged(set_id_file, *map(su, SERVICES), file("bin/su", b"", mode=0o4755)))
    assert [(one.subject, len(one.locations)) for one in found] == [("containers/*/bin/su", 3), ("bin/su", 1)]
    assert found[0].members == ("services/a", "services/b", "services/c")
    assert found[0].evidence == ("mode 4755, owner 0:0", "the same in services/b, services/c")
    assert "'containers/services/a/rootfs/bin/su'" in found[0].message


def test_other_modes_owners_and_rules_are_told_by_themselves():
    files = (su(SERVICES[0]), su(SERVICES[1], mode=0o4711), su(SERVICES[2], uid=7))
    assert len(gathered(judged(set_id_file, *files))) == 3
    both = judged(set_id_file, su(SERVICES[0], mode=0o4777)) + judged(world_writable_file, su(SERVICES[1], mode=0o4777))
    assert len(gathered(both)) == 2


def test_parts_of_it_are_told_as_if_the_others_were_not_there():
    (whole,) = gathered(judged(set_id_file, *map(su, SERVICES)))
    alone = whole.retold(("services/b",))
    assert (alone.subject, alone.members) == (f"{SERVICES[1]}/bin/su", ())
    assert alone.evidence == ("mode 4755, owner 0:0",)
    assert whole.retold(("services/b", "services/c")).members == ("services/b", "services/c")


def test_another_secret_in_one_of_them_is_told_by_itself():
    tokens = [f"token: gh{'p_'}{noise(36, seed=seed)}\n".encode() for seed in (1, 1, 2)]
    found = gathered(judged(secret_in_file, *(file(f"{SERVICES[i]}/etc/x", tokens[i]) for i in range(3))))
    assert [len(one.locations) for one in found] == [2, 1]
    assert all(member.startswith("services/") for member in found[0].members)


def test_of_many_containers_ten_are_named():
    (one,) = gathered(judged(set_id_file, *(su(f"containers/services/{n:02d}/lower") for n in range(20))))
    assert one.evidence[-1].endswith("services/10 and 9 more")


def test_the_number_of_a_container_is_no_part_of_its_name_and_two_of_one_name_are_two():
    folders = [f"containers/onboot/{number:03d}-dhcp/rootfs" for number in range(2)]
    (one,) = gathered(judged(set_id_file, *map(su, folders)))
    assert one.members == ("onboot/dhcp", "onboot/dhcp (2)")
    assert one.retold(("onboot/dhcp (2)",)).subject == f"{folders[1]}/bin/su"
