"""The flow against numbers of the released code, in every architecture and with and without noise.

Each ``flow_<architecture>_noise<option>.npz`` holds parameters, inputs and results of the released code run in
float64. The folder can be replaced by the environment variable GOLDEN_DIR to check further files. Noise options are
0 (none), 1 (SimpleNet), 2 (SoftFlow) and 3 (uniform); the noise that was drawn is in the file.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.network import MultiFlow, add_noise, anomaly_map, loss
from multiflow.methods.multiflow.network.model import channel_permutations
from multiflow.methods.multiflow.released import RELEASED, export_released, import_released

OWN_FOLDER = Path(__file__).parent
FOLDER = Path(os.environ.get("GOLDEN_DIR", OWN_FOLDER))
FILES = {
    path.stem: arrays.files
    for path in sorted(FOLDER.glob("flow_*.npz"))
    if "meta_arch" in (arrays := np.load(path)).files
}
TRAINED = [name for name, keys in FILES.items() if "adamw/loss" in keys]
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}

ARCHITECTURES = {
    "cs_neigh": ("both", "conv2d"),
    "cs_neigh_random": ("both", "conv2d"),
    "cs_top": ("top", "conv2d"),
    "cs_neigh_only": ("neighbors", "conv2d"),
    "cs_seperated": ("none", "conv2d"),
    "cs_att_self": ("both", "self_attention"),
    "cs_att_cross": ("both", "cross_view_attention"),
}
PARAMETER_COUNTS = {
    ("cs_neigh", True): (64_135_548, 684),
    ("cs_neigh", False): (64_090_748, 684),
    ("cs_top", True): (42_315_644, 492),
    ("cs_top", False): (42_270_844, 492),
    ("cs_neigh_only", True): (42_315_644, 492),
    ("cs_neigh_only", False): (42_270_844, 492),
    ("cs_seperated", True): (20_495_740, 300),
    ("cs_seperated", False): (20_450_940, 300),
    ("cs_att_cross", True): (67_355_004, 1836),
    ("cs_att_cross", False): (67_310_204, 1836),
    ("cs_att_self", True): (67_355_004, 1836),
    ("cs_att_self", False): (67_310_204, 1836),
}


class Golden:
    """One golden file: its values as tensors, views in the second dimension."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        self.arrays = dict(np.load(FOLDER / f"{name}.npz"))
        self.dtype = dtype
        self.architecture = str(self.arrays["meta_arch"])
        names = str(self.arrays["meta_config_names"]).split()
        self.config = dict(zip(names, self.arrays["meta_config"].tolist(), strict=True))

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(np.asarray(self.arrays[key]))

    def input(self, key: str) -> Tensor:
        return self[key].to(self.dtype)

    @property
    def state(self) -> dict[str, Tensor]:
        scale = float(self.arrays["meta_sd_scale"])
        return {key.removeprefix("sd/"): self.input(key) * scale for key in self.arrays if key.startswith("sd/")}

    @property
    def features(self) -> Tensor:
        return self.input("views").transpose(0, 1).contiguous()

    @property
    def foreground(self) -> Tensor:
        batch, views, _, height, width = self.features.shape
        return self["mask"].view(batch, views, height, width)

    def flow(self) -> MultiFlow:
        _, fusion = ARCHITECTURES[self.architecture]
        return import_released(self.state, fusion=fusion, clamp=float(self.arrays["meta_clamp"]))

    @property
    def is_ill_conditioned(self) -> bool:
        """Whether rounding decides what follows from gradients: attention in float32.

        There a layer norm stands behind a ReLU and divides nearly constant values by their spread: a change of
        the parameters by half a float32 unit changes float64 gradients by up to 2e-4, and the loss of the fourth
        optimizer step by up to 3e-2. An implementation without any fusion, run in float32 on a dozen other cases, has
        errors of up to 2e-3 in the gradient of the input. Float64 holds to 1e-9 in all of them.
        """
        return self.dtype == torch.float32 and "_att_" in self.architecture

    @property
    def gradient_tolerance(self) -> float:
        """Return the tolerance of gradients."""
        return 1e-2 if self.is_ill_conditioned else TOLERANCE[self.dtype]

    def modes(self) -> list[str]:
        return [mode for mode in ("eval", "train") if f"{mode}/z" in self.arrays]

    def condition(self, mode: str) -> Tensor | None:
        return self.input(f"{mode}/cond") if f"{mode}/cond" in self.arrays else None

    def noise(self, mode: str) -> Tensor | None:
        return self.input(f"{mode}/noise") if f"{mode}/noise" in self.arrays else None


@cache
def golden(name: str, dtype: torch.dtype) -> Golden:
    return Golden(name, dtype)


def assert_close(found: Tensor, expected: Tensor, tolerance: float, what: str, scale: Tensor | None = None) -> None:
    """Compare relative to the expected values, or to ``scale`` in float32.

    In float64 the largest error counts, relative to the largest value. In float32 it is the norm of the
    errors relative to the norm of the values: the first steps of AdamW divide gradients by their size, so
    that a single value that should hardly move moves anyway.
    """
    assert found.shape == expected.shape, what
    is_double = found.dtype == torch.float64
    if expected.dtype == torch.float32:
        tolerance = max(tolerance, 1e-6)
    difference, expected = found.double() - expected.double(), expected.double()
    if is_double:
        error = difference.abs().max() / expected.abs().max()
    else:
        error = difference.norm() / (expected.norm() if scale is None else scale)
    assert error <= tolerance, f"{what}: relative error {error:.2e}"


def gradients(flow: MultiFlow) -> dict[str, Tensor]:
    """Return the gradients under the released names, by exporting a flow that holds them as parameters."""
    parameters = {name: parameter.detach().clone() for name, parameter in flow.named_parameters()}
    with torch.no_grad():
        for parameter in flow.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
        exported = export_released(flow)
        for name, parameter in flow.named_parameters():
            parameter.copy_(parameters[name])
    return exported


def test_there_are_golden_files() -> None:
    assert FILES


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", FILES)
def test_forward_and_gradients(name: str, dtype: torch.dtype) -> None:
    data = golden(name, dtype)
    tolerance = TOLERANCE[dtype]
    flow = data.flow()
    connections, fusion = ARCHITECTURES[data.architecture]
    assert flow.graph == camera_graph(data.config["views"], connections)
    assert flow.settings.fusion == fusion
    assert (flow.settings.noise != "none") == bool(data.config["use_noise"])
    assert flow.permutations.tolist() == [data[f"perm/{k}"].tolist() for k in range(len(flow.couplings))]
    block_outputs: list[tuple[Tensor, Tensor]] = []
    for coupling in flow.couplings:
        coupling.register_forward_hook(
            lambda _module, _inputs, output: block_outputs.append(tuple(map(torch.cat, output)))
        )
    for mode in data.modes():
        block_outputs.clear()
        flow.zero_grad()
        features = data.features.requires_grad_()
        latents, log_determinant = flow(add_noise(features, data.noise(mode)), data.condition(mode))
        assert_close(latents.transpose(0, 1), data[f"{mode}/z"], tolerance, f"{mode} latents")
        assert_close(log_determinant.transpose(0, 1), data[f"{mode}/jac"], tolerance, f"{mode} log-determinant")
        for block, (output, block_log_determinant) in enumerate(block_outputs):
            assert_close(block_log_determinant, data[f"{mode}/block{block}_jac"], tolerance, f"{mode} block {block}")
            if f"{mode}/block{block}_y" in data.arrays:
                assert_close(output, data[f"{mode}/block{block}_y"], tolerance, f"{mode} output of block {block}")
        scores = anomaly_map(latents, log_determinant, data.foreground)
        assert_close(scores.flatten(0, 1), data[f"{mode}/pixel_score"], tolerance, f"{mode} pixel scores")
        assert (scores[data.foreground == 0] == 0).all()
        per_view = scores.mean(dim=(2, 3))
        assert_close(per_view.flatten(), data[f"{mode}/sample_score"], tolerance, f"{mode} sample scores")
        total = loss(latents, log_determinant, data.foreground)
        assert_close(total, data[f"{mode}/loss"], tolerance, f"{mode} loss")
        total.backward()
        found = gradients(flow)
        prefix = f"{mode}/grad/"
        for key in [key for key in data.arrays if key.startswith(prefix)]:
            # One value can be a sum that nearly cancels: float32 errors are seen beside the norm of all.
            assert_close(
                found[key.removeprefix(prefix)],
                data[key],
                data.gradient_tolerance,
                key,
                data[f"{mode}/gradnorm_all"],
            )
        norm = torch.stack([gradient.double().norm() for gradient in found.values()]).norm()
        assert_close(norm, data[f"{mode}/gradnorm_all"], data.gradient_tolerance, f"{mode} norm of all gradients")
        if f"{mode}/grad_input" in data.arrays:
            assert features.grad is not None
            assert_close(
                features.grad.transpose(0, 1),
                data[f"{mode}/grad_input"],
                data.gradient_tolerance,
                f"{mode} input gradient",
            )


def four_optimizer_steps(data: Golden, flow: MultiFlow) -> dict[str, Tensor]:
    """Return the losses before each of the file's four steps, and the parameters that the file holds after them."""
    optimizer = torch.optim.AdamW(flow.parameters(), lr=2e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=1e-5)
    losses = []
    drawn = data.noise("adamw")
    for noise in [None] * len(data["adamw/loss"]) if drawn is None else drawn:
        optimizer.zero_grad()
        condition = None if noise is None else 20 * noise
        total = loss(*flow(add_noise(data.features, noise), condition), data.foreground)
        total.backward()
        optimizer.step()
        losses.append(total.detach())
    exported = export_released(flow)
    prefix = "adamw/param_after/"
    after = {key: exported[key.removeprefix(prefix)] for key in data.arrays if key.startswith(prefix)}
    assert after
    return {"adamw/loss": torch.stack(losses)} | after


def rounding_spread(data: Golden) -> dict[str, float]:
    """Return how far half a float32 unit in every parameter moves the float64 results, relative to their norm."""
    flow = data.flow()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            signs = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
            parameter *= 1 + signs * 2.0**-24
    moved = four_optimizer_steps(data, flow)
    return {key: float((value - data[key]).norm() / data[key].norm()) for key, value in moved.items()}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", TRAINED)
def test_four_optimizer_steps(name: str, dtype: torch.dtype) -> None:
    data = golden(name, dtype)
    results = four_optimizer_steps(data, data.flow())
    # The first loss is that of the file's own parameters.
    assert_close(results["adamw/loss"][:1], data["adamw/loss"].reshape(-1)[:1], TOLERANCE[dtype], "first loss")
    spread = rounding_spread(golden(name, torch.float64)) if data.is_ill_conditioned else {}
    for key, value in results.items():
        # Float32 rounds in every operation, not only in the parameters.
        assert_close(value, data[key].reshape(value.shape), TOLERANCE[dtype] + 100 * spread.get(key, 0.0), key)


@pytest.mark.parametrize("name", FILES)
def test_import_and_export_are_inverse(name: str) -> None:
    data = golden(name, torch.float32)
    state = data.state
    exported = export_released(data.flow())
    assert exported.keys() == state.keys()
    assert all(torch.equal(exported[key], state[key]) for key in state)


def test_full_size_permutations() -> None:
    data = np.load(OWN_FOLDER / "flow_permutations_304.npz")
    state = np.random.get_state()[1].tolist()
    for block in range(6):
        assert channel_permutations(block, 5, 304).tolist() == data[f"perm/{block}"].tolist()
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize(("architecture", "conditional"), PARAMETER_COUNTS)
def test_full_size_parameter_counts(architecture: str, conditional: bool) -> None:
    connections, fusion = ARCHITECTURES[architecture]
    noise = "simplenet" if conditional else "none"
    settings = RELEASED.model_copy(update={"fusion": fusion, "noise": noise})
    with torch.device("meta"):
        flow = MultiFlow(304, camera_graph(5, connections), settings)
    count, tensors = PARAMETER_COUNTS[architecture, conditional]
    assert sum(parameter.numel() for parameter in flow.parameters()) == count
    with torch.device("cpu"):
        flow.permutations = torch.stack([channel_permutations(k, 5, 304) for k in range(6)])
    assert len(export_released(flow)) == tensors
