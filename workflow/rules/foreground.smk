"""Foreground: one mask per image, at most one file per method and class."""


rule fetch_mvanet:
    output:
        weights=f"{RESULTS}/weights/mvanet.safetensors",
    log:
        f"{RESULTS}/logs/fetch_mvanet.log",
    # Nodes of a cluster have no internet as a rule; the machine that runs Snakemake has.
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    resources:
        # Not a parameter: it is checked and changes no weights.
        weights_sha256=RUN.foreground.weights_sha256 or "",
    params:
        weights=RUN.foreground.weights,
    message:
        "fetching the weights of MVANet"
    script:
        "../scripts/fetch_mvanet.py"


rule segment_foreground:
    input:
        samples=rules.flip_views.output.samples,
        weights=lambda wildcards: rules.fetch_mvanet.output.weights if wildcards.method == "mvanet" else [],
    output:
        foreground=f"{RESULTS}/foreground/{{method}}/{{class_name}}.h5",
    log:
        f"{RESULTS}/logs/segment_foreground/{{method}}/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment_foreground/{{method}}/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: RUN.foreground.threads
    resources:
        gpu=GPUS["segment_foreground"],
        # Measured on a CPU: 4.7 GB with one image at 1280 px.
        mem_mb=lambda wildcards, attempt: (5000 + 3000 * RUN.foreground.batch_size) * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
        slurm_extra=exclude_failed_gpus,
        # Not a parameter: the number of images that run together changes no mask.
        batch_size=RUN.foreground.batch_size,
    params:
        root=DATASET_ROOT,
        # How a mask is brought to the feature grid is decided when it is read.
        foreground=lambda wildcards: RUN.foreground.model_copy(
            update={"method": wildcards.method}
        ).mask_settings(),
    message:
        "segmenting the foreground of {wildcards.class_name}"
    script:
        "../scripts/segment_foreground.py"
