"""CFLOW-AD's settings in words, as footnotes of tables print them."""

from __future__ import annotations

from multiflow.methods.cflow.settings import Settings

__all__ = ["describe"]


def describe(settings: Settings) -> dict[str, str]:
    """What decides its numbers, a phrase per part: ``training``, ``encoder``, ``decoder``, ``score``."""
    training, decoder, encoder = settings.training, settings.decoder, settings.encoder
    passes = training.passes
    parts = [f"{passes} pass{'es' if passes != 1 else ''}, {training.fibre_batch} pixels a step"]
    if training.coasting:
        parts.append("idle decoders coast by momentum")
    levels = len(encoder.levels)
    condition = "" if decoder.condition else ", unconditional"
    score = {
        "train": "levels weighted by the training set's maxima",
        "test": "levels weighted by the test set's maxima: each score depends on all test images",
    }
    return {
        "training": ", ".join(parts),
        "encoder": f"{encoder.backbone} at {settings.image_size} px, {levels} level{'s' if levels != 1 else ''}, "
        f"{'reflect' if encoder.padding == 'reflect' else 'zero'} padding",
        "decoder": f"{decoder.blocks} coupling block{'s' if decoder.blocks != 1 else ''} a level{condition}",
        "score": score[settings.maximum] + (", scores as differences" if settings.score == "difference" else ""),
    }
