"""Prepared: a stage with what it keeps of a gallery, which answers queries by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.problem import Problem
    from rerankit.ranking import Ranking
    from rerankit.stages.base import Stage


class Prepared:
    """What `Stage.prepare` returns: `rerank` answers queries of the gallery, in blocks of any size.

    This one keeps the gallery alone, and runs the whole stage for every block of queries. A stage whose work has a part
    that depends on the gallery and its bank alone returns a subclass that has done that part.
    """

    def __init__(self, stage: Stage, gallery: Gallery) -> None:
        self.stage, self.gallery = stage, gallery

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The candidates of queries of this gallery in a new order."""
        return self.stage.rerank(problem, ranking)

    def __repr__(self) -> str:
        return f"prepared {self.stage!r}"
