"""The whole training: classifier on synthetic defects, flows on its encoder, weight between both; resumable in each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from multiflow.methods.cflow.training import (
    DecoderTraining,
    check_batches,
    highest_likelihoods,
    tf32,
    train_passes,
)
from multiflow.methods.clscnf.classifier import DefectClassifier, checked_shapes, create_classifier
from multiflow.methods.clscnf.networks import Networks, encoder_of_flows
from multiflow.methods.clscnf.settings import Settings
from multiflow.methods.clscnf.synthetic.pictures import NormalPictures, read_pictures
from multiflow.methods.clscnf.synthetic.textures import find_textures
from multiflow.methods.clscnf.tuning import ClassifierTraining, tune_passes
from multiflow.methods.clscnf.weight import best_weight, thinning
from multiflow.methods.contract import Model, Samples
from multiflow.methods.work import Work

__all__ = ["train_clscnf"]

_CHOICE = 2**31  # stands where a pass has its number, which is below


def train_clscnf(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train on a class's normal samples, each view an image of its own.

    The first stage records each of its passes, and so does the second, see
    :func:`multiflow.methods.clscnf.tuning.tune_passes` and :func:`multiflow.methods.cflow.training.train_passes`. On a
    CPU an interrupted training gives the same bytes as one that was not, whatever the stage.

    Args:
        samples: the training samples.
        settings: the method's.
        seed: decides all that is random, each stage by itself.
        work: device, progress, the encoder's weights, and the checkpoint that outlives a killed job.

    Raises:
        InputError: the encoder can't take such images, there are no textures, there are fewer images or fibres than a
            batch, or a loss or a trained parameter is not finite.
    """
    device = work.device
    torch.manual_seed(seed)
    classifier = create_classifier(settings, work.weights).to(device)
    shapes = checked_shapes(classifier.encoder, settings.image_size)
    check_batches(samples, settings.encoder.levels, shapes, settings.training)
    find_textures(settings.synthesis, settings.image_size)
    restored: dict[str, Any] = {}
    work.resume(restored.update)
    _tune(classifier, samples, settings, seed, restored, work)

    encoder = encoder_of_flows(classifier, settings, work.weights).to(device)
    flows = DecoderTraining.start(shapes, settings.flows, settings.training, seed, device)
    if "decoders" in restored:
        flows.restore(restored)
    tuned = {"classifier": classifier.state_dict()}
    first = len(work.history) - settings.tuning.passes
    train_passes(samples, encoder, flows, first, work, lambda values: work.save({**values, **tuned}))

    with tf32(False):
        maximum = highest_likelihoods(samples, encoder, flows.decoders, work)
        networks = Networks(classifier, encoder, flows.decoders.requires_grad_(False), maximum, settings.image_size)
        return networks.to_model(_chosen_weight(networks, samples, settings, seed, work))


def _tune(
    classifier: DefectClassifier,
    samples: Samples,
    settings: Settings,
    seed: int,
    restored: Mapping[str, Any],
    work: Work,
) -> None:
    """The first stage, or what is left of it; all that it needs beside the classifier is given back at its end.

    Args:
        classifier: on the device.
        samples: the training samples.
        settings: the method's.
        seed: of the training.
        restored: what a checkpoint of either stage holds; empty where there is none.
        work: of the training.
    """
    if "decoders" in restored:
        classifier.load_state_dict(restored["classifier"])
    else:
        state = ClassifierTraining(classifier, settings.tuning)
        if restored:
            state.restore(restored)
        pictures = work.once("pictures", partial(_read, samples, settings, work))
        with tf32(settings.training.tf32):
            tune_passes(pictures, state, len(work.history), seed, work, work.save)
    classifier.requires_grad_(False).eval()


def _read(samples: Samples, settings: Settings, work: Work) -> NormalPictures:
    """All views of all samples."""
    places = [(sample, view) for sample in range(len(samples)) for view in range(len(samples.cameras))]
    progress = work.progress("read", len(places), "pictures")
    return read_pictures(samples, places, settings.synthesis, settings.image_size, progress.step)


def _chosen_weight(networks: Networks, samples: Samples, settings: Settings, seed: int, work: Work) -> float:
    """The classifier's weight in the joint score, by some training pictures, every second one with a synthetic defect.

    Args:
        networks: trained.
        samples: the training samples.
        settings: the method's.
        seed: decides pictures and defects.
        work: progress.

    Returns:
        The weight; 1 where no defect could be made, since nothing speaks for another one.
    """
    places = [(sample, view) for sample in range(len(samples)) for view in range(len(samples.cameras))]
    order = np.random.default_rng([seed, _CHOICE]).permutation(len(places))[: settings.weight_images]
    pictures = read_pictures(samples, [places[index] for index in order], settings.synthesis, settings.image_size)
    progress = work.progress("weighed", len(order), "pictures")
    thin = (slice(None, None, thinning(len(order), settings.image_size)),) * 2
    normality, probability, truth = [], [], []
    for number, draw in enumerate(pictures.draws(range(len(order)), (seed, _CHOICE))):
        image, mask = draw.picture, np.zeros_like(draw.part)
        if number % 2 == 0:
            defect = draw.make()
            image, mask = np.rint(255 * defect.image).astype(np.uint8), defect.mask
        flows, classifier = networks(image[None])
        normality.append(flows[0][thin].cpu().numpy())
        probability.append(classifier[0][thin].cpu().numpy())
        truth.append(mask[thin])
        progress.step()
    return best_weight(np.stack(normality), np.stack(probability), np.stack(truth)) or 1.0
