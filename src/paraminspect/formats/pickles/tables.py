"""Classes and functions with which a pickle can do harm: tables without logic.

What a checkpoint has no use for, and why: each reason completes the sentence "with this a pickle ...". What belongs into
one stands in `safe`.

Source: published ways in which pickles were made to run code; the sources of the packages that are named.
"""

from __future__ import annotations

from typing import Final

_COMMANDS: Final = "runs commands"
_CODE: Final = "runs code"
_IMPORTS: Final = "imports or loads code"
_FILES: Final = "touches files"
_NETWORK: Final = "reaches the network"
_PROCESS: Final = "starts or steers processes"
_CALLS: Final = "calls whatever it is given"
_REACHES: Final = "reaches any attribute, and so any function"
_UNPICKLES: Final = "loads another pickle, which is not looked at"
_MEMORY: Final = "reads and writes memory, and calls native code"
_PROBES: Final = "looks at or changes the running program"

DANGEROUS_MODULES: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("subprocess", "_posixsubprocess", "commands", "popen2", "pty", "sh", "fabric", "invoke", "pexpect", "plumbum"),
        _COMMANDS,
    ),
    **dict.fromkeys(("os", "posix", "nt", "os2", "ce"), "runs commands and touches files"),
    **dict.fromkeys(
        (
            "code", "codeop", "runpy", "timeit", "cProfile", "profile", "trace", "pdb", "bdb", "doctest", "cgitb",
            "idlelib", "lib2to3", "test", "unittest", "IPython", "jupyter", "sympy", "numexpr", "py_compile",
            "compileall", "this", "antigravity", "turtledemo", "_pyrepl", "rlcompleter", "pkg_resources",
            "numpy.f2py", "numpy.testing", "numpy.distutils", "distutils", "setuptools", "pip", "ensurepip", "venv",
            "zipapp", "pydoc", "modulefinder", "_sitebuiltins", "site", "sitecustomize", "usercustomize", "hydra",
            "jinja2", "PIL.ImageMath", "mlflow", "ipykernel", "nbconvert", "papermill", "numba", "llvmlite",
            "Cython", "pyximport", "triton", "_pytest", "pytest", "hypothesis", "mako", "tornado", "chameleon", "SCons",
            "scipy.weave", "pandas.core.computation", "concurrent.interpreters", "_interpreters", "_xxsubinterpreters",
            "_testcapi", "_testinternalcapi", "_testlimitedcapi", "future.utils", "past", "six.moves", "theano", "pythran",
            "transformers.dynamic_module_utils", "diffusers.utils.dynamic_modules_utils", "transformers.agents",
            "transformers.tools", "jsonargparse", "lightning.pytorch.cli", "pytorch_lightning.cli", "accelerate.commands",
            "accelerate.launchers", "torch.distributed.launcher", "keras.models", "keras.saving", "tensorflow.keras.models",
        ),
        _CODE,
    ),
    **dict.fromkeys(("importlib", "imp", "_imp", "zipimport", "pkgutil", "_frozen_importlib",
                     "_frozen_importlib_external", "numpy.ctypeslib", "torch._classes", "django.utils.module_loading",
                     "werkzeug.utils", "twisted", "importlib_metadata", "importlib_resources", "stevedore", "pluggy",
                     "transformers.utils.import_utils", "onnxruntime", "lazy_loader"), _IMPORTS),
    **dict.fromkeys(("sys", "gc", "inspect", "builtins.__dict__", "atexit", "faulthandler", "tracemalloc", "_thread",
                     "sysconfig", "warnings"), _PROBES),
    **dict.fromkeys(("ctypes", "_ctypes", "cffi", "_cffi_backend", "mmap"), _MEMORY),
    **dict.fromkeys(("shutil", "tempfile", "glob", "fileinput", "linecache", "io", "_io", "_pyio", "dbm", "sqlite3",
                     "zipfile", "tarfile", "filecmp", "shelve", "gzip", "bz2", "lzma", "mailbox", "wave",
                     "tensorflow.io", "tensorflow.raw_ops", "tensorflow.python.ops.io_ops",
                     "tensorflow.python.ops.gen_io_ops", "torch.utils.show_pickle", "pandas.io", "scipy.io",
                     "cv2", "imageio", "soundfile", "torchvision.io", "torchvision.datasets.utils", "skimage.io", "h5py", "zarr",
                     "pyarrow.fs", "pyarrow.parquet", "nltk.downloader", "nltk.data", "safetensors", "matplotlib.pyplot",
                     "torch.distributed.checkpoint.state_dict_saver", "torch.distributed.checkpoint.state_dict_loader",
                     "transformers.modeling_utils.load_state_dict"), _FILES),
    **dict.fromkeys(
        (
            "socket", "_socket", "ssl", "_ssl", "socketserver", "urllib", "urllib2", "urllib3", "httplib", "http",
            "ftplib", "smtplib", "smtpd", "poplib", "imaplib", "nntplib", "telnetlib", "xmlrpc", "webbrowser", "requests",
            "aiohttp", "httpx", "httpcore", "paramiko", "boto3", "botocore", "fsspec", "websocket", "websockets",
            "asyncio", "asyncore", "asynchat", "wsgiref", "huggingface_hub", "wget", "gdown", "pycurl", "grpc", "zmq", "redis",
            "gcsfs", "s3fs", "adlfs", "smart_open", "pooch", "torch.utils.data.datapipes.iter", "transformers.utils.hub",
            "datasets.load", "torchtext.utils", "timm.models._hub",
        ),
        _NETWORK,
    ),
    **dict.fromkeys(("multiprocessing", "_multiprocessing", "concurrent", "signal", "threading", "sched", "platform",
                     "_winapi", "winreg", "_winreg", "msvcrt", "resource"), _PROCESS),
    **dict.fromkeys(("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "jsonpickle", "marshal",
                     "pandas.io.pickle", "ray.cloudpickle", "skops", "gensim.utils", "lightning.fabric.utilities.cloud_io",
                     "lightning_fabric.utilities.cloud_io", "sklearn.externals.joblib", "sklearn.utils._joblib"), _UNPICKLES),
    **dict.fromkeys(("operator", "_operator"), _REACHES),
    **dict.fromkeys(("torch.hub", "torch.utils.model_zoo"), "fetches and runs code"),
    **dict.fromkeys(("torch.jit", "torch.package", "torch.serialization", "torch.export", "torch._export"), "loads another file"),
    **dict.fromkeys(("torch.utils.cpp_extension", "torch.utils.bottleneck", "torch.utils.collect_env",
                     "torch._inductor", "torch._dynamo", "torch._appdirs", "torch.fx.experimental", "torch.testing",
                     "torch._lobpcg", "torch.utils.hipify", "torch.utils._config_module", "torch.utils.data.datapipes",
                     "torch.utils.benchmark", "torch.utils.viz", "torch.distributed.elastic", "torch.distributed.run",
                     "torch.distributed.launch", "torch.distributed.rpc", "torch.multiprocessing", "torch.ops",
                     "torch._ops", "torch._library", "torch.library", "torch.classes", "torch.onnx", "torch.profiler",
                     "torch.cuda._memory_viz", "torch.backends", "torch.utils.tensorboard"), _CODE),
}  # fmt: skip
"""Modules, with all that is below them, of which a checkpoint needs nothing; what a pickle can do with them."""

DANGEROUS_NAMES: Final[dict[str, str]] = {
    **dict.fromkeys(("builtins.eval", "builtins.exec", "builtins.execfile", "builtins.compile", "builtins.breakpoint",
                     "types.FunctionType", "types.CodeType", "types.LambdaType", "types.MethodType", "types.ModuleType",
                     "types.new_class", "new.function", "new.code", "new.instancemethod", "logging.config.listen",
                     "torch.storage.TypedStorage.pickle_storage_type", "builtins.__build_class__", "pandas.eval", "six.exec_", "six.reraise",
                     "attr._make._compile_and_eval", "attr._make._make_method", "attr._make._linecache_and_compile",
                     "attr._make._make_methods", "attr._make._script_to_method", "attr._make._eval_snippets",
                     "attr._make._make_init", "attr._make._attrs_to_init_script", "torch._sources.parse_def",
                     "dataclasses._create_fn", "scipy._lib._util.getfullargspec_no_self", "decorator.FunctionMaker",
                     "decorator.decorate", "networkx.utils.decorators.argmap", "torch.utils._freeze.Freezer",
                     "typing.ForwardRef._evaluate", "pydantic.create_model", "marshmallow.class_registry.get_class",
                     "torch._C.CompilationUnit"), _CODE),
    **dict.fromkeys(("torch.fx.graph_module.reduce_graph_module", "torch.fx.graph_module.reduce_package_graph_module",
                     "torch.fx.graph_module.reduce_deploy_graph_module", "torch.fx.graph_module._forward_from_src",
                     "torch.fx.graph_module._exec_with_source", "torch.fx._lazy_graph_module._make_graph_module"),
                    "runs code that the file holds as text"),
    **dict.fromkeys(("builtins.__import__", "builtins.__loader__", "builtins.reload", "six._import_module", "pydantic.utils.import_string",
                     "pydantic.v1.utils.import_string", "pydantic._internal._validators.import_string",
                     "numpy.core._ufunc_reconstruct", "numpy._core._ufunc_reconstruct", "numpy.core._ufunc_reduce",
                     "omegaconf._utils._get_class", "torch._utils_internal.get_file_path", "torch._C._jit_get_operation",
                     "torch._C.import_ir_module", "torch._C.import_ir_module_from_buffer",
                     "torch._C._load_for_lite_interpreter", "torch.cuda.memory.CUDAPluggableAllocator"), _IMPORTS),
    **dict.fromkeys(("builtins.open", "builtins.file", "numpy.load", "numpy.save", "numpy.savez", "numpy.savetxt",
                     "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.fromregex", "numpy.memmap",
                     "numpy.DataSource", "numpy.core.memmap", "numpy.lib.npyio", "numpy.lib._npyio_impl",
                     "numpy.lib._datasource", "numpy.lib.format", "torch.from_file", "torch.save", "codecs.open",
                     "logging.FileHandler", "logging.config", "logging.handlers", "torch._C.PyTorchFileReader",
                     "torch._C.PyTorchFileWriter", "torch._C._save_mobile_module", "PIL.Image.open",
                     "PIL.Image.Image.save", "torchvision.utils.save_image", "omegaconf.OmegaConf.load",
                     "omegaconf.omegaconf.OmegaConf.load", "psutil.Popen", "mimetypes.MimeTypes",
                     "torch.distributed.checkpoint.filesystem.FileSystemWriter", "torch.distributed.FileStore",
                     "torch._C._distributed_c10d.FileStore", "torch.cuda.memory._dump_snapshot",
                     *(f"pandas.read_{kind}" for kind in (
                         "csv", "excel", "feather", "fwf", "hdf", "html", "json", "orc", "parquet", "sas", "spss", "sql",
                         "sql_query", "sql_table", "stata", "table", "xml", "clipboard", "gbq")),
                     "pandas.ExcelFile", "pandas.HDFStore", "pandas.ExcelWriter"), _FILES),
    **dict.fromkeys(("torch.load", "pandas.read_pickle", "transformers.modeling_utils.load_state_dict",
                     "peft.utils.save_and_load.torch_load", "accelerate.utils.other.load", "timm.models._helpers.load_state_dict",
                     "yaml.load", "yaml.unsafe_load", "yaml.full_load",
                     "ruamel.yaml.load"), _UNPICKLES),
    **dict.fromkeys(("builtins.getattr", "builtins.globals", "builtins.locals", "builtins.vars", "builtins.dir"),
                    _REACHES),
    **dict.fromkeys(("builtins.setattr", "builtins.delattr", "builtins.input", "builtins.raw_input", "builtins.exit",
                     "builtins.quit", "builtins.help"), _PROBES),
    **dict.fromkeys(("builtins.map", "builtins.filter", "builtins.apply", "builtins.reduce", "functools.reduce",
                     "functools.singledispatch", "functools.cached_property", "functools.lru_cache", "functools.cache",
                     "itertools.starmap", "itertools.accumulate", "itertools.takewhile", "itertools.dropwhile",
                     "itertools.filterfalse", "itertools.groupby", "numpy.vectorize", "numpy.frompyfunc",
                     "numpy.apply_along_axis", "numpy.apply_over_axes", "numpy.fromfunction", "numpy.piecewise",
                     "torch.utils._pytree.tree_map", "torch.func.functional_call", "torch.vmap"), _CALLS),
}  # fmt: skip
"""The same for single classes and functions, or for what is below them."""

DANGEROUS_METHODS: Final[dict[str, str]] = {
    **dict.fromkeys(("from_file", "fromfile", "tofile", "dump", "memmap", "_set_from_file", "_write_file", "_new_with_file",
                     "_share_filename_cpu_", "_new_using_filename_cpu", "_new_shared_filename_cpu",
                     "_share_fd_cpu_", "_new_using_fd_cpu", "_new_shared_fd_cpu", "save", "loadtxt", "savetxt"), _FILES),
    **dict.fromkeys(("load",), _UNPICKLES),
    **dict.fromkeys(("load_library", "load_inline"), _IMPORTS),
    **dict.fromkeys(("_from_blob", "_new_shared_cuda"), _MEMORY),
}  # fmt: skip
"""The same for whatever has this last name in torch or numpy, under all the names that lead there."""
