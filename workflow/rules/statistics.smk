"""Statistics of the methods: what chance explains of their differences, and what they cost."""


rule compare_methods:
    input:
        runs=method_metrics,
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
        runs=method_metrics,
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
        runs=method_metrics,
        histories=method_histories,
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
    message:
        "listing what the methods cost"
    script:
        "../scripts/list_costs.py"
