"""`python -m benchmarks`: make the inputs, run everything in turn, write the tables."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.cases import Budget, Case, make_cases
from benchmarks.measure import Measurement, measure_in_turn

SLOW_SHARE = 3
"""Commands that take seconds run a third of the rounds."""


def main() -> int:
    """Exit status 0 if every budget is met, 1 if not."""
    options = _parse_options()
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    cases = make_cases(options.data, os.path.dirname(sys.executable))
    cases = [case for case in cases if not options.only or case.name in options.only]
    words = {word for case in cases for command in case.commands.values() for word in command}
    _make_inputs(
        options.data,
        [os.path.basename(word) for word in words if word.startswith(f"{options.data}/")] if options.only else [],
    )
    kept, tables = [], []
    known = _read(options.output) if options.only and options.output else None
    for case in cases:
        rounds = max(1, options.rounds // SLOW_SHARE) if case.slow else options.rounds
        print(f"{case.title} ...", file=sys.stderr, flush=True)
        measured = measure_in_turn(case.commands, rounds, case.makes)
        kept += [budget_row(case, budget, measured) for budget in case.budgets]
        tables.append(_case_table(case, measured, rounds))
        if options.output:  # what is measured is kept, should a later case be given up
            _write(options.output, kept, tables, known)
    if not options.only or "page" in options.only:
        from benchmarks.page import find

        found = find()
        kept += found.rows()
        tables.append(found.table())
        if options.output:
            _write(options.output, kept, tables, known)
    print(_document(kept, tables), end="")
    return int(any(row.endswith("| **no** |") for row in kept))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--data", default="build/bench", help="folder of the inputs, 2.3 GB (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="counted runs of each command (default: %(default)s)")
    parser.add_argument(
        "--only",
        action="append",
        metavar="CASE",
        help="one case by its name, or page; repeatable: others stay in --output",
    )
    parser.add_argument("--output", metavar="FILE", help="write the tables there as well")
    return parser.parse_args()


class Written(NamedTuple):
    """A document that is there: what stands above the budgets, their rows, and the tables, each with its heading."""

    head: str
    kept: list[str]
    tables: list[str]


def _read(path: str) -> Written:
    with open(path, encoding="utf-8") as file:
        head, _, rest = file.read().partition("## Budgets\n")
    budgets, _, measured = rest.partition("## Measurements\n")
    tables = [f"### {table.strip()}\n" for table in f"\n{measured}".split("\n### ")[1:]]
    return Written(head, [line for line in budgets.splitlines() if line.startswith("| ")][2:], tables)


def _write(path: str, kept: list[str], tables: list[str], known: Written | None) -> None:
    """The document, or one that is there with what is new in the place of what was."""
    text = _document(kept, tables)
    if known is not None:
        rows: dict[str, list[str]] = {_title_of(row): [] for row in (*known.kept, *kept)}
        for row in known.kept:
            if _title_of(row) not in {_title_of(each) for each in kept}:
                rows[_title_of(row)].append(row)
        for row in kept:
            rows[_title_of(row)].append(row)
        whole = {table.partition("\n")[0]: table for table in (*known.tables, *tables)}
        text = known.head + _body([row for each in rows.values() for row in each], list(whole.values()))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _title_of(row: str) -> str:
    return row.split(" | ", maxsplit=1)[0]


def _make_inputs(data: str, names: Sequence[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.make_inputs", data, *names]
    if status := os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)[1]):
        sys.exit(status)


def budget_row(case: Case, budget: Budget, measured: dict[str, Measurement]) -> str:
    """One line of the table of budgets; a command that failed keeps none."""
    ours = measured[case.ours]
    if budget.quantity == "megabytes":
        found, met = ours.peak_mb, ours.peak_mb <= budget.bound
        wording, value = f"peak memory at most {budget.bound:g} MB", f"{found:.1f} MB"
    elif budget.quantity == "seconds":
        found, met = ours.median_s, ours.median_s <= budget.bound
        wording, value = f"at most {budget.bound:g} s", f"{found:.2f} s"
    else:
        other = measured[budget.other]
        if budget.quantity == "slower":
            found = ours.median_s / other.median_s
            met, wording = found <= budget.bound, f"at most {budget.bound:g} × the time of {budget.other}"
        else:
            found = other.median_s / ours.median_s
            met, wording = found >= budget.bound, f"at least {budget.bound:g} × faster than {budget.other}"
        value = f"{found:.2f} ×"
    failed = [label for label, one in measured.items() if one.status]
    verdict = f"{' and '.join(failed)} failed | **no** |" if failed else f"{value} | {'yes' if met else '**no**'} |"
    return f"| {case.title} | `{case.ours}` | {wording} | {verdict}"


def _case_table(case: Case, measured: dict[str, Measurement], rounds: int) -> str:
    ours = measured[case.ours].median_s
    rows = [
        f"| {f'**{label}**' if label == case.ours else label} | {one.median_s:.3f} | {one.spread_s[0]:.3f} to "
        f"{one.spread_s[1]:.3f} | {one.cpu_s:.3f} | {one.median_s / ours:.2f} | {one.peak_mb:.1f} | {one.printed:,} |\n"
        for label, one in measured.items()
    ]
    head = "| command | median s | fastest to slowest | processor s | time ÷ ours | peak MB | bytes printed |\n"
    return f"### {case.title}\n\n{rounds} {'run' if rounds == 1 else 'runs'} of each.\n\n{head}| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n{''.join(rows)}"


def _document(kept: list[str], tables: list[str]) -> str:
    command = f"python -m benchmarks {' '.join(sys.argv[1:])}".rstrip()
    return f"""\
# Benchmarks

Written by `{command}`.

Whole processes, run in turn (A B C A B C …) with standard output in a pipe, after one uncounted round; files are in the
page cache. Ratios are of medians. Peak memory is the largest resident set of any run; below some 14 MB it can't be told
from that of the process that measures.

Other tools on the same files are in [PEERS.md](PEERS.md), time and memory against tensors and bytes in [GROWTH.md](GROWTH.md).

{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}.

{_body(kept, tables)}"""


def _body(kept: list[str], tables: list[str]) -> str:
    return f"""\
## Budgets

| input | command | budget | found | met |
| --- | --- | --- | ---: | --- |
{chr(10).join(kept)}

## Measurements

{chr(10).join(tables)}"""


if __name__ == "__main__":
    sys.exit(main())
