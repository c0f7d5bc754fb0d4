"""Feature extraction: images per second from JPEG to HDF5, and the share of time the network is idle.

The pictures are temporary JPEGs made of smooth random colours with noise. Weights are random: they don't
matter for time. On a CPU give the network all cores but those of the workers.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image

from multiflow.base.settings import Compute
from multiflow.base.weights import write_weights
from multiflow.datasets.digests import digests
from multiflow.datasets.table import SAMPLE_COLUMNS, write_samples
from multiflow.features.extraction import extract_features
from multiflow.features.settings import FeatureSet

logger = logging.getLogger("multiflow")


def write_pictures(root: Path, samples: int, views: int, size: int) -> pd.DataFrame:
    """Write JPEGs of ``size`` px and return their samples table."""
    random = np.random.default_rng(0)
    rows = []
    for index in range(samples):
        for view in range(views):
            coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
            smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
            picture = (smooth + random.integers(-6, 7, smooth.shape)).clip(0, 255).astype(np.uint8)
            path = f"{index:04d}_C{view + 1}.jpg"
            Image.fromarray(picture).save(root / path, quality=90)
            split = "train" if index < samples // 2 else "test"
            rows.append((split, f"{index:04d}", f"C{view + 1}", path, "", 0, "OK", view % 2, "0" * 64, "", size, size))
    return pd.DataFrame(rows, columns=SAMPLE_COLUMNS)


class Summary(logging.Handler):
    """Catches the extraction's last line."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0.in1k")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--size", type=int, default=384, help="side of the JPEGs, px")
    parser.add_argument("--image-size", type=int, default=256, help="side of the network input, px")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    summary = Summary()
    logger.addHandler(summary)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frame = write_pictures(root, arguments.samples, arguments.views, arguments.size)
        write_samples(frame, root / "bench.csv")
        torch.manual_seed(0)
        model = timm.create_model(arguments.backbone)
        write_weights(root / "weights.safetensors", model.state_dict(), {})
        settings = FeatureSet(backbone=arguments.backbone, image_size=arguments.image_size)
        compute = Compute(workers=arguments.workers, threads=arguments.threads)
        weights, output = root / "weights.safetensors", root / "bench.h5"
        started = time.perf_counter()
        extract_features(root / "bench.csv", digests(frame), root, weights, settings, compute, output)
        seconds = time.perf_counter() - started
        size = (root / "bench.h5").stat().st_size
    idle, rate = re.findall(r"network idle ([\d.]+) % of the time, ([\d.]+) images/s", summary.text)[0]
    print(
        json.dumps(
            vars(arguments)
            | {
                "images_per_second": float(rate),
                "network_idle_percent": float(idle),
                "seconds_with_start": round(seconds, 2),
                "megabytes": round(size / 1e6, 1),
                "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
