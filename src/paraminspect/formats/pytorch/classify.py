"""What names tell: buffers and training state that go by a name everybody uses.

A state dict does not say which of its tensors are parameters. Some names leave no doubt; only those are used, so that
a count of parameters is right for the checkpoints people publish.
"""

from __future__ import annotations

import re
from typing import Final

from paraminspect.records import Kind, Role

BUFFER_NAMES: Final = frozenset(
    {
        "running_mean", "running_var", "num_batches_tracked",  # torch.nn.modules.batchnorm
        "inv_freq",  # rotary embeddings of transformers
        "masked_bias",  # GPT-2 of transformers: the value masked scores get
        "final_logits_bias",  # BART and its kin
        "queue", "queue_ptr",  # MoCo
        "relative_position_index", "relative_coords_table", "attn_mask",  # Swin
    }
)  # fmt: skip
"""Last component of the name of a tensor that no optimizer trains."""

INTEGER_BUFFER_NAMES: Final = frozenset({"position_ids", "token_type_ids", "n_averaged"})
"""The same, if the tensor holds integers."""

OPTIMIZER_KEYS: Final = frozenset(
    {
        "optimizer", "optimizers", "optim", "optimizer_state", "optimizer_states", "optimizer_state_dict",
        "optimizers_state_dict", "optim_state_dict", "optim_state", "opt_state", "opt", "last_optimizer_state",
        "optimizer_g", "optimizer_d", "optim_g", "optim_d", "opt_g", "opt_d", "g_optim", "d_optim", "optimizer_history",
    }
)  # fmt: skip
"""Keys of a training checkpoint under which the optimizer's state stands (torch examples, Lightning, FSDP)."""

STATE_KEYS: Final = frozenset(
    {
        "rng_state", "rng_states", "rng", "cuda_rng_state", "torch_rng_state", "cpu_rng_state", "random_state",
        "scheduler", "lr_scheduler", "lr_schedulers", "scheduler_state_dict", "lr_scheduler_state_dict",
        "scaler", "grad_scaler", "scaler_state_dict", "amp_scaler", "loss_scaler", "amp", "callbacks", "loops",
        "sched", "ema_sched", "schedulers", "scheduler_states", "param_schedulers", "metrics", "metric", "message_hub",
        "averaging_state", "extra_state", "task_state", "rng_tracker_states",
    }
)  # fmt: skip
"""Keys of other training state."""

MODULE_KEYS: Final = frozenset({"opt", "metric", "metrics", "scaler", "amp", "sched", "scheduler", "schedulers"})
"""Those of all these that are a module where names are flat. State of loss scalers and schedulers is numbers, not tensors."""

LOSS_ENDS: Final = ("loss", "losses", "loss_fn", "criterion")
"""Of the key, behind an underscore or all of it, of what a nested checkpoint keeps of its losses; in a flat one it is a module."""

GENERATOR_KEYS: Final = frozenset({key for key in STATE_KEYS if "rng" in key} | {"random_state"})
"""Those of them whose value is a tensor: the state of a random generator."""

LONGEST_GENERATOR_KEY: Final = max(map(len, GENERATOR_KEYS))

TELLING_ENDS: Final = BUFFER_NAMES | INTEGER_BUFFER_NAMES | {"bias"}
"""Last components of names that tell, with shape and dtype, of what kind a tensor may be."""


def kind_of(name: str, shape: tuple[int, ...] | None, dtype: str) -> Kind:
    """Buffer, if the name leaves no doubt; else tensor."""
    last = name[name.rfind(".") + 1 :]
    if last not in TELLING_ENDS or shape is None:
        return "tensor"
    if last in BUFFER_NAMES or (last in INTEGER_BUFFER_NAMES and "int" in dtype):
        return "buffer"
    # GPT-2 of transformers stores its causal mask as attn.bias [1,1,n,n]; a bias has one dimension
    if (
        last == "bias"
        and len(shape) == 4
        and shape[:2] == (1, 1)
        and shape[2] == shape[3] > 1
        and ".attn." in f".{name}"
    ):
        return "buffer"
    return "tensor"


def role_of_key(key: str, *, holds_tensor: bool = False, is_flat: bool = False) -> Role | None:
    """What stands under a key near the top of a training checkpoint; None where the key does not say.

    Args:
        holds_tensor: Whether that is a single tensor.
        is_flat: Whether the key is a component of a flat name, and so may be that of a module.
    """
    lowered = key.lower()
    if holds_tensor:
        return "state" if lowered in GENERATOR_KEYS else None
    if is_flat and (lowered in MODULE_KEYS or is_loss(lowered)):
        return None
    if lowered in OPTIMIZER_KEYS:
        return "optimizer"
    return "state" if lowered in STATE_KEYS or is_loss(lowered) else None


def is_loss(key: str) -> bool:
    """Whether a key in lower case is one of `LOSS_ENDS`."""
    return key.endswith(LOSS_ENDS) and re.fullmatch(rf"(\w+_)?({'|'.join(LOSS_ENDS)})", key) is not None


def role_of_name(name: str) -> Role:
    """The same, of a flat name whose first component is the key ("optimizer.state.0.exp_avg")."""
    head = name.partition(".")[0]
    return "model" if len(head) == len(name) else role_of_key(head, is_flat=True) or "model"
