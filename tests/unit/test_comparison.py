"""The comparison with the paper and the tests of the ablations."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from table_runs import (
    COLLECTION,
    EXPERIMENTS,
    MULTI_FLOW,
    PARTS,
    PUBLISHED,
    REAL_IAD,
    as_published,
    change,
    context,
    measured,
)

from multiflow.results.pages import write_table_page
from multiflow.results.published import read_published
from multiflow.results.tables import (
    AblationTest,
    Cell,
    TableContext,
    Words,
    ablation_tests_table,
    compare_ablations,
    compare_with_paper,
    comparison_tables,
    format_text,
    summary_line,
    write_csv,
    write_latex,
)
from multiflow.results.tables.comparison import ComparedCell, Comparison
from multiflow.results.tables.latex import format_latex
from multiflow.results.tables.text import format_csv

SEEDS = (0, 1, 2, 3, 4)
PAPER_RUN = context(REAL_IAD, SEEDS, COLLECTION)


@pytest.fixture(scope="module")
def paper() -> pd.DataFrame:
    return as_published()


@pytest.fixture(scope="module")
def comparison(paper: pd.DataFrame) -> Comparison:
    return compared(paper)


def compared(metrics: pd.DataFrame, run: TableContext = PAPER_RUN) -> Comparison:
    comparison = compare_with_paper(metrics, run)
    assert comparison is not None
    return comparison


def cell(comparison: Comparison, table: str, experiment: str, metric: str, class_name: str = "average") -> ComparedCell:
    key = (table, experiment, metric, class_name)
    return next(c for c in comparison.cells if (c.table, c.experiment, c.metric, c.class_name) == key)


# --- which numbers ---


@pytest.mark.parametrize("classes", [PARTS, REAL_IAD])
def test_other_data_is_not_comparable_and_nothing_else_is_printed(classes: tuple[str, ...], tmp_path: Path) -> None:
    run = context(classes)
    comparison = compare_with_paper(measured(classes), run)
    assert comparison is None
    tables = comparison_tables(comparison, run)
    write_csv(tables[0], tmp_path / "comparison.csv")
    write_latex(tables, tmp_path / "comparison.tex")
    assert (tmp_path / "comparison.csv").read_text() == "not comparable\n"
    assert (tmp_path / "comparison.tex").read_text() == "not comparable\n"
    write_table_page(tables, tmp_path / "comparison.html")
    body = (tmp_path / "comparison.html").read_text().split("<body>")[1]
    assert re.sub(r"<[^>]*>|\s+", " ", body).split() == ["Comparison", "with", "the", "paper", "not", "comparable"]
    assert summary_line(comparison) == "Comparison with the paper: not comparable"


def test_classes_that_were_not_published_are_not_comparable() -> None:
    assert compare_with_paper(measured(("bracket",)), context(("bracket",), published=COLLECTION)) is None


def test_every_published_number_of_the_method_is_there_once(comparison: Comparison) -> None:
    printed = []
    for table in PUBLISHED:
        for row in read_published(COLLECTION, table):
            if "method" in row:
                printed += [(table, row["mean"])] * (row["method"] == MULTI_FLOW)
            else:
                metrics = ("sample_auroc", "image_auroc", "pixel_auroc", "aupro")
                printed += [(table, row[name]) for name in metrics if name in row]
    assert sorted(printed) == sorted((cell.table, cell.published.printed) for cell in comparison.cells)
    assert len([cell for cell in comparison.cells if not cell.repeats]) == comparison.counts.total() == 92
    for repeated in (cell for cell in comparison.cells if cell.repeats):
        first = cell(comparison, repeated.repeats, repeated.experiment, repeated.metric)
        assert first.published.printed == repeated.published.printed
        assert (first.test, first.p_holm, first.verdict) == (repeated.test, repeated.p_holm, repeated.verdict)
        assert not first.repeats


def test_averages_need_all_classes_and_classes_do_not() -> None:
    some = REAL_IAD[3:6]
    comparison = compared(measured(some), context(some, published=COLLECTION))
    assert {cell.table for cell in comparison.cells} == {"table5", "table6"}
    assert [cell.class_name for cell in comparison.cells] == [*some, *some]
    assert comparison.effects == ()
    (table,) = comparison_tables(comparison, context(some, published=COLLECTION))
    assert "3 classes" in format_latex(table)


def test_what_was_not_measured_or_is_something_else_stays_out(paper: pd.DataFrame) -> None:
    experiments = dict(change(PAPER_RUN, "noise_none", noise="uniform").experiments)
    experiments["noise_softflow"] = replace(experiments["noise_softflow"], classes=REAL_IAD[:3])
    frame = paper[paper["experiment"] != "with_background"]
    comparison = compared(frame, replace(PAPER_RUN, experiments=experiments))
    for table, name in (
        ("table4", "noise_none"),
        ("table4", "noise_softflow"),
        ("background_removal", "with_background"),
    ):
        found = cell(comparison, table, name, "image_auroc")
        assert (found.verdict, found.difference, found.test) == ("not measured", None, None)
        assert name not in {effect.test.experiment for effect in comparison.effects}
    assert comparison.counts["not measured"] == 4 + 4 + 2
    assert summary_line(comparison).endswith("; 10 more were not measured")
    table, effects = comparison_tables(comparison, PAPER_RUN)
    rows = list(csv.DictReader(io.StringIO(format_csv(table))))
    (row,) = (row for row in rows if (row["experiment"], row["metric"]) == ("noise_none", "aupro"))
    assert (row["measured"], row["difference"], row["p"], row["verdict"]) == ("-", "", "", "not measured")
    assert "noise none" not in format_text(effects)


# --- what is said of them ---


def test_a_run_like_the_papers_agrees(comparison: Comparison) -> None:
    counts = comparison.counts
    assert counts["differ"] == 0
    assert counts["agree"] >= 85  # of 92: 4.6 are expected beyond the limit by chance
    assert summary_line(comparison) == (
        f"Comparison with the paper: of 92 numbers {counts['agree']} agree, 0 differ, {counts['undecided']} undecided"
    )


def test_a_class_that_differs_is_found(paper: pd.DataFrame) -> None:
    frame = paper.copy()
    tape = (frame["class"] == "tape") & (frame["metric"] == "sample_auroc") & (frame["experiment"] == "multiflow")
    frame.loc[tape, "value"] -= 0.02
    comparison = compared(frame)
    found = cell(comparison, "table5", "multiflow", "sample_auroc", "tape")
    assert found.verdict == "differ"
    assert found.difference == pytest.approx(-2, abs=0.2)
    assert {c.class_name for c in comparison.cells if c.verdict == "differ"} <= {"tape", "average"}


def test_between_the_limit_and_holms_correction_nothing_is_told(paper: pd.DataFrame, comparison: Comparison) -> None:
    frame = paper.copy()
    first = cell(comparison, "table5", "multiflow", "sample_auroc", "usb")
    assert first.test is not None
    assert first.test.limit is not None
    move = (first.test.limit * 1.2 - (first.difference or 0)) / 100
    usb = (frame["class"] == "usb") & (frame["metric"] == "sample_auroc") & (frame["experiment"] == "multiflow")
    frame.loc[usb, "value"] += move
    moved = cell(compared(frame), "table5", "multiflow", "sample_auroc", "usb")
    assert moved.test is not None
    assert moved.test.p is not None
    assert moved.test.p < 0.05 <= (moved.p_holm or 0)
    assert (moved.verdict, moved.reason) == ("undecided", "one of many cells")


def test_one_seed_tells_only_where_a_std_was_published() -> None:
    comparison = compared(as_published(seeds=(0,)), context(REAL_IAD, (0,), COLLECTION))
    for found in comparison.cells:
        assert found.test is not None
        if found.table in ("table1", "table5", "table6", "table7") or found.repeats:
            assert found.test.name == "t-test of one value"
        else:
            assert (found.verdict, found.reason) == ("undecided", "one run and no published std")


def test_files_say_what_the_comparison_says(comparison: Comparison, tmp_path: Path) -> None:
    tables = comparison_tables(comparison, PAPER_RUN)
    rows = list(csv.DictReader(io.StringIO(format_csv(tables[0]))))
    assert len(rows) == len(comparison.cells)
    for row, found in zip(rows, comparison.cells, strict=True):
        assert None not in row
        assert (row["table"], row["class"], row["verdict"]) == (found.table, found.class_name, found.verdict)
        assert (row["published"], row["repeats"]) == (found.published.printed, found.repeats)
        assert float(row["difference"]) == pytest.approx(float(row["measured"]) - float(row["published"]), abs=1e-4)
    directions = [row for row in rows if row["effect_verdict"]]
    assert len(directions) == len(comparison.effects) == 6 + 8 + 12 + 2
    write_latex(tables, tmp_path / "comparison.tex")
    latex = (tmp_path / "comparison.tex").read_text()
    assert latex.count(r"\caption{Comparison with the paper.}") == 1
    assert latex.count(r"\caption{What each ablation changes, measured against published.}") == 1
    assert f"{summary_line(comparison)}." in latex
    for word in ("Welch", "Holm", "Wilcoxon", r"5 \%", "no proof of equality", "agree (as in Table 1)"):
        assert word in latex
    assert r"\textbf" not in latex  # nothing differs, and nothing is the best of its row
    write_table_page(tables, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    bodies = [part.split("</tbody>")[0] for part in page.split("<tbody>")[1:]]
    assert [body.count("<tr") for body in bodies] == [len(rows), len(comparison.effects)]
    assert f"<p>{summary_line(comparison)}.</p>" in page


def test_the_protocol_below_the_comparison_is_that_of_what_is_compared(paper: pd.DataFrame) -> None:
    """Of a method that the paper has not nothing is said, nor of what makes an ablation one."""
    experiments = {
        name: replace(known, departures=(f"network.noise {name} (simplenet)",))
        for name, known in PAPER_RUN.experiments.items()
    }
    experiments["with_background"] = replace(experiments["with_background"], heading="Mine")
    run = replace(PAPER_RUN, experiments=experiments, methods={"with_background": "Mine", "multiflow": MULTI_FLOW})
    (note,) = (note for note in comparison_tables(compared(paper, run), run)[0].notes if "not the paper's" in note)
    assert note == "The protocol here is not the paper's (in brackets): network.noise multiflow (simplenet)."


def test_runs_of_other_settings_are_counted_below_the_comparison_and_the_tests(paper: pd.DataFrame) -> None:
    run = replace(PAPER_RUN, left_out={"multiflow": 2, "noise_none": 1})
    note = "3 runs of other settings are left out."
    assert note in comparison_tables(compared(paper, run), run)[0].notes
    assert note in ablation_tests_table(compare_ablations(paper, run), run).notes


# --- effects of the ablations ---


def test_the_direction_of_an_ablation(paper: pd.DataFrame, comparison: Comparison) -> None:
    effects = {(e.test.table, e.test.experiment, e.test.metric): e for e in comparison.effects}
    strong = effects["table2", "no_cross_view", "sample_auroc"]
    assert strong.published == pytest.approx(94.62 - 95.85)
    assert (strong.test.verdict, strong.verdict) == ("worse", "same direction")
    # Published as 0.00: there is no direction to find.
    none = effects["table4", "noise_none", "pixel_auroc"]
    assert none.verdict == "undecided"
    frame = paper.copy()
    frame.loc[(frame["experiment"] == "no_cross_view") & (frame["metric"] == "sample_auroc"), "value"] += 0.03
    frame["value"] = frame["value"].clip(upper=1)
    effects = {(e.test.table, e.test.experiment, e.test.metric): e for e in compared(frame).effects}
    assert effects["table2", "no_cross_view", "sample_auroc"].verdict == "opposite direction"


def by_cell(metrics: pd.DataFrame, run: TableContext) -> dict[tuple[str, str, str], AblationTest]:
    tests = compare_ablations(metrics, run)
    return {(test.table, test.experiment, test.metric): test for test in tests}


def test_two_classes_can_never_be_significant(tmp_path: Path) -> None:
    run = context(("stud_brick", "coin_cell"))
    frame = measured(run.classes)
    frame.loc[frame["experiment"] == "no_cross_view", "value"] = 0.1
    tests = by_cell(frame, run)
    assert len(tests) == 6 + 8 + 12 + 8
    assert {test.verdict for test in tests.values()} == {"undecided"}
    assert {test.smallest_p for test in tests.values()} == {0.5}
    assert tests["table2", "no_cross_view", "sample_auroc"].ranks.p == 0.5
    table = ablation_tests_table(tuple(tests.values()), run)
    assert any("2 classes cannot give a p below 0.5" in note for note in table.notes)
    write_latex(table, tmp_path / "tests.tex")
    assert r"no\_cross\_view" in (tmp_path / "tests.tex").read_text()
    rows = list(csv.DictReader(io.StringIO(format_csv(table))))
    assert {row["smallest_p"] for row in rows} == {"0.5"}
    assert {row["reference"] for row in rows} == {"multiflow"}
    write_table_page(table, tmp_path / "tests.html")
    assert (tmp_path / "tests.html").read_text().count("<td>undecided</td>") == len(tests)


def test_no_published_number_stands_beside_the_ablations(paper: pd.DataFrame) -> None:
    run = context(REAL_IAD, SEEDS)
    tests = compare_ablations(paper, run)
    table = ablation_tests_table(tests, run)
    for text in (format_csv(table), format_latex(table), format_text(table)):
        assert not re.search("publish|dagger|Kruse|95.85|-1.23", text, re.IGNORECASE)
    assert tests == compare_ablations(paper, PAPER_RUN)


def test_classes_are_paired_by_the_seeds_that_both_have() -> None:
    rows = [
        ("multiflow", "knob", 0, 0.90), ("multiflow", "knob", 1, 0.70), ("multiflow", "hex_nut", 0, 0.80),
        ("no_cross_view", "knob", 0, 0.88), ("no_cross_view", "knob", 2, 0.10), ("no_cross_view", "nail", 0, 0.5),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["experiment", "class", "seed", "value"]).assign(metric="sample_auroc")
    (test,) = compare_ablations(frame, context(("knob", "hex_nut", "nail")))
    assert test.difference == pytest.approx(-2)
    assert (test.classes, test.ranks.pairs, test.ranks.p) == (1, 1, 1)


def test_an_ablation_that_is_none_stays_out_and_so_does_a_table_without_its_default() -> None:
    run = change(context(), "noise_none", noise="uniform")
    tests = by_cell(measured(), run)
    assert ("table4", "noise_none", "aupro") not in tests
    assert ("table4", "noise_uniform", "aupro") in tests
    assert "table3" not in {
        table for table, *_ in by_cell(measured(), change(run, "multiflow", fusion="self_attention"))
    }


def test_without_ablations_the_files_say_so() -> None:
    run = context()
    tests = compare_ablations(measured(experiments=("multiflow",)), run)
    assert tests == ()
    table = ablation_tests_table(tests, run)
    assert "No ablation was run beside the default." in format_latex(table)
    assert len(format_csv(table).splitlines()) == 1


def test_all_experiments_of_the_ablation_tables_are_by_cell(paper: pd.DataFrame) -> None:
    tests = compare_ablations(paper, PAPER_RUN)
    assert {test.experiment for test in tests} == set(EXPERIMENTS) - {"multiflow"}
    assert {test.reference for test in tests} == {"multiflow"}
    assert {test.classes for test in tests} == {30}
    assert all(test.ranks.p <= test.p_holm for test in tests)


def test_an_ablation_that_trained_longer_is_named() -> None:
    run = context()
    longer = replace(run.experiments["noise_none"], protocol={"training": "40 epochs"})
    run = replace(run, experiments={**run.experiments, "noise_none": longer})
    notes = ablation_tests_table(compare_ablations(measured(), run), run).notes
    assert "Trained otherwise (40 epochs instead of 12 epochs), which is part of the difference: noise_none." in notes


def test_only_a_measured_method_of_the_same_name_is_held_against_a_published_one(paper: pd.DataFrame) -> None:
    """However its column is headed, and beside whatever other methods."""
    other = replace(PAPER_RUN.experiments["no_cross_view"], heading="Mine")
    run = replace(
        PAPER_RUN,
        methods={"no_cross_view": "Mine", "multiflow": "Multi-Flow (multiflow)"},
        experiments={**PAPER_RUN.experiments, "no_cross_view": other},
    )
    found = compared(paper, run)
    assert {cell.experiment for cell in found.cells if cell.table in ("table1", "table5", "table7")} == {"multiflow"}
    assert found.counts == compared(paper).counts


def test_an_average_of_some_classes_is_not_compared(paper: pd.DataFrame) -> None:
    frame = paper[~((paper["experiment"] == "multiflow") & (paper["class"] == "zipper"))]
    found = cell(compared(frame), "table1", "multiflow", "sample_auroc")
    assert (found.verdict, found.measured) == ("not measured", Cell(None, n=0))
    assert cell(compared(frame), "table5", "multiflow", "sample_auroc", "usb").test is not None


def test_what_differs_is_bold(paper: pd.DataFrame) -> None:
    frame = paper.copy()
    tape = (frame["class"] == "tape") & (frame["metric"] == "sample_auroc") & (frame["experiment"] == "multiflow")
    frame.loc[tape, "value"] -= 0.02
    table, _ = comparison_tables(compared(frame), PAPER_RUN)
    assert Words("differ", "differ", strong=True) in {
        word for row in table.rows for word in row.cells if isinstance(word, Words)
    }
    assert r"\textbf{differ}" in format_latex(table)
