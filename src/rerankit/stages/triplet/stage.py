"""The triplet cross-encoder as a stage. Torch is imported when networks are made, not before."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.display import check_pattern, with_pictures
from rerankit.errors import NotFittedError
from rerankit.looks import Looks
from rerankit.pipelines.needs import WEIGHTS, Unmet
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.trainable import Judged
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.seams import promote
from rerankit.settings import parse_bytes
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.stages.triplet.reading import GIVEN, Reading
from rerankit.training.settings import PRECISIONS, TrainingSettings
from rerankit.training.trained import Trained, TrainingPart, seeded

if TYPE_CHECKING:
    from rerankit.stages.triplet.bundle import Bundle
    from rerankit.stages.triplet.packed import PackedScorer


class Triplet(Trained):
    """Re-ranks the candidates of composed queries by reading reference, text and candidate together.

    Stage I reads the text with the reference's image tokens into states z, whose first one is compared with every
    picture's vector. Stage II has two streams, f from z and g from the text t alone, that both look at a candidate's
    image tokens v; the score is h(f(z, v), g(t, v)), h two layers over the streams' first states.

    `budget` bounds the work, as "500 pairs" or "30 s": every query's most promising candidates come first, and
    those not scored stay behind in their order. `precision` is float32, bf16, fp16 or int8. `images` is where the
    picture of an item lies, for problems that know only ids ("data/{id}.png") or a task's own paths
    ("img_raw/{path}"). `cache` is a folder for image tokens, of at most `cache_bytes`. `on_error` "skip" leaves
    a query or candidate that cannot be read where it was; what was done stands in the ranking's notes under
    "triplet". See
    `rerankit.stages.triplet.representation` for the features it reads, `rerankit.stages.triplet.plan` for what
    `training` may hold.

    The scores that come in only choose the candidates. It loses where the texts do not say what is asked for: trained
    on such queries it ends below stage I.

    >>> Triplet(budget="500 pairs", precision="bf16")
    stage('triplet', budget='500 pairs', precision='bf16')
    """

    scaling = Scaling(shared="the weights of the network")
    name: ClassVar[str] = "triplet"
    extra: ClassVar[str] = "triplet"
    bitwise: ClassVar[bool] = False
    writes: ClassVar[tuple[str, ...]] = ("cache",)
    citation: ClassVar[str] = (
        "Liu, Sun, Hong, Teney, Gould: Candidate Set Re-ranking for Composed Image Retrieval with Dual "
        "Multi-modal Encoder. TMLR 2024."
    )

    def __init__(
        self,
        *,
        budget: str | int | None = None,
        precision: str = "float32",
        device: str = "auto",
        on_error: str = "raise",
        images: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | str = "20GB",
        image_pad: str = "target",
        image_batch_size: int = 8,
        max_tokens: int = 40,
        training: Mapping[str, Any] | TripletPlan | None = None,
    ) -> None:
        self.budget = _checked_budget(budget)
        self.precision = checks.choice("precision", precision, (*PRECISIONS, "int8"))
        self.device = device
        self.on_error = checks.choice("on_error", on_error, ("raise", "skip"))
        self.images = check_pattern("images", images)
        self.cache = cache
        parse_bytes(cache_bytes, "cache_bytes")
        self.cache_bytes = cache_bytes
        self.image_pad = checks.choice("image_pad", image_pad, ("target", "none"))
        self.image_batch_size = checks.integer("image_batch_size", image_batch_size, least=1)
        self.max_tokens = checks.integer("max_tokens", max_tokens, least=3)
        self.training = training.to_dict() if isinstance(training, TripletPlan) else training
        TripletPlan.from_dict(self.training)
        self._bundle: Bundle | None = None
        self._scorer: PackedScorer | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return (
            "weights",
            "query_features:text|text_ids",
            "query_features:reference_images|reference_tokens",
            "gallery_features:candidate_images|candidate_tokens",
        )

    def looks_at(self, problem: Problem | None = None) -> Looks:
        """With a budget, which the queries share, a query's answer depends on how many there are."""
        return super().looks_at(problem) | Looks(queries=self.budget is not None)

    def unmet(self, problem: Problem) -> list[Unmet]:
        faults = super().unmet(self.completed(problem))
        why = "" if self._bundle is None else self._bundle.lacks
        return [replace(each, why=why) if each.need.kind == WEIGHTS else each for each in faults]

    def completed(self, problem: Problem) -> Problem:
        """The problem with pictures of its items, where `images` says where these lie."""
        return problem if self.images is None else with_pictures(problem, self.images, but=GIVEN)

    # -- weights ---------------------------------------------------------------------------------------------

    @property
    def bundle(self) -> Bundle:
        """Both networks and the vocabulary."""
        if self._bundle is None:
            raise NotFittedError(
                "stage 'triplet' has no weights: fit it, load a saved one, or import a checkpoint with "
                "rerankit.stages.triplet.published"
            )
        return self._bundle

    def with_bundle(self, bundle: Bundle) -> Triplet:
        """This stage with other networks."""
        copy = type(self)(**self.get_params())
        copy._bundle = bundle
        return copy

    @property
    def begun(self) -> bool:
        """Whether there are weights, if only of stage I."""
        return self._bundle is not None

    @property
    def fitted(self) -> bool:
        return self._bundle is not None and self._bundle.dual is not None

    def get_weights(self) -> dict[str, AnyArray]:
        return {} if self._bundle is None else self._bundle.to_arrays()

    def set_weights(self, weights: dict[str, AnyArray]) -> None:
        from rerankit.stages.triplet.bundle import Bundle

        self._bundle, self._scorer = seeded(0, partial(Bundle.from_arrays, weights)), None

    def training_settings(self) -> TrainingSettings:
        """What holds for both stages unless `training` says otherwise for one."""
        return TripletPlan.from_dict(self.training).settings

    def tasks(
        self, problem: Problem, relevance: Relevance, validation: Judged | None, settings: TrainingSettings
    ) -> Iterator[TrainingPart]:
        """Stage I, stage II or both, as the parameter `training` says; the first figure is R@1.

        A stage without weights starts from random ones, with the vocabulary of the training texts. Hard
        negatives come from stage I if it is trained here, else from the problem's scores.
        """
        from rerankit.stages.triplet.fitting import tasks

        held = None if validation is None else (self.completed(validation[0]), validation[1])
        plan = replace(TripletPlan.from_dict(self.training), settings=settings)
        return tasks(self, self.completed(problem), relevance, held, plan)

    def take(self, part: str, task: Any) -> None:
        trained = part == "filter" or task.bundle.filter_trained
        self._bundle, self._scorer = replace(task.bundle, filter_trained=trained), None

    # -- ranking ---------------------------------------------------------------------------------------------

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        from rerankit.stages.triplet.budget import Budget
        from rerankit.stages.triplet.representation import check_candidates, image_source, read_queries
        from rerankit.stages.triplet.scoring import PairScorer, score_within

        started = time.monotonic()
        bundle, reading, scorer = self._ready()
        problem = self.completed(problem)
        source = image_source(problem, "candidate", bundle, reading)
        gone = check_candidates(source, ranking.indices[ranking.mask], reading)
        queries = read_queries(problem, bundle, reading)
        within = ranking.indices[queries.rows]
        fresh, report = score_within(
            PairScorer(scorer, queries.states, source), within, Budget.parse(self.budget), started
        )
        scores = np.full(ranking.shape, np.nan, np.float32)
        scores[queries.rows] = fresh
        report["candidate_pairs"] = int(ranking.mask.sum())
        report["seconds"] = round(time.monotonic() - started, 3)
        report["skipped_queries"] = queries.skipped
        report["skipped_candidates"] = gone.tolist()
        return promote(ranking, scores).with_notes(triplet=report)

    def first_stage(
        self, query_features: Mapping[str, Any], gallery_features: Mapping[str, Any] | None = None, **rest: Any
    ) -> Problem:
        """A problem whose scores are stage I's, from query and gallery features; `rest` goes to `Problem`."""
        from rerankit.stages.triplet.first import first_stage

        return first_stage(self, query_features, gallery_features, **rest)

    def _ready(self) -> tuple[Bundle, Reading, PackedScorer]:
        from rerankit.stages.triplet.packed import PackedScorer
        from rerankit.training.devices import pick

        bundle = self.bundle.to(pick(self.device))
        if bundle.dual is None:
            raise NotFittedError(f"stage 'triplet' {bundle.lacks}")
        if self._scorer is None:
            self._scorer = PackedScorer(bundle.dual, self.precision)
        return bundle, self.reading(), self._scorer

    def reading(self) -> Reading:
        """The parameters that concern input."""
        return Reading(
            on_error=self.on_error,
            cache=None if self.cache is None else os.fspath(self.cache),
            cache_bytes=self.cache_bytes,
            image_pad=self.image_pad,
            image_batch_size=self.image_batch_size,
            max_tokens=self.max_tokens,
            images=self.images,
        )


def _checked_budget(budget: str | int | None) -> str | int | None:
    from rerankit.stages.triplet.budget import Budget

    Budget.parse(budget)
    return budget
