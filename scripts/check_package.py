"""Whether what would be published is as a package index wants it: `make check-package`.

The source archive is built and unpacked; there the settings that are empty in the repository are filled with values for a
test, and both archives are built again, so that a wheel is made of what the archive holds. twine, check-wheel-contents and
pyroma look at them, zizmor and the schemas at the workflows, hadolint at the Dockerfile; then the tests run there.

    python -m scripts.check_package [--tests "PYTHON PYTEST_ARGS"]
    python -m scripts.check_package --release TAG --keep FOLDER    the archives of a release, with the settings as they are
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
TEST_VALUES = {"repository": "https://github.com/example/paraminspect", "email": "developers@example.org"}
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#)[^)]*\)")
PYROMA_BEST = "10"
SCHEMAS = {"github-workflows": "workflows/*.yml", "dependabot": "dependabot.yml"}


class PackageError(Exception):
    """What would be published is not as it should be."""


def main() -> int:
    """Check everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", default="")
    parser.add_argument("--release", default="")
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    try:
        if chosen.release:
            release(chosen.release, chosen.keep or ROOT / "dist")
        else:
            check(chosen.tests)
    except PackageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def check(tests: str) -> None:
    """All that is looked at before a release is thought of.

    Raises:
        PackageError: Something is not as it should be.
    """
    with tempfile.TemporaryDirectory() as name:
        unpacked = unpack(build(ROOT, Path(name) / "first"), Path(name))
        fill(unpacked / "pyproject.toml", TEST_VALUES)
        archives = build(unpacked, Path(name) / "second")
        look_at(archives, unpacked)
        check_workflows(unpacked)
        if tests:
            run(shlex.split(tests), unpacked, PYTHONPATH=str(unpacked / "src"))


def release(tag: str, folder: Path) -> None:
    """The archives of a release.

    Raises:
        PackageError: The tag is not the version, or the project has no address yet.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    if empty := [name for name in TEST_VALUES if not settings[name]]:
        raise PackageError(f"pyproject.toml has no {' and no '.join(empty)} yet, in [tool.hatch.metadata.hooks.custom]")
    archives = build(ROOT, folder)
    look_at(archives, ROOT)
    if (version := metadata(archives)["Version"]) != tag.removeprefix("v"):
        raise PackageError(f"the tag is {tag}, the version {version}")


def build(source: Path, target: Path) -> list[Path]:
    """The source archive and the wheel."""
    run([sys.executable, "-m", "hatchling", "build", "-d", str(target)], source)
    return sorted(target.glob("paraminspect-*"))


def unpack(archives: Iterable[Path], target: Path) -> Path:
    """The folder that the source archive holds."""
    (sdist,) = (path for path in archives if path.name.endswith(".tar.gz"))
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    return target / sdist.name.removesuffix(".tar.gz")


def fill(project: Path, values: dict[str, str]) -> None:
    """Give settings of the build that are empty a value."""
    text = project.read_text()
    for name, value in values.items():
        text = re.sub(rf'^{name} = ".*?"', f'{name} = "{value}"', text, count=1, flags=re.MULTILINE)
    project.write_text(text)


def look_at(archives: list[Path], folder: Path) -> None:
    """What an index, pip and a reader make of the archives."""
    names = [str(path) for path in archives]
    run(["twine", "check", "--strict", *names], folder)
    run(["check-wheel-contents", *(name for name in names if name.endswith(".whl"))], folder)
    run(["pyroma", "-n", PYROMA_BEST, *(name for name in names if name.endswith(".tar.gz"))], folder)
    about = metadata(archives)
    text = str(about.get_payload())
    if left := RELATIVE_LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
        raise PackageError(f"links of the README that lead nowhere on an index: {', '.join(left)}")
    if not about.get_all("Project-URL"):
        raise PackageError("no address of the project in the metadata")


def metadata(archives: Iterable[Path]) -> Message:
    """What the wheel says of itself."""
    (wheel,) = (path for path in archives if path.suffix == ".whl")
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def check_workflows(folder: Path) -> None:
    """Actions, workflows and the image."""
    run(["zizmor", "--offline", "--no-progress", "--quiet", "."], folder)
    for schema, pattern in SCHEMAS.items():
        files = map(str, sorted((folder / ".github").glob(pattern)))
        run(["check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files], folder)
    run(["check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"], folder)
    run(["hadolint", "Dockerfile"], folder)


def run(words: list[str], folder: Path, **environ: str) -> None:
    """Run a command, one of this environment first, with more in its environment.

    Raises:
        PackageError: It ends with another exit status than 0.
    """
    own = Path(sys.executable).parent / words[0]
    sys.stdout.write(f"{shlex.join([Path(words[0]).name, *words[1:]])}\n")
    sys.stdout.flush()
    done = subprocess.run(
        [str(own) if own.exists() else words[0], *words[1:]], cwd=folder, env={**os.environ, **environ}, check=False
    )
    if done.returncode:
        raise PackageError(f"{Path(words[0]).name} ended with exit status {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
