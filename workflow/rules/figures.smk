"""Figures: from stored scores and metrics, without training again. A PNG for the screen and the report, a PDF for print."""

FIGURES = f"{RESULTS}/figures"
# Where published numbers may stand beside, the dot plots compare with them.
BESIDE_PUBLISHED = "Comparison with the paper" if RUN.dataset.published else "Detection"


rule plot_class:
    input:
        samples=ancient(str(rules.flip_views.output.samples)),
        digests=ancient(str(rules.flip_views.output.digests)),
        ground_truth=ancient(str(rules.flip_views.output.ground_truth)),
        scores=score_files,
        foreground=segmentation_read,
    output:
        anomaly_maps=report(
            f"{FIGURES}/{{experiment}}/anomaly_maps/{{class_name}}.png",
            caption="../report/anomaly_maps.rst",
            category="Segmentation maps",
            labels={"figure": "anomaly maps", "experiment": "{experiment}", "class": "{class_name}"},
        ),
        anomaly_maps_pdf=f"{FIGURES}/{{experiment}}/anomaly_maps/{{class_name}}.pdf",
        foreground=report(
            f"{FIGURES}/{{experiment}}/foreground/{{class_name}}.png",
            caption="../report/foreground.rst",
            category="Foreground",
            labels={"figure": "masks and flips", "experiment": "{experiment}", "class": "{class_name}"},
        ),
        foreground_pdf=f"{FIGURES}/{{experiment}}/foreground/{{class_name}}.pdf",
        detection=report(
            f"{FIGURES}/{{experiment}}/detection/{{class_name}}.png",
            caption="../report/detection.rst",
            category="Detection",
            labels={
                "figure": "score histograms and ROC curves",
                "experiment": "{experiment}",
                "class": "{class_name}",
            },
        ),
        detection_pdf=f"{FIGURES}/{{experiment}}/detection/{{class_name}}.pdf",
    log:
        f"{RESULTS}/logs/plot_class/{{experiment}}/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_class/{{experiment}}/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        pictures=digest("pictures"),
        ground_truth=digest("ground_truth"),
        evaluation=lambda wildcards: deciding(experiment_of(wildcards).evaluation),
        heading=lambda wildcards: TABLE_CONTEXT["methods"][wildcards.experiment],
    message:
        "drawing the maps, masks and ROC curves of {wildcards.experiment} on {wildcards.class_name}"
    script:
        "../scripts/plot_class.py"


rule plot_illustration:
    input:
        samples=ancient(str(rules.flip_views.output.samples)),
        digests=ancient(str(rules.flip_views.output.digests)),
        features=features_read,
        foreground=segmentation_read,
        weights=weights_read,
    output:
        figure=report(
            f"{FIGURES}/{{experiment}}/illustration/{{class_name}}.png",
            caption="../report/illustration.rst",
            category="Training",
            labels={
                "figure": "what is learnt from",
                "experiment": "{experiment}",
                "class": "{class_name}",
            },
        ),
        figure_pdf=f"{FIGURES}/{{experiment}}/illustration/{{class_name}}.pdf",
    log:
        f"{RESULTS}/logs/plot_illustration/{{experiment}}/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_illustration/{{experiment}}/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        experiment=lambda wildcards: experiment_of(wildcards).training_values(),
        pictures=pictures_read,
        heading=lambda wildcards: TABLE_CONTEXT["methods"][wildcards.experiment],
        reading=lambda wildcards: experiment_of(wildcards).method.illustration,
    message:
        "drawing what {wildcards.experiment} learns from on {wildcards.class_name}"
    script:
        "../scripts/plot_illustration.py"


rule plot_training:
    input:
        histories=lambda wildcards: of_runs(rules.train_model.output.history, RUN.trained_runs),
    output:
        classes=report(
            f"{FIGURES}/training/classes.png",
            caption="../report/training_classes.rst",
            category="Training",
            labels={"figure": f"loss of every class and seed"},
        ),
        classes_pdf=f"{FIGURES}/training/classes.pdf",
        experiments=report(
            f"{FIGURES}/training/experiments.png",
            caption="../report/training_experiments.rst",
            category="Training",
            labels={"figure": "loss of every experiment"},
        ),
        experiments_pdf=f"{FIGURES}/training/experiments.pdf",
    log:
        f"{RESULTS}/logs/plot_training.log",
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        methods=TABLE_CONTEXT["methods"],
    message:
        "drawing the training curves"
    script:
        "../scripts/plot_training.py"


rule plot_metrics:
    input:
        metrics=rules.collect_metrics.output.metrics,
        runs=method_metrics,
    output:
        detection=report(
            f"{FIGURES}/classes/detection.png",
            caption="../report/classes.rst",
            category=BESIDE_PUBLISHED,
            labels={"figure": "detection by class"},
        ),
        detection_pdf=f"{FIGURES}/classes/detection.pdf",
        segmentation=report(
            f"{FIGURES}/classes/segmentation.png",
            caption="../report/classes.rst",
            category="Segmentation maps",
            labels={"figure": "segmentation by class"},
        ),
        segmentation_pdf=f"{FIGURES}/classes/segmentation.pdf",
        ablations=report(
            f"{FIGURES}/ablations.png",
            caption="../report/ablations.rst",
            category="Detection",
            labels={"figure": "what each experiment changes"},
        ),
        ablations_pdf=f"{FIGURES}/ablations.pdf",
    log:
        f"{RESULTS}/logs/plot_metrics.log",
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        context=TABLE_CONTEXT,
    message:
        "drawing the metrics of all classes and experiments"
    script:
        "../scripts/plot_metrics.py"
