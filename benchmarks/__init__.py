"""How long `paraminspect list` takes and what it needs, beside its floors and its peers: `python -m benchmarks`."""
