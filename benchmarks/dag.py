"""Processor time and memory of `snakemake -n` against the number of jobs: the paper's configuration and larger ones.

The last size is ten times the paper's: its 30 classes and 5 seeds with 100 experiments, about 45,000 jobs, a model each
for 15,000 of them. Time and memory should grow with the jobs; below 3 ms a job is what we ask for. Measured on one
core, in processor time: 4,946 jobs took 10 s and 0.28 GB, 44,996 jobs 76 s and 1.31 GB.

    python benchmarks/dag.py               # about 4 minutes
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class DryRun:
    """What a dry run took.

    Args:
        jobs: that it planned.
        seconds: processor time.
        memory: the most that it had at a time, MB.
    """

    jobs: int
    seconds: float
    memory: float


def dry_run(classes: int, seeds: int, experiments: int) -> DryRun:
    """Plan the paper's configuration with some of its classes, these many seeds, and as many experiments."""
    paper = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    more = range(experiments - len(paper["experiments"]))
    change = {
        "dataset": {"classes": paper["dataset"]["classes"][:classes]},
        "seeds": list(range(seeds)),
        "experiments": {f"noise_{number}": {"network": {"noise_std": (1 + number) / 1000}} for number in more},
    }
    with tempfile.TemporaryDirectory() as folder:
        overlay, printed = Path(folder, "overlay.yaml"), Path(folder, "printed")
        overlay.write_text(yaml.safe_dump(change))
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--configfile", str(overlay)]
        with open(printed, "w") as stream:
            process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        total = re.search(r"^total +(\d+)$", printed.read_text(), re.MULTILINE)
        if process.returncode or total is None:
            raise SystemExit(printed.read_text())
    return DryRun(int(total[1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each size; the fastest counts (default 1)")
    repeat = parser.parse_args().repeat
    print("classes  seeds  experiments    jobs  seconds  ms a job      MB")
    for classes, seeds, experiments in ((3, 5, 11), (30, 5, 11), (30, 10, 11), (30, 5, 100)):
        runs = [dry_run(classes, seeds, experiments) for _ in range(repeat)]
        best = min(runs, key=lambda run: run.seconds)
        print(
            f"{classes:7d}  {seeds:5d}  {experiments:11d}  {best.jobs:6d}  {best.seconds:7.1f}  "
            f"{1000 * best.seconds / best.jobs:8.2f}  {best.memory:6.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
