"""Figures: from stored scores, without retraining."""


rule plot_views:
    input:
        samples=expand(rules.flip_views.output.samples, class_name=RUN.dataset.classes),
    output:
        figure=f"{RESULTS}/figures/views.png",
    log:
        f"{RESULTS}/logs/plot_views.log",
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        root=DATASET_ROOT,
        classes=RUN.dataset.classes,
    message:
        "drawing one sample of each class with its flips applied"
    script:
        "../scripts/plot_views.py"


rule plot_anomaly_maps:
    input:
        samples=rules.flip_views.output.samples,
        features=rules.extract_features.output.features,
        scores=f"{RESULTS}/scores/{HEADLINE}/{{class_name}}/seed{RUN.seeds_of(HEADLINE)[0]}.h5",
    output:
        figure=f"{RESULTS}/figures/anomaly_maps/{{class_name}}.png",
    log:
        f"{RESULTS}/logs/plot_anomaly_maps/{{class_name}}.log",
    conda:
        "../../envs/multiflow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        root=DATASET_ROOT,
    message:
        "drawing anomaly maps of {wildcards.class_name}"
    script:
        "../scripts/plot_anomaly_maps.py"
