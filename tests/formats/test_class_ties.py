"""What the classes of transformers tie: the whole table against what `save_pretrained` left out, and the rules by hand.

`saved_ties.json` is made by `scripts/make_tied_names.py saved`: for each class that ties, and each thing its config may say, the
parts of config.json that matter as they are written, the names that are stored, and the groups of names that are one tensor.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.formats.class_ties import Rule, declared_by_config, find_pairs, holds
from paraminspect.formats.tied_names import TIES
from paraminspect.records import Declaration

SAVED: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("saved_ties.json").read_text())["classes"]
CLASSES = " ".join(TIES.values()).split()

NUMBERED = re.compile(r"(^|\.)\d+(\.|$)")
"""Parts of names: of ties between numbered parts, whose number is another one in each model, the table says nothing."""


def config_of(name: str, said: dict[str, bool]) -> dict[str, Any]:
    config: dict[str, Any] = {"architectures": [name]}
    for path, value in said.items():
        *steps, last = path.split(".")
        inner = config
        for step in steps:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return config


def groups_of(declared: list[Declaration]) -> list[list[str]]:
    groups: dict[str, set[str]] = {}
    for each in declared:
        if each.tied:
            groups.setdefault(each.name, {each.name}).add(each.alias)
    return sorted(sorted(group) for group in groups.values())


@pytest.mark.parametrize("name", SAVED)
def test_what_transformers_left_out_is_declared(name: str) -> None:
    for saved in SAVED[name]:
        declared = declared_by_config(config_of(name, saved["said"]), set(saved["stored"]))
        expected = [group for group in saved["groups"] if not any(map(NUMBERED.search, group))]
        assert groups_of(declared) == expected, saved
        assert {each.name for each in declared} <= set(saved["stored"])


def test_the_table_can_be_read_and_has_each_class_once() -> None:
    assert len(CLASSES) == len(set(CLASSES)) > 400
    for name in CLASSES:
        _, pairs = find_pairs(name)
        assert pairs
        assert all(each.alias and each.source and each.alias != each.source and each.rules for each in pairs)


@pytest.mark.parametrize("name", ["", "LlamaModel", "MyForCausalLM", "Llama", "LlamaForCausalLM MptForCausalLM", ".*"])
def test_of_other_classes_nothing_is_said(name: str) -> None:
    assert find_pairs(name) == ("", [])


EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
WORDS, DECODER = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
BIAS, DECODER_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"
INNER = "model.language_model.embed_tokens.weight"
OLD, OLD_HEAD = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"
T5_HALVES = {"encoder.embed_tokens.weight": "shared.weight", "decoder.embed_tokens.weight": "shared.weight"}
YES, NO = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}


@pytest.mark.parametrize(
    ("name", "said", "stored", "ties"),
    [
        ("LlamaForCausalLM", YES, [EMBED], {HEAD: EMBED}),
        ("LlamaForCausalLM", YES, [EMBED, HEAD], {HEAD: EMBED}),
        ("LlamaForCausalLM", {}, [EMBED], {}),  # its default
        ("LlamaForCausalLM", YES, ["body.weight"], {}),
        ("LlamaForCausalLM", {"tie_word_embeddings": "true"}, [EMBED], {}),
        ("FSDPLlamaForCausalLM", YES, [EMBED], {HEAD: EMBED}),
        ("GPT2LMHeadModel", {}, ["transformer.wte.weight"], {HEAD: "transformer.wte.weight"}),
        ("GPT2LMHeadModel", {}, ["wte.weight"], {HEAD: "wte.weight"}),  # saved by its base model
        ("GPT2Model", YES, ["wte.weight"], {}),
        ("BertForPreTraining", {}, [WORDS, BIAS], {DECODER: WORDS, DECODER_BIAS: BIAS}),
        ("WhisperForConditionalGeneration", {}, ["model.decoder.embed_tokens.weight"], {"proj_out.weight": "model.decoder.embed_tokens.weight"}),
        ("T5ForConditionalGeneration", {}, ["shared.weight"], {**T5_HALVES, HEAD: "shared.weight"}),
        ("T5ForConditionalGeneration", NO, ["shared.weight", HEAD], T5_HALVES),  # of version 1.1
        ("MarianMTModel", {}, ["model.shared.weight"], {"model.encoder.embed_tokens.weight": "model.shared.weight", "model.decoder.embed_tokens.weight": "model.shared.weight", HEAD: "model.shared.weight"}),
        # a part of the config decides, and names are those of this file's version
        ("LlavaForConditionalGeneration", {"text_config": YES}, [OLD], {OLD_HEAD: OLD}),
        ("LlavaForConditionalGeneration", {"text_config": NO}, [OLD, OLD_HEAD], {}),
        ("LlavaForConditionalGeneration", {"text_config": 3}, [OLD], {}),
        ("AyaVisionForConditionalGeneration", {}, [OLD], {OLD_HEAD: OLD}),
        ("MllamaForConditionalGeneration", {"text_config": YES}, [OLD], {OLD_HEAD: OLD}),
        ("HunYuanVLForConditionalGeneration", {}, [EMBED], {HEAD: EMBED}),
        ("Qwen3VLForConditionalGeneration", {"text_config": YES}, [INNER], {HEAD: INNER}),  # of version 4.57
        ("VisionEncoderDecoderModel", {}, [f"decoder.{WORDS}", f"decoder.{BIAS}"], {f"decoder.{DECODER}": f"decoder.{WORDS}", f"decoder.{DECODER_BIAS}": f"decoder.{BIAS}"}),
        ("VisionEncoderDecoderModel", {"decoder": NO}, [f"decoder.{WORDS}", f"decoder.{DECODER}", f"decoder.{BIAS}"], {f"decoder.{DECODER_BIAS}": f"decoder.{BIAS}"}),
        # of a source that is not stored another name stands for it
        ("T5ForConditionalGeneration", {}, ["encoder.embed_tokens.weight"], {"shared.weight": "encoder.embed_tokens.weight", "decoder.embed_tokens.weight": "encoder.embed_tokens.weight", HEAD: "encoder.embed_tokens.weight"}),
        ("LlavaForConditionalGeneration", {"text_config": YES}, [HEAD, "model.language_model.embed_tokens.weight"], {HEAD: "model.language_model.embed_tokens.weight"}),
    ],
)  # fmt: skip
def test_what_a_config_declares(name: str, said: dict[str, Any], stored: list[str], ties: dict[str, str]) -> None:
    declared = declared_by_config({"architectures": [name], **said}, set(stored))
    assert {each.alias: each.name for each in declared if each.tied} == ties
    assert all(each.origin == "config.json" for each in declared)


def test_a_config_that_says_no() -> None:
    config = {"architectures": ["LlamaForCausalLM"], **NO}
    assert declared_by_config(config, {EMBED, HEAD}) == [Declaration(HEAD, EMBED, "config.json", tied=False)]
    assert declared_by_config(config, {EMBED}) == []
    assert declared_by_config({"architectures": ["LlamaForCausalLM"]}, {EMBED, HEAD}) == []


@pytest.mark.parametrize("classes", [None, [], [3], "LlamaForCausalLM", [["LlamaForCausalLM"]], {}])
def test_a_config_without_a_class(classes: object) -> None:
    assert declared_by_config({"architectures": classes, **YES}, {EMBED}) == []


@pytest.mark.parametrize(
    ("rule", "config", "expected"),
    [
        (Rule(True, ()), NO, True),
        (Rule(True, ((".",),)), NO, False),
        (Rule(True, ((".",),)), {"text_config": NO}, True),
        (Rule(True, (("a.b",),)), {"a": {"b": NO}}, False),
        (Rule(False, ((".",), ("text_config",))), {"text_config": YES}, True),
        (Rule(False, ((".",), ("text_config",))), {**NO, "text_config": YES}, True),
        (Rule(False, ((".",),)), {}, False),
        (Rule(True, ((".", "text_config"),)), NO, True),
        (Rule(True, ((".", "text_config"),)), {**NO, "text_config": NO}, False),
    ],
)
def test_rules(rule: Rule, config: dict[str, Any], expected: bool) -> None:
    assert holds(rule, config) is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["LlamaForCausalLM", "T5ForConditionalGeneration"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.fixed_dictionaries({"architectures": JSON | st.lists(st.sampled_from(CLASSES))}, optional={"tie_word_embeddings": JSON, "text_config": JSON}),
    st.sets(st.sampled_from([EMBED, HEAD, WORDS, OLD, "shared.weight", "decoder.embed_tokens.weight", "", ".", "wte.weight"])),
)  # fmt: skip
def test_any_config_declares_ties_of_known_names(config: dict[str, Any], names: set[str]) -> None:
    for each in declared_by_config(config, names):
        assert each.name in names
        assert each.alias != each.name
        assert each.tied or each.alias in names
