"""Features: a frozen backbone, once per image and named set."""


rule extract_features:
    input:
        samples=ancient(str(rules.flip_views.output.samples)),
        digests=ancient(str(rules.flip_views.output.digests)),
        weights=ancient(backbone_read),
    output:
        features=(
            f"{RESULTS}/features/{{features}}/{{class_name}}.h5"
            if RUN.keep.features
            else temp(f"{RESULTS}/features/{{features}}/{{class_name}}.h5")
        ),
    log:
        f"{RESULTS}/logs/extract_features/{{features}}/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/extract_features/{{features}}/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: RUN.compute.threads + RUN.compute.workers
    resources:
        gpu=int(RUN.compute.device != "cpu"),
        # Measured at 768 px on a CPU: 2.3 GB and 0.8 GB for each worker.
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        slurm_extra=exclude_failed_gpus,
    params:
        pictures=digest("pictures"),
        weights=lambda wildcards: weights_digest(RUN.features[wildcards.features].backbone),
        features=lambda wildcards: deciding(RUN.features[wildcards.features]),
    message:
        "extracting the features {wildcards.features} of {wildcards.class_name}"
    script:
        "../scripts/extract_features.py"
