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

`collect` writes VERSION.json in FOLDER, which is there: `classes`, each with its `config`, `model_type`, `prefix` (of its base
model), `switches` (where its config has `tie_word_embeddings`), `ties` (for each trial of `Maker.trials`, the name that is
given up and the one that is kept, by `Maker.ties`), and where no model could be made, `declared`: then they are those that
the class declares, which no version before 5 does; and `failed`, what could not be made and why.
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
            sys.stdout.write(f"{json.dumps(collect_saved(_read(folder)), sort_keys=True)}\n")
        case ["table", folder]:
            sys.stdout.writelines(f"{line}\n" for line in write_table(_read(folder)))
        case _:
            sys.exit(__doc__)


def _read(folder: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]


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


def collect_saved(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `save_pretrained` of the installed version leaves out.

    Args:
        found: What was collected of each version.

    Returns:
        `version`, and in `classes` for each class what is `said` by the config.json that was written, the names that are
        `stored` of those that any version ties, and the `groups` of names that are one tensor.
    """
    (now,) = (each["classes"] for each in found if each["version"] == transformers.__version__)
    failed: Failed = {}
    classes: dict[str, list[dict[str, Any]]] = {}
    for model_class in find_classes(failed):
        name = model_class.__name__
        if any(now.get(name, {"ties": {}})["ties"].values()):
            rows = (each["classes"][name] for each in found if name in each["classes"])
            ever = {each for row in rows for pair in rules_of(row["ties"]) for each in pair}
            try:
                classes[name] = _saved_rows(Maker(model_class), ever)
            except Exception as error:
                failed[name] = repr(error)
    sys.stderr.writelines(f"{name}: {why}\n" for name, why in failed.items())
    return {"version": transformers.__version__, "classes": classes}


def _saved_rows(maker: Maker, ever: set[str]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for trial, said in maker.trials():
        if trial in SAVED:
            model, (stored, written) = _make_and_save(maker, said)
            told = _said(written, maker.switches)
            row = {"groups": groups_of(maker.file_ties(model)), "said": told, "stored": sorted(stored & ever)}
            rows.setdefault(json.dumps(told), row)
    return list(rows.values())


def _make_and_save(maker: Maker, said: Mapping[str, Any]) -> tuple[Any, tuple[set[str], dict[str, Any]]]:
    try:
        model = maker.make(said)
        return model, save(model)
    except Exception:  # a config with fewer layers than it lists is not written
        maker.is_small = False
        model = maker.make(said)
        return model, save(model)


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
