"""Two sides of items with what lies between them: the parts of a problem."""

from __future__ import annotations

from rerankit.bank import Bank
from rerankit.features import Feature
from rerankit.ids import Ids
from rerankit.pairs import Pairs
from rerankit.scores import DenseScores, EmbeddingScores, Scores
from rerankit.sides import Side, SideName
from rerankit.values import Named, Value


class TwoSides(Value):
    """Scores between two sides, with what is known of both. `Problem` makes, checks and uses them."""

    scores: Scores
    queries: Side
    """The items of the rows."""
    gallery: Side
    """The items of the columns."""
    extra_scores: Named[Scores]
    """Further scores between the same sides, by name."""
    excluded: Pairs | None
    """Items left out of a query's gallery, or None."""

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, gallery)."""
        return self.queries.size, self.gallery.size

    @property
    def query_ids(self) -> Ids | None:
        """The ids of the queries, or None."""
        return self.queries.ids

    @property
    def gallery_ids(self) -> Ids | None:
        """The ids of the gallery items, or None."""
        return self.gallery.ids

    @property
    def query_scores(self) -> Scores | None:
        """Similarities among the queries (queries, queries), or None; computed when embeddings are known."""
        return self.queries.scores

    @property
    def gallery_scores(self) -> Scores | None:
        """Similarities among the gallery items (gallery, gallery), or None."""
        return self.gallery.scores

    @property
    def query_bank(self) -> Bank | None:
        """Other queries, known beforehand and not under test, or None."""
        return self.queries.bank

    @property
    def gallery_bank(self) -> Bank | None:
        """Other gallery items, known beforehand and not under test, or None."""
        return self.gallery.bank

    @property
    def embeddings(self) -> EmbeddingScores | None:
        """The scores as embeddings when all relations come from them alone; None when any matrix was given."""
        alone = self.queries.computed and self.gallery.computed
        return self.scores if alone and isinstance(self.scores, EmbeddingScores) else None

    @property
    def query_features(self) -> Named[Feature]:
        """Features of the queries by name."""
        return self.queries.features

    @property
    def gallery_features(self) -> Named[Feature]:
        """Features of the gallery items by name."""
        return self.gallery.features

    def __repr__(self) -> str:
        sides: dict[SideName, Side] = {"query": self.queries, "gallery": self.gallery}
        given = [f"{name}_scores" for name, side in sides.items() if side.scores is not None and not side.computed]
        given += [f"{name}_bank" for name, side in sides.items() if side.bank is not None]
        given += [f"{name} (extra scores)" for name in self.extra_scores]
        given += [f"{feature} ({name})" for name, side in sides.items() for feature in side.features]
        given += [] if self.excluded is None else [f"{len(self.excluded)} pairs left out"]
        kind = EmbeddingScores if isinstance(self.scores, EmbeddingScores) else type(self.scores)
        form = "" if kind is DenseScores else f", {kind.__name__}"
        extra = f", with {', '.join(given)}" if given else ""
        return f"Problem({self.shape[0]} queries × {self.shape[1]} items{form}{extra})"
