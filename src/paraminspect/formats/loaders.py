"""Which file of a folder is its model: the names by which loaders find it, and those of what trainers leave beside it.

Facts only; `formats.folders` applies them. Whoever loads a folder looks for a few names in a fixed order and takes the first
that is there, so that order is ours too, and a note says what stands beside it. Patterns are text: most folders ask for none.

Source: the functions named in the rows, in transformers 5.24, diffusers 0.42, peft 0.21, timm 1.0 and open_clip 3.3, accelerate
1.15; files of Trainer, accelerate, DeepSpeed 0.19 (`checkpoint/constants.py`), Megatron-LM, torchtune.
"""

from __future__ import annotations

from typing import Final

from paraminspect.tuples import NamedTuple


class Loader(NamedTuple):
    """What loads a folder by the names of its files.

    Attributes:
        name: Of the program.
        source: The function that says so.
        files: The names, in the order in which it looks for them.
    """

    name: str
    source: str
    files: tuple[str, ...]


LOADERS: Final = (
    Loader(
        "transformers", "modeling_utils._get_resolved_checkpoint_files",
        ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"),
    ),
    Loader(
        "diffusers", "ModelMixin.from_pretrained",
        (
            "diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.safetensors",
            "diffusion_pytorch_model.bin", "diffusion_pytorch_model.bin.index.json",
        ),
    ),
    Loader("peft", "save_and_load.load_peft_weights", ("adapter_model.safetensors", "adapter_model.bin")),
    Loader("open_clip", "timm.models._hub", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")),
    Loader("accelerate", "fsdp_utils.load_fsdp_model", ("pytorch_model_fsdp.bin",)),
)  # fmt: skip
"""In the order in which they are asked: a folder that two of them could load is the first one's."""

SAFETENSORS_INDEX: Final = r".*\.safetensors\.index(\.[\w-]+)?\.json"
PICKLE_INDEX: Final = r".*\.bin\.index(\.[\w-]+)?\.json"
INDEXES: Final = (SAFETENSORS_INDEX, PICKLE_INDEX)
"""Of shards under any name; the only one of its kind is taken where no loader finds a name of its own."""

SHARD_NAME: Final = r"(?s)(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<extension>(\.[\w-]+)+)"
"""One of several files that are joined by their names: of transformers, diffusers and `llama_split_path` of llama.cpp."""

RANK_SHARD: Final = r"shard-[0-9]{5}-model-[0-9]{5}-of-[0-9]{5}\.safetensors"
"""What one rank has of a model (`HuggingFaceStorageWriter` of torch); all of them together are one."""

RANK_SHARDS: Final = "shard-*-model-*.safetensors"
"""What a message calls them all."""

LEFTOVER: Final = (
    r"(training_args|user_content"  # Trainer
    r"|(optim|optimizer)(_states?)?(_dict)?|scheduler|lr_scheduler|scaler|sampler|rng_state|random_states|dl_state_dict"
    r"|custom_checkpoint"  # accelerate: what was registered besides
    r"|distrib_optim"  # Megatron
    r"|recipe_state"  # torchtune
    r"|(bf16_|fp16_)?zero_pp_rank_\d+_mp_rank_\d+_optim_states"  # DeepSpeed
    r"|expp_rank_\d+_mp_rank_\d+_optim_states"
    r")(_(rank_?)?\d+)*\.\w+"
)
"""What trainers keep beside a model, and which is never a model."""

LEFTOVER_FOLDER: Final = r"(optimizer|sampler|scheduler)(_\d+)*"
"""The same of folders (accelerate writes a distributed checkpoint into `optimizer_0`)."""


class Parts(NamedTuple):
    """Files that are one model together, cut up in a way that is not in them.

    Attributes:
        pattern: Of each name.
        label: What a message calls them all.
        what: How they come to be.
        hint: What joins them.
    """

    pattern: str
    label: str
    what: str
    hint: str


_UNIVERSAL: Final = "ds_to_universal.py of DeepSpeed joins them"

PARTS: Final = (
    Parts(
        r"consolidated\.\d+\.pth", "consolidated.*.pth", "parts of one model for as many devices (Llama of Meta)",
        "convert_llama_weights_to_hf.py of transformers joins them",
    ),
    Parts(
        r"pytorch_model_fsdp(_\d+)?_rank_?\d+\.bin", "pytorch_model_fsdp_rank*.bin",
        "what each rank has of one model (FSDP, LOCAL_STATE_DICT)", "saved as FULL_STATE_DICT or SHARDED_STATE_DICT it is one model",
    ),
    Parts(
        r"layer_\d+-model_(\d+-model_)?states\.pt", "layer_*-model_states.pt", "layers of one model (pipeline of DeepSpeed)",
        _UNIVERSAL,
    ),
    Parts(
        r"(zero_pp_rank_\d+_|(layer_\d+_)?expert_\d+_)?mp_rank_\d+_model_states\.pt", "*mp_rank_*_model_states.pt",
        "parts of one model for as many devices (DeepSpeed)", _UNIVERSAL,
    ),
)  # fmt: skip
"""Of one file each is a model like any."""


class Mark(NamedTuple):
    """What a whole folder is known by.

    Attributes:
        names: Of files in it: one of them is there.
        pattern: The same of a folder in it; "" where none tells.
        what: What the folder is, after "it is".
        is_split: Whether its loader reads models in folders of it along.
    """

    names: tuple[str, ...]
    pattern: str
    what: str
    is_split: bool = False


MARKS: Final = (
    Mark(("model_index.json",), "", "a pipeline of diffusers, each model in a folder of its own", is_split=True),
    Mark(("modules.json",), "", "a model of sentence-transformers, each module in a folder of its own", is_split=True),
    Mark(("zero_to_fp32.py", "latest_universal"), r"global_step\d+", "a checkpoint of DeepSpeed, each step in a folder"),
    Mark(("latest_checkpointed_iteration.txt",), "", "a run of Megatron-LM, each step in a folder"),
    Mark((), "lightning_logs", "a run of Lightning"),
    Mark(("trainer_state.json",), r"checkpoint-\d+", "a run of a trainer, each step in a folder"),
)  # fmt: skip
"""The surest first."""
