"""Pictures to pixels, and tokens kept on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from rerankit import settings
from rerankit.errors import InputError
from rerankit.feature_cache import FeatureCache
from rerankit.features import Pictures, Tokens, as_feature
from rerankit.stages.triplet.features import ArrayTokens, ImageTokens
from rerankit.stages.triplet.images import DEVIATION, MEAN, ImageTransform, checksum, open_image


def test_all_forms_of_a_picture_are_one(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    for given in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(pixels), pixels, tensor):
        np.testing.assert_array_equal(np.asarray(open_image(given, "x")), pixels)


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    for mode in ("L", "RGBA", "P", "1"):
        Image.new(mode, (4, 3)).save(tmp_path / "a.png")
        assert open_image(tmp_path / "a.png", "x").mode == "RGB"


def test_target_pad_widens_the_short_side():
    white = Image.new("RGB", (40, 10), "white")
    pixels = ImageTransform(20, "target", 1.25)(white)
    shown = pixels * torch.tensor(DEVIATION)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    # 40 × 10 becomes 40 × 32 with 11 black rows above and below, then 25 × 20, then its middle 20 × 20.
    assert shown[0, 10, 10] > 0.95
    assert shown[0, 2].abs().max() < 0.05
    assert shown[0, -3].abs().max() < 0.05
    squeezed = ImageTransform(20, "none")(white)
    assert float(squeezed.std()) < 0.2
    with pytest.raises(InputError, match="unknown pad '"):
        ImageTransform(20, "stretch")


def test_unreadable_pictures_say_which(tmp_path):
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"row 3: image file '.*b.png' cannot be read"):
        open_image(tmp_path / "b.png", "row 3")
    with pytest.raises(InputError, match=r"row 4 is no picture \(got ndarray of shape \(2, 2\)\)"):
        open_image(np.zeros((2, 2)), "row 4")
    with pytest.raises(InputError, match="must lie in 0…1"):
        open_image(np.full((2, 2, 3), 7.0), "row 5")
    for beyond in (np.full((2, 2, 3), 300), np.full((2, 2, 3), -1), np.full((2, 2, 3), 40_000, np.uint16)):
        with pytest.raises(InputError, match=r"row 6: a picture of whole numbers must have them in 0…255"):
            open_image(beyond, "row 6")
    with pytest.raises(InputError, match="row 7 is no picture"):
        open_image(np.zeros((0, 2, 3)), "row 7")


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache", "model", max_bytes="10KB")


def shades():
    """Two grey pictures, and three rows of which two are the same object."""
    dark, light = (np.full((4, 4, 3), shade, np.uint8) for shade in (0, 50))
    return [dark, light, light]


def counting(pictures, **options):
    """A source of the pixels themselves, and how many pictures each call encoded."""
    calls = []

    def encode(pixels):
        calls.append(len(pixels))
        return pixels.flatten(2).transpose(1, 2)

    return ImageTokens(
        as_feature("images", pictures), encode, ImageTransform(2), kind="candidate image", **options
    ), calls


def test_pictures_are_encoded_once(cache):
    source, calls = counting(shades(), cache=cache)
    first = source.tokens(np.array([0, 1, 2]))
    assert calls == [2]
    again, none = counting([np.array(picture) for picture in shades()], cache=cache)
    torch.testing.assert_close(again.tokens(np.array([2, 0])), first[[2, 0]], rtol=0, atol=0)
    assert none == []
    uncached, _ = counting(shades())
    torch.testing.assert_close(uncached.tokens(np.array([0, 1, 2])), first, rtol=0, atol=0)


def test_rows_of_one_picture_follow_each_other(tmp_path):
    for name, shade in (("a", 0), ("b", 90)):
        Image.new("RGB", (4, 4), (shade,) * 3).save(tmp_path / f"{name}.png")
    paths = [tmp_path / "a.png", str(tmp_path / "b.png"), str(tmp_path / "a.png"), tmp_path / "b.png"]
    source, calls = counting(paths, batch=1)
    order = source.together(np.arange(4))
    assert order.tolist() == [0, 2, 1, 3]
    for row in order:
        source.tokens(np.array([row]))
    assert calls == [1, 1]
    # Some of a gallery's pictures are known by their rows in it.
    some = Pictures(np.stack(shades())).take(np.array([2, 0, 2]))
    assert counting(some)[0].together(np.arange(3)).tolist() == [0, 2, 1]
    assert counting(np.stack(shades()))[0].together(np.array([2, 1])).tolist() == [0, 1]


def test_little_memory_keeps_only_the_latest_picture():
    with settings.using(memory_budget=1):
        source, calls = counting(shades())
    for row in (0, 1, 2, 0):
        source.tokens(np.array([row]))
    assert calls == [1, 1, 1]


def test_checksum_is_of_the_content(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint8)
    assert checksum(pixels) == checksum(Image.fromarray(pixels))
    assert checksum(pixels) != checksum(pixels.transpose(1, 0, 2))
    (tmp_path / "a").write_bytes(b"x")
    assert len(checksum(tmp_path / "a")) == 64


def test_array_tokens(tmp_path):
    array = np.random.default_rng(0).random((3, 4, 5)).astype(np.float16)
    np.save(tmp_path / "t.npy", array)
    mapped = ArrayTokens(np.load(tmp_path / "t.npy", mmap_mode="r"), 5, "candidate_tokens")
    listed = ArrayTokens([array[0], None, array[2]], 5, "candidate_tokens")
    view = ArrayTokens(Tokens(array).take(np.array([2, 0])), 5, "reference_tokens")
    torch.testing.assert_close(mapped.tokens(np.array([2, 0])), listed.tokens(np.array([2, 0])))
    torch.testing.assert_close(view.tokens(np.array([0, 1])), mapped.tokens(np.array([2, 0])))
    assert listed.missing(np.array([2, 1, 1])).tolist() == [False, True, True]
    with pytest.raises(InputError, match=r"as wide as the network's \(got \(4, 5\)\)"):
        ArrayTokens(array, 6, "candidate_tokens")
