"""The data set that is always there: rendered parts."""

from rendered_parts.paths import class_folder, index_files

if RUN.rendering is not None:

    rule render_class:
        output:
            annotations=[f"{RUN.root}/{path}" for path in index_files(RUN.rendering, "{class_name}")],
            images=directory(f"{RUN.root}/{class_folder(RUN.rendering, '{class_name}')}"),
        log:
            f"{RESULTS}/logs/render_class/{{class_name}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/render_class/{{class_name}}.tsv"
        conda:
            "../../envs/multiflow.yaml"
        threads: 1
        resources:
            # Measured at 384 px with five views: 0.6 GB and 0.8 s a picture; both grow with its area.
            mem_mb=lambda wildcards, attempt: 3000 * attempt,
            runtime=lambda wildcards, attempt: 240 * attempt,
        params:
            rendering=RUN.rendering.model_dump(mode="json"),
        message:
            "rendering {wildcards.class_name}"
        script:
            "../scripts/render_class.py"
