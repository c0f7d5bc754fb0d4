"""Methods compared over classes: ranks, tests, what they must not claim, and the diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from table_runs import context

from multiflow.results.figures import critical_difference
from multiflow.results.figures.critical_difference import plot_critical_differences
from multiflow.results.tables import (
    Cell,
    MethodComparison,
    Table,
    TableContext,
    Words,
    compare_methods,
    format_text,
    method_tables,
    write_csv,
    write_latex,
)
from multiflow.results.tables.significance import LEVEL, fewest_pairs, friedman_test, mean_ranks, smallest_p

CLASSES = tuple(f"part_{index:02d}" for index in range(12))


def runs(values: Mapping[str, Sequence[float | None]], metric: str = "sample_auroc") -> pd.DataFrame:
    """One seed of each method on the first classes; None for a run that has not finished."""
    rows = [
        (method, class_name, 0, metric, value, "a.json")
        for method, column in values.items()
        for class_name, value in zip(CLASSES, column, strict=False)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["experiment", "class", "seed", "metric", "value", "source"])


def of_methods(*methods: str) -> TableContext:
    return replace(context(CLASSES), methods={name: name.title() for name in methods})


def compared(values: Mapping[str, Sequence[float | None]]) -> MethodComparison:
    return compare_methods(runs(values), of_methods(*values), ["sample_auroc"])[0]


def steps(count: int, start: float = 0.5, step: float = 0.01) -> list[float]:
    return [start + step * index for index in range(count)]


def test_ranks_and_friedmans_test_are_scipys() -> None:
    values = np.random.default_rng(0).random((12, 4))
    values[3] = values[3, 0]  # all equal
    values[5, :2] = 0.5
    assert mean_ranks(values.tolist())[3] == (2.5,) * 4
    assert np.array(mean_ranks(values.tolist())) == pytest.approx(stats.rankdata(-values, axis=1))
    assert friedman_test(values.tolist()) == pytest.approx(stats.friedmanchisquare(*values.T).pvalue)
    assert friedman_test(np.ones((8, 3)).tolist()) == 1


@pytest.mark.parametrize(("tests", "pairs"), [(1, 6), (3, 7), (15, 10)])
def test_fewer_classes_cannot_decide(tests: int, pairs: int) -> None:
    assert fewest_pairs(tests) == pairs
    assert tests * smallest_p(pairs) < LEVEL <= tests * smallest_p(pairs - 1)


def test_a_method_that_is_best_everywhere_is_better() -> None:
    found = compared({"a": steps(8, 0.8), "b": steps(8, 0.7), "c": steps(8, 0.702)[::-1]})
    assert found.reason == ""
    assert found.friedman_p is not None
    assert found.friedman_p < LEVEL
    assert found.mean_ranks["a"] == 1
    verdicts = {(pair.method, pair.other): pair.verdict for pair in found.pairs}
    assert verdicts == {("a", "b"): "better", ("a", "c"): "better", ("b", "c"): "undecided"}
    first = found.pairs[0]
    assert first.difference == pytest.approx(10)
    assert first.ranks.p == smallest_p(8)
    assert first.p_holm == pytest.approx(3 * smallest_p(8))
    assert set(found.undecided_groups[0]) == {"b", "c"}
    assert len(found.undecided_groups) == 1


def test_pairs_differ_only_where_friedmans_test_says_that_not_all_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiflow.results.tables.method_ranks.friedman_test", lambda rows: 0.2)
    found = compared({"a": steps(8, 0.8), "b": steps(8, 0.7), "c": steps(8, 0.6)})
    assert {pair.verdict for pair in found.pairs} == {"undecided"}
    assert found.undecided_groups == [("a", "b", "c")]
    # Two methods have no such test.
    two = compared({"a": steps(8, 0.8), "b": steps(8, 0.7)})
    assert two.friedman_p is None
    assert [pair.verdict for pair in two.pairs] == ["better"]


def test_groups_are_the_largest_of_neighbours_of_whom_no_two_differ() -> None:
    class Pair:
        def __init__(self, method: str, other: str) -> None:
            self.method, self.other, self.verdict = method, other, "better"

    def groups(*different: str) -> list[str]:
        ranks = {"part": (1.0, 2.0, 3.0, 4.0)}
        pairs = tuple(Pair(*names) for names in different)
        found = MethodComparison("sample_auroc", tuple("abcd"), ranks, pairs=pairs)  # type: ignore[arg-type]
        return ["".join(group) for group in found.undecided_groups]

    assert groups() == ["abcd"]
    assert groups("ad") == ["abc", "bcd"]
    assert groups("ab", "ac", "ad") == ["bcd"]
    assert groups("ab", "bc", "cd") == []
    assert groups("bc") == ["ab", "cd"], "a bar must not lead over a method that differs"


def test_a_class_counts_where_all_methods_have_it() -> None:
    found = compared({"a": [0.9] * 8, "b": [0.8] * 7 + [None]})
    assert list(found.ranks) == list(CLASSES[:7])


def test_few_classes_or_methods_are_one_sentence_and_no_verdict(tmp_path: Path) -> None:
    few = compared({"a": [0.9, 0.8], "b": [0.8, 0.7], "c": [0.7, 0.6]})
    assert few.reason == "3 methods need at least 7 classes, here are 2"
    assert few.friedman_p is None
    assert {pair.verdict for pair in few.pairs} == {"undecided"}
    assert compared({"a": [0.9, 0.8]}).reason == "there is nothing to compare with"
    assert compared({"a": [0.9, None], "b": [None, 0.9]}).reason == "no class has a value of every method"
    nothing = compare_methods(runs({}), of_methods("a", "b"))
    for comparisons, methods, sentence in (
        ([few], "abc", "No test can decide anything here: 3 methods need at least 7 classes, here are 2."),
        (nothing, "ab", "No test can decide anything here: there is nothing to compare with."),
    ):
        tables = method_tables(comparisons, of_methods(*methods))
        texts = [format_text(table) for table in tables]
        # Notes are broken into lines.
        assert all(sentence in " ".join(text.split()) for text in texts[:2])
        assert "nan" not in "".join(texts).lower()
        write_latex(tables, tmp_path / "tables.tex")
        for table in tables:
            write_csv(table, tmp_path / f"{table.name}.csv")
            assert "nan" not in (tmp_path / f"{table.name}.csv").read_text().lower()
        figure = tmp_path / "ranks.png"
        plot_critical_differences(comparisons, of_methods(*methods), figure)
        assert figure.read_bytes().startswith(b"\x89PNG")


def values(table: Table, row: int) -> list[object]:
    return [cell.value if isinstance(cell, Cell) else cell.key or cell.text for cell in table.rows[row].cells]


def test_tables_hold_the_comparison() -> None:
    columns = {"a": steps(8, 0.8), "b": steps(8, 0.7), "c": steps(8, 0.702)[::-1]}
    run = of_methods(*columns)
    comparisons = compare_methods(runs(columns), run)
    ranks, pairs, class_ranks = method_tables(comparisons, run)
    assert [row.key for row in ranks.rows] == ["sample_auroc", "image_auroc", "aupro", "pixel_auroc"]
    assert values(ranks, 0) == [*(comparisons[0].mean_ranks[name] for name in "abc"), 8, comparisons[0].friedman_p]
    assert values(ranks, 1) == [None] * 3 + [0, None]
    assert values(pairs, 0)[:5] == ["sample_auroc", "a", "b", pytest.approx(10), 8]
    assert values(pairs, 0)[-1] == "better"
    assert pairs.rows[0].cells[-1] == Words("better", strong=True)
    assert values(class_ranks, 0) == ["sample_auroc", CLASSES[0], 1.0, 3.0, 2.0]
    assert len(class_ranks.rows) == 8
    assert any("Image-AUROC, AUPRO, Pixel-AUROC: there is nothing to compare with" in note for note in ranks.notes)


def test_the_diagram_has_every_name_and_a_bar_per_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []

    def save(figure: Figure, *paths: Path) -> None:
        drawn.append(figure)

    columns = {"a": steps(12, 0.8), "b": steps(12, 0.7), "c": steps(12, 0.702)[::-1], "d": steps(12, 0.4)}
    run = of_methods(*columns)
    plot_critical_differences(compare_methods(runs(columns), run), run, tmp_path / "ranks.png", tmp_path / "ranks.pdf")
    first = (tmp_path / "ranks.png").read_bytes()
    plot_critical_differences(compare_methods(runs(columns), run), run, tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").read_bytes() == first
    monkeypatch.setattr(critical_difference, "save_figure", save)
    plot_critical_differences(compare_methods(runs(columns), run, ["sample_auroc"]), run, tmp_path / "ranks.png")
    (axes,) = drawn[0].axes
    assert sorted(text.get_text().split()[0] for text in axes.texts[:2]) == ["A", "C"]
    assert {word for text in axes.texts for word in text.get_text().split()} >= {"A", "B", "C", "D", "1.08", "4.00"}
    bars = [line for line in axes.lines if line.get_linewidth() > 2]
    assert len(bars) == 1
    means = compare_methods(runs(columns), run, ["sample_auroc"])[0].mean_ranks
    low, high = sorted(bars[0].get_xdata())
    assert low < min(means["b"], means["c"]) <= max(means["b"], means["c"]) < high < means["d"]
    assert low > means["a"]
