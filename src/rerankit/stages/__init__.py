"""The stages that ship with rerankit: one file per training-free stage, one folder per trainable system."""

__all__ = [
    "cross_encoder",
    "fusion",
    "hmrn",
    "hubness",
    "maxsim",
    "metric",
    "neighbours",
    "pillar",
    "plan",
    "remote",
    "triplet",
]
