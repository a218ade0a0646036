"""The weights that ship are those that their cards speak of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from rerankit.demo import shipped
from rerankit.errors import InputError


@pytest.mark.parametrize("name", shipped.names())
def test_a_card_speaks_of_its_file(name: str) -> None:
    data = (shipped.FOLDER / f"{name}.safetensors").read_bytes()
    card = shipped.card(name)
    assert hashlib.sha256(data).hexdigest() in card
    assert f"{len(data):,} bytes, {len(shipped.weights(name))} arrays" in card


def test_together_they_are_small() -> None:
    assert shipped.names() == ["composed", "multi-query"]
    assert sum(path.stat().st_size for path in shipped.FOLDER.glob("*.safetensors")) < 2_000_000


def test_numbers_are_written_in_half_precision_and_read_in_single(tmp_path: Path) -> None:
    arrays = {"a": np.array([[0.1, 2.0]], np.float32), "text": np.frombuffer(b"words", np.uint8), "n": np.array(3)}
    found = shipped.read(shipped.write(tmp_path / "some.safetensors", arrays))
    assert found["a"].dtype == np.float32
    np.testing.assert_array_equal(found["a"], arrays["a"].astype(np.float16))
    assert bytes(found["text"]) == b"words"
    assert found["n"].shape == ()
    assert int(found["n"]) == 3


def test_weights_that_do_not_ship_are_refused() -> None:
    with pytest.raises(InputError, match="composed"):
        shipped.weights("compose")
