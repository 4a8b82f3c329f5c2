"""Which names are meant."""
