"""The plan of a run: every number follows from the configuration, and the documentation shows the paper's."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from multiflow.base.errors import InputError
from multiflow.cluster.costs import load_costs
from multiflow.cluster.plan import count_images, plan, render_plan, written_bytes
from multiflow.config import Config, load_config, read_overlays
from multiflow.features.cost import _measure_backbone

ROOT = Path(__file__).parents[2]
OWN_METHOD = """
from multiflow.base.settings import Block
from multiflow.methods.contract import Needs

class Method:
    heading, reference, Settings = "Mine", "None", Block
    def needs(self, settings):
        return Needs({needs})
    def train(self, samples, settings, seed, work): ...
    def scorer(self, model, settings, device): ...
"""


def paper(**changes: Any) -> Config:
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    values["experiments"] |= changes.pop("experiments", {})
    return load_config(values | changes)


def own_method(folder: Path, needs: str = "") -> str:
    """A method that doesn't say what it costs, in a file of somebody's own."""
    path = folder / f"own_{abs(hash(needs))}.py"
    path.write_text(OWN_METHOD.format(needs=needs))
    return f"{path}:Method"


def counts(config: Config, **options: Any) -> dict[str, int]:
    jobs = plan(config, **options)
    return {rule: sum(job.rule == rule for job in jobs) for rule in dict.fromkeys(job.rule for job in jobs)}


@pytest.mark.parametrize("content", ['{"meta": {"pre', "", "[]", '{"train": 1}'])
def test_annotations_that_are_damaged_stop_no_plan(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "realiad_jsons"
    folder.mkdir()
    (folder / "audiojack.json").write_text(content)
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())["dataset"]
    config = paper(dataset=values | {"root": str(tmp_path), "classes": ["audiojack"], "published": None})
    assert count_images(config)[1].startswith("typical numbers for 1 of 1 classes")


def write_times(folder: Path, place: str, *seconds: float) -> None:
    """Benchmark files as Snakemake writes them, one a seed."""
    for seed, value in enumerate(seconds):
        path = folder / place / f"pcb/seed{seed}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{value}\t0:01:30\t4000\n")


def test_the_papers_grid() -> None:
    # background_ignored scores with the models of the first experiment.
    assert counts(paper()) == {
        "flip_views": 30, "extract_features": 30, "segment_foreground": 30, "train_model": 1500, "score_samples": 1650,
        "count_metrics": 1650,
    }  # fmt: skip
    features = sum(job.bytes or 0 for job in plan(paper()) if job.rule == "extract_features")
    assert features == pytest.approx(151_050 * 304 * 24 * 24 * 4)
    assert counts(paper(seeds=[0, 1]))["train_model"] == 600


def test_the_documentation_shows_the_plan_of_the_paper() -> None:
    text = (ROOT / "docs/slurm.md").read_text()
    shown = text.partition("<!-- plan: written by `make plan` -->\n\n")[2].partition("\n<!-- end of plan -->")[0]
    assert shown == render_plan(paper()), "docs/slurm.md: replace its plan with what `make plan` prints"


def test_only_metrics_and_the_threshold_need_no_gpu() -> None:
    jobs = plan(paper(experiments={"plain": {"foreground": {"method": "threshold"}}}))
    with_gpu = {(job.rule, job.variant) for job in jobs if job.gpu}
    assert {rule for rule, _ in with_gpu} == {"extract_features", "segment_foreground", "train_model", "score_samples"}
    assert ("segment_foreground", "threshold") not in with_gpu
    assert {job.threads for job in jobs if job.rule == "count_metrics"} == {1}
    assert not any(job.gpu for job in plan(paper(compute={"device": "cpu"})))


def test_the_runs_of_one_table() -> None:
    runs = [(name, "pcb", seed) for name in ("no_cross_view", "background_ignored") for seed in (0, 1)]
    assert counts(paper(), runs=runs) == {
        "flip_views": 1, "extract_features": 1, "segment_foreground": 1, "train_model": 4, "score_samples": 4,
        "count_metrics": 4,
    }  # fmt: skip
    trained = {job.variant for job in plan(paper(), runs=runs) if job.rule == "train_model"}
    assert trained == {"no_cross_view", "multiflow"}
    assert "extract_features" in counts(paper(), runs=[("with_background", "pcb", 0)])
    assert "segment_foreground" not in counts(paper(), runs=[("with_background", "pcb", 0)])


def test_what_no_method_reads_is_not_planned(tmp_path: Path) -> None:
    unused = {"unused": {"backbone": "tf_efficientnet_lite0.in1k"}}
    features = paper().model_dump(mode="json")["features"] | unused
    assert counts(paper(features=features))["extract_features"] == 30
    own = {"method": own_method(tmp_path, "features=('unused',)"), "classes": ["pcb", "mint"]}
    jobs = plan(paper(features=features, experiments={"own": own}))
    extracted = {(job.variant, job.class_name) for job in jobs if job.rule == "extract_features"}
    assert {name for variant, name in extracted if variant == "unused"} == {"pcb", "mint"}
    (lite,) = {job.bytes for job in jobs if job.rule == "extract_features" and job.variant == "unused"}
    assert lite == pytest.approx(151_050 / 30 * 192 * 24 * 24 * 4)


def test_a_method_without_a_cost_is_counted_and_named(tmp_path: Path) -> None:
    method = own_method(tmp_path, "images=256")
    config = paper(experiments={"own": {"method": method}})
    assert counts(config)["train_model"] == 1650
    # What decodes pictures takes processes for it.
    assert {job.threads for job in plan(config) if job.variant == "own" and job.rule == "train_model"} == {3}
    (note,) = [line for line in render_plan(config).splitlines() if line.startswith("- Not in the sums")]
    assert note == (
        "- Not in the sums: the time of 150 `train_model` and 150 `score_samples`, and what the jobs of own write; its "
        f"method, {method}, has no `cost`. Once jobs of it have run, their times are taken."
    )
    assert "Not in the sums" not in render_plan(paper())
    alone = render_plan(config, runs=[("own", "pcb", 0)])
    assert "| `train_model` | 1 | ? | 0.0 | 0.0 | 0.0 |" in alone


def test_the_baselines_that_are_not_counted_are_named() -> None:
    config = load_config(read_overlays([ROOT / "config" / name for name in ("config.yaml", "baselines.yaml")]))
    notes = [line for line in render_plan(config).splitlines() if "Not in the sums" in line]
    named = [re.search(r"what the jobs of (\w+) write; its method, (\w+),", note) for note in notes]
    library = [(name, "anomalib") for name in ("padim", "patchcore", "rd")]
    assert [match.groups() for match in named if match] == [*library, ("softpatch", "softpatch")]


def test_a_method_without_a_cost_takes_the_times_of_its_own_jobs(tmp_path: Path) -> None:
    config = paper(experiments={"own": {"method": own_method(tmp_path, "images=256")}})
    measured = tmp_path / "benchmarks"
    write_times(measured, "train_model/multiflow", 7)
    write_times(measured, "train_model/own", 90, 110)
    jobs = plan(config, measured=measured)
    assert {job.seconds for job in jobs if (job.rule, job.variant) == ("train_model", "own")} == {100}
    assert {job.seconds for job in jobs if (job.rule, job.variant) == ("score_samples", "own")} == {None}
    write_times(measured, "score_samples/own", 3)
    (note,) = [line for line in render_plan(config, measured=measured).splitlines() if "Not in the sums" in line]
    assert note.startswith("- Not in the sums: what the jobs of own write; its method, ")
    assert note.endswith(", has no `cost`.")


@pytest.mark.parametrize(
    ("backbone", "expected"), [("tf_efficientnet_b5.aa_in1k", 45.0), ("tf_efficientnet_lite0.in1k", 7.8)]
)
def test_the_known_backbones_are_as_timm_builds_them(backbone: str, expected: float) -> None:
    channels, stride, gflop = _measure_backbone(backbone, "blocks.5")
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
    assert source == f"typical numbers for 1 of 2 classes, which are not in {tmp_path}"


def test_times_of_an_earlier_run_are_taken_by_experiment(tmp_path: Path) -> None:
    write_times(tmp_path, "train_model/multiflow", 90, 110)
    (tmp_path / "flip_views").mkdir()
    (tmp_path / "flip_views/pcb.tsv").write_text("s\th:m:s\n12\t0:00:12\n")
    jobs, computed = plan(paper(), measured=tmp_path), plan(paper())
    assert {job.seconds for job in jobs if job.variant == "multiflow" and job.rule == "train_model"} == {100}
    assert {job.seconds for job in jobs if job.rule == "flip_views"} == {12}
    others = [[job for job in found if job.variant == "noise_none"] for found in (jobs, computed)]
    assert others[0] == others[1] != []
    assert f"Times: flip_views, train_model (multiflow) as measured in {tmp_path}; the others from" in render_plan(
        paper(), measured=tmp_path
    )


def test_seeds_that_are_submitted_together_start_less_often() -> None:
    (line,) = [line for line in render_plan(paper()).splitlines() if line.startswith("- Submitted")]
    assert "each job alone: 4,890 submissions" in line
    # 30 classes: 3 stations before, a submission of each of 11 experiments, and one that counts its metrics.
    assert "together (`group_seeds`): 750 submissions" in line


def test_seeds_of_one_job_start_once_and_are_otherwise_the_same_work() -> None:
    alone, together = plan(paper()), plan(paper(seeds_together=[0, 1, 2]))
    assert counts(paper(seeds_together=[0, 1, 2]))["train_seeds"] == 300
    jobs = [job for job in together if job.rule in ("train_model", "train_seeds")]
    assert Counter(job.rule for job in jobs) == {"train_seeds": 300, "train_model": 600}
    single = [job for job in alone if job.rule == "train_model"]
    for value in ("seconds", "stored", "floor", "seeds"):
        assert sum(getattr(job, value) for job in jobs) == pytest.approx(sum(getattr(job, value) for job in single))
    hours = [float(re.search(r"submissions, ([\d.]+) GPU-hours", render_plan(config))[1])  # type: ignore[index]
             for config in (paper(), paper(seeds_together=[0, 1, 2, 3, 4]))]  # fmt: skip
    # 1,200 starts less: of a process 2.7 s, of CUDA 3 s, of a submission 2.1 s.
    assert hours[0] - hours[1] == pytest.approx(1200 * 7.8 / 3600, abs=0.1)
    # What one table shows brings the job of all its seeds.
    one = plan(paper(seeds_together=[0, 1]), runs=[("multiflow", "pcb", 1)])
    assert [job.seeds for job in one if job.rule == "train_seeds"] == [2]
    overlays = read_overlays([ROOT / "config" / name for name in ("config.yaml", "clscnf.yaml")])
    texts = [render_plan(load_config(overlays | {"seeds_together": seeds})) for seeds in ([], [0, 1])]
    for note in ("keeps a checkpoint", "trainings of clscnf would take"):
        lines = [line for line in "".join(texts).splitlines() if note in line]
        assert len(lines) == 2, note
        assert len(set(lines)) == 1, lines


def test_times_of_trainings_are_taken_whether_seeds_share_a_job_or_not(tmp_path: Path) -> None:
    folder = tmp_path / "models/multiflow/pcb"
    folder.mkdir(parents=True)
    lines = ('{"usage": {"seconds": 40}}', '{"usage": {"seconds": 60}}', '{"imported": "x"}', "", "{")
    for seed, line in enumerate(lines):
        (folder / f"seed{seed}.jsonl").write_text('{"epoch": 1, "seconds": 3}\n' + line)
    # Both trainings were used again in later jobs, which took no time.
    measured = tmp_path / "benchmarks"
    write_times(measured, "train_model/multiflow", 2)
    write_times(measured, "train_seeds/multiflow", 3)
    for seeds, rule, count in (([], "train_model", 1), ([0, 1, 2], "train_seeds", 3), ([1, 4], "train_seeds", 2)):
        config = paper(seeds_together=seeds)
        jobs = plan(config, measured=measured)
        (found,) = {job.seconds for job in jobs if (job.rule, job.variant) == (rule, "multiflow")}
        assert found == pytest.approx(count * 50)
        assert "train_model (multiflow) as measured in" in render_plan(config, measured=measured)


def test_what_is_not_kept_needs_no_room() -> None:
    config = paper()
    models = written_bytes(config, {"train_model": 1500, "plot_views": 1})
    assert models == pytest.approx(336.3e9, rel=0.001)
    assert written_bytes(config, {"train_model": 1500, "extract_features": 30}) == pytest.approx(
        models + 105.8e9, rel=0.01
    )
    dropping = paper(keep={"features": False})
    assert written_bytes(dropping, {"train_model": 1500, "extract_features": 30}) == pytest.approx(models)
    dropping = paper(keep={"features": False, "models": False, "scores": False})
    assert written_bytes(dropping, {"train_model": 1500, "extract_features": 30, "score_samples": 1650}) == 0
    (note,) = [line for line in render_plan(dropping).splitlines() if "`keep`" in line]
    assert note.endswith(
        ": `extract_features` 105.8 GB, `train_model` 336.3 GB, `score_samples` 14.5 GB, of which a part is there at a "
        "time."
    )
    assert "`keep`" not in render_plan(config)


def test_models_of_earlier_stages_are_stored_scored_and_counted() -> None:
    training = {"meta_epochs": 5, "sub_epochs": 1}
    own = {
        "cflow": {"method": "cflow", "training": training, "seeds": [0], "classes": ["pcb"]},
        "selected": {"base": "cflow", "seeds": [0], "classes": ["pcb"], "evaluation": {"select": "best_on_test"}},
    }
    config = paper(experiments=own)
    jobs = {(job.rule, job.variant): job for job in plan(config) if job.variant in own}
    for rule in ("train_model", "score_samples"):
        assert jobs[rule, "selected"].bytes == 5 * jobs[rule, "cflow"].bytes
    for rule, factor in (("train_model", 1), ("score_samples", 5), ("count_metrics", 5)):
        assert jobs[rule, "selected"].seconds == pytest.approx(factor * jobs[rule, "cflow"].seconds)
    model = jobs["train_model", "cflow"].bytes
    (note,) = [line for line in render_plan(config).splitlines() if "keeps a checkpoint" in line]
    assert note.endswith(f"and the models of earlier stages, up to {7 * model / 1e9:.2f} GB.")


def test_the_sums_are_those_of_the_stations() -> None:
    rows = [line.split("|")[1:-1] for line in render_plan(paper()).splitlines() if line.startswith("| ")][2:]
    numbers = [[float(cell.replace(",", "")) for cell in row[1:]] for row in rows]
    *stations, total = numbers
    assert len(stations) == 6
    for column in (0, 2, 3, 4, 5):
        assert math.isclose(total[column], sum(row[column] for row in stations), abs_tol=0.4)


def test_every_cost_says_what_it_is() -> None:
    for name, cost in load_costs().items():
        assert cost.kind in ("measured", "assumed", "stated"), name
        assert cost.value > 0
        assert cost.source, name


def test_overlays_are_laid_over_key_by_key(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "run: other\nmethods: {multiflow: {training: {epochs: 3}}}\nexperiments: {self_attention: null}\n"
    )
    values = read_overlays([ROOT / "config/config.yaml", overlay])
    training = values["methods"]["multiflow"]["training"]
    assert (values["run"], training["epochs"], training["batch_size"]) == ("other", 3, 8)
    assert "self_attention" not in load_config(values).experiments
    overlay.write_text("- a list\n")
    with pytest.raises(InputError, match="expected keys and values, found list"):
        read_overlays([overlay])
    with pytest.raises(InputError, match=r"nothing.yaml: expected a configuration in YAML, cannot read it"):
        read_overlays([tmp_path / "nothing.yaml"])


def test_rates_that_were_measured_on_a_gpu_replace_the_assumed_ones(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    assert load_costs(path) == load_costs(), "nothing was measured"
    rates = {"gpu_mvanet_tflops": 20.0, "cuda_start": 1.5}
    path.write_text(json.dumps({"device": "Some Card", "costs": rates}))
    costs = load_costs(path)
    seconds = {
        rule: sum(job.seconds or 0 for job in plan(paper(), costs) if job.rule == rule)
        / sum(job.seconds or 0 for job in plan(paper()) if job.rule == rule)
        for rule in ("segment_foreground", "train_model", "extract_features")
    }
    assert seconds == {"segment_foreground": 0.5, "train_model": 1, "extract_features": 1}
    text = render_plan(paper(), costs)
    assert "Measured on a GPU: cuda_start 1.5 (Some Card); gpu_mvanet_tflops 20 (Some Card)." in text
    assert "gpu_mvanet_tflops" not in text.partition("Assumed:")[2]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"costs": {"gpu_tflops": 1}, "device": "x"}', '{"costs": {"cuda_start": -1}}']
)
def test_a_damaged_file_of_rates_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "gpu.json").write_text(text)
    with pytest.raises(InputError, match=r"gpu\.json: expected the rates that `make bench-gpu` writes, found others"):
        load_costs(tmp_path / "gpu.json")


def test_the_fast_settings_take_less_than_60_gpu_hours_and_no_less_than_the_peak() -> None:
    jobs = {
        name: plan(load_config(read_overlays([ROOT / f"config/{file}.yaml" for file in files])))
        for name, files in (("paper", ["config"]), ("fast", ["config", "fast"]))
    }
    hours = {name: sum(job.seconds or 0 for job in found if job.gpu) / 3600 for name, found in jobs.items()}
    assert hours["fast"] < 60 < hours["paper"]
    for found in jobs.values():
        assert all(0 < job.floor < (job.seconds or 0) for job in found if job.gpu)
        assert not any(job.floor for job in found if not job.gpu)
    # The same work, at the peaks of float32 and bfloat16.
    masks = [[job.floor for job in found if job.rule == "segment_foreground"] for found in jobs.values()]
    assert masks[0] == pytest.approx([16 * floor for floor in masks[1]])
