"""Tables: each from the JSON files of the runs that it shows, and from nothing else."""

from multiflow.results.tables import (
    context_values,
    missing_latex,
    table_caption,
    table_place,
    table_reading,
    tables_of,
)

# Plain values, made once: the tables are made again when one of them changes.
try:
    TABLE_CONTEXT = context_values(RUN)
    TABLES = tables_of(RUN)
except InputError as error:  # of a method that is somebody's own
    raise WorkflowError(str(error)) from None
# Why there is no PDF of the tables, in words; empty where LaTeX is there. Its rule is local, so this machine decides.
MISSING_LATEX = missing_latex()


rule make_table:
    input:
        runs=lambda wildcards: metrics_shown(wildcards.table),
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        latex=f"{RESULTS}/tables/{{table}}.tex",
        page=report(
            f"{RESULTS}/tables/{{table}}.html",
            caption="../report/table.rst",
            category="Tables",
            labels=lambda wildcards: {
                "table": table_place(wildcards.table, RUN),
                "shows": table_caption(wildcards.table, RUN),
            },
        ),
    log:
        f"{RESULTS}/logs/make_table/{{table}}.log",
    wildcard_constraints:
        table="|".join(TABLES),
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
        reading=lambda wildcards: table_reading(wildcards.table, RUN),
    message:
        "writing {wildcards.table}"
    script:
        "../scripts/make_table.py"


rule compare_ablations:
    input:
        runs=lambda wildcards: metrics_shown("ablation_tests"),
    output:
        csv=f"{RESULTS}/tables/ablation_tests.csv",
        latex=f"{RESULTS}/tables/ablation_tests.tex",
        page=report(
            f"{RESULTS}/tables/ablation_tests.html",
            caption="../report/ablation_tests.rst",
            category="Tables",
            labels={"table": "Ablations", "shows": "What each one changes, tested class by class"},
        ),
    log:
        f"{RESULTS}/logs/compare_ablations.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "testing the ablations"
    script:
        "../scripts/compare_ablations.py"


rule compare_with_paper:
    input:
        runs=lambda wildcards: metrics_shown("comparison"),
    output:
        csv=f"{RESULTS}/tables/comparison.csv",
        latex=f"{RESULTS}/tables/comparison.tex",
        page=report(
            f"{RESULTS}/tables/comparison.html",
            caption="../report/comparison.rst",
            category="Comparison with the paper",
            labels={"figure": "published and measured numbers"},
        ),
    log:
        f"{RESULTS}/logs/compare_with_paper.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "comparing with the paper"
    script:
        "../scripts/compare_with_paper.py"


rule typeset_tables:
    input:
        tables=expand(rules.make_table.output.latex, table=TABLES),
        ablations=rules.compare_ablations.output.latex,
        comparison=rules.compare_with_paper.output.latex,
        statistics=lambda wildcards: [
            rules.compare_methods.output.latex,
            rules.list_intervals.output.latex,
            rules.list_costs.output.latex,
        ],
    output:
        pdf=report(
            f"{RESULTS}/tables.pdf",
            caption="../report/tables_pdf.rst",
            category="Tables",
            labels={"table": "tables.pdf", "shows": "All tables, to print"},
        ),
    log:
        f"{RESULTS}/logs/typeset_tables.log",
        latex=f"{RESULTS}/logs/typeset_tables.latex.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        # A function, since Snakemake looks for wildcards in a text.
        title=lambda wildcards: f"Multi-Flow Bench: {RUN.dataset.name}, run {RUN.run}",
    message:
        "typesetting the tables"
    script:
        "../scripts/typeset_tables.py"


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
        missing_latex=MISSING_LATEX,
    message:
        "writing the summary"
    script:
        "../scripts/summarize.py"
