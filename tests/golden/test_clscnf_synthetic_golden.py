"""Synthetic defects of AD-CLSCNFs against numbers of its released code: operations, object masks, noise, blending."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from clscnf_cases import groups
from numpy.typing import NDArray

from multiflow.methods.clscnf.synthetic import objects, operations
from multiflow.methods.clscnf.synthetic.defects import Defect, blended
from multiflow.methods.clscnf.synthetic.noise import perlin_noise, turned
from multiflow.methods.clscnf.synthetic.objects import object_mask

# The released code's lists of classes.
BRIGHT = {"cable", "hazelnut", "metal_nut", "pill", "toothbrush", "01", "03"}
UNFILLED = {"grid", "metal_nut", "01"}
EVERYWHERE = {"transistor", "tile", "wood", "carpet", "leather", "02"}


def unpacked(packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.unpackbits(packed, axis=-1).astype(bool)


# Operations


@pytest.mark.parametrize(
    ("data", "name"),
    groups(r"((?:gamma|brightness|sharpness|hue|solarize|posterize|invert|autocontrast|equalize)[^/]*)"),
)
def test_operations(data: dict[str, NDArray[Any]], name: str) -> None:
    kind = re.match(r"[a-z]+", name)
    assert kind is not None
    values = [float(value) for value in re.findall(r"[-+]?\d+(?:\.\d+)?", name)]
    picture = data["picture"]
    if kind[0] == "gamma":
        found = operations.gamma(picture, np.array(values))
    elif kind[0] == "brightness":
        space: Any = name.split("_")[1]
        factor, offset = (re.search(rf"{part}([-\d.]+)", name) for part in ("mul", "add"))
        assert factor is not None
        assert offset is not None
        first = factor.start() < offset.start()
        found = operations.brightness(picture, space, float(factor[1]), int(offset[1]), first)
    elif kind[0] == "hue":
        found = operations.hue_saturation(picture, int(values[0]), int(values[1]))
    elif kind[0] in ("posterize", "autocontrast"):
        found = getattr(operations, kind[0])(picture, int(values[0]))
    else:
        found = getattr(operations, kind[0])(picture, *values)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, data[name])


# Object masks


@pytest.mark.parametrize(("data", "name"), groups(r"O/(.+/.+)"))
def test_object_masks(data: dict[str, NDArray[Any]], name: str) -> None:
    picture, class_name = name.split("/")
    found = object_mask(data[f"picture/{picture}"], bright=class_name in BRIGHT, filled=class_name not in UNFILLED)
    np.testing.assert_array_equal(found, data[f"O/{name}"])


@pytest.mark.parametrize(("data", "name"), groups(r"steps/(\w+/\w+)/opened"))
def test_steps_of_object_masks(data: dict[str, NDArray[Any]], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, class_name = name.split("/")
    made: list[Any] = []

    def recorded(function: str) -> Any:
        plain = getattr(objects.cv2, function)

        def call(*arguments: Any) -> Any:
            made.append(plain(*arguments))
            return made[-1]

        return call

    for function in ("cvtColor", "GaussianBlur", "threshold", "morphologyEx"):
        monkeypatch.setattr(objects.cv2, function, recorded(function))
    object_mask(data[f"picture/{picture}"], bright=class_name in BRIGHT, filled=class_name not in UNFILLED)
    gray, blur, (threshold, _), opened, closed, smoothed = made
    np.testing.assert_array_equal(gray, data[f"steps/{picture}/gray"])
    np.testing.assert_array_equal(blur, data[f"steps/{picture}/blur"])
    assert threshold == float(data[f"steps/{picture}/otsu_threshold"])
    np.testing.assert_array_equal(opened > 0, unpacked(data[f"steps/{name}/opened"]))
    np.testing.assert_array_equal(closed > 0, unpacked(data[f"steps/{name}/closed"]))
    np.testing.assert_array_equal(smoothed, data[f"steps/{name}/smoothed"])


# Synthetic defects


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/cells"))
def test_noise(data: dict[str, NDArray[Any]], name: str) -> None:
    size = len(data[f"{name}/A"])
    noise = perlin_noise(size, data[f"{name}/angles"])
    assert [count - 1 for count in data[f"{name}/angles"].shape] == data[f"{name}/cells"].tolist()
    step = size // len(data[f"{name}/noise_sub"])
    np.testing.assert_allclose(noise[::step, ::step], data[f"{name}/noise_sub"], rtol=0, atol=2e-7)
    statistics = [noise.mean(), noise.std(), noise.min(), noise.max()]
    np.testing.assert_allclose(statistics, data[f"{name}/noise_stat"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(noise > 0.5, unpacked(data[f"{name}/A_unrotated"]))
    rotated = turned(noise, float(data[f"{name}/rotation_deg"]))
    np.testing.assert_array_equal(rotated > 0.5, unpacked(data[f"{name}/A"]))
    np.testing.assert_allclose(rotated[::step, ::step], data[f"{name}/noise_rot_sub"], rtol=0, atol=2e-7)


def mask_of(data: dict[str, NDArray[Any]], name: str) -> NDArray[np.bool_]:
    """The mask of a case, before it is known whether any pixel changes."""
    mask = unpacked(data[f"{name}/A"])
    class_name, picture = str(data[f"{name}/class"]), data[f"picture/{data[f'{name}/x_name']}"]
    if class_name not in EVERYWHERE:
        found = object_mask(picture, bright=class_name in BRIGHT, filled=class_name not in UNFILLED)
        if f"{name}/O" in data:
            np.testing.assert_array_equal(found, data[f"{name}/O"])
        else:
            np.testing.assert_array_equal(found > 0, unpacked(data[f"{name}/O_packed"]))
        mask &= found > 0
    if float(data[f"{name}/u_no_anomaly"]) > float(data[f"{name}/aug_ratio"]):
        mask[:] = False
    return mask


def made(data: dict[str, NDArray[Any]], name: str) -> Defect:
    picture, source = (data[f"picture/{data[f'{name}/{key}']}"] for key in ("x_name", "s_name"))
    return blended(picture, source, mask_of(data, name), float(data[f"{name}/beta"]), "signed")


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/beta"))
def test_synthetic_defects(data: dict[str, NDArray[Any]], name: str) -> None:
    picture = data[f"picture/{data[f'{name}/x_name']}"]
    defect = made(data, name)
    step = len(picture) // len(data[f"{name}/z_sub"])
    np.testing.assert_allclose(defect.image[::step, ::step], data[f"{name}/z_sub"], rtol=0, atol=1e-6)
    sums = defect.image.astype(np.float64).sum(axis=(0, 1))
    np.testing.assert_allclose(sums, data[f"{name}/z_channel_sum"], rtol=1e-6)
    assert (defect.image[~defect.mask] == (picture / 255).astype(np.float32)[~defect.mask]).all()
    if data[f"{name}/target_nan_count"]:
        # The released code's target is no number; here nothing has changed, so there is no defect.
        assert not defect.mask.any()
        assert not defect.target.any()
        return
    difference = (defect.image - picture / 255).mean(axis=2)[defect.mask]
    counts = [unpacked(data[f"{name}/A"]).sum(), defect.mask.sum(), (np.abs(difference) < 1e-6).sum()]
    assert counts == data[f"{name}/n_A_M_zero"].tolist()
    mean = difference.mean() if len(difference) else 0.0
    assert mean == pytest.approx(float(data[f"{name}/mean_d_in_M"]), abs=1e-6)
    np.testing.assert_array_equal(defect.mask, unpacked(data[f"{name}/M"]))
    np.testing.assert_array_equal(defect.target > 0, unpacked(data[f"{name}/M"]))
    assert defect.mask.any() == bool(data[f"{name}/has_anomaly"])
    assert defect.label == pytest.approx(float(data[f"{name}/c"]), abs=1e-6)
