"""Opinions put together: by rules, by a model that learns their weights, and scores made probabilities."""
