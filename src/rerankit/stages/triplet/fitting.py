"""Training both stages in turn through the shared loop."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from rerankit.errors import InputError, RerankitWarning
from rerankit.pipelines.trainable import Judged
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.checkpoint import dual_from_filter
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.examples import vocabulary_of
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.learning import DualTask, FilterTask, Validation
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.stages.triplet.representation import vectors
from rerankit.training.devices import pick
from rerankit.training.trained import TrainingPart

if TYPE_CHECKING:
    from rerankit.stages.triplet.stage import Triplet


def new_bundle(sizes: TripletConfig | Mapping[str, Any], problems: Sequence[Problem], seed: int) -> Bundle:
    """A filter with random weights; its vocabulary is that of the problems' texts."""
    config = sizes if isinstance(sizes, TripletConfig) else TripletConfig.from_dict(sizes)
    words = None
    if "text" in problems[0].query_features:
        words = vocabulary_of(problems)
        config = replace(config, vocabulary=len(words))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Filter(config, images="reference_images" in problems[0].query_features)
    return Bundle(network, None, words, filter_trained=False)


def warn_of_random_pictures(plan: TripletPlan, problem: Problem) -> None:
    """Say so where an image encoder of the published size would stay as it was drawn."""
    sizes = TripletConfig.from_dict(plan.sizes)
    published = (sizes.width, sizes.vision_layers) == (TripletConfig.width, TripletConfig.vision_layers)
    if published and "filter" not in plan.tune_images and "reference_images" in problem.query_features:
        warnings.warn(
            "'triplet' begins with random weights at the published size, and its image encoder stays as it is drawn: "
            "pictures will tell it next to nothing. Import BLIP's retrieval weights first (rerankit import triplet "
            "FILE, then rerankit fit FOLDER), or train the encoder, too (tune_images: [filter])",
            RerankitWarning,
            stacklevel=5,
        )


def tasks(
    stage: Triplet, problem: Problem, relevance: Relevance, validation: Judged | None, plan: TripletPlan
) -> Iterator[TrainingPart]:
    """See `Triplet.tasks`."""
    if not stage.begun:
        warn_of_random_pictures(plan, problem)
    bundle = stage.bundle if stage.begun else new_bundle(plan.sizes, [problem], plan.settings.seed)
    bundle.to(pick(plan.settings.device))
    held = None if validation is None else Validation(*validation)
    reading = stage.reading()
    reads: dict[str, Any] = {"image_pad": reading.image_pad, "max_tokens": reading.max_tokens, "words": bundle.words}
    reads |= {"training": (problem, relevance), "validation": validation}
    if "filter" in plan.stages:
        tune = "filter" in plan.tune_images
        task = FilterTask(
            bundle, problem, relevance, reading, tune_images=tune, checkpointing=plan.checkpointing, validation=held
        )
        task.reads = {"tune_images": tune, **reads}
        yield "filter", task, plan.of("filter")
        bundle = stage.bundle
    if "dual" in plan.stages:
        dual = _dual_task(stage, bundle, problem, relevance, held, plan)
        listed = {"hard_negatives": plan.hard_negatives, "depth": plan.depth, "by stage I": "filter" in plan.stages}
        dual.reads = {"tune_images": "dual" in plan.tune_images, **reads, **listed, "stage I": bundle.filter}
        yield "dual", dual, plan.of("dual")
    bundle.filter.requires_grad_(True)


def _dual_task(
    stage: Triplet, bundle: Bundle, problem: Problem, relevance: Relevance, held: Validation | None, plan: TripletPlan
) -> DualTask:
    tune = "dual" in plan.tune_images
    if bundle.dual is None or (tune and bundle.dual.visual_encoder is None):
        if tune and bundle.filter.visual_encoder is None:
            raise InputError("'tune_images' needs an image encoder, and these weights have none")
        dual = dual_from_filter(bundle.filter, images=tune, seed=plan.of("dual").seed)
        bundle = replace(bundle, dual=dual.to(next(bundle.filter.parameters()).device))
    if held is not None and held.candidates is None:
        held = replace(held, candidates=_listed(stage, bundle, held.problem, plan))
    return DualTask(
        bundle,
        problem,
        relevance,
        stage.reading(),
        tune_images=tune,
        hard_negatives=plan.hard_negatives,
        candidates=_listed(stage, bundle, problem, plan) if plan.hard_negatives else None,
        checkpointing=plan.checkpointing,
        validation=held,
    )


def _listed(stage: Triplet, bundle: Bundle, problem: Problem, plan: TripletPlan) -> Ranking:
    """The candidates of every query: stage I's where it was just trained, else those of the problem's scores."""
    if "filter" not in plan.stages:
        return problem.ranking(plan.depth)
    queries, gallery = vectors(problem, Bundle(bundle.filter, None, bundle.words), stage.reading())
    return Problem.from_embeddings(queries, gallery, metric="dot").ranking(plan.depth)
