"""What the training loop needs to know about the two stages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

import torch
from torch import Tensor, nn

from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.examples import Examples, PictureBatches, TextBatches, recall_at_1
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.loss import contrastive, in_batch
from rerankit.stages.triplet.network import DualEncoder
from rerankit.stages.triplet.reading import Reading
from rerankit.stages.triplet.representation import vectors
from rerankit.training.task import TrainingTask


@dataclass(frozen=True)
class Validation:
    """What a stage is validated on."""

    problem: Problem
    relevance: Relevance
    candidates: Ranking | None = None


def set_tuned(encoder: nn.Module | None, tuned: bool, checkpointing: bool) -> None:
    """Let an image encoder learn or not; with checkpointing its activations are computed twice, not kept."""
    if encoder is None:
        return
    encoder.requires_grad_(tuned)
    if tuned and checkpointing:
        # Later versions of transformers have another name for it.
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        next(getattr(encoder, name) for name in names if hasattr(encoder, name))()


class FilterTask(TrainingTask):
    """Stage I: each query's vector against the targets' vectors of the batch."""

    def __init__(
        self,
        bundle: Bundle,
        problem: Problem,
        relevance: Relevance,
        reading: Reading,
        *,
        tune_images: bool = False,
        checkpointing: bool = False,
        validation: Validation | None = None,
    ) -> None:
        self.model: Filter = bundle.filter
        self.model.requires_grad_(True)
        set_tuned(self.model.visual_encoder, tune_images, checkpointing)
        tuned = self.model.visual_encoder if tune_images else None
        self.bundle, self.reading, self.validation = bundle, reading, validation
        self.examples = Examples(problem, relevance)
        self.length = len(self.examples)
        self.texts = TextBatches(problem, bundle, reading)
        own = Bundle(bundle.filter, None, bundle.words)
        self.references = PictureBatches(problem, "reference", own, reading, tuned=tuned)
        self.candidates = PictureBatches(problem, "candidate", own, reading, tuned=tuned)

    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        rows = batch.numpy()
        queries, targets = self.examples.queries[rows], self.examples.targets[rows]
        ids, mask = (part.to(self.device) for part in self.texts.batch(queries, generator))
        states = self.model.encode_queries(ids, mask, self.references(queries, self.device))
        vectors = self.model.query_vectors(states)
        offered = self.model.gallery_vectors(self.candidates(targets, self.device))
        wrong = self.examples.wrong(queries, targets).to(self.device)
        return {"contrastive": contrastive(vectors.float(), offered.float(), self.model.temp, wrong)}

    def validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        # Without its dual encoder, and encoded afresh: the image encoder may have changed.
        own = Bundle(self.model, None, self.bundle.words)
        queries, gallery = vectors(self.validation.problem, own, self.reading)
        left_out = self.validation.relevance.excluded
        ranking = Problem.from_embeddings(queries, gallery, metric="dot", exclude=left_out).ranking(1)
        return {"R@1": recall_at_1(ranking, self.validation.relevance)}


class DualTask(TrainingTask):
    """Stage II: every query of the batch with every target of it, and with hard negatives if asked for.

    Stage I is frozen and in eval mode. `hard_negatives` wrong candidates a query come from `candidates`.
    """

    def __init__(
        self,
        bundle: Bundle,
        problem: Problem,
        relevance: Relevance,
        reading: Reading,
        *,
        tune_images: bool = False,
        hard_negatives: int = 0,
        candidates: Ranking | None = None,
        checkpointing: bool = False,
        validation: Validation | None = None,
    ) -> None:
        self.model: DualEncoder = cast(DualEncoder, bundle.dual)
        self.model.requires_grad_(True)
        set_tuned(self.model.visual_encoder, tune_images, checkpointing)
        self.filter = bundle.filter.requires_grad_(False).eval()
        self.bundle, self.reading, self.validation = bundle, reading, validation
        self.examples = Examples(problem, relevance)
        self.length = len(self.examples)
        self.hard_negatives, self.listed = hard_negatives, candidates
        self.texts = TextBatches(problem, bundle, reading)
        self.references = PictureBatches(problem, "reference", bundle, reading, tuned=None)
        self.candidates = PictureBatches(
            problem, "candidate", bundle, reading, tuned=self.model.visual_encoder if tune_images else None
        )

    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        rows, device = batch.numpy(), self.device
        queries, targets = self.examples.queries[rows], self.examples.targets[rows]
        ids, mask = (part.to(device) for part in self.texts.batch(queries, generator))
        self.filter.to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            states = self.filter.encode_queries(ids, mask, self.references(queries, device))
        scores = self.model(states, ids, mask, self.candidates(targets, device))
        wrong = self.examples.wrong(queries, targets)
        if self.hard_negatives and self.listed is not None:
            hard = self.examples.hard(self.listed, queries, self.hard_negatives, generator)
            of = torch.arange(len(rows), device=device).repeat_interleave(self.hard_negatives)
            more = self.model.pairs(states[of], ids[of], mask[of], self.candidates(hard.ravel(), device))
            scores = torch.cat([scores, more.view(len(rows), -1)], dim=1)
            wrong = torch.cat([wrong, torch.ones(hard.shape, dtype=torch.bool)], dim=1)
        return {"cross-entropy": in_batch(scores, wrong.to(device))}

    def validate(self) -> dict[str, float]:
        if self.validation is None or self.validation.candidates is None:
            return {}
        from rerankit.stages.triplet.stage import Triplet

        stage = Triplet(device=str(self.device), **asdict(self.reading)).with_bundle(self.bundle)
        ranking = stage.rerank(self.validation.problem, self.validation.candidates)
        return {"R@1": recall_at_1(ranking, self.validation.relevance)}
