"""Write what the run made, with its table of averages."""

from pathlib import Path

from multiflow.base.files import atomic_path
from multiflow.base.job import job
from multiflow.results.records import load_metrics
from multiflow.results.tables import (
    compare_with_paper,
    context_from_values,
    format_text,
    main_table,
    make_table,
    summary_line,
)

with job(snakemake.log[0]):
    metrics_path = Path(snakemake.input.metrics)
    metrics, results = load_metrics(metrics_path), metrics_path.parent
    runs = [results / source for source in metrics["source"].unique()]
    context = context_from_values(snakemake.params.context, runs)
    table = make_table(main_table(context), metrics, context)
    missing = snakemake.params.missing_latex
    pdf = f"not made: {missing}" if missing else f"{results}/tables.pdf"
    with atomic_path(snakemake.output.summary) as temporary:
        temporary.write_text(
            f"{format_text(table)}\n"
            f"{summary_line(compare_with_paper(metrics, context))}\n\n"
            f"all of it, in a browser       {results}/report.html\n"
            f"all tables as CSV and LaTeX   {results}/tables/\n"
            f"the same on paper             {pdf}\n"
            f"every number, tidy            {metrics_path}\n"
            f"where each number came from   {results}/metrics/<experiment>/<class>/seed<seed>.json\n"
            f"anomaly maps to look at       {results}/figures/\n",
            encoding="utf-8",
        )
