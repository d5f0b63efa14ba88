"""The working tree that lkscan runs in: as git itself tells it."""

import shutil
import subprocess

import pytest

from lkscan.checkout import checkout

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder, *arguments):
    names = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path):
    git(tmp_path, "init", "-q", "repo")
    folder = tmp_path / "repo"
    (folder / "os").mkdir()
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    git(folder, "remote", "add", "origin", "https://example.org/o/r.git")
    return folder


def test_the_commit_and_branch_are_told_from_any_folder_of_it(tree):
    for folder in (tree, tree / "os"):
        found = checkout(str(folder))
        assert found == (str(tree), "https://example.org/o/r.git", git(tree, "rev-parse", "HEAD"), "main")


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: git(tree, "pack-refs", "--all"),
        lambda tree: git(tree, "gc", "-q"),
        lambda tree: git(tree, "checkout", "-q", "-b", "a/b"),
    ],
    ids=["packed", "collected", "branch"],
)
def test_it_is_what_git_says_whatever_its_files_look_like(tree, change):
    change(tree)
    found = checkout(str(tree))
    assert found.revision == git(tree, "rev-parse", "HEAD")
    assert found.branch == git(tree, "rev-parse", "--abbrev-ref", "HEAD")


def test_a_commit_without_a_branch_has_none(tree):
    git(tree, "checkout", "-q", "--detach")
    assert checkout(str(tree))[2:] == (git(tree, "rev-parse", "HEAD"), "")


def test_a_linked_working_tree_has_a_commit_of_its_own(tree, tmp_path):
    git(tree, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git(tmp_path / "side", "commit", "-q", "--allow-empty", "-m", "y")
    found = checkout(str(tmp_path / "side"))
    assert found.revision == git(tmp_path / "side", "rev-parse", "HEAD") != git(tree, "rev-parse", "HEAD")
    assert (found.root, found.branch) == (str(tmp_path / "side"), "side")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@example.org/o/r", "https://example.org/o/r"),
        ("git@example.org:o/r.git", "https://example.org/o/r.git"),
        ("ssh://git@example.org/o/r", "https://example.org/o/r"),
        ("/srv/git/r", None),
        ("file:///srv/git/r", None),
        ("https://", None),
    ],
)
def test_an_address_is_one_that_others_can_use_and_tells_no_secret(tree, url, told):
    git(tree, "remote", "set-url", "origin", url)
    found = checkout(str(tree))
    assert (found and found.repository) == told


def test_without_a_remote_a_commit_or_a_repository_there_is_none(tree, tmp_path):
    git(tree, "remote", "remove", "origin")
    assert checkout(str(tree)) is None
    git(tmp_path, "init", "-q", "new")
    assert checkout(str(tmp_path / "new")) is None
    assert checkout(str(tmp_path)) is None


@pytest.mark.parametrize("head", ["", "ref: ../../../etc/passwd", "ref: refs/heads/nowhere", "\0", "ref: refs"])
def test_a_strange_head_is_no_revision(tree, head):
    (tree / ".git/HEAD").write_text(head)
    assert checkout(str(tree)) is None
