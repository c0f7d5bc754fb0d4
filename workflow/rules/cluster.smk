"""A Slurm cluster: what is sent where, and what is checked before anything is submitted."""

from collections import Counter

from multiflow.base.claim import claim_folder, claim_run
from multiflow.cluster import (
    Finding,
    Request,
    Settings,
    ask_until_answered,
    cancel_leftovers,
    check_site,
    probe_nodes,
    send_to_partition,
    written_bytes,
)
from multiflow.datasets import layout

CHECK_SECONDS = 300  # How long `check_site` waits for its small jobs.

# Jobs that need no GPU go where all others go.
for candidate in workflow.rules:
    if "gpu" in candidate.resources:
        send_to_partition(candidate.resources, workflow.resource_settings.default_resources or {})


def reads_pictures(job):
    """Whether a job cannot do without the data set: it looks at its annotations, or depends on its pictures' checksum."""
    return job.rule.name == "flip_views" or job.params.get("pictures") is not None


def slurm_requests():
    """What the run's jobs ask Slurm for: every rule's different requests, on their first and last attempt.

    Jobs that differ in class and seed alone ask for the same; one of them is looked at, which saves the paper 15 s.
    """
    kinds = {}
    # A group holds the jobs that are still to run. Where none is, those that ran say what would be asked for.
    left = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    jobs = [workflow.dag.get_job_group(job) or job for job in left or workflow.dag.jobs]
    for job in dict.fromkeys(jobs):
        if not job.is_local:
            members = list(job) if job.is_group() else [job]
            names = tuple(sorted({member.rule.name for member in members}))
            others = [
                item for item in members[0].wildcards_dict.items() if item[0] not in ("class_name", "seed")
            ]
            kinds.setdefault((names, len(members), *sorted(others)), job)
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
    classes = sorted({job.wildcards.class_name for job in workflow.dag.needrun_jobs() if reads_pictures(job)})
    return RUN.dataset.model_copy(update={"classes": classes}) if classes and RUN.rendering is None else None


def check_slurm_site():
    """Nothing is submitted to a site on which it would fail, or wait without end."""
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
            - {"render_class", "train_seeds"}  # rules of rendered parts alone, and of `seeds_together`
        ),
        missing_data=layout(dataset.layout).missing_data(dataset) if dataset else [],
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
    ask_until_answered(workflow.executor_settings.status_command)
    CLAIMS.append(claim_folder(Path.cwd()))
    CLAIMS[-1].guard(workflow.executor_plugin.executor)
    count = cancel_leftovers(Path.cwd())
    if count:
        print(
            f"Cancelled {count} job{'s' * (count > 1)} that an earlier Snakemake had left in the queue.",
            file=sys.stderr,
            flush=True,
        )


CLAIMS = []  # held until this process ends


def prepare_jobs():
    """What is done before the first job: the Snakefile's `onstart` calls it."""
    check_slurm_site()
    try:
        own_slurm_jobs()
        CLAIMS.append(claim_run(Path.cwd(), RUN.run))
        write_configuration(config, RUN.folder, latest=True)
        if not workflow.touch:
            settle_trainings()
    except (InputError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        raise SystemExit(1) from None
