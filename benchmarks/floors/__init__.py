"""The least that any lister in Python has to do, and the peers: each a script that prints name, shape and dtype."""
