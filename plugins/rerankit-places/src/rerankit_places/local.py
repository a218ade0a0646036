"""Local features of pictures: where they are, and what they look like."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit import checks, track
from rerankit.errors import InputError, rule
from rerankit.features import Tokens
from rerankit_places.opencv import library


def local_features(pictures: Iterable[Any], most: int = 500) -> Tokens:
    """The feature ``local`` of some pictures: the `most` strongest SIFT features of each, as rows x, y, descriptor.

    pictures: paths, or arrays (height, width) or (height, width, 3, RGB) of bytes. Descriptors are square roots of
    shares (RootSIFT), whose products compare them well. A picture without any feature gets one row of zeros.
    """
    cv2 = library()
    sift = cv2.SIFT_create(nfeatures=checks.integer("most", most, least=1))
    return Tokens([_rows(sift, _grey(cv2, picture)) for picture in track(list(pictures), "local features")])


def _rows(sift: Any, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    points, found = sift.detectAndCompute(grey, None)
    if not points:
        return np.zeros((1, 130), np.float32)
    shares = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9))
    return np.hstack([np.array([point.pt for point in points]), shares]).astype(np.float32)


def _grey(cv2: Any, picture: Any) -> NDArray[np.uint8]:
    if isinstance(picture, str | os.PathLike):
        read = cv2.imread(os.fspath(picture), cv2.IMREAD_GRAYSCALE)
        if read is None:
            raise InputError(f"'{os.fspath(picture)}' cannot be read as a picture")
        return np.asarray(read)
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise rule("pictures", "must be paths or arrays of bytes", f"{array.dtype} of shape {array.shape}")
    return np.asarray(array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_RGB2GRAY))
