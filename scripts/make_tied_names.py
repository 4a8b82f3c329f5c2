"""Writes `formats/tied_names.py`, of what several versions of transformers tie, and what its tests hold it against.

Each version has an environment of its own, of Python 3.11 with one torch and nothing that transformers could do without;
of others, other classes fail. From the root of the repository, a few minutes each:

    for version in 4.40.2 4.46.3 4.57.6 5.24.0; do
        python3.11 -m venv ENVS/$version
        ENVS/$version/bin/pip install torch==2.13.0 transformers==$version
        ENVS/$version/bin/python -m scripts.make_tied_names collect FOLDER
    done
    ENVS/5.24.0/bin/python -m scripts.make_tied_names table FOLDER > src/paraminspect/formats/tied_names.py
    ENVS/5.24.0/bin/python -m scripts.make_tied_names saved FOLDER > tests/formats/saved_ties.json

`collect` writes FOLDER/VERSION.json: `classes`, each with its `config`, `model_type`, `prefix` (of its base model), `switches`
(where its config has `tie_word_embeddings`), `ties` (for each trial of `Maker.trials`, the name that is given up and the one that
is kept, by `Maker.ties`), and where no model could be made, `declared`: then they are those that the class declares, which no
version before 5 does; and `failed`, what could not be made and why.
`saved` is the other way to the same facts: what `save_pretrained` left out of files that it wrote.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import mock

from scripts.tied_models import Failed, Maker, Ties, find_classes, modeling, transformers
from scripts.tied_table import rules_of, write_table

SAVED: Final = ("", "*=True", "*=False")
"""Trials that are saved."""


def main(arguments: Sequence[str]) -> None:
    """Do what the command says."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    match arguments:
        case ["collect", folder]:
            collected = collect()
            text = json.dumps(collected, indent=1, sort_keys=True)
            (Path(folder) / f"{collected['version']}.json").write_text(f"{text}\n")
        case ["saved", folder]:
            collected = json.loads((Path(folder) / f"{transformers.__version__}.json").read_text())
            json.dump(collect_saved(collected["classes"]), sys.stdout, sort_keys=True)
        case ["table", folder]:
            found = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
            sys.stdout.writelines(f"{line}\n" for line in write_table(found))
        case _:
            sys.exit(__doc__)


def collect() -> dict[str, Any]:
    """What the installed version ties."""
    failed: Failed = {}
    classes: dict[str, Any] = {}
    for model_class in find_classes(failed):
        name = model_class.__name__
        try:
            maker = Maker(model_class)
            ties = _ties_of(maker, failed)
            if not ties:
                continue
            classes[name] = {
                "config": maker.config_class.__name__,
                "model_type": maker.config_class.model_type,
                "prefix": model_class.base_model_prefix,
                "switches": maker.switches,
                **ties,
            }
        except Exception as error:
            failed[name] = repr(error)
    return {"version": transformers.__version__, "classes": classes, "failed": failed}


def _ties_of(maker: Maker, failed: Failed) -> dict[str, Any]:
    """`ties`, and maybe `declared`; empty where nothing is known."""
    if not maker.may_tie:
        return {"ties": {"": {}}}
    if ties := _by_trial(maker, maker.ties, failed):
        return {"ties": ties}
    declared = _by_trial(maker, maker.declared, failed) if maker.declares else {}
    return {"ties": declared, "declared": True} if declared else {}


def _by_trial(maker: Maker, find: Callable[[Mapping[str, Any]], Ties], failed: Failed) -> dict[str, Ties]:
    """For each trial what is found, less those that a config refuses; nothing if it stands no trial at all."""
    found: dict[str, Ties] = {}
    for trial, said in maker.trials():
        try:
            found[trial] = find(said)
        except Exception as error:
            failed[f"{maker.model_class.__name__} {trial}".strip()] = repr(error)
        if not found or not maker.may_tie:
            break
    return found


def collect_saved(collected: Mapping[str, Any]) -> dict[str, Any]:
    """What `save_pretrained` of the installed version leaves out.

    Args:
        collected: The classes of this version.

    Returns:
        `version`, and in `classes` for each class what is `said` by the config.json that was written, the names that are
        `stored` of those that are ever tied, and the `groups` of names that are one tensor.
    """
    failed: Failed = {}
    classes: dict[str, list[dict[str, Any]]] = {}
    for model_class in find_classes(failed):
        name = model_class.__name__
        if any(collected.get(name, {"ties": {}})["ties"].values()):
            try:
                classes[name] = _saved_rows(Maker(model_class))
            except Exception as error:
                failed[name] = repr(error)
    sys.stderr.writelines(f"{name}: {why}\n" for name, why in failed.items())
    return {"version": transformers.__version__, "classes": classes}


def _saved_rows(maker: Maker) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    ever: set[str] = set()
    for trial, said in maker.trials():
        if trial in SAVED:
            model = maker.make(said)
            ties = maker.file_ties(model)
            stored, written = save(model)
            row = {"groups": groups_of(ties), "said": _said(written, maker.switches), "stored": stored}
            rows.setdefault(json.dumps(row["said"]), row)
            ever |= {name for pair in rules_of({"": ties}) for name in pair}
    return [{**row, "stored": sorted(ever & row["stored"])} for row in rows.values()]


def groups_of(ties: Ties) -> list[list[str]]:
    """Names that are one tensor."""
    groups: dict[str, set[str]] = {}
    for alias, source in ties.items():
        groups.setdefault(source, {source}).add(alias)
    return sorted(sorted(group) for group in groups.values())


def save(model: Any) -> tuple[set[str], dict[str, Any]]:
    """Save a model without its bytes, which it has not.

    Returns:
        The names of its tensors in the files, and what its config.json says.
    """
    stored: set[str] = set()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(modeling, "safe_save_file", lambda tensors, path, metadata: stored.update(tensors)),
    ):
        model.save_pretrained(folder)
        return stored, json.loads((Path(folder) / "config.json").read_text())


def _said(config: dict[str, Any], switches: Sequence[str]) -> dict[str, bool]:
    said = {}
    for path in switches:
        part: Any = config
        for step in path.split("."):
            part = part.get(step) if isinstance(part, dict) else None
        if part is not None:
            said[path] = part
    return said


if __name__ == "__main__":
    main(sys.argv[1:])
