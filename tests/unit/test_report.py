"""The report's pages, without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import random
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docutils.core import publish_parts
from jinja2 import Environment

from multiflow.base.markup import as_typed
from multiflow.config import load_config
from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.results.pages import write_runs_page, write_table_page
from multiflow.results.records import METRICS, collect_metrics
from multiflow.results.tables import (
    Cell,
    Column,
    Row,
    Table,
    Words,
    context_values,
    table_context,
    table_reading,
    tables_of,
)

LONGEST_ADDRESS = 2 * 1024**2
"""Characters of the longest address that Chromium opens."""


def unpacked(page: str, name: str) -> str:
    block = re.search(rf'<script type="application/gzip" id="{name}">([^<]+)</script>', page)
    assert block is not None
    return gzip.decompress(base64.b64decode(block[1])).decode()


def test_every_run_of_the_paper_fits_into_a_page_of_the_report(tmp_path: Path) -> None:
    config = load_config(yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text()))
    generator = random.Random(0)
    defects = [f"{level}_auroc:{name}" for level in ("sample", "image") for name in ("AK", "BX", "HS", "QS")]
    paths = []
    for experiment in config.experiments:
        for class_name in config.classes_of(experiment):
            for seed in config.seeds_of(experiment):
                record = {
                    "experiment": experiment,
                    "class": class_name,
                    "seed": seed,
                    "metrics": {name: generator.random() for name in (*METRICS, *defects)},
                    "diagnostics": {"views_at_zero": generator.random()},
                    "command": f"snakemake --configfile a.yaml -- metrics/{experiment}/{class_name}/seed{seed}.json",
                    "provenance": {
                        "config": {"network": experiment},
                        "data_sha256": hashlib.sha256(class_name.encode()).hexdigest(),
                        "model_sha256": hashlib.sha256(str(len(paths)).encode()).hexdigest(),
                    },
                }
                paths.append(tmp_path / f"metrics/{experiment}/{class_name}/seed{seed}.json")
                paths[-1].parent.mkdir(parents=True, exist_ok=True)
                paths[-1].write_text(json.dumps(record))
    assert len(paths) == 1650
    collect_metrics(paths, tmp_path / "metrics.csv")
    page = tmp_path / "runs.html"
    write_runs_page(tmp_path / "metrics.csv", table_context(config), page)
    assert page.stat().st_size * 4 / 3 < LONGEST_ADDRESS

    text = page.read_text()
    data = json.loads(unpacked(text, "data"))
    rows = re.findall(r'<tr data-row="(\d+)" data-class="(\w+)" data-experiment="(\w+)">', data["body"])
    assert len(rows) == 330
    index, class_name, experiment = rows[123]
    for run in data["rows"][int(index)]:
        record = json.loads((tmp_path / run["source"]).read_text())
        own = run["record"]
        assert run["source"] == f"metrics/{experiment}/{class_name}/seed{own['seed']}.json"
        provenance = {key: data["pools"][key][place] for key, place in own["provenance"].items()}
        assert own | {"provenance": provenance} == record
    # Single defect types are in the JSON alone.
    assert data["metrics"] == list(METRICS)
    assert text.split("<thead>")[1].count("<th ") == 3 + len(METRICS)
    assert data["body"].count('<td class="number" data-order') == len(rows) * len(METRICS)


@pytest.mark.parametrize("sortable", [False, True])
def test_a_table_page_is_html_whatever_is_in_the_table(tmp_path: Path, sortable: bool) -> None:
    cells = (Cell(97.126, 0.25, 5, rank=1), Cell(None), Cell(96.5, source="published", digits=1, rank=2))
    table = Table(
        name="table5",
        caption="Parts <with> & without",
        row_key="class",
        stub=("Class", "Best"),
        columns=(Column("a", "A"), Column("b", "B", "(measured)"), Column("c", "C", published=True)),
        rows=(Row("x", ("<x>", True), cells), Row("average", ("Average", False), cells, rule_above=True)),
        compared="row",
        notes=("a < b",),
        sortable=sortable,
    )
    write_table_page(table, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for expected in (
        "<h1>Table 5: Parts &lt;with&gt; &amp; without</h1>",
        '<th scope="row">&lt;x&gt;</th><th scope="row">✓</th>',
        '<b>97.13</b> <span class="std">± 0.25</span>',
        "<u>96.5</u>",
        "C†",
        "<p>a &lt; b</p>",
    ):
        assert expected in page
    assert ("<tfoot>" in page) == ('id="datatables"' in page) == sortable
    assert page.count("<tr") == 3


def test_words_and_differences_on_a_page(tmp_path: Path) -> None:
    """A missing number is sorted below all others, and a column for programs is left out."""
    worse = Words("differ <", strong=True), Cell(-1.5, form="signed"), Words("x"), Cell(1e-6, form="chance")
    missing = Words("agree"), Cell(None), Words("x"), Cell(None)
    table = Table(
        name="comparison",
        caption="Comparison",
        row_key="",
        stub=(),
        columns=(
            Column("verdict", "Verdict", kind="words"),
            Column("difference", "Difference", kind="number"),
            Column("reason", "Reason", kind="words", csv_only=True),
            Column("p", "p", kind="number"),
        ),
        rows=(Row("", (), worse), Row("", (), missing, rule_above=True)),
        lead="Of 2 numbers 1 agrees.",
        sortable=True,
    )
    effects = Table("effects", "Effects", "", (), (Column("a", "A", kind="words"),), (Row("", (), (Words("b"),)),))
    write_table_page([table, effects], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for expected in (
        "<p>Of 2 numbers 1 agrees.</p>",
        "<td><b>differ &lt;</b></td>",
        '<td class="number" data-order="-1.5" data-search="−1.50">−1.50</td>',
        '<td class="number" data-order="1e-06" data-search="&lt;0.001">&lt;0.001</td>',
        '<td class="number" data-order="-1000" data-search="-">-</td>',
        "<h2>Effects</h2>",
    ):
        assert expected in page
    assert "Reason" not in page
    assert page.count('<table id="table"') == 1
    assert page.count('class="booktabs"') == 2
    assert "<tfoot>" not in page


# --- what the report says beside the pages ---

REPORT = Path(__file__).parents[2] / "workflow/report"
METHOD = """
from multiflow.base.settings import Block
from multiflow.methods.contract import Needs


class Nearest:
    heading = "Nearest_feature* |of| `all`_"
    reference = "Nobody_ et al. 2025"
    Settings = Block

    def needs(self, settings):
        return Needs(images=64)

    def train(self, samples, settings, seed, work): ...

    def scorer(self, model, settings, device): ...
"""


def report_text(name: str, **values: Any) -> str:
    """A text of the report as HTML, made as Snakemake makes it; nothing in it is wrong reStructuredText."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["as_typed"] = as_typed
    template = environment.from_string((REPORT / name).read_text())
    links = "\n\n.. _runs.html: a\n.. _metrics.csv: b\n"
    settings = {"report_level": 1, "halt_level": 2, "warning_stream": False}
    parts = publish_parts(template.render(**values) + links, writer="html", settings_overrides=settings)
    return " ".join(re.sub(r"<[^>]*>", "", parts["html_body"]).split())


def report_values(config: dict[str, Any]) -> dict[str, Any]:
    """What Snakemake shows the report's first page."""
    params = SimpleNamespace(context=context_values(load_config(config)))
    files = [SimpleNamespace(target="runs.html", job=SimpleNamespace(params=params))]
    return {"snakemake": SimpleNamespace(config=config), "files": files, "categories": []}


def test_the_first_page_of_the_report_tells_of_the_methods_of_the_run(tmp_path: Path) -> None:
    config = yaml.safe_load((REPORT.parents[1] / "config/config.yaml").read_text())
    text = report_text("workflow.rst", **report_values(config))
    reference = MultiFlowMethod.reference.replace("&", "&amp;")
    assert f"Multi-Flow ({reference}); sample score: maximum over the views" in text

    path = tmp_path / "nearest.py"
    path.write_text(METHOD)
    config |= {
        "experiments": {"nearest": {"method": f"{path}:Nearest"}},
        "evaluation": {"sample_score": "top1"},
        "dataset": config["dataset"] | {"name": "My_parts_", "cameras": ["A"], "published": None},
    }
    text = report_text("workflow.rst", **report_values(config))
    assert "Nearest_feature* |of| `all`_ (Nobody_ et al. 2025); sample score: mean of the highest 1 % of" in text
    assert "My_parts_ (realiad_jsons, 1 view per sample, one model per class)" in text
    assert not re.search("Kruse|five|flow", text.replace("Multi-Flow Bench", "").replace("Workflow", ""), re.IGNORECASE)


def test_no_text_of_the_report_names_a_method_or_a_data_set() -> None:
    for path in REPORT.glob("*.rst"):
        text = path.read_text().removeprefix("Multi-Flow Bench")
        assert not re.search(r"multi-?flow|\bflow\b|backbone|real-?iad|\bfive\b|Kruse", text, re.IGNORECASE), path.name


CAPTIONS = ("anomaly_maps.rst", "classes.rst", "detection.rst", "foreground.rst", "illustration.rst")


@pytest.mark.parametrize(
    "name", ["a\\b* _x_ `q` |p|", "*all*", "`x`_", "thing_", "ends in ** ", "- :a: 1", "http://a.b", "\\"]
)
def test_captions_print_names_as_typed(name: str) -> None:
    context = {"dataset": name, "published": None}
    params = SimpleNamespace(heading=name, context=context, evaluation={"sample_score": "max"}, reading="Read.")
    wildcards = SimpleNamespace(class_name="nut_", experiment="mine_")
    for caption in CAPTIONS:
        text = report_text(caption, snakemake=SimpleNamespace(params=params, wildcards=wildcards))
        assert name.strip() in text.partition(". ")[0], caption
        assert caption == "classes.rst" or " nut_" in text, caption


def test_a_table_is_explained_in_its_methods_words() -> None:
    config = load_config(yaml.safe_load((REPORT.parents[1] / "config/config.yaml").read_text()))
    for name in tables_of(config):
        reading = table_reading(name, config)
        snakemake = SimpleNamespace(params=SimpleNamespace(reading=reading), wildcards=SimpleNamespace(table=name))
        assert report_text("table.rst", snakemake=snakemake).startswith(f"{reading} 50 % is guessing")


def test_a_page_that_would_be_the_same_stays_as_it_is(tmp_path: Path) -> None:
    table = Table("table5", "Parts", "", (), (Column("a", "A", kind="words"),), (Row("", (), (Words("b"),)),))
    path = tmp_path / "page.html"
    write_table_page(replace(table, sortable=True), path)
    os.utime(path, (1, 1))
    write_table_page(replace(table, sortable=True), path)
    assert path.stat().st_mtime == 1
    write_table_page(table, path)
    assert path.stat().st_mtime > 1
