"""What SimpleNet costs, counted from the shapes of network and layers without building the layers."""

from __future__ import annotations

from multiflow.methods.cflow.cost import level_shapes
from multiflow.methods.contract import Cost, Images
from multiflow.methods.simplenet.settings import Settings

__all__ = ["simplenet_cost"]


def simplenet_cost(settings: Settings, images: Images) -> Cost:
    """Cost of a class and seed. The network is counted whole, though what lies behind its last level is left out."""
    levels, encoder = level_shapes(settings.encoder, settings.image_size)
    channels, patches = sum(channels for channels, _ in levels), levels[0][1]
    adaptor, discriminator = channels**2, settings.hidden * (channels + 1)
    weights = adaptor + discriminator + 5 * settings.hidden  # a bias, and batch normalisation's four numbers
    # Backward is twice forward; the discriminator sees every patch twice.
    trained = 3 * 2 * patches * (adaptor + 2 * discriminator) / 1e12
    forward = encoder + 2 * patches * (adaptor + discriminator) / 1e12
    return Cost(
        training_tflop=settings.training.epochs * images.train * images.views * (encoder + trained),
        scoring_tflop=images.views * forward,
        model_bytes=4 * weights,
        map_bytes=4 * images.views * settings.image_size**2,
    )
