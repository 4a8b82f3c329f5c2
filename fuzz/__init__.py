"""Fuzzing of everything that reads untrusted bytes, with coverage (atheris, which is no dependency of the tests)."""
