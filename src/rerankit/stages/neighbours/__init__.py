"""Items that are alike speak for each other: graphs, means and shares of neighbours, and how much they count."""

__all__ = ["alpha_qe", "consensus", "dba", "diffusion", "gnn", "k_reciprocal"]
