"""What a machine's GPU and its driver are, and what this build of torch can compute on: where they do not fit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

__all__ = ["INSTALL_OTHER", "describe_build", "describe_cards", "is_supported"]

INSTALL_OTHER = (
    "install a build for an older CUDA: make env TORCH_INDEX=https://download.pytorch.org/whl/<such as cu126>"
)


def describe_cards() -> str:
    """Cards, compute capability and driver, as ``nvidia-smi`` names them; or why it does not."""
    command = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except FileNotFoundError:
        return "no driver (nvidia-smi is not there)"
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi fails ({error})"
    lines = dict.fromkeys(line.strip() for line in result.stdout.splitlines() if line.count(",") == 2)
    cards = [[part.strip() for part in line.split(",")] for line in lines]
    return "; ".join(f"{name}, compute capability {capability}, driver {driver}" for name, capability, driver in cards)


def describe_build() -> str:
    """CUDA and architectures that this torch is built for."""
    import torch  # this module is read at every start, torch takes seconds

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built for CPUs alone"
    architectures = " ".join(torch.cuda.get_arch_list())
    return f"torch {torch.__version__} is built for CUDA {torch.version.cuda} and {architectures}"


def is_supported(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether a build has code for a card.

    Args:
        capability: compute capability of the card.
        architectures: of the build, as ``torch.cuda.get_arch_list`` names them; code for ``sm_80`` runs on 8.0 to 8.9,
            ``compute_80`` is translated for all newer cards.
    """
    for name in architectures:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", name)
        if found is None:
            continue
        major, minor = int(found[2]), int(found[3])
        if (major, minor) <= capability and (found[1] == "compute" or major == capability[0]):
            return True
    return not architectures
