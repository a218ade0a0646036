"""The stages that ship with rerankit: a folder for each family, and for each system that is trained."""

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
