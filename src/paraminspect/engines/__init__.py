"""Who does work on files: this process, others on this machine, or those of a Dask cluster."""

from __future__ import annotations

from paraminspect.engines.pool import Engine


def open_engine(word: str = "local") -> Engine:
    """What `--engine` names.

    Raises:
        ParamInspectError: It is not known, not installed, or does not answer.
    """
    if word == "local":
        from paraminspect.engines.local import Local

        return Local()
    from paraminspect.engines.dask import open_dask

    return open_dask(word)
