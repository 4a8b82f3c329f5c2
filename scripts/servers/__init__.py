"""Servers on loopback that tests and benchmarks read models from: HTTP with ranges and faults, a hub, S3."""
