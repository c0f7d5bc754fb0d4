"""The trained networks of AD-CLSCNFs: as one model and back, and what they say of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.cflow.checkpoint import from_model as flows_from_model
from multiflow.methods.cflow.checkpoint import to_model as flows_to_model
from multiflow.methods.cflow.decoder import Decoders
from multiflow.methods.cflow.encoder import LevelEncoder, create_encoder
from multiflow.methods.cflow.scoring import normality
from multiflow.methods.cflow.training import encode
from multiflow.methods.clscnf.classifier import DefectClassifier, checked_shapes, create_classifier
from multiflow.methods.clscnf.settings import Settings
from multiflow.methods.contract import Model

__all__ = ["Networks", "encoder_of_flows"]

_CLASSIFIER, _WEIGHT = "classifier.", "weight"


@dataclass(frozen=True)
class Networks:
    """A trained classifier and trained flows, all on one device.

    Attributes:
        classifier: with its encoder.
        encoder: that of the flows, which is the classifier's where it is shared.
        flows: of the encoder's levels.
        maximum: the highest log-likelihood of each level over the training set [L].
        size: side of the pictures, px.
    """

    classifier: DefectClassifier
    encoder: LevelEncoder
    flows: Decoders
    maximum: Tensor
    size: int

    @torch.no_grad()
    def __call__(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """What flows and classifier say of pictures.

        Args:
            images: RGB [B, S, S, 3].

        Returns:
            The sum of the levels' likelihoods, each divided by its highest [B, S, S] float64, and the probability of a
            defect [B, S, S] float32.
        """
        levels = encode(self.classifier.encoder, images)
        shallow, middle, deep = levels
        probability: Tensor = self.classifier.decoder((shallow, middle, deep)).sigmoid()
        if self.encoder is not self.classifier.encoder:
            levels = encode(self.encoder, images)
        return normality(self.flows.likelihood_maps(levels), self.maximum, self.size), probability

    def to_model(self, weight: float) -> Model:
        """As a model.

        Args:
            weight: the classifier's, chosen on synthetic defects.
        """
        flows = flows_to_model(self.flows, self.maximum)
        classifier = {f"{_CLASSIFIER}{name}": value.cpu() for name, value in self.classifier.state_dict().items()}
        chosen = {_WEIGHT: torch.tensor(weight, dtype=torch.float64)}
        return Model({**flows.tensors, **classifier, **chosen}, flows.metadata)

    @classmethod
    def from_model(cls, model: Model, settings: Settings, device: torch.device) -> tuple[Networks, float]:
        """Trained networks and the weight that was chosen for the classifier.

        Raises:
            InputError: the model is none of this method, or of another encoder, decoder or image size.
        """
        own = {name for name in model.tensors if name.startswith(_CLASSIFIER) or name == _WEIGHT}
        others = {name: tensor for name, tensor in model.tensors.items() if name not in own}
        classifier = create_classifier(settings, model.weights)
        shapes = checked_shapes(classifier.encoder, settings.image_size)
        place = f"{settings.encoder.backbone} at {settings.image_size} px"
        flows, maximum = flows_from_model(Model(others, model.metadata), shapes, place)
        try:
            classifier.load_state_dict(
                {name.removeprefix(_CLASSIFIER): model.tensors[name] for name in own - {_WEIGHT}}
            )
            weight = float(model.tensors[_WEIGHT])
        except (KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"trained classifier: expected one of {settings.encoder.backbone} with its decoder, found another one "
                f"({type(error).__name__}: {reason}); train it again"
            ) from None
        classifier = classifier.requires_grad_(False).eval().to(device)
        encoder = encoder_of_flows(classifier, settings, model.weights).to(device)
        return cls(classifier, encoder, flows.to(device), maximum, settings.image_size), weight


def encoder_of_flows(classifier: DefectClassifier, settings: Settings, weights: Mapping[str, Path]) -> LevelEncoder:
    """The classifier's encoder, or the pretrained one as it was.

    Args:
        classifier: after its training.
        settings: say which.
        weights: files of pretrained networks, by network.
    """
    return classifier.encoder if settings.shared_encoder else create_encoder(settings.encoder, weights)
