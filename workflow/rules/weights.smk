"""Weights of the networks that read pictures: files of the DAG, fetched once. Only this rule uses the internet."""


rule fetch_weights:
    output:
        weights=update(f"{RESULTS}/weights/{{network}}.safetensors"),
    log:
        f"{RESULTS}/logs/fetch_weights/{{network}}.log",
    # Nodes of a cluster have no internet as a rule; the machine that runs Snakemake has.
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        unfinished=unfinished(f"{RESULTS}/logs/fetch_weights/{{network}}.log"),
        source=weights_source,
        replaced=replaced_weights,
    message:
        "fetching the weights of {wildcards.network}"
    script:
        "../scripts/fetch_weights.py"


# As with the pictures: what comes from another place may be the same.
if glob(f"{RESULTS}/weights/*.safetensors"):
    compare_afterwards("fetch_weights")
