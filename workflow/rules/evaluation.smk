"""Evaluation: scores and metrics of one flow, and the one file that tables and figures read."""


rule evaluate_flow:
    input:
        flow=rules.train_flow.output.flow,
        features=rules.extract_features.output.features,
        foreground=foreground_file,
        samples=rules.flip_views.output.samples,
        weights=rules.fetch_backbone.output.weights,
    output:
        scores=f"{RESULTS}/scores/{{experiment}}/{{class_name}}/seed{{seed}}.h5",
        metrics=f"{RESULTS}/scores/{{experiment}}/{{class_name}}/seed{{seed}}.json",
    log:
        f"{RESULTS}/logs/evaluate_flow/{{experiment}}/{{class_name}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_flow/{{experiment}}/{{class_name}}/seed{{seed}}.tsv"
    # Results come while other flows are trained, and features that are not kept go earlier.
    priority: 1
    conda:
        "../../envs/multiflow.yaml"
    threads: RUN.training.threads
    resources:
        gpu=GPUS["evaluate_flow"],
        # Measured at full size on a CPU: 1.3 GB, whatever the number of samples; CUDA's libraries come on top.
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
        slurm_extra=exclude_failed_gpus,
    params:
        features=RUN.features.model_dump(mode="json", exclude={"weights_sha256", "workers", "threads"}),
        flow=settings("flow"),
        foreground=mask_settings,
        training=settings("training", exclude={"checkpoint_every"}),
        evaluation=settings("evaluation"),
    message:
        "evaluating {wildcards.experiment} on {wildcards.class_name}, seed {wildcards.seed}"
    script:
        "../scripts/evaluate_flow.py"


rule collect_metrics:
    input:
        runs=grid(rules.evaluate_flow.output.metrics),
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
