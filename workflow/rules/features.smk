"""Features: a frozen backbone, once per image."""


rule fetch_backbone:
    output:
        weights=f"{RESULTS}/weights/backbone.safetensors",
    log:
        f"{RESULTS}/logs/fetch_backbone.log",
    # Nodes of a cluster have no internet as a rule; the machine that runs Snakemake has.
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    resources:
        # Not a parameter: it is checked and changes no weights.
        weights_sha256=RUN.features.weights_sha256 or "",
    params:
        features=RUN.features.model_dump(mode="json", include={"backbone", "weights"}),
    message:
        "fetching the weights of the backbone"
    script:
        "../scripts/fetch_backbone.py"


rule extract_features:
    input:
        samples=rules.flip_views.output.samples,
        weights=rules.fetch_backbone.output.weights,
    output:
        features=(
            f"{RESULTS}/features/{{class_name}}.h5"
            if RUN.keep.features
            else temp(f"{RESULTS}/features/{{class_name}}.h5")
        ),
    log:
        f"{RESULTS}/logs/extract_features/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/extract_features/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: RUN.features.threads + RUN.features.workers
    resources:
        gpu=GPUS["extract_features"],
        # Measured at 768 px on a CPU: 2.3 GB and 0.8 GB for each worker.
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        slurm_extra=exclude_failed_gpus,
        # Not parameters: how many processes and threads work on it changes no feature.
        workers=RUN.features.workers,
        network_threads=RUN.features.threads,
    params:
        root=DATASET_ROOT,
        features=RUN.features.model_dump(
            mode="json", exclude={"weights_sha256", "workers", "threads", "scaling", "scale"}
        ),
    message:
        "extracting the features of {wildcards.class_name}"
    script:
        "../scripts/extract_features.py"
