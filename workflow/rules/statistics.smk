"""Statistics of the methods: what chance explains of their differences, and what they cost."""

METHOD_RUNS = [run for run in RUN.runs if run[0] in RUN.table_methods]
METHOD_METRICS = of_runs(rules.count_metrics.output.metrics, METHOD_RUNS)


rule compare_methods:
    input:
        runs=METHOD_METRICS,
    output:
        ranks=f"{RESULTS}/tables/method_ranks.csv",
        tests=f"{RESULTS}/tables/method_tests.csv",
        class_ranks=f"{RESULTS}/tables/class_ranks.csv",
        latex=f"{RESULTS}/tables/method_ranks.tex",
        page=report(
            f"{RESULTS}/tables/method_ranks.html",
            caption="../report/method_ranks.rst",
            category="Tables",
            labels={"table": "Methods compared", "shows": "Ranks, and which methods differ"},
        ),
        figure=report(
            f"{RESULTS}/figures/critical_differences.png",
            caption="../report/critical_differences.rst",
            category="Detection",
            labels={"figure": "ranks of the methods"},
        ),
        figure_pdf=f"{RESULTS}/figures/critical_differences.pdf",
    log:
        f"{RESULTS}/logs/compare_methods.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "comparing the methods"
    script:
        "../scripts/compare_methods.py"


rule list_intervals:
    input:
        runs=METHOD_METRICS,
    output:
        csv=f"{RESULTS}/tables/auroc_intervals.csv",
        latex=f"{RESULTS}/tables/auroc_intervals.tex",
        page=report(
            f"{RESULTS}/tables/auroc_intervals.html",
            caption="../report/auroc_intervals.rst",
            category="Tables",
            labels={
                "table": "Intervals",
                "shows": "AUROC per class, with what seeds and samples leave open",
            },
        ),
    log:
        f"{RESULTS}/logs/list_intervals.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
    message:
        "listing the intervals of the AUROCs"
    script:
        "../scripts/list_intervals.py"


rule list_costs:
    input:
        runs=METHOD_METRICS,
        histories=of_runs(
            rules.train_model.output.history,
            list(dict.fromkeys((RUN.trained_as(*run), *run[1:]) for run in METHOD_RUNS)),
        ),
    output:
        csv=f"{RESULTS}/tables/costs.csv",
        latex=f"{RESULTS}/tables/costs.tex",
        page=report(
            f"{RESULTS}/tables/costs.html",
            caption="../report/costs.rst",
            category="Tables",
            labels={"table": "Costs", "shows": "Time, memory and size of each method"},
        ),
        figure=report(
            f"{RESULTS}/figures/costs.png",
            caption="../report/costs_figure.rst",
            category="Detection",
            labels={"figure": "AUROC and time"},
        ),
        figure_pdf=f"{RESULTS}/figures/costs.pdf",
    log:
        f"{RESULTS}/logs/list_costs.log",
    localrule: True
    conda:
        "../../envs/multiflow.yaml"
    params:
        context=TABLE_CONTEXT,
        runs=METHOD_RUNS,
    message:
        "listing what the methods cost"
    script:
        "../scripts/list_costs.py"
