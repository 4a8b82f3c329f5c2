"""The public functions: each takes any source and returns records."""
