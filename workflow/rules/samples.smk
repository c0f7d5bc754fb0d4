"""Samples: the only reader of a data set's own format. Flips become a column; no image is touched."""


def annotation_file(wildcards):
    """The class's JSON; a missing one is reported by the script, with the classes that are there."""
    if RUN.rendering is not None:
        return rules.render_class.output.annotations
    folder = f"{DATASET_ROOT}/{RUN.dataset.annotations}"
    candidates = [
        f"{folder}/{wildcards.class_name}.json",
        f"{folder}/{RUN.dataset.annotations}/{wildcards.class_name}.json",
    ]
    return [path for path in candidates if os.path.exists(path)][:1]


def flip_row(wildcards):
    """The class's row of the table of flips, so that only a change of this row reruns the class."""
    if RUN.dataset.flips is None:
        return None
    try:
        return read_flips(
            RUN.dataset.flips, wildcards.class_name, RUN.dataset.cameras
        )
    except InputError:
        return None  # the script says what is wrong, together with all else


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
        mem_mb=2000,
        runtime=60,
    params:
        root=DATASET_ROOT,
        # Other classes of the run do not change this one.
        dataset=RUN.dataset.model_dump(
            mode="json", exclude={"classes", "name", "published"}
        ),
        flips=flip_row,
    message:
        "checking the images of {wildcards.class_name}"
    script:
        "../scripts/flip_views.py"
