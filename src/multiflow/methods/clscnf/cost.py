"""What AD-CLSCNFs costs, counted from the shapes of its networks."""

from __future__ import annotations

from functools import cache
from typing import Any

from multiflow.methods.cflow.cost import decoder_training_tflop, image_cost
from multiflow.methods.clscnf.settings import Settings
from multiflow.methods.contract import Cost, Images

__all__ = ["clscnf_cost"]

_PUBLISHED = 1000  # synthetic defects of an image, for most classes of MVTec AD

# Of the classifier by backbone, as `_measure` counts them, which takes seconds: parameters of the encoder without head
# and of the decoder, and GFLOP of the decoder for an image of 256 px.
_KNOWN = {
    ("wide_resnet50_2.tv_in1k", "auto"): (66_834_240, 7_797_080, 7.69),
    ("resnet18.tv_in1k", "auto"): (11_176_512, 5_089_264, 6.43),
    ("tf_efficientnet_lite0.in1k", "auto"): (2_958_848, 3_956_720, 5.74),
}


def clscnf_cost(settings: Settings, images: Images) -> Cost:
    """Cost of a class and seed, and what it would be with as many synthetic defects as were published."""
    image = image_cost(settings.encoder, settings.flows, settings.image_size)
    key = settings.encoder.backbone, settings.classifier.decoder
    encoder_parameters, decoder_parameters, gflop = _KNOWN.get(key) or _measure(*key)
    decoder = gflop * (settings.image_size / 256) ** 2 / 1e3
    tuning, count = settings.tuning, images.train * images.views
    # Backward is twice forward, and none of the encoder while it is frozen.
    draws = tuning.sub_epochs * tuning.repeats * count
    frozen = tuning.frozen_epochs * draws * (image.encoder + 3 * decoder)
    tuned = tuning.tuned_epochs * draws * 3 * (image.encoder + decoder)
    encoders = image.encoder * (1 if settings.shared_encoder else 2)
    forward = encoders + decoder + image.decoders
    flows = decoder_training_tflop(image, settings.training, images) + min(count, settings.weight_images) * forward
    alternatives = {}
    if tuning.passes and (published := _PUBLISHED / (tuning.passes * tuning.repeats)) != 1:
        alternatives[f"{_PUBLISHED:,} synthetic defects an image"] = flows + published * (frozen + tuned)
    return Cost(
        training_tflop=flows + frozen + tuned,
        scoring_tflop=images.views * forward,
        model_bytes=image.decoder_bytes + 4 * (encoder_parameters + decoder_parameters),
        map_bytes=4 * images.views * settings.image_size**2,
        precision="tf32" if settings.training.tf32 else "float32",
        alternatives=alternatives,
    )


@cache
def _measure(backbone: str, decoder: str) -> tuple[int, int, float]:
    """Parameters of encoder and decoder, and GFLOP of the decoder at 256 px, from shapes alone."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from multiflow.methods.cflow.encoder import LevelEncoder
    from multiflow.methods.cflow.settings import Encoder
    from multiflow.methods.clscnf.classifier import DefectClassifier
    from multiflow.methods.clscnf.settings import Classifier

    with torch.device("meta"), torch.inference_mode():
        encoder = LevelEncoder(timm.create_model(backbone), Encoder(backbone=backbone, padding="zeros"))
        classifier = DefectClassifier(encoder, Classifier.model_validate({"decoder": decoder})).eval()
        levels: Any = tuple(encoder(torch.empty(1, 3, 256, 256)))
        with FlopCounterMode(display=False) as counter:
            classifier.decoder(levels)
    counts = [sum(value.numel() for value in part.parameters()) for part in (encoder.model, classifier.decoder)]
    return counts[0], counts[1], counter.get_total_flops() / 1e9
