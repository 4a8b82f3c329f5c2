"""How large the keys and values are that a decoder keeps, as a `config.json` of transformers tells.

A layer keeps a key and a value of `head_dim` numbers for each of its key-value heads and each token. That is so for the
models of a table; of others it is not known here: some keep a latent in their place, some have layers without any,
some do it in code of their own.

Source: the caches of models of transformers 5.24, measured by `scripts/make_kv_caches.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraminspect.formats.facts import INNER, of_config
from paraminspect.formats.kv_cache_types import DIVIDED, PLAIN
from paraminspect.tuples import NamedTuple

WINDOWS = "sliding_attention"
WHOLE = "full_attention"


class KvCache(NamedTuple):
    """What is kept for each sequence.

    Attributes:
        elements: Numbers; None where that is not known.
        note: Why not, or what is to be known besides; "" without.
    """

    elements: int | None
    note: str = ""


def measure_cache(config: Mapping[str, object], context: int) -> KvCache:
    """The keys and values of one sequence.

    Args:
        config: As `config.json` has it (untrusted).
        context: Tokens.
    """
    inner = next((each for key in INNER if isinstance(each := config.get(key), dict)), config)
    model_type = inner.get("model_type", config.get("model_type"))
    if model_type not in PLAIN | DIVIDED:
        return KvCache(None, f"keys and values are not known: {_why(inner, model_type)}")
    each = count_elements(inner, 1, divided=model_type in DIVIDED)
    layers = _count(of_config(inner).get("layers"))
    if each is None or layers is None:
        return KvCache(None, "keys and values are not known: the config does not tell layers and heads")
    kinds = inner.get("layer_types")
    kinds = kinds if isinstance(kinds, list) else []
    if not set(kinds) <= {WHOLE, WINDOWS}:
        return KvCache(None, f"keys and values are not known: {_why(inner, model_type)}")
    window = _count(inner.get("sliding_window")) if inner.get("use_sliding_window") is not False else None
    if window is None or window >= context or (kinds and WINDOWS not in kinds):
        return KvCache(each * context)
    whole = kinds.count(WHOLE)
    least = each // layers * (whole * context + (layers - whole) * window)
    return KvCache(
        None,
        f"keys and values are not known: past {window:,} tokens it depends on who runs it what sliding windows keep, "
        f"{least:,} to {each * context:,} numbers a sequence",
    )


def count_elements(config: Mapping[str, object], tokens: int, *, divided: bool = False) -> int | None:
    """Keys and values of so many tokens, if every layer keeps all; None where the config does not tell.

    Args:
        config: Of a model that reads text alone.
        divided: Whether the width of a head is that of the layer over heads, whatever else is there.
    """
    facts = of_config(config)
    layers, heads, hidden = (_count(facts.get(name)) for name in ("layers", "heads", "hidden_size"))
    kv_heads = _count(facts.get("kv_heads")) or heads
    stated = None if divided else _count(config.get("head_dim"))
    width = stated or (hidden // heads if hidden and heads else None)
    return 2 * layers * kv_heads * width * tokens if layers and kv_heads and width else None


def _why(config: Mapping[str, object], model_type: object) -> str:
    kinds = config.get("layer_types")
    others = [str(each) for each in kinds if each not in (WHOLE, WINDOWS)] if isinstance(kinds, list) else []
    if "kv_lora_rank" in config:
        return f"{model_type} keeps a latent (kv_lora_rank), and how depends on who runs it"
    if others:
        return f"{model_type} has layers of {others[0]}"
    return f"no table has the models of {model_type}" if model_type else "the config has no model_type"


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 40 else None
