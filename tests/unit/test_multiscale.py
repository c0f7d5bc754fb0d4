"""Multi-Scale Multi-Flow: what its projection, calibration and maps are made of, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.base.settings import deciding
from multiflow.config import Config, load_config, read_overlays
from multiflow.features.cost import feature_cost
from multiflow.foreground.settings import Foreground
from multiflow.methods.contract import FeatureShape, Images, Model, Scores
from multiflow.methods.model import write_model
from multiflow.methods.multiflow.cost import flow_cost
from multiflow.methods.multiflow.settings import Settings as FlowSettings
from multiflow.methods.multiscale import MultiScaleMethod
from multiflow.methods.multiscale.calibration import Calibration
from multiflow.methods.multiscale.level import read_level
from multiflow.methods.multiscale.maps import on_grid
from multiflow.methods.multiscale.projection import fit_projection, project
from multiflow.methods.multiscale.settings import Settings
from multiflow.methods.score import background_scored
from multiflow.methods.work import Work
from multiflow.results.tables.context import table_context
from multiflow.scores import checked_scores
from rendered_parts.parts import PARTS

CONFIG = Path(__file__).parents[2] / "config"
METHOD, CPU = MultiScaleMethod(), torch.device("cpu")
SHAPES = {"fine": FeatureShape(6, 8, 8), "coarse": FeatureShape(8, 4, 4)}
SETTINGS: dict[str, Any] = {
    "levels": {"fine": {"channels": 4}, "coarse": {"channels": 5}},
    "network": {"blocks": 2, "hidden": 4, "kernels": [3, 3], "noise_std": 0.1},
    "training": {"epochs": 6, "batch_size": 2, "learning_rate": 1e-3, "checkpoint_every": 2},
    "map_size": 16,
}


@dataclass(frozen=True)
class ScaledSample:
    """A sample with features at two scales, whose foreground is a disc."""

    key: str
    by_name: Mapping[str, NDArray[np.float32]]

    def features(self, name: str) -> NDArray[np.float32]:
        return self.by_name[name]

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        views = len(next(iter(self.by_name.values())))
        rows, columns = (np.abs(np.arange(side) + 0.5 - side / 2) / side for side in grid)
        return np.broadcast_to(np.hypot(rows[:, None], columns[None]) < 0.4, (views, *grid)).copy()


@dataclass(frozen=True)
class ScaledSamples:
    """Random samples; the variances of the features' channels differ, and their background lies far away."""

    count: int = 6
    views: int = 3
    seed: int = 0
    class_name: str = "part"
    background: float = 50.0

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(f"C{view + 1}" for view in range(self.views))

    def feature_shape(self, name: str) -> FeatureShape:
        return SHAPES[name]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> ScaledSample:
        random = np.random.default_rng((self.seed, index))
        values = {}
        for name, shape in SHAPES.items():
            deviation = 2.0 ** np.arange(shape.channels)[:, None, None]
            values[name] = (
                3 + deviation * random.normal(size=(self.views, shape.channels, shape.height, shape.width))
            ).astype(np.float32)
        sample = ScaledSample(f"part_{index}", values)
        for name, shape in SHAPES.items():
            outside = ~sample.foreground((shape.height, shape.width))
            values[name].swapaxes(0, 1)[:, outside] += self.background
        return sample

    def __iter__(self) -> Iterator[ScaledSample]:
        return (self[index] for index in range(len(self)))


def settings(**changes: Any) -> Settings:
    return Settings.model_validate(SETTINGS | changes)


def train(folder: Path, samples: Any = None, seed: int = 0, **changes: Any) -> tuple[Model, Work]:
    folder.mkdir(exist_ok=True)
    work = Work(CPU, 1, folder / "checkpoint.pt", "fingerprint")
    return METHOD.train(samples or ScaledSamples(), settings(**changes), seed, work), work


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train(tmp_path_factory.mktemp("model"))[0]


def score(model: Model, sample: ScaledSample, **changes: Any) -> Scores:
    return METHOD.scorer(model, settings(**changes), CPU)(sample)


def test_a_projection_whitens_the_directions_in_which_the_foreground_varies_least() -> None:
    samples = ScaledSamples(count=20)
    components, scaling = fit_projection(samples, "fine", 3)
    assert torch.allclose(components @ components.T, torch.eye(3), atol=1e-5)
    # Channel c varies with 2 ** c: the last of the components is channel 0.
    assert torch.equal(components.abs().argmax(dim=1), torch.tensor([2, 1, 0]))
    assert scaling.std.tolist() == pytest.approx([4, 2, 1], rel=0.1)
    inside = [torch.from_numpy(sample.foreground((8, 8))) for sample in samples]
    seen = [
        project(torch.from_numpy(sample.features("fine")), components, scaling).movedim(1, -1)[mask]
        for sample, mask in zip(samples, inside, strict=True)
    ]
    values = torch.cat(seen).double()
    assert values.mean(dim=0).abs().max() < 1e-4
    assert torch.allclose(torch.cov(values.T, correction=0), torch.eye(3, dtype=torch.float64), atol=1e-4)


def test_a_projection_knows_no_background() -> None:
    near, far = (fit_projection(ScaledSamples(background=value), "fine", 3) for value in (0.0, 1e4))
    assert torch.equal(near[0], far[0])
    assert torch.equal(near[1].std, far[1].std)


def test_more_channels_than_directions_are_one_line() -> None:
    class Repeated(ScaledSamples):
        def __getitem__(self, index: int) -> ScaledSample:
            sample = super().__getitem__(index)
            sample.by_name["fine"][:, 4:] = sample.by_name["fine"][:, :2]
            return sample

    components, _ = fit_projection(Repeated(), "fine", None)
    assert components.shape == (4, 6)
    with pytest.raises(InputError, match=r"part: features fine: expected at least 5 directions .* found 4; lower"):
        fit_projection(Repeated(), "fine", 5)


def test_a_calibrated_map_of_the_training_set_is_standard_in_every_view() -> None:
    random = torch.Generator().manual_seed(0)
    maps = torch.randn(9, 3, 4, 4, generator=random) * torch.tensor([1.0, 2, 3])[:, None, None] + 7
    foreground = torch.rand(9, 3, 4, 4, generator=random) < 0.5
    calibration = Calibration.fit(torch.where(foreground, maps, 1e6), foreground)
    found = torch.stack([calibration(one) for one in maps])
    for view in range(3):
        inside = found[:, view][foreground[:, view]]
        assert float(inside.mean()) == pytest.approx(0, abs=1e-5)
        assert float(inside.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_the_calibration_is_that_of_the_training_samples(model: Model) -> None:
    samples, level = ScaledSamples(), read_level(model, "fine")
    maps = torch.stack([level.raw_map(sample, CPU) for sample in samples])
    inside = torch.from_numpy(np.stack([sample.foreground((8, 8)) for sample in samples]))
    expected = Calibration.fit(maps, inside)
    assert torch.equal(level.calibration.mean, expected.mean)
    assert torch.equal(level.calibration.std, expected.std)


def test_a_finer_map_takes_nothing_from_the_background() -> None:
    maps = torch.full((1, 4, 4), 2.0)
    foreground = np.zeros((1, 4, 4), bool)
    foreground[0, 1:3, 1:3] = True
    clean = on_grid(maps, foreground, 16)
    spoiled = on_grid(torch.where(torch.from_numpy(foreground), maps, 1e6), foreground, 16)
    assert torch.allclose(clean, spoiled)
    assert float(clean[0, 8, 8]) == pytest.approx(2)
    assert float(clean[0, 0, 0]) == 0


def test_the_mask_is_that_of_the_maps_own_grid_and_the_background_has_no_part(model: Model) -> None:
    sample = ScaledSamples(seed=1)[0]
    scores = score(model, sample)
    assert scores.map.shape == (3, 16, 16)
    assert scores.foreground is not None
    assert np.array_equal(scores.foreground, sample.foreground((16, 16)))
    shown = background_scored(scores, Foreground(method="threshold", background="ignored"))
    assert shown.foreground is not None
    stored = checked_scores(replace(shown, map=np.where(shown.foreground, shown.map, 1e6)), 3, None, "here")
    assert stored.image_score is not None
    assert np.array_equal(stored.image_score, np.where(scores.foreground, scores.map, -np.inf).max(axis=(1, 2)))
    assert not background_scored(scores, Foreground(method="threshold")).map[~scores.foreground].any()


def test_each_level_serves_what_its_settings_say(model: Model) -> None:
    sample = ScaledSamples(seed=1)[0]

    def served(detection: bool, localization: bool) -> Scores:
        levels = {"fine": {"channels": 4}, "coarse": {"channels": 5}}
        levels["coarse"] |= {"detection": detection, "localization": localization}
        return score(model, sample, levels=levels)

    whole, neither, finding, locating = (
        served(True, True),
        served(False, False),
        served(True, False),
        served(False, True),
    )
    assert whole.image_score is None
    assert np.array_equal(locating.map, whole.map)
    assert np.array_equal(finding.map, neither.map)
    assert not np.array_equal(whole.map, neither.map)
    for mixed, same in ((finding, whole), (locating, neither)):
        assert mixed.image_score is not None
        assert same.foreground is not None
        assert np.array_equal(mixed.image_score, np.where(same.foreground, same.map, -np.inf).max(axis=(1, 2)))


def test_without_calibration_the_maps_are_added_as_they_are(model: Model) -> None:
    sample = ScaledSamples(seed=1)[0]
    levels = [read_level(model, name) for name in SHAPES]
    maps = [
        on_grid(level.raw_map(sample, CPU), sample.foreground((shape.height, shape.width)), 16)
        for level, shape in zip(levels, SHAPES.values(), strict=True)
    ]
    expected = torch.stack(maps).mean(dim=0).numpy()
    assert np.array_equal(score(model, sample, calibration="none").map, expected)
    assert not np.allclose(score(model, sample).map, expected)


def test_an_anomalous_pixel_scores_higher(model: Model) -> None:
    sample = ScaledSamples(seed=1)[0]
    before = score(model, sample).map[0, 8, 8]
    sample.by_name["fine"][0, 0, 4, 4] += 20
    assert score(model, sample).map[0, 8, 8] > before + 1


def test_an_interrupted_training_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, whole = train(tmp_path / "whole")

    class KilledError(Exception):
        pass

    def stop(work: Work, **values: float) -> None:
        if values["epoch"] == 5:
            raise KilledError
        record(work, **values)

    record = Work.record
    monkeypatch.setattr(Work, "record", stop)
    with pytest.raises(KilledError):
        train(tmp_path / "killed")
    monkeypatch.setattr(Work, "record", record)
    found, resumed = train(tmp_path / "killed")
    for name, one in (("expected", expected), ("found", found)):
        write_model(tmp_path / name, one)
    assert (tmp_path / "expected").read_bytes() == (tmp_path / "found").read_bytes()
    without_time = [[{**line, "seconds": 0} for line in work.history] for work in (whole, resumed)]
    assert without_time[0] == without_time[1]
    assert whole.history[0].keys() == {"epoch", "loss", "loss_fine", "loss_coarse", "seconds"}


def test_a_level_is_the_same_whatever_other_levels_there_are(model: Model, tmp_path: Path) -> None:
    alone, _ = train(tmp_path, levels={"coarse": {"channels": 5}})
    assert alone.tensors.keys() == {name for name in model.tensors if name.startswith("coarse.")}
    assert all(torch.equal(tensor, model.tensors[name]) for name, tensor in alone.tensors.items())


def test_a_model_without_the_level_is_one_line(tmp_path: Path) -> None:
    alone, _ = train(tmp_path, levels={"coarse": {"channels": 5}})
    with pytest.raises(InputError, match="level fine: expected a level that was trained, found none: no components"):
        METHOD.scorer(alone, settings(), CPU)


def test_features_of_another_shape_are_named(model: Model) -> None:
    with pytest.raises(InputError, match=r"part_0: features fine: expected 3 views with 6 channels .* found 2 views"):
        score(model, ScaledSamples(views=2)[0])


def test_settings_that_serve_nothing_are_refused() -> None:
    nothing = {name: {"detection": False} for name in SHAPES}
    with pytest.raises(ValueError, match="none serves detection; set detection: true for one of fine, coarse"):
        settings(levels=nothing)


def test_what_a_level_serves_decides_no_training() -> None:
    changed = settings(
        levels={"fine": {"channels": 4, "detection": False}, "coarse": {"channels": 5}}, calibration="none", map_size=32
    )
    assert deciding(changed, "training") == deciding(settings(), "training")
    assert deciding(changed) != deciding(settings())
    fewer = settings(levels={"fine": {"channels": 3}, "coarse": {"channels": 5}})
    assert deciding(fewer, "training") != deciding(settings(), "training")


OVERLAYS = {"trial": ("demo.yaml", "trial.yaml"), "Real-IAD": ("multiscale.yaml",)}


@pytest.fixture(params=OVERLAYS)
def config(request: pytest.FixtureRequest) -> Config:
    paths = [CONFIG / name for name in ("config.yaml", *OVERLAYS[request.param])]
    return load_config(read_overlays(paths))


def test_a_step_costs_at_most_half_more_than_multi_flows(config: Config) -> None:
    experiments = {name: config.experiment(name) for name in ("multiflow", "multiscale")}
    shapes = {
        features: feature_cost(config.features[features])[0]
        for experiment in experiments.values()
        for features in experiment.needs.features
    }
    images = Images(train=24, test=26, views=5, features=shapes)
    own, flow = experiments["multiscale"].settings, experiments["multiflow"].settings
    assert isinstance(own, Settings)
    assert isinstance(flow, FlowSettings)
    assert own.training == flow.training
    assert METHOD.cost(own, images).training_tflop <= 1.5 * flow_cost(flow, images).training_tflop


def test_the_cost_is_that_of_the_model(model: Model) -> None:
    images = Images(train=6, test=3, views=3, features=SHAPES)
    cost = METHOD.cost(settings(), images)
    counted = [
        tensor.numel()
        for name, tensor in model.tensors.items()
        if name.endswith("components") or (".flow." in name and "permutations" not in name)
    ]
    assert cost.model_bytes == pytest.approx(
        4 * sum(counted), rel=0.02
    )  # flows of odd channels have halves that differ
    assert cost.map_bytes == 4 * 3 * 16**2
    twice = settings(training=SETTINGS["training"] | {"epochs": 12})
    assert METHOD.cost(twice, images).training_tflop == 2 * cost.training_tflop


def test_every_row_of_the_ablation_is_an_experiment_and_no_other_row(config: Config) -> None:
    context = table_context(config)
    ((name, ablation),) = METHOD.ablations.items()
    assert set(ablation.rows) <= set(config.experiments)
    assert context.contradictions(name) == {}
    for experiment in ablation.rows:
        fits = [row for row, one in ablation.rows.items() if context.experiments[experiment].contradiction(one) is None]
        assert fits == [experiment]


def test_only_the_messages_need_a_training_of_their_own(config: Config) -> None:
    class_name, seed = config.dataset.classes[0], config.seeds[0]
    owners = {name: config.trained_as(name, class_name, seed) for name in METHOD.ablations["multiscale_parts"].rows}
    assert {name for name, owner in owners.items() if owner == name} == {"multiscale", "multiscale_no_messages"}
    assert set(owners.values()) == {"multiscale", "multiscale_no_messages"}


def test_the_trial_is_on_data_that_nothing_was_chosen_on() -> None:
    paths = [CONFIG / name for name in ("config.yaml", *OVERLAYS["trial"])]
    config = load_config(read_overlays(paths))
    assert config.rendering is not None
    assert config.rendering.seed == 0
    assert {name.split("-")[1] for name in config.dataset.classes} == {"1", "2"}
    assert {name.split("-")[0] for name in config.dataset.classes} == set(PARTS)


def test_the_settings_in_words() -> None:
    words = METHOD.describe(settings(levels={"fine": {"channels": 4, "detection": False}, "coarse": {}}), 3)
    assert words["levels"] == "levels: fine (4 components), coarse"
    assert (
        words["maps"] == "maps standardized, on a grid of 16 × 16, detection by coarse, localization by fine and coarse"
    )
    assert words["training"] == "6 epochs"
