"""`torch.export` archives of all layouts, held against what `torch.export.load` makes of them."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._export.serde.serialize import serialize

from paraminspect.checks.check import check_source
from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    UnknownFormatError,
)
from paraminspect.files.blob import Blob
from paraminspect.formats.pytorch import export as torch_export
from paraminspect.formats.sniff import read_blob
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint
from paraminspect.tied.shared_bytes import find_ties
from paraminspect.values.read import read_tensor
from tests.making.zips import zip_bytes, zip_members

pt2_archive = pytest.importorskip("torch.export.pt2_archive._package", reason="takes torch 2.8")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


class Net(nn.Module):
    """Tensors of every standing and of odd layouts."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("mask", torch.ones(4), persistent=False)
        self.narrow = nn.Linear(4, 4).to(torch.bfloat16)
        self.turned = nn.Parameter(torch.randn(4, 6).t()[1:5])
        self.frozen = nn.Parameter(torch.ones(3, dtype=torch.float16), requires_grad=False)
        self.empty = nn.Parameter(torch.ones(0, 3))
        self.complex = nn.Parameter(torch.randn(2, 2, dtype=torch.complex64))
        whole = torch.randn(20)
        self.front, self.back = nn.Parameter(whole[:8]), nn.Parameter(whole[6:])
        self.plain = torch.arange(4.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(self.embed(x).mean(1)) * self.mask + self.plain + torch.tensor([1.0, 2.0, 3.0, 4.0])
        h = h @ self.turned + self.narrow(h.bfloat16()).float() + self.frozen.sum() + self.complex.real.sum()
        return self.head(h) + self.front.sum() + self.back.sum() + self.empty.sum()


@cache
def program() -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    return torch.export.export(Net(), (torch.zeros(2, 3, dtype=torch.long),))


@cache
def linear() -> torch.export.ExportedProgram:
    return torch.export.export(nn.Linear(2, 3), (torch.zeros(1, 2),))


def save_now() -> bytes:
    stream = io.BytesIO()
    torch.export.save(program(), stream)
    return stream.getvalue()


def save_first(extension: str) -> bytes:
    """As torch 2.1 to 2.6 did it."""
    parts = serialize(program())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("serialized_exported_program.json", parts.exported_program)
        archive.writestr(f"serialized_state_dict.{extension}", parts.state_dict)
        archive.writestr(f"serialized_constants.{extension}", parts.constants)
        archive.writestr("serialized_example_inputs.pt", parts.example_inputs)
        archive.writestr("version", "8.8")
    return stream.getvalue()


def save_second() -> bytes:
    """As torch 2.7 and 2.8 did it."""
    parts = serialize(program())
    stream = io.BytesIO()
    with pt2_archive.PT2ArchiveWriter(stream) as archive:
        archive.write_bytes("models/model.json", parts.exported_program)
        archive.write_bytes("data/weights/model.pt", parts.state_dict)
        archive.write_bytes("data/constants/model.pt", parts.constants)
        archive.write_bytes("data/sample_inputs/model.pt", parts.example_inputs)
    return stream.getvalue()


SAVED: dict[str, Callable[[], bytes]] = {
    "now": save_now,
    "2.7": save_second,
    "2.6": lambda: save_first("pt"),
    "2.1": lambda: save_first("json"),
}
saved = cache(lambda layout: SAVED[layout]())


def changed(name: str, edit: Callable[[Any], None]) -> bytes:
    """The archive of today's layout with one JSON member edited."""
    parts = zip_members(saved("now"))
    (member,) = [each for each in parts if each.endswith(name)]
    loaded = json.loads(parts[member])
    edit(loaded)
    return zip_bytes({**parts, member: json.dumps(loaded).encode()})


def read(data: bytes) -> Checkpoint:
    return read_blob(Blob.from_bytes(data))


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("layout", SAVED)
def test_every_tensor_is_that_of_torch(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(saved(layout))
    oracle = torch.export.load(path)
    found = {record.name: record for record in open_source(path).tensors}
    assert found.keys() == oracle.state_dict.keys() | oracle.constants.keys()
    for name, tensor in {**oracle.state_dict, **oracle.constants}.items():
        record = found[name]
        assert record.shape == tuple(tensor.shape), name
        assert record.stride == tensor.stride(), name
        assert record.dtype == str(tensor.dtype).removeprefix("torch."), name
        assert np.ascontiguousarray(read_tensor(record)).tobytes() == bits(tensor), name


@pytest.mark.parametrize("layout", SAVED)
def test_kinds_are_those_of_the_module(layout: str) -> None:
    module = Net()
    found = {record.name: record for record in read(saved(layout)).tensors}
    parameters = dict(module.named_parameters(remove_duplicate=False))
    buffers = dict(module.named_buffers())
    assert {name for name, record in found.items() if record.kind == "parameter"} == parameters.keys()
    assert {name for name, record in found.items() if record.kind == "buffer"} == buffers.keys()
    assert {name for name, record in found.items() if record.role == "attribute"} == {"plain", "lifted_tensor_0"}
    for name, parameter in parameters.items():
        assert found[name].trainable == parameter.requires_grad, name


@pytest.mark.parametrize("layout", SAVED)
def test_ties_are_kept(layout: str) -> None:
    groups = {(group.kind, *group.names) for group in find_ties(read(saved(layout)).tensors)}
    assert groups == {("alias", "embed.weight", "head.weight"), ("overlap", "front", "back")}


@pytest.mark.parametrize("layout", SAVED)
def test_classes_of_modules_are_known_from_the_graph(layout: str) -> None:
    types = {record.name: record.module_type for record in read(saved(layout)).tensors}
    assert types["norm.weight"] == "torch.nn.modules.batchnorm.BatchNorm1d"
    assert types["turned"] == f"{Net.__module__}.Net"
    around = {record.name: record.classes.around for record in read(saved(layout)).tensors}
    assert (around["norm.weight"], around["turned"]) == ((f"{Net.__module__}.Net",), ())


def test_a_package_of_several_models_has_their_names_in_front(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.export.pt2_archive._package.package_pt2(stream, exported_programs={"net": program(), "line": linear()})
    names = {record.name: record.part for record in read(stream.getvalue()).tensors}
    assert names["line.weight"] == "line"
    assert names["net.embed.weight"] == "net"


def test_deflated_members_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes(zip_members(saved("now")), zipfile.ZIP_DEFLATED))
    for record in open_source(path).tensors:
        assert read_tensor(record).tobytes() == bits({**program().state_dict, **program().constants}[record.name])


def test_values_of_a_nested_file_that_is_deflated_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes(zip_members(saved("2.6")), zipfile.ZIP_DEFLATED))
    record = open_source(path).tensors[0]
    assert record.byte_range is None
    with pytest.raises(CheckpointError, match="holds no storage"):
        read_tensor(record)


def test_big_endian_bytes_are_turned_round(tmp_path: Path) -> None:
    parts = zip_members(saved("now"))
    root = next(iter(parts)).partition("/")[0]
    parts[f"{root}/byteorder"] = b"big"
    wanted = program().state_dict["norm.weight"] * 3
    config = json.loads(parts[f"{root}/data/weights/model_weights_config.json"])
    member = f"{root}/data/weights/{config['config']['norm.weight']['path_name']}"
    parts[member] = wanted.detach().numpy().astype(">f4").tobytes()
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes(parts))
    (record,) = [each for each in open_source(path).tensors if each.name == "norm.weight"]
    assert read_tensor(record).tolist() == wanted.tolist()


def pickled_weight(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    data = stream.getvalue()

    def edit(config: Any) -> None:
        config["config"]["norm.weight"].update(use_pickle=True, path_name="weight_0")

    parts = zip_members(changed("model_weights_config.json", edit))
    (member,) = [name for name in parts if name.endswith("/weight_0")]
    return zip_bytes({**parts, member: data})


def test_a_pickled_weight_is_read_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(pickled_weight(nn.Parameter(torch.arange(4.0))))
    (record,) = [each for each in open_source(path).tensors if each.name == "norm.weight"]
    assert read_tensor(record).tolist() == [0, 1, 2, 3]
    assert record.kind == "parameter"


def test_parts_of_a_pickled_subclass_are_listed_below_its_name() -> None:
    checkpoint = read(pickled_weight({"inner": torch.ones(2), "scale": torch.ones(1)}))
    assert {"norm.weight.inner", "norm.weight.scale"} <= {record.name for record in checkpoint.tensors}


class Boom:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch canary",)


def test_what_a_pickled_weight_would_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.pt2"
    path.write_bytes(pickled_weight({"inner": Boom()}))
    assert "pickle-danger" in {finding.code for finding in check_source(path)}
    open_source(path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("prefix", ["opaque_obj_0", "custom_obj_0", "weight_0"])
def test_what_a_custom_object_would_run_is_told(prefix: str, protocol: int, tmp_path: Path) -> None:
    import pickle

    parts = zip_members(saved("now"))
    root = next(iter(parts)).partition("/")[0]
    payload = pickle.dumps(Boom(), protocol)
    if prefix == "weight_0":
        parts = zip_members(pickled_weight(torch.ones(4)))
        parts[f"{root}/data/weights/weight_0"] = payload
    else:
        parts[f"{root}/data/constants/{prefix}"] = payload
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes(parts))
    assert "pickle-danger" in {finding.code for finding in check_source(path)}


def test_custom_objects_are_named() -> None:
    def edit(config: Any) -> None:
        config["config"]["plain"] = {
            "path_name": "tensor_0",
            "is_param": False,
            "use_pickle": True,
            "tensor_meta": None,
        }

    checkpoint = read(changed("model_constants_config.json", edit))
    assert checkpoint.notes == ("custom objects, which were not run: 'plain'",)
    assert "plain" not in {record.name for record in checkpoint.tensors}


def test_an_exported_program_has_no_findings_of_damage(tmp_path: Path) -> None:
    for layout in SAVED:
        path = tmp_path / f"{layout}.pt2"
        path.write_bytes(saved(layout))
        codes = {finding.code for finding in check_source(path, deep=True)}
        assert codes <= {"mixed-dtypes", "norm-untouched", "constant", "remark"}, layout


def test_numbers_that_look_like_a_pickle_are_no_finding(tmp_path: Path) -> None:
    parts = zip_members(saved("now"))
    (member,) = [name for name in parts if name.endswith("weights/weight_1")]
    parts[member] = (b"\x80\x02" + parts[member])[: len(parts[member])]
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes(parts))
    assert not [finding for finding in check_source(path) if finding.severity in ("error", "danger")]


def test_weights_beside_compiled_code_are_listed() -> None:
    weight = torch.arange(6.0)
    stream = io.BytesIO()
    torch.save(weight, stream)
    places = {"fc.weight": ["weight_0", [2, 2], [1, 2], 1], "fc.bias": ["weight_0", [2], [1], 0]}
    parts = {
        "m/archive_format": b"pt2",
        "m/data/aotinductor/model/code.wrapper.so": b"\x7fELF",
        "m/data/aotinductor/model/weights_config.json": json.dumps(places).encode(),
        "m/data/weights/weight_0": stream.getvalue(),
    }
    checkpoint = read(zip_bytes(parts))
    assert [(record.name, record.shape, record.offset) for record in checkpoint.tensors] == [
        ("fc.weight", (2, 2), 4),
        ("fc.bias", (2,), 0),
    ]
    assert "compiled by AOTInductor" in checkpoint.notes[0]


def test_compiled_code_alone_is_refused_and_told_by_check(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes({"m/archive_format": b"pt2", "m/data/aotinductor/model/code.so": b"\x7fELF"}))
    with pytest.raises(UnknownFormatError, match="AOTInductor"):
        open_source(path)
    assert "native-code" in {finding.code for finding in check_source(path)}


@pytest.mark.parametrize(
    ("members", "where"),
    [({}, "in the compiled library"), ({"code_weights.blob": bytes(64)}, "in 'code_weights.blob', without names")],
    ids=["library", "blob"],
)
def test_of_compiled_code_it_is_told_where_the_weights_are(
    members: dict[str, bytes], where: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.pt2"
    inside = {f"m/data/aotinductor/model/{name}": data for name, data in {"code.so": b"\x7fELF", **members}.items()}
    path.write_bytes(zip_bytes({"m/archive_format": b"pt2", **inside}))
    with pytest.raises(UnknownFormatError, match=where) as caught:
        open_source(path)
    assert '{"aot_inductor.package_constants_on_disk_format": "pickle_weights"}' in str(caught.value.hint)


def _past_the_end(config: Any) -> None:
    config["config"]["norm.weight"]["tensor_meta"]["storage_offset"] = {"as_int": 1}


def _no_member(config: Any) -> None:
    config["config"]["norm.weight"]["path_name"] = "../../etc/passwd"


def _unknown_type(config: Any) -> None:
    config["config"]["norm.weight"]["tensor_meta"]["dtype"] = 99


def _negative(config: Any) -> None:
    config["config"]["norm.weight"]["tensor_meta"]["sizes"] = [{"as_int": -4}]


def _no_metadata(config: Any) -> None:
    config["config"]["norm.weight"]["tensor_meta"] = 3


def _text(config: Any) -> None:
    config["config"]["norm.weight"]["tensor_meta"]["sizes"] = ["four"]


def _no_config(config: Any) -> None:
    config["config"] = []


def _huge(config: Any) -> None:
    config["config"]["norm.weight"]["tensor_meta"].update(sizes=[{"as_int": 2**40}] * 3, strides=[{"as_int": 0}] * 3)


BROKEN = {
    "view past the end of its member": (_past_the_end, MalformedError),
    "member outside of the archive": (_no_member, MalformedError),
    "unknown element type": (_unknown_type, MalformedError),
    "negative size": (_negative, MalformedError),
    "metadata that are a number": (_no_metadata, MalformedError),
    "size that is text": (_text, MalformedError),
    "config that is a list": (_no_config, MalformedError),
    "more elements than there can be": (_huge, LimitExceededError),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_config_that_lies_is_refused(case: str) -> None:
    edit, error = BROKEN[case]
    with pytest.raises(error):
        read(changed("model_weights_config.json", edit))


@pytest.mark.parametrize("member", ["models/model.json", "model_weights_config.json", "model_constants_config.json"])
@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"config": {}, "config": {}}', b"[" * 100_000, b"\xff"])
def test_json_that_is_none_is_refused(member: str, text: bytes) -> None:
    parts = zip_members(saved("now"))
    (name,) = [each for each in parts if each.endswith(member)]
    with pytest.raises(MalformedError):
        read(zip_bytes({**parts, name: text}))


def test_json_past_its_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_export, "MAX_EXPORT_CONTAINERS", 10)
    with pytest.raises(LimitExceededError, match="lists and objects"):
        read(saved("now"))
    monkeypatch.setattr(torch_export, "MAX_EXPORT_CONTAINERS", 1 << 20)
    monkeypatch.setattr(torch_export, "MAX_EXPORT_VALUES", 10)
    with pytest.raises(LimitExceededError, match="values in"):
        read(saved("now"))
    monkeypatch.setattr(torch_export, "MAX_EXPORT_JSON", 10)
    with pytest.raises(LimitExceededError, match="bytes in"):
        read(saved("now"))


def test_an_archive_without_a_program_is_refused() -> None:
    parts = {name: data for name, data in zip_members(saved("now")).items() if "/models/" not in f"/{name}"}
    with pytest.raises(MalformedError, match="without a program"):
        read(zip_bytes(parts))


@pytest.mark.parametrize("sizes", [5, True, "", None])
def test_sizes_that_are_no_list(sizes: object) -> None:
    parts = zip_members(saved("now"))
    (name,) = [each for each in parts if each.endswith("model_weights_config.json")]
    config = json.loads(parts[name])
    next(iter(config["config"].values()))["tensor_meta"]["sizes"] = sizes
    with pytest.raises(MalformedError, match="no list of sizes"):
        read(zip_bytes({**parts, name: json.dumps(config).encode()}))


def test_without_a_signature_configs_still_tell_weights_from_constants() -> None:
    def edit(program: Any) -> None:
        program["graph_module"]["signature"] = {}

    found = {record.name: record for record in read(changed("models/model.json", edit)).tensors}
    assert {name for name, record in found.items() if record.role == "attribute"} == {
        "plain",
        "lifted_tensor_0",
        "mask",
    }
    assert found["norm.running_mean"].kind == "buffer"
    assert found["norm.weight"].kind == "parameter"


def test_bounds_hold_for_all_json_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(data) for name, data in zip_members(saved("now")).items() if name.endswith(".json")]
    monkeypatch.setattr(torch_export, "MAX_EXPORT_JSON", sum(sizes))
    read(saved("now"))
    monkeypatch.setattr(torch_export, "MAX_EXPORT_JSON", sum(sizes) - 1)
    with pytest.raises(LimitExceededError, match="bytes in"):
        read(saved("now"))


def test_pickles_past_their_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_export, "MAX_EXPORT_PICKLES", 0)
    with pytest.raises(LimitExceededError, match="pickles in a"):
        read(pickled_weight(torch.ones(4)))


def test_a_config_that_cannot_be_read_hides_no_pickle(tmp_path: Path) -> None:
    import pickle

    parts = zip_members(saved("now"))
    root = next(iter(parts)).partition("/")[0]
    parts[f"{root}/data/weights/model_weights_config.json"] = b'{"config": {}, "config": {}}'
    parts[f"{root}/data/weights/weight_0"] = pickle.dumps(Boom(), 0)
    path = tmp_path / "net.pt2"
    path.write_bytes(zip_bytes(parts))
    assert "pickle-danger" in {finding.code for finding in check_source(path)}


def test_a_member_that_is_missing_is_named() -> None:
    parts = zip_members(saved("now"))
    (name,) = [each for each in parts if each.endswith("weight_2")]
    with pytest.raises(MalformedError, match="lacks 'data/weights/weight_2'"):
        read(zip_bytes({key: value for key, value in parts.items() if key != name}))


@pytest.mark.parametrize("layout", SAVED)
def test_any_prefix_is_refused(layout: str) -> None:
    data = saved(layout)
    for length in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(ParamInspectError):
            read(data[:length])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["config", "as_int", "path_name", "tensor_meta", "sizes", "use_pickle"]), inner
        )
    ),
    max_leaves=12,
)


@given(config=JSON, graph=JSON)
def test_any_json_gives_records_or_an_error(config: object, graph: object) -> None:
    parts = {
        "m/archive_format": b"pt2",
        "m/models/a.json": json.dumps({"graph_module": graph}).encode(),
        "m/data/weights/a_weights_config.json": json.dumps({"config": {"w": config}}).encode(),
        "m/data/weights/weight_0": b"\0" * 16,
    }
    with contextlib.suppress(ParamInspectError):
        read(zip_bytes(parts))


@given(
    layout=st.sampled_from(sorted(SAVED)), edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), max_size=5)
)
def test_any_change_gives_records_or_an_error(layout: str, edits: list[tuple[float, bytes]]) -> None:
    data = bytearray(saved(layout))
    for place, new in edits:
        at = int(place * len(data))
        data[at : at + len(new)] = new
    with contextlib.suppress(ParamInspectError):
        read(bytes(data))
