from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from paraminspect.errors import SourceError, SpecError
from paraminspect.live.build.factory import build_factory, load_modules, parse_arguments
from paraminspect.live.build.live_model import LiveModel
from tests.making.live_models import open_live

HEAD = "import torch\nfrom torch import nn\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    monkeypatch.chdir(tmp_path)

    def run(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + text)
        return name

    return run


Write = Callable[[str, str], str]


def fails(source: str, **options: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_live(source, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(source)
    return caught.value


def test_a_function_with_arguments(write: Write) -> None:
    write(
        "build.py",
        "def make(width, depth=1, act='relu'):\n    return nn.Sequential(*[nn.Linear(width, width)] * depth)\n",
    )
    live = open_live("build.py:make", arguments=["width=7", "depth=2"])
    assert [record.name for record in live.records] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert live.model[0].weight.is_meta
    assert (live.plan, live.notes) == (None, [])


def test_a_class_and_a_module_by_its_dotted_name(write: Write) -> None:
    write("pkg/__init__.py", "")
    write(
        "pkg/models.py",
        "class Net(nn.Module):\n    class Small(nn.Linear):\n        def __init__(self): super().__init__(2, 2)\n",
    )
    assert isinstance(open_live("pkg.models:Net").model, nn.Module)
    assert open_live("pkg.models:Net.Small").records[0].module_type == "pkg.models.Net.Small"


def test_a_model_that_is_there_already(write: Write) -> None:
    write("ready.py", "net = nn.Linear(2, 2)\n")
    live = open_live("ready.py:net")
    assert not live.model.weight.is_meta
    assert live.notes == ["net was built when its module was imported: in memory, its values as they were"]


def test_what_it_imports_from_its_own_folder(write: Write) -> None:
    write("deep/layers.py", "class Layer(nn.Linear): pass\n")
    write("deep/build.py", "from layers import Layer\ndef make(): return Layer(2, 2)\n")
    assert open_live("deep/build.py:make").records[0].module_type == "layers.Layer"


def test_a_file_named_like_a_library(write: Write) -> None:
    write("torch.py", "def make(): return nn.Linear(1, 1)\n")
    write("json.py", "def make(): return nn.Linear(1, 1)\n")
    for name in ("torch", "json"):
        assert len(open_live(f"./{name}.py:make").records) == 2
    import json

    assert hasattr(json, "loads")


def test_code_that_does_not_run_on_the_meta_device(write: Write) -> None:
    write("build.py", "def make():\n    n = int(torch.ones(3).sum().item())\n    return nn.Linear(n, n)\n")
    live = open_live("build.py:make")
    assert live.model.weight.device.type == "cpu"
    (note,) = live.notes
    assert note.startswith("make does not run on the meta device (RuntimeError: ")
    assert note.endswith("): it was run again, and built in memory")


def test_terabytes_on_the_meta_device(write: Write) -> None:
    write("build.py", "def make(): return nn.Linear(10**6, 10**6)\n")
    assert open_live("build.py:make").records[0].nbytes == 4 * 10**12


def test_values_follow_the_seed(write: Write) -> None:
    write(
        "build.py",
        "import random\ndef make():\n    m = nn.Linear(9, 9)\n    m.scale = torch.tensor(random.random())\n    return m\n",
    )
    random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), torch.rand(2)
    random.seed(1)
    torch.manual_seed(1)

    def weight(live: LiveModel) -> torch.Tensor:
        return torch.cat([live.tensor("weight").flatten(), live.tensor("scale").reshape(1)])

    one, same, other = (weight(open_live("build.py:make", device="cpu", seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one[:81], other[:81])
    assert one[81] != other[81]
    assert random.random() == expected[0]
    assert torch.equal(torch.rand(2), expected[1])


def test_no_values_on_the_meta_device(write: Write) -> None:
    write("build.py", "def make(): return nn.Linear(2, 2)\n")
    with pytest.raises(SourceError, match="weight is on the meta device and has no values"):
        open_live("build.py:make").tensor("weight")


def test_what_it_prints_goes_to_standard_error(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    write(
        "build.py",
        "import os\nprint('imported')\ndef make():\n    print('called')\n    os.system('echo child')\n    return nn.ReLU()\n",
    )
    print("before", end=" ")
    open_live("build.py:make")
    print("after")
    out, err = capfd.readouterr()
    assert out == "before after\n"
    assert err.split() == ["imported", "called", "child"]


def test_warnings_are_notes(write: Write) -> None:
    write("build.py", "import warnings\ndef make():\n    warnings.warn('old style')\n    return nn.ReLU()\n")
    assert open_live("build.py:make").notes == ["UserWarning: old style"]


def test_no_such_thing(write: Write) -> None:
    write("build.py", "def make_net(): return nn.ReLU()\nclass Net(nn.Module): pass\n")
    write("pkg/__init__.py", "")
    write("pkg/models.py", "")
    error = fails("biuld.py:make_net")
    assert (error.message, error.hint) == ("biuld.py: no such file", "did you mean build.py?")
    error = fails("build.py:make_nett")
    assert (error.message, error.hint) == ("build.py has no make_nett", "did you mean make_net?")
    error = fails("build.py:xyz")
    assert error.hint == "it defines Net, make_net"
    error = fails("pkg.model:make")
    assert (error.message, error.hint) == ("no module pkg.model", "did you mean models?")
    error = fails("no_such_package.models:make")
    assert error.message == "no module no_such_package (of no_such_package.models)"
    error = fails("build.py")
    assert (error.message, error.hint) == (
        "build.py is Python; which function or class makes the model?",
        "write build.py:make_net; it also has Net",
    )


def test_not_a_model(write: Write) -> None:
    write("build.py", "def parts(): return {'a': nn.ReLU()}\ndef nothing(): pass\nsize = 3\n")
    error = fails("build.py:parts")
    assert error.message == "parts returned a dict; expected an nn.Module"
    assert fails("build.py:nothing").message == "nothing returned nothing (None); expected an nn.Module"
    assert fails("build.py:size").message == "size is an int; expected a function or class that makes an nn.Module"


def test_wrong_arguments(write: Write) -> None:
    write("build.py", "def make(width, depth=1): return nn.ReLU()\nnet = nn.ReLU()\n")
    error = fails("build.py:make", arguments=["widht=3"])
    assert (error.message, error.hint) == ("make: unknown argument widht", "did you mean width?")
    error = fails("build.py:make")
    assert (error.message, error.hint) == ("make: missing a required argument: 'width'", "write --arg width=..")
    assert "takes no arguments" in fails("build.py:net", arguments=["a=1"]).message


def test_user_code_that_fails(write: Write) -> None:
    write(
        "build.py",
        "def make(n=0):\n    return helper(n)\ndef helper(n):\n    raise ValueError('bad size\\nand more')\n",
    )
    error = fails("build.py:make")
    assert error.message == "make: ValueError: bad size (build.py:6)"
    assert isinstance(error.__cause__, ValueError)
    write("site-packages/lib/models.py", "def make(): return nn.Linear('a', 2)\n")
    assert fails("site-packages/lib/models.py:make").message.endswith("(site-packages/lib/models.py:3)")
    write("site-packages/other/__init__.py", "def fail(): raise ValueError('x')\n")
    write("app.py", "import sys\nsys.path.append('site-packages')\nimport other\ndef make():\n    other.fail()\n")
    assert fails("app.py:make").message == "make: ValueError: x (app.py:7)"
    write("late.py", "def make():\n    return nn.Linear('a', 2)\n")
    assert fails("late.py:make").message.startswith("make: TypeError: ")
    assert fails("late.py:make").message.endswith("(late.py:4)")
    write("broken.py", "x = 1 +\n")
    assert fails("broken.py:make").message == "import of broken.py: SyntaxError: invalid syntax (broken.py:3)"
    write("missing.py", "import no_such_package\n")
    assert fails("missing.py:make").message == (
        "import of missing.py: ModuleNotFoundError: No module named 'no_such_package' (missing.py:3)"
    )
    write("pkg2.py", "import no_such_package\n")
    assert "import of pkg2: ModuleNotFoundError" in fails("pkg2:make").message


def test_code_that_fails_again_in_memory(write: Write) -> None:
    write("build.py", "def make():\n    print('here')\n    raise ValueError('bad size')\n")
    error = fails("build.py:make")
    assert error.message == "make: ValueError: bad size (build.py:5)"
    assert error.hint == "it ran twice: on the meta device, which has no values, it failed before"
    with pytest.raises(SourceError) as caught:
        build_factory("build.py:make", device="cpu")
    assert caught.value.hint is None


def test_a_file_of_a_package(write: Write) -> None:
    write("pkg/__init__.py", "")
    write("pkg/layers.py", "class Layer(nn.Linear): pass\n")
    write("pkg/model.py", "from .layers import Layer\ndef net(): return Layer(2, 2)\n")
    write("pkg/deep/model.py", "from ..layers import Layer\ndef net(): return Layer(2, 2)\n")
    write("pkg/absolute.py", "import pkg.layers\ndef net(): return pkg.layers.Layer(2, 2)\n")
    write("src/other/model.py", "from .layers import Layer\ndef net(): return Layer(2, 2)\n")
    for source, hint in {
        "pkg/model.py:net": "it is part of a package: pkg.model:net",
        "pkg/deep/model.py:net": "it is part of a package: pkg.deep.model:net",
        "src/other/model.py:net": "it is part of a package: other.model:net in src",
    }.items():
        error = fails(source)
        assert "attempted relative import" in error.message
        assert error.hint == hint
    assert fails("pkg/absolute.py:net").hint == "it is part of a package: pkg.absolute:net"
    for source in ("pkg.model:net", "pkg.deep.model:net", "pkg.absolute:net"):
        assert len(open_live(source).records) == 2


def test_a_script_that_ends_the_program(write: Write) -> None:
    write("script.py", "import sys\nsys.exit(3)\n")
    error = fails("script.py:make")
    assert error.message == "import of script.py: it ends the program (SystemExit 3) (script.py:4)"
    write("quits.py", "def make(): raise SystemExit('no')\n")
    assert fails("quits.py:make").message.startswith("make: it ends the program (SystemExit no)")


def test_ctrl_c_is_not_swallowed(write: Write) -> None:
    write("build.py", "def make(): raise KeyboardInterrupt\n")
    for device in ("meta", "cpu"):
        with pytest.raises(KeyboardInterrupt):
            build_factory("build.py:make", device=device)


def test_arguments() -> None:
    assert parse_arguments(["a=1", "b=1e-3", "c=true", "d=null", "e=text=more", "f=[1, [x, 2.5]]", "g={k: 1}", "h="]) == {
        "a": 1, "b": 1e-3, "c": True, "d": None, "e": "text=more", "f": [1, ["x", 2.5]], "g": {"k": 1}, "h": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"], "--arg 'a'; expected key=value"),
        (["=1"], "--arg '=1'; expected key=value"),
        (["a b=1"], "--arg 'a b=1'; expected key=value"),
        (["a=1", "a=2"], "--arg a is given twice"),
        (["a=yes"], "--arg a: bare yes"),
        (["a=[1"], "--arg a: "),
    ],
)
def test_arguments_that_are_none(texts: list[str], message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_arguments(texts)
    assert str(caught.value).startswith(message)


MODULES = """
from torch.nn import Linear as Imported
class Scale(nn.Module):
    def __init__(self, size, start=1.0):
        super().__init__()
        print("a Scale is built")
        self.scale = nn.Parameter(torch.full((size,), start))
    def forward(self, x):
        return x * self.scale
class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = int(torch.ones(4).sum().item())
        self.weight = nn.Parameter(torch.rand(self.n))
        self.register_buffer("b", torch.ones(1))
    def forward(self, x):
        return x + self.weight
class Failing(nn.Module):
    def __init__(self):
        raise ValueError("never")
def helper(): pass
"""


def test_modules_file(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    write("my_layers.py", MODULES)
    text = "model: [{Scale: [4, {start: 2.0}], name: s}, {Linear: [4, 4]}]\ninput: [2, 4]"
    live = open_live("spec.yaml", text=text, modules_file="my_layers.py")
    assert [record.name for record in live.records] == ["s.scale", "1.weight", "1.bias"]
    assert live.records[0].module_type == "my_layers.Scale"
    assert live.shapes()[""] == ((2, 4),)
    assert live.tensor("s.scale").tolist() == [2.0] * 4
    out, err = capfd.readouterr()
    assert out == ""
    assert "a Scale is built" in err


def test_a_class_that_does_not_run_on_the_meta_device(write: Write) -> None:
    write("my_layers.py", MODULES)
    live = open_live("spec.yaml", text="model: [Counted]\ninput: [2, 4]", modules_file="my_layers.py")
    assert all(record.shape in ((4,), (1,)) for record in live.records)
    assert live.notes == ["Counted at 0 does not run on the meta device: it was built in memory"]
    assert live.shapes()[""] == ((2, 4),)
    again = open_live("spec.yaml", text="model: [Counted]", modules_file="my_layers.py", device="cpu")
    assert torch.equal(again.tensor("0.weight"), live.tensor("0.weight"))


def test_random_numbers_in_a_class_of_the_user_s(write: Write) -> None:
    write(
        "my_layers.py",
        "import random\nclass Noise(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.tensor([random.random(), float(torch.rand(1, device='cpu'))]))\n",
    )
    torch.manual_seed(1)
    random.seed(1)
    expected = random.random(), torch.rand(2)
    torch.manual_seed(1)
    random.seed(1)
    for device in ("meta", "cpu"):
        live = open_live("spec.yaml", text="model: [Noise, Noise]", modules_file="my_layers.py", device=device)
        values = [live.tensor(f"{layer}.weight") for layer in range(2)]
        assert not torch.isclose(*values).any()
    again = open_live("spec.yaml", text="model: [ReLU, Noise]", modules_file="my_layers.py", device="cpu")
    assert torch.equal(again.tensor("1.weight"), values[1])
    assert random.random() == expected[0]
    assert torch.equal(torch.rand(2), expected[1])


def test_errors_in_a_class_of_the_user_s(write: Write) -> None:
    write("my_layers.py", MODULES)
    for text, message in [
        ("model:\n- Failing", "spec.yaml:2:3: Failing at 0: never"),
        ("model:\n- {Scale: {sise: 3}}", "spec.yaml:2:4: Scale at 0: unknown argument sise"),
        ("model:\n- {Imported: [1, 2]}", "spec.yaml:2:4: unknown type Imported"),
        ("model:\n- scale", "spec.yaml:2:3: unknown type scale"),
    ]:
        with pytest.raises(SpecError) as caught:
            open_live("spec.yaml", text=text, modules_file="my_layers.py")
        assert str(caught.value) == message


def test_names_that_torch_has_too(write: Write) -> None:
    write(
        "my_layers.py",
        "class LayerNorm(nn.Module): pass\nclass Add(nn.Module): pass\nclass Residual(nn.Module): pass\n",
    )
    notes: list[str] = []
    assert list(load_modules("my_layers.py", notes=notes)) == ["LayerNorm", "Add", "Residual"]
    assert notes == [
        "LayerNorm is the class of my_layers.py, not torch.nn's",
        "Residual of my_layers.py is out of reach: specs have a built-in type of that name",
    ]
    live = open_live("spec.yaml", text="model: [LayerNorm]", modules_file="my_layers.py")
    assert live.model[0].__class__.__module__ == "my_layers"


def test_a_modules_file_without_modules(write: Write) -> None:
    write("empty.py", "x = 1\n")
    with pytest.raises(SourceError, match=r"empty\.py defines no nn\.Module class"):
        load_modules("empty.py")
