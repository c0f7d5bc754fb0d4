"""Snakemake's own report of a run, while the run's last job is all that is left of it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from multiflow.base.files import atomic_path

__all__ = ["write_report"]

logger = logging.getLogger(__name__)


def write_report(
    snakefile: str | Path, config: Mapping[str, Any], target: str, stylesheet: str | Path, output: str | Path
) -> None:
    """Let Snakemake write its report of a target's files; it appears whole or not at all.

    It is a second Snakemake beside the one that runs this job. It only reads: what the run has made, and
    Snakemake's own records of it.

    Args:
        snakefile: the workflow.
        config: the run's configuration, after all overlays and the command line.
        target: the rule whose input the report covers; all of it exists.
        stylesheet: CSS that the report carries.
        output: the report, one HTML file.

    Raises:
        RuntimeError: Snakemake found something amiss; its words are in the message.
    """
    with TemporaryDirectory() as folder, atomic_path(output) as temporary:
        overlay, report = Path(folder) / "config.yaml", Path(folder) / "report.html"
        overlay.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", target, "--snakefile", str(snakefile)]
        command += ["--configfile", str(overlay), "--nolock", "--report", str(report)]
        command += ["--report-stylesheet", str(stylesheet)]
        # A profile that the user's environment names is for running jobs; this runs none.
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        printed = result.stdout + result.stderr
        logger.info("%s\n%s", " ".join(command), printed)
        if result.returncode != 0 or not report.is_file():
            raise RuntimeError(f"Snakemake made no report:\n{printed[-3000:]}")
        shutil.copyfile(report, temporary)
