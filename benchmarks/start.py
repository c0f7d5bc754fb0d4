"""What a job costs beside its work: the processor time of its process, from beginning to end, without the work.

A job that is submitted to a cluster has two Snakemakes around it, which read the workflow; ``--list-rules`` does that
and nothing else. The process of a script imports what the script does, and what its station imports when it is called:
for methods Multi-Flow, for masks MVANet.

    python benchmarks/start.py               # half a minute
    python benchmarks/start.py --repeat 9
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What is imported when the station is called; PyTorch imports its compiler for the first optimizer.
CALLED = {
    "flip_views": "pass",
    "extract_features": "pass",
    "segment_foreground": "import multiflow.foreground.mvanet",
    "train_model": "import multiflow.methods.multiflow.training, torch; torch.optim.AdamW([torch.zeros(1)])",
    "score_samples": "import multiflow.methods.multiflow.scoring",
    "count_metrics": "import torch, sklearn.metrics",
}


def process_seconds(*arguments: str) -> float:
    """Processor time of a Python process, seconds."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, text=True, **pipes) as process:
        printed = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(printed)
    return usage.ru_utime + usage.ru_stime


def program(rule: str) -> str:
    """A rule's script without its work; its first argument is the log."""
    body = ast.parse((ROOT / f"workflow/scripts/{rule}.py").read_text(encoding="utf-8")).body
    imports = [ast.unparse(line) for line in body if isinstance(line, ast.Import | ast.ImportFrom)]
    return "\n".join([*imports, "import sys", "with job(sys.argv[1]):", f"    {CALLED[rule]}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="processes of each kind; their median counts (default 3)")
    repeat = range(parser.parse_args().repeat)
    with tempfile.TemporaryDirectory() as folder:
        commands = {"Snakemake": ("-m", "snakemake", "--list-rules")} | {
            rule: ("-c", program(rule), f"{folder}/own.log") for rule in CALLED
        }
        print("process             processor time, s")
        for name, command in commands.items():
            seconds = statistics.median(process_seconds(*command) for _ in repeat)
            print(f"{name:18s}  {seconds:17.2f}", flush=True)


if __name__ == "__main__":
    main()
