"""What is said of a whole source: in short, of its training, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from paraminspect.tuples import NamedTuple

Severity = Literal["info", "warning", "error", "danger"]
"""How bad a finding is, in ascending order:

    info      worth knowing, and common in good files
    warning   worth a look: unusual, or not to be judged from the file alone
    error     the file is damaged, or contradicts itself
    danger    loading the file can do harm
"""


class Training(NamedTuple):
    """What a checkpoint says of its training, in its own words (untrusted).

    Attributes:
        framework: Who wrote it, with the version; None where no key says so.
        epoch: As the file calls it; None where it does not, as below.
        step: Of the optimizer, as the file calls it.
        learning_rate: Of the first group of parameters.
        learning_rates: Those of all groups, each once.
        arguments: Key of the checkpoint -> what was given to the run: plain data by names.
        state: What else stands in it that is plain data.
    """

    framework: str | None = None
    epoch: float | None = None
    step: float | None = None
    learning_rate: float | None = None
    learning_rates: tuple[float, ...] = ()
    arguments: Mapping[str, object] = {}
    state: Mapping[str, object] = {}


class ModuleShare(NamedTuple):
    """A module and how much of the model it is.

    Attributes:
        name: Dotted path.
        type: Dotted class; None where the file does not say.
        parameters: Elements of the tensors in it and below it.
        share: Of all parameters, 0 to 1.
    """

    name: str
    type: str | None
    parameters: int
    share: float


class Info(NamedTuple):
    """What a source says of itself, in short.

    Attributes:
        source: As the user named it.
        format: As of `Checkpoint`.
        version: Of the format; None where there is none.
        files: Paths of the files that were read.
        nbytes: Size of all of them; None of what is no file.
        tensors: Parameters, each once: no buffers, no optimizer state.
        parameters: Number of their elements; of quantised ones, of what they stand for, where the file tells.
        logical_parameters: The same, where there are quantised ones; else None.
        tied: Names that are second names of a tensor.
        dtypes: The most bytes first.
        training: What a training checkpoint says; None of any other.
        metadata: What the file says of itself, in its own words (untrusted text).
        safety: Whether loading it runs code, in one line.
        model: What is known of the architecture, in the terms of `config.json`: of that, of the keys of GGUF, of a spec.
        others: What is there besides parameters: "buffer", "optimizer", "attribute", "state", and how many.
        modules: Those of two levels, below those that hold all there is.
        severity: How bad the worst is that `safety` tells; None where it tells nothing bad.
        stored: Elements that are stored for the parameters, with those of scales and the like.
        encodings: How quantised ones are packed.
    """

    source: str
    format: str
    version: str | None
    files: tuple[str, ...]
    nbytes: int | None
    tensors: int
    parameters: int
    logical_parameters: int | None
    tied: int
    dtypes: tuple[str, ...]
    training: Training | None
    metadata: Mapping[str, str]
    safety: str
    model: Mapping[str, object]
    others: Mapping[str, int]
    modules: tuple[ModuleShare, ...]
    severity: Severity | None = None
    stored: int = 0
    encodings: tuple[str, ...] = ()


Problem = Literal["nan", "inf", "zero", "constant"]
"""What may be wrong with the values of a tensor: some are no number, some infinite, all are zero, all are equal."""


class Finding(NamedTuple):
    """One thing that `check` has to say of a source.

    Attributes:
        severity: How bad it is.
        code: Stable name of the kind of finding ("pickle-danger").
        name: The tensor or the part of the file it is about; "" for the whole (untrusted text).
        message: What was found, one line without a full stop (may quote untrusted text).
        hint: The next step; "" where there is none to name.
        path: File it was found in; None for standard input and live models.
        offset: Of the bytes it is about, in that file; None where there is no such place.
    """

    severity: Severity
    code: str
    name: str
    message: str
    hint: str = ""
    path: str | None = None
    offset: int | None = None


class Safety(NamedTuple):
    """What is known of loading a source.

    Attributes:
        line: "no code: safetensors", "pickle, nothing unknown", "pickle: calls posix.system('id') — run paraminspect check".
        severity: Of the worst that was found; None if there was nothing.
    """

    line: str
    severity: Severity | None = None
