"""Makes the honest corpus, `tests/honest/`: small files as real programs write them, of which `check` must raise no alarm.

    python scripts/make_fixtures.py [PRODUCER ..]

Each producer below writes into a folder of its own; one that is not installed is left out, and its old files stay.
`versions.json` says which version of what wrote them. `tests/test_honest.py` holds `check` against all of them. Functions
and classes that the new files call and no table knows are printed: read what each does before it becomes a row of
`formats/pickles/safe.py`.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-call, attr-defined, misc"
# the producers are installed by who runs this, and many of them have no types

from __future__ import annotations

import argparse
import functools
import io
import json
import pickle
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

HONEST: Final = Path(__file__).parent.parent / "tests" / "honest"
MAX_BYTES: Final = 400_000
"""Of one producer."""


def make_torch(folder: Path) -> None:
    """State dicts, whole modules and what trains them."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn.utils import prune, spectral_norm, weight_norm

    state = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).state_dict()
    torch.save(state, folder / "state.pt")
    torch.save(state, folder / "state-legacy.pt", _use_new_zipfile_serialization=False)
    for protocol in range(2, 6):
        (folder / f"state-protocol-{protocol}.pkl").write_bytes(pickle.dumps(dict(state), protocol))
    (folder / "arrays.pkl").write_bytes(
        pickle.dumps({"w": np.ones((2, 2), "f4"), "n": np.float32(1), "m": np.ma.ones(2)})
    )
    rng: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    rng |= {"generator": np.random.default_rng(0), "legacy": np.random.RandomState(0)}
    torch.save({"rng": rng, "w": torch.ones(2)}, folder / "random-states.pt")
    kinds: dict[str, Any] = {
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "size": torch.Size([2]),
        "layout": torch.strided,
    }
    kinds |= {
        "scheme": torch.per_tensor_affine,
        "numpy": np.float32,
        "none": type(None),
        "bytes": b"abc",
        "path": Path("a"),
    }
    torch.save({"w": torch.ones(2), "args": argparse.Namespace(**kinds)}, folder / "namespace.pt")
    torch.save({"l.weight": torch.ones(2), "l._extra_state": io.BytesIO(b"abc")}, folder / "extra-state.pt")
    extra = io.BytesIO()
    torch.save({"amax": torch.ones(2)}, extra)
    (folder / "extra-state.pkl").write_bytes(
        pickle.dumps({"w": np.ones(2, "f4"), "extra": io.BytesIO(extra.getvalue())})
    )

    modules = {
        "gru": nn.GRU(3, 4), "lstm": nn.LSTM(3, 4, bidirectional=True), "lazy": nn.LazyLinear(3),
        "encoder": nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, activation=torch.relu), 1),
        "attention": nn.MultiheadAttention(4, 2), "embedding": nn.EmbeddingBag(4, 4),
        "weight-norm": weight_norm(nn.Linear(3, 3)), "spectral-norm": spectral_norm(nn.Linear(3, 3)),
        "compiled": torch.compile(nn.Sequential(nn.Linear(3, 3), nn.ReLU())),
        "data-parallel": nn.DataParallel(nn.Linear(3, 3)), "averaged": torch.optim.swa_utils.AveragedModel(nn.Linear(3, 3)),
        "parameters": nn.ParameterDict({"a": nn.Parameter(torch.ones(2))}), "upsample": nn.Upsample(scale_factor=2),
    }  # fmt: skip
    pruned = nn.Linear(4, 4)
    prune.l1_unstructured(pruned, "weight", amount=0.5)
    prune.random_structured(modules["embedding"], "weight", amount=0.5, dim=0)
    modules |= {"pruned": pruned, **_quantised(torch, nn)}
    keeps: Any = nn.Linear(3, 3)
    keeps.norm = functools.partial(nn.LayerNorm, eps=1e-6)
    keeps.activations = [torch.nn.functional.gelu, torch.nn.functional.relu, torch.tanh, torch.sigmoid, nn.init.zeros_]
    keeps.method = keeps.extra_repr
    modules["keeps-functions"] = keeps
    for name, module in modules.items():
        torch.save(module, folder / f"module-{name}.pt")

    tensors = {
        "quantised": torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8),
        "per-channel": torch.quantize_per_channel(torch.randn(2, 2), torch.ones(2), torch.zeros(2), 0, torch.qint8),
        "jagged": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "sparse": torch.eye(3).to_sparse(), "csr": torch.eye(3).to_sparse_csr(), "meta": torch.ones(2, device="meta"),
        "view": torch.ones(4, 4)[1:].T, "conj": torch.ones(2, dtype=torch.complex64).conj(), "half": torch.ones(2).bfloat16(),
    }  # fmt: skip
    torch.save(tensors, folder / "kinds-of-tensors.pt")
    with tarfile.open(folder / "packed.nemo", "w") as archive:  # as NeMo packs a model
        archive.add(folder / "state.pt", "./model_weights.ckpt")
    w = torch.randn(8, 8)
    torch.save({"model": {"wte.weight": w}, "ema": {"wte.weight": w.clone()}}, folder / "ema.pt")

    model = nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    training = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save(training | {"scaler": torch.amp.GradScaler("cpu").state_dict(), "epoch": 1}, folder / "training.pt")
    torch.save({"optimizer": optimizer, "scheduler": scheduler, "model": model}, folder / "training-objects.pt")
    torch.save(torch.utils.data.TensorDataset(torch.ones(2, 2)), folder / "dataset.pt")

    torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.ReLU())).save(str(folder / "script.pt"))
    torch.jit.trace(nn.Linear(3, 3), torch.ones(1, 3)).save(str(folder / "traced.pt"))
    torch.export.save(torch.export.export(nn.Linear(3, 3), (torch.ones(1, 3),)), str(folder / "exported.pt2"))
    _distributed(torch, nn, folder)


def _quantised(torch: Any, nn: Any) -> dict[str, Any]:
    """Modules in each state that torch's own quantisation leaves them in."""
    from torch.ao import quantization

    def net(config: Any) -> Any:
        made = nn.Sequential(quantization.QuantStub(), nn.Linear(3, 3), nn.ReLU(), quantization.DeQuantStub())
        made.qconfig = config
        return made

    observed = quantization.prepare(net(quantization.default_qconfig).eval())
    observed(torch.ones(1, 3))
    trained = quantization.prepare_qat(net(quantization.default_qat_qconfig).train())
    trained(torch.ones(1, 3))
    return {
        "observed-state": observed.state_dict(),
        "qat-state": trained.state_dict(),
        "quantised": quantization.convert(observed),
        "dynamic": quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 3)), {nn.Linear, nn.LSTM}),
        "fused": quantization.fuse_modules(
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU()).eval(), ["0", "1", "2"]
        ),
        "observer": quantization.MovingAverageMinMaxObserver(),
        "fake-quantize": quantization.FakeQuantize(),
    }


def _distributed(torch: Any, nn: Any, folder: Path) -> None:
    """Sharded tensors and checkpoints, by one process."""
    from torch import distributed
    from torch.distributed import checkpoint
    from torch.distributed._shard import sharded_tensor
    from torch.distributed._shard.sharding_spec import ChunkShardingSpec
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    mesh = init_device_mesh("cpu", (1,))
    tensor = distribute_tensor(torch.randn(4, 4), mesh, [Shard(0)])
    torch.save({"w": tensor}, folder / "dtensor.pt")
    sharded = sharded_tensor.rand(ChunkShardingSpec(dim=0, placements=["rank:0/cpu"]), 4, 4)
    torch.save({"w": sharded}, folder / "sharded-tensor.pt")
    torch.save(nn.parallel.DistributedDataParallel(nn.Linear(3, 3)).module, folder / "ddp.pt")
    torch.save(checkpoint_wrapper(nn.Linear(3, 3)), folder / "checkpointed.pt")
    checkpoint.save({"w": tensor, "b": torch.ones(2), "step": 1}, checkpoint_id=folder / "dcp")
    distributed.destroy_process_group()


def make_transformers(folder: Path) -> None:
    """What the Trainer writes beside a model."""
    import torch
    import transformers

    config = transformers.LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                                      num_key_value_heads=1, vocab_size=32, max_position_embeddings=16)  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    rows = [{"input_ids": torch.arange(4), "labels": torch.arange(4)}] * 2
    arguments = transformers.TrainingArguments(folder / "run", max_steps=1, save_steps=1, report_to=[], use_cpu=True,
                                               per_device_train_batch_size=1)  # fmt: skip
    transformers.Trainer(model, arguments, train_dataset=rows).train()
    for path in (folder / "run" / "checkpoint-1").iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(folder / "run")
    torch.save(model, folder / "whole-model.pt")
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    bert = transformers.BertConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=32
    )
    torch.save(transformers.BertModel(bert), folder / "whole-bert.pt")
    with torch.no_grad():
        torch.save(model(torch.arange(4)[None], use_cache=False), folder / "model-output.pt")


def make_peft(folder: Path) -> None:
    """Fresh adapters."""
    import peft
    import torch
    from torch import nn

    for name, more in {"lora": {}, "dora": {"use_dora": True}, "rslora": {"use_rslora": True}}.items():
        config = peft.LoraConfig(r=2, target_modules=["0"], **more)
        model = peft.get_peft_model(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), config)
        model.save_pretrained(folder / name)
        (folder / name / "README.md").unlink()
        if name == "lora":
            torch.save(model.state_dict(), folder / "lora.pt")
            torch.save(peft.get_peft_model_state_dict(model), folder / "adapter_model.bin")
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    torch.save({"prompt": torch.ones(2, 4), "config": prompt}, folder / "prompt.pt")


def make_diffusers(folder: Path) -> None:
    """Small networks of images, a controlling one whose convolutions begin at zero, and an average."""
    import diffusers
    import torch
    from diffusers.training_utils import EMAModel

    sizes = {"block_out_channels": (4, 4), "layers_per_block": 1, "norm_num_groups": 2}
    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    net = diffusers.UNet2DModel(sample_size=8, add_attention=False, **sizes, **blocks)
    net.save_pretrained(folder / "unet")
    condition = diffusers.UNet2DConditionModel(
        sample_size=8, cross_attention_dim=4, attention_head_dim=2, **sizes, **blocks
    )
    control = diffusers.ControlNetModel.from_unet(condition, conditioning_embedding_out_channels=(4, 4))
    control.save_pretrained(folder / "controlnet")
    average = EMAModel(net.parameters(), model_cls=diffusers.UNet2DModel, model_config=net.config)
    torch.save(average.state_dict(), folder / "ema.pt")
    torch.save(diffusers.DDPMScheduler(num_train_timesteps=4), folder / "whole-scheduler.pt")


def make_lightning(folder: Path) -> None:
    """A checkpoint of training, with the state of its callbacks."""
    import lightning
    import torch
    from lightning.pytorch import callbacks
    from torch import nn

    class Net(lightning.LightningModule):
        def __init__(self, width: int = 4) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = nn.Linear(width, 1)

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.layer(batch[0]).sum()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    keep = callbacks.ModelCheckpoint(folder / "checkpoints", monitor="loss", save_top_k=3, save_last=True)
    stop = callbacks.EarlyStopping("loss")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(2, 4)))
    trainer = lightning.Trainer(max_epochs=1, callbacks=[keep, stop], logger=False, enable_progress_bar=False,
                                accelerator="cpu", default_root_dir=folder)  # fmt: skip
    trainer.fit(Net(), loader)
    shutil.move(folder / "checkpoints" / "last.ckpt", folder / "last.ckpt")
    shutil.rmtree(folder / "checkpoints")


def make_timm(folder: Path) -> None:
    """A whole network of images, and what its training script saves."""
    import timm
    import torch
    from timm.models.resnet import Bottleneck, ResNet
    from timm.utils import CheckpointSaver, ModelEmaV3

    net = timm.create_model("vit_tiny_patch16_224", embed_dim=8, depth=1, num_heads=2, num_classes=2, img_size=16)
    torch.save(net, folder / "whole-vit.pt")
    small = {"channels": (4, 4, 4, 4), "stem_width": 4, "num_classes": 2, "zero_init_last": True}
    torch.save(ResNet(Bottleneck, (1, 1, 1, 1), **small), folder / "whole-resnet.pt")
    arguments = argparse.Namespace(model="vit", lr=0.1, opt="sgd", mean=None, dist_url=None)
    saver = CheckpointSaver(net, torch.optim.SGD(net.parameters(), 0.1), arguments, ModelEmaV3(net),
                            checkpoint_dir=str(folder), recovery_dir=str(folder))  # fmt: skip
    saver.save_checkpoint(0, metric=0.5)
    for path in folder.glob("checkpoint-*"):
        path.unlink()


def make_torchao(folder: Path) -> None:
    """State dicts of quantised weights."""
    import torch
    import torchao
    from torch import nn
    from torchao import quantization

    for name in ("Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig", "Float8WeightOnlyConfig", "Int4WeightOnlyConfig",
                 "IntxWeightOnlyConfig"):  # fmt: skip
        kind = getattr(quantization, name, None)
        if kind is None:
            continue
        try:
            net = nn.Sequential(nn.Linear(128, 4, dtype=torch.bfloat16))
            torchao.quantize_(net, kind())
            torch.save(net.state_dict(), folder / f"{name}.pt")
        except (ImportError, RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
            say(f"torchao: no {name}: {error}")


def make_accelerate(folder: Path) -> None:
    """The folder that `save_state` writes."""
    import accelerate
    import torch
    from torch import nn

    accelerator = accelerate.Accelerator(cpu=True)
    net = nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(net.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    accelerator.prepare(net, optimizer, scheduler)
    accelerator.save_state(str(folder / "state"), safe_serialization=False)


def make_deepspeed(folder: Path) -> None:
    """Folders of one step, as ranks write them together (ZeRO), and what DeepSpeed's own script makes of them."""
    import torch
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    for stage, ranks in ((2, 2), (3, 3)):
        with tempfile.TemporaryDirectory() as made:
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
            subprocess.run([*command, str(Path(__file__).with_name("make_zero.py")), str(stage), made], check=True)
            shutil.copytree(Path(made) / "step", folder / f"stage{stage}")
            torch.save(get_fp32_state_dict_from_zero_checkpoint(made, "step"), folder / f"stage{stage}-float32.pt")


def make_onnx(folder: Path) -> None:
    """A graph with its weights inside."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((2, 2), "f4") / 3, "w")
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph), folder / "graph.onnx")


def make_gguf(folder: Path) -> None:
    """A file of llama.cpp's format."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_tensor("token_embd.weight", np.arange(64, dtype="f4").reshape(2, 32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_pandas(folder: Path) -> None:
    """Tables beside tensors, as logs of training."""
    import pandas
    import torch

    table = pandas.DataFrame({"loss": [0.1, 0.2], "name": ["a", "b"], "at": pandas.to_datetime(["2020", "2021"])})
    torch.save({"w": torch.ones(2), "log": table, "row": table["loss"]}, folder / "log.pt")
    others = {
        "periods": pandas.period_range("2020", periods=2, freq="M"), "deltas": pandas.timedelta_range(0, periods=2),
        "intervals": pandas.interval_range(0, 3), "interval": pandas.Interval(1, 2), "nothing": [pandas.NaT, pandas.NA],
        "sparse": pandas.arrays.SparseArray([0, 1]), "frequency": pandas.offsets.MonthEnd(), "w": table["loss"].to_numpy(),
    }  # fmt: skip
    (folder / "dates.pkl").write_bytes(pickle.dumps(others))


def make_safetensors(folder: Path) -> None:
    """The plain case, and one whose header is 128 bytes long."""
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"w": np.ones((2, 2), "f4")}, folder / "plain.safetensors", {"format": "pt"})
    for length in range(60):
        path = folder / "header-128.safetensors"
        save_file({"w" * (length + 1): np.ones(2, "f4")}, path)
        if path.read_bytes()[0] == 128:
            break


def make_joblib(folder: Path) -> None:
    """Arrays between the instructions of a pickle, of several protocols; estimators of scikit-learn."""
    import joblib
    import numpy as np
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    random = np.random.default_rng(0)
    arrays = {
        "w": random.normal(size=(9, 4)), "fortran": np.asfortranarray(random.normal(size=(3, 5)).astype("f4")),
        "objects": np.array(["a", None, {"x": 1}], dtype=object), "text": np.array(["ab", "c"]), "none": np.zeros((0, 3)),
        "fields": np.zeros(3, dtype=[("a", "i4"), ("b", "f8", (2,))]), "scalar": np.array(5.0), "n": 3,
    }  # fmt: skip
    for protocol in (2, 4, 5):
        joblib.dump(arrays, folder / f"protocol-{protocol}.joblib", protocol=protocol)
    x = random.normal(size=(30, 4))
    y = x[:, 0] > 0
    for kind in (
        RandomForestClassifier(3), GradientBoostingClassifier(n_estimators=2), SGDClassifier(),
        KNeighborsClassifier(algorithm="kd_tree"), MLPClassifier(4, max_iter=2),
    ):  # fmt: skip
        joblib.dump(kind.fit(x, y), folder / f"{type(kind).__name__}.joblib")


PRODUCERS: Final[dict[str, Callable[[Path], None]]] = {
    "torch": make_torch, "transformers": make_transformers, "peft": make_peft, "diffusers": make_diffusers,
    "lightning": make_lightning, "timm": make_timm, "torchao": make_torchao, "accelerate": make_accelerate,
    "deepspeed": make_deepspeed,
    "onnx": make_onnx, "gguf": make_gguf, "pandas": make_pandas, "safetensors": make_safetensors,
    "joblib": make_joblib,
}  # fmt: skip


BESIDE: Final = {"joblib": ("scikit-learn", "numpy")}
"""What else has a hand in the files of a producer; of all others, torch."""


def say(text: str) -> None:
    """A line for whoever runs this."""
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Make the files of the producers that are named, or of all."""
    warnings.simplefilter("ignore")
    versions = HONEST / "versions.json"
    known: dict[str, dict[str, str]] = json.loads(versions.read_text()) if versions.exists() else {}
    for name in sys.argv[1:] or PRODUCERS:
        try:
            release = version(name)
        except ImportError as error:
            say(f"{name}: left out: {error}")
            continue
        folder = HONEST / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        PRODUCERS[name](folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        say(f"{name} {release}: {size:,} bytes" + (": too many" if size > MAX_BYTES else ""))
        known[name] = {name: release, **{beside: version(beside) for beside in BESIDE.get(name, ("torch",))}}
    versions.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    tell_unknown_calls()


def tell_unknown_calls() -> None:
    """What the files call and no table knows, for a person to read."""
    from paraminspect.checks.check import check_source

    for path in sources():
        for finding in check_source(path):
            if finding.severity in {"error", "danger"}:
                say(f"{path.relative_to(HONEST)}: {finding.code}: {finding.message}")


def sources() -> list[Path]:
    """Each file of the corpus, and each folder that is one model."""
    folders = {path.parent for path in HONEST.rglob(".metadata")}
    files = {path for path in HONEST.rglob("*.*") if path.is_file() and path.suffix not in {".json", ".distcp"}}
    return sorted(folders | {path for path in files if path.parent not in folders})


if __name__ == "__main__":
    main()
