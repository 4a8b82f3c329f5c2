"""Backward passes: the gradient of each parameter, and why there is none."""
