"""Training both stages in turn through the shared loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rerankit.errors import InputError
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.checkpoint import dual_from_filter
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.examples import vocabulary_of
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.learning import DualTask, FilterTask, Validation
from rerankit.stages.triplet.plan import Plan
from rerankit.stages.triplet.representation import vectors
from rerankit.training import History, train
from rerankit.training.devices import pick

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
    return Bundle(network, None, words)


def fit(
    stage: Triplet,
    problem: Problem,
    relevance: Relevance,
    *,
    validation: tuple[Problem, Relevance] | None,
    plan: Plan,
    out: Path | None,
    resume: bool,
) -> dict[str, History]:
    """Train the stages of `plan` into the stage's networks; the histories by stage."""
    bundle = stage.bundle.to(pick(plan.settings.device))
    held = None if validation is None else Validation(*validation)
    data = {"training": (problem, relevance), "validation": validation, "words": bundle.words}
    histories: dict[str, History] = {}
    if "filter" in plan.stages:
        tune = "filter" in plan.tune_images
        task = FilterTask(
            bundle,
            problem,
            relevance,
            stage.reading(),
            tune_images=tune,
            checkpointing=plan.checkpointing,
            validation=held,
        )
        histories["filter"] = _train(task, plan, "filter", data, out, resume)
    if "dual" in plan.stages:
        histories["dual"] = _fit_dual(stage, bundle, problem, relevance, held, plan, data, out, resume)
    bundle.filter.requires_grad_(True)
    return histories


def _listed(stage: Triplet, bundle: Bundle, problem: Problem, plan: Plan) -> Ranking:
    """The candidates of every query: stage I's where it was just trained, else those of the problem's scores."""
    if "filter" not in plan.stages:
        return problem.ranking(plan.depth)
    queries, gallery = vectors(problem, Bundle(bundle.filter, None, bundle.words), stage.reading())
    return Problem.from_embeddings(queries, gallery, metric="dot").ranking(plan.depth)


def _train(
    task: FilterTask | DualTask, plan: Plan, stage: str, data: Mapping[str, Any], out: Path | None, resume: bool
) -> History:
    reading = {"image_pad": task.reading.image_pad, "max_tokens": task.reading.max_tokens}
    task.reads = {"tune_images": stage in plan.tune_images, **reading, **data}
    if isinstance(task, DualTask):
        task.reads |= {"hard_negatives": plan.hard_negatives, "depth": plan.depth, "stage I": task.filter}
        task.reads["stage I is trained"] = "filter" in plan.stages  # then hard negatives are from its vectors
    return train(task, plan.of(stage), None if out is None else out / stage, resume=resume)


def _fit_dual(
    stage: Triplet,
    bundle: Bundle,
    problem: Problem,
    relevance: Relevance,
    held: Validation | None,
    plan: Plan,
    data: Mapping[str, Any],
    out: Path | None,
    resume: bool,
) -> History:
    tune = "dual" in plan.tune_images
    if bundle.dual is None or (tune and bundle.dual.visual_encoder is None):
        if tune and bundle.filter.visual_encoder is None:
            raise InputError("'tune_images' needs an image encoder, and these weights have none")
        bundle.dual = dual_from_filter(bundle.filter, images=tune, seed=plan.of("dual").seed)
        bundle.dual.to(next(bundle.filter.parameters()).device)
    listed = _listed(stage, bundle, problem, plan) if plan.hard_negatives else None
    if held is not None and held.candidates is None:
        held = replace(held, candidates=_listed(stage, bundle, held.problem, plan))
    task = DualTask(
        bundle,
        problem,
        relevance,
        stage.reading(),
        tune_images=tune,
        hard_negatives=plan.hard_negatives,
        candidates=listed,
        checkpointing=plan.checkpointing,
        validation=held,
    )
    return _train(task, plan, "dual", data, out, resume)
