"""The stages that ship with rerankit: one file per training-free stage, one folder per trainable system."""
