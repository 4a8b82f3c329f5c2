"""Hold the SARIF that `check` writes against the official JSON schema, on a folder of model files.

    python -m venv build/sarif && build/sarif/bin/pip install jsonschema
    npm pack @microsoft/jest-sarif && tar xzf microsoft-jest-sarif-*.tgz    # package/lib/schemas/sarif-2.1.0-rtm.5.json
    build/sarif/bin/python scripts/validate_sarif.py SCHEMA .venv/bin/paraminspect FOLDER...

Each file and folder in a FOLDER is checked alone, and all of them in one run.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Exit status 0 if every document is valid, 1 if not."""
    schema, program, *folders = sys.argv[1:]
    jsonschema = importlib.import_module("jsonschema")  # which nobody else needs at run time
    validator = jsonschema.validators.validator_for(loaded := json.loads(Path(schema).read_text()))(loaded)
    paths = [str(path) for folder in folders for path in sorted(Path(folder).iterdir())]
    invalid = results = 0
    for sources in [*([path] for path in paths), paths]:
        command = [program, "check", "--format", "sarif", "--", *sources]
        done = subprocess.run(command, capture_output=True, check=False)
        document = json.loads(done.stdout)
        results += len(document["runs"][0]["results"])
        for error in validator.iter_errors(document):
            invalid += 1
            sys.stdout.write(f"{sources[0]!r}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}\n")
    sys.stdout.write(f"{len(paths) + 1} documents of {results} results, {invalid} errors\n")
    return min(invalid, 1)


if __name__ == "__main__":
    sys.exit(main())
