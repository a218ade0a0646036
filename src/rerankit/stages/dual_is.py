"""dual-is: inverted softmax against other queries and against other gallery items."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.errors import InputError
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._passes import column_softmax_level


class DualIS(BankStage):
    """Inverted softmax with two banks: an item is a hub when many queries, or many items, lie near it.

    The score is s − ½ (level of the item among the queries at `beta`) − ½ (its level among gallery items at
    `gallery_beta`), each level a (1/β) log mean exp(β s). `gallery` says which items: those of the gallery under test
    (``"gallery"``, from `gallery_scores`) or those of the problem's `gallery_bank` (``"bank"``). It helps most where
    the gallery is dense in places; a gallery bank of another domain loses, and so do galleries full of near-duplicates.

    >>> from rerankit import Problem, rerank
    >>> near = [[1, 0.1, 0.9], [0.1, 1, 0.1], [0.9, 0.1, 1]]
    >>> problem = Problem([[0.9, 0.85, 0.3], [0.2, 0.1, 0.2]], gallery_scores=near)
    >>> rerank(problem, "dual-is", gallery_beta=2, k=2).indices[0]
    array([1, 0])
    """

    name = "dual-is"
    citation = "Wang et al., Balance act: mitigating hubness with query and gallery banks (EMNLP 2023)"

    def __init__(
        self, beta: float = 20.0, gallery_beta: float = 20.0, gallery: str = "gallery", bank: Any = None
    ) -> None:
        self.beta = checks.number("beta", beta, above=0)
        self.gallery_beta = checks.number("gallery_beta", gallery_beta, above=0)
        self.gallery = checks.choice("gallery", gallery, ("gallery", "bank"))
        self.bank = check_bank(bank)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_scores",) if self.gallery == "gallery" else ("gallery_bank",)

    def unmet(self, problem: Problem) -> list[str]:
        faults = super().unmet(problem)
        bank = problem.gallery_bank
        if self.gallery == "bank" and bank is not None and bank.to_gallery is None:
            faults.append(f"stage '{self.name}' needs the gallery bank's similarities: give Bank(to_gallery=…)")
        return faults

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        items = self._other_items(problem)
        among_queries = column_softmax_level(self.other_queries(problem), self.beta)
        level = (among_queries + column_softmax_level(items, self.gallery_beta)) / np.float32(2)
        scores: FloatArray = own_scores(problem.scores, ranking) - level[items_of(ranking)]
        return scores

    def _other_items(self, problem: Problem) -> Scores:
        bank = problem.gallery_bank
        of_bank = None if bank is None else bank.to_gallery
        found = problem.gallery_scores if self.gallery == "gallery" else of_bank
        if found is None:
            raise InputError(f"stage '{self.name}' needs '{self.needs[0]}' (got {problem!r})")
        return found
