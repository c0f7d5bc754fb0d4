"""Foreground: one raw segmentation per image; what is made of it is decided where it is read."""


rule segment_foreground:
    input:
        samples=ancient(str(rules.flip_views.output.samples)),
        digests=ancient(str(rules.flip_views.output.digests)),
        weights=ancient(segmenter_read),
    output:
        foreground=f"{RESULTS}/foreground/{{segmentation}}/{{class_name}}.h5",
    log:
        f"{RESULTS}/logs/segment_foreground/{{segmentation}}/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment_foreground/{{segmentation}}/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: RUN.compute.threads
    resources:
        gpu=lambda wildcards: int(
            RUN.compute.device != "cpu" and NETWORKS[wildcards.segmentation] is not None
        ),
        # Measured on a CPU: 4.7 GB with one image at 1280 px.
        mem_mb=lambda wildcards, attempt: (5000 + 3000 * RUN.segmentation.batch_size) * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
        slurm_extra=exclude_failed_gpus,
    params:
        pictures=digest("pictures"),
        weights=segmenter_digest,
        segmentation=lambda wildcards: RUN.segmentation.deciding(wildcards.segmentation),
    message:
        "segmenting the foreground of {wildcards.class_name}"
    script:
        "../scripts/segment_foreground.py"
