"""A Slurm cluster: what is sent where, and what is checked before anything is submitted."""

from collections import Counter

from multiflow.annotations import missing_data
from multiflow.cluster import (
    Finding,
    Request,
    Settings,
    ask_until_answered,
    cancel_leftovers,
    check_site,
    claim_folder,
    place,
    probe_nodes,
    written_bytes,
)

# Rules that cannot do without the data set.
READERS = ("flip_views", "extract_features", "segment_foreground")
CHECK_SECONDS = 300  # How long `check_site` waits for its small jobs.


def goes_to_gpu(name):
    """Whether a job of the rule, or one that is submitted together with it, needs a GPU."""

    def decide(wildcards):
        groups = workflow.group_settings.overwrite_groups  # known when the jobs are, not before
        together = [other for other in GPUS if name in groups and groups.get(other) == groups[name]]
        return any(GPUS[other](wildcards) for other in together or [name])

    return decide


def place_jobs():
    """Jobs that need no GPU go where all others go."""
    for name in GPUS:
        place(
            workflow.get_rule(name).resources,
            goes_to_gpu(name),
            workflow.resource_settings.default_resources or {},
        )


place_jobs()


def slurm_requests():
    """What the run's jobs ask Slurm for: every rule's different requests, on their first and last attempt.

    Jobs that differ in class and seed alone ask for the same; one of them is looked at, which saves the paper 15 s.
    """
    kinds = {}
    # A group holds the jobs that are still to run. Where none is, the places of those that ran are looked at.
    left = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    jobs = [workflow.dag.get_job_group(job) or job for job in left or workflow.dag.jobs]
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


def read_dataset():
    """The data set with those of its classes that the jobs read; None where they read none, or it is rendered."""
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name in READERS]
    classes = sorted({job.wildcards.class_name for job in jobs})
    return RUN.dataset.model_copy(update={"classes": classes}) if classes and RUN.rendering is None else None


def check_slurm_site():
    """Nothing is submitted to a site on which it would fail or wait for ever."""
    alone = "check_site" in workflow.dag_settings.targets
    if workflow.executor_plugin.name != "slurm":
        if alone:
            print("check_site: it checks a Slurm cluster; add --profile slurm", file=sys.stderr, flush=True)
            raise SystemExit(1)
        return
    if os.environ.get("SKIP_SITE_CHECK") and not alone:
        return
    requests, executor, dataset = slurm_requests(), workflow.executor_settings, read_dataset()
    settings = Settings(
        status_command=executor.status_command,
        first_status_check=executor.init_seconds_before_status_checks,
        results=Path(RESULTS),
        needed_bytes=written_bytes(RUN, Counter(job.rule.name for job in workflow.dag.needrun_jobs())),
        unknown_rules=sorted(
            set(workflow.resource_settings.overwrite_resources)
            - {rule.name for rule in workflow.rules}
            - {"render_class"}  # a rule of rendered parts alone
        ),
        missing_data=missing_data(dataset) if dataset else [],
    )
    findings = check_site(requests, settings)
    if alone:
        if all(finding.good for finding in findings):
            findings += probe_nodes(requests, Path(RESULTS), CHECK_SECONDS, dataset and dataset.root)
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
        SLURM_CLAIM.guard(workflow.executor_plugin.executor)
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
