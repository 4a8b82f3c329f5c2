"""Names that a file declares to be other names of a tensor, without storing it twice.

A format in which no two names may share bytes can only say so. `safetensors.torch.save_model` drops all names of a
shared tensor but one and writes {dropped: kept} into `__metadata__`. A name that is dropped is made a record again, so
that it is listed and counted as it is elsewhere.

In a Hugging Face folder the key `tie_word_embeddings` of `config.json` says that the output layer uses the input
embedding's tensor, and in an encoder-decoder that both halves use one embedding. It names no tensors: their names are the
model class's own, so they are looked up in tables. Where the key is absent the class has a default that the file does not
tell; then nothing is declared. A config is untrusted like any file: one that cannot be read is a remark, and never keeps
the model from being read.

Source: `_tied_weights_keys` of the model classes of transformers 4 and 5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.paths import base_name
from paraminspect.records import Checkpoint, Declaration, TensorRecord

NO_NAMES = frozenset({"format"})
"""Keys of safetensors' metadata with a meaning of their own: "pt" may well be a tensor."""

MAX_DECLARED: Final = 100_000
"""Ties that one file may declare; a model has a handful."""

TIE_KEY: Final = "tie_word_embeddings"

EMBEDDINGS: Final = (
    "shared.weight",  # T5, BART, Pegasus
    "embed_tokens.weight",  # Llama and what follows it, OPT, Gemma, Qwen2
    "wte.weight",  # GPT-2, GPT-J, MPT
    "word_embeddings.weight",  # BERT, BLOOM, Falcon
    "embed_in.weight",  # GPT-NeoX
    "tok_embeddings.weight",  # InternLM2, ModernBERT
)
"""How the name of an input embedding ends; of several in one model, the first of these."""

HEADS: Final[Mapping[str, str]] = {
    "bert": "cls.predictions.decoder.weight",
    "gpt_neox": "embed_out.weight",
    "internlm2": "output.weight",
    "modernbert": "decoder.weight",
    "roberta": "lm_head.decoder.weight",
    "xlm-roberta": "lm_head.decoder.weight",
}
"""The output layer by `model_type`, where it has another name than `HEAD`."""

HEAD: Final = "lm_head.weight"
HALVES: Final = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Of an encoder-decoder, beside `shared.weight`."""

WITH_HEAD: Final = ("ForCausalLM", "LMHead", "ForConditionalGeneration", "ForMaskedLM", "ForPreTraining")
"""In the name of a class that has an output layer."""


def declared_by_metadata(metadata: Mapping[str, str], names: Collection[str]) -> tuple[Declaration, ...]:
    """The ties in the metadata of a safetensors file: entries whose value is the name of a tensor.

    Raises:
        LimitExceededError: More than MAX_DECLARED.
    """
    found = tuple(
        Declaration(alias, name, "metadata")
        for alias, name in metadata.items()
        if name in names and alias and name and alias != name and alias not in NO_NAMES
    )
    if len(found) > MAX_DECLARED:
        raise LimitExceededError("declared ties", limit=MAX_DECLARED, actual=len(found))
    return found


def with_declared(tensors: Sequence[TensorRecord], declared: Iterable[Declaration]) -> Sequence[TensorRecord]:
    """The tensors, and behind them those names that are declared but not stored."""
    wanted = [each for each in declared if each.tied]
    if not wanted:
        return tensors
    by_name = {record.name: record for record in tensors}
    added = [
        by_name[each.name]._replace(name=each.alias, declared=True)
        for each in wanted
        if each.alias not in by_name and each.name in by_name
    ]
    return [*tensors, *added] if added else tensors


def add_config(checkpoint: Checkpoint, path: str) -> Checkpoint:
    """The checkpoint with what the config beside it declares, or with a remark that it cannot be read.

    Args:
        path: Of its `config.json`.
    """
    from paraminspect.formats.sharded import load_json  # which a single file does without

    try:
        config = load_json(path, base_name(path))
    except ParamInspectError as error:
        return replace(
            checkpoint, notes=(*checkpoint.notes, f"ties that it may declare are not known: {error.message}")
        )
    declared = declared_by_config(config, checkpoint.tensors)
    if not declared:
        return checkpoint
    known = {(each.alias, each.name) for each in checkpoint.declared}
    added = tuple(each for each in declared if (each.alias, each.name) not in known)
    return replace(
        checkpoint, tensors=with_declared(checkpoint.tensors, added), declared=(*checkpoint.declared, *added)
    )


def declared_by_config(config: Mapping[str, object], tensors: Sequence[TensorRecord]) -> list[Declaration]:
    """Ties that a config declares between the names of its model, present or not.

    A name that is not there is only declared where the class of the model is known to have it: a bare `GPT2Model` has
    no output layer. `tie_word_embeddings: false` is passed on for names that are all there.
    """
    tied = config.get(TIE_KEY)
    if not isinstance(tied, bool):
        return []
    names = {record.name for record in tensors if record.role == "model" and record.shape and len(record.shape) == 2}
    embedding = _find_embedding(names)
    if embedding is None:
        return []
    aliases = [*_halves(embedding, config), *_heads(names, config)]
    return [Declaration(alias, embedding, "config.json", tied) for alias in aliases if tied or alias in names]


def _find_embedding(names: set[str]) -> str | None:
    """The input embedding; None if there is none, or several that could be it."""
    for ending in EMBEDDINGS:
        found = [name for name in names if f".{name}".endswith(f".{ending}")]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _halves(embedding: str, config: Mapping[str, object]) -> list[str]:
    prefix = embedding.removesuffix("shared.weight")
    if prefix == embedding or config.get("is_encoder_decoder") is not True:
        return []
    return [prefix + half for half in HALVES]


def _heads(names: set[str], config: Mapping[str, object]) -> list[str]:
    """The output layer: the one that is there, or the one that the class must have."""
    model_type, classes = config.get("model_type"), config.get("architectures")
    head = HEADS.get(model_type, HEAD) if isinstance(model_type, str) else HEAD
    if present := [name for name in sorted(names) if f".{name}".endswith(f".{head}")]:
        return present[:1]
    first = classes[0] if isinstance(classes, list) and classes else None
    return [head] if isinstance(first, str) and any(part in first for part in WITH_HEAD) else []
