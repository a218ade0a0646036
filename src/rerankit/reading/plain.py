"""What a pickle is made of before it is data: names, records and arrays whose bytes have not been checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

_MODULES = {
    "numpy.core.multiarray": "numpy._core.multiarray",  # the name before NumPy 2
    "numpy.core.numeric": "numpy._core.numeric",
    "__builtin__": "builtins",  # the names of Python 2
    "copy_reg": "copyreg",
}


class ContentError(Exception):
    """What is wrong with a file; the reader adds its path."""


@dataclass(frozen=True)
class Name:
    """Something that a pickle names, such as a class: never looked up, only compared."""

    module: str
    name: str

    @property
    def full(self) -> str:
        """The module and the name, as they are called today."""
        return f"{_MODULES.get(self.module, self.module)}.{self.name}"

    def record(self, arguments: tuple[Any, ...], known: Collection[str]) -> Record:
        """An object of a class of this name, if the reader expects any."""
        if not any(fnmatchcase(self.full, pattern) for pattern in known):
            raise ContentError(f"it names '{self.module}.{self.name}', which is not data and never run")
        return Record(self.full, arguments)


@dataclass
class Record:
    """An object of a class that is not known here: its attributes, without its code.

    >>> Record("argparse.Namespace", (), {"margin": 0.2}).attributes["margin"]
    0.2
    """

    kind: str
    arguments: tuple[Any, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)

    def set_state(self, state: Any) -> None:
        """Take attributes as a pickle has them: a dictionary, or a pair of it and those of slots."""
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        for part in parts:
            if part is not None and not (isinstance(part, dict) and all(isinstance(name, str) for name in part)):
                raise ContentError(f"attributes of '{self.kind}' must be a dictionary of names")
            self.attributes |= part or {}


@dataclass
class DType:
    """A type of array elements, such as "<f4"; its byte order comes later."""

    code: str
    order: str = "<"


@dataclass
class NdArray:
    """A NumPy array; its bytes come later."""

    dtype: Any = None
    shape: Any = None
    data: Any = None
    fortran: bool = False


@dataclass(frozen=True)
class Storage:
    """Numbers of torch that lie outside of the pickle, under a key."""

    key: str
    kind: str
    """The type of its elements, such as "float32"; "uint8" where only bytes are known."""
    count: int


@dataclass(frozen=True)
class Tensor:
    """A tensor: a view of a storage."""

    storage: Storage
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
