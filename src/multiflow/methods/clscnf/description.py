"""AD-CLSCNFs' settings in words, as footnotes of tables print them, and the facts on which ablation rows depend."""

from __future__ import annotations

from multiflow.methods.clscnf.settings import Settings

__all__ = ["describe", "facts"]


def describe(settings: Settings) -> dict[str, str]:
    """What decides its numbers, a phrase per part: ``synthesis``, ``training``, ``encoder``, ``score``."""
    tuning, training, synthesis, encoder = settings.tuning, settings.training, settings.synthesis, settings.encoder
    textures = {"dtd": "DTD", "in_domain": "the class alone", "package": "scikit-image's textures"}[synthesis.textures]
    objects = {"foreground": "on the foreground", "brightness": "on what Otsu's threshold finds", "none": "everywhere"}
    weight = "chosen on synthetic defects" if settings.weight == "synthetic" else f"{settings.weight:g}"
    score = {
        "joint": f"flows and classifier of weight {weight}",
        "classifier": "classifier alone",
        "flows": "flows alone",
    }
    return {
        "synthesis": f"{tuning.passes * tuning.repeats} synthetic defects an image, textures: {textures}, "
        f"{objects[synthesis.objects.source]}, {synthesis.soft_label} soft label",
        "training": f"encoder tuned in {tuning.tuned_epochs} of {tuning.epochs} meta-epochs, "
        f"{training.passes} pass{'es' if training.passes != 1 else ''} of the flows, the last one counts",
        "encoder": f"{encoder.backbone} at {settings.image_size} px, "
        f"{'reflect' if encoder.padding == 'reflect' else 'zero'} padding, flows of {settings.flows.blocks} coupling "
        f"blocks on the {'tuned' if settings.shared_encoder else 'pretrained'} encoder",
        "score": score[settings.score],
    }


def facts(settings: Settings) -> dict[str, str]:
    """Values on which it depends whether an experiment is an ablation's row."""
    return {"score": settings.score, "flows_on": "tuned" if settings.shared_encoder else "pretrained"}
