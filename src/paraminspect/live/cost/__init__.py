"""What a model takes: floating-point operations, and bytes that are kept for the way back.

Nothing is computed: a copy of the model without values runs, forward and backward.
"""
