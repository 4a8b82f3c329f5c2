"""JSON Schema (draft 2020-12) of a spec, made from the tables of the parser; `python -m paraminspect.architecture.schema` writes it.

Editors complete and check specs with it. It knows no class of torch.nn, cannot evaluate `$(...)`, and does not say that
a layer has exactly one type: the parser is stricter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paraminspect.architecture.blocks import BLOCK_KEYS
from paraminspect.architecture.built_in import BUILTINS, CONTAINERS, PARAM_OPS, PARAMETRIZATIONS
from paraminspect.architecture.declared import Argument, Builtin
from paraminspect.architecture.expand import MAX_REPEAT
from paraminspect.architecture.fields import IDENTIFIER, MAX_TAKE, MODULE_NAME, SOURCE
from paraminspect.architecture.layers import EXPERTS_KEYS, LAYER_OPTIONS, RESIDUAL_KEYS, USE
from paraminspect.architecture.loss import LOSSES, PATTERN
from paraminspect.architecture.parse import TOP_LEVEL
from paraminspect.architecture.tensors import (
    DISTRIBUTIONS,
    FLOAT_DTYPES,
    INPUT_KEYS,
    INTEGER_DTYPES,
    MAX_DIMENSIONS,
)

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = "schema.json"
_CERTAIN_TYPE = rf"^([A-Z]|{USE}$)"
_TYPE = rf"^\$?{IDENTIFIER}$"


def make_schema() -> Schema:
    """The schema, as JSON values."""
    return {
        "$schema": DIALECT,
        "title": "paraminspect architecture spec",
        **_object(TOP_LEVEL, _sections(), required=["model"]),
        "$defs": {
            "name": {"type": ["string", "integer"], "pattern": _whole(MODULE_NAME)},
            "identifier": {"type": "string", "pattern": _whole(IDENTIFIER)},
            "source": {"type": ["string", "number"], "pattern": _whole(SOURCE)},
            "expression": {"type": "string", "pattern": r"^\$([A-Za-z_][A-Za-z0-9_]*|\([\s\S]*\))$"},
            "value": {
                "type": ["null", "boolean", "number", "string", "array"],
                "items": _ref("value"),
                "description": "A plain value; $name and $(4*name) are replaced.",
            },
            "arguments": {
                "description": "Positional arguments in a list, whose last item may hold the named ones; or only these.",
                "anyOf": [
                    _ref("value"),
                    {"type": "array", "items": {"anyOf": [_ref("value"), _ref("keywords")]}},
                    _ref("keywords"),
                ],
            },
            "keywords": {"type": "object", "propertyNames": _ref("identifier"), "additionalProperties": _ref("value")},
            "layers": {"type": "array", "items": _ref("layer"), "minItems": 1},
            "layer": _layer(),
            "block": _block(),
            "shape": _either({"type": "array", "items": _integer(1), "maxItems": MAX_DIMENSIONS}),
            "tensor": {"anyOf": [_ref("shape"), *_tensors()]},
            "rules": {"type": "array", "items": {"type": "string", "pattern": r"^[^=]+=[\s\S]*\S"}},
        },
    }


def _sections() -> Schema:
    named = {"propertyNames": _ref("identifier")}
    return {
        "vars": {"type": "object", **named, "additionalProperties": _ref("value")},
        "blocks": {"type": "object", **named, "additionalProperties": _ref("block")},
        "shared": {"type": "object", **named, "additionalProperties": _ref("layer")},
        "model": _ref("layers"),
        "outputs": _outputs(),
        "tie": {"type": "object", "additionalProperties": {"type": ["string", "integer", "number"]}},
        "input": {
            "anyOf": [
                _ref("tensor"),
                {
                    "type": "object",
                    "propertyNames": _ref("name"),
                    "additionalProperties": _ref("tensor"),
                    "minProperties": 1,
                },
            ]
        },
        "loss": {
            "anyOf": [
                *({"const": word, "description": each.meaning} for word, each in LOSSES.items()),
                {
                    "type": "string",
                    "pattern": _whole(PATTERN),
                    "description": "A part of the output, or a loss of one.",
                },
                {
                    "type": "object",
                    "propertyNames": {"type": "string", "pattern": _whole(PATTERN)},
                    "additionalProperties": _ref("tensor"),
                    "minProperties": 1,
                    "maxProperties": 1,
                    "description": "A loss, and how its target is made: {target: {shape: [2], dtype: int64, high: 10}}.",
                },
            ]
        },
        "init": {
            "anyOf": [
                _ref("rules"),
                {"type": "object", "propertyNames": _ref("name"), "additionalProperties": _ref("rules")},
            ]
        },
    }


def _layer() -> Schema:
    options = {
        "name": _ref("name"),
        "repeat": _integer(1, MAX_REPEAT),
        "parallel": {"type": "boolean"},
        "from": _one_or_more(_ref("source")),
        "take": _one_or_more({"type": "integer"}, MAX_TAKE),
        "if": _either({"type": ["boolean", "integer"]}),
        "parametrize": _parametrize(),
    }
    types: Schema = {
        USE: {**_ref("identifier"), "description": "The one module of this name under shared."},
        **{name: {"description": CONTAINERS[name], **schema} for name, schema in _containers().items()},
        **{builtin.name: _builtin(builtin) for builtin in BUILTINS.values()},
    }
    described = {key: {**schema, "description": LAYER_OPTIONS[key]} for key, schema in options.items()}
    alone = {"type": "string", "pattern": _TYPE, "not": {"enum": [*CONTAINERS, *LAYER_OPTIONS, USE]}}
    mapping = {
        "type": "object",
        "properties": {**types, **described},
        "propertyNames": {"type": "string", "pattern": _TYPE},
        "additionalProperties": _ref("arguments"),
        "minProperties": 1,
        "maxProperties": 1 + len(options),
        # beside what is a type by its capital, a word without one is a misspelt option: blocks may be called anything
        "if": {"not": {"propertyNames": {"not": {"pattern": _CERTAIN_TYPE}}}},
        "then": {"propertyNames": {"anyOf": [{"pattern": _CERTAIN_TYPE}, {"enum": list(options)}]}},
    }
    return {
        "description": "ReLU, {Linear: [4, 3]}, {use: NAME}, with " + ", ".join(LAYER_OPTIONS),
        "anyOf": [alone, mapping],
    }


def _containers() -> dict[str, Schema]:
    branch: Schema = {"anyOf": [_ref("layer"), _ref("layers")]}
    experts = {"gate": branch, "expert": branch, "count": _integer(1, MAX_REPEAT), "top": _integer(1, MAX_REPEAT)}
    normalize = _either({"type": ["boolean", "integer"]})
    return {
        "Sequential": _ref("layers"),
        "Residual": {
            "anyOf": [
                _ref("layers"),
                _object(RESIDUAL_KEYS, dict.fromkeys(RESIDUAL_KEYS, _ref("layers")), required=["body"]),
            ],
        },
        "Parallel": {
            "anyOf": [
                {"type": "array", "items": branch, "minItems": 1},
                {"type": "object", "propertyNames": _ref("name"), "additionalProperties": branch, "minProperties": 1},
            ]
        },
        "MixtureOfExperts": _object(EXPERTS_KEYS, {**experts, "normalize": normalize}, required=list(experts)),
    }


def _outputs() -> Schema:
    return {
        "anyOf": [
            {"type": "array", "items": _ref("source"), "minItems": 1},
            {
                "type": "object",
                "propertyNames": _ref("name"),
                "additionalProperties": _ref("source"),
                "minProperties": 1,
            },
        ]
    }


def _parametrize() -> Schema:
    kinds = {
        name: {"description": meaning, **_arguments(arguments)}
        for name, (meaning, arguments) in PARAMETRIZATIONS.items()
    }
    with_arguments = {
        "type": "object",
        "properties": kinds,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {
        "type": "object",
        "propertyNames": _ref("identifier"),
        "additionalProperties": {"anyOf": [{"enum": list(PARAMETRIZATIONS)}, with_arguments]},
    }


def _builtin(builtin: Builtin) -> Schema:
    return {"description": builtin.computes, **_arguments(builtin.arguments)}


def _arguments(arguments: Sequence[Argument]) -> Schema:
    """The forms in which declared arguments are given."""
    properties = {argument.name: _argument(argument) for argument in arguments}
    required = [argument.name for argument in arguments if argument.is_required]
    keywords: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        keywords["required"] = required
    listed: Schema = {"type": "array"}
    if not arguments or not arguments[0].is_list:
        listed["maxItems"] = len(properties) + 1
    forms: list[Schema] = [keywords, listed]
    if not required:
        forms.append({"type": "null"})
    if len(required) <= 1 and arguments:
        forms.append({"type": ["string", "number", "boolean"]})
    return {"anyOf": forms}


def _argument(argument: Argument) -> Schema:
    integer: Schema = (
        {"type": "integer"} if argument.minimum is None else {"type": "integer", "minimum": argument.minimum}
    )
    kinds: dict[str, Schema] = {
        "int": integer,
        "float": {"type": "number"} if argument.minimum is None else {"type": "number", "minimum": argument.minimum},
        "bool": {"type": "boolean"},
        "text": {"type": "string"},
        "ints": {"anyOf": [integer, {"type": "array", "items": _either(integer), "minItems": 1}]},
        "shape": {"type": "array", "items": _integer(1), "maxItems": MAX_DIMENSIONS},
        "op": {"enum": list(PARAM_OPS)},
    }
    schema = kinds[argument.kind]
    if argument.optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    described: Schema = {"description": argument.meaning, **_either(schema)}
    if argument.default is not None and argument.default != float("-inf"):  # which JSON cannot say
        described["default"] = argument.default
    return described


def _block() -> Schema:
    default = {
        "type": "object",
        "propertyNames": _ref("identifier"),
        "additionalProperties": _ref("value"),
        "minProperties": 1,
        "maxProperties": 1,
    }
    return _object(
        BLOCK_KEYS,
        {
            "args": {"type": "array", "items": {"anyOf": [_ref("identifier"), default]}},
            "inputs": {"type": "array", "items": _ref("name"), "minItems": 1},
            "layers": _ref("layers"),
            "outputs": _outputs(),
        },
        required=["layers"],
    )


def _tensors() -> list[Schema]:
    """A tensor that is made, and one that is read."""
    return [_object(INPUT_KEYS, _tensor_keys(), required=[key]) for key in ("shape", "file")]


def _tensor_keys() -> Schema:
    number = _either({"type": "number"})
    return {
        "shape": _ref("shape"),
        "dtype": {"enum": [*FLOAT_DTYPES, *INTEGER_DTYPES]},
        "dist": {"enum": list(DISTRIBUTIONS)},
        "low": number,
        "high": number,
        "fill": _either({"type": ["number", "boolean"]}),
        "seed": _integer(0),
        "file": {"type": "string", "minLength": 1},
    }


def _object(meanings: dict[str, str], properties: Schema, required: list[str] | None = None) -> Schema:
    """An object of just these keys, each described by the parser's own table."""
    schema: Schema = {
        "type": "object",
        "properties": {key: {**properties[key], "description": meaning} for key, meaning in meanings.items()},
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


def _either(schema: Schema) -> Schema:
    return {"anyOf": [schema, _ref("expression")]}


def _integer(minimum: int, maximum: int | None = None) -> Schema:
    bound: Schema = {"type": "integer", "minimum": minimum}
    return _either(bound if maximum is None else {**bound, "maximum": maximum})


def _one_or_more(schema: Schema, most: int | None = None) -> Schema:
    listed: Schema = {"type": "array", "items": schema, "minItems": 1}
    return {"anyOf": [schema, listed if most is None else {**listed, "maxItems": most}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _whole(pattern: str) -> str:
    return f"^{pattern}$"


def render_schema() -> str:
    import json

    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    from pathlib import Path

    Path(__file__).with_name(FILE).write_text(render_schema(), encoding="utf-8")
