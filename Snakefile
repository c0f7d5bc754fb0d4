"""Multi-Flow Bench: every table from one command."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


# With `--sdm apptainer`: all rules in one image, built from envs/multiflow.def.
container: "envs/multiflow.sif"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/rendering.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/foreground.smk"
include: "workflow/rules/methods.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
# Behind all rules that jobs are made of: it looks at them.
include: "workflow/rules/cluster.smk"


rule results:
    input:
        rules.summarize.output.summary,
        rules.list_runs.output.page,
        expand(rules.make_table.output, table=TABLES),
        rules.compare_ablations.output,
        rules.compare_with_paper.output,
        rules.compare_methods.output,
        rules.list_intervals.output,
        rules.list_costs.output,
        [] if MISSING_LATEX else rules.typeset_tables.output.pdf,
        class_figures(),
        rules.plot_training.output,
        rules.plot_metrics.output,
    localrule: True


rule all:
    default_target: True
    input:
        rules.results.input,
        rules.write_report.output.report,
    localrule: True


# What comes from outside: every picture is read, and the networks' weights are fetched.
rule validate:
    input:
        expand(rules.flip_views.output.samples, class_name=RUN.dataset.classes),
        expand(rules.fetch_weights.output.weights, network=RUN.networks_read),
    localrule: True


# `snakemake --profile slurm check_site`: ends before any job of the run, see workflow/rules/cluster.smk. What it would do
# makes it a job, so that a site is checked after a run, too.
rule check_site:
    input:
        rules.all.input,
    log:
        f"{RESULTS}/logs/check_site.log",
    localrule: True
    run:
        pass


# After all rules: no table has the name of one.
include: "workflow/rules/targets.smk"


onstart:
    prepare_jobs()


onsuccess:
    show_warnings()
    # A later seed extracts features that were not kept again, and finished trainings are then used again.
    if RUN.keep.features:
        forget_all_finished(Path(f"{RESULTS}/checkpoints"))
    # `make demo` shows the summary by itself.
    if "multiflow" not in workflow.output_settings.log_handler_settings:
        if any(job.rule.name == "summarize" for job in workflow.dag.jobs):
            # As bytes: a terminal without the plus-minus sign fails no run.
            sys.stdout.flush()
            sys.stdout.buffer.write(Path(rules.summarize.output.summary).read_bytes())


onerror:
    show_warnings()
