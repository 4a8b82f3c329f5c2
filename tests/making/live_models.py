"""Live models of specs and factories, with each step between given by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paraminspect.architecture.expand import MAX_MODEL_BYTES, plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.formats import open_source
from paraminspect.live.build.factory_name import class_names
from paraminspect.live.build.live_model import LiveModel, build_from_factory, build_spec, load_checkpoint
from paraminspect.models.recognise import recognise


def open_live(
    source: str,
    *,
    text: bytes | str | None = None,
    variables: Mapping[str, Any] | None = None,
    modules_file: str = "",
    arguments: Sequence[str] = (),
    device: str = "meta",
    seed: int = 0,
    weights: str = "",
    strip_prefix: str = "",
    add_prefix: str = "",
    max_bytes: int = MAX_MODEL_BYTES,
) -> LiveModel:
    """The model of a spec, which may be given as text, or of a factory."""
    found = recognise(source)
    if text is None and found.kind == "factory":
        live = build_from_factory(source, arguments, device=device, seed=seed)
    else:
        spec = parse_spec(found.text if text is None else text, source=source, overrides=variables)
        live = build_spec(
            spec,
            plan_model(spec, class_names(modules_file)),
            modules_file=modules_file,
            device=device,
            seed=seed,
            max_bytes=max_bytes,
        )
    if weights:
        load_checkpoint(live, open_source(weights), strip_prefix=strip_prefix, add_prefix=add_prefix)
    return live
