"""A Slurm cluster: what is sent where, and what is checked before anything is submitted."""

from collections import Counter

from multiflow.cluster import (
    Finding,
    Request,
    Settings,
    ask_until_answered,
    cancel_leftovers,
    check_site,
    claim_folder,
    probe_nodes,
    written_bytes,
)

# What the profile sets for rules with a GPU, and what only those of their jobs get that have one.
GPU_RESOURCES = ("slurm_partition", "slurm_account", "qos", "constraint", "gpu_model")
CHECK_SECONDS = 300  # How long `check_site` waits for its small jobs.


def with_gpu_only(gpu, own, general):
    """The profile's resource where a job asks for a GPU, else that of jobs in general, if they have one.

    The profile cannot tell: whether a rule needs a GPU depends on the run's configuration. Many clusters refuse jobs
    without one in their GPU partitions.
    """

    def choose(wildcards, input, attempt, threads, rulename, async_run):
        given = dict(input=input, attempt=attempt, threads=threads, rulename=rulename, async_run=async_run)
        chosen = own if gpu.evaluate(wildcards, **given).value else general
        return chosen and chosen.evaluate(wildcards, **given).value

    return choose


for needs in (item.resources for item in workflow.rules if "gpu" in item.resources):
    for name in GPU_RESOURCES:
        if name in needs:
            general = (workflow.resource_settings.default_resources or {}).get(name)
            needs[name] = with_gpu_only(needs["gpu"], needs[name], general)


def slurm_requests():
    """What the run's jobs ask Slurm for: every rule's different requests, on their first and last attempt.

    Jobs that differ in class and seed alone ask for the same; one of them is looked at, which saves the paper 15 s.
    """
    kinds = {}
    # A group holds the jobs that are still to run.
    jobs = [workflow.dag.get_job_group(job) or job for job in workflow.dag.needrun_jobs()]
    for job in dict.fromkeys(jobs):
        if not job.is_local:
            members = list(job) if job.is_group() else [job]
            names = tuple(sorted({member.rule.name for member in members}))
            wildcards = members[0].wildcards_dict
            kinds.setdefault((names, len(members), wildcards.get("experiment"), wildcards.get("method")), job)
    requests = {}
    for (names, *_), job in kinds.items():
        name = " + ".join(names)
        for attempt in sorted({1, job.restart_times + 1}):
            job.attempt = attempt
            request = Request.of(name, attempt, job.threads, dict(job.resources.items()))
            requests[request] = None
        job.attempt = 1
    return list(requests)


def check_slurm_site():
    """Nothing is submitted to a site on which it would fail or wait for ever."""
    if workflow.executor_plugin.name != "slurm" or os.environ.get("SKIP_SITE_CHECK"):
        return
    requests, executor = slurm_requests(), workflow.executor_settings
    settings = Settings(
        status_command=executor.status_command,
        first_status_check=executor.init_seconds_before_status_checks,
        results=Path(RESULTS),
        needed_bytes=written_bytes(RUN, Counter(job.rule.name for job in workflow.dag.needrun_jobs())),
        unknown_rules=sorted(
            set(workflow.resource_settings.overwrite_resources) - {rule.name for rule in workflow.rules}
        ),
    )
    findings = check_site(requests, settings)
    if "check_site" in workflow.dag_settings.targets:
        if all(finding.good for finding in findings):
            findings += probe_nodes(requests, Path(RESULTS), CHECK_SECONDS)
        for finding in findings:
            print(finding, flush=True)
    else:
        for finding in findings:
            if not finding.good:
                print(finding.text, file=sys.stderr, flush=True)
        if all(finding.good for finding in findings):
            return
    raise SystemExit(not all(finding.good for finding in findings))


def own_slurm_jobs():
    """No job is forgotten, and no two write one file: what a killed Snakemake left in the queue is cancelled."""
    if workflow.executor_plugin.name != "slurm":
        return
    global SLURM_CLAIM  # held until this process ends
    ask_until_answered(workflow.executor_settings.status_command)
    try:
        SLURM_CLAIM = claim_folder(Path.cwd())
        count = cancel_leftovers(Path.cwd())
    except (InputError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    if count:
        print(
            f"Cancelled {count} job{'s' * (count > 1)} that an earlier Snakemake had left in the queue.",
            file=sys.stderr,
            flush=True,
        )


onstart:
    check_slurm_site()
    own_slurm_jobs()
