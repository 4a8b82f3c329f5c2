"""`tests/` mirrors `src/`: what `src/paraminspect/a/b.py` decides is tested by `tests/a/test_b.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "paraminspect"

WITHOUT: dict[str, str] = {
    "holds names, types and numbers, and decides nothing": """
        architecture/built_in architecture/declared architecture/functions architecture/model architecture/plan checks/codes formats/pickles/python_modules
        library/init_wanted formats/kv_cache_types formats/quantised/schemes formats/loaders formats/tied_names values/grid_rows values/grids
        formats/pickles/safe_torch formats/pickles/tables formats/pickles/traced render/columns render/style
        rules/rule rules/targets outcomes summaries
    """,
    "tested by architecture/test_parse.py and architecture/test_expand.py": """
        architecture/arguments architecture/blocks architecture/layers architecture/nodes
        architecture/values architecture/wiring
    """,
    "tested by architecture/test_sketch.py and live/build/test_outline.py": """
        architecture/built_in_facts architecture/module_outline architecture/reserved
    """,
    "tested by live/init/test_find.py": """
        rules/meant
    """,
    "tested by architecture/test_layer_facts.py": """
        architecture/argument_kinds architecture/layer_rows architecture/tensorless_layers architecture/torch_layers
    """,
    "tested by architecture/test_parse.py and live/build/test_inputs.py": """
        architecture/tensors
    """,
    "tested by library/test_init_together.py": """
        writers/shares
    """,
    "tested by checks/test_check.py and checks/test_headers.py": """
        checks/opened
    """,
    "tested by library/test_init_distcp.py": """
        live/ranks/distcp
    """,
    "tested by cli/test_ranks.py": """
        live/ranks/store
    """,
    "tested by live/ranks/test_sharded.py": """
        live/ranks/scatter
    """,
    "tested by library/test_report.py": """
        library/compared pages/document
    """,
    "tested by checks/test_container.py": """
        checks/tars
    """,
    "tested by cli/test_golden.py": """
        cli/app cli/chosen cli/commands/check cli/commands/convert cli/commands/cost cli/commands/diff cli/commands/grad
        cli/commands/info cli/commands/init cli/commands/list cli/commands/report cli/commands/rules
        cli/commands/shared cli/commands/show cli/commands/stats cli/commands/tree cli/explain cli/live_tree cli/opened
        cli/comparing cli/options cli/results cli/run_options cli/shown cli/written
    """,
    "tested by cli/completion/test_answer.py and cli/completion/test_words.py": """
        cli/completion/choices cli/completion/install cli/completion/typed
    """,
    "tested by test_main.py": """
        __main__
    """,
    "tested by conversion/test_convert.py": """
        conversion/bytes conversion/companions conversion/metadata conversion/outline conversion/plan
        conversion/verify
    """,
    "tested by files/test_web.py and files/test_buckets.py": """
        files/addresses files/connections files/far files/faults files/threads files/web_place
    """,
    "tested by engines/test_local.py": """
        engines/workers
    """,
    "tested by files/test_blob.py and files/test_parity.py": """
        files/door
    """,
    "tested by files/test_system.py": """
        files/processes
    """,
    "tested by formats/pytorch/test_zero.py": """
        values/split
    """,
    "tested by formats/test_folders.py": """
        formats/folder_models
    """,
    "tested by formats/pickles/test_machine.py": """
        formats/pickles/inert formats/pickles/opcodes formats/pickles/state
    """,
    "tested by formats/quantised/test_siblings.py": """
        formats/quantised/bitsandbytes formats/quantised/floats formats/quantised/found formats/quantised/words
    """,
    "tested by formats/pickles/test_danger.py": """
        formats/pickles/safe
    """,
    "tested by live/build/test_build.py": """
        live/build/construct live/build/containers live/build/givers live/build/lazy live/build/live_model
    """,
    "tested by formats/pytorch/test_distributed.py": """
        formats/pytorch/pieces
    """,
    "tested by live/build/test_weights.py": """
        live/build/arrays live/build/stored
    """,
    "tested by live/build/test_factory.py": """
        live/build/user_code
    """,
    "tested by live/grad/test_backward.py": """
        live/grad/once live/grad/prepare
    """,
    "tested by live/cost/test_measure.py": """
        live/cost/flops live/cost/kept live/cost/count live/cost/without_values
    """,
    "tested by library/test_cost.py": """
        formats/kv_cache live/cost/cost_plan live/cost/totals
    """,
    "tested by live/test_kinds.py": """
        live/grad/hooks
    """,
    "tested by live/init/test_apply.py and live/init/test_run.py": """
        live/init/drawn live/init/work
    """,
    "tested by cli/test_feeding.py": """
        live/build/feeding
    """,
    "tested by cli/test_grad.py": """
        live/grad/asked live/grad/run
    """,
    "tested by models/test_values.py and models/test_once.py": """
        models/open
    """,
    "tested by cli/test_one_door.py": """
        models/rules models/standard_input
    """,
    "tested by test_exports.py": """
        library/init
    """,
    "tested by render/test_table.py and render/test_module_tree.py": """
        render/checkpoint_tree
    """,
    "tested by cli/test_values.py": """
        render/pictures values/picture
    """,
    "tested by sharing/test_find.py and cli/test_shared.py": """
        sharing/search sharing/tabled
    """,
    "tested by values/test_read.py": """
        values/decode values/pieces
    """,
    "tested by values/test_diff.py": """
        values/compare
    """,
    "tested by writers/test_whole_files.py": """
        writers/copying writers/destination writers/layout writers/outputs writers/planners
        writers/sink
    """,
    "tested by writers/test_torch_zip.py": """
        writers/torch_pickle writers/zip_write
    """,
    "tested by writers/test_patch.py": """
        writers/zip_checksums
    """,
    "to be written": """
        checks/summed live/grad/told live/init/told names/wanted values/shown values/tabled
    """,
}
"""Why -> modules that have no test of their own name. A line may go when its test is there; none may be added."""


def modules() -> set[str]:
    return {str(path.relative_to(SOURCE).with_suffix("")) for path in SOURCE.rglob("*.py") if path.stem != "__init__"}


def has_test(module: str) -> bool:
    folder, _, name = module.rpartition("/")
    return (TESTS / folder / f"test_{name}.py").exists()


def test_every_module_has_a_test_of_its_name_or_a_reason() -> None:
    listed = " ".join(WITHOUT.values()).split()
    assert sorted(set(listed)) == sorted(listed)
    assert {module for module in modules() if not has_test(module)} == set(listed)


@pytest.mark.parametrize("why", [why for why in WITHOUT if why.startswith("tested by ")])
def test_a_reason_names_a_test_that_is_there(why: str) -> None:
    for file in why.removeprefix("tested by ").split(" and "):
        assert (TESTS / file).exists(), file
