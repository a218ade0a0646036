"""The vectors of one side, on a grid on which inner products are exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, as_slice, float32, frozen, is_memory_map
from rerankit.errors import InputError
from rerankit.finite import check_scores
from rerankit.mapped import packed, unpacked
from rerankit.rows import StoredRows
from rerankit.scores.blocks import blocks, pieces
from rerankit.scores.digests import firsts
from rerankit.scores.given_vectors import SHARE, largest_of, vectors_of
from rerankit.scores.lengths import Doubles, lengths_of, squares_of
from rerankit.threads import in_threads

_MANTISSA = 53  # bits that float64 holds
_MOST_BITS = 24  # bits that float32 holds
_MIX = np.uint32(2_654_435_761)
_LEAST = 256  # vectors that are brought onto the grid together, however small the budget


class GridVectors:
    """Vectors (n, d) of one side, as given; `read` brings some of them onto the grid.

    Matrix libraries sum products in an order that depends on the block, the number of threads and the processor, so
    that the last bit of an inner product does too. On the grid it cannot: every vector is rounded to so many bits
    below its largest component that float64 holds the sum of its products exactly. The rounding, 21 to 24 bits,
    is as fine as the rounding of a sum in float32.

    >>> GridVectors([[3.0, 4.0]], unit=True).read()
    array([[0.6, 0.8]], dtype=float32)
    """

    array: AnyArray
    """The vectors as given: an array, or rows in files (`StoredRows`), which are asked in the same way."""

    def __init__(self, vectors: Any, argument: str = "vectors", *, unit: bool = False) -> None:
        self.array = vectors_of(vectors, argument, unit)
        self.unit, self._argument = unit, argument
        self.centre: FloatArray | None = None
        self.held: Held | None = None
        self._scales: tuple[Doubles, Doubles] | None = None

    @classmethod
    def trusted(cls, array: AnyArray, *, unit: bool, centre: AnyArray | None) -> GridVectors:
        """Vectors that have been checked already."""
        made = object.__new__(cls)
        made.array, made.unit, made.centre, made.held, made._scales = frozen(array), unit, centre, None, None
        made._argument = "embeddings"
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "array": packed(self.array)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "array": unpacked(state["array"])})

    def __len__(self) -> int:
        return len(self.array)

    @property
    def width(self) -> int:
        """d, the number of components."""
        return int(self.array.shape[1])

    @cached_property
    def distinct(self) -> IntArray:
        """The numbers of the vectors that equal none before them as they were given, ascending."""
        several = blocks(len(self), self.width * 8)
        return firsts((row for block in several for row in np.asarray(self.array[block])), np.arange(len(self)))

    def sampled(self, count: int) -> IntArray:
        """The vectors (count,), ascending, that a mix of their bits comes out lowest for: the same ones wherever they
        stand. They are found once for these vectors, which are all read.
        """
        known: dict[int, IntArray] = self.__dict__.setdefault("_sampled", {})
        if count not in known:
            odd, mixed = np.arange(1, 2 * self.width, 2, dtype=np.uint32), np.empty(len(self), np.uint32)
            for part in blocks(len(self), 16 * self.width):
                bits = np.ascontiguousarray(self.array[part], np.float32).view(np.uint32)
                mixed[part] = (bits * odd).sum(axis=1, dtype=np.uint32) * _MIX
            known[count] = frozen(np.sort(np.argsort(mixed, kind="stable")[:count]))
        return known[count]

    @property
    def bits(self) -> int:
        """How many bits below its largest component a vector keeps."""
        return min(_MOST_BITS, (_MANTISSA - int(self.width - 1).bit_length()) // 2)

    def take(self, rows: slice | IntArray | None) -> GridVectors:
        """Some of the vectors, in the given order."""
        if rows is None:
            return self
        scales = None if self._scales is None else (self._scales[0][rows], self._scales[1][rows])
        return self._made(frozen(self.array[rows]), self.centre, scales, None if self.held is None else self.held[rows])

    def around(self, centre: FloatArray) -> GridVectors:
        """The same vectors less a point (d,), so that distances far from the origin keep their digits."""
        return self._made(self.array, centre, None, None)

    def holding(self) -> GridVectors:
        """The same vectors, which keep what is on the grid: reading them is then no work, and they take twice the room.

        >>> GridVectors([[3.0, 4.0]], unit=True).holding().held.longest
        1.0
        """
        return self if self.held is not None else self.with_held(Held.of(self))

    def with_held(self, held: Held) -> GridVectors:
        """The same vectors with what was kept of them before."""
        return self._made(self.array, self.centre, None, held)

    def followed_by(self, others: GridVectors) -> GridVectors:
        """These vectors and behind them others, both of which keep what is on the grid."""
        assert self.held is not None, "a standing side keeps its vectors"
        assert others.held is not None, "a standing side keeps its vectors"
        array = np.concatenate([float32(one.array, "vectors") for one in (self, others)])
        return self._made(frozen(array), self.centre, None, self.held.followed_by(others.held))

    def _made(
        self,
        array: AnyArray,
        centre: FloatArray | None,
        scales: tuple[Doubles, Doubles] | None,
        held: Held | None,
    ) -> GridVectors:
        made = object.__new__(GridVectors)
        made.array, made.unit, made.centre, made.held, made._scales = array, self.unit, centre, held, scales
        made._argument = self._argument
        return made

    def read(self, rows: slice | IntArray | None = None) -> FloatArray:
        """Some of the vectors on the grid, (rows, d), at length 1 where that was asked for."""
        rows = slice(None) if rows is None else rows
        if self.held is not None:
            return self.held.vectors[rows]
        result = np.empty((len(self.array[rows]) if isinstance(rows, slice) else len(rows), self.width), np.float32)
        chosen = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        for block in blocks(len(result), self.width * 16, share=SHARE, least=_LEAST):
            self._bring(as_slice(chosen[block]), result[block])
        return result

    def doubles(self, rows: slice | IntArray) -> Doubles:
        """`read` in float64: the same numbers."""
        if self.held is not None:
            return self.held.doubles(rows)
        return self._alone[rows] if len(self.array) == 1 else self._on_grid(rows)

    @cached_property
    def _alone(self) -> Doubles:
        """The one vector (1, d): several stages ask for that of a query."""
        alone = self._on_grid(slice(None))
        alone.setflags(write=False)
        return alone

    def _on_grid(self, rows: slice | IntArray) -> Doubles:
        found = np.empty((len(self.scales()[0][rows]), self.width))
        self._bring(rows, found)
        return found

    def _bring(self, rows: slice | IntArray, into: AnyArray) -> None:
        """Some of the vectors onto the grid, into an array (rows, d)."""
        given, (factors, steps) = self.array[rows], (each[rows, None] for each in self.scales())

        def one(part: slice) -> None:
            values = self._doubles(given[part])
            values *= factors[part]
            np.rint(values, out=values)
            np.multiply(values, steps[part], out=into[part], casting="same_kind")

        in_threads(one, pieces(len(into), self.width))

    def raw(self, rows: IntArray) -> Doubles:
        """Some of the vectors as they were given, (rows, d) in float64."""
        return float32(self.array[rows], "embeddings").astype(np.float64)

    def lengths(self) -> Doubles:
        """The vectors' lengths (n,), after `centre` was taken from them."""
        found = np.empty(len(self))
        for block in blocks(len(self), self.width * 16, share=SHARE, least=_LEAST):
            found[block] = lengths_of(self._doubles(self.array[block]))
        return found

    def longest(self) -> float:
        """The length of the longest vector, after `centre` was taken from them; 1 where all are brought to it."""
        if self.unit:
            return 1.0
        return float(self.lengths().max()) if self.held is None else self.held.longest

    def squares(self, rows: slice) -> Doubles:
        """Squared lengths of vectors on the grid."""
        return squares_of(self.read(rows)) if self.held is None else self.held.squares[rows]

    def scales(self) -> tuple[Doubles, Doubles]:
        """By what each vector is multiplied to become whole numbers, (n,), and the step of its grid, (n,)."""
        if self._scales is None:
            several = blocks(len(self), self.width * 16, share=SHARE, least=_LEAST)
            factors, steps = zip(*(self._scales_of(block) for block in several), strict=True)
            alone = len(factors) == 1
            self._scales = (factors[0], steps[0]) if alone else (np.concatenate(factors), np.concatenate(steps))
        return self._scales

    def _scales_of(self, block: slice) -> tuple[Doubles, Doubles]:
        given = self.array[block]  # in this thread: not all files may be read by several at once
        found = np.empty(len(given)), np.empty(len(given))

        def one(part: slice) -> None:
            values = self._doubles(given[part])
            self._check(values, block.start + part.start)
            lengths = lengths_of(values) if self.unit else np.ones(len(values))
            exponents = self.bits - np.frexp(np.abs(values, out=values).max(axis=1) / lengths)[1]
            found[0][part], found[1][part] = np.ldexp(1.0, exponents) / lengths, np.ldexp(1.0, -exponents)

        in_threads(one, pieces(len(given), self.width))
        return found

    def _check(self, values: Doubles, first: int) -> None:
        """Refuse what was read of files and is not finite, naming the file."""
        stored: Any = self.array
        if isinstance(stored, StoredRows):
            bad = np.flatnonzero(~np.isfinite(np.einsum("ij->i", values)))
            if len(bad):
                column = int(np.argmin(np.isfinite(values[bad[0]])))
                got = f"got {values[bad[0], column]} in column {column}"
                raise InputError(f"{stored.place(first + int(bad[0]))}: must be finite ({got})")
        elif is_memory_map(self.array):
            check_scores(values, self._argument, first, largest_of(self.unit))

    def _doubles(self, given: AnyArray) -> Doubles:
        doubles = float32(given, "embeddings").astype(np.float64)
        if self.centre is not None:
            doubles -= self.centre
        return doubles


@dataclass(frozen=True, eq=False)
class Held:
    """What vectors that stand for long keep, so that nothing of it is computed for a query."""

    vectors: FloatArray
    """The vectors on the grid (n, d)."""
    squares: Doubles
    """Their squared lengths (n,)."""
    longest: float
    """The length of the longest one before it was brought onto the grid."""

    @classmethod
    def of(cls, vectors: GridVectors) -> Held:
        """Of vectors that keep nothing yet."""
        read = vectors.read()
        return cls(frozen(read), squares_of(read), vectors.longest())

    def doubles(self, rows: slice | IntArray) -> Doubles:
        """Some of the vectors on the grid (rows, d) in float64."""
        given = self.vectors[rows]
        found = np.empty(given.shape)
        in_threads(lambda part: np.copyto(found[part], given[part]), pieces(*given.shape))
        return found

    def followed_by(self, others: Held) -> Held:
        """These and behind them others."""
        vectors = frozen(np.concatenate([self.vectors, others.vectors]))
        squares = np.concatenate([self.squares, others.squares])
        return Held(vectors, squares, max(self.longest, others.longest))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "vectors": packed(self.vectors), "squares": packed(self.squares)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        opened = {name: unpacked(state[name]) for name in ("vectors", "squares")}
        self.__dict__.update({**state, **opened})

    def __getitem__(self, rows: slice | IntArray) -> Held:
        return Held(frozen(self.vectors[rows]), self.squares[rows], self.longest)
