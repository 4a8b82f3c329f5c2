"""Every encoding and layout of a stored tensor in the hands of everything that takes values.

Each cell gives the numbers that torch, gguf, onnx or numpy make of the file, or one refusal in words. No cell crashes,
and none says something else than another.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import torch.distributed.checkpoint as dcp
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from paraminspect.files import far
from paraminspect.files.web import client
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from scripts.servers.ranges import RangeServer
from tests.making.newer_torch import since
from tests.making.onnx_files import model
from tests.making.running import Result, end_fsspec, run_here
from tests.making.zips import rezipped, zip_members

Array = np.ndarray[Any, Any]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*quantiz.*"),
    pytest.mark.filterwarnings("ignore:TypedStorage"),
    pytest.mark.filterwarnings("ignore:.*torch.distributed.*"),
    pytest.mark.filterwarnings("ignore:.*ComplexHalf.*"),
]

NAME, BIAS = "0.weight", "0.bias"
SPEC = "model: [{Linear: [32, 4]}]\ninput: [2, 32]\n"
VALUES = ((np.arange(128) * 37 % 101 - 50) / 8).astype(np.float32).reshape(4, 32)
"""Exact in every floating-point type, none of them zero twice in a row."""


class Case(NamedTuple):
    """A file and what is in it.

    Attributes:
        source: What is typed.
        numbers: Of the weight.
        dtype: As `list` has it.
        name: Of the case.
    """

    source: str
    numbers: Array
    dtype: str = "float32"
    name: str = ""

    @property
    def is_complex(self) -> bool:
        return self.dtype.startswith("complex")


Maker = Callable[[Path], Case]
MAKERS: dict[str, Maker] = {}


def case(make: Maker) -> Maker:
    MAKERS[make.__name__] = make
    return make


def tensors(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    return {NAME: weight, BIAS: torch.arange(4.0)}


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def numbers_of(tensor: torch.Tensor) -> Array:
    """What torch makes of a tensor."""
    if str(tensor.dtype) == "torch.float4_e2m1fn_x2":
        both = tensor.view(torch.uint8).numpy()
        return E2M1[np.stack([both & 15, both >> 4], -1).reshape(*both.shape[:-1], -1)]
    plain = tensor.dequantize() if tensor.is_quantized else tensor.detach().resolve_conj().resolve_neg()
    array: Array = plain.to(torch.complex128 if plain.is_complex() else torch.float64).numpy()
    return array


def in_torch(folder: Path, weight: torch.Tensor, **options: Any) -> Case:
    torch.save(tensors(weight), folder / "m.pt", **options)
    loaded = torch.load(folder / "m.pt", weights_only=True)[NAME]
    return Case(str(folder / "m.pt"), numbers_of(loaded), str(weight.dtype).removeprefix("torch."))


@case
def plain(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(VALUES))


@case
def bfloat16(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(VALUES).bfloat16())


@case
def legacy(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(VALUES), _use_new_zipfile_serialization=False)


@case
def in_safetensors(folder: Path) -> Case:
    safetensors.torch.save_file(tensors(torch.from_numpy(VALUES)), folder / "m.safetensors")
    return Case(str(folder / "m.safetensors"), numbers_of(safetensors.torch.load_file(folder / "m.safetensors")[NAME]))


@case
def transposed(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(VALUES.T.copy()).t())


@case
def with_gaps(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(np.tile(VALUES, (2, 3)))[::2, 1:-1:3])


@case
def expanded(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(VALUES[0]).expand(4, 32))


@case
def negative(folder: Path) -> Case:
    return in_torch(folder, torch.from_numpy(VALUES)._neg_view())


@case
def negative_transposed(folder: Path) -> Case:
    return in_torch(folder, torch.complex(torch.zeros(32, 4), torch.from_numpy(VALUES.T.copy())).conj().imag.t())


@case
def conjugate(folder: Path) -> Case:
    return in_torch(folder, torch.complex(torch.from_numpy(VALUES), torch.from_numpy(VALUES[::-1].copy())).conj())


@case
def conjugate_halves(folder: Path) -> Case:
    values = torch.complex(torch.from_numpy(VALUES), torch.from_numpy(VALUES[::-1].copy()))
    return in_torch(folder, values.to(torch.complex32).conj())


@case
def scaled(folder: Path) -> Case:
    return in_torch(folder, torch.quantize_per_tensor(torch.from_numpy(VALUES), 0.0625, 3, torch.qint8))


@case
def scaled_by_channel(folder: Path) -> Case:
    scales, zeros = torch.tensor([0.0625, 0.125, 0.25, 0.1]), torch.tensor([0, 3, -2, 1])
    return in_torch(folder, torch.quantize_per_channel(torch.from_numpy(VALUES), scales, zeros, 0, torch.qint8))


@case
def packed(folder: Path) -> Case:
    """Two integers of four bits in each byte, which torch itself cannot take apart."""
    scales, zeros = torch.tensor([0.5, 1.0, 0.25, 0.125]), torch.tensor([7.0, 8.0, 6.0, 5.0])
    weight = torch.quantize_per_channel(torch.from_numpy(VALUES), scales, zeros, 0, torch.quint4x2)
    torch.save(tensors(weight), folder / "m.pt")
    both = np.frombuffer(zip_members((folder / "m.pt").read_bytes())["m/data/0"], np.uint8)[:64]
    codes = np.stack([both & 15, both >> 4], -1).reshape(4, 32)
    return Case(str(folder / "m.pt"), (codes - zeros.numpy()[:, None]) * scales.numpy()[:, None], "quint4x2")


@case
def pairs(folder: Path) -> Case:
    """Two numbers in each element of torch, which has no arithmetic for them."""
    codes = (np.arange(128) % 16).astype(np.uint8).reshape(4, 32)
    both = torch.from_numpy(codes[:, ::2] | codes[:, 1::2] << 4)
    torch.save(tensors(both.view(torch.float4_e2m1fn_x2)), folder / "m.pt")
    return Case(str(folder / "m.pt"), E2M1[codes], "float4_e2m1fn_x2")


@case
def deflated(folder: Path) -> Case:
    in_torch(folder, torch.from_numpy(VALUES))
    (folder / "d.pt").write_bytes(rezipped((folder / "m.pt").read_bytes(), method=8))
    return Case(str(folder / "d.pt"), VALUES)


@case
def big_endian(folder: Path) -> Case:
    in_torch(folder, torch.from_numpy(VALUES.byteswap()))
    data = rezipped((folder / "m.pt").read_bytes(), lambda members: members.update({"m/byteorder": b"big"}))
    (folder / "b.pt").write_bytes(data)
    return Case(str(folder / "b.pt"), numbers_of(torch.load(folder / "b.pt", weights_only=True)[NAME]))


@case
def npz_deflated(folder: Path) -> Case:
    np.savez_compressed(folder / "m.npz", **{NAME: VALUES, BIAS: VALUES[0, :4]})
    return Case(str(folder / "m.npz"), np.load(folder / "m.npz")[NAME])


@case
def npz_big_endian(folder: Path) -> Case:
    np.savez(folder / "m.npz", **{NAME: np.asfortranarray(VALUES).astype(">f4"), BIAS: VALUES[0, :4]})
    return Case(str(folder / "m.npz"), np.load(folder / "m.npz")[NAME].astype(np.float32))


@case
def distributed(folder: Path) -> Case:
    state = tensors(torch.from_numpy(VALUES))
    dcp.save(state, checkpoint_id=folder / "dcp")
    found = tensors(torch.zeros(4, 32))
    dcp.load(found, checkpoint_id=folder / "dcp")
    return Case(str(folder / "dcp"), numbers_of(found[NAME]))


@case
def blocks(folder: Path) -> Case:
    kind = gguf.GGMLQuantizationType.Q4_0
    coded = gguf.quantize(VALUES, kind)
    writer = gguf.GGUFWriter(folder / "m.gguf", "llama")
    writer.add_tensor(NAME, coded, raw_dtype=kind)
    writer.add_tensor(BIAS, VALUES[0, :4].copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Case(str(folder / "m.gguf"), gguf.dequantize(coded, kind), "q4_0")


def in_onnx(folder: Path, weight: onnx.TensorProto, dtype: str) -> Case:
    onnx.save(model(weight, numpy_helper.from_array(VALUES[0, :4].copy(), BIAS)), folder / "m.onnx")
    found = onnx.load(folder / "m.onnx").graph.initializer[0]
    return Case(str(folder / "m.onnx"), numpy_helper.to_array(found).astype(np.float64), dtype)


@case
def fields(folder: Path) -> Case:
    return in_onnx(folder, helper.make_tensor(NAME, TensorProto.FLOAT, [4, 32], VALUES.reshape(-1)), "float32")


@case
def fields_of_halves(folder: Path) -> Case:
    return in_onnx(folder, helper.make_tensor(NAME, TensorProto.FLOAT16, [4, 32], VALUES.reshape(-1)), "float16")


@case
def nibbles(folder: Path) -> Case:
    integers = np.arange(128) % 16 - 8
    proto = helper.make_tensor(NAME, TensorProto.INT4, [4, 32], integers)
    return in_onnx(folder, proto, "int4")


@case
def by_range(folder: Path) -> Case:
    save_file({NAME: VALUES, BIAS: VALUES[0, :4].copy()}, folder / "m.safetensors")
    return Case("far", VALUES)


@case
def by_range_with_gaps(folder: Path) -> Case:
    return with_gaps(folder)._replace(source="far")


@pytest.fixture(scope="module", autouse=True)
def fsspec_thread() -> Iterator[None]:
    yield
    end_fsspec()


@pytest.fixture(params=[pytest.param(name, marks=since("2.8")) if name == "pairs" else name for name in MAKERS])
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    with warnings.catch_warnings(action="ignore"):
        made = MAKERS[request.param](tmp_path)._replace(name=request.param)
    if made.source != "far":
        yield made
        return
    (file,) = [path for path in tmp_path.iterdir() if path.suffix in (".pt", ".safetensors")]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(far, "opened", {})
    with RangeServer({f"/{file.name}": file.read_bytes()}) as server:
        file.unlink()
        yield made._replace(source=f"{server.url}/{file.name}")
        client.close()


# What is asked of each. A list of numbers, or the words of a refusal.


def values_in(done: Result) -> Array | str:
    """What `show --format json` printed."""
    if done.status:
        return done.stderr + done.stdout
    (shown,) = json.loads(done.stdout)["tensors"]
    return np.array(shown["values"], np.float64)


def loaded(path: str) -> Array:
    """What torch makes of a file that was written."""
    state = safetensors.torch.load_file(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True)
    if state[NAME].dtype == torch.quint4x2:  # which torch itself cannot take apart
        return read_tensor(next(each for each in open_source(path).tensors if each.name == NAME))
    return numbers_of(state[NAME])


def written(*arguments: str, output: str) -> Array | str:
    """What a command wrote, as torch reads it."""
    done = run_here(*arguments, "-o", output)
    if done.status:
        assert not list(Path().glob(f".{output}*")) + list(Path().glob(output)), "something was left"
        return done.stderr
    return loaded(output)


def by_library(case: Case) -> Array:
    return read_tensor(next(each for each in open_source(case.source).tensors if each.name == NAME))


def by_show(case: Case) -> Array | str:
    return values_in(run_here("show", case.source, NAME, "--format", "json"))


def by_slice(case: Case) -> Array | str:
    """One part, put back into the whole."""
    part = values_in(run_here("show", case.source, NAME, "--slice", "1:3, ::2", "--format", "json"))
    if isinstance(part, str):
        return part
    whole = by_show(case)
    assert np.array_equal(whole[1:3, ::2], part)
    return whole


def by_weights(case: Case) -> Array | str:
    return values_in(run_here("show", "spec.yaml", NAME, "--weights", case.source, "--format", "json"))


def by_convert(case: Case) -> Array | str:
    return written("convert", case.source, "--verify", output="c.safetensors")


def by_convert_to_torch(case: Case) -> Array | str:
    return written("convert", case.source, output="c.pth")


def by_init(case: Case) -> Array | str:
    """The weight stays as it is."""
    return written("init", case.source, "--rule", f"{BIAS}=zeros", output="i.safetensors")


def by_init_to_torch(case: Case) -> Array | str:
    """The same; of a torch file, into the file's own bytes."""
    return written("init", case.source, "--rule", f"{BIAS}=zeros", output="i.pt")


def by_edit(case: Case) -> Array | str:
    """In place, where the format is torch's: twice the values, halved again."""
    found = written("init", case.source, "--rule", f"{NAME}=mul(2)", output="i.pt")
    return found if isinstance(found, str) else found / 2


def by_edit_anew(case: Case) -> Array | str:
    found = written("init", case.source, "--rule", f"{NAME}=mul(2)", output="i.safetensors")
    return found if isinstance(found, str) else found / 2


GIVING: tuple[Callable[[Case], Array | str], ...] = (
    by_library, by_show, by_slice, by_weights, by_convert, by_convert_to_torch,
    by_init, by_init_to_torch, by_edit, by_edit_anew,
)  # fmt: skip

REFUSED: dict[str, dict[str, str]] = {
    "by_weights": {
        "conjugate": "complex64, whose imaginary parts have no place in float32",
        "conjugate_halves": "complex32, whose imaginary parts have no place in float32",
        "pairs": "0.weight  shape",
    },
    "by_convert": {"conjugate_halves": "safetensors has no dtype complex32"},
    "by_init": {"conjugate_halves": "safetensors has no dtype complex32"},
    "by_init_to_torch": dict.fromkeys(("deflated", "big_endian"), "'0.bias' cannot be changed where it is: compressed"),
    "by_edit": {
        **dict.fromkeys(("deflated", "big_endian"), "'0.weight' cannot be changed where it is: compressed"),
        **dict.fromkeys(
            ("with_gaps", "negative_transposed", "by_range_with_gaps"),
            "'0.weight' cannot be changed where it is: its values do not lie side by side",
        ),
    },
    "by_edit_anew": {"conjugate_halves": "safetensors has no dtype complex32"},
}
"""What is refused, and why: by the name of what is asked and that of the case."""

for _edit in ("by_edit", "by_edit_anew"):
    REFUSED[_edit] |= {
        "expanded": "it is expanded: many of its elements are one in memory",
        "blocks": "it is quantised (q4_0)",
        "nibbles": "it is of layout packed",
        **dict.fromkeys(("scaled", "scaled_by_channel", "packed", "pairs"), "rules work on floating-point tensors"),
    }


@pytest.mark.parametrize("give", GIVING, ids=lambda give: give.__name__)
def test_values(give: Callable[[Case], Array | str], stored: Case) -> None:
    found = give(stored)
    words = REFUSED.get(give.__name__, {}).get(stored.name)
    if words is not None:
        assert isinstance(found, str)
        assert words in found
        return
    assert not isinstance(found, str), found
    if stored.is_complex and not np.iscomplexobj(found):  # of JSON
        found = found[..., 0] + 1j * found[..., 1]
    np.testing.assert_allclose(found, stored.numbers, rtol=3e-7, atol=0)


def test_init_says_what_it_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here("init", blocks(tmp_path).source, "--rule", f"{BIAS}=zeros", "-o", "i.safetensors")
    assert "note: 1 quantised tensor (q4_0) written as float32 numbers" in done.stderr


def reference(stored: Case, change: float = 0.0) -> str:
    """The numbers in a plain file, less often than once in a type of its own."""
    numbers = torch.from_numpy(stored.numbers.copy())
    numbers[0, 0] += change
    single = numbers.to(torch.complex64 if stored.is_complex else torch.float32)
    torch.save({NAME: single, BIAS: torch.zeros(4)}, f"reference{change:.0f}.pt")
    return f"reference{change:.0f}.pt"


def test_stats(stored: Case) -> None:
    done = run_here("stats", stored.source, "--format", "json")
    assert done.status == 0, done.stderr
    row = next(row for row in json.loads(done.stdout)["tensors"] if row["name"] == NAME)
    size = np.abs(stored.numbers) if stored.is_complex else stored.numbers
    due = {
        "mean": size.mean(),
        "std": size.std(ddof=1),
        "min": size.min(),
        "max": size.max(),
        "norm": np.linalg.norm(size),
    }
    assert {key: row[key] for key in due} == pytest.approx(due, rel=1e-6, abs=1e-7)
    assert (row["zeros"], row["nan"], row["inf"]) == (np.count_nonzero(size == 0), 0, 0)


def test_diff(stored: Case) -> None:
    """Against the oracle's numbers, and against others."""
    for change in (0, 1):
        done = run_here(
            "diff", reference(stored, change), stored.source, "--only", "values", "--rtol", "1e-6", "-f", "json"
        )
        assert not done.stderr.startswith("error"), done.stderr
        rows = {row["name"]: row for row in json.loads(done.stdout)["changes"]}
        is_told = change != 0 and stored.name != "pairs"  # of which the header has half as many: another shape
        assert (NAME in rows) == is_told
        if is_told:
            assert rows[NAME]["max_abs"] == pytest.approx(1, rel=1e-5)


def test_check(stored: Case) -> None:
    done = run_here("check", stored.source, "--deep", "-f", "json")
    codes = {finding["code"]: finding["message"] for finding in json.loads(done.stdout)["findings"]}
    assert not codes.keys() & {"not-checked", "truncated", "malformed", "not-finite", "constant", "all-zero"}, codes


def test_shared(stored: Case) -> None:
    """Equal to the oracle's numbers where they are of one type, and not to others; to itself in any type."""
    for other, is_same in ((reference(stored), True), (reference(stored, 1), False)):
        dtype = "complex64" if stored.is_complex else "float32"
        assert is_grouped(stored, other) == (is_same and stored.dtype == dtype and stored.name != "expanded")
    if Path(stored.source).is_file():
        copy = Path(f"copy{Path(stored.source).suffix}")
        copy.write_bytes(Path(stored.source).read_bytes())
        assert is_grouped(stored, str(copy)) == (stored.name != "expanded")


def is_grouped(stored: Case, other: str) -> bool:
    done = run_here("shared", stored.source, other, "--equal", "--all", "-f", "json")
    assert done.status == 0, done.stderr
    assert ("it repeats its elements" in done.stderr) == (stored.name == "expanded" and stored.dtype == "float32")
    return any(
        group["kind"] == "equal" and NAME in (group["name"], *group["aliases"]) for group in rows_of(done, "groups")
    )


def rows_of(done: Result, key: str) -> list[Any]:
    rows: list[Any] = json.loads(done.stdout)[key]
    return rows


def test_gradient(stored: Case) -> None:
    """Its norm relative to that of the weights says which these were."""
    done = run_here("grad", "spec.yaml", "--weights", stored.source, "-f", "json")
    words = REFUSED["by_weights"].get(stored.name)
    if words is not None:
        assert done.status == 1
        assert words in done.stderr + done.stdout
        return
    assert done.status == 0, done.stderr
    row = next(row for row in rows_of(done, "parameters") if row["name"] == NAME)
    assert row["norm"] / row["norm_ratio"] == pytest.approx(float(np.linalg.norm(stored.numbers)), rel=1e-5)
