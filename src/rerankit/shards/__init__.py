"""Vectors in folders of numbered files: .npy, .safetensors, Parquet and Arrow, as one array that is read by rows."""

from __future__ import annotations

from rerankit.shards.folders import is_shards, open_shards
from rerankit.shards.metadata import ids_beside
from rerankit.shards.names import in_order
from rerankit.shards.shards import Shards

__all__ = ["Shards", "ids_beside", "in_order", "is_shards", "open_shards"]
