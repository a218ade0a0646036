"""What stages share that do nothing but compare a query with other queries: what becomes of one query alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rerankit import checks
from rerankit.bank import Bank
from rerankit.gallery import Gallery
from rerankit.looks import Looks
from rerankit.pipelines.needs import OTHER_QUERIES
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores, Searching, without_repeats

NOTHING_TO_COMPARE = "one query has no other queries to be compared with: the order is as it came; a bank has them"


class ComparingStage(Stage):
    """A stage that compares a query with other queries, and does nothing else.

    One query without a bank is refused; with `lone` "pass" its candidates stay as they came, and a note says so.
    """

    lone: str

    if (
        TYPE_CHECKING
    ):  # stages with a bank have it from `BankStage` or `RelationsBankStage`, which stand behind this one

        def compares_test_queries(self, bank: Bank | None) -> bool:
            """Whether it looks at the other test queries where the problem or the gallery has this bank."""

    def is_alone(self, problem: Problem) -> bool:
        """Whether there is one query, and nothing to compare it with."""
        return problem.shape[0] == 1 and self.compares_test_queries(problem.query_bank)

    def passes(self, gallery: Gallery) -> bool:
        """Whether queries of this gallery have nothing to be compared with, and keep their order."""
        return self.lone == "pass" and self.compares_test_queries(gallery.bank)

    def to_search(self, problem: Problem) -> Searching | None:
        """The scores of the test queries, where it compares these with each other and none has been searched yet."""
        compares = self.compares_test_queries(problem.query_bank) and not self.is_alone(problem)
        return problem.scores if compares and isinstance(problem.scores, Searching) else None

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        needs = super().needs_on(problem)
        refuses = self.lone == "raise" and self.compares_test_queries(problem.query_bank)
        return (*needs, OTHER_QUERIES) if refuses else needs

    def looks_at(self, problem: Problem | None = None) -> Looks:
        if problem is not None and self.lone == "pass" and self.is_alone(problem):
            return Looks()
        queries = self.compares_test_queries(None if problem is None else problem.query_bank)
        return super().looks_at(problem) | Looks(queries=queries)

    def each_once(self, known: Scores) -> Scores:
        """The queries of a bank (bank, items), each once: that a query was asked again tells nothing of which items are
        hubs. A published form counts them as they come.
        """
        return known if getattr(self, "published", False) else without_repeats(known)

    def passed(self, ranking: Ranking) -> Ranking:
        """The candidates as they came, with the reason in the notes."""
        return ranking.with_notes(**{self.name: {"note": NOTHING_TO_COMPARE}})


class Passing(Prepared):
    """A stage whose queries have nothing to be compared with: it leaves them as they came."""

    stage: ComparingStage
    keeps = "nothing: without a bank every query keeps its order"

    def looks_at(self, problem: Problem) -> Looks:
        return Looks()

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.passed(ranking)


@dataclass(eq=False, repr=False)
class Answering(Prepared):
    """A stage with what it has learned of a bank's queries, by which its `answer` puts candidates in order."""

    stage: Any
    learned: Any

    by_item = False

    def state(self) -> State:
        found: State = self.learned.state()
        return found

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        answered: Ranking = self.stage.answer(self.learned, problem, ranking)
        return answered


def check_lone(lone: str) -> str:
    """The `lone` parameter: what becomes of one query without a bank."""
    return checks.choice("lone", lone, ("raise", "pass"))
