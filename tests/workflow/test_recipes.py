"""The recipes of docs/architecture.md, done exactly as they are written there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from checkout import Checkout, without
from PIL import Image
from recipes import recipe
from skimage import data

OVERLAYS = ["config/demo.yaml", "test.yaml"]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_an_ablation_is_two_lines(rendered: Checkout) -> None:
    text = recipe("ablation.yaml")
    assert len(text.splitlines()) == 3, "the key experiments and two lines"
    (rendered.folder / "ablation.yaml").write_text(text)
    target = "results/small/metrics/without_gamma/coin_cell/seed0.json"
    rendered.succeed([*OVERLAYS, "ablation.yaml"], target)
    settings = json.loads((rendered.folder / target).read_text())["provenance"]["config"]["settings"]
    assert settings["network"]["gamma"] is False


@pytest.fixture(scope="module")
def beside(rendered: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the rendered run with a method in one file outside of the repository beside the others."""
    copy = rendered.copy(tmp_path_factory.mktemp("beside") / "copy")
    (copy.folder / "my_detector.py").write_text(recipe("my_detector.py"))
    (copy.folder / "my_method.yaml").write_text(recipe("my_method.yaml"))
    copy.succeed([*OVERLAYS, "my_method.yaml"])
    return copy


def test_a_method_in_one_file_stands_in_tables_figures_and_report(beside: Checkout) -> None:
    results = beside.folder / "results/small"
    for name in ("table1", "table7"):
        assert all(float(row["mine"]) > 0 for row in rows(results / f"tables/{name}.csv")), name
    for name in ("table5", "table6"):
        assert {row["class"] for row in rows(results / f"tables/{name}.csv") if float(row["mine"]) > 0} == {
            "stud_brick", "coin_cell", "average",
        }, name  # fmt: skip
    assert "Nearest neighbour" in (results / "tables/table1.tex").read_text()
    for class_name in ("stud_brick", "coin_cell"):
        for kind in ("anomaly_maps", "foreground", "detection"):
            assert (results / f"figures/mine/{kind}/{class_name}.png").exists()
    runs = [row for row in rows(results / "metrics.csv") if row["experiment"] == "mine"]
    assert {(row["class"], row["seed"]) for row in runs} == {("stud_brick", "0"), ("coin_cell", "0")}
    assert "mine" in (results / "report.html").read_text(errors="ignore")
    assert "Nothing to be done" in beside.succeed([*OVERLAYS, "my_method.yaml"], "-n")


def test_a_method_in_one_file_can_be_planned_and_inspects_photographs(beside: Checkout, tmp_path: Path) -> None:
    plan = beside.tool("plan", "config/demo.yaml", "test.yaml", "my_method.yaml")
    assert "train_model" in plan
    assert "mine" in plan, "a method without a forecast of its cost is not named"
    photographs = tmp_path / "part"
    photographs.mkdir()
    folder = next((beside.folder / "results/small/dataset/realiad_128/coin_cell/OK").iterdir())
    for picture in folder.glob("*.jpg"):
        (photographs / picture.name).write_bytes(picture.read_bytes())
    printed = beside.tool("inspect", "results/small/models/mine/coin_cell/seed0.safetensors", str(photographs))
    assert "sample score" in printed


def test_a_layout_is_a_file_and_a_line(checkout: Checkout) -> None:
    random, gravel, brick = np.random.default_rng(0), data.gravel(), data.brick()

    def save(path: Path, defect: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        y, x = random.integers(0, 400, 2)
        picture, mask = brick[y : y + 96, x : x + 96].copy(), np.zeros((96, 96), np.uint8)
        if defect:
            mask[20:60, 20:60] = 255
            picture = np.where(mask, gravel[y : y + 96, x : x + 96], picture)
            masks = path.parents[2] / "ground_truth" / path.parent.name
            masks.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(masks / f"{path.stem}_mask.png")
        Image.fromarray(picture).save(path)

    root = checkout.folder / "parts/nut"
    for number in range(8):
        save(root / f"train/good/{number:03d}.png")
    for number in range(3):
        save(root / f"test/good/{number:03d}.png")
        save(root / f"test/scratch/{number:03d}.png", defect=True)
    source = checkout.folder / "src/multiflow/datasets"
    (source / "folders.py").write_text(recipe("folders.py"))
    registry = (source / "__init__.py").read_text()
    line = '    "real_iad": "multiflow.datasets.real_iad",\n'
    assert line in registry
    (source / "__init__.py").write_text(registry.replace(line, line + recipe("LAYOUTS")))
    (checkout.folder / "folders.yaml").write_text(recipe("folders.yaml"))
    small = {
        "foreground": {"method": "none"},
        "features": {"lite0": {"image_size": 96}},
        "methods": {"multiflow": {"training": {"epochs": 20, "batch_size": 4}}},
        "experiments": {"multiflow": {"seeds": [0]}, **without("multiflow")},
    }
    checkout.succeed(["config/demo.yaml", "folders.yaml", checkout.write_config(small)])
    table = {row["metric"]: row["multiflow"] for row in rows(checkout.folder / "results/folders/tables/table1.csv")}
    assert float(table["image_auroc"]) > 50
    assert any(row["metric"] == "image_auroc:scratch" for row in rows(checkout.folder / "results/folders/metrics.csv"))


BROKEN = {
    "of another shape": ("map_ = np.zeros((2, 3, 3), np.float32)", "expected"),
    "not finite": ("map_ = np.full((5, 3, 3), np.nan, np.float32)", "finite"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_scores_that_are_wrong_are_one_line_and_nothing_is_written(finished: Checkout, name: str) -> None:
    body, words = BROKEN[name]
    experiment = f"broken_{name.split()[0]}"
    text = recipe("my_detector.py").replace("import torch\n", "import numpy as np\nimport torch\n")
    wrong = f"            {body}\n            return Scores(map_)\n            Scores("
    (finished.folder / f"{experiment}.py").write_text(text.replace("            return Scores(", wrong))
    overlay = {"experiments": {experiment: {"method": f"{experiment}.py:NearestNeighbour", "features": "lite0"}}}
    target = f"results/small/scores/{experiment}/coin_cell/seed0.h5"
    result = finished.run([*OVERLAYS, finished.write_config(overlay, f"{experiment}.yaml")], target)
    printed = result.stdout + result.stderr
    assert result.returncode != 0
    assert "Traceback" not in printed
    lines = [line for line in printed.splitlines() if line.startswith(f"{experiment} on coin_cell")]
    assert len(lines) == 1
    assert words in lines[0]
    assert not (finished.folder / target).exists()
    assert not list((finished.folder / target).parent.glob(".*.partial"))


def test_methods_and_tables_that_are_not_there_are_one_line_each(rendered: Checkout) -> None:
    (rendered.folder / "fails.py").write_text("import nothing_of_that_name\n")
    ablation = 'ablations = {"validate": Ablation("", "", (), (), (), {"mine": AblationRow((), {})}, "mine")}'
    (rendered.folder / "ablated.py").write_text(
        "from multiflow.methods.ablation import Ablation, AblationRow\n"
        + recipe("my_detector.py").replace("    Settings = Settings\n", f"    Settings = Settings\n    {ablation}\n")
    )
    ablated = {"method": "ablated.py:NearestNeighbour", "features": "lite0"}
    for overlay, words in (
        ({"experiments": {"mine": {"method": "patchcor"}}}, "experiments.mine.method: there is no patchcor"),
        ({"experiments": {"mine": {"method": "no.such:Thing"}}}, "experiments.mine.method: no.such:Thing: cannot be"),
        ({"experiments": {"mine": {"method": "fails.py:Thing"}}}, "No module named 'nothing_of_that_name'"),
        ({"experiments": {"mine": ablated}}, "methods: an ablation table has the name validate, which is that of a"),
        ({"tables": {"methods": ["mine"]}}, "tables.methods: there is no experiment mine"),
    ):
        result = rendered.run([*OVERLAYS, rendered.write_config(overlay, "wrong.yaml")], "-n")
        printed = result.stdout + result.stderr
        assert result.returncode != 0
        assert "Traceback" not in printed
        assert len([line for line in printed.splitlines() if words in line]) == 1, printed
