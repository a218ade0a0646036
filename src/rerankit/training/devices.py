"""Where networks run and in which precision."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch

from rerankit import checks
from rerankit.errors import rule
from rerankit.threads import in_threads
from rerankit.training.settings import PRECISIONS

A = TypeVar("A")
B = TypeVar("B")

PRODUCTS = ("float32", "tf32", "bf16")
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick(device: str | torch.device = "auto") -> torch.device:
    """The device meant by a name; "auto" is the first CUDA device, or the CPU without one.

    >>> pick("cpu")
    device(type='cpu')
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise rule("device", "must be auto, cpu, cuda or cuda:N", str(device)) from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise rule("device", f"must be present; this machine shows {found} CUDA devices", str(device))
    return chosen


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which the forward pass runs in a precision ("float32", "bf16", "fp16").

    Parameters and the optimiser stay in float32. Half precision with its small range needs CUDA.
    """
    if precision == "float32":
        return nullcontext()
    checks.choice("precision", precision, PRECISIONS)
    if precision == "fp16" and device.type != "cuda":
        raise rule("precision", f"fp16 needs a CUDA device, not {device}; bf16 works on both", precision)
    return torch.autocast(device.type, dtype=HALF[precision])


def rounded_products(device: torch.device) -> str:
    """The precision of products, other than float32, that a device has: "tf32" on CUDA, "bf16" on a CPU.

    >>> rounded_products(torch.device("cpu"))
    'bf16'
    """
    return "tf32" if device.type == "cuda" else "bf16"


def check_products(device: torch.device, rounding: str) -> None:
    """Refuse a rounding of products that the device, or this torch, does not have."""
    checks.choice("products", rounding, PRODUCTS)
    if rounding == "float32":
        return
    own = rounded_products(device)
    if rounding != own:
        raise rule("products", f"must be float32 or {own} on {device}", rounding)
    if not hasattr(_products_of(device), "fp32_precision"):
        raise rule("products", f"{own} needs torch 2.9 or newer, not {torch.__version__}", rounding)


def _products_of(device: torch.device) -> Any:
    """Torch's settings of matrix products on a device."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    return getattr(backend, "matmul", None)


@contextmanager
def products(device: torch.device, rounding: str) -> Iterator[None]:
    """The context in which the factors of float32 matrix products are rounded; sums and results stay float32.

    "tf32" (CUDA) rounds them to 11 bits, "bf16" (CPU, where its library can) to 8; "float32" leaves torch as it is set.

    >>> with products(torch.device("cpu"), "bf16"):
    ...     float((torch.eye(2) @ torch.eye(2)).sum())
    2.0
    """
    check_products(device, rounding)
    if rounding == "float32":
        yield
        return
    settings = _products_of(device)
    before = settings.fp32_precision
    settings.fp32_precision = rounding
    try:
        yield
    finally:
        settings.fp32_precision = before


class _Pieces(threading.local):
    """Whether this thread makes a piece of work with one thread of torch."""

    under_way = False


class _Usual:
    """How many threads torch has outside of pieces: which several threads at work would read as 1 of each other."""

    def __init__(self) -> None:
        self._lock, self._callers, self._threads = threading.Lock(), 0, 1

    def __enter__(self) -> None:
        with self._lock:
            if not self._callers:
                self._threads = torch.get_num_threads()
            self._callers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._callers -= 1
            if self._threads > 1:
                torch.set_num_threads(self._threads)


_pieces, _usual = _Pieces(), _Usual()


def in_lone_threads(work: Callable[[A], B], pieces: Sequence[A]) -> list[B]:
    """`in_threads`, while torch makes every piece with one thread alone: its own wait for each other after every step.

    >>> in_lone_threads(lambda piece: torch.get_num_threads(), ["a", "b"])
    [1, 1]
    """

    def one(piece: A) -> B:
        outer, _pieces.under_way = _pieces.under_way, True
        try:
            if torch.get_num_threads() > 1:  # this thread's
                torch.set_num_threads(1)
            return work(piece)
        finally:
            _pieces.under_way = outer

    with nullcontext() if _pieces.under_way else _usual:
        return in_threads(one, pieces)
