"""MaxSim: for each token of the query its best token of the item, added up."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.errors import InputError, rule, several
from rerankit.features import Feature, Tokens
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages.maxsim.kernel import maxsim
from rerankit.stages.maxsim.packed import Packed

ENGINES = ("numpy", "torch")


class MaxSim(Stage):
    """Scores candidates by late interaction: Σ over the query's tokens of the highest inner product with the item's.

    Both sides have a feature of tokens, arrays (T, d) of any T for each item, of any float type, as they come from
    sentence-transformers' `MultiVectorEncoder` (`encode_query`, `encode_document`), PyLate or ColPali; a memory map of
    padded tokens is read where it is needed. `mean` divides by the number of the query's tokens, which changes no
    order. `engine` "torch" works on `device`. Tokens are compared as they are: normalise them for cosines.

    The scores that come in only choose the candidates. It loses where the first stage knows what the tokens do not
    (rare words, say): `fuse` joins both.

    >>> from rerankit import Problem, rerank
    >>> tokens = {"tokens": [np.eye(2), np.eye(2)[:1]]}
    >>> problem = Problem([[0.1, 0.2]], query_features={"tokens": [np.eye(2)]}, gallery_features=tokens)
    >>> rerank(problem, "maxsim").to_dict()
    {0: {0: 2.0, 1: 1.0}}
    """

    scaling = Scaling()
    name: ClassVar[str] = "maxsim"
    citation: ClassVar[str] = "Khattab, Zaharia: ColBERT. SIGIR 2020."
    bitwise: ClassVar[bool] = False  # products of matrices round with their sizes

    def __init__(
        self, feature: str = "tokens", *, mean: bool = False, engine: str = "numpy", device: str = "auto"
    ) -> None:
        if not isinstance(feature, str) or not feature:
            raise rule("feature", "must be the name of a feature of both sides", feature)
        self.feature = feature
        self.mean = checks.boolean("mean", mean)
        self.engine = checks.choice("engine", engine, ENGINES)
        self.device = device

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"query_features:{self.feature}", f"gallery_features:{self.feature}")

    def rescore(self, problem: Problem, ranking: Ranking) -> AnyArray:
        queries = self._packed(problem.query_features[self.feature], np.arange(len(ranking)), "query")
        wanted = np.unique(ranking.indices[ranking.mask])
        items = self._packed(problem.gallery_features[self.feature], wanted, "gallery")
        if queries.width != items.width:
            shown = f"{queries.width} and {items.width}"
            raise InputError(f"stage '{self.name}': tokens of both sides must have one width (got {shown})")
        if self.engine == "torch":
            from rerankit.stages.maxsim.kernel_torch import maxsim_torch

            scores = maxsim_torch(queries, items, ranking.indices, self.device)
        else:
            scores = maxsim(queries, items, ranking.indices)
        return scores / queries.counts[:, None].astype(np.float32) if self.mean else scores

    def _packed(self, feature: Feature, rows: AnyArray, side: str) -> Packed:
        """The tokens of some items, none of which may be without."""
        if not isinstance(feature, Tokens):
            raise InputError(f"stage '{self.name}': {side} feature '{self.feature}' must be tokens (got {feature!r})")
        packed = Packed(feature)
        empty = rows[packed.counts[rows] == 0]
        if len(empty):
            shown = several("without", empty.tolist(), len(rows))
            raise InputError(f"stage '{self.name}': every {side} item must have tokens (got {shown})")
        return packed
