"""Samples: the only reader of a data set's own format. Flips become a column; no image is touched."""


rule flip_views:
    input:
        annotations=annotation_file,
    output:
        samples=f"{RESULTS}/samples/{{class_name}}.csv",
    log:
        f"{RESULTS}/logs/flip_views/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/flip_views/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: 1
    resources:
        # Measured with 250 pictures: 0.2 GB.
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        root=DATASET_ROOT,
        # Other classes of the run do not change this one.
        dataset=RUN.dataset.model_dump(mode="json", exclude={"classes", "name", "published"}),
        flips=flip_row,
    message:
        "checking the images of {wildcards.class_name}"
    script:
        "../scripts/flip_views.py"
