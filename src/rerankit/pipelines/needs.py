"""What a stage needs of a problem, as values: each can say what it is, whether a problem has it, and how to give it.

=========================  =====================================================================
``query_scores``           similarities among the queries
``gallery_scores``         similarities among the gallery items
``embeddings``             scores that are computed from vectors of both sides
``complete_scores``        a score for every pair, not top-k lists
``other_queries``          more than one query, where there is no bank
``query_bank``             other queries, known beforehand (`Problem.with_banks`)
``gallery_bank``           other gallery items, known beforehand
``query_bank:PART``        such a bank with `to_gallery`, `to_queries` or `to_bank`; the same for ``gallery_bank``
``query_features:NAME``    a feature with one entry per query
``gallery_features:NAME``  a feature with one entry per gallery item
``…_features:ONE|OTHER``   either of the two
``extra_scores:NAME``      further scores between the same sides
``weights``                a fitted stage (`fit`, or `rerankit.load`)
=========================  =====================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from rerankit.errors import unknown_name
from rerankit.plugins import manager
from rerankit.scores import EmbeddingScores

if TYPE_CHECKING:
    from rerankit.problem import Problem

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


class NeedWord(ABC):
    """A word for something that a stage can need; a plugin has more of them (`rerankit_register_needs`)."""

    what: ClassVar[str]
    """What it is, in the words of a reader."""
    how: ClassVar[str]
    """How to give it."""
    of_queries: ClassVar[bool] = False
    """Whether it comes with the queries, and not with the gallery."""

    @abstractmethod
    def is_met(self, problem: Problem, stage: Needing) -> bool:
        """Whether a problem has it, or the stage itself."""


class QueryScores(NeedWord):
    what = "similarities among the queries"
    how = "give Problem(…, query_scores=…), a (queries, queries) matrix, or use Problem.from_embeddings"
    of_queries = True

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return problem.query_scores is not None


class GalleryScores(NeedWord):
    what = "similarities among the items"
    how = "give Problem(…, gallery_scores=…), a (gallery, gallery) matrix, or use Problem.from_embeddings"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return problem.gallery_scores is not None


class Embeddings(NeedWord):
    what = "vectors of both sides"
    how = "use Problem.from_embeddings(queries, gallery), or give EmbeddingScores"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return isinstance(problem.scores, EmbeddingScores)


class CompleteScores(NeedWord):
    what = "a score for every pair, not lists"
    how = "give a matrix or embeddings; top-k lists leave most pairs without a score"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return problem.scores.complete


class QueryBank(NeedWord):
    what = "a bank of queries"
    how = "give Problem(…, query_bank=rerankit.Bank(…)), other queries that are not under test"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return problem.query_bank is not None


class GalleryBank(NeedWord):
    what = "a bank of items"
    how = "give Problem(…, gallery_bank=rerankit.Bank(…)), other gallery items that are not under test"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return problem.gallery_bank is not None


class OtherQueries(NeedWord):
    what = "other queries than the one"
    how = (
        "give a bank of queries (Problem(…, query_bank=…) or Gallery(…, bank=…)), or several queries; with lone='pass' "
        "one query keeps its order"
    )
    of_queries = True

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return problem.shape[0] != 1


class Weights(NeedWord):
    what = "weights"
    how = "call its fit(…), or load a fitted one with rerankit.load(folder)"

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        return stage.fitted


@dataclass(frozen=True)
class Need:
    """One need: its kind, and the names of which any one will do.

    >>> need = Need.of("query_features:text|reference")
    >>> need.kind, need.names, str(need)
    ('query_features', ('text', 'reference'), 'query_features:text|reference')
    >>> need.what
    "the feature 'text' or 'reference' of the queries"
    >>> need.how
    "give Problem(…, query_features={'text': …}), one entry for each query"
    """

    kind: str
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Need:
        """The need that a text names."""
        kind, _, names = text.partition(":")
        known = kind in _NAMED if names else kind in manager().needs
        if not known or text.endswith(":"):
            raise unknown_name("need", text, [*manager().needs, *(f"{each}:NAME" for each in _NAMED)])
        return cls(kind, tuple(names.split("|")) if names else ())

    @property
    def of_queries(self) -> bool:
        """Whether it comes with the queries, and not with the gallery."""
        return self._word.of_queries if not self.names else self.kind in ("query_features", "extra_scores")

    @property
    def _word(self) -> NeedWord:
        """The word that its kind is, or begins with."""
        made: NeedWord = manager().needs.entry(self.kind).make()
        return made

    @property
    def what(self) -> str:
        """What is needed, in the words of a reader."""
        if not self.names:
            return self._word.what
        names = " or ".join(f"'{name}'" for name in self.names)
        if self.kind in BANKS:
            return f"{self._word.what} with {names}"
        if self.kind == "extra_scores":
            return f"further scores {names}"
        return f"the feature {names} of the {'queries' if self.kind == 'query_features' else 'items'}"

    @property
    def how(self) -> str:
        """How to meet it."""
        if not self.names:
            return self._word.how
        if self.kind in BANKS:
            return f"give Problem(…, {self.kind}=rerankit.Bank({self.names[0]}=…)), items that are not under test"
        what = {"extra_scores": "a matrix (queries, gallery)", "query_features": "one entry for each query"}.get(
            self.kind, "one entry for each item"
        )
        return f"give Problem(…, {self.kind}={{'{self.names[0]}': …}}), {what}"

    @property
    def how_standing(self) -> str:
        """How to meet it where a gallery stands ready."""
        known = _STANDING.get(str(self)) or _STANDING.get(self.kind)
        return self.how if known is None else known.format(name=self.names[0] if self.names else "")

    def is_met(self, problem: Problem, stage: Needing) -> bool:
        """Whether a problem has it, or the stage itself."""
        if not self.names:
            with manager().needs.entry(self.kind).blamed("failed"):
                return self._word.is_met(problem, stage)
        if self.kind in BANKS:
            bank = getattr(problem, self.kind)
            return any(getattr(bank, part, None) is not None for part in self.names)
        held = getattr(problem, self.kind)
        return any(name in held for name in self.names)

    def __str__(self) -> str:
        return f"{self.kind}:{'|'.join(self.names)}" if self.names else self.kind

    def __repr__(self) -> str:
        return f"Need.of('{self}')"


_STANDING = {
    "embeddings": "give Gallery(vectors), and queries as vectors",
    "query_scores": "give queries as vectors",
    "gallery_scores": "give Gallery(vectors), or Gallery.from_scores(gallery_scores=…)",
    "complete_scores": "give queries as vectors, or rows of scores=…, not candidates alone",
    "query_bank": "give Gallery(vectors, bank=vectors), or Gallery.from_scores(bank=Bank(to_gallery=…, to_bank=…))",
    "query_bank:to_queries": "give bank_scores=…, the query's similarities to the bank, (queries, bank)",
    "gallery_bank": "give Gallery(…, gallery_bank=Bank(…))",
    "query_features": "give features={{'{name}': …}} with the query, one entry for each query",
    "gallery_features": "give Gallery(…, features={{'{name}': …}}), one entry for each item",
    "extra_scores": "give extra_scores={{'{name}': …}} with the query, a matrix (queries, gallery)",
}
"""How to meet needs where a gallery stands ready."""


@dataclass(frozen=True, eq=False)
class Unmet:
    """A need of a stage that is not met; as text it says how to meet it."""

    stage: Needing
    need: Need
    why: str = ""
    """What is wrong, where it is something else than that nothing was given."""

    def __str__(self) -> str:
        return f"stage '{self.stage.name}' {self.why or f'needs {self.need}: {self.need.how}'}"

    @property
    def standing(self) -> str:
        """The same where a gallery stands ready."""
        return str(self) if self.why else f"stage '{self.stage.name}' needs {self.need}: {self.need.how_standing}"
