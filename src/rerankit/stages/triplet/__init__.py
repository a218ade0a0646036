"""The triplet cross-encoder for composed retrieval: a filter and a dual encoder that re-ranks."""

__all__ = ["bundle", "config", "filter", "network", "plan", "published", "scoring", "stage", "text"]
