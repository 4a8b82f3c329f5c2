"""Files that get past scanners, as advisories tell of them: made here, from the facts, to see who finds what.

Names of the classes and functions are those of picklescan's and fickling's own tests and of their published advisories;
their packages hold no such files. Each payload would only run `true`, or open a file that is not there.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SHELL: Final = ("true",)

GLOBALS: Final = (
    ("pip", "main"), ("torch.utils.bottleneck.__main__", "run_cprofile"), ("torch._dynamo.guards", "GuardBuilder.get"),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"), ("torch.utils.collect_env", "run"),
    ("torch.utils._config_module", "ConfigModule.load_config"), ("torch.jit.unsupported_tensor_ops", "execWrapper"),
    ("torch.utils.data.datapipes.utils.decoder", "basichandlers"), ("torch._inductor.codecache", "compile_file"),
    ("torch.distributed.elastic.rendezvous.api", "rendezvous_handler_registry"), ("torch.serialization", "load"),
    ("numpy.f2py.crackfortran", "getlincoef"), ("numpy.testing._private.utils", "runstring"), ("timeit", "timeit"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start"), ("ensurepip", "_run_pip"), ("trace", "Trace.run"),
    ("idlelib.autocomplete", "AutoComplete.get_entity"), ("idlelib.calltip", "get_entity"), ("bdb", "Bdb.run"),
    ("idlelib.debugobj", "ObjectTreeItem.SetText"), ("idlelib.pyshell", "ModifiedInterpreter.runcode"),
    ("idlelib.run", "Executive.runcode"), ("lib2to3.pgen2.grammar", "Grammar.loads"), ("doctest", "debug_script"),
    ("lib2to3.pgen2.pgen", "ParserGenerator.make_label"), ("cProfile", "runctx"), ("profile", "Profile.run"),
    ("pydoc", "pipepager"), ("code", "InteractiveInterpreter.runcode"), ("pkgutil", "resolve_name"), ("pty", "spawn"),
    ("distutils.file_util", "write_file"), ("imaplib", "IMAP4_stream"), ("uuid", "_get_command_stdout"),
    ("_osx_support", "_read_output"), ("_aix_support", "_read_cmd_output"), ("_pyrepl.pager", "pipe_pager"),
    ("test.support.script_helper", "assert_python_ok"), ("logging", "FileHandler"), ("_io", "FileIO"),
    ("urllib.request", "urlopen"), ("ssl", "get_server_certificate"), ("cloudpickle.cloudpickle", "_make_function"),
    ("_operator", "attrgetter"), ("operator", "methodcaller"), ("venv", "create"), ("runpy", "_run_code"),
    # found while `check` was written
    ("torch.nn.functional", "torch.hub.load"), ("torch.nn.modules.linear", "torch.load"), ("torch._VF", "from_file"),
    ("numpy", "ndarray.tofile"), ("torch.fx.graph_module", "reduce_graph_module"), ("gzip", "GzipFile"),
    # behind the dot of a class that torch imports or defines: a name with a capital is no class
    *(("torch.distributed.checkpoint.filesystem", f"{name}") for name in (
        "Path.write_text", "Path.symlink_to", "Path.unlink", "FileSystem.mkdir", "FileSystem.rm_file", "FileSystem.rename")),
    ("torch.nn.modules.module", "Module.to"), ("torch.optim.optimizer", "Optimizer.profile_hook_step"),
    # of Python itself, and in no list of its modules
    ("_xxsubinterpreters", "run_string"), ("_interpreters", "exec"), ("_testcapi", "run_in_subinterp"),
    ("_testinternalcapi", "exec_interpreter"), ("dataclasses", "_create_fn"), ("copyreg", "pickle"), ("popen2", "popen3"),
    ("asyncore", "file_dispatcher"), ("mimetypes", "MimeTypes"), ("weakref", "finalize"), ("winsound", "PlaySound"),
)  # fmt: skip


UNKNOWN: Final = (
    ("fastcore.xtras", "run"), ("ultralytics.utils.checks", "check_requirements"), ("mmengine.config", "Config.fromfile"),
    ("gymnasium.envs.registration", "make"), ("detectron2.config", "LazyConfig.load"), ("fairseq.utils", "import_user_module"),
    ("fastai.learner", "load_learner"), ("hyperpyyaml", "load_hyperpyyaml"), ("speechbrain.utils.importutils", "import_from_path"),
    ("nemo.core.classes.common", "Serialization.from_config_dict"), ("monai.utils", "load_submodules"), ("spacy.util", "load_model"),
    ("stable_baselines3.common.save_util", "json_to_data"), ("tqdm.cli", "main"), ("xgboost", "Booster.load_model"),
    ("catboost", "CatBoost.load_model"), ("pydantic.types", "ImportString"), ("pandas", "set_option"),
    ("pandas.plotting._core", "_load_backend"), ("pandas.compat._optional", "import_optional_dependency"),
    ("sklearn.datasets", "fetch_openml"), ("scipy.datasets", "face"), ("transformers", "AutoModel.from_pretrained"),
    ("transformers", "pipeline"), ("datasets", "load_dataset"), ("accelerate.utils.environment", "get_gpu_info"),
    ("numpy.lib", "add_newdoc"), ("numpy._pytesttester", "PytestTester"), ("torch._C", "_import_jit_module"),
    ("torch.distributed.checkpoint", "FileSystemWriter"), ("torch.distributed.checkpoint.format_utils", "dcp_to_torch_save"),
    ("torch._utils", "_import_dotted_name"), ("torch.distributed", "init_process_group"), ("torch", "compile"),
    ("jax.experimental.host_callback", "call"), ("keras.src.utils.python_utils", "func_load"), ("yaml.loader", "UnsafeLoader"),
    ("wandb", "init"), ("onnx", "load"), ("matplotlib.font_manager", "findfont"), ("docutils.core", "publish_file"),
)  # fmt: skip
"""Functions of packages that run code, load more of it, write files or reach the network, of which no table of ours knows."""


def write_unknown(folder: Path) -> Iterator[str]:
    """Pickles that call what no producer of models calls: nobody can have a list of all that does harm."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"calls-{module}.{name}.pkl": call(module, name) for module, name in UNKNOWN}
    for name, data in {**files, **unknown_programs()}.items():
        (folder / name).write_bytes(data)
        yield name


def write_bypasses(folder: Path) -> Iterator[str]:
    """Make all files; their names in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{module}.{name}.pkl": call(module, name) for module, name in GLOBALS}
    for name, data in {**files, **tricks(), **programs()}.items():
        (folder / name).write_bytes(data)
        yield name


def call(module: str, name: str) -> bytes:
    """A pickle that calls a global with one text."""
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x04" + texts + b"\x93" + pickle.dumps(SHELL, 4)[2:-1] + b"R."


def tricks() -> dict[str, bytes]:
    """Containers that scanners and loaders read differently."""
    evil = call("posix", "system")
    honest = pickle.dumps({"a": 1})
    return {
        "bad-crc.pt": _broken_crc(_zip(("a/data.pkl", evil))),
        "flag-bits.pt": _patched(_zip(("a/data.pkl", evil)), b"PK\1\2", 8, b"\1\0"),
        "local-name.pt": _patched(_zip(("a/data.pkl", evil)), b"PK\3\4", 30, b"b"),
        "other-extension.pt": _zip(("a/data.pkl", call("torch", "load")), ("a/config.p", evil)),
        "text-pickle-inside.pt": _zip(("a/data.pkl", honest), ("a/config.p", b"cposix\nsystem\n(Vtrue\ntR.")),
        "pickle-as.bin": evil,
        "pickle-as.txt": evil,
        "text-pickle.pt": b"cposix\nsystem\n(Vtrue\ntR.",
        "broken-after.pkl": evil[:-1] + b"\xff\xff",
        "zip-behind-pickle.pt": honest + _zip(("a/data.pkl", evil)),
        "deflated.pt": _zip(("a/data.pkl", evil), method=zipfile.ZIP_DEFLATED),
        "inside-zip-inside.pt": _zip(("a/data.pkl", honest), ("a/extra", _zip(("b/data.pkl", evil)))),
        "as-a-storage.pt": _zip(("a/data.pkl", honest), ("a/data/0", evil)),
        "as-source.pt": _zip(("a/data.pkl", honest), ("a/code/evil.py", evil)),
        "text-as-a-storage.pt": _zip(("a/data.pkl", honest), ("a/data/0", OLD)),
        "no-header-inside.pt": _zip(("a/data.pkl", honest), ("a/config", evil[2:])),
    }


OLD: Final = b"cposix\nsystem\n(Vtrue\ntR."


def programs() -> dict[str, bytes]:
    """Pickles that call by way of something else than a dangerous name and REDUCE, or hide another pickle."""
    evil = call("posix", "system")
    nested: dict[str, object] = {
        "old-in-bytes": OLD, "old-in-bytearray": bytearray(OLD), "old-in-text": OLD.decode(), "bare-in-bytes": evil[2:],
        "zip-in-bytes": _zip(("a/data.pkl", evil)), "old-in-long-bytes": OLD + bytes(9000),
    }  # fmt: skip
    files = {f"{name}.pkl": pickle.dumps({"a": value}) for name, value in nested.items()}
    for protocol in range(6):
        files[f"nested-in-protocol-{protocol}.pkl"] = pickle.dumps([b"\0", {"a": evil}], protocol)
    for name, body in {
        "getattr-called": _name("builtins", "getattr") + _tuple(_make("my.models", "Net"), _text("load")) + b"R)R0",
        "getattr-from-file": _name("builtins", "getattr")
        + _tuple(_name("torch._C", "_VariableFunctionsClass"), _text("from_file"))
        + b"R0",
        "getattr-named": _name("my.code", "apply") + _tuple(_name("builtins", "getattr")) + b"R0",
        "computed-name": _make("my.models", "Text") + _text("system") + b"\x93" + _tuple(_text("true")) + b"R0",
        "encoded-name": _name("_codecs", "encode")
        + _tuple(_text("bf"), _text("rot13"))
        + b"R"
        + _text("system")
        + b"\x93"
        + _tuple(_text("true"))
        + b"R0",
        "class-of-its-own": _name("builtins", "type") + _tuple(_text("A"), b")", b"}") + b"R0",
        "iterates-calls": _name("builtins", "list")
        + _tuple(_name("builtins", "iter") + _tuple(_name("my.code", "run"), b"N") + b"R")
        + b"R0",
        "subclass-with-function": _name("torch._tensor", "_rebuild_from_type_v2")
        + _tuple(_name("posix", "system"), _name("torch", "Tensor"), _tuple(_text("true")), b"N")
        + b"R0",
        "generator-of": _name("numpy.random._pickle", "__generator_ctor")
        + _tuple(_text("true"), _name("posix", "system"))
        + b"R0",
        "sets-an-item-of-an-import": _name("my.code", "REGISTRY") + _text("a") + b"K\1s0",
        "appends-to-an-import": _name("my.code", "HOOKS") + b"K\1a0",
        "sets-the-state-of-a-method": _name("builtins", "getattr")
        + _tuple(_make("my.models", "Net"), _text("forward"))
        + b"R}"
        + _text("a")
        + b"K\1sb0",
        "class-of-its-own-by-a-rebuilder": _name("torch._tensor", "_rebuild_from_type_v2")
        + _tuple(_name("builtins", "type"), _name("torch", "Tensor"), _tuple(_text("A"), b")", b"}"), b"N")
        + b"R0",
        "bytes-of-another-codec": _name("torch.storage", "_load_from_bytes") + _encoded(evil, "cp037") + b"\x85R0",
        "bytes-as-utf-7": _name("torch.storage", "_load_from_bytes") + _encoded(OLD, "utf-7") + b"\x85R0",
        "sets-the-state-of-a-logger": _name("logging", "getLogger")
        + b")R"
        + _state(info=_name("my.code", "run"))
        + b"b0",
        "an-exponent": _name("fractions", "Fraction") + _tuple(_text("1e99999999")) + b"R0",
        "partial-called": _name("functools", "partial") + _tuple(_name("my.code", "run")) + b"R)R0",
    }.items():
        files[f"{name}.pkl"] = b"\x80\x04" + body + b"}."
    return files


def unknown_programs() -> dict[str, bytes]:
    """Pickles that call a function, which only its name could betray, by way of an object that asks for a method."""

    def of(module: str, name: str, **state: bytes) -> bytes:
        return _make(module, name) + _state(**state) + b"b"

    run = _name("my.code", "run")
    namespace = "types", "SimpleNamespace"
    bodies = {
        "new-of-an-instance": _name("copyreg", "__newobj__") + _tuple(of(*namespace, __new__=run)) + b"R",
        "keys-of-an-instance": _name("builtins", "dict") + _tuple(of(*namespace, keys=run)) + b"R",
        "keys-of-an-argument": _name("builtins", "dict")
        + _tuple(_name(*namespace) + _tuple(_state(keys=run)) + b"R")
        + b"R",
        "state-that-is-a-subclass": _name("builtins", "dict")
        + _tuple(
            _make(*namespace)
            + _name("copyreg", "_reconstructor")
            + _tuple(_name("collections", "OrderedDict"), _name("builtins", "dict"), _state(keys=run))
            + b"Rb"
        )
        + b"R",
        "setstate-of-a-layer": of("torch.nn.modules.linear", "Linear", __setstate__=run) + _text("x") + b"b",
        "append-of-a-layer": of("torch.nn.modules.linear", "Linear", append=run) + b"Na",
        "index-of-pandas": _name("pandas.core.indexes.datetimes", "_new_DatetimeIndex")
        + _tuple(of(*namespace, _simple_new=run), _state(data=b"N"))
        + b"R",
        "intervals-of-pandas": _name("pandas.core.indexes.interval", "_new_IntervalIndex")
        + _tuple(of(*namespace, from_arrays=run), _state(left=b"N"))
        + b"R",
        "partial-of-what-is-named": _name("functools", "partial")
        + _tuple(_name("torch.utils.checkpoint", "checkpoint"), run)
        + b"R)R",
        "checkpoint-of-torch": _name("torch.utils.checkpoint", "checkpoint") + _tuple(run) + b"R",
        "rebuilder-in-a-rebuilder": _name("torch._tensor", "_rebuild_from_type_v2")
        + _tuple(_name("torch._tensor", "_rebuild_from_type_v2"), _name("torch", "Tensor"),
                 _tuple(run, _name("torch", "Tensor"), b")", b"N"), b"N")
        + b"R",
    }  # fmt: skip
    return {f"{name}.pkl": b"\x80\x04" + body + b"." for name, body in bodies.items()}


def _state(**items: bytes) -> bytes:
    return b"}(" + b"".join(_text(name) + value for name, value in items.items()) + b"u"


def _encoded(data: bytes, codec: str) -> bytes:
    text = data.decode(codec).encode()
    return _name("_codecs", "encode") + _tuple(b"X" + struct.pack("<I", len(text)) + text, _text(codec)) + b"R"


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _name(module: str, name: str) -> bytes:
    return _text(module) + _text(name) + b"\x93"


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _make(module: str, name: str) -> bytes:
    """An instance that is made without a call."""
    return _name(module, name) + b")\x81"


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def _patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(signature) + offset
    return data[:at] + value + data[at + len(value) :]


def _broken_crc(data: bytes) -> bytes:
    for signature, offset in ((b"PK\3\4", 14), (b"PK\1\2", 16)):
        data = _patched(data, signature, offset, struct.pack("<L", 0x12345678))
    return data
