"""Inputs and losses from a spec, from options, and from files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from paraminspect.architecture.given import parse_given, plan_inputs
from paraminspect.architecture.loss import read_loss
from paraminspect.errors import ParamInspectError
from paraminspect.live.build import input_files
from paraminspect.live.build.feeding import Feeding
from paraminspect.live.build.input_files import read_tensors
from paraminspect.live.grad.feed import Feed, Wanted

ONE = "model: [{Linear: [4, 3]}]\ninput: [2, 4]\n"
TWO = "model:\n  - {Add, from: [a, b]}\ninput: {a: [2], b: {shape: [2], fill: 7}}\n"
VARS = "vars: {n: 5}\nmodel: [{Embedding: [$n, 3]}]\ninput: {shape: [2], dtype: int64, high: $n}\n"


@pytest.fixture
def feed(live: Callable[..., Any]) -> Callable[..., Feed]:
    def make(text: str | None, *inputs: str, **wanted: Any) -> Feed:
        target = wanted.pop("target", None)
        chosen = Wanted(None if target is None else parse_given(target, "--target"), **wanted)
        plan = None if text is None else live(text).plan
        feeding = Feeding(plan_inputs(inputs), plan)
        return Feed(chosen, plan, 0, lambda step: feeding.inputs(step, dtype=wanted.get("dtype")))

    return make


def tensors(feed: Feed, step: int = 0) -> list[Tensor]:
    inputs, _ = feed.batch(step)
    return [each for each in inputs.positional if isinstance(each, Tensor)]


def test_the_spec_s_own_input_and_one_in_its_place(feed: Callable[..., Feed]) -> None:
    (own,), (other,) = tensors(feed(ONE)), tensors(feed(ONE, "{shape: [7, 4], dist: normal}"))
    assert (tuple(own.shape), tuple(other.shape)) == ((2, 4), (7, 4))
    assert other.min() < 0
    (ids,) = tensors(feed(VARS, "{shape: [99], dtype: int64, high: $n}"))
    assert ids.unique().tolist() == [0, 1, 2, 3, 4]


def test_one_of_several_inputs(feed: Callable[..., Feed]) -> None:
    a, b = tensors(feed(TWO, "a={shape: [2], fill: 1}"))
    assert (a.tolist(), b.tolist()) == ([1, 1], [7, 7])
    a, b = tensors(feed(TWO, "3", "3"))
    assert (tuple(a.shape), tuple(b.shape)) == ((3,), (3,))
    a, b = tensors(feed(TWO, "3", "b=3"))
    assert (tuple(a.shape), tuple(b.shape)) == ((3,), (3,))


@pytest.mark.parametrize(
    ("text", "inputs", "message"),
    [
        (TWO, ["c=2"], "the spec has no input 'c'"),
        (ONE, ["2,4", "2,4"], "more often than the spec has inputs"),
        ("model: [ReLU]\n", [], "the spec has no input"),
        (None, [], "a factory says no input"),
    ],
)
def test_inputs_that_do_not_fit(feed: Callable[..., Feed], text: str | None, inputs: list[str], message: str) -> None:
    with pytest.raises(ParamInspectError, match=message):
        feed(text, *inputs)


def test_a_factory_takes_them_by_position_and_by_name(feed: Callable[..., Feed]) -> None:
    inputs, loss = feed(None, "2,4", "mask=[2]", "3").batch()
    assert [tuple(each.shape) for each in inputs.positional] == [(2, 4), (3,)]  # type: ignore[attr-defined]
    assert list(inputs.named) == ["mask"]
    assert loss(torch.ones(3)).text == "sum(output)"


def test_steps_are_seeded_each(feed: Callable[..., Feed]) -> None:
    for text in ("2,4", "{shape: [2, 4], seed: 3}"):
        batches = feed(ONE, text)
        first, again, second = (tensors(batches, step)[0] for step in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, second)


def test_dtype(feed: Callable[..., Feed]) -> None:
    (x,) = tensors(feed(ONE, dtype=torch.bfloat16))
    assert x.dtype == torch.bfloat16
    (ids,) = tensors(feed(VARS, dtype=torch.bfloat16))
    assert ids.dtype == torch.int64


def test_losses(feed: Callable[..., Feed]) -> None:
    """Options go before the spec; the target of a spec serves the losses it fits."""
    target = ONE + "loss: {target: {shape: [2, 3], fill: 1}}\n"
    classes = ONE + "loss: {target: {shape: [2], dtype: int64, low: 1, high: 2}}\n"
    y = torch.tensor([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0]])

    def value(text: str, loss: str | None = None, **wanted: Any) -> float:
        taken = feed(text, loss=read_loss(loss) if loss else None, **wanted).batch()[1](y)
        assert taken.text.startswith(f"{loss or ''}")
        return taken.value.item()  # type: ignore[no-any-return]

    assert value(ONE) == value(ONE + "loss: output\n") == value(target, "sum") == 10
    assert value(ONE + "loss: mean\n") == pytest.approx(10 / 6)
    assert value(ONE + "loss: mean\n", "square") == 24
    assert (
        value(target) == value(target, "mse") == value(ONE, target="{shape: [2, 3], fill: 1}") == pytest.approx(10 / 6)
    )
    assert value(target, "l1") == pytest.approx(4 / 6)
    expected = torch.nn.functional.cross_entropy(y, torch.tensor([1, 1])).item()
    assert value(classes) == value(classes, "cross_entropy") == pytest.approx(expected)
    assert value(classes, "nll") == pytest.approx(-1.5)
    assert value(classes, "mse") == value(ONE, "mse")  # a drawn one: classes do not fit
    assert value(target, "cross_entropy") == value(ONE, "cross_entropy")
    assert value(ONE + "loss: {l1: {shape: [2, 3], fill: 1}}\n") == pytest.approx(4 / 6)
    ones = "{shape: [2, 3], fill: 1}"
    assert value(ONE + "loss: l1\n", target=ones) == value(ONE + "loss: {l1: {shape: [2, 3]}}\n", target=ones)
    assert value(ONE + "loss: l1\n", target=ones) == pytest.approx(4 / 6)
    assert value(ONE + "loss: mean\n", target=ones) == pytest.approx(10 / 6)


def test_a_target_is_held_against_the_part_that_the_spec_s_loss_is_of(feed: Callable[..., Feed]) -> None:
    parts = torch.zeros(2, 3), torch.ones(2, 3)
    for loss, said in (
        ("output.1", "target(output.1) against the target"),
        ("l1(output.1)", "l1(output.1) against the target, as the spec has it"),
    ):
        taken = feed(ONE + f"loss: {loss}\n", target="{shape: [2, 3], fill: 1}").batch()[1](parts)
        assert (taken.said, taken.value.item()) == (said, 0)


def test_whose_loss_it_is(feed: Callable[..., Feed]) -> None:
    y = torch.ones(2, 3)
    said = [
        feed(text, loss=loss).batch()[1](y).said
        for text, loss in (
            (ONE, None),
            (ONE + "loss: mean\n", None),
            (ONE + "loss: mean\n", read_loss("mean")),
            (ONE + "loss: {mse: {shape: [2, 3]}}\n", None),
            (ONE + "loss: {mse: {shape: [2, 3]}}\n", read_loss("l1")),
        )
    ]
    assert said == [
        "sum(output), for want of another (--loss)",
        "mean(output), as the spec has it",
        "mean(output)",
        "mse(output) against the spec's target, as the spec has it",
        "l1(output) against the spec's target",
    ]


def test_a_loss_file_gets_the_target_there_is(feed: Callable[..., Feed], tmp_path: Path) -> None:
    (tmp_path / "own_loss.py").write_text(
        "def far(y, t):\n    return (y - t).abs().sum()\n\ndef top(y):\n    return y.max()\n"
    )
    loss = feed(ONE, loss_file=f"{tmp_path}/own_loss.py:far", target="{shape: [], fill: 3}").batch()[1]
    assert loss(torch.ones(2)).value == 4
    with pytest.raises(ParamInspectError, match="no function pot"):
        feed(ONE, loss_file=f"{tmp_path}/own_loss.py:pot")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "swapped.npy", np.asfortranarray(x.astype(">f4")))
    np.savez(tmp_path / "two.npz", ids=np.arange(3), mask=np.ones(3, np.float32))
    np.savez_compressed(tmp_path / "packed.npz", ids=np.arange(3), mask=np.ones(3, np.float32))
    save_file({"ids": torch.arange(3), "mask": torch.ones(3)}, tmp_path / "two.safetensors")
    (tmp_path / "x.json").write_text(json.dumps(x.tolist()))
    (tmp_path / "two.json").write_text('{"ids": [0, 1, 2], "mask": [1.0, 1.0, 1.0]}')
    return tmp_path


def test_files_of_one_tensor(files: Path) -> None:
    for name in ("x.npy", "swapped.npy", "x.json"):
        found = read_tensors(str(files / name))
        assert list(found) == [""]
        assert found[""].dtype == torch.float32
        assert found[""].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_files_of_several_tensors(files: Path) -> None:
    for name in ("two.npz", "packed.npz", "two.safetensors", "two.json"):
        found = read_tensors(str(files / name))
        assert {key: (each.dtype, each.tolist()) for key, each in found.items()} == {
            "ids": (torch.int64, [0, 1, 2]),
            "mask": (torch.float32, [1, 1, 1]),
        }


def test_files_as_inputs(feed: Callable[..., Feed], files: Path) -> None:
    inputs, _ = feed(None, f"{files}/two.npz").batch()
    assert list(inputs.named) == ["ids", "mask"]
    inputs, _ = feed(None, f"{files}/x.npy", f"mask={files}/two.json").batch()
    assert len(inputs.positional) == 1
    assert inputs.named["mask"].tolist() == [1, 1, 1]  # type: ignore[attr-defined]
    with pytest.raises(ParamInspectError, match=r"2 tensors in .*two.json, none of them x"):
        feed(None, f"x={files}/two.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'{"a": [1, "x"]}', "a: no tensor"),
        (b"[[1, 2], [3]]", "no tensor"),
        (b'{"a": null}', "a: a NoneType; expected a list of numbers"),
        (b"[1, 2", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "no tensor in it"),
        (b"[1, 100000000000000000000000000000]", "no tensor"),
    ],
)
def test_files_that_hold_none(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ParamInspectError) as caught:
        read_tensors(str(tmp_path / "x"))
    assert message in str(caught.value)


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    monkeypatch.setattr(input_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(ParamInspectError, match="more than 10 bytes"):
        read_tensors(str(files / "x.json"))
    monkeypatch.setattr(input_files, "MAX_INPUT_NUMEL", 2)
    with pytest.raises(ParamInspectError, match="the limit is 2"):
        read_tensors(str(files / "packed.npz"))
    monkeypatch.setattr(input_files, "MAX_TENSORS", 1)
    with pytest.raises(ParamInspectError, match="the limit is 1"):
        read_tensors(str(files / "two.npz"))
    with pytest.raises(ParamInspectError, match="no such file"):
        read_tensors(str(tmp_path / "none.json"))


def test_any_broken_byte_of_an_archive(files: Path) -> None:
    packed = (files / "packed.npz").read_bytes()
    for place in range(len(packed)):
        broken = bytearray(packed)
        broken[place] ^= 0x55
        (files / "any").write_bytes(bytes(broken))
        with contextlib.suppress(ParamInspectError):
            read_tensors(str(files / "any"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=80) | st.text('[]{}",:0123456789.-eE truefalsn', max_size=60).map(str.encode),
    place=st.integers(0, 400),
    change=st.integers(1, 255),
)
def test_any_bytes_are_tensors_or_an_error(files: Path, content: bytes, place: int, change: int) -> None:
    packed = bytearray((files / "packed.npz").read_bytes())
    packed[place % len(packed)] ^= change
    for data in (content, bytes(packed)):
        (files / "any").write_bytes(data)
        with contextlib.suppress(ParamInspectError):
            read_tensors(str(files / "any"))
