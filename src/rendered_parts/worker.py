"""A process that renders some samples of a class: ``python -m rendered_parts.worker``.

It reads a job as JSON from its standard input and prints one line per finished sample. Mitsuba needs a
process of its own: it runs one thread per process, and importing it is not free of side effects.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from rendered_parts.errors import RenderingError
from rendered_parts.settings import Rendering

if TYPE_CHECKING:
    from rendered_parts.geometry import Array
    from rendered_parts.samples import PlannedSample

__all__ = ["ENVIRONMENT", "Job", "main", "render_sample"]

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OIDN_NUM_THREADS": "1",
    "OIDN_SET_AFFINITY": "0",
}
"""What a worker's environment must hold: pictures depend on the number of threads."""


_ATTEMPTS = 8
"""How often a defect is drawn anew if no camera sees it."""


class Job(BaseModel):
    """What one worker does: some of the samples of a class, into a folder."""

    settings: Rendering
    part: str
    class_folder: Path
    samples: list[int]


def render_sample(sample: PlannedSample, settings: Rendering) -> list[tuple[Array, Array]]:
    """Image ``[size, size, 3]`` and mask ``[size, size]`` of each camera of the layout, as the cameras deliver them."""
    from rendered_parts.layouts import layout_of
    from rendered_parts.parts import PARTS
    from rendered_parts.picture import least_mask_pixels, render_views
    from rendered_parts.specimen import make_specimen

    part, layout = PARTS[sample.part], layout_of(settings)
    for attempt in range(_ATTEMPTS):
        rng = sample.generator(attempt)
        specimen = make_specimen(part, sample.defect, rng, layout.CAMERAS)
        views = render_views(specimen, settings.image_size, settings.samples_per_pixel, rng, layout.CAMERAS)
        least = least_mask_pixels(settings.image_size)
        if sample.defect is None or any(mask.sum() >= least for _, mask in views):
            break
    if not layout.MIRRORED:
        return views
    return [
        (image[:, ::-1], mask[:, ::-1]) if mirrored else (image, mask)
        for (image, mask), mirrored in zip(views, part.mirrored, strict=True)
    ]


def main() -> None:
    """Render the job on standard input; stop when the process that started this one is gone."""
    parent = os.getppid()
    job = Job.model_validate_json(sys.stdin.read())

    from rendered_parts.layouts import layout_of
    from rendered_parts.parts import PARTS
    from rendered_parts.samples import plan_samples

    planned = plan_samples(PARTS[job.part], job.settings)
    for index in job.samples:
        views = render_sample(planned[index], job.settings)
        if os.getppid() != parent:
            return
        layout_of(job.settings).write_sample(planned[index], views, job.class_folder)
        sys.stdout.write(json.dumps(index) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except RenderingError as error:
        sys.exit(str(error))
