"""A job that fails once, in a workflow of a few lines that Snakemake runs with our changes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from checkout import ROOT, TIMEOUT

# `fragile` fails when `slow` is there to be started and comes first; the second checkpoint ends before `slow` does.
WORKFLOW = """
import sys

sys.path.insert(0, config["library"])
from multiflow.base.engine import adapt_snakemake

adapt_snakemake(workflow)


rule all:
    input: "fragile", "slow", "behind"


checkpoint first:
    output: "first"
    shell: "touch {output}"


checkpoint second:
    output: "second"
    shell: "until [ -e slow.started ]; do sleep .1; done; touch {output}"


rule fragile:
    input: "first"
    output: "fragile"
    params: value=3
    resources: slot=1
    shell: "until [ -e ready ]; do sleep .1; done; [ -e slow.started ] || {{ sleep 1; exit 1; }}; touch {output}"


rule ready:
    input: "first"
    output: "ready"
    shell: "touch {output}"


rule slow:
    input: "ready"
    output: "slow"
    priority: 5
    resources: slot=1
    shell: "touch slow.started; until [ -e behind ]; do sleep .1; done; touch {output}"


rule behind:
    input: "second"
    output: "behind"
    shell: "touch {output}"
"""


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the workflow in a folder."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--config", f"library={ROOT / 'src'}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def test_a_job_that_fails_once_is_made_and_made_once(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    run = snakemake(tmp_path, "--cores", "4", "--resources", "slot=1", "--retries", "3", "--keep-going")
    assert run.returncode == 0, run.stderr
    assert "Trying to restart job" in run.stderr
    # It waited for `slow` while the DAG was looked at again.
    assert (tmp_path / "fragile").exists(), run.stderr
    # It is recorded as what has succeeded.
    assert "Nothing to be done" in snakemake(tmp_path, "-n").stdout
