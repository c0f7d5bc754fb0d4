"""Where this workflow needs something else than Snakemake (9.27) does: the only place that changes its code."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from multiflow.base.checksums import stored_checksum
from multiflow.base.errors import InputError
from multiflow.base.garbage import look_seldom
from multiflow.base.markup import as_typed

__all__ = ["ONCE", "adapt_snakemake", "share_resources"]

_READ_BY_SHELLS = re.compile(r"""[\s'"\\$`&;|<>()*?{}\[\]#!]""", re.ASCII)
ONCE = "to be made again"
"""Value of a parameter that makes a job run until it has ended well."""


def adapt_snakemake(workflow: Any) -> None:
    """Change how Snakemake starts jobs, what they wait for, how it tries them again, what it compares and records, what
    captions can call, and when it looks for garbage; called when the rules are read.

    Args:
        workflow: Snakemake's own object.

    Raises:
        InputError: the checkout or the environment lies where Snakemake cannot work.
    """
    # Snakemake has no types.
    names = ("io", "dag", "scheduling.job_scheduler", "jobs")
    files, dag, scheduler, jobs = (import_module(f"snakemake.{name}") for name in names)
    _start_from_environment(Path(workflow.basedir))
    _compare_stored_checksums(files._IOFile)
    _wait_for_checkpoints(dag.DAG)
    _remember_retries(scheduler.JobScheduler)
    _record_parameters(jobs.Job, workflow)
    _filter_names_in_captions(workflow)
    look_seldom()


def share_resources(workflow: Any, rule: str, other: str, but: str) -> None:
    """Give a rule the resources that a site sets for another one, but for those that it sets for the rule itself.

    Args:
        workflow: Snakemake's own object.
        rule: without jobs yet.
        other: does the same work, but less of it.
        but: a resource that is not shared.
    """
    set_by_site = workflow.resource_settings._parsed_overwrite_resources
    resources, own = workflow.get_rule(rule).resources, set_by_site.get(rule, {})
    for name, value in set_by_site.get(other, {}).items():
        if name != but and name not in own:
            resources[name] = value


def _start_from_environment(checkout: Path) -> None:
    """Start jobs by the environment's own path, which `make env` has checked, and not by its link in the checkout.

    Snakemake gives it to a shell without quotes, and takes braces in the checkout's path for names of variables; a
    colon would part it where Python looks for the library.
    """
    if set("{}:") & set(str(checkout)):
        raise InputError(f"{checkout}: expected a checkout in a path without braces and colons, found some; move it")
    if not os.access(Path.cwd(), os.W_OK):
        raise InputError(f"{Path.cwd()}: expected a folder that can be written, found none; clone to another one")
    if sys.prefix != sys.base_prefix:
        sys.executable = str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name)
    if _READ_BY_SHELLS.search(sys.executable):
        raise InputError(
            f"{sys.executable}: expected an environment in a path without spaces, quotes and other characters that a "
            "shell reads; install it elsewhere: make env MULTIFLOW_ENVS=<folder>"
        )


def _compare_stored_checksums(file: Any) -> None:
    """Compare large files by the checksum that they carry.

    Snakemake takes a file above a limit for changed when its time is newer than that of what was made from it, as after
    a copy of the checkout without times.
    """
    eligible, computed = file.is_checksum_eligible, file.checksum

    async def is_checksum_eligible(self: Any, threshold: int | None) -> bool:
        return stored_checksum(self.file) is not None or await eligible(self, threshold)

    async def checksum(
        self: Any, threshold: int | None = None, force: bool = False, algorithm: Any = None
    ) -> str | None:
        found = stored_checksum(self.file)
        return f"sha256:{found}" if found else await computed(self, threshold, force, algorithm)

    file.is_checksum_eligible, file.checksum = is_checksum_eligible, checksum


def _wait_for_checkpoints(dag: Any) -> None:
    """Let a job wait for all checkpoints before it.

    Only when a checkpoint has run does Snakemake know which jobs behind it must run again. It would not wait for that
    with a job further behind that must run for another reason, which then reads files that are about to be replaced.
    """
    is_ready = dag._ready

    def _ready(self: Any, job: Any) -> bool:
        if not is_ready(self, job):
            return False
        if not self.checkpoint_jobs or self.workflow.dryrun:  # a dry run learns nothing from a checkpoint
            return True
        together = set(self._group.get(job, [job]))
        before = set(self.bfs(self.dependencies, *together)) - together
        return before.isdisjoint(self.checkpoint_jobs)

    dag._ready = _ready


def _remember_retries(scheduler: Any) -> None:
    """Keep in mind that a failed job is to run again.

    Snakemake still takes it for running while it waits to be started, and forgets it when a checkpoint ends meanwhile.
    """
    handle_error = scheduler._handle_error

    def _handle_error(self: Any, job: Any, *arguments: Any, **options: Any) -> None:
        handle_error(self, job, *arguments, **options)
        dag = self.workflow.dag
        if job in dag._ready_jobs:
            dag._running.discard(job)

    scheduler._handle_error = _handle_error


def _record_parameters(job: Any, workflow: Any) -> None:
    """Record the parameters with which a job ran.

    Snakemake evaluates them again when the job's input is there, but records those from before. It also records those
    of a job that has failed, where it gives the job its earlier outputs back: they were not made with these parameters,
    which are recorded when a later attempt ends well. :data:`ONCE` is not recorded then.
    """
    reset, postprocess = job.reset_params_and_resources, job.postprocess

    def reset_params_and_resources(self: Any) -> None:
        if not self._params_and_resources_resetted:
            self._non_derived_params = None
            workflow.persistence._params.cache_clear()
        reset(self)

    async def settled(self: Any, *arguments: Any, error: bool = False, **options: Any) -> Any:
        ran_with = self._non_derived_params
        self._non_derived_params = (
            ["failed"] if error else [None if value == ONCE else value for value in self.non_derived_params]
        )
        workflow.persistence._params.cache_clear()
        try:
            return await postprocess(self, *arguments, error=error, **options)
        finally:
            self._non_derived_params = ran_with
            workflow.persistence._params.cache_clear()

    job.reset_params_and_resources, job.postprocess = reset_params_and_resources, settled


def _filter_names_in_captions(workflow: Any) -> None:
    """Give the texts of the report the filter ``as_typed``: Snakemake lets them import nothing.

    It is added when a report is made, since jobs and rules need no Jinja.
    """
    create = workflow.create_report

    def create_report(*arguments: Any, **options: Any) -> Any:
        import_module("jinja2.filters").FILTERS["as_typed"] = as_typed
        return create(*arguments, **options)

    workflow.create_report = create_report
