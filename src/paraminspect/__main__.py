"""`python -m paraminspect`."""

from __future__ import annotations

from paraminspect.cli.main import main

if __name__ == "__main__":
    main()
