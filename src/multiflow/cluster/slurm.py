"""Slurm's own commands, each with a hard time limit, and what a job asks of the cluster."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

__all__ = ["Answer", "Partition", "Request", "ask", "listing_environment", "partitions"]

_LISTING = re.compile(r"(SQUEUE|SINFO|SCONTROL)_")
SECONDS = 10.0  # A command that takes longer than this is taken for one that never ends.


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Args:
        status: exit status; 127 where there is no such command, 124 where it did not end in time.
        output: standard output.
        error: standard error.
    """

    status: int
    output: str
    error: str

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return self.status == 0

    @property
    def reason(self) -> str:
        """Why it failed, in one line: the last that is not empty, without the command's name."""
        lines = [line.strip() for line in (self.error + "\n" + self.output).splitlines() if line.strip()]
        return re.sub(r"^(\w+: )?(error: |allocation failure: )?", "", lines[-1]) if lines else f"status {self.status}"


def listing_environment() -> dict[str, str]:
    """The environment in which Slurm's commands list everything: hidden partitions and their jobs, and nothing less.

    A user may have set variables such as ``SQUEUE_PARTITION``, which leave jobs out.
    """
    own = {name: value for name, value in os.environ.items() if not _LISTING.match(name)}
    return own | {"SCONTROL_ALL": "1", "SINFO_ALL": "1", "SQUEUE_ALL": "1"}


def ask(*command: str, seconds: float = SECONDS) -> Answer:
    """Run a command of Slurm; it is killed when it takes longer than ``seconds``."""
    try:
        result = subprocess.run(
            command,
            env=listing_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        return Answer(127, "", f"{command[0]} is not on PATH")
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"{command[0]} did not answer within {seconds:.0f} s")
    return Answer(result.returncode, result.stdout, result.stderr)


@dataclass(frozen=True)
class Request:
    """What the jobs of a rule ask of the cluster.

    Args:
        rule: name of the rule, or of the group of rules.
        attempt: 1 for the first submission; a failed job asks for more when it is submitted again.
        partition: name, or several joined by commas; empty: the cluster's default.
        account: empty: the cluster's default.
        gpus: number of GPUs.
        gpu_model: as in the cluster's GRES; empty: any.
        cpus: CPUs of the one task.
        mem_mb: memory, MB.
        runtime: time limit, min.
        extra: further options of ``sbatch``.
    """

    rule: str
    attempt: int = 1
    partition: str = ""
    account: str = ""
    gpus: int = 0
    gpu_model: str = ""
    cpus: int = 1
    mem_mb: int = 0
    runtime: int = 0
    extra: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: str, attempt: int, threads: int, resources: Mapping[str, Any]) -> Self:
        """From a job's resources, by the names of Snakemake's Slurm plugin."""
        options = {"constraint": "--constraint", "qos": "--qos", "gres": "--gres"}
        extra = [f"{option}={resources[name]}" for name, option in options.items() if resources.get(name)]
        gpu_model = str(resources.get("gpu_model") or "")
        return cls(
            rule=rule,
            attempt=attempt,
            partition=str(resources.get("slurm_partition") or ""),
            account=str(resources.get("slurm_account") or ""),
            gpus=_number(resources.get("gpu", int(bool(gpu_model)))),
            gpu_model=gpu_model,
            cpus=_number(resources.get("cpus_per_task")) or threads,
            mem_mb=_number(resources.get("mem_mb")),
            runtime=_number(resources.get("runtime")),
            extra=tuple(extra),
        )

    @property
    def wants_gpu(self) -> bool:
        """Whether a GPU is asked for, in either way."""
        return self.gpus > 0 or any(option.startswith("--gres=gpu") for option in self.extra)

    def options(self) -> list[str]:
        """Options of ``sbatch``, as the plugin writes them."""
        options = ["--ntasks=1", f"--cpus-per-task={self.cpus}", *self.extra]
        if self.partition:
            options.append(f"--partition={self.partition}")
        if self.account:
            options.append(f"--account={self.account}")
        if self.gpu_model:
            options.append(f"--gpus={self.gpu_model}:{self.gpus}")
        elif self.gpus:
            options.append(f"--gpus={self.gpus}")
        if self.mem_mb:
            options.append(f"--mem={self.mem_mb}")
        if self.runtime:
            options.append(f"--time={self.runtime}")
        return options

    def small(self) -> Request:
        """The same place, for a job that only looks around: one CPU, one GPU at most, 4 GB, 5 minutes."""
        return replace(self, rule="", attempt=1, gpus=min(self.gpus, 1), cpus=1, mem_mb=4000, runtime=5)

    def __str__(self) -> str:
        gpu = f"{self.gpus} GPU {self.gpu_model}".strip() + ", " if self.gpus else ""
        place = f" in {self.partition}" if self.partition else ""
        return f"{gpu}{self.cpus} CPU, {self.mem_mb} MB, {self.runtime} min{place}"


def _number(value: Any) -> int:
    """A resource's number; 0 where there is none, or none yet, since it depends on a file that is still to come."""
    return int(value) if isinstance(value, int | float) else 0


@dataclass(frozen=True)
class Partition:
    """A partition as ``scontrol show partition`` describes it.

    Args:
        name: its name.
        state: ``UP`` takes and runs jobs.
        minutes: longest time limit of a job; None: unlimited.
        allowed: accounts that may use it, in small letters, as Slurm knows them; None: all.
        denied: accounts that may not.
    """

    name: str
    state: str
    minutes: float | None
    allowed: frozenset[str] | None
    denied: frozenset[str]

    @classmethod
    def parse(cls, line: str) -> Self:
        """From a line of ``scontrol show partition --oneliner``."""
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        allowed = fields.get("AllowAccounts", "ALL").lower()
        return cls(
            name=fields["PartitionName"],
            state=fields.get("State", "UP"),
            minutes=_minutes(fields.get("MaxTime", "UNLIMITED")),
            allowed=None if allowed == "all" else frozenset(allowed.split(",")),
            denied=frozenset(filter(None, fields.get("DenyAccounts", "").lower().split(","))),
        )


def partitions(output: str) -> dict[str, Partition]:
    """Partitions by name, from ``scontrol show partition --oneliner``."""
    found = [Partition.parse(line) for line in output.splitlines() if line.startswith("PartitionName=")]
    return {partition.name: partition for partition in found}


def _minutes(time: str) -> float | None:
    """Minutes of Slurm's ``days-hours:minutes:seconds``; None for an unlimited time."""
    if not time[:1].isdigit():
        return None
    days, _, rest = time.rpartition("-")
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in rest.split(":")])[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60
