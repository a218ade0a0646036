"""Opinions put together: by rules, by a model that learns their weights, and scores made probabilities."""

__all__ = ["calibrate", "fuse", "learned_fusion"]
