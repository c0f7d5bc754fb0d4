"""Where a number comes from: versions, revision, checksums, device."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["file_sha256", "git_revision", "versions"]

_CHECKOUT = Path(__file__).resolve().parents[3]
_PACKAGES = (
    "torch",
    "timm",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "h5py",
    "pandas",
    "scikit-image",
    "scikit-learn",
    "adeval",
    "snakemake",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_revision(checkout: Path = _CHECKOUT) -> str:
    """Revision of a checkout, with ``-dirty`` where tracked files were changed; ``unknown`` outside git.

    Git only reads: jobs that look at a shared checkout at the same time would lock its index. Neither a repository that
    the environment names nor one that the checkout's folder lies in says anything of the checkout.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": str(checkout.parent)}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return run.stdout.strip()

    try:
        revision = git("describe", "--always", "--abbrev=40")  # its own --dirty writes the index
        return f"{revision}-dirty" if git("status", "--porcelain", "--untracked-files=no") else revision
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
