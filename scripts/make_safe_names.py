"""Writes the tables by which `check` knows the names of torch and of Python's own modules.

    python -m scripts.make_safe_names torch WHEEL.. > src/paraminspect/formats/pickles/safe_torch.py
    python -m scripts.make_safe_names python LISTS > src/paraminspect/formats/pickles/python_modules.py

WHEEL is a wheel of torch, of any platform: they all hold the same Python
(`pip download --no-deps --only-binary=:all: --platform macosx_11_0_arm64 --python-version 3.11 torch==2.4.1`). Its sources
are parsed, and nothing of them is imported. LISTS is the folder `stdlib_list/lists` of the package `stdlib-list` (MIT).

What is safe is exact: a class or function that is *defined* in the module by which it is called, at its top level. What a
module imports, and what lies behind a class's dot, is not in the table, whatever it is. Which modules are looked at is
decided here, by hand: see PARTS.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from scripts.generated import begin


class Part(NamedTuple):
    """Modules of torch of which names are taken.

    Attributes:
        module: Pattern of the whole name of the module.
        names: Pattern of the whole name of the class or function.
        use: What a file that torch wrote does with it: "rebuilt" (a class whose instances are made without a call),
            "called" or "named" (a function that a model keeps as an attribute, and no file calls).
        kind: Of the definition: "class" or "def".
    """

    module: str
    names: str
    use: str
    kind: str


_REBUILT: Final = (
    r"torch\.nn\.modules\.\w+", r"torch\.nn\.parameter", r"torch\.nn\.parallel\.(data_parallel|distributed)", r"torch\.nn\.attention\.bias",
    r"torch\.nn\.utils\.(rnn|weight_norm|spectral_norm|parametrize|parametrizations|prune)",
    r"torch\.nn\.(quantized|quantizable|qat|intrinsic)(\.\w+)*", r"torch\.ao\.nn(\.\w+)*",
    r"torch\.(ao\.)?quantization\.(observer|fake_quantize|qconfig|qconfig_mapping|stubs|quant_type|fuser_method_mappings)",
    r"torch\.ao\.quantization\.backend_config\.backend_config",
    r"torch\.(ao\.)?(pruning|sparsity)(\._experimental)?\.(sparsifier|scheduler)\.\w+",
    r"torch\.optim(\.\w+)*", r"torch\.(cuda\.|cpu\.)?amp\.grad_scaler", r"torch\.distributions(\.\w+)*",
    r"torch\.distributed\.checkpoint\.metadata", r"torch\.distributed\._?tensor\.(placement_types|api|_api|_dtensor_spec)",
    r"torch\.distributed\.(device_mesh|_mesh_layout|remote_device)", r"torch\.distributed\._tensor\.(device_mesh|_mesh_layout)",
    r"torch\.distributed\._shard\.(metadata|sharded_tensor\.(api|metadata|shard)|sharding_spec\.(api|chunk_sharding_spec))",
    r"torch\.distributed\._shard\.sharding_spec\._internals", r"torch\.distributed\._sharding_spec\.api",
    r"torch\.distributed\.fsdp\.api", r"torch\.masked\.maskedtensor\.core", r"torch\.nested\._internal\.nested_tensor",
    r"torch\.sparse\.semi_structured", r"torch\.utils\.data\.(dataset|sampler)", r"torch\.torch_version",
)  # fmt: skip
"""Modules all of whose classes make modules, optimizers, tensors and what describes them."""

PARTS: Final = (
    *(Part(module, r"\w+", "rebuilt", "class") for module in _REBUILT),
    Part(r"torch\.distributed\.checkpoint\.filesystem", "_StorageInfo|_StoragePrefix", "rebuilt", "class"),
    Part(r"torch\.ao\.quantization\.utils", "MatchAllNode", "rebuilt", "class"),
    Part(r"torch\.distributed\._?tensor", "DTensor", "rebuilt", "class"),
    Part(r"torch\.distributed\.tensor\._shards_wrapper", "LocalShardsWrapper", "rebuilt", "class"),
    Part(r"torch\.distributed\.fsdp\._flat_param", "FlatParameter|FlatParamShardMetadata", "rebuilt", "class"),
    Part(r"torch\.distributed\.algorithms\._checkpoint\.checkpoint_wrapper", r"\w+", "rebuilt", "class"),
    Part(r"torch\.utils\.hooks", "RemovableHandle|BackwardHook", "rebuilt", "class"),
    Part(r"torch\.utils\.checkpoint", "CheckpointPolicy", "rebuilt", "class"),
    Part(r"torch\.utils\.data\.dataloader", "DataLoader|_DatasetKind|_InfiniteConstantSampler", "rebuilt", "class"),
    Part(r"torch\.utils\._ordered_set", "OrderedSet", "rebuilt", "class"),
    Part(r"torch\.storage", r"\w+Storage", "rebuilt", "class"),
    Part(r"torch\._tensor|torch\.tensor", "Tensor", "rebuilt", "class"),
    # torch.compile: what a compiled module is made of
    Part(r"torch\._dynamo\.eval_frame", "OptimizedModule|OptimizeContext", "called", "class"),
    Part(r"torch\._dynamo\.convert_frame", r"ConvertFrame\w*|CatchErrorsWrapper", "rebuilt", "class"),
    Part(r"torch\._dynamo\.repro\.after_dynamo", "WrapBackendDebug", "rebuilt", "class"),
    Part(r"torch\._dynamo\.decorators", "_DimRange", "rebuilt", "class"),
    Part(r"torch\._dynamo\.hooks", "Hooks", "rebuilt", "class"),
    Part(r"torch", r"_TorchCompile\w*Wrapper", "rebuilt", "class"),
    Part(r"torch\.nn\.backends\.thnn", "_get_thnn_function_backend", "called", "def"),
    Part(r"torch\._utils", r"_rebuild_\w+", "called", "def"),
    Part(r"torch\._tensor|torch\.tensor", r"_rebuild_from_type(_v2)?", "called", "def"),
    Part(r"torch\.nested\._internal\.nested_tensor", "_rebuild_njt", "called", "def"),
    Part(r"torch\.storage", "_load_from_bytes", "called", "def"),
    Part(r"torch\.serialization", "_get_layout", "called", "def"),
    Part(r"torch\.jit\._pickle", r"build_\w+|restore_type_tag", "called", "def"),
    Part(r"torch\.(cuda\.|cpu\.)?amp\.grad_scaler", "_refresh_per_optimizer_state", "named", "def"),
    Part(r"torch\.utils\.data\.(_utils\.collate|dataloader)", "default_(collate|convert)", "named", "def"),
    Part(r"torch\.nn\.(functional|init)", r"\w+", "named", "def"),
    Part(r"torch\._C\._(nn|special|linalg|fft|sparse|VariableFunctions)", r"[a-z]\w*", "named", "def"),
)
"""What is taken."""

_CALLED_CLASSES: Final = re.compile(
    r"torch\.nn\.parameter\.\w+|torch\.torch_version\.TorchVersion|torch\.utils\._ordered_set\.OrderedSet"
    r"|torch\.distributed\.fsdp\._flat_param\.FlatParameter"
)
"""Classes that torch calls to rebuild their instances, besides enumerations."""

_ENUMERATIONS: Final = frozenset({"Enum", "IntEnum", "Flag", "IntFlag", "StrEnum"})

_IMPURE: Final = re.compile(
    r"from_file|frombuffer|set_\w*|_*cufft\w*|\w*_out|manual_seed|fork|wait|import_ir_module\w*|\w*blob\w*|\w*cache\w*"
    r"|\w*_file\w*|init_num_threads|\w*_disable\w*|\w*_enable\w*|boolean_dispatch|handle_torch_function|__\w+"
    r"|(?!relu_|selu_|celu_|elu_|rrelu_|threshold_|leaky_relu_|hardtanh_|dropout_|alpha_dropout_|feature_\w+_dropout_"
    r"|sigmoid_|tanh_|(?:kaiming|xavier|trunc)_\w+_|uniform_|normal_|constant_|zeros_|ones_|eye_|dirac_|orthogonal_|sparse_)"
    r"\w+_"
)
"""Names of functions that do more than make a tensor of tensors."""


def main() -> None:
    """Write one table to standard output."""
    what, *paths = sys.argv[1:]
    lines = write_torch(list(map(Path, paths))) if what == "torch" else write_python(Path(paths[0]))
    sys.stdout.write("".join(f"{line}\n" for line in lines))


# --- torch ------------------------------------------------------------------------------------------------------


def write_torch(wheels: list[Path]) -> Iterator[str]:
    """The module that holds the names of torch."""
    found: dict[str, dict[str, set[str]]] = {"rebuilt": {}, "called": {}, "named": {}}
    for wheel in wheels:
        for module, tree in _sources(wheel):
            for use, name in _take(module, tree):
                found[use].setdefault(module, set()).add(name)
            for name, home in _rehomed(tree):
                found["rebuilt"].setdefault(home, set()).add(name)
    versions = sorted((wheel.name.split("-")[1] for wheel in wheels), key=lambda each: [*map(int, each.split("."))])
    yield from begin(
        "Names that torch writes into its files, each defined at the top of the module by which it is called.",
        [
            f"Made by `scripts/make_safe_names.py` of the sources of torch {versions[0]} to {versions[-1]}",
            *textwrap.wrap(f"({', '.join(versions)}); not to be edited.", 118),
        ],
    )
    texts = {
        "rebuilt": "Classes whose instances are made without a call (NEWOBJ); a file that torch wrote does not call them.",
        "called": "Functions and classes that such a file calls.",
        "named": "Functions on tensors that models keep as attributes; no file calls them.",
    }
    for use, text in texts.items():
        yield f"{use.upper()}: Final[dict[str, str]] = {{"
        for module, names in sorted(found[use].items()):
            if names:
                yield from _write_row(module, sorted(names))
        yield "}  # fmt: skip"
        yield f'"""{text}"""'
        if use != "named":
            yield ""


def _sources(wheel: Path) -> Iterator[tuple[str, ast.Module]]:
    """Modules of a wheel that hold something to be taken; a stub stands for a module that is not Python."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name in sorted(names):
            stem, dot, ending = name.rpartition(".")
            if ending not in {"py", "pyi"} or not dot or (ending == "pyi" and f"{stem}.py" in names):
                continue
            module = stem.removesuffix("/__init__").replace("/", ".")
            if any(re.fullmatch(part.module, module) for part in PARTS):
                yield module, ast.parse(archive.read(name))


def _take(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What is defined at the top of a module, with what files do with it."""
    parts = [part for part in PARTS if re.fullmatch(part.module, module)]
    enumerations = set(_ENUMERATIONS)
    for node in _top(tree.body):
        kind = "class" if isinstance(node, ast.ClassDef) else "def"
        bases = (
            {ast.unparse(base).rpartition(".")[2] for base in node.bases} if isinstance(node, ast.ClassDef) else set()
        )
        if bases & enumerations:
            enumerations.add(node.name)
        for part in parts:
            if part.kind != kind or not re.fullmatch(part.names, node.name):
                continue
            if part.use == "named" and _IMPURE.fullmatch(node.name):
                continue
            called = node.name in enumerations or _CALLED_CLASSES.fullmatch(f"{module}.{node.name}")
            yield "called" if kind == "class" and called else part.use, node.name
            break


def _rehomed(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Classes that a package says are its own: `Muon.__module__ = "torch.optim"`."""
    for node in tree.body:
        match node:
            case ast.Assign(
                [ast.Attribute(ast.Name(name), "__module__")],
                ast.Constant("torch.optim" | "torch.distributed.tensor" as home),
            ):
                if name[0].isupper():
                    yield name, home


def _top(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Definitions of a module, those below its `if` and `try` too."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node
        elif isinstance(node, ast.If):
            yield from _top(node.body + node.orelse)
        elif isinstance(node, ast.Try):
            yield from _top(node.body + [each for handler in node.handlers for each in handler.body] + node.orelse)


# --- Python -----------------------------------------------------------------------------------------------------

PRIVATE: Final = """
    _abcoll _aix_support _android_support _apple_support _asyncio _bisect _blake2 _bootlocale _bootsubprocess _bsddb _bz2
    _builtin _bytesio _codecs _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections
    _collections_abc _colorize _compat_pickle _compression _contextvars _crypt _csv _ctypes _ctypes_test _curses
    _curses_panel _datetime _dbm _decimal _dummy_thread _dummy_threading _elementtree _fileio _frozen_importlib
    _frozen_importlib_external _functools _gdbm _gestalt _hashlib _heapq _hmac _hotshot _imp _interpchannels _interpqueues
    _interpreters _io _ios_support _json _locale _lsprof _LWPCookieJar _lzma _markupbase _md5 _MozillaCookieJar _msi
    _multibytecodec _multiprocessing _opcode _opcode_metadata _operator _osx_support _overlapped _peg_parser _pickle
    _posixshmem _posixsubprocess _py_abc _py_warnings _pydatetime _pydecimal _pyio _pylong _pyrepl _queue _random _remote_debugging
    _scproxy _sha _sha1 _sha2 _sha256 _sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics
    _string _strptime _struct _subprocess _suggestions _symtable _sysconfig _sysconfigdata _testbuffer _testcapi
    _testclinic _testclinic_limited _testconsole _testexternalinspection _testimportmultiple _testinternalcapi
    _testlimitedcapi _testmultiphase _testsinglephase _thread _threading_local _tkinter _tokenize _tracemalloc _types
    _typing _uuid _warnings _weakref _weakrefset _winapi _winreg _wmi _xxinterpchannels _xxinterpqueues _xxsubinterpreters
    _xxtestfuzz _zoneinfo _zstd xxlimited xxlimited_35 xxsubtype test idlelib turtledemo lib2to3 ensurepip pydoc_data
    nturl2path opcode sre_compile sre_constants sre_parse genericpath ntpath posixpath macpath os2emxpath macurl2path
    strop toaiff this antigravity ihooks sgmllib htmllib formatter parser symbol symtable tabnanny pyclbr stringold
    audiodev bsddb dbhash dumbdbm whichdb gopherlib rexec Bastion xmllib statcache tzparse linuxaudiodev sunaudio
    __hello__ __phello__ __main__ nt ce os2 riscos posix
"""
"""Modules that the lists do not hold: private ones, those of tests, of other systems, and of Python 2."""

_NO_MODULE: Final = re.compile(r"__main__|__init__|__pycache__|lib|W|_sysconfigdata_.+")
"""What the lists hold and is none, or one of one machine."""


def write_python(folder: Path) -> Iterator[str]:
    """The module that holds the names of Python's own modules."""
    lists = [path for path in folder.glob("*.txt") if path.stem != "2.6"]
    names = {line.partition(".")[0] for path in lists for line in path.read_text().split()}
    names |= sys.stdlib_module_names | set(PRIVATE.split())
    names = {name for name in names if not _NO_MODULE.fullmatch(name)}
    yield from begin(
        "Names of the modules of Python itself, 2.7 to 3.14, private ones and those of its tests too.",
        [
            "A frozen list, so that what is said of a file does not depend on the Python that says it. Made by",
            "`scripts/make_safe_names.py` of the lists of the package `stdlib-list` (MIT) and of `sys.stdlib_module_names`;",
            "not to be edited.",
        ],
    )
    yield "PYTHON_MODULES: Final = frozenset("
    yield "    {"
    text = ", ".join(f'"{name}"' for name in sorted(names))
    yield from (f"        {line}" for line in textwrap.wrap(text, 110, break_on_hyphens=False))
    yield "    }"
    yield ")  # fmt: skip"


def _write_row(module: str, names: list[str]) -> Iterator[str]:
    """`"module": "A B C",`, on as many lines as it takes."""
    row = f'    "{module}": "{" ".join(names)}",'
    if len(row) <= 120:
        yield row
        return
    yield f'    "{module}":'
    lines = textwrap.wrap(" ".join(names), 108, break_long_words=False, break_on_hyphens=False)
    for line in lines[:-1]:
        yield f'        "{line} "'
    yield f'        "{lines[-1]}",'


if __name__ == "__main__":
    main()
