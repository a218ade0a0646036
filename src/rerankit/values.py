"""Values: objects that are made once and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, ClassVar, NoReturn, TypeVar

import numpy as np

from rerankit.errors import unknown_name

T = TypeVar("T")
V = TypeVar("V", bound="Value")
P = TypeVar("P", bound="Plain")


class Value:
    """An object whose attributes are set while it is made, by `_keep`, and never again.

    >>> from rerankit import Ranking
    >>> Ranking([[0]], [[1.0]]).scores = None
    Traceback (most recent call last):
    AttributeError: 'scores' of a Ranking cannot be set: it is a value, make another one
    """

    def _keep(self, **attributes: Any) -> None:
        """Set attributes; only for what makes the object."""
        self.__dict__.update(attributes)

    @classmethod
    def from_checked(cls: type[V], **attributes: Any) -> V:
        """An object of attributes that have been checked already."""
        made = object.__new__(cls)
        made._keep(**attributes)
        return made

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be set: it is a value, make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be deleted: it is a value, make another one")


class Plain:
    """A dataclass of plain values, which may be written as they are.

    >>> from rerankit.stages.hmrn.config import HmrnConfig
    >>> HmrnConfig.from_dict({"dim": 32}).to_dict()["dim"]
    32
    """

    called: ClassVar[str] = "setting"
    """What errors call one of its values."""

    def to_dict(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls: type[P], values: Mapping[str, Any]) -> P:
        """The inverse of `to_dict`; an unknown name is refused."""
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise unknown_name(cls.called, name, known)
        return cls(**values)


class Named(Mapping[str, T]):
    """Values by name, never changed, in the order in which they were given.

    >>> Named(a=1) | {"b": 2}
    Named(a=1, b=2)
    """

    __slots__ = ("_values",)
    _values: dict[str, T]

    def __init__(self, values: Mapping[str, T] | None = None, **more: T) -> None:
        object.__setattr__(self, "_values", {**(values or {}), **more})

    def __getitem__(self, name: str) -> T:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __or__(self, more: Mapping[str, T]) -> Named[T]:
        return Named({**self._values, **more})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"'{name}' of {type(self).__name__} cannot be set: it is a value, make another one")

    def __reduce__(self) -> tuple[Any, ...]:
        return Named, (self._values,)

    def __repr__(self) -> str:
        return f"Named({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


def same(one: Any, other: Any) -> bool:
    """Equality that looks inside containers, arrays and what only its parameters tell from others of its class."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)
    made = not isinstance(one, type) and type(one) is type(other) and hasattr(one, "get_params")
    if made and one.__eq__(other) is NotImplemented:  # estimators of scikit-learn
        return same(one.get_params(), other.get_params())
    missing = isinstance(one, float) and isinstance(other, float) and one != one and other != other  # not a number
    return bool(one is other or one == other or missing)
