"""The model of a `transformers:FOLDER`: the class that the folder's config.json names, as transformers itself has it.

Nothing of the folder is run: code that comes along with it (`auto_map`, `trust_remote_code`) is never imported, no
attention kernel of the hub is taken, and nothing is fetched. Values are drawn as the class draws them; those of the
folder are what `--weights FOLDER` is for.

Source: `AutoConfig.from_pretrained`, `PreTrainedModel._from_config` and `PreTrainedModel.dummy_inputs` of transformers 5.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.files.hub_cache import find_snapshot, folder_of_repository, path_in_snapshot
from paraminspect.files.reasons import reason_of
from paraminspect.formats.json_text import MAX_JSON_BYTES, parse_object
from paraminspect.live.build.complaints import argument_names
from paraminspect.live.build.factory import FactoryCall
from paraminspect.live.build.factory_name import FOLDER_PREFIX
from paraminspect.live.build.feeding import merge
from paraminspect.live.build.forward import Inputs
from paraminspect.live.build.user_code import explaining, running_user_code
from paraminspect.names.suggestions import closest, find_meant
from paraminspect.text import list_some, quote
from paraminspect.tuples import NamedTuple

CONFIG: Final = "config.json"
IMAGE: Final = "pixel_values"
WEIGHTS: Final = (".safetensors", ".bin")
DEFAULT_SIZE: Final = 224
"""Height and width of an image where the config does not say."""

IMPLEMENTATIONS: Final = ("attn_implementation", "experts_implementation")
"""Arguments that are none of a config; a `/` in one names a kernel on the hub."""

_FOREIGN: Final = (
    ("model_index.json", "a pipeline of diffusers, of several models"),
    ("adapter_config.json", "an adapter of peft, which is no model without its base"),
)
_DROPPED: Final = ("auto_map", *IMPLEMENTATIONS, *(f"_{name}{more}" for name in IMPLEMENTATIONS for more in ("", "_internal", "_autoset")))  # fmt: skip


class _Library(NamedTuple):
    """What is used of transformers."""

    root: Any
    version: str


class FolderModel(NamedTuple):
    """A model that was built.

    Attributes:
        model: On the device that was asked for, unless its code does not run there.
        folder: Where its config.json is.
        has_weights: Whether there are weights beside it.
    """

    model: nn.Module
    folder: str
    has_weights: bool


def build_from_folder(
    name: str, arguments: Mapping[str, object], *, device: str, seed: int, notes: list[str]
) -> FolderModel:
    """Build the model of a folder.

    Args:
        name: Path of the folder, or what the local cache of the hub knows it by: `ORG/NAME` or `ORG/NAME@REVISION`.
        arguments: In place of what config.json says.
        device: "meta" or "cpu".
        seed: Of what is drawn.
        notes: Takes remarks for the user.

    Raises:
        SourceError: There is no such folder, or transformers; the class is not in transformers, or it refuses.
    """
    is_here = os.path.isdir(os.path.expanduser(name))
    folder = os.path.expanduser(name) if is_here else ""
    stored = _read_config(folder) if is_here else {}
    with _quiet() as library:
        if not is_here:
            folder = _find_cached(name)
            stored = _read_config(folder)
        made_of = _Config(library, stored)
        config = made_of.make(arguments)
        cls = made_of.find_class(config, notes)
        options = {name: arguments[name] for name in IMPLEMENTATIONS if name in arguments}
        call = FactoryCall(lambda: cls._from_config(config, **options), cls.__name__, {}, seed, notes)
        model: nn.Module = call.run(device, [])
    files = os.listdir(folder)
    return FolderModel(model, folder, any(each.endswith(WEIGHTS) for each in files))


def load_from_folder(model: nn.Module, folder: str) -> nn.Module | None:
    """The same model with the weights of a folder, as transformers itself loads them; None where something does not fit.

    It knows under which names files of other versions have the tensors of a class. Only safetensors are read.
    """
    if not os.path.isdir(folder) or os.path.exists(os.path.join(folder, "adapter_config.json")):
        return None  # an adapter would be loaded too, and its base
    made: Any = type(model)
    with _quiet(), suppress(ParamInspectError), explaining(folder, []), running_user_code():
        loaded, info = made.from_pretrained(
            folder, config=model.config, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        if not any(info.values()):
            found: nn.Module = loaded.train(model.training)
            return found
    return None


def _find_cached(name: str) -> str:
    """The snapshot that the local cache of the hub has of a model."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    repository, _, revision = name.partition("@")
    cached = folder_of_repository(str(constants.HF_HUB_CACHE), repository)
    commit = find_snapshot(cached, revision or "main")
    if commit is not None:
        return path_in_snapshot(cached, commit, "")
    parent = os.path.dirname(name) or "."
    inside = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
    meant = find_meant(os.path.basename(name), [each for each in inside if os.path.isdir(os.path.join(parent, each))])
    hint = None if meant is None else f"did you mean {FOLDER_PREFIX}{os.path.join(os.path.dirname(name), meant)}?"
    if hint is None and name.count("/") <= 1 and not name.startswith((".", "/", "~")):
        hint = f"hf download {name} puts a model of the hub into its cache"
    raise SourceError(f"no such folder: {name}", hint=hint)


def _read_config(folder: str) -> dict[str, Any]:
    path = os.path.join(folder, CONFIG)
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        found = next((what for file, what in _FOREIGN if os.path.exists(os.path.join(folder, file))), "")
        raise SourceError(f"{folder} has no {CONFIG}" + (f": it is {found}" if found else "")) from None
    except OSError as error:
        raise SourceError(f"{path}: {reason_of(error)}") from None
    if len(text) > MAX_JSON_BYTES:
        raise SourceError(f"{path}: more than {MAX_JSON_BYTES:,} bytes")
    return parse_object(text, CONFIG)


@contextmanager
def _quiet() -> Iterator[_Library]:
    """The library, which says nothing by itself, and fetches nothing.

    Raises:
        SourceError: It is not installed.
    """
    try:
        with explaining("import of transformers", []):
            transformers: Any = importlib.import_module("transformers")
            constants: Any = importlib.import_module("huggingface_hub.constants")
    except ParamInspectError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == "transformers":
            message = f"{FOLDER_PREFIX}FOLDER takes the library transformers, which is not installed"
            raise SourceError(message, hint="pip install transformers") from None
        raise
    logging = transformers.utils.logging
    verbosity, offline, has_bars = logging.get_verbosity(), constants.HF_HUB_OFFLINE, logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    constants.HF_HUB_OFFLINE = True
    try:
        yield _Library(transformers, transformers.__version__)
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()
        constants.HF_HUB_OFFLINE = offline


class _Config:
    """What config.json says, as transformers understands it.

    Args:
        stored: As it was read.

    Raises:
        SourceError: It is of a model that this version does not have.
    """

    def __init__(self, library: _Library, stored: Mapping[str, Any]) -> None:
        self._library = library
        self._stored = {name: value for name, value in _without(stored, _DROPPED).items() if name != "transformers_version"}  # fmt: skip
        self._names = stored.get("architectures") or []
        self._runs_code = "auto_map" in stored
        kind = stored.get("model_type")
        if not isinstance(kind, str):
            theirs = stored.get("_class_name")
            found = (
                f"it is of {quote(theirs)}, of diffusers" if isinstance(theirs, str) else "expected the name of a model"
            )
            raise SourceError(f"{CONFIG} has no model_type: {found}")
        known = library.root.CONFIG_MAPPING
        if kind not in known:
            raise self._unknown(f"model_type {quote(kind)}", closest(kind, known))
        with explaining(CONFIG, []):
            self._class = known[kind]

    def make(self, arguments: Mapping[str, object]) -> Any:
        """The config, with arguments in the place of what is stored.

        Raises:
            SourceError: It has no such field, or refuses a value.
        """
        given = {name: value for name, value in arguments.items() if name not in IMPLEMENTATIONS}
        for name in IMPLEMENTATIONS:
            if not isinstance(named := arguments.get(name, ""), str) or "/" in named:
                raise SourceError(f"--arg {name}={named}: code of the hub is not run", hint=f"--arg {name}=eager")
        with explaining(CONFIG, []):
            plain = self._class.from_dict(dict(self._stored))
        for name in given:
            if not hasattr(plain, name):
                raise SourceError(
                    f"--arg {name}: {self._class.__name__} has no {name}", hint=closest(name, plain.to_dict())
                )
        if not given:
            return plain
        with explaining(CONFIG, []):
            return self._class.from_dict(merge(self._stored, given))

    def find_class(self, config: Any, notes: list[str]) -> Any:
        """The class of the model: the first of `architectures`, or the bare model where there are none.

        Raises:
            SourceError: It is not in transformers, or takes another config.
        """
        root = self._library.root
        if hasattr(config, "use_pretrained_backbone"):
            config.use_pretrained_backbone = False  # its weights would be fetched
        if not isinstance(self._names, list) or not all(isinstance(each, str) for each in self._names):
            raise SourceError(f"architectures of {CONFIG} are no list of names")
        if not self._names:
            made = root.MODEL_MAPPING.get(type(config), None)
            if made is None:
                raise SourceError(f"{CONFIG} names no class: it has no architectures")
            notes.append(f"{CONFIG} names no class in architectures: it is {made.__name__}")
            return made
        name = self._names[0]
        cls: Any = getattr(root, name, None) if name.isidentifier() else None
        if not _is_model(cls, root):
            models = [each for each in dir(root) if "For" in each or "Model" in each]
            raise self._unknown(f"model class {quote(name)}", closest(name, models))
        if cls.config_class is not None and not isinstance(config, cls.config_class):
            raise SourceError(
                f"architectures of {CONFIG} name {name}, which takes {cls.config_class.__name__}; model_type says {type(config).__name__}"
            )
        if self._runs_code:
            notes.append(f"{CONFIG} names code of its own (auto_map), which is not run: {name} is that of transformers")
        return cls

    def _unknown(self, what: str, hint: str | None) -> SourceError:
        here = f"transformers {self._library.version}"
        if self._runs_code:
            message = (
                f"{CONFIG} takes code that comes with the model (auto_map), which is never run: {here} has no {what}"
            )
            return SourceError(message, hint="a factory that you write may import that code: FILE.py:FUNCTION")
        return SourceError(f"{here} has no {what}", hint=hint or "a newer version may: pip install -U transformers")


def _is_model(found: object, root: Any) -> bool:
    return isinstance(found, type) and issubclass(found, root.PreTrainedModel)


def _without(stored: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A config without some keys, in the configs inside of it neither."""
    return {
        key: _without(value, names) if isinstance(value, Mapping) else value
        for key, value in stored.items()
        if key not in names
    }


def make_example(model: nn.Module) -> Inputs:
    """What a model of transformers is called with for a try: its `dummy_inputs`, and an image of the size in its config.

    Raises:
        SourceError: They are not what its forward takes.
    """
    taken = inspect.signature(model.forward).parameters
    main = getattr(model, "main_input_name", "input_ids")
    made = {name: each for name, each in _dummy_inputs(model).items() if name in taken}
    if IMAGE in taken and IMAGE not in made and (main == IMAGE or _is_of_both(model)):
        made[IMAGE] = _picture(model)
    if not made:
        raise SourceError(
            f"{type(model).__name__} has no example input",
            hint=f"--input {main if isinstance(main, str) else 'NAME'}=1,SIZES; its forward takes {list_some(argument_names(model.forward), 8)}",
        )
    return Inputs(named=made)


def _is_of_both(model: Any) -> bool:
    """Whether it compares texts with images; one whose text has images in it runs without any."""
    has = partial(hasattr, model.config)
    return has("vision_config") and has("text_config") and not (has("image_token_id") or has("image_token_index"))


def _dummy_inputs(model: Any) -> dict[str, object]:
    with explaining("dummy_inputs", []), torch.device("cpu"):
        return dict(model.dummy_inputs)


def _picture(model: Any) -> Tensor:
    """One image in the size of the config, of the part for vision where it has one."""
    config = getattr(model.config, "vision_config", model.config)
    size = getattr(config, "image_size", None) or DEFAULT_SIZE
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    channels = getattr(config, "num_channels", 3)
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0))
