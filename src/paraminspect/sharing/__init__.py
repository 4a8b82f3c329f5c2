"""Ties of one source and across several."""
