"""What a backward pass starts from, as it is written after --loss and in a spec.

    loss = WORD | part | WORD "(" part ")"        part = "output" {"." NAME}

A NAME is a key, a field or an attribute, or the place of an element of a tuple or list; one that ends in `*` stands for
all keys that begin so, which are added up.
"""

from __future__ import annotations

import re
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.names.suggestions import suggest
from paraminspect.text import shorten
from paraminspect.tuples import NamedTuple

OUTPUT: Final = "output"
"""What the output of a model is called in a loss."""


class LossWord(NamedTuple):
    """One of the losses that go by a name.

    Attributes:
        meaning: In a sentence.
        drawn: What its target is where none is given; "" of one that takes none.
    """

    meaning: str
    drawn: str = ""


NORMAL, BINARY, PROBABILITIES, CLASSES = "standard normal", "0 or 1", "probabilities", "classes"
"""What a target can be drawn from; probabilities add up to one, and classes lie, in dimension 1."""

LOSSES: Final = {
    "sum": LossWord("Sum of the output, of its first floating-point tensor."),
    "mean": LossWord("Mean of that."),
    "square": LossWord("Sum of its squares."),
    "mse": LossWord("Mean squared error.", NORMAL),
    "l1": LossWord("Mean absolute error.", NORMAL),
    "smooth_l1": LossWord("Mean absolute error, squared below 1.", NORMAL),
    "bce": LossWord("Mean binary cross-entropy of probabilities.", BINARY),
    "bce_with_logits": LossWord("Mean binary cross-entropy of logits.", BINARY),
    "kl_div": LossWord(
        "Kullback-Leibler divergence of log-probabilities from a target of probabilities, mean over elements.",
        PROBABILITIES,
    ),
    "nll": LossWord("Mean negative log-likelihood of log-probabilities, classes in dimension 1.", CLASSES),
    "cross_entropy": LossWord(
        "Mean cross-entropy of logits, classes in dimension 1; the target has classes, or probabilities.", CLASSES
    ),
    "target": LossWord(
        "mse for a target of floating-point numbers, cross_entropy for one of integers, whose classes are in the last "
        "dimension where the target does not fit dimension 1.",
        NORMAL,
    ),
}
"""The words; those with a target are torch's functions, with their shapes and their mean."""

TARGETS: Final = "Drawn if left out: " + "; ".join(
    f"{drawn} ({', '.join(word for word, each in LOSSES.items() if each.drawn == drawn)})"
    for drawn in (NORMAL, BINARY, PROBABILITIES, CLASSES)
)
"""How each gets its target, in a sentence."""

WITH_TARGET: Final = tuple(word for word, each in LOSSES.items() if each.drawn)

_NAME = r"[^\s.()*]+"
_PART = rf"{OUTPUT}(?:\.{_NAME})*(?:\.{_NAME}\*)?"
PATTERN: Final = rf"(?:{'|'.join(LOSSES)}|{_PART}|(?:{'|'.join(LOSSES)})\({_PART}\))"
"""Of all that can be written."""

_LOSS: Final = rf"(?:(\w+)\()?({_PART})(\))?"


class LossText(NamedTuple):
    """A loss as it is written.

    Attributes:
        word: A key of LOSSES; "" for the part itself, which is summed if it has several elements.
        part: Names behind `output`, none for the whole output.
    """

    word: str = "sum"
    part: tuple[str, ...] = ()

    @property
    def takes_target(self) -> bool:
        """Whether it compares the output with something."""
        return self.word in WITH_TARGET

    def __str__(self) -> str:
        part = ".".join((OUTPUT, *self.part))
        return f"{self.word}({part})" if self.word else part


def read_loss(text: str) -> LossText:
    """The loss that is meant.

    Raises:
        ParamInspectError: None is; with the one that was meant.

    Example:
        >>> read_loss("cross_entropy(output.logits)")
        LossText(word='cross_entropy', part=('logits',))
    """
    text = text.strip()
    if text in LOSSES:
        return LossText(text)
    match = re.fullmatch(_LOSS, text)
    word = match[1] or "" if match else ""
    if match and bool(match[1]) == bool(match[3]) and (not word or word in LOSSES):
        return LossText(word, tuple(match[2].split(".")[1:]))
    called = word or re.split(r"[(.]", text)[0]
    known = [*LOSSES, OUTPUT]
    hint = f"write WORD(output.NAME), as mean({OUTPUT}.0)" if called in known else suggest(called, known, "the losses are", len(known))  # fmt: skip
    raise ParamInspectError(f"there is no loss {shorten(text)!r}", hint=hint)
