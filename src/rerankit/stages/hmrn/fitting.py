"""Training through the shared loop: pairs of a search and its image, InfoNCE on the three levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import IntArray
from rerankit.errors import InputError, rule
from rerankit.features import Feature, Regions
from rerankit.pipelines.trainable import Judged
from rerankit.problem import Problem
from rerankit.relevance import Relevance
from rerankit.stages.hmrn.cascade import CascadeCurve, cascade_curve
from rerankit.stages.hmrn.checkpoint import network_from_arrays
from rerankit.stages.hmrn.encoders import encode_rounds, mask_of, tensor
from rerankit.stages.hmrn.loss import level_losses
from rerankit.stages.hmrn.network import Hmrn
from rerankit.stages.hmrn.representation import Descriptions, text_lists
from rerankit.stages.hmrn.scoring import Scorer
from rerankit.stages.hmrn.tokens import Vocabulary
from rerankit.training import TrainingSettings, TrainingTask
from rerankit.training.trained import TrainingPart, arrays_of, seeded

if TYPE_CHECKING:
    from rerankit.stages.hmrn.stage import HmrnStage


class TrainingPairs:
    """Training or validation data: regions, descriptions, and for every image the searches it answers."""

    def __init__(self, regions: Regions, queries: Descriptions, relevance: Relevance) -> None:
        if relevance.shape != (len(queries), len(regions)):
            raise rule("relevance", f"must be of shape {(len(queries), len(regions))}", relevance.shape)
        self.regions, self.queries, self.relevance = regions, queries, relevance
        by_image = relevance.reversed()
        self.images: IntArray = np.flatnonzero([len(by_image.of(image).items) for image in range(len(regions))])
        self.answers = [by_image.of(int(image)).items for image in self.images]
        if len(self.images) < 2:
            raise InputError("'relevance' must name at least two images that answer a search")


class HmrnTask(TrainingTask):
    """One network for the training loop: an example is an image with one of the searches it answers."""

    def __init__(
        self,
        network: Hmrn,
        pairs: TrainingPairs,
        validation: TrainingPairs | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self.model, self.vocabulary = network, vocabulary
        self.pairs, self.validation = pairs, validation
        self.length = len(pairs.images)

    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        if len(batch) < 2:
            # A pair alone has nothing to be told from, and batch norm nothing to average.
            return {"local": sum(p.sum() for p in self.model.parameters() if p.requires_grad) * 0.0}  # type: ignore[dict-item]
        network: Any = self.model
        places = batch.tolist()
        searches = [self._one_of(self.pairs.answers[place], generator) for place in places]
        regions, region_counts = self._regions(self.pairs.images[places])
        queries, query_counts = self._queries(np.array(searches), generator)
        counts = None if bool((region_counts == regions.shape[1]).all()) else region_counts.to(self.device)
        spoken = None if bool((query_counts == queries.shape[1]).all()) else query_counts.to(self.device)
        encoded = network.image(regions.to(self.device), counts)
        levels = network.similarity(encoded, queries, counts, spoken)
        return level_losses(levels, network.config)

    def validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        return {"R@1": first_hits(Scorer([self.model], self.device), self.validation)}  # type: ignore[list-item]

    @staticmethod
    def _one_of(answers: IntArray, generator: torch.Generator) -> int:
        return int(answers[int(torch.randint(len(answers), (), generator=generator))])

    def _regions(self, images: IntArray) -> tuple[Tensor, Tensor]:
        network: Any = self.model
        values, counts = self.pairs.regions.take(images).within(slice(0, len(images)), network.config.region_slots)
        values = values[:, : int(counts.max())]
        return tensor(values), tensor(counts)

    def _queries(self, searches: IntArray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Encoded descriptions (b, T, D) and their counts: each search's shuffled, the first `full_rounds` kept."""
        network: Any = self.model
        given, limit = self.pairs.queries, network.config.full_rounds
        rounds = given.shape[1]
        counts = tensor(np.full(len(given), rounds) if given.counts is None else given.counts)[searches]
        drawn = torch.rand(len(searches), rounds, generator=generator).masked_fill(~mask_of(counts, rounds), 2.0)
        order = drawn.argsort(dim=1)[:, :limit].numpy()
        counts = counts.clamp_max(limit)
        values = given.values[searches[:, None], order]
        if given.lengths is None:
            vectors = tensor(np.asarray(values, np.float32)).to(self.device)
        else:
            lengths = tensor(given.lengths[searches[:, None], order])
            vectors = encode_rounds(
                network.text, tensor(values.astype(np.int64, copy=False)), lengths, network.config.dim
            )
        return vectors * mask_of(counts, vectors.shape[1]).to(self.device)[..., None], counts


@torch.no_grad()
def first_hits(scorer: Scorer, pairs: TrainingPairs) -> float:
    """R@1 of the last round with all levels for all pairs."""
    images, searches = scorer.images(pairs.regions), scorer.searches(pairs.queries)
    rounds = scorer.rounds("last", pairs.queries.shape[1])
    found = np.concatenate([block.joint[0].argmax(axis=1) for block in scorer.score(images, searches, rounds)])
    return float(np.mean([item in pairs.relevance.of(row).items for row, item in enumerate(found)]))


def tasks(
    stage: HmrnStage, problem: Problem, relevance: Relevance, validation: Judged | None, settings: TrainingSettings
) -> Iterator[TrainingPart]:
    """See `HmrnStage.tasks`."""
    if stage.cascade == "auto" and validation is None:
        raise InputError("'cascade' is 'auto', which is chosen on validation: give validation=(problem, relevance)")
    for one in (problem, *(validation[:1] if validation else ())):
        stage.check(one, weights=False)
    vocabulary = stage.vocabulary or _vocabulary(stage, problem.query_features["text"])
    reader = stage.with_networks((), vocabulary)
    pairs = _pairs(reader, problem, relevance)
    checked = None if validation is None else _pairs(reader, *validation)
    reads = {
        "training": (problem, relevance),
        "validation": validation,
        "on_error": stage.on_error,
        "words": vocabulary,
    }
    for variant in stage.variants:
        network = _begun(stage, variant, _sizes(pairs, vocabulary), settings.seed)
        task = HmrnTask(network, pairs, checked, vocabulary)
        task.reads = {**reads, **network.config.to_dict()}
        yield variant, task, settings
    if checked is not None and stage.cascade == "auto":
        stage.choose(curve_of(stage.scorer, checked))


def _begun(stage: HmrnStage, variant: str, sizes: dict[str, int], seed: int) -> Hmrn:
    """The network of a variant to begin with: a copy of the stage's, or one with random weights."""
    known = stage.networks_by_variant.get(variant)
    if known is None:
        config = stage.config_for(variant, **sizes)
        return seeded(seed, lambda: Hmrn(config))
    for name, size in sizes.items():
        have = getattr(known.config, name)
        if size != have if name == "region_dim" else size > have:
            raise rule("problem", f"must fit the weights to go on from, of {name} {have}", size)
    return network_from_arrays(replace(known.config, dropout=stage.dropout), arrays_of(known))


def _pairs(stage: HmrnStage, problem: Problem, relevance: Relevance) -> TrainingPairs:
    return TrainingPairs(*stage.read(problem.query_features, problem.gallery_features), relevance)


def curve_of(scorer: Scorer, pairs: TrainingPairs) -> CascadeCurve:
    """R@1 of every depth of the cascade on some data, from one pass with all levels for all pairs."""
    images, searches = scorer.images(pairs.regions), scorer.searches(pairs.queries)
    rounds = scorer.rounds("last", pairs.queries.shape[1])
    cheap, joint = [], []
    config = scorer.config
    for block in scorer.score(images, searches, rounds):
        cheap.append(config.cheap_share(block.local[0], block.overall[0]))
        joint.append(block.joint[0])
    return cascade_curve(np.concatenate(cheap), np.concatenate(joint), pairs.relevance)


def _vocabulary(stage: HmrnStage, feature: Feature) -> Vocabulary | None:
    """Words of the training texts; None when the descriptions are not texts or a model has its own tokenizer."""
    texts = text_lists(feature)
    if stage.text_model is not None or texts is None:
        return stage.vocabulary
    return Vocabulary.build((text for search in texts for text in search), least=stage.least_count)


def _sizes(pairs: TrainingPairs, vocabulary: Vocabulary | None) -> dict[str, int]:
    sizes = {"region_dim": pairs.regions.shape[2]}
    if vocabulary is not None:
        sizes["vocabulary_size"] = len(vocabulary)
    elif pairs.queries.tokens:
        sizes["vocabulary_size"] = int(pairs.queries.values.max()) + 1
    return sizes
