"""What stages with a `bank` parameter share: which other queries a stage looks at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.looks import Looks
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.scores import Scores, as_scores

if TYPE_CHECKING:
    from rerankit.gallery import Gallery

TEST_QUERIES = "queries"
OF_ONE_DIRECTION = (
    "'bank' holds other queries of this direction alone: give the problem a query_bank and a gallery_bank "
    "instead, or clone(direction=…, bank=…)"
)


class ComparesQueries(Stage):
    """A stage that looks at other queries: those of a bank, or else the other test queries."""

    bank: Any

    def looks_at(self, problem: Problem | None = None) -> Looks:
        queries = self.compares_test_queries(None if problem is None else problem.query_bank)
        return super().looks_at(problem) | Looks(queries=queries, bank=not queries)

    def compares_test_queries(self, bank: Bank | None) -> bool:
        """Whether it looks at the other test queries where the problem or the gallery has this bank."""
        return self._is_test_queries() or (self.bank is None and bank is None)

    def bank_or(self, given: Bank | None) -> Bank | None:
        """The stage's own bank, or else the one that is given; None: the test queries."""
        if self._is_test_queries():
            return None
        return given if self.bank is None else _bank(self.bank)

    def _is_test_queries(self) -> bool:
        return isinstance(self.bank, str) and self.bank == TEST_QUERIES


class BankStage(ComparesQueries):
    """A stage that compares a query with other queries by their scores of the gallery.

    `bank` is None (the problem's `query_bank` when it has one, the test queries otherwise), ``"queries"``
    (always the test queries), or the bank itself: a `Bank`, a matrix (bank, gallery), or a file of one.
    """

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        stands_in = self.bank is None and problem.query_bank is not None
        return (*self.needs, "query_bank:to_gallery") if stands_in else self.needs

    def other_queries(self, problem: Problem) -> Scores:
        """Scores (others, gallery) of the queries this stage looks at."""
        bank = self.bank_or(problem.query_bank)
        return problem.scores if bank is None else _to_gallery(bank, problem.shape[1])

    def known_queries(self, gallery: Gallery) -> Scores:
        """Scores (bank, gallery) of the bank that stands in for the test queries."""
        bank = self.bank_or(gallery.bank)
        if bank is None:
            raise no_bank(self.name)
        return _to_gallery(bank, gallery.size)


class RelationsBankStage(ComparesQueries):
    """A stage that relates items of both sides to each other, with a bank or else with the other test queries.

    `bank` is None (the problem's `query_bank` when it has one, the test queries otherwise), ``"queries"`` (always the
    test queries), or a `Bank`; a bank must have all the relations of `bank_parts`.
    """

    bank_parts: ClassVar[tuple[str, ...]] = ("to_gallery", "to_queries")

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_scores",) if isinstance(self.bank, Bank) else ("query_scores", "gallery_scores")

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        """A bank stands in for the other queries, and must have all that is asked of it."""
        if isinstance(self.bank, Bank) or self.bank_or(problem.query_bank) is None:
            return self.needs
        own = (need for need in self.needs if need != "query_scores")
        return (*own, *(f"query_bank:{part}" for part in self.bank_parts))

    def bank_for(self, problem: Problem) -> Bank | None:
        """The bank this stage looks at; None: the other test queries."""
        bank = self.bank_or(problem.query_bank)
        if bank is not None:
            bank.check("bank", problem.shape)
        return bank

    def known_bank(self, gallery: Gallery) -> Bank:
        """The bank that stands in for the test queries, with its scores of the gallery and of itself."""
        bank = self.bank_or(gallery.bank)
        if bank is None or bank.to_gallery is None or bank.to_bank is None:
            raise no_bank(self.name)
        return bank


def no_bank(name: str) -> InputError:
    """The error of a stage that is prepared for a gallery without a bank."""
    return InputError(f"stage '{name}' needs a bank to be prepared: give Gallery(…, bank=…)")


def check_relations_bank(bank: Any, parts: Sequence[str]) -> Any:
    """The `bank` parameter of such a stage, refused when it has not all the relations that are asked of it."""
    if bank is None or (isinstance(bank, str) and bank == TEST_QUERIES):
        return bank
    if not isinstance(bank, Bank):
        raise rule("bank", "must be None, 'queries' or a rerankit.Bank with its relations", type(bank).__name__)
    if any(getattr(bank, part) is None for part in parts):
        raise rule("bank", f"must have its relations {' and '.join(parts)}", bank)
    return bank


def check_bank(bank: Any) -> Any:
    """The `bank` parameter as given, refused when it can be no bank."""
    if isinstance(bank, bool | int | float):
        raise rule("bank", "must be None, 'queries', a Bank, a matrix (bank, gallery) or a file", bank)
    return bank


def _to_gallery(bank: Bank, size: int) -> Scores:
    if bank.to_gallery is None:
        raise InputError("'bank' must hold similarities to the gallery: give Bank(to_gallery=…)")
    if bank.to_gallery.shape[1] != size:
        found = f"shape {bank.to_gallery.shape}"
        raise rule("bank.to_gallery", f"must have {size} columns to agree with 'scores'", found)
    return bank.to_gallery


def _bank(given: Any) -> Bank:
    if isinstance(given, Bank):
        return given
    if isinstance(given, str | os.PathLike):
        from rerankit.formats import read

        return Bank(to_gallery=read(given))
    return Bank(to_gallery=as_scores(given, "bank"))
