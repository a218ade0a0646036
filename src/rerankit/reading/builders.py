"""The functions that data of NumPy, torch and the standard library name in pickles, written again here with checks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from rerankit.reading.plain import ContentError, DType, Name, NdArray, Record, Storage, Tensor

ELEMENTS = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
}  # fmt: skip
_DTYPES = {f"torch.{kind}" for kind in ELEMENTS.values()} | {"torch.half", "torch.float", "torch.double", "torch.long"}
_ALIASES = {"half": "float16", "float": "float32", "double": "float64", "long": "int64"}
_KINDS = "biufSU"
_KEYS = (str, bytes, int, float, bool, type(None))


def call(function: Any, arguments: Any, records: Collection[str]) -> Any:
    """What a named function makes of its arguments; only those of the table are known."""
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise ContentError("it calls something that is not the name of a function")
    if function.full == "copyreg._reconstructor" and arguments and isinstance(arguments[0], Name):
        return arguments[0].record((), records)
    build = _FUNCTIONS.get(function.full)
    return function.record(arguments, records) if build is None else build(*arguments)


def new(kind: Any, arguments: Any, records: Collection[str]) -> Any:
    """A new object of a named class."""
    if not isinstance(kind, Name) or not isinstance(arguments, tuple | list):
        raise ContentError("it makes an object of something that is not the name of a class")
    return call(kind, tuple(arguments), records)


def set_state(target: Any, state: Any) -> None:
    """Complete what has been begun."""
    if isinstance(target, Record):
        target.set_state(state)
    elif isinstance(target, DType):
        _set_order(target, state)
    elif isinstance(target, NdArray):
        _, target.shape, target.dtype, target.fortran, target.data = state
    elif not isinstance(target, dict):  # torch's dictionaries have attributes that say nothing about the tensors
        raise ContentError(f"it sets attributes of a {type(target).__name__}")


def checked_key(key: Any) -> Any:
    """A key of a dictionary or an element of a set; of whole numbers only those that cannot all have one hash."""
    if type(key) not in _KEYS or (type(key) is int and abs(key) >= 2**63):
        raise ContentError(f"a key must be a text or a number (got {type(key).__name__})")
    return key


def pairs(flat: list[Any]) -> dict[Any, Any]:
    """A dictionary of keys and values that take turns."""
    return dict(zip(map(checked_key, flat[::2]), flat[1::2], strict=True))


def dtype_of(kind: Any) -> str:
    """The elements of a tensor whose type is named, such as torch.float32."""
    name = kind.full.removeprefix("torch.") if isinstance(kind, Name) else ""
    if f"torch.{name}" not in _DTYPES:
        raise ContentError(f"its elements must be plain numbers (got {name or type(kind).__name__})")
    return _ALIASES.get(name, name)


# -- NumPy ---------------------------------------------------------------------------------------------------------


def _set_order(target: DType, state: Any) -> None:
    order, rest = state[1], state[2:5]
    if order not in ("<", ">", "|", "=") or any(part is not None for part in rest):
        raise ContentError("its arrays must have plain elements, without fields")
    target.order = order


def _reconstruct(*_: Any) -> NdArray:
    return NdArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> NdArray:
    return NdArray(dtype, shape, data, order == "F")


def _dtype(code: Any, *_: Any) -> DType:
    if not isinstance(code, str) or code[:1] not in _KINDS:
        raise ContentError(f"its arrays must hold numbers or texts (got elements {code!r:.40})")
    return DType(code)


def _scalar(dtype: Any, data: Any) -> Any:
    return NdArray(dtype, (), data)


def _encode(text: Any = "", encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ContentError("its bytes must be written as latin1")
    return text.encode("latin-1")


# -- the standard library ------------------------------------------------------------------------------------------


def _dictionary(given: Any = None) -> dict[Any, Any]:
    pairs = given.items() if isinstance(given, dict) else given or ()
    return {checked_key(key): value for key, value in pairs}


def _default_dictionary(_: Any = None, given: Any = None) -> dict[Any, Any]:
    return _dictionary(given)


def _set(given: Any = ()) -> set[Any]:
    return set(map(checked_key, given))


def _list(given: Any = ()) -> list[Any]:
    return list(given)


# -- torch ---------------------------------------------------------------------------------------------------------


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise ContentError("a tensor must have a storage")
    return Tensor(storage, storage.kind, offset, tuple(shape), tuple(strides))


def _tensor_of_dtype(
    storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, kind: Any, *_: Any
) -> Tensor:
    if not isinstance(storage, Storage):
        raise ContentError("a tensor must have a storage")
    return Tensor(storage, dtype_of(kind), offset, tuple(shape), tuple(strides))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _size(shape: Any = ()) -> tuple[Any, ...]:
    return tuple(shape)


def _device(*words: Any) -> str:
    return ":".join(map(str, words))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
    "builtins.bytearray": _encode,
    "builtins.bytes": _encode,
    "builtins.dict": _dictionary,
    "builtins.list": _list,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _dictionary,
    "collections.defaultdict": _default_dictionary,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _size,
    "torch.device": _device,
}
