"""The run's configuration, validated once, and what the rules read because of it."""

import os
import sys
import time
from glob import glob
from pathlib import Path

sys.path.insert(0, os.path.join(workflow.current_basedir, "../../src"))

from multiflow.base.import_path import share_library

# The scripts of the rules import the library from this checkout, in whatever environment they run.
share_library()

from snakemake.exceptions import WorkflowError

from multiflow.base.engine import ONCE, adapt_snakemake, share_resources
from multiflow.base.errors import InputError
from multiflow.base.failed_gpus import exclude_failed
from multiflow.base.job import unfinished_mark
from multiflow.base.provenance import file_sha256
from multiflow.base.settings import deciding
from multiflow.base.tensors import read_provenance
from multiflow.base.warned import logged_warnings
from multiflow.config import check_files, load_config, write_configuration
from multiflow.datasets import annotations_sha256, flip_row, read_digests, read_doubts
from multiflow.foreground.settings import NETWORKS
from multiflow.methods.finished import checkpoint_of, forget_all_finished, forget_finished, keep_finished
from multiflow.results.tables import table_runs

try:
    adapt_snakemake(workflow)
    if workflow.is_main_process:
        check_files(workflow.configfiles)
    RUN = load_config(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = str(RUN.folder)
STARTED = time.time()


wildcard_constraints:
    class_name=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    experiment="|".join(RUN.experiments),
    seed=r"\d+",
    features="|".join(RUN.features) or "none",
    segmentation="|".join(NETWORKS),
    network=r"[A-Za-z0-9][A-Za-z0-9._-]*",


def is_forced(job):
    """Whether a job runs because the user wants it to. Snakemake also forces jobs that it was killed in."""
    settings = workflow.dag_settings
    asked = set(settings.forcerun)
    if settings.forcetargets:
        asked |= {*settings.targets, *settings.until, *workflow.scheduling_settings.prioritytargets}
    named = any(
        spec.rulename == job.rule.name and dict(spec.wildcards_dict) == dict(job.wildcards_dict)
        for spec in settings.target_jobs
    )
    files = {os.path.relpath(path) for path in asked}
    return settings.forceall or named or job.rule.name in asked or not files.isdisjoint(job.output)


def settle_trainings():
    """Which finished trainings are used again: none that the user forces, and those of a job that lacks some of its
    models, which Snakemake deletes before it runs. A job in which it was killed may have been forced then.
    """
    trainings = [
        job for job in workflow.dag.needrun_jobs() if job.rule.name in ("train_model", "train_seeds")
    ]
    for job, seed in [(job, seed) for job in trainings for seed in trained_seeds(job.wildcards)]:
        run = job.wildcards.experiment, job.wildcards.class_name, seed
        made = [Path(path) for pattern in rules.train_model.output for path in of_runs(pattern, [run])]
        if is_forced(job):
            forget_finished(checkpoint_of(RUN.folder, *run))
        elif (
            job.rule.name == "train_seeds"
            and not workflow.dag.reason(job).forced
            and all(path.exists() for path in made)
        ):
            keep_finished(checkpoint_of(RUN.folder, *run), *made)


def show_warnings():
    """Jobs on a cluster have said their warnings on no screen."""
    for line in logged_warnings(workflow.dag.jobs, STARTED):
        print(line, file=sys.stderr)


def experiment_of(wildcards):
    """What the job's experiment runs with on its class."""
    return RUN.experiment(wildcards.experiment, wildcards.class_name)


def of_runs(pattern, runs):
    """A path per run: its experiment, class and seed."""
    return [
        pattern.format(experiment=experiment, class_name=class_name, seed=seed)
        for experiment, class_name, seed in runs
    ]


def kept(paths, keep):
    """Outputs that stay, or that go when nothing in the run needs them any more."""
    return paths if keep else temp(paths)


def trained_seeds(wildcards):
    """The seeds that a job trains."""
    seed = wildcards.get("seed")
    return [int(seed)] if seed else RUN.seeds_together


def digest(name):
    """A checksum of what `flip_views` found in a class, by which only what a changed picture changes is made again.

    It is read by the wildcards, since Snakemake compares no parameter that is made from `input`.
    """
    return lambda wildcards: known(
        lambda: read_digests(f"{RESULTS}/samples/{wildcards.class_name}.json")[name]
    )


def weights_digest(network):
    """The checksum of a network's tensors: the same weights from another place make nothing again."""
    return known(lambda: read_provenance(f"{RESULTS}/weights/{network}.safetensors")["tensors_sha256"])


def known(read):
    """A checksum from a job's output."""
    try:
        return read()
    except InputError:
        return None  # the job that reads the file says what is wrong


def unfinished(log):
    """Whether an earlier job did not end well: its outputs are then those from before it, and it must run again."""
    return lambda wildcards: ONCE if unfinished_mark(log.format(**wildcards)).exists() else None


def compare_afterwards(name):
    """Let Snakemake compare checksums after a rule has run again, since only then it is known what has changed."""
    looked_at_again = workflow.get_rule(name)
    looked_at_again.is_checkpoint = True
    checkpoints.register(looked_at_again)


def rendered_class(wildcards):
    """What says of a rendered class which pictures it has: its annotations, or where the layout has none, its folder."""
    if RUN.rendering is None:
        return []
    made = rules.render_class.output
    return expand(made.annotations or made.images, class_name=wildcards.class_name)


def annotations_digest(wildcards):
    """The checksum of the class's annotations where they come from outside; None where this run renders them."""
    return annotations_sha256(RUN.dataset, RUN.root, wildcards.class_name) if RUN.rendering is None else None


def weights_source(wildcards):
    """Where a network's weights come from: a file counts by its content, whatever its name, place and time."""
    source = RUN.networks[wildcards.network].weights
    return file_sha256(source) if os.path.isfile(source) else source


def replaced_weights(wildcards):
    """Whether the configuration asks for other weights than those that are there, by their checksum."""
    expected = RUN.networks[wildcards.network].weights_sha256
    weights = f"{RESULTS}/weights/{wildcards.network}.safetensors"
    if expected is None or not os.path.exists(weights):
        return None
    provenance = known(lambda: read_provenance(weights))
    return None if provenance is not None and provenance.get("sha256") == expected else ONCE


def backbone_read(wildcards):
    """The weights of a set's backbone."""
    return expand(rules.fetch_weights.output.weights, network=RUN.features[wildcards.features].backbone)


def segmenter_digest(wildcards):
    """The checksum of the weights of a method of segmentation; None for one without a network."""
    network = NETWORKS[wildcards.segmentation]
    return weights_digest(network) if network else None


def segmenter_read(wildcards):
    """The weights of a method of segmentation; none for one without a network."""
    network = NETWORKS[wildcards.segmentation]
    return expand(rules.fetch_weights.output.weights, network=[network] if network else [])


def exclude_failed_gpus(wildcards, attempt):
    """A second attempt runs on another node than those on which a GPU failed; Slurm alone knows this resource."""
    return exclude_failed(Path(RESULTS) / "logs", attempt)


def method_gpus(wildcards):
    """GPUs of a method's job."""
    return int(experiment_of(wildcards).compute.device != "cpu")


def method_threads(wildcards):
    """CPU threads of a method's job, and processes that decode pictures for it."""
    experiment = experiment_of(wildcards)
    return experiment.compute.threads + (experiment.compute.workers if experiment.needs.images else 0)


def features_read(wildcards):
    """The files of the sets of features that the experiment's method reads."""
    return expand(
        rules.extract_features.output.features,
        features=experiment_of(wildcards).needs.features,
        class_name=wildcards.class_name,
    )


def segmentation_read(wildcards):
    """The segmentation that the experiment reads; none where all is foreground."""
    name = experiment_of(wildcards).segmentation
    return expand(
        rules.segment_foreground.output.foreground,
        segmentation=[name] if name else [],
        class_name=wildcards.class_name,
    )


def weights_read(wildcards):
    """The weights of the pretrained networks that the experiment's method runs itself."""
    networks = [network.backbone for network in experiment_of(wildcards).needs.weights]
    return expand(rules.fetch_weights.output.weights, network=networks)


def weights_digests(wildcards):
    """The checksums of those weights, by network: the same from another place train and score nothing again."""
    networks = [network.backbone for network in experiment_of(wildcards).needs.weights]
    return {network: weights_digest(network) for network in networks} or None


def pictures_read(wildcards):
    """The checksum of the pictures where the method reads them itself; else its input files say what changed."""
    return digest("pictures")(wildcards) if experiment_of(wildcards).needs.images else None


def imported_models(wildcards):
    """Models that `python -m multiflow import-checkpoint` put there; each takes the place of its training."""
    folder = f"{RESULTS}/imported/{wildcards.experiment}/{wildcards.class_name}"
    paths = [f"{folder}/seed{seed}.safetensors" for seed in trained_seeds(wildcards)]
    return [path for path in paths if os.path.exists(path)]


def model_of(wildcards):
    """The model that scores: experiments that differ in what comes after the training share one."""
    class_name, seed = wildcards.class_name, int(wildcards.seed)
    owner = RUN.trained_as(wildcards.experiment, class_name, seed)
    return of_runs(rules.train_model.output.model, [(owner, class_name, seed)])


def score_files(wildcards):
    """The scores of all seeds of an experiment on a class."""
    seeds = RUN.seeds_of(wildcards.experiment)
    return of_runs(
        rules.score_samples.output.scores,
        [(wildcards.experiment, wildcards.class_name, seed) for seed in seeds],
    )


def class_figures():
    """The figures of every class, for each experiment that is a method of the tables."""
    return [
        path
        for name in RUN.table_methods
        for rule in [
            rules.plot_class,
            *([rules.plot_illustration] if hasattr(RUN.experiment(name).method, "illustrate") else []),
        ]
        for path in expand(rule.output, experiment=name, class_name=RUN.classes_of(name))
    ]


def metrics_shown(table):
    """The metrics of the runs that a table shows."""
    return of_runs(rules.count_metrics.output.metrics, table_runs(table, RUN))


def method_metrics(wildcards):
    """The metrics of all runs of the methods that the tables show."""
    return of_runs(rules.count_metrics.output.metrics, RUN.method_runs)


def method_histories(wildcards):
    """What the models of these runs noted in their trainings; runs that share a model share it."""
    trained = dict.fromkeys((RUN.trained_as(*run), *run[1:]) for run in RUN.method_runs)
    return of_runs(rules.train_model.output.history, trained)
