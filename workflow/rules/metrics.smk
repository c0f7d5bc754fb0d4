"""Metrics: of each run by itself, and the one file that holds all of them."""


rule count_metrics:
    input:
        scores=rules.score_samples.output.scores,
        ground_truth=ancient(str(rules.flip_views.output.ground_truth)),
        digests=ancient(str(rules.flip_views.output.digests)),
    output:
        metrics=f"{RESULTS}/metrics/{{experiment}}/{{class_name}}/seed{{seed}}.json",
    log:
        f"{RESULTS}/logs/count_metrics/{{experiment}}/{{class_name}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/count_metrics/{{experiment}}/{{class_name}}/seed{{seed}}.tsv"
    # As in score_samples: results come while other models are trained.
    priority: 2
    conda:
        "../../envs/multiflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        evaluation=lambda wildcards: deciding(experiment_of(wildcards).evaluation),
        ground_truth=digest("ground_truth"),
        doubts=lambda wildcards: known(lambda: read_doubts(f"{RESULTS}/samples/{wildcards.class_name}.json")),
    message:
        "counting the metrics of {wildcards.experiment} on {wildcards.class_name}, seed {wildcards.seed}"
    script:
        "../scripts/count_metrics.py"


rule collect_metrics:
    input:
        runs=lambda wildcards: of_runs(rules.count_metrics.output.metrics, RUN.runs),
    output:
        metrics=report(
            f"{RESULTS}/metrics.csv",
            caption="../report/metrics.rst",
            category="Tables",
            labels={"table": "metrics.csv", "shows": "Every number (download)"},
        ),
    log:
        f"{RESULTS}/logs/collect_metrics.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    message:
        "collecting the metrics of all runs"
    script:
        "../scripts/collect_metrics.py"
