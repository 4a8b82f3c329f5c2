"""What the Makefile runs: the demo's files, the README's outputs, the check of the wheel."""
