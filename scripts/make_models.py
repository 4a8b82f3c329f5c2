"""Makes `tests/produced/`: small models in each form that their own libraries save them in, and what those hold them to be.

    python scripts/make_models.py [MODEL ..]

A model's folder holds `expected.json` (its state dict as the library has it in memory: shape, dtype and the SHA-256 of the
bytes by name, and which names are one parameter) and one file or folder a form. `versions.json` says what wrote them.
`tests/test_produced.py` puts every question to each of them.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-call, attr-defined, misc"
# the producers are installed by who runs this, and many of them have no types

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PRODUCED: Final = Path(__file__).parent.parent / "tests" / "produced"
SMALL: Final = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 32,
}
DECODER: Final = SMALL | {"num_key_value_heads": 1, "max_position_embeddings": 16}
SPEECH: Final = {
    "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "vocab_size": 32, "num_mel_bins": 4, "max_source_positions": 8,
    "max_target_positions": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
TRANSFORMERS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", {"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 32, "n_positions": 8}),
    "llama": ("LlamaConfig", "LlamaForCausalLM", DECODER),
    "llama-tied": ("LlamaConfig", "LlamaForCausalLM", DECODER | {"tie_word_embeddings": True}),
    "t5": ("T5Config", "T5ForConditionalGeneration",
           {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 32}),
    "whisper": ("WhisperConfig", "WhisperForConditionalGeneration", SPEECH),
    "bert": ("BertConfig", "BertForMaskedLM", SMALL | {"max_position_embeddings": 16}),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", DECODER | {"num_local_experts": 2}),
    "gpt-oss": ("GptOssConfig", "GptOssForCausalLM", DECODER | {"num_local_experts": 2, "head_dim": 4}),
}  # fmt: skip


def expect(folder: Path, state: dict[str, Any], tied: list[list[str]]) -> None:
    """Write down what the library holds: tensors by name, and the groups of names that are one parameter.

    A form in which the library saves them under other names is written down beside, as safetensors reads it.
    """
    told: dict[str, Any] = {"tensors": describe(state), "tied": tied}
    for form in sorted(path for path in folder.iterdir() if any(path.glob("model*.safetensors"))):
        from safetensors.torch import load_file

        saved = {
            name: each for path in sorted(form.glob("model*.safetensors")) for name, each in load_file(path).items()
        }
        if not saved.keys() <= state.keys():
            told.setdefault("renamed", {})[form.name] = describe(saved)
    (folder / "expected.json").write_text(json.dumps(told, indent=1) + "\n")


def describe(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "shape": list(tensor.shape),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "sha256": digest(tensor),
        }
        for name, tensor in state.items()
    }


def digest(tensor: Any) -> str:
    import torch

    return hashlib.sha256(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def ties_of(model: Any) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def make_transformers(folder: Path) -> None:
    import torch
    import transformers

    config, of, sizes = TRANSFORMERS[folder.name]
    torch.manual_seed(0)
    model = getattr(transformers, of)(getattr(transformers, config)(**sizes))
    model.save_pretrained(folder / "pretrained")
    (folder / "pretrained" / "generation_config.json").unlink(missing_ok=True)
    torch.save(model.state_dict(), folder / "state.pt")
    torch.save(model.state_dict(), folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(model, folder / "whole.pt")
    model.save_pretrained(folder / "shards", max_shard_size="3KB")
    (folder / "shards" / "generation_config.json").unlink(missing_ok=True)
    expect(folder, model.state_dict(), ties_of(model))


def make_diffusers(folder: Path) -> None:
    import diffusers
    import torch

    sizes = {"block_out_channels": (4, 4), "layers_per_block": 1, "norm_num_groups": 2}
    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    net = diffusers.UNet2DModel(sample_size=8, add_attention=False, **sizes, **blocks)
    expect(folder, net.state_dict(), ties_of(net))
    net.save_pretrained(folder / "pretrained")
    net.save_pretrained(folder / "binary", safe_serialization=False)
    torch.save(net.state_dict(), folder / "state.pt")


def make_peft(folder: Path) -> None:
    import peft
    import torch
    from torch import nn

    model = peft.get_peft_model(
        nn.Sequential(nn.Linear(4, 4)), peft.LoraConfig(r=2, target_modules=["0"], init_lora_weights=False)
    )
    expect(folder, peft.get_peft_model_state_dict(model), [])
    model.save_pretrained(folder / "pretrained")
    (folder / "pretrained" / "README.md").unlink()
    model.save_pretrained(folder / "binary", safe_serialization=False)
    (folder / "binary" / "README.md").unlink()
    torch.save(peft.get_peft_model_state_dict(model), folder / "state.pt")


def make_lightning(folder: Path) -> None:
    import lightning
    import torch
    from torch import nn

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(8, 4)
            self.head = nn.Linear(4, 8, bias=False)
            self.head.weight = self.embed.weight
            self.norm = nn.BatchNorm1d(8)

        def training_step(self, batch: Any) -> Any:
            return self.norm(self.head(self.embed(batch))).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters())

    net = Net()
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                                enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    rows: Any = torch.arange(8)
    trainer.fit(net, torch.utils.data.DataLoader(rows, batch_size=4))
    trainer.save_checkpoint(folder / "last.ckpt")
    expect(folder, net.state_dict(), ties_of(net))


def make_torch_ranks(folder: Path) -> None:
    """What two ranks write together, by `make_ranks.py`; the state dict is the one of a single process."""
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        subprocess.run([*command, str(Path(__file__).with_name("make_ranks.py")), folder.name, made], check=True)
        for path in Path(made).iterdir():
            if path.name != "whole.pt":
                shutil.move(path, folder / path.name)
        import torch

        expect(folder, torch.load(Path(made) / "whole.pt", weights_only=True), [])


MODELS: Final[dict[str, tuple[str, Callable[[Path], None]]]] = {
    **{f"transformers/{name}": ("transformers", make_transformers) for name in TRANSFORMERS},
    "diffusers/unet": ("diffusers", make_diffusers),
    "peft/lora": ("peft", make_peft),
    "lightning/tied": ("lightning", make_lightning),
    "torch/dcp": ("torch", make_torch_ranks),
    "torch/fsdp1": ("torch", make_torch_ranks),
    "torch/fsdp2": ("torch", make_torch_ranks),
    "torch/hf": ("torch", make_torch_ranks),
}
"""Every model: the package that writes it, whose version is noted, and how."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    noted = PRODUCED / "versions.json"
    versions = json.loads(noted.read_text()) if noted.exists() else {}
    for name in parser.parse_args().models or MODELS:
        package, make = MODELS[name]
        folder = PRODUCED / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        versions[name] = {each: version(each) for each in sorted({package, "torch"})}
    noted.write_text(json.dumps(versions, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
