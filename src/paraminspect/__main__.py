"""Entry point of the command `paraminspect`.

Light on purpose: what is slow to import happens inside `main`, and Ctrl-C is quiet from the first moment on.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def _say_unless_interrupted(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """Ctrl-C before `main` can catch it, or after, ends the process as quietly as in between."""
    if issubclass(kind, KeyboardInterrupt):
        import os

        os._exit(INTERRUPTED)
    sys.__excepthook__(kind, error, trace)  # type: ignore[arg-type]


sys.excepthook = _say_unless_interrupted


def _ignore_interrupt(what: sys.UnraisableHookArgs) -> None:
    """Ctrl-C where Python can raise nothing, in a finalizer, is as quiet; the run ends as interrupted all the same."""
    if not issubclass(what.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(what)


sys.unraisablehook = _ignore_interrupt


def main() -> None:
    """Run the command line and leave the process."""
    ended: list[int] = []
    try:
        import gc

        # A short-lived process has little garbage in cycles; looking for it takes a tenth of the time of a run.
        # A command that works for long turns the collector on again.
        gc.disable()
        from paraminspect.files.system import heed_end

        heed_end(ended)
        from paraminspect.late_patterns import late_patterns

        with late_patterns():
            from paraminspect.cli.app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    leave(128 + ended[0] if ended else status)


def leave(status: int) -> None:
    """End the process with this status, without the interpreter's own clean-up.

    That would take a tenth of the time of a run, and write once more to a pipe that is closed or a disk that is full.
    """
    import atexit
    import os

    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass  # `run` has written all and reported what failed; this is what it could not write
    atexit._run_exitfuncs()
    os._exit(status)


if __name__ == "__main__":
    main()
