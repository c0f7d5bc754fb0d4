"""The bank: patches of normal parts without those most unlike the others, and how unlike they were."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.random_projection import GaussianRandomProjection
from torch import Tensor

from multiflow.base.devices import exact_float32
from multiflow.base.errors import InputError
from multiflow.base.memory import free_bytes
from multiflow.methods.contract import Model, Samples
from multiflow.methods.patches.features import create_patch_encoder, patch_features
from multiflow.methods.softpatch.settings import Settings
from multiflow.methods.work import Work

__all__ = ["fill_bank", "outlier_scores"]

Rows = NDArray[np.float32]
"""Patches of all samples at one place of one view [N, D]."""

_LARGEST = 10.0  # of outlier factors: where patches are equal to the digit, as of a white background, they are infinite


def fill_bank(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Compare all patches of a class, leave out the most unlike ones, and keep a coreset of the others.

    The features of all pictures are held in memory, twice for a moment: 6.3 MB of a picture of 256 px with a
    WideResNet-50. A killed job starts anew and ends the same.

    Args:
        samples: the training samples.
        settings: the method's.
        seed: of both projections and of the coreset's first patch.
        work: device, progress, and the network's weights.

    Raises:
        InputError: there are too few samples to compare, too little memory, or too few patches for the bank.
    """
    with warnings.catch_warnings():  # of the library's modules that are not used; it takes seconds to import
        warnings.simplefilter("ignore")
        from anomalib.models.components import KCenterGreedy
    from multiflow.methods.anomalib.reporting import long_loops

    settings.check(len(samples), samples.class_name)
    features = _read(samples, settings, work)
    scores = outlier_scores(features, settings, seed, work)
    # By rank: of patches that are equally unlike, as many are left out as the share says.
    count = scores.size - math.ceil(settings.noise_share * scores.size)
    most_alike = np.argsort(scores, axis=None, kind="stable")[:count]
    kept = np.isin(np.arange(scores.size), most_alike).reshape(scores.shape)
    weights, patches = scores[kept], features[torch.from_numpy(kept)]
    del features
    if int(len(patches) * settings.coreset_share) == 0:
        raise InputError(
            f"{work.place}: coreset_share: expected a share of at least one of {len(patches)} patches, found "
            f"{settings.coreset_share:g}; raise it"
        )
    torch.manual_seed(seed)
    np.random.seed(seed)  # of the coreset's projection
    with exact_float32(work.threads), long_loops(work):
        chosen = KCenterGreedy(patches.to(work.device), settings.coreset_share).select_coreset_idxs()
    return Model({"bank": patches[chosen].contiguous(), "weight": torch.from_numpy(weights[chosen])})


def outlier_scores(features: Tensor, settings: Settings, seed: int, work: Work) -> NDArray[np.float32]:
    """How unlike the others every patch is, about 1 where it is as they are [N, V, H, W].

    Args:
        features: of all samples [N, V, H, W, C].
        settings: say how they are compared.
        seed: of the projection.
        work: progress.
    """
    count, *places, channels = features.shape
    compared = features
    if settings.components < channels:
        projection = GaussianRandomProjection(settings.components, random_state=seed).fit(np.zeros((1, channels)))
        compared = features @ torch.from_numpy(projection.components_.T).to(features.dtype)
    by_place = compared.flatten(1, 3).movedim(1, 0).numpy()  # [V H W, N, D]
    found = np.empty((len(by_place), count), np.float32)
    discriminate, progress = _DISCRIMINATORS[settings.discriminator], work.progress("compared", len(found), "places")
    for place, rows in enumerate(by_place):
        found[place] = discriminate(np.ascontiguousarray(rows), settings.neighbours)
        progress.step()
    return found.T.reshape(count, *places)


def _local_outlier_factor(rows: Rows, neighbours: int) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate values")  # what comes of them is limited below
        factors = -LocalOutlierFactor(n_neighbors=neighbours).fit(rows).negative_outlier_factor_
    return np.minimum(factors, _LARGEST)


def _nearest(rows: Rows, neighbours: int) -> NDArray[np.float64]:
    distances, _ = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors()
    return 1 + distances[:, 0]


def _gaussian(rows: Rows, neighbours: int) -> NDArray[np.float64]:
    return 1 + np.sqrt(LedoitWolf().fit(rows).mahalanobis(rows))


_DISCRIMINATORS: dict[str, Callable[[Rows, int], NDArray[np.float64]]] = {
    "lof": _local_outlier_factor,
    "nearest": _nearest,
    "gaussian": _gaussian,
}


def _read(samples: Samples, settings: Settings, work: Work) -> Tensor:
    """The features of all samples [N, V, H, W, C] on the CPU.

    Raises:
        InputError: they don't fit there twice.
    """
    encoder = create_patch_encoder(settings.encoder, work.weights, work.device)
    features, progress = torch.empty(0), work.progress("read", len(samples), "samples")
    with exact_float32(work.threads):
        for index, sample in enumerate(samples):
            found = patch_features(encoder, sample.images)
            if index == 0:
                _check_room(len(samples) * found.nbytes, work.place)
                features = torch.empty(len(samples), *found.shape)
            features[index] = found.cpu()
            progress.step()
    return features


def _check_room(size: int, place: str) -> None:
    """Stop before a node does: the features are held twice while the most unlike ones are left out."""
    needed, free = 2 * size, free_bytes(torch.device("cpu"))
    if needed > free:
        raise InputError(
            f"{place}: expected {needed / 1e9:.1f} GB of free memory for twice the features of the training images, "
            f"found {free / 1e9:.1f} GB; give the job more (mem_mb of train_model in the profile's set-resources), or "
            "take a smaller image_size or fewer encoder.levels"
        )
