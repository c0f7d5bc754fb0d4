"""Tables: from metrics.csv, and from nothing else."""


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
        context=table_context(RUN),
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
        context=table_context(RUN),
    message:
        "writing the summary"
    script:
        "../scripts/summarize.py"
