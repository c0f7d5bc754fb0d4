"""Figures: from stored scores and metrics, without retraining. A PNG for the screen and the report, a PDF for print."""

FIGURES = f"{RESULTS}/figures"
HEADLINE_SEEDS = RUN.seeds_of(HEADLINE)
# Where published numbers may stand beside, the dot plots compare with them.
BESIDE_PUBLISHED = "Comparison with the paper" if RUN.dataset.published else "Detection"


rule plot_class:
    input:
        samples=rules.flip_views.output.samples,
        scores=expand(f"{RESULTS}/scores/{HEADLINE}/{{{{class_name}}}}/seed{{seed}}.h5", seed=HEADLINE_SEEDS),
        foreground=foreground_file,
    output:
        anomaly_maps=report(
            f"{FIGURES}/anomaly_maps/{{class_name}}.png",
            caption="../report/anomaly_maps.rst",
            category="Segmentation maps",
            labels={"figure": "anomaly maps", "class": "{class_name}"},
        ),
        anomaly_maps_pdf=f"{FIGURES}/anomaly_maps/{{class_name}}.pdf",
        foreground=report(
            f"{FIGURES}/foreground/{{class_name}}.png",
            caption="../report/foreground.rst",
            category="Foreground",
            labels={"figure": "masks and flips", "class": "{class_name}"},
        ),
        foreground_pdf=f"{FIGURES}/foreground/{{class_name}}.pdf",
        detection=report(
            f"{FIGURES}/detection/{{class_name}}.png",
            caption="../report/detection.rst",
            category="Detection",
            labels={"figure": "score histograms and ROC curves", "class": "{class_name}"},
        ),
        detection_pdf=f"{FIGURES}/detection/{{class_name}}.pdf",
    log:
        f"{RESULTS}/logs/plot_class/{{class_name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_class/{{class_name}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        root=DATASET_ROOT,
        experiment=HEADLINE,
        seeds=HEADLINE_SEEDS,
        sample_score=RESOLVED[HEADLINE].evaluation.sample_score,
        to_grid=RESOLVED[HEADLINE].foreground.to_grid,
        ground_truth_threshold=RUN.features.ground_truth_threshold,
    message:
        "drawing the maps, masks and ROC curves of {wildcards.class_name}"
    script:
        "../scripts/plot_class.py"


rule plot_training:
    input:
        histories=grid(rules.train_flow.output.history),
    output:
        classes=report(
            f"{FIGURES}/training/classes.png",
            caption="../report/training_classes.rst",
            category="Training",
            labels={"figure": f"{HEADLINE}: loss of every class and seed"},
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
        experiment=HEADLINE,
    message:
        "drawing the training curves"
    script:
        "../scripts/plot_training.py"


rule plot_metrics:
    input:
        metrics=rules.collect_metrics.output.metrics,
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
        experiment=HEADLINE,
        context=TABLE_CONTEXT,
    message:
        "drawing the metrics of all classes and experiments"
    script:
        "../scripts/plot_metrics.py"
