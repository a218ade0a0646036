"""What every form of scores can be asked; stages ask this and never assume a dense matrix."""

from __future__ import annotations

from typing import Protocol

from rerankit.arrays import FloatArray, IntArray


class Scores(Protocol):
    """Similarities of rows to columns, higher is better, float32 whenever they are read."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""

    @property
    def complete(self) -> bool:
        """Whether every cell has a score; top-k lists have not, and absent cells read as −inf."""

    @property
    def T(self) -> Scores:  # noqa: N802 - the name everyone knows from numpy
        """The same scores with rows and columns exchanged, without computing or copying what can wait."""

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        """A dense block (len(rows), columns), not to be written to; None means all rows."""

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Single cells; the two index arrays broadcast against each other as in numpy."""

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        """The first k columns of every row by the tie rule: indices and scores (rows, k), padded −1, −inf."""

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> Scores:
        """The scores of some rows and columns, in the given order."""
