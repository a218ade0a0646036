"""The precision of matrix products: set for a while, refused where a device does not have it."""

from __future__ import annotations

import threading

import pytest
import torch

from rerankit.errors import InputError
from rerankit.training.devices import check_products, in_lone_threads, products

CPU = torch.device("cpu")


def now() -> tuple[str, str]:
    return torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cuda.matmul.fp32_precision


def test_torch_is_as_before_also_after_an_error():
    before = now()
    with products(CPU, "bf16"):
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    assert now() == before
    with pytest.raises(ZeroDivisionError), products(CPU, "bf16"):
        raise ZeroDivisionError
    assert now() == before
    with products(CPU, "float32"):
        assert now() == before


def test_rounded_factors_change_products_little():
    values = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    with products(CPU, "bf16"):
        rounded = values @ values.T
    assert (rounded - values @ values.T).abs().max() < 0.02 * values.pow(2).sum(dim=1).max()


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("cpu", "tf32", "'products' must be float32 or bf16 on cpu"),
        ("cuda", "bf16", "'products' must be float32 or tf32 on cuda"),
        ("cpu", "int4", "unknown products 'int4'"),
    ],
)
def test_what_a_device_lacks_is_refused(device, precision, message):
    with pytest.raises(InputError, match=message):
        check_products(torch.device(device), precision)


def test_an_old_torch_is_named(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "matmul", object(), raising=False)
    with pytest.raises(InputError, match=r"needs torch 2\.9 or newer"):
        check_products(CPU, "bf16")


def test_two_at_work_leave_torch_as_many_threads_as_before():
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    entered, left = threading.Event(), threading.Event()
    found = []

    def second() -> None:
        entered.wait(60)
        in_lone_threads(lambda piece: torch.get_num_threads(), [0])
        found.append(torch.get_num_threads())
        left.set()

    def work(piece: int) -> int:
        entered.set()
        left.wait(60)
        return torch.get_num_threads()

    other = threading.Thread(target=second)
    try:
        other.start()
        assert in_lone_threads(work, [0]) in ([1], [3])  # the second one has told all threads to use three again
        other.join(60)
        assert found == [3]
        assert torch.get_num_threads() == 3
        assert in_lone_threads(lambda _: in_lone_threads(lambda _: torch.get_num_threads(), [0]), [0]) == [[1]]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)
