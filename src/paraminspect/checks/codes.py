"""Every kind of finding: its stable code, its usual severity, and what it means.

Codes are an interface: pipelines filter by them. They are only added to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.names.suggestions import suggest
from paraminspect.summaries import Finding, Severity
from paraminspect.tuples import NamedTuple

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "danger")
"""In ascending order."""


class Code(NamedTuple):
    """One kind of finding.

    Attributes:
        severity: Unless the finding says otherwise.
        title: What it means, as a heading.
        hint: The next step, unless the finding has its own.
    """

    severity: Severity
    title: str
    hint: str = ""


_NOT_LOAD: Final = "do not load it; if you know its author, ask for safetensors"
_AGAIN: Final = "fetch or save it again"

CODES: Final[dict[str, Code]] = {
    # what a loader would run
    "pickle-danger": Code("danger", "A pickle names a function with which it can do harm", _NOT_LOAD),
    "pickle-computed-call": Code("danger", "A pickle calls something that it computed itself", _NOT_LOAD),
    "pickle-patch": Code("danger", "A pickle changes an imported class or function", _NOT_LOAD),
    "pickle-memory": Code("danger", "A pickle asks for a very large amount of memory", _NOT_LOAD),
    "pickle-calls-unknown": Code(
        "error",
        "A pickle calls a function or class that no known producer of models calls",
        "load it only if you know what the function does: loading runs it",
    ),
    "pickle-unknown": Code(
        "warning",
        "A pickle names a class or function that is not part of torch's own data",
        "load it only if you trust the package: its code will run",
    ),
    "pickle-broken": Code("error", "A pickle cannot be read to its end", _AGAIN),
    "pickle-hidden": Code(
        "warning", "A pickle lies where no loader of models needs one", "see what it is before you load it"
    ),
    "script-danger": Code("danger", "Code of a TorchScript archive touches files, the network or processes", _NOT_LOAD),
    "script-unknown": Code(
        "warning",
        "Code of a TorchScript archive calls operators that are not torch's own",
        "load it only if you trust them",
    ),
    "native-code": Code(
        "warning",
        "An archive holds compiled code, which a loader runs",
        "load it only if you trust its author; the weights alone can be had without: paraminspect convert",
    ),
    # containers by which readers are told different things
    "polyglot": Code("danger", "The file is of two formats at once, so that readers see different contents", _NOT_LOAD),
    "zip-duplicate": Code(
        "danger", "A zip holds several entries of one name, and readers disagree which one counts", _NOT_LOAD
    ),
    "zip-roots": Code("danger", "A zip holds several models, and readers disagree which one counts", _NOT_LOAD),
    "zip-mismatch": Code("danger", "Directory and local header of a zip entry contradict each other", _NOT_LOAD),
    "path-escape": Code("danger", "A name leads outside of the archive or folder", "do not unpack it"),
    "archive-link": Code("danger", "An archive holds a link in the place of a file", "do not unpack it"),
    # damage
    "truncated": Code("error", "The file ends too early", _AGAIN),
    "malformed": Code("error", "The file contradicts itself or its format", _AGAIN),
    "unreadable": Code("error", "The file cannot be read as a model"),
    "unknown-format": Code("error", "The file is no model file that we know"),
    "not-read": Code(
        "info", "The file packs a model or is none of PyTorch; what a loader would run of it was looked at"
    ),
    "no-tensors": Code("warning", "A pickle without tensors: no model, but perhaps what belongs to one"),
    "packed": Code("info", "An archive that packs other files: those that may be models are looked at, one by one"),
    "limit": Code("error", "The file declares more of something than any real model has"),
    "overlap": Code("error", "Parts of the file overlap", _AGAIN),
    "hole": Code("error", "Parts of the file belong to nothing", _AGAIN),
    "extra-bytes": Code("error", "Bytes behind the end of the model", "cut them off, or fetch it again"),
    "crc": Code("error", "A checksum is wrong: the file is damaged", _AGAIN),
    "duplicate-name": Code("error", "Two tensors of one name"),
    "missing-file": Code("error", "A file of the model is missing", "fetch what is missing"),
    "index-mismatch": Code("error", "The index and its files disagree", "fetch them again, of one revision"),
    # sense
    "mixed-dtypes": Code("info", "Parameters of several floating types"),
    "tie-contradicted": Code("warning", "A tie is declared, but two tensors are stored", "save it again, tied"),
    "tie-broken": Code(
        "warning",
        "Two tensors that models often tie are stored apart with the same content",
        "tie them again before saving",
    ),
    "plain-attribute": Code(
        "warning",
        "A tensor is neither parameter nor buffer: it will not train, move or be saved",
        "wrap it in nn.Parameter, or use register_buffer",
    ),
    "optimizer-mismatch": Code(
        "warning", "Optimizer state fits no parameter", "model and optimizer were not saved together"
    ),
    "unused-storage": Code("info", "Bytes of the file that no tensor uses"),
    "unused-bytes": Code("info", "Bytes of the tensor data that no tensor of the model uses"),
    "unchecked-content": Code(
        "error",
        "The content cannot be looked at",
        "unpack it first, and check that: zstd -dc FILE | paraminspect check -",
    ),
    "remark": Code("info", "What a reader noticed"),
    # values
    "not-finite": Code("error", "A tensor holds NaN or infinite values", "look at it: paraminspect stats"),
    "all-zero": Code("warning", "A weight is all zero", "was it ever initialised or loaded?"),
    "constant": Code("warning", "All elements of a weight are the same", "was it ever initialised or loaded?"),
    "norm-untouched": Code(
        "warning", "Running statistics of a norm were never updated", "it was saved before any training step"
    ),
    "not-checked": Code("info", "Values that could not be checked"),
}
"""By code, in the order of the documentation."""


def find(
    code: str,
    name: str,
    message: str,
    *,
    severity: Severity | None = None,
    hint: str | None = None,
    path: str | None = None,
    offset: int | None = None,
) -> Finding:
    """A finding, with severity and hint of its code unless they are given."""
    known = CODES[code]
    return Finding(severity or known.severity, code, name, message, known.hint if hint is None else hint, path, offset)


def rank(severity: Severity) -> int:
    """Place of a severity among `SEVERITIES`."""
    return SEVERITIES.index(severity)


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The highest severity; None without findings."""
    return max((finding.severity for finding in findings), key=rank, default=None)


def refuse_unknown(codes: Iterable[str]) -> None:
    """Codes that are to be left out are codes.

    Raises:
        ParamInspectError: One is not.
    """
    for code in codes:
        if code not in CODES:
            hint = suggest(code, list(CODES), "the codes are", most=len(CODES))
            raise ParamInspectError(f"--ignore {code!r} is no kind of finding", hint=hint)
