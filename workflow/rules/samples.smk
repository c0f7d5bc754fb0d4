"""Samples: the only reader of a data set's own layout. Flips become a column; no image is touched."""


rule flip_views:
    input:
        rendered=rendered_class,
    output:
        # They stay in place during another look: Snakemake takes everything behind a missing file for changed.
        samples=update(f"{RESULTS}/samples/{{class_name}}.csv"),
        digests=update(f"{RESULTS}/samples/{{class_name}}.json"),
        ground_truth=update(f"{RESULTS}/ground_truth/{{class_name}}.h5"),
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
        annotations=annotations_digest,
        # Neither where the data set lies nor the other classes of the run change this one.
        dataset=RUN.dataset.model_dump(mode="json", exclude={"root", "flips", "classes", "name", "published"}),
        # Only a change of its own row of the table of flips changes a class.
        flips=lambda wildcards: flip_row(RUN.dataset, wildcards.class_name),
        unfinished=unfinished(f"{RESULTS}/logs/flip_views/{{class_name}}.log"),
        ground_truth_size=RUN.evaluation.ground_truth_size,
    message:
        "checking the images of {wildcards.class_name}"
    script:
        "../scripts/flip_views.py"


# A first look needs no comparison, since everything behind it is still to be made.
if glob(f"{RESULTS}/samples/*.json"):
    compare_afterwards("flip_views")
