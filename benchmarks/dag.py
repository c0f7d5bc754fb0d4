"""Time of `snakemake -n` against the number of jobs: about 500, 5,000 and 10,000.

The paper's configuration, with fewer classes, with its own 30 classes and 5 seeds, and with 10 seeds.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def dry_run(classes: int, seeds: int) -> tuple[int, float]:
    """Jobs and seconds of a dry run of the paper's configuration with some of its classes and these many seeds."""
    paper = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    change = [
        f"dataset={{classes: [{', '.join(paper['dataset']['classes'][:classes])}]}}",
        f"seeds=[{', '.join(map(str, range(seeds)))}]",
    ]
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--config", *change]
    started = time.perf_counter()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    total = re.search(r"^total +(\d+)$", result.stdout + result.stderr, re.MULTILINE)
    assert total is not None, result.stdout + result.stderr
    return int(total[1]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each size; the fastest counts (default 3)")
    repeat = parser.parse_args().repeat
    print("classes  seeds    jobs  seconds  ms a job")
    for classes, seeds in ((3, 5), (30, 5), (30, 10)):
        measured = [dry_run(classes, seeds) for _ in range(repeat)]
        jobs, seconds = measured[0][0], min(run[1] for run in measured)
        print(f"{classes:7d}  {seeds:5d}  {jobs:6d}  {seconds:7.1f}  {1000 * seconds / jobs:8.2f}", flush=True)


if __name__ == "__main__":
    main()
