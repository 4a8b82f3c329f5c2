"""What is said of a global, held against what Python's own look-up arrives at."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import string
import sys
import warnings
from functools import cache
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.formats.pickles import safe, safe_torch
from paraminspect.formats.pickles.danger import judge
from paraminspect.formats.pickles.python_modules import PYTHON_MODULES
from paraminspect.formats.pickles.tables import DANGEROUS_MODULES, DANGEROUS_NAMES


def looked_up(module: str, name: str) -> object:
    """What an unpickler would push; nothing is called."""
    found: object = importlib.import_module(module)
    for step in name.split("."):
        found = getattr(found, step)
    return found


def split_module(identity: str) -> tuple[str, str]:
    """The longest begin of a dotted name that is a module, and the rest."""
    parts = identity.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        if module in sys.modules or importlib.util.find_spec(parts[0]):
            try:
                importlib.import_module(module)
            except ImportError:
                continue
            return module, ".".join(parts[count:])
    raise AssertionError(identity)


WALKS = [
    ("torch", "serialization.os.system", "os.system"),
    ("torch.serialization", "os.popen", "os.popen"),
    ("collections", "_sys.modules", "sys.modules"),
    ("random", "_os.urandom", "os.urandom"),
    ("tempfile", "_shutil.rmtree", "shutil.rmtree"),
    ("inspect", "builtins.eval", "builtins.eval"),
    ("torch", "serialization.load", "torch.serialization.load"),
    ("torch.nn.modules.module", "inspect.getsource", "inspect.getsource"),
    ("torch.nn.modules.linear", "torch.load", "torch.load"),
    ("torch.nn.functional", "torch.hub.load", "torch.hub.load"),
    ("torch.nn.functional", "torch.nn.functional.torch.hub.load", "torch.hub.load"),
    ("torch.nn.functional", "np.ndarray.tofile", "numpy.ndarray.tofile"),
    ("torch.optim.optimizer", "functools.reduce", "functools.reduce"),
    ("numpy", "ndarray.dump", "numpy.ndarray.dump"),
    ("torch", "UntypedStorage._write_file", "torch.UntypedStorage._write_file"),
    ("torch._VF", "from_file", "torch._VF.from_file"),
    ("torch.fx.graph_module", "reduce_graph_module", "torch.fx.graph_module.reduce_graph_module"),
    ("torch.ops", "load_library", "torch.ops.load_library"),
]


@pytest.mark.parametrize(("module", "name", "identity"), WALKS)
def test_a_walk_through_other_modules_is_judged_by_where_it_arrives(module: str, name: str, identity: str) -> None:
    verdict = judge(module, name)
    assert (verdict.level, verdict.identity) == ("danger", identity)
    assert looked_up(module, name) == looked_up(*split_module(identity))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("posix", "system"), ("nt", "system"), ("subprocess", "Popen"), ("builtins", "eval"),
        ("__builtin__", "eval"), ("__builtin__", "apply"), ("commands", "getoutput"), ("urllib2", "urlopen"),
        ("operator", "attrgetter"), ("torch", "load"), ("torch.hub", "load"), ("numpy", "load"), ("pydoc", "locate"),
        ("numpy.testing._private.utils", "runstring"), ("torch.utils.collect_env", "run"), ("importlib", "import_module"),
        ("torch.serialization", "os"), ("builtins", "getattr"), ("ctypes", "CDLL"), ("types", "CodeType"),
        ("a.b", "Thing.__init__.__globals__"), ("doctest", "debug_script"), ("statistics", "sys.exit"),
        ("gzip", "open"), ("codecs", "open"), ("logging.config", "fileConfig"), ("torch", "from_file"),
    ],
)  # fmt: skip
def test_known_dangers(module: str, name: str) -> None:
    verdict = judge(module, name, python2=True)
    assert verdict.level == "danger"
    assert verdict.reason


PUBLISHED = [
    "pip.main", "torch.utils.bottleneck.__main__:run_cprofile", "torch.utils.bottleneck.__main__:run_autograd_prof",
    "torch._dynamo.guards:GuardBuilder.get", "torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression",
    "torch.utils.collect_env:run_and_read_all", "torch.utils._config_module:ConfigModule.load_config", "bdb:Bdb.run",
    "torch.jit.unsupported_tensor_ops:execWrapper", "torch.utils.data.datapipes.utils.decoder:basichandlers",
    "torch._inductor.codecache:compile_file", "torch.distributed.elastic.rendezvous.api:rendezvous_handler_registry",
    "numpy.f2py.crackfortran:getlincoef", "numpy.f2py.crackfortran:_eval_length", "asyncio:create_subprocess_shell",
    "asyncio.unix_events:_UnixSubprocessTransport._start", "ensurepip:_run_pip", "timeit:timeit", "trace:Trace.run",
    "idlelib.autocomplete:AutoComplete.get_entity", "idlelib.autocomplete:AutoComplete.fetch_completions",
    "idlelib.calltip:Calltip.fetch_tip", "idlelib.calltip:get_entity", "idlelib.debugobj:ObjectTreeItem.SetText",
    "idlelib.pyshell:ModifiedInterpreter.runcode", "idlelib.run:Executive.runcode", "lib2to3.pgen2.grammar:Grammar.loads",
    "lib2to3.pgen2.pgen:ParserGenerator.make_label", "doctest:debug_script", "cProfile:runctx", "profile:Profile.run",
    "pydoc:locate", "pydoc:pipepager", "code:InteractiveInterpreter.runcode", "pkgutil:resolve_name", "pty:spawn",
    "distutils.file_util:write_file", "imaplib:IMAP4_stream", "uuid:_get_command_stdout", "_osx_support:_read_output",
    "_aix_support:_read_cmd_output", "_pyrepl.pager:pipe_pager", "test.support.script_helper:assert_python_ok",
    "logging:FileHandler", "_io:FileIO", "urllib.request:urlopen", "ssl:get_server_certificate", "types:CodeType",
    "cloudpickle.cloudpickle:_make_function", "cloudpickle.cloudpickle:subimport", "venv:create", "runpy:_run_code",
    "operator:methodcaller", "_operator:attrgetter", "builtins:getattr", "aiohttp.client:ClientSession", "sys:exit",
]  # fmt: skip
"""Ways past scanners that advisories tell of: picklescan's (CVE-2025-1716, -1889, -10155 to -10157, and those without a
number, GHSA), fickling's, and what their own tests hold."""


OF_PACKAGES = [
    "six:exec_", "six.moves.builtins:eval", "attr._make:_compile_and_eval", "torch._dynamo.eval_frame:optimize",
    "Cython.Build.Inline:cython_inline", "pandas:read_csv", "pandas.io.parsers.readers:read_csv", "pandas:eval",
    "numpy._core:_ufunc_reconstruct", "decorator:FunctionMaker.create", "PIL.Image:open", "scipy.io:loadmat",
    "transformers.dynamic_module_utils:get_class_from_dynamic_module", "pydantic.v1.utils:import_string",
    "dataclasses:_create_fn", "numba.core.serialize:_unpickle__CustomPickled", "datasets.load:load_dataset",
    "safetensors.torch:save_file", "omegaconf:OmegaConf.load", "IPython.core.interactiveshell:InteractiveShell.run_cell",
]  # fmt: skip
"""What well-known packages have that runs code, writes files or imports by name."""


@pytest.mark.parametrize("identity", OF_PACKAGES)
def test_well_known_packages(identity: str) -> None:
    assert judge(*identity.split(":")).level == "danger"


@pytest.mark.parametrize("identity", PUBLISHED)
def test_published_ways_past_scanners(identity: str) -> None:
    module, _, name = identity.rpartition(":" if ":" in identity else ".")
    assert judge(module, name).level == judge(module, name, python2=True).level == "danger"


def test_a_path_that_is_longer_than_we_follow() -> None:
    name = "functional.torch." * 40 + "os.system"
    assert looked_up("torch", name) is looked_up("os", "system")
    assert judge("torch", name).level == "danger"


@pytest.mark.parametrize(
    ("module", "name"),
    [("my.models", "Net"), ("__main__", "Net"), ("timm.models.resnet", "ResNet"), ("random", "Random"),
     ("torch._utils", "_rebuild_tensor_v99"), ("Outer", "Inner.Deeper"), ("my.code", "Thing"), ("", ""), (".", "."),
     ("torch.nn.functional", "math.sqrt"), ("my.models", "Net.load")],
)  # fmt: skip
def test_what_is_not_known(module: str, name: str) -> None:
    assert judge(module, name).level == "unknown"


ROWS = [
    (module, name)
    for rows in (safe_torch.REBUILT, safe_torch.CALLED, safe_torch.NAMED)
    for module, names in rows.items()
    for name in names.split()
]


@cache
def imported(module: str) -> ModuleType | None:
    """A module of the installed torch, or its part that is not Python; None for those of other versions."""
    with contextlib.suppress(ImportError), warnings.catch_warnings(record=True):
        return importlib.import_module(module)
    found = torch
    for step in module.split(".")[1:]:
        found = getattr(found, step, None)
    return found


@pytest.mark.filterwarnings("ignore")
def test_safe_names_of_torch_are_classes_and_functions_that_are_defined_where_they_stand() -> None:
    met = 0
    for module, name in ROWS:
        found = getattr(imported(module), name, None)
        if found is None or module.startswith("torch._C."):
            continue
        home = getattr(found, "__module__", module)
        shim = (home, name) in ROWS  # of an older version: what it leads to now is safe by its own name
        above = module.startswith(f"{home}.")  # a package says that it is its own
        assert home == module or shim or above or home.startswith("torch._C"), (module, name, home)
        met += 1
    assert met > 700


@pytest.mark.filterwarnings("ignore")
def test_nothing_two_attributes_deep_is_safe_that_is_not_defined_there() -> None:
    """Whatever can be reached from a module that the tables name: by its name, or by a name behind its dot."""
    reached = 0
    for name in sorted(
        {module for module, _ in ROWS} | {"collections", "builtins", "numpy", "functools", "pathlib", "io"}
    ):
        module = imported(name)
        for first, value in list(vars(module).items()) if isinstance(module, ModuleType) else ():
            check_safe(name, first, value)
            for second in dir(value) if "." not in first else ():
                reached += 1
                assert judge(name, f"{first}.{second}").level != "safe", (name, first, second)
    assert reached > 100_000


def check_safe(module: str, name: str, value: object) -> None:
    if judge(module, name).level != "safe":
        return
    assert callable(value) or value in {Ellipsis, NotImplemented} or isinstance(value, torch.qscheme), (module, name)
    home = str(getattr(value, "__module__", None) or module)
    verdict = judge(home, str(getattr(value, "__qualname__", name)))
    assert verdict.level != "danger", (module, name, verdict)
    assert home.partition(".")[0].lstrip("_") in {"torch", "numpy", "builtins", *KIN.get(module, ())}, (
        module,
        name,
        home,
    )


KIN = {
    "collections": ("collections",), "functools": ("functools",), "pathlib": ("pathlib",), "io": ("io",),
}  # fmt: skip
"""Where what these modules define says that it is from."""


def test_no_verdict_depends_on_the_python_that_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sys.stdlib_module_names - {"__main__"} <= PYTHON_MODULES | {
        name for name in sys.stdlib_module_names if "conda" in name
    }
    assert {
        "_xxsubinterpreters",
        "_interpreters",
        "_testcapi",
        "commands",
        "popen2",
        "asyncore",
        "imp",
    } <= PYTHON_MODULES
    before = [judge(name, "run_anything").level for name in sorted(PYTHON_MODULES)]
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset())
    assert [judge(name, "run_anything").level for name in sorted(PYTHON_MODULES)] == before
    assert set(before) == {"danger"}


@pytest.mark.filterwarnings("ignore")
def test_every_module_and_optimizer_of_torch_is_safe() -> None:
    for package, base in ((torch.nn, torch.nn.Module), (torch.optim, torch.optim.Optimizer)):
        for value in vars(package).values():
            if inspect.isclass(value) and issubclass(value, base):
                assert judge(value.__module__, value.__qualname__).level == "safe", value


def test_tables_do_not_contradict_each_other() -> None:
    for name, expected in safe._table().items():
        module, _, last = name.rpartition(".")
        assert judge(module, last)[::3] == ("safe", expected), name
    assert not set(DANGEROUS_NAMES) & set(safe._table())
    assert not set(safe.HARMLESS) & set(safe._table())


@pytest.mark.parametrize("module", sorted(set(DANGEROUS_MODULES) & sys.stdlib_module_names))
def test_anything_below_a_dangerous_module_is_dangerous(module: str) -> None:
    assert judge(module, "Anything").level == judge(f"{module}.below", "anything").level == "danger"


@given(st.text(string.printable, max_size=30), st.text(max_size=30), st.booleans())
def test_any_names_have_a_verdict(module: str, name: str, python2: bool) -> None:
    assert judge(module, name, python2=python2).level in {"safe", "unknown", "danger"}
