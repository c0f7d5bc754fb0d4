"""A copy of what a clone holds, and the smallest run to make in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PARTS = ["CITATION.cff", "Snakefile", "config", "envs", "profiles", "src", "workflow", "slurm"]
DATASET = r"Parts a\b_ *"  # as a user may call them
TIMEOUT = 600  # s; a workflow that hangs fails instead


class Checkout:
    """A copy of what a clone holds, in which Snakemake runs as a user would call it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            source = ROOT / part
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part, follow_symlinks=False)

    def copy(self, folder: Path) -> Checkout:
        """A copy with all that was made in it, times of files included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        copy = object.__new__(Checkout)
        copy.folder = folder
        return copy

    def write_config(self, values: dict[str, Any], name: str = "test.yaml") -> str:
        """Write an overlay; returns its name."""
        (self.folder / name).write_text(yaml.safe_dump(values))
        return name

    def command(self, overlays: Sequence[str], *arguments: str) -> list[str]:
        """The command line of Snakemake for these overlays."""
        return [sys.executable, "-m", "snakemake", *arguments, "--configfile", *overlays]

    def environment(self) -> dict[str, str]:
        """The caller's environment; the library comes from the copy alone."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(self, overlays: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end."""
        return subprocess.run(
            self.command(overlays, *arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def tool(self, *arguments: str) -> str:
        """Run one of the tools beside the workflow, which must succeed; returns what it printed."""
        result = subprocess.run(
            [sys.executable, "-m", "multiflow", *arguments],
            cwd=self.folder,
            env=self.environment() | {"PYTHONPATH": str(self.folder / "src")},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
        return result.stdout

    def succeed(self, overlays: Sequence[str], *arguments: str) -> str:
        """Run Snakemake, which must succeed; returns all that it printed."""
        result = self.run(overlays, *arguments)
        printed = result.stdout + result.stderr
        assert result.returncode == 0, printed[-6000:]
        return printed


def without(*kept: str) -> dict[str, None]:
    """Every experiment of `config/config.yaml` but those named, set to null."""
    names = yaml.safe_load((ROOT / "config/config.yaml").read_text())["experiments"]
    return {name: None for name in names if name not in kept}


def small_run() -> dict[str, Any]:
    """The smallest run on rendered parts that has two classes, two seeds and four experiments."""
    return {
        "run": "small",
        "dataset": {"name": DATASET, "image_folder": "realiad_128"},
        "rendering": {"image_size": 128, "train": 4, "test_ok": 2, "test_ng": 2, "samples_per_pixel": 1},
        "features": {"lite0": {"image_size": 128}},
        "segmentation": {"image_size": 128},
        "foreground": {"mask_size": 128},
        "methods": {"multiflow": {"training": {"epochs": 4, "batch_size": 2, "checkpoint_every": 1}}},
        "experiments": {
            "multiflow": {"seeds": [0, 1]},
            "no_cross_view": {"classes": ["stud_brick"]},
            "with_background": {"classes": ["stud_brick"]},
            "background_ignored": {"classes": ["stud_brick"]},
            **without("multiflow", "no_cross_view", "with_background", "background_ignored"),
        },
    }
