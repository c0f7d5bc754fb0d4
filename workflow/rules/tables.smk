"""Tables: from metrics.csv, and from nothing else."""

# Plain values, made once: the tables are made again when one of them changes.
TABLE_CONTEXT = context_values(RUN)


rule make_table:
    input:
        metrics=rules.collect_metrics.output.metrics,
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        latex=f"{RESULTS}/tables/{{table}}.tex",
    log:
        f"{RESULTS}/logs/make_table/{{table}}.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "writing {wildcards.table}"
    script:
        "../scripts/make_table.py"


rule summarize:
    input:
        metrics=rules.collect_metrics.output.metrics,
        tables=expand(rules.make_table.output.csv, table=TABLES),
    output:
        summary=f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/summarize.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "writing the summary"
    script:
        "../scripts/summarize.py"
