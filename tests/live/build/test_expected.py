"""What a spec's forward pass takes is counted before it is run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import paraminspect as pi
from paraminspect.errors import LimitExceededError
from paraminspect.limits import EffortError, one_effort
from paraminspect.live.build.expected import OPERATIONS, PRODUCTS, RETURNED, counting
from paraminspect.live.build.single import DRAWN
from paraminspect.models.asked import Asked
from paraminspect.models.open import open_model

DOUBLED = "\n".join(f"  - {{Concat: {{dim: 0}}, from: [{last}, {last}]}}" for last in ["input", *map(str, range(59))])


def spec(folder: Path, text: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("layers", "shape", "what"),
    [
        (DOUBLED + "\n  - Linear: [1, 1]", "[1, 1]", "bytes that the layers"),
        ("  - Linear: [1, 100000]", "[1000000, 1]", "bytes that the layers"),
        ("  - {Upsample: {scale_factor: 300000}}\n  - Conv2d: [1, 1, 1]", "[1, 1, 2, 2]", "bytes that the layers"),
        ("  - {Conv2d: [64, 64, 3], repeat: 20}", "[1, 64, 3000, 3000]", "multiplications and additions"),
        ("  - LSTM: [1, 64]", "[3000000, 1, 1]", "operations of forward passes"),
        ("  - Expand: [1000000000, 4]\n  - Linear: [4, 100]", "[1, 4]", "bytes that the layers"),
        ("  - CausalMask", "[1, 10000000]", "bytes that the layers"),
        ("  - {Linear: [4, 4], repeat: 500, parallel: true}\n  - Concat: 0", "[20000000, 4]", "bytes that the layers"),
    ],
)
def test_a_pass_that_is_too_much_is_refused_before_it_runs(tmp_path: Path, layers: str, shape: str, what: str) -> None:
    path = spec(tmp_path, f"model:\n{layers}\ninput: {shape}\n")
    with pytest.raises(LimitExceededError, match=what):
        pi.backward(path)


def test_what_is_counted() -> None:
    model = nn.Linear(4, 3, device="meta")
    inputs = torch.empty(5, 4, device="meta")
    with one_effort() as run:
        with counting(model, is_planned=True):
            model(inputs)
        assert (run.spent(PRODUCTS), run.spent(RETURNED)) == (2 * 5 * 4 * 3, 5 * 3 * 4)
        assert 0 < run.spent(OPERATIONS) < 5


@pytest.mark.parametrize("cls", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("more", [{}, {"bidirectional": True, "num_layers": 2}, {"batch_first": True}])
@pytest.mark.parametrize("shape", [(7, 2, 4), (7, 4)])
def test_recurrent_layers_return_what_they_return(
    cls: type[nn.RNNBase], more: dict[str, bool], shape: tuple[int, ...]
) -> None:
    layer, meta = cls(4, 3, **more), cls(4, 3, **more, device="meta")
    expected = layer(torch.zeros(shape))
    with counting(meta):
        found = meta(torch.empty(shape, device="meta"))
    flat = torch.utils._pytree.tree_leaves
    assert [each.shape for each in flat(found)] == [each.shape for each in flat(expected)]
    assert "forward" not in vars(meta)


@pytest.mark.parametrize("cls", [nn.LSTM, nn.GRU])
def test_recurrent_layers_with_a_state_are_counted_at_once(cls: type[nn.RNNBase]) -> None:
    layer = cls(4, 3, device="meta")
    state = torch.empty(1, 2, 3, device="meta")
    hx = (state, state) if cls is nn.LSTM else state
    with one_effort() as run, counting(layer):
        output, _ = layer(torch.empty(3000, 2, 4, device="meta"), hx)
        assert output.shape == (3000, 2, 3)
        assert run.spent(OPERATIONS) < 50
        with pytest.raises(RuntimeError, match="hidden"):
            layer(torch.empty(7, 5, 4, device="meta"), hx)


def test_recurrent_layers_refuse_what_they_refuse() -> None:
    layer = nn.LSTM(4, 3, device="meta")
    with counting(layer), pytest.raises(RuntimeError, match=r"input.size\(-1\)"):
        layer(torch.empty(7, 2, 5, device="meta"))


def test_values_that_are_looked_at_are_counted_first(tmp_path: Path) -> None:
    path = spec(tmp_path, "model:\n  - {Linear: [8192, 8192], repeat: 1000, name: h}\n")
    asks = (pi.stats, lambda each: pi.diff(each, each), lambda each: pi.check(each, deep=True))
    for ask in asks:
        with pytest.raises(LimitExceededError, match="bytes of values to draw; the limit is"):
            ask(path)
    assert len(pi.open(path)) == 2000
    assert not pi.check(path)
    assert pi.stats(path, select=["h.7.bias"])["h.7.bias"].count == 8192


def test_a_layer_is_not_drawn_again_and_again(tmp_path: Path) -> None:
    path = spec(tmp_path, "model:\n  - {Linear: [4096, 4096], repeat: 2, name: h}\n")
    with one_effort() as run:
        model = open_model(str(path), Asked(want="values"))
        records = [each for each in model.checkpoint.tensors if each.name.endswith("bias")]
        for record in records:
            model.tensor(record)
        assert 2 * 4 * 4096 * 4096 < run.spent(DRAWN) < 3 * 4 * 4096 * 4096
        run.spend(DRAWN, run.left(DRAWN) - 4096)
        with pytest.raises(EffortError, match="bytes of layers drawn"):
            model.tensor(records[0])


def test_many_lazy_layers_are_refused(tmp_path: Path) -> None:
    path = spec(tmp_path, "model:\n  - {LazyLinear: 1, repeat: 2001}\ninput: [1, 1]\n")
    with pytest.raises(LimitExceededError, match="2,001 lazy layers"):
        pi.open(path)
