"""The configuration files are valid, and what is wrong in one is said in a line."""

from __future__ import annotations

import math
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from multiflow import config_docs
from multiflow.config import Config, load_config, resolve_experiment
from multiflow.errors import InputError

CONFIG = Path(__file__).parents[2] / "config"


def merged(*overlays: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("config.yaml", *overlays):
        update_config(values, yaml.safe_load((CONFIG / name).read_text()))
    return values


def test_the_paper_is_the_default() -> None:
    config = load_config(merged())
    assert len(config.dataset.classes) == 30
    assert len(config.seeds) == 5
    assert len(config.experiments) == 10
    assert (config.training.epochs, config.training.learning_rate, config.training.betas) == (
        112,
        2e-4,
        (0.9, 0.95),
    )
    assert config.flow.noise_std**2 == pytest.approx(0.15)
    assert config.evaluation.sample_score == "max"
    flow = config.flow
    assert (flow.attention, flow.transform_first, flow.condition_scale) == ("paper", "second", 1.0)
    assert flow.clamp_slope == pytest.approx(2 / math.pi)
    assert (config.foreground.to_grid, config.foreground.empty) == ("nearest", "foreground")


def test_released_differs_where_it_should() -> None:
    config = load_config(merged("released.yaml"))
    assert config.training.epochs == 40
    assert config.flow.noise_std == 0.15
    assert config.evaluation.sample_score == "mean"
    assert config.foreground.to_grid == "bilinear"


def test_demo_renders_its_data() -> None:
    config = load_config(merged("demo.yaml"))
    assert config.rendering is not None
    assert config.dataset.published is None
    assert len(config.seeds_of("multiflow")) >= 3
    assert set(config.experiments) == set(load_config(merged()).experiments)


def test_an_experiment_overrides_only_what_it_names() -> None:
    config = load_config(merged())
    base, changed = resolve_experiment(config, "multiflow"), resolve_experiment(config, "no_cross_view")
    assert changed.flow.connections == "none"
    assert changed.flow.model_dump(exclude={"connections"}) == base.flow.model_dump(exclude={"connections"})
    assert resolve_experiment(config, "with_background").foreground.method == "none"


def test_an_overlay_drops_an_experiment_with_null() -> None:
    values = merged()
    values["experiments"]["self_attention"] = None
    assert "self_attention" not in load_config(values).experiments


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"training": {"epochs": 0}}, "training.epochs: input should be greater than or equal to 1, found 0"),
        ({"flow": {"bloks": 4}}, "flow.bloks: unknown key"),
        ({"flow": {"blocks": 4}}, "kernels has 6 entries, blocks is 4"),
        ({"flow": {"kernels": [3, 3, 3, 3, 3, 4]}}, "must be odd"),
        ({"run": None}, "run: input should be a valid string, found None"),
        ({"run": "../elsewhere"}, "run: string should match pattern"),
        ({"dataset": {"root": None}}, "set exactly one of dataset.root"),
        (
            {"experiments": {"mine": {"flow": {"fusion": "sum"}}}},
            "experiments.mine.flow.fusion: input should be",
        ),
        (
            {"experiments": {"mine": {"classes": ["moon"]}}},
            "experiments.mine.classes: moon not in dataset.classes",
        ),
        ({"experiments": {"mine": {"foreground": {"dilation": 4}}}}, "experiments.mine.foreground.dilation: an exp"),
        ({"seeds": [0, 0]}, "seeds: 0 stands there more than once"),
        ({"seeds": [-1]}, "seeds.0: input should be greater than or equal to 0"),
        ({"dataset": {"cameras": ["C1", "C1"]}}, "dataset.cameras: C1 stands there more than once"),
        ({"dataset": {"cameras": ["C1"]}}, "dataset.published: real-iad-multi-view stands only beside the same data"),
        ({"dataset": {"annotations": "realiad_jsons_sv"}}, "with dataset.annotations: realiad_jsons; found realiad_js"),
        ({"dataset": {"classes": ["pcb", "mine"]}}, "dataset.classes: Real-IAD's; found mine"),
        ({"experiments": {"mine": {"seeds": []}}}, "experiments.mine.seeds: value should have at least 1 item"),
        ({"training": {"betas": [2, 3]}}, "training.betas.0: input should be less than 1"),
        ({"flow": {"noise_std": float("inf")}}, "flow.noise_std: input should be a finite number"),
        ({"seeds": []}, "seeds: list should have at least 1 item"),
    ],
)
def test_mistakes_are_one_line_with_their_place(change: dict[str, Any], expected: str) -> None:
    values = deepcopy(merged())
    update_config(values, change)
    with pytest.raises(InputError) as caught:
        load_config(values, "config/config.yaml")
    assert any(expected in problem for problem in caught.value.problems), caught.value.problems
    assert all(problem.startswith("config/config.yaml: ") for problem in caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)


def test_rendering_has_its_own_layout() -> None:
    values = merged("demo.yaml")
    update_config(values, {"rendering": {"image_size": 512}})
    with pytest.raises(InputError, match=r"dataset.image_folder: expected realiad_512 .* found realiad_384"):
        load_config(values)


def test_schema_and_key_tables_are_up_to_date() -> None:
    assert (CONFIG / "schema.json").read_text() == config_docs.schema(), "run `make schema`"
    readme = (CONFIG / "README.md").read_text()
    assert readme == config_docs.insert_tables(readme), "run `make schema`"


def fidelity_rows() -> dict[int, str]:
    """The last column of the table of the 36 differences, by number."""
    text = (CONFIG / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    return {int(row.split("|")[1]): row.split("|")[5].strip() for row in rows}


def all_keys() -> dict[str, str]:
    """Descriptions of all keys, by ``block.key``."""
    keys = {name: field.description or "" for name, field in Config.model_fields.items()}
    for block in ("dataset", "features", "foreground", "flow", "training", "evaluation"):
        model = Config.model_fields[block].annotation
        keys |= {f"{block}.{name}": field.description or "" for name, field in model.model_fields.items()}  # type: ignore[union-attr]
    return keys


def test_every_difference_is_a_key_a_slip_or_none() -> None:
    rows, keys = fidelity_rows(), all_keys()
    assert sorted(rows) == list(range(1, 37))
    for number, text in rows.items():
        kind = re.match(r"\*\*(key|slip|silent|same)\*\*", text)
        assert kind, f"row {number}: {text}"
        named = [name for name in re.findall(r"`([a-z_.0-9]+)`", text) if name in keys]
        assert named or kind[1] != "key", f"row {number} names no key"
        if kind[1] == "slip":
            assert len(text) > 30, f"row {number} gives no reason"
    for name, description in keys.items():
        for number in re.findall(r"Fidelity (\d+)", description):
            assert f"`{name}`" in rows[int(number)], f"row {number} does not name {name}"


def test_the_released_protocol_sets_what_differs() -> None:
    """Each key of `released.yaml` is named by a row and differs from the paper's default."""
    released = yaml.safe_load((CONFIG / "released.yaml").read_text(encoding="utf-8"))
    defaults, rows = load_config(merged()), fidelity_rows()
    for block, values in released.items():
        if block == "run":
            continue
        for name, value in values.items():
            assert getattr(getattr(defaults, block), name) != value, name
            assert any(f"`{block}.{name}`" in row for row in rows.values()), name
