from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from rerankit.pictures import UnreadableImageError, data_uri, open_image, thumbnail

Image = pytest.importorskip("PIL.Image", reason="the extra report is not installed")


def test_thumbnails_hold_the_whole_picture() -> None:
    wide = Image.new("RGB", (400, 100), (200, 0, 0))
    small = np.asarray(thumbnail(wide, 80))
    assert small.shape == (80, 80, 3)
    assert (small[40] == (200, 0, 0)).all()
    assert (small[:29] == 235).all()
    assert (small[-29:] == 235).all()


def test_few_pixels_stay_exact() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    uri = data_uri(open_image(pixels, "x"), 64)
    kind, _, text = uri.partition(";base64,")
    assert kind == "data:image/png"
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
    np.testing.assert_array_equal(again[::8, ::8], pixels)
    assert data_uri(Image.new("RGB", (300, 200)), 64).startswith("data:image/jpeg;base64,")


def test_what_is_no_picture_says_where() -> None:
    with pytest.raises(UnreadableImageError, match=r"row 4 is no picture \(got ndarray of shape \(2, 2\)\)"):
        open_image(np.zeros((2, 2)), "row 4")
