"""Pickles, read by an interpreter that calls and imports nothing."""
