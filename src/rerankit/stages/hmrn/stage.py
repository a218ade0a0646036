"""The hierarchical scorer as a stage. Torch is imported when networks are made, not before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.errors import NotFittedError, rule
from rerankit.features import Regions, Tokens
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.trainable import Judged
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.hmrn.config import PUBLISHED, VARIANTS, HmrnConfig, checked_cascade, checked_rounds
from rerankit.stages.hmrn.representation import Descriptions, as_descriptions
from rerankit.stages.hmrn.tokens import Vocabulary
from rerankit.stages.hmrn.weights import arrays_of, chosen_in, network_in, vocabulary_in
from rerankit.threads import first_use
from rerankit.training.settings import TrainingSettings
from rerankit.training.trained import Trained, TrainingPart

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.stages.hmrn.cascade import CascadeCurve
    from rerankit.stages.hmrn.fast import Encoding
    from rerankit.stages.hmrn.network import Hmrn
    from rerankit.stages.hmrn.scoring import RoundScores, Scorer


class HmrnStage(Trained):
    """Re-ranks images by several short descriptions of their regions, given round by round.

    After t descriptions a picture's score is a · local + b · global + c · w(t) · reasoning, with a, b and c the three
    `…_weight` and w(t) = t (t + 1) / (n (n + 1)), n `full_rounds`, to two places and at most 1. Local compares regions
    with descriptions, global the whole picture with the whole search, and reasoning reads its share out of a graph
    with a node for each description and one for the whole.

    Features: `regions` of the gallery, (images, R, D_in) or `Regions` when R varies, and `text` of the
    searches: texts, token ids (searches, T, L), or vectors (searches, T, dim). Plain arrays that are padded come
    with `region_counts`, `text_counts` or `text_lengths`. `variant` is "I-T", "T-I" or "ensemble". `rounds`
    is "last", the number of rounds to use, or "all": `rerank` then gives the last one's ranking, and in its notes the
    ranking after each; `rerank_rounds` gives those alone and `score_candidates` every level.

    `cascade`: the reasoning level runs for that many candidates only, the best by the cheap levels; None
    runs it for all; "auto" is chosen in `fit`, as the smallest that loses at most `loss_bound` of R@1 on validation.
    `on_error` "skip" leaves out descriptions without a known word, which are else refused. `products` says how matrix
    products round their factors when scoring: "float32" not at all, "tf32" as CUDA devices can, "bf16" as CPUs can.
    `encoded` "float16" rounds encoded regions to half precision: a gallery that stands ready keeps half as much.

    It helps where each description fits many pictures and together they fit one; after a single description there is
    nothing to reason about, and an ensemble loses against the better of its two networks where the other is much worse.

    >>> HmrnStage(variant="T-I", dim=64)
    stage('hmrn', variant='T-I', dim=64)
    """

    scaling = Scaling("its regions as the networks encode them", "every picture through the region encoders")
    name: ClassVar[str] = "hmrn"
    extra: ClassVar[str] = "hmrn"
    bitwise: ClassVar[bool] = False
    citation: ClassVar[str] = (
        "Ji, Li, Zhang, Wang, Pang, Li: Hierarchical Matching and Reasoning for Multi-Query Image Retrieval. "
        "Neural Networks 2024."
    )

    def __init__(
        self,
        variant: str = "I-T",
        *,
        rounds: str | int = "last",
        cascade: int | str | None = 100,
        loss_bound: float = 0.002,
        dim: int = 256,
        reasoning_dim: int = 256,
        steps: int = 3,
        region_slots: int = 36,
        word_dim: int = 300,
        text_model: str | None = None,
        least_count: int = 1,
        region_temperature: float = 5.0,
        query_temperature: float = 15.0,
        local_weight: float = 0.6,
        global_weight: float = 0.1,
        reasoning_weight: float = 0.3,
        full_rounds: int = 10,
        scale: float = 40.0,
        dropout: float = 0.4,
        on_error: str = "raise",
        device: str = "auto",
        products: str = "float32",
        encoded: str = "float32",
    ) -> None:
        self.variant = checks.choice("variant", variant, (*VARIANTS, "ensemble"))
        self.rounds = checked_rounds(rounds)
        self.cascade = checked_cascade(cascade)
        self.loss_bound = checks.number("loss_bound", loss_bound, least=0, most=1)
        self.dim, self.reasoning_dim, self.steps = dim, reasoning_dim, steps
        self.region_slots, self.word_dim, self.text_model = region_slots, word_dim, text_model
        self.least_count = checks.integer("least_count", least_count, least=1)
        self.region_temperature, self.query_temperature = region_temperature, query_temperature
        self.local_weight, self.global_weight = local_weight, global_weight
        self.reasoning_weight, self.full_rounds = reasoning_weight, full_rounds
        self.scale, self.dropout = scale, dropout
        self.on_error = checks.choice("on_error", on_error, ("raise", "skip"))
        self.device = device
        self.products = checks.choice("products", products, ("float32", "tf32", "bf16"))
        self.encoded = checks.choice("encoded", encoded, ("float32", "float16"))
        for one in self.variants:
            self.config_for(one)
        self._networks: dict[str, Hmrn] = {}
        self._vocabulary: Vocabulary | None = None
        self._chosen: int | None = None
        self._scorer: Scorer | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants of the networks: one, or both for the ensemble."""
        return VARIANTS if self.variant == "ensemble" else (self.variant,)

    def config_for(self, variant: str, **sizes: int) -> HmrnConfig:
        """The network's configuration by this stage's parameters; `sizes` are those read off the data."""
        own = {name: getattr(self, name) for name in SHARED}
        return HmrnConfig.from_dict({**own, "variant": variant, **sizes})

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_features:regions", "query_features:text", "weights")

    # -- weights ---------------------------------------------------------------------------------------------

    @property
    def fitted(self) -> bool:
        return all(variant in self._networks for variant in self.variants)

    @property
    def networks(self) -> list[Hmrn]:
        """The fitted networks, one for each variant."""
        if not self.fitted:
            raise NotFittedError(
                "stage 'hmrn' has no weights: fit it, load a saved one, or import a checkpoint with "
                "rerankit.stages.hmrn.published"
            )
        return [self._networks[variant] for variant in self.variants]

    @property
    def networks_by_variant(self) -> dict[str, Hmrn]:
        """The networks there are, by variant."""
        return dict(self._networks)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words of the text encoder, when they are known."""
        return self._vocabulary

    def with_networks(self, networks: Iterable[Hmrn], vocabulary: Vocabulary | None = None) -> HmrnStage:
        """This stage with these networks, one for each of its variants or none, and the words of their text encoder."""
        found = {network.config.variant: network for network in networks}
        if found and tuple(found) != self.variants:
            raise rule("networks", f"must be of the variants {', '.join(self.variants)}", ", ".join(found))
        copy = type(self)(**self.get_params())
        copy._networks, copy._vocabulary, copy._chosen = found, vocabulary, self._chosen
        return copy

    def get_weights(self) -> dict[str, AnyArray]:
        return arrays_of(self._networks, self._vocabulary, self._chosen) if self.fitted else {}

    def set_weights(self, weights: dict[str, AnyArray]) -> None:
        from rerankit.stages.hmrn.checkpoint import network_from_arrays

        self._networks = {one: network_from_arrays(*network_in(weights, one)) for one in self.variants}
        self._vocabulary, self._chosen, self._scorer = vocabulary_in(weights), chosen_in(weights), None

    # -- scoring ---------------------------------------------------------------------------------------------

    @property
    def scorer(self) -> Scorer:
        """The networks on their device, ready to score; made once, whichever thread asks first."""
        with first_use:
            if self._scorer is None:
                from rerankit.stages.hmrn.scoring import Scorer

                self._scorer = Scorer(self.networks, self.device, self.products, half=self.encoded == "float16")
            return self._scorer

    def depth(self, items: int) -> int:
        """For how many of `items` candidates the reasoning level runs."""
        if self.cascade == "auto" and self._chosen is None:
            raise NotFittedError("'cascade' is 'auto': fit the stage with validation, or give a number")
        chosen = self._chosen if self.cascade == "auto" else self.cascade
        return items if chosen is None else min(int(chosen), items)

    def read(
        self, query_features: Mapping[str, Any], gallery_features: Mapping[str, Any]
    ) -> tuple[Regions, Descriptions]:
        """The regions and the descriptions of both sides' features, checked."""
        return self.read_regions(gallery_features), self.read_searches(query_features)

    def read_regions(self, gallery_features: Mapping[str, Any]) -> Regions:
        """The regions of the gallery's features, checked."""
        shown, counts = gallery_features["regions"], gallery_features.get("region_counts")
        if isinstance(shown, Tokens):
            counts = shown.counts if counts is None else counts
            return Regions([*shown] if shown.ragged else shown.padded(), counts=counts)
        return shown if isinstance(shown, Regions) else Regions(shown, counts=counts)

    def read_searches(self, query_features: Mapping[str, Any]) -> Descriptions:
        """The descriptions of the queries' features, checked."""
        texts = query_features["text"]
        lengths, turns = query_features.get("text_lengths"), query_features.get("text_counts")
        words = None if isinstance(texts, Descriptions) else self._words()
        return as_descriptions(texts, words, lengths=lengths, counts=turns, on_error=self.on_error)

    def _words(self) -> Any:
        if self.text_model is None:
            return self._vocabulary
        from rerankit.stages.hmrn.transformer import ModelTokens

        return ModelTokens(self.text_model)

    def prepare(self, gallery: Gallery) -> Prepared:
        from rerankit.stages.hmrn.standing import Encoded

        return Encoded.of(self, gallery)

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        from rerankit.stages.hmrn.standing import Encoded

        return Encoded(self, gallery, state.arrays)

    def reorder(self, problem: Problem, ranking: Ranking, encoded: Encoding | None = None) -> Ranking:
        """The candidates after the last of `rounds`; with "all", the notes hold the ranking after each. `encoded` gives
        pictures that are encoded already.
        """
        by_round = self.rerank_rounds(problem, ranking, encoded)
        last = by_round[-1]
        return last.with_notes(hmrn={**last.notes["hmrn"], "by_round": by_round}) if self.rounds == "all" else last

    def rerank_rounds(self, problem: Problem, ranking: Ranking, encoded: Encoding | None = None) -> list[Ranking]:
        """One ranking of the same candidates for each of `rounds`, in their order."""
        from rerankit.stages.hmrn.candidates import candidate_rankings

        self.check(problem)
        depth, size = self.depth(ranking.shape[1]), ranking.shape[1]
        scores = self.score_candidates(problem, ranking, encoded)
        made = candidate_rankings(scores, self.scorer.config, ranking)
        done = {"reasoned": depth, "candidates": size}
        return [one.with_notes(hmrn={**done, "rounds": t}) for one, t in zip(made, scores.rounds, strict=True)]

    def score_candidates(self, problem: Problem, ranking: Ranking, encoded: Encoding | None = None) -> RoundScores:
        """Every level and the joint score of `ranking.indices` after each of `rounds`, (rounds, queries, K) each.

        nan stands at padding, and for the reasoning level and the joint score where the cascade does not go.
        """
        from rerankit.stages.hmrn.candidates import candidate_scores, encoded_once

        queries = self.read_searches(problem.query_features)
        if encoded is None:
            encoded = encoded_once(self.scorer, self.read_regions(problem.gallery_features), ranking.indices)
        rounds = self.scorer.rounds(self.rounds, queries.shape[1])
        depth = self.depth(ranking.shape[1])
        return candidate_scores(self.scorer, encoded, queries, ranking.indices, rounds, depth)

    # -- fitting ---------------------------------------------------------------------------------------------

    def training_settings(self) -> TrainingSettings:
        """How this stage is trained by default: as published."""
        return PUBLISHED

    def tasks(
        self, problem: Problem, relevance: Relevance, validation: Judged | None, settings: TrainingSettings
    ) -> Iterator[TrainingPart]:
        """A network of each variant on the relevant pairs; with `validation` the cascade is chosen when it is "auto".

        A search may have more descriptions than `full_rounds`: they are shuffled and the first are kept, again
        in every epoch. The vocabulary is built from the texts of `problem`, when they are texts and there is none yet.
        """
        from rerankit.stages.hmrn.fitting import tasks

        return tasks(self, problem, relevance, validation, settings)

    def take(self, part: str, task: Any) -> None:
        self._networks = {**self._networks, part: task.model.eval()}
        self._vocabulary, self._scorer, self._chosen = task.vocabulary, None, None

    def choose(self, curve: CascadeCurve) -> None:
        """Take the smallest depth of the cascade that loses at most `loss_bound`."""
        self._chosen = curve.smallest(self.loss_bound)


# Parameters of the stage that decide a network's shape and arithmetic.
SHARED = (
    "dim", "reasoning_dim", "steps", "region_slots", "word_dim", "text_model", "region_temperature",
    "query_temperature", "local_weight", "global_weight", "reasoning_weight", "full_rounds", "scale", "dropout",
)  # fmt: skip
