"""The report's pages, without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import re
from pathlib import Path

import pytest
import yaml

from multiflow.config import load_config
from multiflow.metrics import METRICS, collect_metrics
from multiflow.report import write_runs_page, write_table_page
from multiflow.tables import Cell, Column, Row, Table, table_context

LONGEST_ADDRESS = 2 * 1024**2
"""Characters of the longest address that Chromium opens."""


def unpacked(page: str, name: str) -> str:
    block = re.search(rf'<script type="application/gzip" id="{name}">([^<]+)</script>', page)
    assert block is not None
    return gzip.decompress(base64.b64decode(block[1])).decode()


def test_every_run_of_the_paper_fits_into_a_page_of_the_report(tmp_path: Path) -> None:
    config = load_config(yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text()))
    generator = random.Random(0)
    paths = []
    for experiment in config.experiments:
        for class_name in config.classes_of(experiment):
            for seed in config.seeds_of(experiment):
                record = {
                    "experiment": experiment,
                    "class": class_name,
                    "seed": seed,
                    "metrics": {name: generator.random() for name in METRICS},
                    "provenance": {
                        "config": {"flow": experiment},
                        "data_sha256": hashlib.sha256(class_name.encode()).hexdigest(),
                        "flow_sha256": hashlib.sha256(str(len(paths)).encode()).hexdigest(),
                    },
                }
                paths.append(tmp_path / f"scores/{experiment}/{class_name}/seed{seed}.json")
                paths[-1].parent.mkdir(parents=True, exist_ok=True)
                paths[-1].write_text(json.dumps(record))
    assert len(paths) == 1500
    collect_metrics(paths, tmp_path / "metrics.csv")
    page = tmp_path / "runs.html"
    write_runs_page(tmp_path / "metrics.csv", table_context(config), page)
    assert page.stat().st_size * 4 / 3 < LONGEST_ADDRESS

    text = page.read_text()
    rows = re.findall(r'<tr data-row="(\d+)" data-class="(\w+)" data-experiment="(\w+)">', text)
    assert len(rows) == 300
    data = json.loads(unpacked(text, "data"))
    index, class_name, experiment = rows[123]
    for run in data["rows"][int(index)]:
        record = json.loads((tmp_path / run["source"]).read_text())
        assert run["source"] == f"scores/{experiment}/{class_name}/seed{run['seed']}.json"
        assert run["metrics"] == record["metrics"]
        provenance = {key: data["pools"][key][place] for key, place in run["provenance"].items()}
        assert provenance == record["provenance"]


@pytest.mark.parametrize("row_key", ["experiment", "class"])
def test_a_table_page_is_html_whatever_stands_in_the_table(tmp_path: Path, row_key: str) -> None:
    cells = (Cell(97.126, 0.25, 5, rank=1), Cell(None), Cell(96.5, source="published", digits=1, rank=2))
    table = Table(
        name="table5",
        caption="Parts <with> & without",
        row_key=row_key,
        stub=("Class", "Best"),
        columns=(Column("a", "A"), Column("b", "B", "(measured)"), Column("c", "C", published=True)),
        rows=(Row("x", ("<x>", True), cells), Row("average", ("Average", False), cells, rule_above=True)),
        compared="row",
        notes=("a < b",),
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
    assert ("<tfoot>" in page) == (row_key == "class")
