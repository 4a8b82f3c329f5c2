"""Checkpoints of every format, converted and read by torch, safetensors and numpy."""

from __future__ import annotations

import io
import math
import os
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from paraminspect import convert
from paraminspect import ties as find_ties
from paraminspect.conversion import bytes as contents
from paraminspect.conversion.verify import verify as real_verify
from paraminspect.engines import local
from paraminspect.errors import LimitExceededError, ParamInspectError, SelectionError, TargetError
from paraminspect.formats import companions
from paraminspect.formats.source import open_source
from paraminspect.values import decode as numbers
from tests.making.newer_torch import ALONE
from tests.making.quantised_files import PACKED, save_packed
from tests.making.running import run_here
from tests.making.torch_files import not_dense

State = dict[str, torch.Tensor]


def bits(tensor: torch.Tensor) -> tuple[str, tuple[int, ...], bytes]:
    flat = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return str(tensor.dtype), tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes()


def same(found: State, due: State) -> bool:
    return {name: bits(each) for name, each in found.items()} == {name: bits(each) for name, each in due.items()}


def state() -> State:
    """Plain, transposed, sliced, scalar, empty, boolean, integer and narrow tensors."""
    torch.manual_seed(3)
    big = torch.randn(30, 20)
    narrow = {
        f"narrow.{name}": torch.randn(6).to(getattr(torch, name))
        for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float64")
    }
    return {
        "fc.weight": big,
        "fc.transposed": torch.randn(7, 9).T,
        "fc.every_other": torch.randn(40)[::2],
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "flags": torch.tensor([True, False]),
        "count": torch.tensor(7),
        "odd.nan": torch.tensor([0x7F812345, 0xFFC00001 - 2**32], dtype=torch.int32).view(torch.float32),
        **narrow,
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save(state(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_a_state_dict_as_safetensors(saved: Path) -> None:
    convert(saved, saved.with_name("out.safetensors"), verify=True)
    assert same(load_file(saved.with_name("out.safetensors")), state())
    with safe_open(saved.with_name("out.safetensors"), "pt") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_and_back(saved: Path) -> None:
    convert(saved, saved.with_name("out.safetensors"))
    convert(saved.with_name("out.safetensors"), saved.with_name("back.pt"), verify=True)
    assert same(torch.load(saved.with_name("back.pt"), weights_only=True), state())


def test_as_npz(saved: Path) -> None:
    written = convert(saved, saved.with_name("out.npz"), verify=True)
    with np.load(saved.with_name("out.npz"), allow_pickle=False) as loaded:
        for name, tensor in state().items():
            wide = tensor.float() if name.startswith("narrow.b") or "float8" in name else tensor
            assert loaded[name].shape == tuple(wide.shape)
            assert loaded[name].tobytes() == bits(wide)[2]
    assert "numpy has no bfloat16: written as float32, without loss" in written.notes


def test_shards_out_and_in(saved: Path, tmp_path: Path) -> None:
    convert(saved, tmp_path / "shards", shard_size="300B", verify=True)
    found: State = {}
    for file in sorted((tmp_path / "shards").glob("*.safetensors")):
        found |= load_file(file)
    assert same(found, state())
    assert len(list((tmp_path / "shards").iterdir())) > 3
    convert(tmp_path / "shards", tmp_path / "whole.pt", verify=True)
    assert same(torch.load(tmp_path / "whole.pt", weights_only=True), state())


def test_every_conversion_reads_its_own_file_of_shards(saved: Path, tmp_path: Path) -> None:
    convert(saved, tmp_path / "shards", shard_size="500B")
    convert(tmp_path / "shards" / "model.safetensors.index.json", tmp_path / "one.safetensors")
    assert same(load_file(tmp_path / "one.safetensors"), state())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"])
def test_dtypes_are_those_of_torch(saved: Path, dtype: str) -> None:
    convert(saved, saved.with_name("out.safetensors"), dtype=dtype, exclude=["odd.*"], verify=True)
    due = {
        name: each.to(getattr(torch, dtype)) if each.is_floating_point() else each
        for name, each in state().items()
        if not name.startswith("odd.")
    }
    assert same(load_file(saved.with_name("out.safetensors")), due)


def tied() -> OrderedDict[str, torch.Tensor]:
    weight = torch.randn(5, 4)
    return OrderedDict(
        {"wte.weight": weight, "fc.bias": torch.randn(3), "head.weight": weight, "view": weight.view(4, 5)}
    )


def test_ties_are_kept_and_declared(tmp_path: Path) -> None:
    due = tied()
    torch.save(due, tmp_path / "m.pt")
    written = convert(tmp_path / "m.pt", tmp_path / "m.safetensors", verify=True)
    assert written.tensors == 3
    assert any("written apart" in note for note in written.notes)
    with safe_open(tmp_path / "m.safetensors", "pt") as opened:
        assert opened.metadata() == {"format": "pt", "head.weight": "wte.weight"}
        assert set(opened.keys()) == {"wte.weight", "fc.bias", "view"}
    convert(tmp_path / "m.safetensors", tmp_path / "back.pt", verify=True)
    loaded = torch.load(tmp_path / "back.pt", weights_only=True)
    assert loaded["wte.weight"] is loaded["head.weight"]
    assert same(loaded, due)
    assert convert(tmp_path / "m.safetensors", tmp_path / "again.safetensors").notes == ()
    groups = find_ties(open_source(tmp_path / "back.pt"))
    assert [group.names for group in groups] == [("wte.weight", "head.weight")]


def test_an_npz_has_every_name(tmp_path: Path) -> None:
    torch.save(tied(), tmp_path / "m.pt")
    written = convert(tmp_path / "m.pt", tmp_path / "m.npz", verify=True)
    with np.load(tmp_path / "m.npz") as loaded:
        assert sorted(loaded.files) == sorted(tied())
        assert (loaded["head.weight"] == loaded["wte.weight"]).all()
    assert any("cannot share" in note for note in written.notes)


def test_a_tie_that_is_halved_is_none(tmp_path: Path) -> None:
    torch.save(tied(), tmp_path / "m.pt")
    convert(tmp_path / "m.pt", tmp_path / "m.safetensors", select=["head.*"])
    with safe_open(tmp_path / "m.safetensors", "pt") as opened:
        assert (opened.metadata(), list(opened.keys())) == ({"format": "pt"}, ["head.weight"])


def training() -> dict[str, Any]:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    model = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
    return {"model": model, "optimizer": optimizer.state_dict(), "epoch": 3}


def test_weights_out_of_a_training_checkpoint(tmp_path: Path) -> None:
    due = training()
    torch.save(due, tmp_path / "train.ckpt")
    convert(tmp_path / "train.ckpt", tmp_path / "m.safetensors", module="model", rename=["module.*=*"], verify=True)
    assert same(load_file(tmp_path / "m.safetensors"), {k.removeprefix("module."): v for k, v in due["model"].items()})


def test_optimizer_state_only_when_asked_for(tmp_path: Path) -> None:
    torch.save(training(), tmp_path / "train.ckpt")
    convert(tmp_path / "train.ckpt", tmp_path / "m.safetensors")
    assert all(name.startswith("model.") for name in load_file(tmp_path / "m.safetensors"))
    convert(tmp_path / "train.ckpt", tmp_path / "m.safetensors", everything=True, force=True)
    assert "optimizer.state.0.exp_avg" in load_file(tmp_path / "m.safetensors")
    with pytest.raises(SelectionError, match="nothing to write") as caught:
        convert(tmp_path / "train.ckpt", tmp_path / "x.pt", module="optimizer")
    assert "--all" in (caught.value.hint or "")


def test_names_that_would_merge(saved: Path) -> None:
    with pytest.raises(SelectionError, match=r"--rename makes 'same' of both 'fc.weight' and 'fc.transposed'"):
        convert(saved, saved.with_name("x.pt"), rename=["fc.*=same"])
    assert not saved.with_name("x.pt").exists()


def legacy(path: Path) -> None:
    torch.save(state(), path, _use_new_zipfile_serialization=False)


def deflated(path: Path) -> None:
    """As a zip program that compresses leaves it."""
    plain = io.BytesIO()
    torch.save(state(), plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))


def in_safetensors(path: Path) -> None:
    save_file({name: each.contiguous() for name, each in state().items()}, path)


def distributed(path: Path) -> None:
    dcp.save(state(), checkpoint_id=path, **ALONE)


@pytest.mark.filterwarnings("ignore")  # of torch, about itself
@pytest.mark.parametrize("save", [legacy, deflated, in_safetensors, distributed])
@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_every_format_is_a_source(tmp_path: Path, save: Callable[[Path], None], ending: str) -> None:
    save(tmp_path / "source")
    convert(tmp_path / "source", tmp_path / f"out{ending}", verify=True)
    load = load_file if ending == ".safetensors" else torch.load
    assert same(load(tmp_path / f"out{ending}"), state())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    torch.jit.save(torch.jit.script(net), tmp_path / "net.pt")
    convert(tmp_path / "net.pt", tmp_path / "net.safetensors", verify=True)
    assert same(load_file(tmp_path / "net.safetensors"), net.state_dict())


def test_npz_with_arrays_in_other_orders(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez_compressed(tmp_path / "a.npz", big=rows.astype(">f4"), columns=np.asfortranarray(rows), z=rows + 1j)
    convert(tmp_path / "a.npz", tmp_path / "a.safetensors", verify=True)
    loaded = load_file(tmp_path / "a.safetensors")
    assert (loaded["big"].numpy() == rows).all()
    assert (loaded["columns"].numpy() == rows).all()
    assert (loaded["z"].numpy() == rows + 1j).all()


@pytest.mark.parametrize("dtype", ["", "bfloat16"])
def test_gguf_blocks_become_numbers(tmp_path: Path, dtype: str) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_name("tiny")
    numbers = np.random.default_rng(1).standard_normal((4, 256), dtype=np.float32)
    blocks = {
        kind: gguf.quants.quantize(numbers, kind)
        for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0)
    }
    for kind, data in blocks.items():
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    writer.add_tensor("plain", numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    written = convert(tmp_path / "m.gguf", tmp_path / "m.safetensors", dtype=dtype, verify=True)
    loaded = load_file(tmp_path / "m.safetensors")
    due = {kind.name: torch.from_numpy(gguf.quants.dequantize(data, kind)) for kind, data in blocks.items()}
    due["plain"] = torch.from_numpy(numbers)
    assert same(loaded, {name: each.to(getattr(torch, dtype or "float32")) for name, each in due.items()})
    assert f"2 quantised tensors (q4_0, q8_0) written as {dtype or 'float32'} numbers" in written.notes
    with safe_open(tmp_path / "m.safetensors", "pt") as opened:
        assert opened.metadata()["general.name"] == "tiny"


@pytest.mark.filterwarnings("ignore")  # torch.quantization is deprecated, its files are not
def test_scaled_integers_become_numbers(tmp_path: Path) -> None:
    scales, zeros = torch.rand(60, dtype=torch.float64), torch.zeros(60, dtype=torch.int64)
    quantised = {
        "one": torch.quantize_per_tensor(torch.randn(60, 50), 0.1, 3, torch.quint8),
        "rows": torch.quantize_per_channel(torch.randn(60, 50), scales, zeros, 0, torch.qint8),
    }
    torch.save(quantised, tmp_path / "q.pt")
    convert(tmp_path / "q.pt", tmp_path / "q.safetensors", verify=True)
    assert same(load_file(tmp_path / "q.safetensors"), {name: each.dequantize() for name, each in quantised.items()})


def test_conjugated_and_negated_views(tmp_path: Path) -> None:
    complex_numbers = torch.randn(4, dtype=torch.complex64)
    due = {"conj": complex_numbers.conj(), "negative": torch.randn(4, dtype=torch.complex64).conj().imag}
    torch.save(due, tmp_path / "c.pt")
    convert(tmp_path / "c.pt", tmp_path / "out.safetensors", verify=True)
    assert same(load_file(tmp_path / "out.safetensors"), due)


def test_a_large_transposed_tensor_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "WINDOW", 250)
    monkeypatch.setattr(numbers, "CHUNK", 70)
    monkeypatch.setattr(contents, "PIECE", 100)
    due = {
        "a": torch.randn(50, 60).T,
        "b": torch.randn(3, 700, 5).permute(0, 2, 1),
        "c": torch.randn(1)[0].expand(9, 90),
    }
    torch.save(due, tmp_path / "t.pt")
    convert(tmp_path / "t.pt", tmp_path / "t.safetensors", verify=True)
    assert same(load_file(tmp_path / "t.safetensors"), due)


def test_metadata_are_carried_and_set(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "a.safetensors", {"format": "pt", "author": "me", "step": "3"})

    def metadata(**how: Any) -> dict[str, str]:
        convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", force=True, **how)
        with safe_open(tmp_path / "b.safetensors", "pt") as opened:
            return dict(opened.metadata())

    assert metadata() == {"format": "pt", "author": "me", "step": "3"}
    assert metadata(metadata={"step": "4", "x": ""}) == {"format": "pt", "author": "me", "step": "4", "x": ""}
    assert metadata(carry_metadata=False, metadata={"k": "v"}) == {"format": "pt", "k": "v"}
    assert metadata(rename=["w=me"]) == {"format": "pt", "step": "3"}
    with pytest.raises(ParamInspectError, match="would declare a tensor 'k' that is tied to 'w'"):
        metadata(metadata={"k": "w"})


def test_a_file_in_place(saved: Path) -> None:
    with pytest.raises(TargetError, match="there already"):
        convert(saved, saved)
    convert(saved, saved, dtype="float64", force=True, verify=True)
    assert torch.load(saved, weights_only=True)["fc.weight"].dtype == torch.float64
    assert [file.name for file in saved.parent.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".npz"])
def test_a_byte_that_was_written_wrong_is_found(saved: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = saved.with_name(f"out{ending}")

    def flip_and_verify(path: str, *rest: Any) -> None:
        place = next(r.storage.begin for r in open_source(path).tensors if r.name == "fc.weight" and r.storage)
        with open(path, "r+b") as file:
            file.seek((place or 0) + 1001)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 4]))
        real_verify(path, *rest)

    monkeypatch.setattr("paraminspect.conversion.convert.verify", flip_and_verify)
    with pytest.raises(TargetError, match=r"'fc.weight' has other bytes from byte \d+ of it on"):
        convert(saved, target, verify=True)
    assert not target.exists()


def test_expanded_tensors_have_a_bound(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 20)}, tmp_path / "bomb.pt")
    with pytest.raises(LimitExceededError, match="expanded"):
        convert(tmp_path / "bomb.pt", tmp_path / "x.safetensors")


@pytest.mark.parametrize(("name", "message"), [("x.gguf", "not written"), ("x", "what kind"), ("x.npy", "not written")])
def test_kinds_that_are_not_written(saved: Path, name: str, message: str) -> None:
    with pytest.raises(ParamInspectError, match=message):
        convert(saved, saved.with_name(name))


def test_tensors_that_no_file_holds_are_named(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2), "s": not_dense()}, tmp_path / "s.pt")
    with pytest.raises(ParamInspectError, match="'s' cannot be written: it is sparse_csr") as caught:
        convert(tmp_path / "s.pt", tmp_path / "x.pt")
    assert caught.value.hint == "--exclude 's' leaves it out"
    torch.save({"r": not_dense(), "s": not_dense()}, tmp_path / "t.pt")
    with pytest.raises(ParamInspectError, match="2 tensors cannot be written") as caught:
        convert(tmp_path / "t.pt", tmp_path / "x.pt")
    assert caught.value.hint == "--exclude PATTERN leaves them out"
    convert(tmp_path / "s.pt", tmp_path / "x.pt", exclude=["s"])


def small_files() -> list[bytes]:
    found = []
    for save in (lambda b: torch.save(tied(), b), lambda b: np.savez(b, a=np.ones(3))):
        buffer = io.BytesIO()
        save(buffer)
        found.append(buffer.getvalue())
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_give_a_file_or_an_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(small_files())))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    source = tmp_path / "source"
    source.write_bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)
    try:
        convert(source, tmp_path / "out.safetensors", force=True, verify=True)
    except ParamInspectError:
        return
    load_file(tmp_path / "out.safetensors")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e5m2", "float8_e4m3fn", "float32"])
@pytest.mark.parametrize("before", ["float64", "float32", "bfloat16", "float16"])
def test_what_a_narrower_type_loses_is_counted(
    tmp_path: Path, dtype: str, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "PIECE", 999)
    torch.manual_seed(0)
    values = (torch.randn(5000, dtype=torch.float64) * 10 ** (torch.rand(5000, dtype=torch.float64) * 90 - 45)).to(
        getattr(torch, before)
    )
    values[:4] = torch.tensor([math.inf, -math.inf, math.nan, 0])
    torch.save({"w": values, "count": torch.tensor(70_000)}, tmp_path / "in.pt")
    notes = convert(tmp_path / "in.pt", tmp_path / "out.safetensors", dtype=dtype, verify=True).notes
    after = values.to(getattr(torch, dtype)).float()
    large = int((values.double().abs() > 448).sum()) if dtype == "float8_e4m3fn" else int(
        (values.isfinite() & ~after.isfinite()).sum()
    )  # fmt: skip
    small = int(((values != 0) & (after == 0)).sum())
    told = {word: int(re.sub(",", "", match[1])) for word in ("large", "small") for note in notes
            if (match := re.match(rf"([\d,]+) numbers? of 'w' w\w+ too {word} for {dtype} and became", note))}  # fmt: skip
    assert told == {word: count for word, count in (("large", large), ("small", small)) if count}
    assert len(notes) == len(told)


def test_losses_of_several_tensors_are_added(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([1e5, 1e-9]), "b": torch.tensor([1e6, -1e6])}, tmp_path / "in.pt")
    assert convert(tmp_path / "in.pt", tmp_path / "out.npz", dtype="float16").notes == (
        "3 numbers of 2 tensors, first 'a', were too large for float16 and became infinite",
        "1 number of 'a' was too small for float16 and became 0",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `save_pretrained` writes it, beside code."""
    made = tmp_path / "model"
    made.mkdir()
    save_file({"a.weight": torch.randn(4, 4), "b.weight": torch.randn(4, 4)}, made / "model.safetensors")
    for name in ("config.json", "tokenizer.json", "merges.txt", "special_tokens_map.json", "modeling_own.py", "x.json"):
        (made / name).write_text(f'{{"is": "{name}"}}')
    return made


def test_a_folder_takes_its_configuration_along(folder: Path, tmp_path: Path) -> None:
    written = convert(folder, f"{tmp_path}/out/", shard_size="64", verify=True)
    assert written.notes == ("copied as they are: config.json, merges.txt, special_tokens_map.json and 1 more",)
    names = {file.name for file in (tmp_path / "out").iterdir()}
    copied = {"config.json", "tokenizer.json", "merges.txt", "special_tokens_map.json"}
    shards = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}
    assert names == copied | shards
    assert written.files == len(names)
    for name in copied:
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    again = convert(tmp_path / "out" / "model.safetensors.index.json", f"{tmp_path}/again/")
    assert "config.json" in again.notes[0]


@pytest.mark.parametrize("more", [{"select": ["a.*"]}, {"exclude": ["a.*"]}, {"rename": ["a.*=c.*"]}, {"module": "a"}])
def test_a_part_has_no_configuration(folder: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    (note,) = convert(folder, f"{tmp_path}/out/", **more).notes
    assert note.startswith("not copied, as they describe the whole model: config.json, merges.txt")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.safetensors"]


def test_one_file_has_none_and_a_file_takes_none(folder: Path, tmp_path: Path) -> None:
    assert convert(folder, tmp_path / "out.safetensors").notes == ()
    assert convert(folder / "model.safetensors", f"{tmp_path}/out/").notes == ()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.safetensors"]


def test_a_configuration_stays_behind_only_where_there_is_one(tmp_path: Path) -> None:
    packed = PACKED["fp8 of DeepSeek"]
    for config, notes in ((packed.config, 1), (None, 0)):
        file = save_packed(tmp_path / f"of {notes}", packed.tensors, config) / "model.safetensors"
        assert (
            len([note for note in convert(file, tmp_path / f"{notes}.safetensors").notes if "stays behind" in note])
            == notes
        )
    with pytest.raises(ParamInspectError, match="is not told") as caught:
        convert(file, tmp_path / "x.safetensors", dtype="float32")
    assert caught.value.hint == "put the config.json of the model beside the file"


def test_companions_that_are_no_small_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companions, "MAX_BYTES", 45)
    (folder / "config.json").rename(folder / "blob")
    (folder / "config.json").symlink_to("blob")
    (tmp_path / "secret").write_text("x")
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    (folder / "special_tokens_map.json").symlink_to(tmp_path / "secret")
    (folder / "tokenizer.json").write_text("x" * 46)
    (folder / "merges.txt").unlink()
    os.mkfifo(folder / "merges.txt")
    written = convert(folder, f"{tmp_path}/out/")
    assert written.notes == ("copied as they are: config.json", "not copied: merges.txt, special_tokens_map.json, tokenizer.json")  # fmt: skip
    assert (tmp_path / "out" / "config.json").read_text() == '{"is": "config.json"}'
    assert not (tmp_path / "out" / "config.json").is_symlink()


def test_a_folder_in_place_keeps_its_configuration(folder: Path) -> None:
    for name in ("modeling_own.py", "x.json"):
        with pytest.raises(TargetError, match=name):
            convert(folder, folder, dtype="bfloat16", force=True)
        (folder / name).unlink()
    convert(folder, folder, dtype="bfloat16", force=True)
    assert (folder / "config.json").read_text() == '{"is": "config.json"}'
    assert load_file(folder / "model.safetensors")["a.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float16", "float8_e4m3fn"])
def test_threads_write_what_one_writes(tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = torch.Generator().manual_seed(1)
    due = {"long": torch.randn(900_000, generator=drawn) * 1e5, "kept": torch.arange(9), "small": torch.ones(3) * 1e-9}
    due |= {"turned": torch.randn(30, 900, generator=drawn).T, "empty": torch.ones(0), "scalar": torch.tensor(2.0)}
    torch.save(due, tmp_path / "in.pt")
    words = ("convert", str(tmp_path / "in.pt"), "--dtype", dtype, "--verify", "-o")
    one = run_here(*words, str(tmp_path / "out.safetensors"))
    monkeypatch.setattr(local, "THREADED_BYTES", 0)
    monkeypatch.setattr(local, "count_processors", lambda: 3)
    monkeypatch.setattr(contents, "HERE_BYTES", 1 << 20)
    before = (tmp_path / "out.safetensors").read_bytes()
    assert run_here(*words, str(tmp_path / "out.safetensors"), "--force") == one
    assert (tmp_path / "out.safetensors").read_bytes() == before
    assert one.status == 0
    assert "too large" in one.stderr
