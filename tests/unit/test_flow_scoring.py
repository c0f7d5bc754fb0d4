"""A flow behind the method's contract: from a sample's features to its scores."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from memory_samples import random_samples

from multiflow.base.errors import InputError
from multiflow.foreground.settings import Foreground
from multiflow.methods.contract import Model
from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.methods.multiflow.checkpoint import from_model
from multiflow.methods.multiflow.network import anomaly_map
from multiflow.methods.multiflow.settings import Settings
from multiflow.methods.score import background_scored
from multiflow.methods.work import Work

METHOD, CPU = MultiFlowMethod(), torch.device("cpu")
SETTINGS = Settings.model_validate(
    {
        "scaling": "standardize",
        "network": {"blocks": 2, "hidden": 4, "kernels": [3, 3]},
        "training": {"epochs": 3, "batch_size": 2, "learning_rate": 1e-2},
    }
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    work = Work(CPU, 1, tmp_path_factory.mktemp("work") / "checkpoint.pt", "fingerprint")
    return METHOD.train(random_samples(), SETTINGS, 0, work)


def test_a_background_of_zero_is_the_masked_anomaly_map_bit_for_bit(model: Model) -> None:
    # Likely features and large scales, so that many scores are negative.
    gammas = {name: torch.ones_like(tensor) for name, tensor in model.tensors.items() if name.endswith("gamma")}
    model = Model({**model.tensors, **gammas}, model.metadata)
    scorer = METHOD.scorer(model, SETTINGS, CPU)
    flow, scaling = from_model(model, "flow")
    samples = random_samples(4, seed=1)
    samples.values[:] *= 0.1
    negative = 0
    for sample in samples:
        inputs = scaling(torch.from_numpy(sample.values))[None]
        with torch.inference_mode():
            latents = flow(inputs, flow.condition_of_test_time(inputs))
            expected = anomaly_map(*latents, torch.from_numpy(sample.mask)[None])[0].numpy()
        found = background_scored(scorer(sample), Foreground(method="threshold"))
        assert found.foreground is None
        assert found.map.dtype == np.float32
        assert found.map.tobytes() == expected.tobytes()
        assert not np.signbit(found.map[~sample.mask]).any()
        negative += int((found.map < 0).sum())
    assert negative > 0


def test_an_ignored_background_keeps_its_mask(model: Model) -> None:
    sample = random_samples(4, seed=1)[2]
    scores = METHOD.scorer(model, SETTINGS, CPU)(sample)
    found = background_scored(scores, Foreground(method="threshold", background="ignored"))
    assert found.foreground is not None
    assert np.array_equal(found.foreground, sample.mask)
    assert (found.map[~sample.mask] != 0).all()


def test_a_score_does_not_depend_on_the_samples_before(model: Model) -> None:
    samples, scorer = random_samples(4, seed=1), METHOD.scorer(model, SETTINGS, CPU)
    in_order = [scorer(sample).map for sample in samples]
    assert np.array_equal(scorer(samples[1]).map, in_order[1])
    assert not np.array_equal(in_order[0], in_order[1])


def test_an_anomalous_pixel_scores_higher(model: Model) -> None:
    samples, scorer = random_samples(1, seed=1), METHOD.scorer(model, SETTINGS, CPU)
    normal = scorer(samples[0]).map.copy()
    samples.values[0, 0, :, 3, 3] += 5
    assert scorer(samples[0]).map[0, 3, 3] > normal[0, 3, 3] + 1


@pytest.mark.parametrize(("views", "channels"), [(2, 6), (3, 5)])
def test_features_of_another_shape_are_named(model: Model, views: int, channels: int) -> None:
    sample = random_samples(1, views, channels)[0]
    with pytest.raises(InputError, match=rf"part_0: features b5: expected 3 views with 6 channels .* {views} views"):
        METHOD.scorer(model, SETTINGS, CPU)(sample)


def test_the_method_reads_features_and_foreground() -> None:
    needs = METHOD.needs(Settings(features="mine"))
    assert (needs.features, needs.images, needs.foreground) == (("mine",), None, True)


def test_what_computes_is_not_imported_with_the_method() -> None:
    program = "import sys, multiflow.methods.multiflow; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_compiler_is_not_imported_with_what_scores() -> None:
    """It takes more than a second, in each of a run's thousands of jobs."""
    program = "import sys, multiflow.methods.multiflow.scoring; print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
