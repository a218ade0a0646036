"""dual-is: inverted softmax against other queries and against other gallery items."""

from __future__ import annotations

from typing import Any

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

    The score is s − ½ (level of the item among the queries at `beta`) − ½ (its level among the gallery
    bank's items at `gallery_beta`), each level a (1/β) log mean exp(β s). Gallery items come from the problem's
    `gallery_bank`, or else are the gallery itself (`gallery_scores`). It helps most where the gallery is dense in
    places; a gallery bank of another domain loses, as does a gallery full of near-duplicates.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem([[0.9, 0.85], [0.2, 0.1]], gallery_scores=[[1, 0.1], [0.1, 1]])
    >>> rerank(problem, "dual-is", k=2).indices[0]
    array([1, 0])
    """

    name = "dual-is"
    citation = "Wang et al., Balance act: mitigating hubness in cross-modal retrieval with query and gallery banks (2023)"

    def __init__(self, beta: float = 20.0, gallery_beta: float = 20.0, bank: Any = None) -> None:
        self.beta = checks.number("beta", beta, above=0)
        self.gallery_beta = checks.number("gallery_beta", gallery_beta, above=0)
        self.bank = check_bank(bank)

    def unmet(self, problem: Problem) -> list[str]:
        faults = super().unmet(problem)
        if _gallery(problem) is None:
            faults.append(
                f"stage '{self.name}' needs gallery items to compare with: give Problem(…, gallery_bank=Bank("
                "to_gallery=…)) or Problem(…, gallery_scores=…)"
            )
        return faults

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        gallery = _gallery(problem)
        if gallery is None:
            raise InputError(self.unmet(problem)[-1])
        level = column_softmax_level(self.other_queries(problem), self.beta)
        level = (level + column_softmax_level(gallery, self.gallery_beta)) / 2
        scores: FloatArray = own_scores(problem.scores, ranking) - level[items_of(ranking)]
        return scores


def _gallery(problem: Problem) -> Scores | None:
    bank = problem.gallery_bank
    return problem.gallery_scores if bank is None or bank.to_gallery is None else bank.to_gallery
