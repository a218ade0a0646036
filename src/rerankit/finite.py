"""Numbers that are finite and of moderate size."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, IntArray, float32
from rerankit.errors import InputError, rule

_CHECKED_BYTES = 32_000_000


MOST_SCORE, LEAST_SCORE = 1e15, 1e-35
"""Between these the largest of all scores must lie, unless all are 0: sums of squares then stay within float32, and
differences keep their digits."""


def check_finite(
    array: AnyArray, argument: str, rows: IntArray | int = 0, error: type[InputError] = InputError
) -> None:
    """Refuse NaN and infinities; `rows` is the number of the block's first row, or of each of them."""
    # One reduction decides the usual case: any NaN or infinity makes the sum not finite. A sum that
    # overflows by itself only costs the slower count below; in half precision it nearly always would.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.add.reduce(array, axis=None, dtype=np.float32 if array.dtype == np.float16 else None)):
            return
    bad = ~np.isfinite(array)
    if bad.any():
        where, first = _first(array, bad, rows)
        beyond = "" if np.isnan(first) else "; numbers beyond 3.4e38 count as infinite"
        advice = _advice(argument, first) if error is InputError else ""  # what is no input cannot be left out
        raise error(f"'{argument}' must be finite (got {where}{beyond}){advice}")


def check_scores(array: AnyArray, argument: str, rows: IntArray | int = 0, most: float = MOST_SCORE) -> None:
    """`check_finite` for scores: the largest must lie within `most` and `LEAST_SCORE`, too, or all be 0."""
    if _moderate(array, most):
        return
    check_finite(array, argument, rows)
    if array.dtype == np.float16:  # which holds nothing so large, nor so small
        return
    size = np.abs(array)
    far, largest = size > most, float(size.max(initial=0))
    if far.any():
        where, first = _first(array, far, rows)
        advice = _advice(argument, first) or "; divide all by one number"
        raise InputError(f"'{argument}' must lie within ±{most:g} (got {where}){advice}")
    if 0 < largest < LEAST_SCORE:
        text = f"must not all be nearer to 0 than {LEAST_SCORE:g}, where digits are lost: multiply all by one number"
        raise rule(argument, text, f"at most {largest:.3g}")


def _moderate(array: AnyArray, most: float) -> bool:
    """Whether one pass shows that numbers are finite, none too large and some large enough; it may fail to."""
    if array.dtype not in (np.float32, np.float64) or not (array.flags.c_contiguous or array.flags.f_contiguous):
        return False
    flat = array.reshape(-1, order="A")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return 1e-37 <= float(np.dot(flat, flat)) <= most**2  # below that, squares have lost digits


def _first(array: AnyArray, bad: AnyArray, rows: IntArray | int) -> tuple[str, float]:
    """How many bad cells there are, and where the first is; and what it holds."""
    row, column = (int(x) for x in np.argwhere(bad)[0])
    count, place = int(bad.sum()), row + rows if isinstance(rows, int) else int(rows[row])
    first = array[row, column]
    return f"{count} bad cell{'s' if count > 1 else ''}, the first {first:.6g} at row {place}, column {column}", first


def _advice(argument: str, first: float) -> str:
    """What to do about numbers that mark pairs."""
    marks = argument == "scores" and not first > 0  # NaN, too
    return "; exclude= leaves pairs out, whose cells may then hold NaN" if marks else ""


def check_all_finite(array: AnyArray, argument: str) -> None:
    """`check_finite` over a whole matrix of any float type, a few megabytes at a time."""
    rows = max(1, _CHECKED_BYTES // max(1, array.shape[1] * 8))
    for start in range(0, len(array), rows):
        check_finite(float32(array[start : start + rows], argument), argument, start)


def check_all_scores(array: AnyArray, argument: str, most: float = MOST_SCORE) -> None:
    """`check_scores` over a whole matrix of any real type, a few megabytes at a time."""
    rows = max(1, _CHECKED_BYTES // max(1, array.shape[1] * 8))
    for start in range(0, len(array), rows):
        block = array[start : start + rows]
        check_scores(block if block.dtype == np.float64 else float32(block, argument), argument, start, most)
