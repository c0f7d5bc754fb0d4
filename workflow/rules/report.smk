"""Report: every result on one page that opens without network, down to the JSON of each seed."""


rule list_runs:
    input:
        metrics=rules.collect_metrics.output.metrics,
        runs=rules.collect_metrics.input.runs,
    output:
        page=report(
            f"{RESULTS}/tables/runs.html",
            caption="../report/runs.rst",
            category="Tables",
            labels={"table": "Every run", "shows": "Each seed, down to its JSON"},
        ),
    log:
        f"{RESULTS}/logs/list_runs.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "listing every run"
    script:
        "../scripts/list_runs.py"


# A job and not `--report-after-run`: the report is then made by every run, local or on a cluster, under the run's own name,
# and only when something has changed.
rule write_report:
    input:
        lambda wildcards: rules.results.input,
    output:
        report=f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/write_report.log",
    # It reads Snakemake's records, which lie beside the results.
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    message:
        "writing the report"
    script:
        "../scripts/write_report.py"
