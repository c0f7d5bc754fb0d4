"""A controller that is away: Snakemake's Slurm plugin asks it again, and forgets none of its jobs."""

from __future__ import annotations

import asyncio
import logging
import os
from importlib import import_module
from typing import Any

from multiflow.cluster.slurm import listing_environment

__all__ = ["ask_until_answered"]

_SECONDS = 10.0


def ask_until_answered(status_command: str) -> None:
    """Change two functions of the plugin (2.8.0), which else waits without end for jobs that it has forgotten.

    Its ``squeue`` shows jobs of hidden partitions as well: one that it does not see counts as waiting.

    When the controller does not answer, the plugin falls back on ``sacct``, also where there is no accounting and the
    site said ``squeue``; and after some failed queries it drops all jobs that it was asked about. Here it stays with
    the command that it was given, and asks until there is an answer.

    Args:
        status_command: ``squeue`` or ``sacct``, as the site set it.
    """
    os.environ.update(listing := listing_environment())
    for name in set(os.environ) - set(listing):
        del os.environ[name]
    plugin: Any = import_module("snakemake_executor_plugin_slurm")
    available, query = plugin.is_query_tool_available, plugin.query_job_status

    def is_available(tool: str) -> bool:
        return (tool != "sacct" or status_command == "sacct") and available(tool)

    async def query_until_answered(command: str, logger: logging.Logger) -> tuple[Any, Any]:
        warned = False
        while True:
            answer = await query(command, logger)
            if answer != (None, None):
                return answer
            if not warned:
                logger.warning(f"Slurm does not say how the jobs are; they go on, and it is asked again: {command}")
                warned = True
            await asyncio.sleep(_SECONDS)

    plugin.is_query_tool_available = is_available
    plugin.query_job_status = query_until_answered
