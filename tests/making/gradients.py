"""Gradients of every state."""

from __future__ import annotations

from paraminspect.outcomes import GradRecord, UseRecord

TWICE = (UseRecord("a", "mm"), UseRecord("b", "mm"))


RECORDS = [
    GradRecord("embed.weight", (4, 2), "ok", 10.0, 9.0, 0.0, 1.0, TWICE),
    GradRecord("body.0.fc.weight", (2,), "ok", 0.1, 0.1, 0.0, 1.0),
    GradRecord("body.0.fc.bias", (2,), "zero", 0.0, 0.0, 1.0, 0.0, reason="body.0.act (ReLU) is zero"),
    GradRecord("body.1.fc.weight", (2,), "none", reason="body.1 is never called"),
    GradRecord("scale", (), "frozen"),
]
