"""What a format is, one row each: whoever has to do with a format by its name reads it here.

A file is recognised in two steps. Its first bytes tell the container, and what is inside tells the format: a zip may be
what `torch.save` writes, TorchScript, `torch.export` or an npz. Extensions lie, so no name is looked at; `endings` are
for those who choose files without opening them (folders, the pre-commit hook, -o).

Readers, writers, editors and checks are named as "module:object" and imported by `resolve` when one is needed. These are
the only references to packages above this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.records import Checkpoint
    from paraminspect.summaries import Info

SHARDED: Final = "sharded"
"""What the format of several files begins with; the formats of the files follow, with "and" between them."""


class Container(NamedTuple):
    """A shape of file that is told by its first bytes, and that one format or several have.

    Attributes:
        name: For rows of `FORMATS`.
        magics: Bytes of which it has one at `at`; () where the test alone decides.
        test: "module:object" of a function of the first bytes and the size of the file; "" where the magics decide.
        opener: What makes of a Blob that which tests and readers of its formats take; "" where that is the Blob.
        scanner: What finds all that a loader could run in it, called with a Blob and a Place; "" where nothing can.
        doubter: The same of a file that is something else by an earlier row, but which a loader may take for this.
        pieces: What knows, of a Blob that is called like one, a `DISTRIBUTED_PART`; "" where none is.
        at: Where its first bytes are that tell.
    """

    name: str
    magics: tuple[bytes, ...] = ()
    test: str = ""
    opener: str = ""
    scanner: str = ""
    doubter: str = ""
    pieces: str = ""
    at: int = 0


_HERE: Final = "paraminspect.formats"
_SCAN: Final = "paraminspect.checks"

TAR_MAGIC: Final = (257, b"ustar")
"""Where it is, and what."""

CONTAINERS: Final = (
    Container("zip", (b"PK\3\4", b"PK\5\6"), opener=f"{_HERE}.zip_file:read_zip_directory",
              scanner=f"{_SCAN}.zips:scan_zip", pieces=f"{_HERE}.zip_pieces:holds_pieces"),
    Container("gguf", (b"GGUF",)),
    Container("npy", (b"\x93NUMPY",), scanner=f"{_SCAN}.pickles:scan_npy"),
    Container("safetensors", (b"{", b" ", b"\n", b"\t", b"\r"), f"{_HERE}.safetensors:is_safetensors", at=8),
    Container("onnx", (b"\x08",), f"{_HERE}.onnx.read:is_onnx"),
    Container("pickle", test=f"{_HERE}.pickles.plain:is_any_pickle", scanner=f"{_SCAN}.pickles:scan_pickles",
              doubter=f"{_SCAN}.pickles:doubt_pickle"),
    Container("tar", (TAR_MAGIC[1],), at=TAR_MAGIC[0], scanner=f"{_SCAN}.tars:scan_tar", doubter=f"{_SCAN}.tars:scan_tar"),
    Container("compressed", test=f"{_HERE}.foreign:is_compressed", scanner=f"{_SCAN}.compressed:scan_compressed"),
    # most text begins like one: only who looks for danger takes it for a pickle
    Container("bare pickle", test=f"{_HERE}.pickles.plain:may_be_bare_pickle",
              scanner=f"{_SCAN}.pickles:doubt_pickle", doubter=f"{_SCAN}.pickles:doubt_pickle"),
)  # fmt: skip
"""In the order in which they are tried: a file is the first that it can be."""


class Format(NamedTuple):
    """A format of checkpoints.

    Attributes:
        name: As `Checkpoint.format` has it and every command shows it.
        title: What the documents call it.
        about: What of it is read, for the documents.
        known_as: What a message calls it that lists what is known; "" where another row stands for it.
        container: What its files are; "" of folders.
        inside: "module:object" of a function of the opened container that knows it; "" where all else is of it.
        reader: What makes a Checkpoint of the opened container; "" where it is only recognised and scanned.
        what: Of a format without a reader, what follows "the file is".
        hint: The way out, where it is not read.
        endings: What the names of its files end in, the usual one first.
        names: Whole names of its files.
        is_model: Whether a file of it is the model of the folder where it lies, not something beside it.
        is_pickle: Whether it is a pickle, or has one inside.
        keeps_ties: Whether two tensors of it can share bytes.
        has_constants: Whether tensors that are neither parameters nor buffers are meant to be there.
        carried: What the keys of its metadata begin with that tell of the model; None where none do.
        kind: What can be changed in place into one another; "" where that is not done.
        asked_by: What the name behind -o ends in that asks for it.
        writer: What lays out a file of it, called with tensors and `writers.planners.Asked`; "" where none is written.
        adapter: What changes tensors into what it can hold, before the writer; "" where it holds all.
        editor: What lays out a copy of a file with other values in some places; "" where nothing does.
        checks: What looks into its headers for what makes no sense; "" where the checks of all formats do.
        remarks: What tells how a tie is left out that it cannot declare; "" where there is no such way.
        inner: Keys of its metadata that tell of the file and not of the model, or that `facts` tells.
        facts: What tells of the architecture from its metadata, by the names of `formats.facts`; "" where nothing does.
        brief: What gives its names, and records of those that are asked for, in less time; "" where nothing does.
    """

    name: str
    title: str
    about: str = ""
    known_as: str = ""
    container: str = ""
    inside: str = ""
    reader: str = ""
    what: str = ""
    hint: str | None = None
    endings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_model: bool = True
    is_pickle: bool = False
    keeps_ties: bool = True
    has_constants: bool = False
    carried: str | None = None
    kind: str = ""
    asked_by: tuple[str, ...] = ()
    writer: str = ""
    adapter: str = ""
    editor: str = ""
    checks: str = ""
    remarks: str = ""
    inner: tuple[str, ...] = ()
    facts: str = ""
    brief: str = ""


_PLANNERS: Final = "paraminspect.writers.planners"
_PATCH: Final = "paraminspect.writers.patch:plan_patch"

FORMATS: Final = (
    Format(
        "safetensors", "safetensors",
        "names, shapes and types of the header, checked as the reference implementation does", "safetensors",
        container="safetensors", reader=f"{_HERE}.safetensors:read_safetensors", endings=(".safetensors", ".sft"),
        keeps_ties=False, carried="", kind="safetensors", asked_by=(".safetensors",), writer=f"{_PLANNERS}:safetensors",
        editor=_PATCH, brief=f"{_HERE}.safetensors:read_brief",
    ),
    Format(
        "torch zip", "`torch.save`, zip (since torch 1.6)",
        "state dicts, nested training checkpoints, whole pickled `nn.Module`s of any class",
        "torch.save (zip, legacy, tar)", container="zip", inside=f"{_HERE}.pytorch.archive:is_torch_zip",
        reader=f"{_HERE}.pytorch.archive:read_torch_zip", endings=(".pt", ".pth", ".bin", ".ckpt", ".pth.tar", ".th"),
        is_pickle=True, kind="torch", asked_by=(".pt", ".pth", ".bin", ".ckpt", ".tar", ".pkl"),
        writer=f"{_PLANNERS}:torch_zip", editor=_PATCH, inner=("byteorder", "version", "format_version"),
    ),
    Format(
        "torch legacy", "`torch.save`, legacy (before 1.6)", "the same", container="pickle",
        reader=f"{_HERE}.pickles.plain:read_pickle", is_pickle=True, kind="torch", editor=_PATCH, inner=("byteorder",),
    ),
    Format(
        "torch tar", "`torch.save`, tar (before 0.2)", "the same", container="tar",
        inside=f"{_HERE}.pytorch.tar:is_torch_tar", reader=f"{_HERE}.pytorch.tar:read_torch_tar", is_pickle=True, kind="torch", editor=_PATCH,
    ),
    Format(
        "packed", "tar with one model inside (NeMo)", "the member that is a model of any other row, where it lies",
        container="tar", reader=f"{_HERE}.packed:read_packed", endings=(".nemo",), is_pickle=True,
    ),
    Format(
        "torchscript", "TorchScript archive",
        "parameters, buffers and packed parameters of the scripted module; other tensor attributes with `--all`",
        "TorchScript",
        container="zip", inside=f"{_HERE}.pytorch.script:is_torchscript",
        reader=f"{_HERE}.pytorch.script:read_torchscript", endings=(".jit", ".torchscript", ".ptl"), is_pickle=True,
        has_constants=True, kind="torch", editor=_PATCH,
    ),
    Format(
        "torch.export", "`torch.export` archive, torch 2.1 to 2.13",
        "parameters, buffers and constants of each program, with ties and the classes of their modules; of AOTInductor "
        "packages, weights that lie beside the compiled code", "torch.export",
        container="zip", inside=f"{_HERE}.pytorch.export:is_torch_export",
        reader=f"{_HERE}.pytorch.export:read_torch_export", endings=(".pt2",), has_constants=True,
        inner=("schema_version",),
    ),
    Format(
        "pickle", "plain pickle, of every protocol", "tensors and arrays inside any object", container="pickle",
        reader=f"{_HERE}.pickles.plain:read_pickle", endings=(".pkl", ".pickle", ".pdparams"), is_pickle=True,
    ),
    Format(
        SHARDED, "sharded checkpoint",
        "a Hugging Face folder or its `*.index.json`, shards in safetensors or torch's format; what ranks wrote with "
        "`HuggingFaceStorageWriter`; a step of DeepSpeed's ZeRO",
        endings=(".index.json",), is_model=False, kind="folder", asked_by=("/",), carried="",
        writer=f"{_PLANNERS}:shards", editor=_PATCH, checks=f"{_SCAN}.headers:check_pieces",
    ),
    Format(
        "torch distributed", "`torch.distributed.checkpoint`", "the folder, shapes of whole tensors",
        endings=(".distcp",), names=(".metadata",), is_model=False, is_pickle=True, keeps_ties=False,
        checks=f"{_SCAN}.headers:check_pieces",
    ),
    Format(
        "torch distributed part", "a file of such a folder", container="pickle",
        inside=f"{_HERE}.pytorch.distributed:is_metadata",
        what="a part of a checkpoint of torch.distributed.checkpoint, which is a folder", hint="name the folder",
        is_model=False, is_pickle=True,
    ),
    Format(
        "gguf", "GGUF, versions 2 and 3",
        "all tensors; quantised types under their own names (`q4_k`), shapes in torch's order", "GGUF",
        container="gguf", reader=f"{_HERE}.gguf:read_gguf", endings=(".gguf",), keeps_ties=False, carried="general.",
        kind="gguf", asked_by=(".gguf",), editor=_PATCH, checks=f"{_SCAN}.headers:check_end",
        remarks="paraminspect.sharing.find:note_omission", facts=f"{_HERE}.facts:of_gguf",
    ),
    Format(
        "onnx", "ONNX",
        "initializers and values of `Constant` nodes, those of sub-graphs and functions too; external data in the folder "
        "of the model; the onnx package is not needed", "ONNX",
        container="onnx", reader=f"{_HERE}.onnx.read:read_onnx", endings=(".onnx",),
        checks=f"{_SCAN}.headers:check_external",
        inner=("ir_version", "producer_name", "producer_version", "graph", "opset_import"), facts=f"{_HERE}.facts:of_onnx",
    ),
    Format(
        "npz", "npz", "arrays; those of Python objects, which are pickles, are left out and named in a note", "npz", container="zip",
        inside=f"{_HERE}.numpy_arrays:is_npz", reader=f"{_HERE}.numpy_arrays:read_npz", endings=(".npz",),
        keeps_ties=False, kind="npz", asked_by=(".npz",), writer=f"{_PLANNERS}:npz",
        adapter="paraminspect.conversion.outline:fit_npz", editor=_PATCH,
    ),
    Format(
        "npy", "npy", "the same", "npy", container="npy", reader=f"{_HERE}.numpy_arrays:read_npy", endings=(".npy",),
        is_model=False, keeps_ties=False, kind="npy", asked_by=(".npy",), editor=_PATCH,
    ),
    Format(
        "joblib", "joblib (scikit-learn)", container="pickle", inside=f"{_HERE}.foreign:is_joblib",
        what="a pickle of joblib (scikit-learn), whose arrays lie between its instructions",
        hint="joblib.load would run it; paraminspect check says what it would run",
        endings=(".joblib",), is_model=False, is_pickle=True,
    ),
    Format(
        "torchserve", "TorchServe", container="zip", inside=f"{_HERE}.foreign:is_model_archive",
        what="an archive of TorchServe, which packs a model and the code that serves it",
        hint="unpack it first and name the model", endings=(".mar",), is_model=False,
    ),
)  # fmt: skip
"""In the order of the documents; of one container, in the order in which they are tried."""

_BY_NAME: Final = {row.name: row for row in FORMATS}

SAFETENSORS: Final = _BY_NAME["safetensors"]
"""What is written where nothing says another."""

TORCH_SAVE: Final = _BY_NAME["torch zip"]
"""What `torch.save` writes."""

DISTRIBUTED: Final = _BY_NAME["torch distributed"]
"""What `torch.distributed.checkpoint` writes; a folder is known by the file that has its whole name."""

DISTRIBUTED_PART: Final = _BY_NAME["torch distributed part"]
"""A file of it, by itself."""


def is_named_piece(path: str | None) -> bool:
    """Whether a file is called as torch.distributed.checkpoint calls those that hold many archives.

    The name decides, as nowhere else: of a file of any other name, readers would see its last archive alone.
    """
    return path is not None and path.lower().endswith(DISTRIBUTED.endings)


SHARDS: Final = _BY_NAME[SHARDED]
"""What is written into a folder."""


def resolve(reference: str) -> Any:
    """The object that "module:object" names."""
    module, _, name = reference.partition(":")
    return getattr(_module(module), name)


@cache
def _module(name: str) -> ModuleType:
    return __import__(name, fromlist=("",))


def find_containers(head: bytes, size: int) -> Iterator[Container]:
    """What a file can be by its first bytes: what it is, and behind that what some loader may take it for.

    Args:
        head: The first `sniff.HEAD_BYTES`, or all of them.
    """
    for each in CONTAINERS:
        begins = not each.magics or head.startswith(each.magics, each.at)
        if begins and (not each.test or resolve(each.test)(head, size)):
            yield each


@cache
def formats_in(container: str) -> tuple[Format, ...]:
    """The formats of a container, in the order in which they are tried."""
    return tuple(row for row in FORMATS if row.container == container)


def format_of(checkpoint: Checkpoint) -> Format | None:
    """The row of a checkpoint; of several files that of `SHARDED`. None of a live model."""
    return _BY_NAME.get(SHARDED if is_sharded(checkpoint) else checkpoint.format)


def formats_of_files(checkpoint: Checkpoint | Info) -> list[Format]:
    """The rows of its files, those of a sharded one too; none of a live model."""
    names = checkpoint.format.removeprefix(f"{SHARDED} ").split(" and ")
    return [_BY_NAME[name] for name in names if name in _BY_NAME]


def is_sharded(checkpoint: Checkpoint) -> bool:
    """Whether it is a folder of files, or the index of one."""
    return checkpoint.format.startswith(f"{SHARDED} ")


def endings_of(which: Callable[[Format], bool]) -> tuple[str, ...]:
    """What the names of files of some formats end in, each once."""
    return tuple(dict.fromkeys(ending for row in FORMATS if which(row) for ending in row.endings))
