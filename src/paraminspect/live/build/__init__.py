"""Live models: built from a spec or by a factory, filled with weights, described."""
