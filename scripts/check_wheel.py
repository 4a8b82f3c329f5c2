"""Build the wheel and use it where there is no torch, no numpy and no network: `python -m scripts.check_wheel`.

The wheel goes into a fresh environment beside nothing but typer and what typer needs. Files must be listed there,
for reading one needs no more than that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from paraminspect import __version__
from paraminspect.cli.completion.answer import SHELLS

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
RUNTIME = "typer"
"""The one dependency that the command line needs to start."""

TIMEOUT_S = 60


class WheelError(Exception):
    """What was built is not what a user needs."""


def main() -> int:
    """Build, look into the archives, install, run; the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT)
            wheel = check_archives(folder)
            check_commands(install(wheel, folder / "bare"), folder)
        except WheelError as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
        sys.stdout.write(f"{wheel.name}: lists files without torch\n")
    return 0


def check_archives(folder: Path) -> Path:
    """The wheel, after a look at what it and the source archive hold.

    Raises:
        WheelError: Something is missing, or in the wheel that does not belong there.
    """
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    held = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "paraminspect").rglob("*.py")}
    if missing := (sources | {"paraminspect/py.typed"}) - held:
        raise WheelError(f"the wheel lacks {sorted(missing)}")
    pages = {f"share/man/man1/{path.name}" for path in (ROOT / "docs" / "man").glob("*.1")}
    shared = f"paraminspect-{__version__}.data/data/"
    if missing := (pages | {"share/man/man1/paraminspect.1"}) - {entry.removeprefix(shared) for entry in held}:
        raise WheelError(f"the wheel lacks {sorted(missing)}")
    scripts = {f"paraminspect/cli/completion/scripts/paraminspect.{shell}" for shell in SHELLS}
    if missing := scripts - held:
        raise WheelError(f"the wheel lacks {sorted(missing)}")
    if foreign := {entry for entry in held if not entry.startswith(("paraminspect/", "paraminspect-"))}:
        raise WheelError(f"the wheel holds {sorted(foreign)}")
    if not any(entry.endswith("/licenses/LICENSE") for entry in held):
        raise WheelError("the wheel lacks the licence")
    with tarfile.open(sdist) as archive:
        shipped = {name.partition("/")[2] for name in archive.getnames()}
    if missing := {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt"} - shipped:
        raise WheelError(f"the source archive lacks {sorted(missing)}")
    return wheel


def install(wheel: Path, target: Path) -> Path:
    """Put the wheel and the run-time dependency into a fresh environment; its folder of executables."""
    venv.create(target, with_pip=False, symlinks=True)
    python = target / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)])
    packages = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    for needed in _closure(RUNTIME):
        for file in needed.files or ():
            if ".." not in file.parts:  # console scripts stay where they are
                destination = Path(packages) / file
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), destination)
    return python.parent


def check_commands(binaries: Path, folder: Path) -> None:
    """Run the command in the bare environment.

    Raises:
        WheelError: It fails, or prints something else than it should.
    """
    command = str(binaries / "paraminspect")
    for module in ("torch", "numpy", "safetensors", "yaml"):
        probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is not None)"
        run([str(binaries / "python"), "-c", probe])
    if (found := run([command, "--version"]).split()[-1:]) != [__version__]:
        raise WheelError(f"--version prints {found}, not {__version__}")
    weights = folder / "weights.safetensors"
    header = json.dumps({"fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    weights.write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    if (row := run([command, "list", str(weights)]).split("\t"))[:5] != ["fc.weight", "[2,3]", "float32", "6", "24"]:
        raise WheelError(f"list prints {row}")
    names = run([command, "list", "--format", "names", str(DEMO / "training.pt")]).split()
    if "model.0.weight" not in names:
        raise WheelError(f"list names {names}, not model.0.weight")
    run([command, "tree", str(weights)])
    if "_PARAMINSPECT_COMPLETE" not in run([command, "--show-completion", "bash"]):
        raise WheelError("--show-completion prints no script")
    if not (binaries.parent / "share" / "man" / "man1" / "paraminspect-list.1").is_file():
        raise WheelError("the manual pages are not installed")


def run(command: list[str], cwd: Path | None = None) -> str:
    """What a command prints, in an environment of its own.

    Raises:
        WheelError: It ends with another exit status than 0.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env={},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise WheelError(f"{' '.join(command)} ended with exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _closure(name: str) -> list[Distribution]:
    """A distribution and all it requires here, each once."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        needed = waiting.pop()
        if needed not in found:
            found[needed] = distribution(needed)
            for text in found[needed].requires or ():
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    waiting.append(requirement.name)
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
