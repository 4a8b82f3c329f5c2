"""Which records share bytes."""
