"""Quantised weights that lie in several tensors: what is recognised, and what they stand for."""
