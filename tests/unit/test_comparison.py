"""The comparison with the paper and the tests of the ablations."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from table_runs import COLLECTION, EXPERIMENTS, PARTS, REAL_IAD, as_published, context, measured

from multiflow.published import MULTI_FLOW, read_published
from multiflow.report import write_ablation_tests_page, write_comparison_page
from multiflow.tables import (
    TABLES,
    compare_ablations,
    compare_with_paper,
    summary_line,
    write_ablation_tests,
    write_comparison,
)
from multiflow.tables.ablation_tests import AblationTest, ablation_notes
from multiflow.tables.comparison import ComparedCell, Comparison
from multiflow.tables.comparison_csv import format_ablation_tests_csv, format_comparison_csv
from multiflow.tables.comparison_latex import format_ablation_tests_latex, format_comparison_latex

SEEDS = (0, 1, 2, 3, 4)
PAPER_RUN = context(REAL_IAD, SEEDS, COLLECTION)


@pytest.fixture(scope="module")
def paper() -> pd.DataFrame:
    return as_published()


@pytest.fixture(scope="module")
def comparison(paper: pd.DataFrame) -> Comparison:
    return compared(paper)


def compared(metrics: pd.DataFrame, run: object = PAPER_RUN) -> Comparison:
    comparison = compare_with_paper(metrics, run)  # type: ignore[arg-type]
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
    write_comparison(comparison, run, tmp_path / "comparison.csv", tmp_path / "comparison.tex")
    assert (tmp_path / "comparison.csv").read_text() == "not comparable\n"
    assert (tmp_path / "comparison.tex").read_text() == "not comparable\n"
    write_comparison_page(comparison, run, tmp_path / "comparison.html")
    body = (tmp_path / "comparison.html").read_text().split("<body>")[1]
    assert re.sub(r"<[^>]*>|\s+", " ", body).split() == ["Comparison", "with", "the", "paper", "not", "comparable"]
    assert summary_line(comparison) == "Comparison with the paper: not comparable"


def test_classes_that_were_not_published_are_not_comparable() -> None:
    assert compare_with_paper(measured(("bracket",)), context(("bracket",), published=COLLECTION)) is None


def test_every_published_number_of_the_method_is_there_once(comparison: Comparison) -> None:
    printed = []
    for table in TABLES:
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
    assert "3 classes" in format_comparison_latex(comparison, context(some, published=COLLECTION))


def test_what_was_not_measured_or_is_something_else_stays_out(paper: pd.DataFrame) -> None:
    experiments = dict(PAPER_RUN.experiments)
    experiments["noise_none"] = replace(experiments["noise_none"], noise="uniform")
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
    assert "noise none" not in format_comparison_latex(comparison, PAPER_RUN)


# --- what is said of them ---


def test_a_run_like_the_papers_agrees(comparison: Comparison) -> None:
    counts = comparison.counts
    assert counts["differ"] == 0
    assert counts["agree"] >= 85  # of 92: 4.6 are expected beyond the limit by chance
    assert summary_line(comparison) == (
        f"Comparison with the paper: of 92 numbers {counts['agree']} agree, 0 differ, "
        f"{counts['cannot tell']} cannot be told"
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
    assert (moved.verdict, moved.reason) == ("cannot tell", "one of many cells")


def test_one_seed_tells_only_where_a_std_was_published() -> None:
    comparison = compared(as_published(seeds=(0,)), context(REAL_IAD, (0,), COLLECTION))
    for found in comparison.cells:
        assert found.test is not None
        if found.table in ("table1", "table5", "table6", "table7") or found.repeats:
            assert found.test.name == "t-test of one value"
        else:
            assert (found.verdict, found.reason) == ("cannot tell", "one run and no published std")


def test_files_say_what_the_comparison_says(comparison: Comparison, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(format_comparison_csv(comparison))))
    assert len(rows) == len(comparison.cells)
    for row, found in zip(rows, comparison.cells, strict=True):
        assert None not in row
        assert (row["table"], row["class"], row["verdict"]) == (found.table, found.class_name, found.verdict)
        assert row["published"] == found.published.printed
        assert float(row["difference"]) == pytest.approx(float(row["measured"]) - float(row["published"]), abs=1e-4)
    directions = [row for row in rows if row["effect_verdict"]]
    assert len(directions) == len(comparison.effects) == 6 + 8 + 12 + 2
    latex = format_comparison_latex(comparison, PAPER_RUN)
    assert latex.count(r"\begin{tabular}") == 3
    assert f"{summary_line(comparison)}." in latex
    for word in ("Welch", "Holm", "Wilcoxon", r"5 \%", "no proof of equality", "Multi-Flow per class"):
        assert word in latex
    write_comparison_page(comparison, PAPER_RUN, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.split("<tbody>")[1].split("</tbody>")[0].count("<tr>") == len(rows)


# --- effects of the ablations ---


def test_the_direction_of_an_ablation(paper: pd.DataFrame, comparison: Comparison) -> None:
    effects = {(e.test.table, e.test.experiment, e.test.metric): e for e in comparison.effects}
    strong = effects["table2", "no_cross_view", "sample_auroc"]
    assert strong.published == pytest.approx(94.62 - 95.85)
    assert (strong.test.verdict, strong.verdict) == ("worse", "same direction")
    # Published as 0.00: there is no direction to find.
    none = effects["table4", "noise_none", "pixel_auroc"]
    assert none.verdict == "cannot tell"
    frame = paper.copy()
    frame.loc[(frame["experiment"] == "no_cross_view") & (frame["metric"] == "sample_auroc"), "value"] += 0.03
    frame["value"] = frame["value"].clip(upper=1)
    effects = {(e.test.table, e.test.experiment, e.test.metric): e for e in compared(frame).effects}
    assert effects["table2", "no_cross_view", "sample_auroc"].verdict == "opposite direction"


def by_cell(metrics: pd.DataFrame, run: object) -> dict[tuple[str, str, str], AblationTest]:
    tests = compare_ablations(metrics, run)  # type: ignore[arg-type]
    return {(test.table, test.experiment, test.metric): test for test in tests}


def test_two_classes_can_never_be_significant(tmp_path: Path) -> None:
    run = context(("stud_brick", "coin_cell"))
    frame = measured(run.classes)
    frame.loc[frame["experiment"] == "no_cross_view", "value"] = 0.1
    tests = by_cell(frame, run)
    assert len(tests) == 6 + 8 + 12 + 4
    assert {test.verdict for test in tests.values()} == {"cannot tell"}
    assert {test.smallest_p for test in tests.values()} == {0.5}
    assert tests["table2", "no_cross_view", "sample_auroc"].ranks.p == 0.5
    assert any("2 classes cannot give a p below 0.5" in note for note in ablation_notes(tuple(tests.values()), run))
    write_ablation_tests(tuple(tests.values()), run, tmp_path / "tests.csv", tmp_path / "tests.tex")
    assert "no cross view" in (tmp_path / "tests.tex").read_text()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "tests.csv").read_text())))
    assert {row["smallest_p"] for row in rows} == {"0.5"}
    write_ablation_tests_page(tuple(tests.values()), run, tmp_path / "tests.html")
    assert (tmp_path / "tests.html").read_text().count("<td>cannot tell</td>") == 30


def test_no_published_number_stands_beside_the_ablations(paper: pd.DataFrame) -> None:
    run = context(REAL_IAD, SEEDS)
    tests = compare_ablations(paper, run)
    for text in (format_ablation_tests_csv(tests), format_ablation_tests_latex(tests, run)):
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
    run = context()
    experiments = dict(run.experiments)
    experiments["noise_none"] = replace(experiments["noise_none"], noise="uniform")
    tests = by_cell(measured(), replace(run, experiments=experiments))
    assert ("table4", "noise_none", "aupro") not in tests
    assert ("table4", "noise_uniform", "aupro") in tests
    experiments["multiflow"] = replace(experiments["multiflow"], fusion="self_attention")
    assert "table3" not in {table for table, *_ in by_cell(measured(), replace(run, experiments=experiments))}


def test_without_ablations_the_files_say_so() -> None:
    run = context()
    tests = compare_ablations(measured(experiments=("multiflow",)), run)
    assert tests == ()
    assert "No ablation was run beside the default." in format_ablation_tests_latex(tests, run)
    assert len(format_ablation_tests_csv(tests).splitlines()) == 1


def test_all_experiments_of_the_ablation_tables_are_by_cell(paper: pd.DataFrame) -> None:
    tests = compare_ablations(paper, PAPER_RUN)
    assert {test.experiment for test in tests} == set(EXPERIMENTS) - {"multiflow"}
    assert {test.classes for test in tests} == {30}
    assert all(test.ranks.p <= test.p_holm for test in tests)
