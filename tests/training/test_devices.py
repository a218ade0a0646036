"""The precision of matrix products: set for a while, refused where a device does not have it."""

from __future__ import annotations

import pytest
import torch

from rerankit.errors import InputError
from rerankit.training.devices import check_products, products

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
