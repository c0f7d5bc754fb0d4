"""Methods: two rules serve all of them. What a method reads follows from its settings; it never sees a label."""


rule train_model:
    input:
        samples=ancient(str(rules.flip_views.output.samples)),
        digests=ancient(str(rules.flip_views.output.digests)),
        features=features_read,
        foreground=segmentation_read,
        weights=ancient(weights_read),
        imported=imported_models,
    output:
        model=kept(
            f"{RESULTS}/models/{{experiment}}/{{class_name}}/seed{{seed}}.safetensors", RUN.keep.models
        ),
        history=f"{RESULTS}/models/{{experiment}}/{{class_name}}/seed{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/train_model/{{experiment}}/{{class_name}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_model/{{experiment}}/{{class_name}}/seed{{seed}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: method_threads
    resources:
        gpu=method_gpus,
        # Measured with Multi-Flow at full size on a CPU: 4.1 GB and 3.5 MB for each training sample.
        mem_mb=lambda wildcards, attempt: 12000 * attempt,
        runtime=lambda wildcards, attempt: 60 * len(trained_seeds(wildcards)) * attempt,
        slurm_extra=exclude_failed_gpus,
    params:
        experiment=lambda wildcards: experiment_of(wildcards).training_values(),
        pictures=pictures_read,
        weights=weights_digests,
    message:
        "training {wildcards.experiment} on {wildcards.class_name}, seed {wildcards.seed}"
    script:
        "../scripts/train_model.py"


if RUN.seeds_together:

    ruleorder: train_seeds > train_model

    # The same job for several seeds, so that models are the same whichever rule made them.
    use rule train_model as train_seeds with:
        output:
            models=kept(
                expand(rules.train_model.output.model, seed=RUN.seeds_together, allow_missing=True),
                RUN.keep.models,
            ),
            histories=expand(rules.train_model.output.history, seed=RUN.seeds_together, allow_missing=True),
        log:
            f"{RESULTS}/logs/train_seeds/{{experiment}}/{{class_name}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_seeds/{{experiment}}/{{class_name}}.tsv"
        wildcard_constraints:
            experiment="|".join(filter(RUN.trained_together, RUN.experiments)),
        message:
            f"training {{wildcards.experiment}} on {{wildcards.class_name}}, seeds {', '.join(map(str, RUN.seeds_together))}"

    # What a site sets for trainings is written for `train_model`; a time is that of one.
    share_resources(workflow, "train_seeds", "train_model", but="runtime")


rule score_samples:
    input:
        samples=ancient(str(rules.flip_views.output.samples)),
        digests=ancient(str(rules.flip_views.output.digests)),
        features=features_read,
        foreground=segmentation_read,
        weights=ancient(weights_read),
        model=model_of,
    output:
        scores=kept(f"{RESULTS}/scores/{{experiment}}/{{class_name}}/seed{{seed}}.h5", RUN.keep.scores),
    log:
        f"{RESULTS}/logs/score_samples/{{experiment}}/{{class_name}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_samples/{{experiment}}/{{class_name}}/seed{{seed}}.tsv"
    # Results come while other models are trained, and features that are not kept go earlier.
    priority: 1
    conda:
        "../../envs/multiflow.yaml"
    threads: method_threads
    resources:
        gpu=method_gpus,
        # Measured with Multi-Flow at full size on a CPU: 1.3 GB, whatever the number of samples; CUDA comes on top.
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
        slurm_extra=exclude_failed_gpus,
    params:
        experiment=lambda wildcards: experiment_of(wildcards).scoring_values(),
        pictures=pictures_read,
        weights=weights_digests,
    message:
        "scoring {wildcards.experiment} on {wildcards.class_name}, seed {wildcards.seed}"
    script:
        "../scripts/score_samples.py"
