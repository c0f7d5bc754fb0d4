"""How hard is a data set? AUROC of a nearest-neighbour detector on the features of a run: a yardstick.

After PatchCore (Roth et al. 2022, arXiv 2106.08265), without coreset and without foreground: the score of an image
is the largest distance of its patches to the nearest patch of all training images of the class, the features
standardised per channel; a sample's score is that of its highest image.

Example: python benchmarks/nearest_neighbor.py results/demo
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.features.file import FeatureFile
from multiflow.metrics.ranking import auroc, sample_labels, sample_scores


def patches(features: FeatureFile, split: str) -> Iterator[torch.Tensor]:
    """Features of a split's samples as [V, patches, C], standardised with the training set."""
    mean, std = torch.from_numpy(features.channel_mean).float(), torch.from_numpy(features.channel_std).float()
    samples = features.split(split)
    for index in range(len(samples)):
        values = torch.from_numpy(samples.features(index)).flatten(2).transpose(1, 2)
        yield (values - mean) / std.clamp(min=1e-6)


def rate(features_path: Path, truth_path: Path) -> tuple[float | None, float | None]:
    """Sample and image AUROC of a class."""
    with FeatureFile(features_path) as features, GroundTruthFile(truth_path) as truth:
        bank = torch.cat(list(patches(features, "train"))).flatten(0, 1)
        scores = torch.tensor(
            [[float(torch.cdist(view, bank).amin(1).amax()) for view in sample] for sample in patches(features, "test")]
        ).numpy()
        labels = truth.labels
    return auroc(sample_labels(labels), sample_scores(scores)["max"]), auroc(labels.ravel(), scores.ravel())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path("results/demo"), help="folder of a run")
    run = parser.parse_args().run
    paths = sorted((run / "features").glob("*/*.h5"))
    if not paths:
        sys.exit("no features found; `make demo` makes those of results/demo")
    torch.set_num_threads(1)
    for path in paths:
        sample, image = rate(path, run / "ground_truth" / path.name)
        print(f"{path.parent.name}, {path.stem}: sample AUROC {sample:.3f}, image AUROC {image:.3f}", flush=True)


if __name__ == "__main__":
    main()
