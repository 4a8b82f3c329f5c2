"""An initialiser of one's own, for `--rules-file configs/my_rules.py --rule '*weight*=init_weight'`."""

from torch import Generator, Tensor


def init_weight(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Uniform in (-10, 10), then zero wherever the absolute value is below 5: about half of the elements."""
    tensor.uniform_(-10, 10, generator=generator)
    return tensor.mul_(tensor.abs() >= 5)
