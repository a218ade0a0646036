"""The triplet cross-encoder for composed retrieval: a filter and a dual encoder that re-ranks."""
