"""Vectors in folders of numbered files, as one array that is read by rows: NumPy, safetensors, Parquet, Arrow …"""

from __future__ import annotations

from rerankit.shards.folders import is_shards, open_one, open_shards
from rerankit.shards.metadata import ids_of_shards
from rerankit.shards.names import in_order
from rerankit.shards.parts import is_dataset
from rerankit.shards.shards import Shards

__all__ = ["Shards", "ids_of_shards", "in_order", "is_dataset", "is_shards", "open_one", "open_shards"]
