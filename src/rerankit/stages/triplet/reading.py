"""How a problem's features are read. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

GIVEN = ("reference_images", "reference_tokens", "candidate_images", "candidate_tokens")


@dataclass(frozen=True)
class Reading:
    """How features are read: the parameters of the stage that concern input."""

    on_error: str = "raise"
    cache: str | None = None
    cache_bytes: int | str = "20GB"
    image_pad: str = "target"
    image_batch_size: int = 8
    max_tokens: int = 40
    images: str | None = None
    """Where the picture of an item is, with {id} in place of its id, or {path} of what the task calls its path."""
