"""Models of the installed transformers without memory: what each ties under each thing that its config may say.

For `make_tied_names.py`, and like it to be run where one version of transformers is installed, of 4.40 or later. A model is
made of its default config, with fewer layers, on the device "meta": parameters that are one object are tied. The config is
written as config.json has it and read again, since some classes settle there which part of it decides.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from scripts.tied_table import KEY

Ties = dict[str, str]
"""From the name that is given up to the one that is kept."""

Failed = dict[str, str]
"""What could not be made, and why."""

FEW: Final = 2
FEWER: Final = {
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"), FEW),
    **dict.fromkeys(("encoder_layers", "decoder_layers"), FEW),
    "max_position_embeddings": 128,  # Marian computes a sine for each element
}
"""Settings of configs that take time and change no names, and the most they may be."""

PARTS: Final = {
    "encoder-decoder": ("from_encoder_decoder_configs", "Bert", "Bert"),
    "vision-encoder-decoder": ("from_encoder_decoder_configs", "ViT", "Bert"),
    "speech-encoder-decoder": ("from_encoder_decoder_configs", "Wav2Vec2", "Bert"),
    "rag": ("from_question_encoder_generator_configs", "DPR", "Bart"),
}
"""Types of models that have no default config: how one is made, and of which."""

_MUSICGEN: Final = {"text_encoder": {"model_type": "t5"}, "audio_encoder": {"model_type": "encodec"}, "decoder": {}}
_MROPE: Final = {"rope_type": "default", "mrope_section": [24, 20, 20]}
_ROPES: Final = {kind: {"rope_type": "default", "rope_theta": 1e4} for kind in ("full_attention", "sliding_attention")}

WANTED: Final[dict[str, dict[str, Any]]] = {
    "AyaVisionForConditionalGeneration": {"vision_config": {"model_type": "siglip_vision_model", "num_attention_heads": 16}},
    "ChameleonForConditionalGeneration": {"vocabulary_map": {"<image>": 0}},
    "CohereCompassForCausalLM": {"rope_parameters": _ROPES},
    "CohereCompassForConditionalGeneration": {"text_config": {"rope_parameters": _ROPES}},
    "DbrxForCausalLM": {"attn_config": {"rope_theta": 1e4}},
    "DeepseekOcr2ForConditionalGeneration": {"text_config": {"mlp_layer_types": ["dense"] * 64}},
    "DiffusionGemmaForBlockDiffusion": {"text_config": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 64}},
    "Dots1ForCausalLM": {"n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 64},
    "Emu3ForConditionalGeneration": {"vocabulary_map": {"<image>": 0}},
    "EsmForMaskedLM": {"vocab_size": 33},
    "Gemma4AssistantForCausalLM": {"text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}},
    "Granite4VisionForConditionalGeneration": {"deepstack_layer_map": [[0, 0]], "downsample_rate": "1/2"},
    "GraniteMoeHybridForCausalLM": {"layer_types": ["mamba", "attention"] * 16},
    "HunYuanDenseV1ForCausalLM": {"head_dim": 128},
    "HunYuanMoEV1ForCausalLM": {"head_dim": 128},
    "HunYuanVLForConditionalGeneration": {"text_config": {"head_dim": 128}},
    "Idefics3ForConditionalGeneration": {"text_config": {"model_type": "llama", "pad_token_id": 0}},
    "Lfm2MoeForCausalLM": {"layer_types": ["conv", "full_attention"] * 16},
    "MinistralForCausalLM": {"head_dim": 128},
    "MllamaForCausalLM": {"rope_scaling": {"rope_type": "default"}},
    "MllamaForConditionalGeneration": {"text_config": {"rope_scaling": {"rope_type": "default"}}},
    "MoonshineStreamingForConditionalGeneration": {"num_key_value_heads": 8},
    "MusicgenForConditionalGeneration": _MUSICGEN,
    "MusicgenMelodyForConditionalGeneration": _MUSICGEN,
    "NemotronForCausalLM": {"num_key_value_heads": 8, "head_dim": 128},
    "Qwen3OmniMoeThinkerForConditionalGeneration": {"text_config": {"rope_scaling": _MROPE}},
    "Qwen3VLForConditionalGeneration": {"text_config": {"rope_scaling": _MROPE}},
    "Qwen3VLMoeForConditionalGeneration": {"text_config": {"rope_scaling": _MROPE}},
    "ReformerModelWithLMHead": {"is_decoder": True},
    "SmolVLMForConditionalGeneration": {"text_config": {"model_type": "llama", "pad_token_id": 0}},
}  # fmt: skip
"""What classes want to be told for which the default config makes no model."""

PLAIN: Final = re.compile(r"[\w.]+\.(weight|bias)")
"""Names that are no pattern, and no module's."""

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: some default configs ask for files
transformers: Any = importlib.import_module("transformers")
modeling: Any = importlib.import_module("transformers.modeling_utils")


def find_classes(failed: Failed) -> Iterator[Any]:
    """The classes of models, less those that only others derive from."""
    for module in _modules(failed):
        for value in _classes_of(module):
            if value.config_class is not None and not value.__name__.endswith("PreTrainedModel"):
                yield value


def _classes_of(module: Any) -> Iterator[Any]:
    for value in list(vars(module).values()):
        is_model = inspect.isclass(value) and issubclass(value, modeling.PreTrainedModel)
        if is_model and value.__module__ == module.__name__:
            yield value


def _modules(failed: Failed) -> Iterator[Any]:
    package = importlib.import_module("transformers.models")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda name: None):
        if re.search(r"\.modeling_(?!tf_|flax_)\w+$", found.name):
            try:
                yield importlib.import_module(found.name)
            except Exception as error:
                failed[found.name] = repr(error)


class Maker:
    """Makes models of one class.

    Attributes:
        model_class: The class.
        config_class: That of its config.
        silent: The default config, as config.json has it, less what it says of ties: there is what a class has by default
            not always what it takes where a file does not say.
        switches: Dotted paths of each KEY in it, and of that at its top, which may be there all the same.
        is_small: Whether its models have fewer layers, until there is one that cannot be made so.
        may_tie: Whether the class, or a part of it, declares names as tied; True where that is not known yet.
    """

    def __init__(self, model_class: Any) -> None:
        self.model_class = model_class
        self.config_class = model_class.config_class
        config = _default_config(self.config_class, WANTED.get(model_class.__name__, {}))
        self.silent: dict[str, Any] = config.to_dict()
        paths = list(_switches(config))
        for path in paths:
            _part_at(self.silent, path).pop(KEY, None)
        self.switches = [".".join((*path, KEY)) for path in paths]
        beside = _classes_of(sys.modules[model_class.__module__])
        self.may_tie = bool([*_inner(config)]) or any(each._tied_weights_keys for each in beside)
        self.is_small = True
        self._file_names: dict[str, str] = {}
        self._tied: dict[str, Ties] = {}

    def trials(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the config may say, and all of it then: nothing, each switch alone, all switches together."""
        yield "", copy.deepcopy(self.silent)
        for name, paths in [*((path, [path]) for path in self.switches), ("*", self.switches)]:
            for value in (True, False):
                said = copy.deepcopy(self.silent)
                for path in paths:
                    *steps, last = path.split(".")
                    _part_at(said, steps)[last] = value
                yield f"{name}={value}", said

    def make(self, said: Mapping[str, Any]) -> Any:
        """The model, in outline.

        Args:
            said: All of its config.
        """
        if self.is_small:
            try:
                return self._make(said)
            except Exception:
                self.is_small = False
        return self._make(said)

    def _make(self, said: Mapping[str, Any]) -> Any:
        config = self.config_class.from_dict(copy.deepcopy(said))
        if self.is_small:
            _shrink(config)
        with torch.device("meta"):
            model = self.model_class(config)
        model.tie_weights()
        return model

    def ties(self, said: Mapping[str, Any]) -> Ties:
        """What is tied, by the names of files, and by those of the model too where both of two have others there.

        Where only one of them has another, the other's own would be tied to two names that never stand together.
        """
        key = json.dumps(said, default=repr, sort_keys=True)
        if key not in self._tied:
            self._tied[key] = self._find(self.make(said))
        return self._tied[key]

    def _find(self, model: Any) -> Ties:
        self.may_tie = any(getattr(part, "_tied_weights_keys", None) for part in model.modules())
        ties = find_ties(model)
        named = {name: self._file_name(model, name) for name in {*ties, *ties.values()}}
        inner = {alias: source for alias, source in ties.items() if named[alias] != alias and named[source] != source}
        return inner | {named[alias]: named[source] for alias, source in ties.items()}

    def file_ties(self, model: Any) -> Ties:
        """The same, by the names of files alone."""
        return {self._file_name(model, alias): self._file_name(model, kept) for alias, kept in find_ties(model).items()}

    def _file_name(self, model: Any, name: str) -> str:
        if name not in self._file_names:
            self._file_names[name] = file_name(model, name)
        return self._file_names[name]

    @property
    def declares(self) -> bool:
        """Whether the class says to which names it ties others, as since transformers 5."""
        return isinstance(self.model_class._tied_weights_keys, dict)

    def declared(self, said: Mapping[str, Any]) -> Ties:
        """What the class itself declares, whatever the parts of the model would tie."""
        if not getattr(self.config_class.from_dict(copy.deepcopy(said)), KEY, False):
            return {}
        pairs = self.model_class._tied_weights_keys.items()
        return {alias: source for alias, source in pairs if PLAIN.fullmatch(alias)}


def _part_at(config: dict[str, Any], path: Iterable[str]) -> dict[str, Any]:
    for step in path:
        config = config[step]
    return config


def _default_config(config_class: Any, wanted: Mapping[str, Any]) -> Any:
    if config_class.model_type not in PARTS:
        return config_class(**wanted)
    maker, *parts = PARTS[config_class.model_type]
    return getattr(config_class, maker)(*(_class_of_config(part)() for part in parts))


def _class_of_config(name: str) -> Any:
    return getattr(transformers, f"{name}Config")


def _inner(config: Any) -> Iterator[tuple[str, Any]]:
    return ((name, part) for name, part in vars(config).items() if isinstance(part, transformers.PretrainedConfig))


def _switches(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not path or hasattr(config, KEY):
        yield path
    for name, part in _inner(config):
        yield from _switches(part, (*path, name))


def _shrink(config: Any) -> None:
    for name, most in FEWER.items():
        value = vars(config).get(name)
        if isinstance(value, int) and value > most:
            setattr(config, name, most)
    for _, part in _inner(config):
        _shrink(part)


def find_ties(model: Any) -> Ties:
    """Names of parameters and buffers that are one object; the first that `save_pretrained` may keep is kept."""
    groups: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            groups.setdefault(id(tensor), []).append(name)
    found = [names for names in groups.values() if len(names) > 1]
    is_given_up = _given_up(model)
    ties = {}
    for names in found:
        kept = next((name for name in names if not is_given_up(name)), max(names))
        ties.update({name: kept for name in names if name != kept})
    return ties


def _given_up(model: Any) -> Callable[[str], bool]:
    if hasattr(model, "all_tied_weights_keys"):  # transformers 5
        return set(model.all_tied_weights_keys).__contains__
    pattern = re.compile("|".join(f"(?:{key})" for key in _patterns(model, "")) or "(?!)")
    return lambda name: pattern.search(name) is not None


def _patterns(module: nn.Module, prefix: str) -> Iterator[str]:
    for attribute in ("_tied_weights_keys", "_dynamic_tied_weights_keys"):
        for key in getattr(module, attribute, None) or ():
            yield f"{prefix}{key}"
    for name, child in module.named_children():
        yield from _patterns(child, f"{prefix}{name}.")


def file_name(model: Any, name: str) -> str:
    """The name under which `save_pretrained` writes a tensor of a model."""
    if hasattr(model, "all_tied_weights_keys"):  # transformers 5
        loading = importlib.import_module("transformers.core_model_loading")
        tensor = model.state_dict(keep_vars=True)[name]
        return str(next(iter(loading.revert_weight_conversion(model, {name: tensor}))))
    names = [each.__name__.lower() for each in type(model).__mro__[:-1]]
    if any(part in each for each in names for part in getattr(modeling, "VLMS", ())):
        for written, pattern in model._checkpoint_conversion_mapping.items():
            name, count = re.subn(pattern, re.sub(r"\(.*\)", "", written.lstrip("^")), name)
            if count:
                break
    return name
