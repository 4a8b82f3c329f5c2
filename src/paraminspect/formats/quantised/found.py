"""What there is to judge by: stored tensors whose names go together, and what the model says of its quantisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final, TypeGuard

from paraminspect.records import Logical, TensorRecord
from paraminspect.tuples import NamedTuple

MAX_BYTES: Final = 1 << 16
"""Of a small tensor whose values say how others are packed."""

FLOATS: Final = frozenset({"float32", "float16", "bfloat16"})
"""Types of scales, and of the numbers that come of them."""

WIDTHS: Final = (2, 3, 4, 5, 6, 8)
"""Bits of one integer."""


SAID_UNDER: Final = ("quantization_config", "compression_config")
"""Keys of a configuration that says how weights are quantised: of transformers, and of what writes like it."""

MLX: Final = "quantization"
"""The key of MLX."""

INNER: Final = ("text_config", "language_config")
"""Configurations inside of one that may say it in its stead."""


class NotItError(Exception):
    """Tensors have the names of a scheme, and not its types or shapes: they are something else."""


class Settings:
    """What a `config.json` says of quantisation, read when it is first asked for.

    Args:
        load: Gives the whole of it; {} where there is none.
    """

    def __init__(self, load: Callable[[], Mapping[str, Any]]) -> None:
        self._load = load
        self._config: Mapping[str, Any] | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """All of it."""
        if self._config is None:
            self._config = self._load()
        return self._config

    @property
    def quantisation(self) -> Mapping[str, Any]:
        """The `quantization_config` of transformers and what writes like it; {} where there is none."""
        for config in (self.config, *map(self.config.get, INNER)):
            said = [config[key] for key in SAID_UNDER if key in config] if is_object(config) else []
            if said and is_object(said[0]):
                return said[0]
        return {}

    @property
    def method(self) -> str:
        """How it calls the scheme; "" where it does not tell."""
        method = self.quantisation.get("quant_method")
        return method if isinstance(method, str) else ""

    def mlx(self, layer: str) -> Mapping[str, Any]:
        """What MLX says of one layer."""
        found = self.config.get(MLX)
        if not is_object(found):
            return {}
        own = found.get(layer)
        return own if is_object(own) else found


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object of JSON."""
    return isinstance(value, dict)


class Found(NamedTuple):
    """Stored tensors of one name.

    Attributes:
        scheme: Name of the row that they may be of.
        name: Of the tensor that they would stand for.
        parts: By what they are, the main one first.
        settings: What the model says.
        read: Gives the bytes of a small one.
    """

    scheme: str
    name: str
    parts: Mapping[str, TensorRecord]
    settings: Settings
    read: Callable[[TensorRecord], bytes]

    def shape(self, part: str, dims: int | None = None) -> tuple[int, ...]:
        """The shape of one of them.

        Raises:
            NotItError: It has another number of dimensions.
        """
        shape = self.parts[part].shape
        if shape is None or (dims is not None and len(shape) != dims):
            raise NotItError
        return shape

    def rows(self, part: str) -> tuple[int, ...]:
        """The shape of one that has a dimension at least.

        Raises:
            NotItError: It is a single number.
        """
        shape = self.shape(part)
        must(shape)
        return shape

    def dtype(self, part: str) -> str:
        """The type of one of them; "" where there is none."""
        return self.parts[part].dtype if part in self.parts else ""

    def logical(
        self,
        label: str,
        shape: tuple[int, ...],
        dtype: str,
        *,
        problem: tuple[str, str] = ("", ""),
        **settings: object,
    ) -> Logical:
        """What they stand for."""
        parts = tuple(self.parts.items())
        return Logical(
            self.scheme, label, self.name, shape, prod(shape), dtype, parts, tuple(settings.items()), *problem
        )


def block_of(shape: tuple[int, ...], scales: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the block that each scale is for, as the numbers of scales say.

    Raises:
        NotItError: They are no whole number of blocks.
    """
    must(len(scales) == len(shape) and scales[:-2] == shape[:-2] and 0 not in scales)
    must(shape[-2] % scales[-2] == 0 and shape[-1] % scales[-1] == 0)
    return shape[-2] // scales[-2], shape[-1] // scales[-1]


def must(condition: object) -> None:
    """Raise where something does not fit.

    Raises:
        NotItError: It does not.
    """
    if not condition:
        raise NotItError


TELL: Final = "put the config.json of the model beside the file"
"""What to do about a model that does not say how it is packed."""


def untold(what: str) -> tuple[str, str]:
    """The problem of a model that does not say how it is packed."""
    return (
        f"{what} is not told: there is no config.json with a quantization_config beside it",
        f"{TELL}, or show what is stored with --stored",
    )


def other(what: str) -> tuple[str, str]:
    """The problem of a packing that is known, and not decoded."""
    return f"{what} cannot be decoded yet", "show what is stored with --stored"
