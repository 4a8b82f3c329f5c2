"""One grammar of selectors: kind of selector x kind of source x command, against a loop over the modules of torch."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

import paraminspect
from tests.making.running import Result, run_here

CODE = """
import torch
from torch import nn

class LlamaMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.up = nn.Linear(2, 2)
        self.act = nn.Sequential(nn.PReLU())

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.ModuleList([LlamaMLP(), LlamaMLP()])
        self.norm = nn.LayerNorm(2)
        self.head = nn.Linear(2, 2, bias=False)
        self.register_parameter("odd:name", nn.Parameter(torch.ones(2)))

    def forward(self, x):
        for each in self.mlp:
            x = each.act(each.up(x * each.scale))
        return self.head(self.norm(x) * self._parameters["odd:name"])
"""
SPEC = """
blocks:
  LlamaMLP:
    layers:
      - {Linear: [2, 2], name: up}
      - {Sequential: [PReLU], name: act}
model:
  - {LlamaMLP: [], name: mlp, repeat: 2}
  - {LayerNorm: 2, name: norm}
  - {Linear: [2, 2, {bias: false}], name: head}
input: [3, 2]
"""
SELECTORS = [
    "*.weight", "mlp.1.*", "norm.weight", "/mlp\\.[0-9]+\\.up/",
    "LlamaMLP:*", "LlamaMLP:*.weight", "Linear:*", "L*:*", "Sequential:*", "Module:mlp.0.*",
    "LlamaMLP>:*", "Linear>:*", "Module>:*.bias", "PReLU>:*", "Sequential>:*",
    '"norm.weight"', 'LayerNorm:"norm.weight"',
]  # fmt: skip
SOURCES = ["factory", "spec", "module", "pickle", "state dict"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("selectors")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        (folder / "selected_net.py").write_text(CODE)
        (folder / "net.yaml").write_text(SPEC)
        import selected_net  # type: ignore[import-not-found]

        model = selected_net.Model()
        torch.save(model, folder / "whole.pt")
        torch.save(model.state_dict(), folder / "state.pt")
        yield {
            "factory": "selected_net:Model", "spec": "net.yaml", "pickle": "whole.pt", "state dict": "state.pt",
        }  # fmt: skip


def open_module(source: str) -> nn.Module:
    live = paraminspect.open(source).opened.live
    assert live is not None
    return live.model


def meant(model: nn.Module, selector: str, *, bases: bool = True, classes: bool = True) -> list[str]:
    """What a selector means, the long way round."""
    types, colon, glob = selector.rpartition(":") if not selector.startswith(("/", '"')) else ("", "", selector)
    modules = dict(model.named_modules())
    found = []
    for name, _ in model.named_parameters():
        if glob.startswith("/"):
            is_named = re.search(glob[1:-1], name) is not None
        else:
            is_named = name == glob[1:-1] if glob.startswith('"') else fnmatch.fnmatchcase(name, glob)
        owner = name.rpartition(".")[0]
        paths = [path for path in modules if path in ("", owner) or owner.startswith(f"{path}.")]
        if types.endswith(">"):
            paths = [owner]
        names = {
            cls.__name__ for path in paths for cls in type(modules[path]).__mro__[: None if bases else 1] if classes
        }
        if is_named and (not colon or any(fnmatch.fnmatchcase(each, types.removesuffix(">")) for each in names)):
            found.append(name)
    return found


def names_of(result: Result) -> list[str]:
    assert result.status == (0 if result.stdout else 1), result.stderr
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


COMMANDS: dict[str, Callable[[str, str], list[str]]] = {
    "select": lambda source, selector: [each.name for each in paraminspect.open(source).select(selector)],
    "plan_init": lambda source, selector: [
        each.name for each in paraminspect.plan_init(source, [f"{selector}=zeros"]).records
    ],
    "list": lambda source, selector: names_of(run_here("list", source, "-s", selector)),
    "stats": lambda source, selector: names_of(run_here("stats", source, "-s", selector)),
    "show": lambda source, selector: re.findall(r'"name": ?"([^"]+)"', run_here("show", source, selector, "-f", "json").stdout),
    "init": lambda source, selector: names_of(run_here("init", source, "--rule", f"{selector}=zeros")),
    "exclude": lambda source, selector: names_of(run_here("list", source, "-x", selector)),
    "grad": lambda source, selector: [
        line.split("\t")[0]
        for line in run_here("grad", source, "--freeze", selector, *(["-i", "3,2"] if ":" in source else [])).stdout.splitlines()
        if "\tfrozen\t" in line
    ],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["factory", "spec", "pickle", "state dict"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_selector_means_the_same_everywhere(command: str, kind: str, sources: dict[str, str]) -> None:
    """Of a pickle the classes are known, and not those they derive from; of a state dict none."""
    source = sources[kind]
    if command == "grad" and kind in ("pickle", "state dict"):
        pytest.skip("it cannot run")
    model = open_module(source if kind == "spec" else sources["factory"])
    every = [name for name, _ in model.named_parameters()]
    for selector in ["LlamaMLP:*", "Linear>:*", "Module>:*.bias"] if command == "grad" else SELECTORS:
        due = meant(model, selector, bases=kind in ("factory", "spec"), classes=kind != "state dict")
        if command == "exclude":
            due = [name for name in every if name not in due]
        if due or command in ("select", "list", "exclude"):
            assert sorted(COMMANDS[command](source, selector)) == sorted(due), selector


@pytest.mark.parametrize("kind", ["factory", "pickle", "state dict"])
def test_a_name_with_a_colon_is_quoted(kind: str, sources: dict[str, str]) -> None:
    source = sources[kind]
    for command, run in COMMANDS.items():
        if command == "exclude" or (command == "grad" and kind != "factory"):
            continue
        assert run(source, '"odd:name"') == ["odd:name"], command
    assert COMMANDS["show"](source, "odd:name") == ["odd:name"]
    for line in (["list", source, "-s", "odd:name"], ["init", source, "--rule", "odd:name=zeros"]):
        result = run_here(*line)
        assert (result.status, result.stdout) == (1, "")
        assert 'for the tensor of that name write "odd:name"' in result.stderr


@pytest.mark.parametrize("selector", ["Linear:*", "Linear>:*"])
def test_a_checkpoint_without_classes_says_so(selector: str, sources: dict[str, str]) -> None:
    assert sources
    said = "this checkpoint does not say of which class its modules are: use a pattern of names"
    for line in (
        ["list", "state.pt", "-s", selector], ["init", "state.pt", "--rule", f"{selector}=zeros"], ["show", "state.pt", selector],
        ["convert", "state.pt", "-o", "x.safetensors", "-s", selector],
    ):  # fmt: skip
        result = run_here(*line)
        assert (result.status > 0, result.stdout) == (True, "")
        assert said in result.stderr


@pytest.mark.parametrize("kind", ["factory", "spec", "pickle"])
def test_a_misspelt_class_is_told_in_every_command(kind: str, sources: dict[str, str]) -> None:
    source = sources[kind]
    for line in (
        ["list", source, "-s", "LlamaMPL:*"], ["init", source, "--rule", "LlamaMPL:*=zeros"], ["show", source, "LlamaMPL:*"],
        *([["grad", source, "-i", "3,2", "--freeze", "LlamaMPL:*"]] if kind != "pickle" else []),
    ):  # fmt: skip
        assert "no module is a LlamaMPL; did you mean LlamaMLP?" in run_here(*line).stderr, line
