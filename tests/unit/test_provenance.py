"""Where a number comes from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from multiflow.base.provenance import git_revision


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit, inside of another repository."""
    for folder in (tmp_path, tmp_path / "checkout"):
        folder.mkdir(exist_ok=True)
        (folder / "a.txt").write_text(folder.name)
        git(folder, "init", "-q")
        git(folder, "add", "a.txt")
        git(folder, "commit", "-qm", "first")
    return tmp_path / "checkout"


def test_a_revision_names_changes_and_leaves_the_index_alone(checkout: Path) -> None:
    revision, index = git(checkout, "rev-parse", "HEAD"), checkout / ".git/index"
    before = index.read_bytes()
    os.utime(checkout / "a.txt", (0, 0))  # git would note in its index that nothing but the time has changed
    assert git_revision(checkout) == revision
    assert index.read_bytes() == before
    (checkout / "a.txt").write_text("changed")
    assert git_revision(checkout) == f"{revision}-dirty"


def test_another_repository_is_not_taken_for_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(checkout.parent / ".git"))
    assert git_revision(checkout) == revision
    monkeypatch.delenv("GIT_DIR")
    worktree = checkout.parent / "worktree"
    git(checkout, "worktree", "add", "-q", str(worktree))
    assert git_revision(worktree) == revision
    (checkout / ".git").rename(checkout.parent / "moved")
    assert git_revision(checkout) == "unknown"
