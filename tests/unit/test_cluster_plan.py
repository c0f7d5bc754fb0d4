"""The plan of a run: every number follows from the configuration, and the documentation shows the paper's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from multiflow.cluster.plan import (
    _measure_backbone,
    count_images,
    flow_parameters,
    flow_tflop,
    load_costs,
    plan,
    render_plan,
    written_bytes,
)
from multiflow.config import Config, Features, Flow, load_config, read_overlays, resolve_experiment
from multiflow.errors import InputError
from multiflow.training import build_flow

ROOT = Path(__file__).parents[2]


def paper(**changes: Any) -> Config:
    return load_config(yaml.safe_load((ROOT / "config/config.yaml").read_text()) | changes)


def test_the_papers_grid() -> None:
    jobs = plan(paper())
    counts = {rule: sum(job.rule == rule for job in jobs) for rule in {job.rule for job in jobs}}
    assert counts == {
        "flip_views": 30, "extract_features": 30, "segment_foreground": 30, "train_flow": 1500, "evaluate_flow": 1500
    }  # fmt: skip
    features = sum(job.bytes for job in jobs if job.rule == "extract_features")
    assert features == pytest.approx(151_050 * 304 * 24 * 24 * 4)
    fewer = plan(paper(seeds=[0, 1]))
    assert sum(job.rule == "train_flow" for job in fewer) == 600


def test_the_documentation_shows_the_plan_of_the_paper() -> None:
    text = (ROOT / "docs/slurm.md").read_text()
    shown = text.partition("<!-- plan: written by `make plan` -->\n\n")[2].partition("\n<!-- end of plan -->")[0]
    assert shown == render_plan(paper()), "docs/slurm.md: replace its plan with what `make plan` prints"


@pytest.mark.parametrize("experiment", sorted(paper().experiments))
def test_parameters_are_those_of_the_flow(experiment: str) -> None:
    settings = resolve_experiment(paper(), experiment).flow
    with torch.device("meta"):
        flow = build_flow(settings, 304, 5)
    assert flow_parameters(settings, 304, 5) == sum(parameter.numel() for parameter in flow.parameters())


@pytest.mark.parametrize(
    "settings",
    [{}, {"fusion": "self_attention"}, {"noise_shape": "features", "gamma": False}, {"connections": "top"}],
)
def test_operations_are_those_that_torch_counts(settings: dict[str, Any]) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    flow = Flow(**settings, blocks=2, kernels=[3, 5], hidden=16)
    model = build_flow(flow, 32, 5)
    features = torch.zeros(1, 5, 32, 12, 12)
    # The fused attention of a CPU is not counted.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(features, model.condition_of_test_time(features))
    assert flow_parameters(flow, 32, 5) == sum(parameter.numel() for parameter in model.parameters())
    assert flow_tflop(flow, 32, 5, 12) * 1e12 == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize(
    ("backbone", "expected"), [("tf_efficientnet_b5.aa_in1k", 45.0), ("tf_efficientnet_lite0.in1k", 7.8)]
)
def test_the_known_backbones_are_as_timm_builds_them(backbone: str, expected: float) -> None:
    channels, stride, gflop = _measure_backbone(Features(backbone=backbone))
    assert (channels, stride) == ({"tf_efficientnet_b5.aa_in1k": 304}.get(backbone, 192), 32)
    assert gflop == pytest.approx(expected, rel=0.02)


def test_the_records_of_a_data_set_that_is_there_are_counted(tmp_path: Path) -> None:
    (tmp_path / "realiad_jsons").mkdir()
    records = {"train": [{}] * 1245, "test": [{}] * 3755}
    (tmp_path / "realiad_jsons/pcb.json").write_text(json.dumps(records))
    dataset = {"root": str(tmp_path), "classes": ["pcb", "mint"]}
    images, source = count_images(paper(dataset=dataset))
    assert (images["pcb"].train, images["pcb"].test, images["pcb"].count) == (249, 751, 5000)
    assert images["mint"].count == pytest.approx(151_050 / 30)
    assert source.startswith("Real-IAD's averages for 1 of 2 classes")


def test_times_of_an_earlier_run_are_taken(tmp_path: Path) -> None:
    for seed, seconds in ((0, 90), (1, 110)):
        path = tmp_path / f"train_flow/multiflow/pcb/seed{seed}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:01:30\t4000\n")
    jobs = plan(paper(), measured=tmp_path)
    assert {job.seconds for job in jobs if job.rule == "train_flow"} == {100}
    assert "train_flow as measured in" in render_plan(paper(), measured=tmp_path)


def test_seeds_that_are_submitted_together_start_less_often() -> None:
    (line,) = [line for line in render_plan(paper()).splitlines() if line.startswith("- Submitted")]
    assert "each job alone: 3,090 submissions" in line
    assert "together (`group_seeds`): 390 submissions" in line  # 30 classes x 3 stations before, 30 x 10 experiments


def test_what_is_not_kept_needs_no_room() -> None:
    config = paper()
    flows = written_bytes(config, {"train_flow": 1500, "plot_views": 1})
    assert flows == pytest.approx(336.3e9, rel=0.001)
    assert written_bytes(config, {"train_flow": 1500, "extract_features": 30}) == pytest.approx(
        flows + 105.8e9, rel=0.01
    )
    dropping = paper(keep={"features": False})
    assert written_bytes(dropping, {"train_flow": 1500, "extract_features": 30}) == pytest.approx(flows)
    dropping = paper(keep={"features": False, "flows": False})
    assert written_bytes(dropping, {"train_flow": 1500, "extract_features": 30}) == 0
    shown = render_plan(dropping)
    assert "| all | 3,090 | 214 | 183.2 | 184.3 | 13.5 |" in shown
    assert "(`keep`): `extract_features` 105.8 GB, `train_flow` 336.3 GB, of which a part is there at a time." in shown
    assert "`keep`" not in render_plan(config)


def test_every_cost_says_what_it_is() -> None:
    for name, cost in load_costs().items():
        assert cost.kind in ("measured", "assumed"), name
        assert cost.value > 0
        assert cost.source, name


def test_overlays_are_laid_over_key_by_key(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("run: other\ntraining: {epochs: 3}\nexperiments: {self_attention: null}\n")
    config = load_config(read_overlays([ROOT / "config/config.yaml", overlay]))
    assert (config.run, config.training.epochs, config.training.batch_size) == ("other", 3, 8)
    assert "self_attention" not in config.experiments
    overlay.write_text("- a list\n")
    with pytest.raises(InputError, match="expected keys and values, found list"):
        read_overlays([overlay])
    with pytest.raises(InputError, match=r"nothing.yaml: expected a configuration in YAML, cannot read it"):
        read_overlays([tmp_path / "nothing.yaml"])
