"""A model, its inputs and a loss: run forward and backward as often as asked, the same each time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import BackwardError, ElsewhereError, ParamInspectError
from paraminspect.live.build.complaints import complaint_of
from paraminspect.live.build.describe import packed_layers
from paraminspect.live.build.forward import Call, CallPaths, Inputs, call_model, iter_tensors
from paraminspect.live.build.memory import explain_memory, is_out_of_memory
from paraminspect.live.build.seeds import device_seed, seeded
from paraminspect.live.build.untouched import Before, is_of_torch, leaving_untouched
from paraminspect.live.build.user_code import running_user_code
from paraminspect.live.grad.gradients import dense
from paraminspect.live.grad.hooks import HookWatch
from paraminspect.live.grad.losses import Loss, Taken, evaluate_loss
from paraminspect.live.grad.uses import VIEWS, Use, UseTracker
from paraminspect.live.ranks.sharded import Peers, agreeing, find_peers, unsharded_parameters
from paraminspect.records import Kind
from paraminspect.tuples import NamedTuple


class Outcome(NamedTuple):
    """What a backward pass left behind.

    Attributes:
        loss_taken: What the loss is, as `--loss` has it.
        loss_said: The same with the reason.
        parameters: By name: what there was before, and what the forward pass made.
        gradients: By parameter name, dense; None where there is none.
        uses: By parameter name, in the order of the forward pass.
        output_node: autograd's name of the operation that made what the loss is the sum or mean of, views left out; ""
            where there is none.
        output_path: Of the module that ran it.
        made: Parameters and buffers that the forward pass made, by name.
        hooks: Remarks on hooks of the user's own.
        changed: Names of parameters that the forward pass wrote into.
        lost: Those of them that could not be put back.
        incomplete: Whether parts of uses were given up for their size.
        peers: Other processes that ran the same model; loss and gradients are the mean of theirs.
    """

    loss: float
    loss_taken: str
    loss_said: str
    parameters: dict[str, nn.Parameter]
    gradients: dict[str, Tensor | None]
    uses: dict[str, list[Use]]
    output_node: str
    output_path: str
    made: dict[str, Kind]
    hooks: list[str]
    changed: list[str]
    lost: list[str]
    incomplete: bool
    peers: Peers | None = None


class BackwardRun:
    """Runs one model on one input.

    Args:
        model: Left as it was by each run.
        seed: For what forward draws; None takes the random generators as they are.
        plan: Of a spec's model, for the places in error messages.
        peers: Other processes that run the same model; None looks for those of a sharded one.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Inputs,
        loss: Loss,
        seed: int | None,
        plan: ModelPlan | None,
        *,
        peers: Peers | None = None,
    ) -> None:
        self.peers = peers or find_peers(model)
        self.model = model
        self.inputs = inputs
        self.plan = plan
        self._loss = loss
        self._seed = seed

    def output(self, calls: CallPaths) -> Any:
        """The model's output.

        Args:
            calls: Of the model, entered.

        Raises:
            ParamInspectError: The model fails, at the module that does.
        """
        with self._seeded():
            return call_model(calls, self.inputs.positional, self.inputs.named, plan=self.plan)

    def loss(self, output: Any) -> Tensor:
        """The loss of an output; raises what `evaluate_loss` does."""
        value: Tensor = self.taken(output).value
        return value

    def taken(self, output: Any) -> Taken:
        """The same, and where it comes from."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return evaluate_loss(self._loss, output)

    def backward(self, *, parts: bool = False) -> Outcome:
        """Run forward and backward.

        Args:
            parts: Whether to keep each use's part of the gradient, of parameters with several.

        Raises:
            ParamInspectError: The model fails; the loss is no number, has no graph or several elements; the backward
                pass fails; memory runs out.
        """
        hooks = HookWatch(self.model)
        whole = list(unsharded_parameters(self.model))
        replicas = self.peers if self.peers is not None and self.peers.holds_replicas else None
        with explaining_memory(self.model), self.untouched() as before, torch.enable_grad():
            with hooks, UseTracker(self.model, parts=parts) as tracker:
                with agreeing(replicas):  # which do not wait for each other while they run; parts of one model do
                    output = self.output(tracker.calls)
                read = {id(each): meant for each, meant in whole}
                named = before.parameters | {
                    name: read.get(id(each), each) for name, each in self.model.named_parameters()
                }
                trained = {name: each for name, each in named.items() if each.requires_grad}
                if not trained:
                    raise _explain_nothing_trained(self.model, len(named))
                tracker.look_for(trained.values(), whole)
                with agreeing(self.peers):
                    taken = self.taken(output)
                loss, text, said, flat = taken
                value, own = float(loss.detach()), float(loss.detach())
                if self.peers is not None:
                    value = float(self.peers.mean(loss.detach()))
                node, path = _maker(flat, tracker)
                del output, taken, flat
                if math.isnan(value):
                    del loss
                    raise _explain_nan(self, is_ours=not math.isfinite(own))
                with agreeing(replicas):
                    go_back(loss)
            gradients = {name: None if each.grad is None else dense(each.grad) for name, each in named.items()}
            if replicas is not None:
                gradients = replicas.mean_gradients(gradients, named)
            made = before.made()
        uses = {name: tracker.uses(each) if name in trained else [] for name, each in named.items()}
        return Outcome(
            float(value),
            text,
            said,
            named,
            gradients,
            uses,
            node,
            path,
            made,
            hooks.notes(),
            before.changed,
            before.lost,
            tracker.incomplete,
            self.peers,
        )

    def untouched(self) -> AbstractContextManager[Before]:
        """Leaves the model as it was; parameters are copied where code of the user's may write into them."""
        return leaving_untouched(self.model, copies=self.plan is None or not is_of_torch(self.model))

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        if self._seed is None:
            yield
            return
        with seeded(self._seed, "", "forward"):
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.manual_seed_all(device_seed(self._seed, "", "forward"))
            if torch.backends.mps.is_available():
                torch.mps.manual_seed(device_seed(self._seed, "", "forward"))
            yield


def go_back(*ends: Tensor) -> None:
    """Run the backward pass from a loss, or from several outputs as from their sums.

    What the model's own code prints or warns of in there is kept off standard output.

    Raises:
        BackwardError: It fails.
        MemoryError: There is not enough of it.
    """
    try:
        with running_user_code(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.autograd.backward(ends, [_one(each) for each in ends])
    except (ParamInspectError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise BackwardError(f"the backward pass fails: {complaint_of(error)}") from error


def _one(end: Tensor) -> Tensor | None:
    """What the backward pass begins with; None for one number, as torch then imports no sympy to look at its shape."""
    return None if end.numel() == 1 and end.is_floating_point() else torch.ones_like(end)


def _explain_nothing_trained(model: nn.Module, parameters: int) -> BackwardError:
    """What to say of a model without a parameter that wants a gradient."""
    if parameters:
        return BackwardError(f"the loss depends on no parameter: requires_grad is False for all {parameters:,} of them")
    hint = "weights of quantised layers are no parameters: take the model before it is converted" if packed_layers(model) else None  # fmt: skip
    return BackwardError(f"{type(model).__name__} has no parameters, so that there are no gradients", hint=hint)


def _explain_nan(run: BackwardRun, *, is_ours: bool) -> ParamInspectError:
    """What to say of a loss that is not a number: the first module that made one.

    Args:
        is_ours: Whether that of this process is no finite number.
    """
    if not is_ours:
        return ElsewhereError("the loss is nan in another process, and so is the mean of all")
    for tensor in iter_tensors([run.inputs.positional, run.inputs.named]):
        if tensor.is_floating_point() and tensor.isnan().any():
            return BackwardError("the loss is nan: the input has elements that are not numbers")
    if run.peers is not None and not run.peers.holds_replicas:
        return BackwardError("the loss is nan", hint="the same model on one process says which module makes it so")
    first: list[Call] = []

    def look(call: Call, output: object) -> None:
        if not first and any(each.is_floating_point() and each.isnan().any() for each in iter_tensors(output)):
            first.append(call)

    with run.untouched(), torch.no_grad(), CallPaths(run.model, look) as calls:
        run.output(calls)
    if not first:
        return BackwardError("the loss is nan, though no module gives one", hint="look at the loss function")
    call = first[0]
    what = f"{call.path or 'the model'} ({type(call.module).__name__})"
    own = [name for name, each in call.module.named_parameters() if each.isnan().any()]
    why = f": its {own[0]} has elements that are not numbers" if own else ""
    return BackwardError(
        f"the loss is nan: {what} is the first to give one{why}",
        hint="paraminspect show prints it" if own else "--dtype float64 tells an overflow from a fault",
    )


@contextmanager
def explaining_memory(model: nn.Module) -> Iterator[None]:
    """Turn a lack of memory into what the model takes.

    Raises:
        BackwardError: Memory ran out inside.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        device = next((each.device.type for each in model.parameters()), "cpu")
        raise explain_memory(model, device) from None


def _maker(tensor: Tensor | None, tracker: UseTracker) -> tuple[str, str]:
    """What made a tensor, and in which module."""
    node = None if tensor is None else tensor.grad_fn
    while node is not None and node.name() in VIEWS and node.next_functions:
        node = node.next_functions[0][0]
    return ("", "") if node is None else (node.name(), tracker.path_of(node))
