"""Flow: one training per experiment, class and seed. It never opens an image."""


rule train_flow:
    input:
        features=rules.extract_features.output.features,
        foreground=foreground_file,
    output:
        flow=(
            f"{RESULTS}/flows/{{experiment}}/{{class_name}}/seed{{seed}}.safetensors"
            if RUN.keep.flows
            else temp(f"{RESULTS}/flows/{{experiment}}/{{class_name}}/seed{{seed}}.safetensors")
        ),
        history=f"{RESULTS}/flows/{{experiment}}/{{class_name}}/seed{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/train_flow/{{experiment}}/{{class_name}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_flow/{{experiment}}/{{class_name}}/seed{{seed}}.tsv"
    conda:
        "../../envs/multiflow.yaml"
    threads: RUN.training.threads
    resources:
        gpu=GPUS["train_flow"],
        # Measured at full size on a CPU: 4.1 GB and 3.5 MB for each training sample; 12 GB are enough for 2,000.
        mem_mb=lambda wildcards, attempt: 12000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        slurm_extra=exclude_failed_gpus,
        # Not parameters: they change no flow. A flow that is not kept gets no second name, which would keep its space.
        take_up=int(RUN.keep.flows),
        checkpoint_every=lambda wildcards: RESOLVED[wildcards.experiment].training.checkpoint_every,
    params:
        features=RUN.features.model_dump(mode="json", include={"scaling", "scale"}),
        flow=settings("flow"),
        training=settings("training", exclude={"checkpoint_every"}),
        to_grid=lambda wildcards: RESOLVED[wildcards.experiment].foreground.to_grid,
        # Not an output: Snakemake would delete it before a killed training could go on from it.
        checkpoint=f"{RESULTS}/checkpoints/{{experiment}}/{{class_name}}/seed{{seed}}.pt",
    message:
        "training {wildcards.experiment} on {wildcards.class_name}, seed {wildcards.seed}"
    script:
        "../scripts/train_flow.py"
