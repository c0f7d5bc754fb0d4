"""The configuration that a tool works with: that of the checkout with overlays, or that of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.config import Config, load_config, read_overlays

__all__ = ["config_of_files", "config_of_run"]

_RESULTS = Path("results")
_CONFIGURATION = "configuration.yaml"


def config_of_files(overlays: Sequence[Path]) -> Config:
    """``config/config.yaml`` with overlays, as after Snakemake's ``--configfile``.

    Raises:
        InputError: a file is missing, or something in the result is wrong.
    """
    paths = [Path("config/config.yaml"), *overlays]
    return load_config(read_overlays(paths), str(paths[-1]))


def config_of_run(name: str) -> Config:
    """The configuration that a run wrote when it started.

    Raises:
        InputError: there is no such run, or it wrote none.
    """
    path = _RESULTS / name / _CONFIGURATION
    if not path.is_file():
        runs = sorted(found.parent.name for found in _RESULTS.glob(f"*/{_CONFIGURATION}"))
        raise InputError(
            f"{path}: expected the configuration of a run that has started, found none; "
            + (f"the runs are {', '.join(runs)}" if runs else "start one first, such as `make demo`")
        )
    return load_config(read_overlays([path]), str(path))
