"""What a stage needs of a problem, as values: each can say what it is, whether a problem has it, and how to give it.

=========================  =====================================================================
``query_scores``           similarities among the queries
``gallery_scores``         similarities among the gallery items
``embeddings``             scores that are computed from vectors of both sides
``complete_scores``        a score for every pair, not top-k lists
``other_queries``          more than one query, where there is no bank
``query_bank``             other queries, known beforehand (`Problem.with_banks`)
``gallery_bank``           other gallery items, known beforehand
``query_bank:PART``        such a bank with `to_gallery`, `to_queries` or `among`; the same for ``gallery_bank``
``query_features:NAME``    a feature with one entry per query
``gallery_features:NAME``  a feature with one entry per gallery item
``…_features:ONE|OTHER``   either of the two
``extra_scores:NAME``      further scores between the same sides
``weights``                a fitted stage (`fit`, or `rerankit.load`)
=========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rerankit.errors import unknown_name
from rerankit.scores import EmbeddingScores

if TYPE_CHECKING:
    from rerankit.problem import Problem

_KNOWN = {
    "query_scores": (
        "similarities among the queries",
        "give Problem(…, query_scores=…), a (queries, queries) matrix, or use Problem.from_embeddings",
    ),
    "gallery_scores": (
        "similarities among the items",
        "give Problem(…, gallery_scores=…), a (gallery, gallery) matrix, or use Problem.from_embeddings",
    ),
    "embeddings": ("vectors of both sides", "use Problem.from_embeddings(queries, gallery), or give EmbeddingScores"),
    "complete_scores": (
        "a score for every pair, not lists",
        "give a matrix or embeddings; top-k lists leave most pairs without a score",
    ),
    "other_queries": (
        "other queries beside the one",
        "give a bank of queries (Problem(…, query_bank=…) or Gallery(…, bank=…)), or several queries; with lone='pass' "
        "one query keeps its order",
    ),
    "query_bank": (
        "a bank of queries",
        "give Problem(…, query_bank=rerankit.Bank(…)), other queries that are not under test",
    ),
    "gallery_bank": (
        "a bank of items",
        "give Problem(…, gallery_bank=rerankit.Bank(…)), other gallery items that are not under test",
    ),
    "weights": ("weights", "call its fit(…), or load a fitted one with rerankit.load(folder)"),
}
"""What is needed, and how to give it, of the kinds that have no names."""
_PLAIN: dict[str, Callable[[Problem], bool]] = {
    "query_scores": lambda problem: problem.query_scores is not None,
    "gallery_scores": lambda problem: problem.gallery_scores is not None,
    "embeddings": lambda problem: isinstance(problem.scores, EmbeddingScores),
    "complete_scores": lambda problem: problem.scores.complete,
    "other_queries": lambda problem: problem.shape[0] != 1,
    "query_bank": lambda problem: problem.query_bank is not None,
    "gallery_bank": lambda problem: problem.gallery_bank is not None,
}
BANKS = ("query_bank", "gallery_bank")
_FEATURES = ("query_features", "gallery_features")
_NAMED = (*BANKS, *_FEATURES, "extra_scores")
WEIGHTS = "weights"
OTHER_QUERIES = "other_queries"


class Needing(Protocol):
    """A stage, as far as its needs go."""

    @property
    def name(self) -> str:
        """The name by which errors call it."""

    @property
    def fitted(self) -> bool:
        """Whether it has weights."""


@dataclass(frozen=True)
class Need:
    """One need: its kind, and the names of which any one will do.

    >>> need = Need.of("query_features:text|reference")
    >>> need.kind, need.names, str(need)
    ('query_features', ('text', 'reference'), 'query_features:text|reference')
    >>> need.what
    "the feature 'text' or 'reference' of the queries"
    >>> need.how
    "give Problem(…, query_features={'text': …}), one entry for each item"
    """

    kind: str
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Need:
        """The need that a text names."""
        kind, _, names = text.partition(":")
        known = kind in _NAMED if names else kind in _KNOWN
        if not known or text.endswith(":"):
            raise unknown_name("need", text, [*_KNOWN, *(f"{each}:NAME" for each in _NAMED)])
        return cls(kind, tuple(names.split("|")) if names else ())

    @property
    def of_queries(self) -> bool:
        """Whether queries bring it with them, not a gallery."""
        return self.kind in ("query_features", "query_scores", "extra_scores", OTHER_QUERIES)

    @property
    def what(self) -> str:
        """What is needed, in the words of a reader."""
        if not self.names:
            return _KNOWN[self.kind][0]
        names = " or ".join(f"'{name}'" for name in self.names)
        if self.kind in BANKS:
            return f"{_KNOWN[self.kind][0]} with {names}"
        if self.kind == "extra_scores":
            return f"further scores {names}"
        return f"the feature {names} of the {'queries' if self.kind == 'query_features' else 'items'}"

    @property
    def how(self) -> str:
        """How to meet it."""
        if not self.names:
            return _KNOWN[self.kind][1]
        if self.kind in BANKS:
            return f"give Problem(…, {self.kind}=rerankit.Bank({self.names[0]}=…)), items that are not under test"
        what = "a matrix (queries, gallery)" if self.kind == "extra_scores" else "one entry for each item"
        return f"give Problem(…, {self.kind}={{'{self.names[0]}': …}}), {what}"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        """Whether a problem has it, or the stage itself."""
        if self.kind == WEIGHTS:
            return stage.fitted
        if not self.names:
            return _PLAIN[self.kind](problem)
        if self.kind in BANKS:
            bank = getattr(problem, self.kind)
            return any(getattr(bank, part, None) is not None for part in self.names)
        held = getattr(problem, self.kind)
        return any(name in held for name in self.names)

    def __str__(self) -> str:
        return f"{self.kind}:{'|'.join(self.names)}" if self.names else self.kind

    def __repr__(self) -> str:
        return f"Need.of('{self}')"


@dataclass(frozen=True, eq=False)
class Unmet:
    """A need of a stage that is not met; as text it says how to meet it."""

    stage: Needing
    need: Need
    why: str = ""
    """What is wrong, where it is something else than that nothing was given."""

    def __str__(self) -> str:
        return f"stage '{self.stage.name}' {self.why or f'needs {self.need}: {self.need.how}'}"
