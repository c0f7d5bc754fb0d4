"""Tables: from metrics.csv, and from nothing else."""

# Plain values, made once: the tables are made again when one of them changes.
TABLE_CONTEXT = context_values(RUN)


def table_labels(wildcards):
    """How the report lists a table."""
    number = wildcards.table.removeprefix("table")
    name = f"Table {number}" if number.isdigit() else "Section 4.5.2"
    return {"table": name, "shows": table_caption(wildcards.table)}


rule make_table:
    input:
        metrics=rules.collect_metrics.output.metrics,
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        latex=f"{RESULTS}/tables/{{table}}.tex",
        page=report(
            f"{RESULTS}/tables/{{table}}.html",
            caption="../report/table.rst",
            category="Tables",
            labels=table_labels,
        ),
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
