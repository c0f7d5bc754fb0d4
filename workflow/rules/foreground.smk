"""Foreground: one mask per image, at most one file per method and class."""


rule segment_foreground:
    input:
        samples=rules.flip_views.output.samples,
    output:
        foreground=f"{RESULTS}/foreground/{{method}}/{{class_name}}.h5",
    log:
        f"{RESULTS}/logs/segment_foreground/{{method}}/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment_foreground/{{method}}/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: 1
    resources:
        gpu=lambda wildcards: 1 if wildcards.method == "mvanet" else 0,
        mem_mb=6000,
        runtime=240,
    params:
        root=DATASET_ROOT,
        # How a mask is brought to the feature grid is decided when it is read.
        foreground=lambda wildcards: RUN.foreground.model_dump(mode="json", exclude={"to_grid", "method"}),
    message:
        "segmenting the foreground of {wildcards.class_name}"
    script:
        "../scripts/segment_foreground.py"
