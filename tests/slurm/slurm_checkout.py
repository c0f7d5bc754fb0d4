"""A checkout whose Snakemake submits to the test's cluster, and the small run that is made there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from checkout import ROOT, Checkout, small_run
from cluster import Cluster, Process, processes

from multiflow.config.run import merge

OVERLAYS = ["config/demo.yaml", "test.yaml"]
RESULTS = Path("results/small")
METRICS = RESULTS / "metrics.csv"
SUMMARY = RESULTS / "summary.txt"  # written when all tables are there
# The one training and scoring that a fault strikes.
RUN = "multiflow/coin_cell/seed0"
EPOCHS = 12


def slurm_run() -> dict[str, Any]:
    """The smallest run that asks for GPUs: where there is none, `auto` computes on the CPU."""
    return merge(
        small_run(),
        {
            "dataset": {"classes": ["coin_cell"]},
            "compute": {"device": "auto"},
            "methods": {
                "multiflow": {
                    "network": {"blocks": 2, "hidden": 8, "kernels": [3, 3]},
                    "training": {"epochs": EPOCHS, "checkpoint_every": 4},
                }
            },
            "experiments": {
                "multiflow": {"seeds": [0]},
                "no_cross_view": {"seeds": [0], "classes": ["coin_cell"]},
                "with_background": None,
                "background_ignored": None,
            },
        },
    )


class SlurmCheckout(Checkout):
    """A checkout on a cluster.

    Args:
        folder: the checkout's folder.
        cluster: where its jobs go.
        finished: a checkout with a finished run to copy, but for the one training and scoring that a fault strikes.
    """

    def __init__(self, folder: Path, cluster: Cluster, finished: Checkout | None = None) -> None:
        self.cluster = cluster
        if finished is None:
            folder.mkdir()
            super().__init__(folder)
            self.write_config(slurm_run())
            return
        shutil.copytree(finished.folder, folder, symlinks=True, dirs_exist_ok=True)
        self.folder = folder
        for station in ("models", "scores", "metrics", "checkpoints"):
            for path in (folder / RESULTS / station / RUN).parent.glob("seed0.*"):
                path.unlink()
        (folder / METRICS).unlink()
        (folder / RESULTS / "logs/train_model" / f"{RUN}.log").unlink()

    def environment(self) -> dict[str, str]:
        """On PATH this cluster, on PYTHONPATH what the tests put into the run."""
        return super().environment() | {"PATH": self.cluster.path, "PYTHONPATH": str(ROOT / "tests/slurm/sabotage")}

    def command(self, overlays: Sequence[str], *arguments: str) -> list[str]:
        """The shipped profile, but what waits for a slow cluster waits for a fast one."""
        waiting = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10"]
        return super().command(overlays, "--profile", "slurm", *waiting, *arguments)

    def order(self, rule: str, fault: str) -> None:
        """A fault for the next job of a rule, see ``sabotage/sitecustomize.py``."""
        (self.folder / "sabotage").mkdir(exist_ok=True)
        (self.folder / "sabotage" / rule).write_text(fault)

    def change_profile(self, rule: str, **resources: str) -> None:
        """Set resources of a rule in this checkout's profile, as a site would."""
        import yaml

        path = self.folder / "profiles/slurm/config.yaml"
        profile = yaml.safe_load(path.read_text())
        profile["set-resources"].setdefault(rule, {}).update(resources)
        path.write_text(yaml.safe_dump(profile, sort_keys=False))

    def metrics(self) -> bytes:
        """The run's numbers."""
        return (self.folder / METRICS).read_bytes()

    def log(self, rule: str) -> str:
        """The log of the rule's job that faults strike."""
        return (self.folder / RESULTS / "logs" / rule / f"{RUN}.log").read_text()

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """The jobs that were submitted from here, oldest first; those of one rule where it is named."""
        comment = f"rule_{rule}"
        return [
            job
            for job in self.cluster.jobs()
            if job["WorkDir"] == str(self.folder) and job.get("Comment", "").startswith(comment)
        ]

    def slurm_log(self, job: dict[str, str]) -> str:
        """What a failed job printed; those of good ones are removed."""
        return Path(job["StdOut"]).read_text()

    def processes(self) -> list[Process]:
        """The scripts that work in this checkout."""
        return [
            process
            for process in processes()
            if process.folder == str(self.folder) and "/.snakemake/scripts/" in process.command
        ]

    def wait_frozen(self) -> dict[str, str]:
        """Wait until the training has frozen itself; returns its job."""
        orders = self.folder / "sabotage/train_model"
        self.cluster.wait(lambda: not orders.exists(), "the training to reach its first checkpoint", 300)
        return self.jobs("train_model")[-1]


class Running:
    """A Snakemake that runs while a test disturbs it.

    It ends with the block, whatever happens in it, and so do its jobs.

    Args:
        checkout: where it runs.
        arguments: of Snakemake.
    """

    def __init__(self, checkout: SlurmCheckout, *arguments: str) -> None:
        self.checkout = checkout
        self.arguments = arguments or (str(METRICS),)
        self._log = checkout.folder / "snakemake.log"

    def __enter__(self) -> Self:
        with open(self._log, "w", encoding="utf-8") as stream:
            self.process = subprocess.Popen(
                self.checkout.command(OVERLAYS, *self.arguments),
                cwd=self.checkout.folder,
                env=self.checkout.environment(),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def printed(self) -> str:
        """All that it printed up to now."""
        return self._log.read_text()

    def finish(self, seconds: float = 600) -> int:
        """Wait for its end; returns its exit status."""
        return self.process.wait(timeout=seconds)

    def succeed(self, seconds: float = 600) -> str:
        """Wait for its end, which must be a good one; returns what it printed."""
        assert self.finish(seconds) == 0, self.printed[-6000:]
        return self.printed
