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
PARTS = ["Snakefile", "config", "envs", "profiles", "src", "workflow", "slurm"]
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

    def succeed(self, overlays: Sequence[str], *arguments: str) -> str:
        """Run Snakemake, which must succeed; returns all that it printed."""
        result = self.run(overlays, *arguments)
        printed = result.stdout + result.stderr
        assert result.returncode == 0, printed[-6000:]
        return printed


def small_run() -> dict[str, Any]:
    """The smallest run on rendered parts that has two classes, two seeds and three experiments."""
    dropped = ["top_view_only", "neighbor_view_only", "self_attention", "cross_view_attention"]
    dropped += ["noise_none", "noise_uniform", "noise_softflow"]
    return {
        "run": "small",
        "dataset": {"image_folder": "realiad_128"},
        "rendering": {"image_size": 128, "train": 4, "test_ok": 2, "test_ng": 2, "samples_per_pixel": 1},
        "features": {"image_size": 128},
        "foreground": {"image_size": 128, "mask_size": 128},
        "training": {"epochs": 4, "batch_size": 2, "checkpoint_every": 1},
        "experiments": {
            "multiflow": {"seeds": [0, 1]},
            "no_cross_view": {"classes": ["stud_brick"]},
            "with_background": {"classes": ["stud_brick"]},
            **dict.fromkeys(dropped),
        },
    }
