"""OpenCV, imported when it is used."""

from __future__ import annotations

from typing import Any

from rerankit.errors import MissingExtraError


def library() -> Any:
    """The package cv2."""
    try:
        import cv2
    except ImportError as cause:
        raise MissingExtraError("needs the package 'cv2': pip install opencv-python-headless") from cause
    return cv2
