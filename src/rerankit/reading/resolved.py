"""From what a pickle describes to data: arrays with checked sizes, nothing too deep, too much or without end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from rerankit import limits
from rerankit.arrays import AnyArray
from rerankit.reading.plain import ContentError, DType, Name, NdArray, Record, Tensor

Tensors = Callable[[Tensor], AnyArray]
_ORDERS: dict[str, Literal["<", ">", "="]] = {"<": "<", ">": ">", "=": "=", "|": "="}
_PLAIN = (str, bytes, int, float, bool, type(None))


def resolved(value: Any, tensors: Tensors | None = None) -> Any:
    """The value with arrays in the place of their descriptions; `tensors` knows the numbers of torch's."""
    return _Resolver(tensors, limits.current()).value(value, 0)[0]


class _Resolver:
    """What has been resolved, and how many values each part has when what comes again is counted again."""

    def __init__(self, tensors: Tensors | None, most: limits.Limits) -> None:
        self.tensors, self.most = tensors, most
        self.known: dict[int, tuple[Any, int] | None] = {}
        self.held: list[Any] = []  # an id is good only as long as its object lives

    def value(self, value: Any, depth: int) -> tuple[Any, int]:
        """The value and its count."""
        if type(value) in _PLAIN:
            return value, 1
        key = id(value)
        if key in self.known:
            found = self.known[key]
            if found is None:
                raise ContentError("it has something that holds itself")
            return found
        if depth > self.most.depth:
            raise ContentError(f"it must have at most {self.most.depth} lists in each other (rerankit.limits: depth)")
        self.known[key] = None
        self.held.append(value)
        found = self._made(value, depth + 1)
        if found[1] > self.most.values:
            raise ContentError(
                f"it must have at most {self.most.values} values, repeated ones counted (rerankit.limits: values)"
            )
        self.known[key] = found
        return found

    def _made(self, value: Any, depth: int) -> tuple[Any, int]:
        if isinstance(value, list | tuple | set):
            parts = [self.value(part, depth) for part in value]
            made: Any = type(value)(part for part, _ in parts)
            return made, 1 + sum(count for _, count in parts)
        if isinstance(value, dict):
            items = {key: self.value(part, depth) for key, part in value.items()}
            return {key: part for key, (part, _) in items.items()}, 1 + sum(1 + count for _, count in items.values())
        if isinstance(value, Record):
            arguments, first = self.value(value.arguments, depth)
            attributes, second = self.value(value.attributes, depth)
            return Record(value.kind, arguments, attributes), 1 + first + second
        return self._leaf(value), 1

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, NdArray):
            return numpy_array(value)
        if isinstance(value, Tensor) and self.tensors is not None:
            return self.tensors(value)
        if isinstance(value, DType):
            return value.code
        if isinstance(value, Name) and value.module == "torch":
            return value.full
        what = value.full if isinstance(value, Name) else type(value).__name__
        raise ContentError(f"it holds '{what}', which is not data")


def numpy_array(given: NdArray) -> Any:
    """A read-only view of the bytes of an array, whose size must be that of its shape; a number for a shape of none."""
    if not isinstance(given.dtype, DType) or not isinstance(given.shape, tuple):
        raise ContentError("it has an array without a shape or a type")
    dtype = np.dtype(given.dtype.code).newbyteorder(_ORDERS[given.dtype.order])
    if not all(type(size) is int and size >= 0 for size in given.shape) or len(given.shape) > 32:
        raise ContentError(f"the shape of an array must be whole numbers (got {given.shape!s:.80})")
    data = given.data.encode("latin-1") if isinstance(given.data, str) else given.data
    size = math.prod(given.shape) * dtype.itemsize
    if not isinstance(data, bytes) or len(data) != size or dtype.hasobject or (not size and math.prod(given.shape)):
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise ContentError(f"an array of {given.shape} {dtype} must have {size} bytes (got {got})")
    array = np.frombuffer(data, dtype).reshape(given.shape, order="F" if given.fortran else "C")
    return array if given.shape else array.item()
