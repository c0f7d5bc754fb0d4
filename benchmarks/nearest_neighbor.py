"""How hard is a data set? AUROC of a nearest-neighbour detector on pretrained features: a yardstick.

After PatchCore (Roth et al. 2022, arXiv 2106.08265), without coreset: an anomaly score is the largest
distance of an image's patches to the nearest patch of all normal training images of the class, on
EfficientNet-Lite0 ``blocks.5`` features at 256 px, standardised per channel. A sample's score is its highest
image's.

Example: python benchmarks/nearest_neighbor.py results/demo/data realiad_384 stud_brick coin_cell
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from multiflow.backbone import create_backbone, fetch_weights
from multiflow.config import Dataset, Features
from multiflow.images import load_image
from multiflow.samples import read_samples

_FEATURES = Features(
    backbone="tf_efficientnet_lite0", node="blocks.5", weights="package", padding="same", image_size=256
)


def extract(samples: pd.DataFrame, root: Path) -> torch.Tensor:
    """Features ``[images, patches, channels]``, flips applied."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        fetch_weights(_FEATURES, weights)
        backbone = create_backbone(_FEATURES, weights)
    features = []
    with torch.inference_mode():
        for start in range(0, len(samples), 10):
            rows = samples.iloc[start : start + 10]
            images = np.stack(
                [
                    load_image(root / image, _FEATURES.image_size, bool(flip))
                    for image, flip in zip(rows["image"], rows["flip"], strict=True)
                ]
            )
            features.append(backbone(backbone.normalize(torch.from_numpy(images))).flatten(2).mT)
    return torch.cat(features)


def anomaly_scores(features: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """Score per image ``[images]``; ``train`` says which images are normal training images."""
    bank = features[train].flatten(0, 1)
    mean, std = bank.mean(0), bank.std(0)
    bank = (bank - mean) / std
    nearest = [torch.cdist((image - mean) / std, bank).amin(1).amax() for image in features]
    return torch.stack(nearest)


def rate(root: Path, image_folder: str, class_name: str, flips: str | None) -> tuple[float, float, pd.DataFrame]:
    """Sample AUROC, image AUROC and the test samples (defect, score) of a class."""
    dataset = Dataset(image_folder=image_folder, classes=[class_name], flips=flips)
    samples = read_samples(dataset, root, class_name)
    train = torch.tensor((samples["split"] == "train").to_numpy())
    samples["score"] = anomaly_scores(extract(samples, root), train).numpy()
    test = samples[samples["split"] == "test"]
    image_auroc = roc_auc_score(test["label"], test["score"])
    grouped = test.groupby("sample").agg(label=("label", "max"), score=("score", "max"))
    grouped["defect"] = [name.split("_NG_")[1] if "_NG_" in name else "OK" for name in grouped.index]
    return float(roc_auc_score(grouped["label"], grouped["score"])), float(image_auroc), grouped


def main() -> None:
    """Rate the classes that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of the data set")
    parser.add_argument("image_folder", help="folder of the class folders, such as realiad_384")
    parser.add_argument("classes", nargs="+")
    parser.add_argument("--flips", default="config/view_flips.csv", help="table of flips, or none")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    flips = None if arguments.flips == "none" else arguments.flips
    for class_name in arguments.classes:
        sample, image, test = rate(arguments.root, arguments.image_folder, class_name, flips)
        print(f"{class_name}: sample AUROC {sample:.3f}, image AUROC {image:.3f}")
        for defect, group in test.groupby("defect"):
            print(f"  {defect}  " + " ".join(f"{score:5.1f}" for score in sorted(group["score"])))


if __name__ == "__main__":
    main()
