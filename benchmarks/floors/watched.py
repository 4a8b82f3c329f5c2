"""Run a command whose output somebody looks at, or that goes into a pipe, and pass on what it prints: `pty|pipe COMMAND..`."""

import os
import pty
import sys
import termios

end, command = sys.argv[1], sys.argv[2:]
if end == "pty":
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (50, 120))
else:
    outer, inner = os.pipe()
environ = {**os.environ, "TERM": "xterm-256color", "TTY_INTERACTIVE": "0"}
pid = os.posix_spawn(
    command[0], command, environ, file_actions=[(os.POSIX_SPAWN_DUP2, inner, 1), (os.POSIX_SPAWN_CLOSE, outer)]
)
os.close(inner)
try:
    while data := os.read(outer, 1 << 16):
        os.write(1, data)
except OSError:  # what reading a terminal ends with
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
