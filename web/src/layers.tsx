import { useMemo } from "preact/hooks";
import { percent, safe, short } from "./format";
import type { Row } from "./model";
import type { Change, State } from "./state";

const CHOICES = ["std", "norm", "mean", "zero_fraction", "max", "min"];
const MOST_COLUMNS = 200;
const MOST_ROWS = 200;
/** So many columns have room for the number in each cell. */
const SPACIOUS = 16;

/** Tensors that have one name but for a number: one row, with a column for each number. */
interface Family {
  pattern: string;
  members: Map<number, Row>;
}

export function Layers({ rows, columns, state, change }: { rows: Row[]; columns: string[]; state: State; change: Change }) {
  const families = useMemo(() => familiesOf(rows), [rows]);
  const choices = CHOICES.filter((each) => columns.includes(each));
  const statistic = choices.includes(state.statistic) ? state.statistic : (choices[0] ?? "std");
  const numbers = useMemo(
    () => [...new Set(families.flatMap((each) => [...each.members.keys()]))].sort((one, other) => one - other).slice(0, MOST_COLUMNS),
    [families],
  );
  if (families.length === 0) return <p>No module is there several times: there are no layers to compare.</p>;
  return (
    <section>
      <div class="bar">
        <h2>Layer by layer</h2>
        <label>
          Statistic{" "}
          <select value={statistic} onChange={(event) => change({ statistic: event.currentTarget.value })}>
            {choices.map((each) => <option key={each} value={each}>{each}</option>)}
          </select>
        </label>
        <span class="dim">Colour: how far from the row's median, <span class="low">below</span> or <span class="high">above</span>.</span>
      </div>
      <div class={`heat ${numbers.length <= SPACIOUS ? "spacious" : ""}`} tabIndex={0} role="region" aria-label={`${statistic} by layer`}>
        <table>
          <thead>
            <tr>
              <th scope="col">tensor</th>
              {numbers.map((number) => <th key={number} scope="col">{number}</th>)}
            </tr>
          </thead>
          <tbody>
            {families.slice(0, MOST_ROWS).map((family) => (
              <HeatRow key={family.pattern} family={family} numbers={numbers} statistic={statistic} change={change} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function HeatRow({ family, numbers, statistic, change }: { family: Family; numbers: number[]; statistic: string; change: Change }) {
  const value = (number: number) => family.members.get(number)?.stats?.[statistic] ?? null;
  const known = numbers.map(value).filter((each) => each !== null).sort((one, other) => one - other);
  const median = known[Math.floor(known.length / 2)] ?? 0;
  const far = known.map((each) => Math.abs(each - median)).sort((one, other) => one - other);
  const spread = Math.max((far[Math.floor(far.length / 2)] ?? 0) * 1.4826, Math.abs(median) * 0.02, 1e-12);
  return (
    <tr>
      <th scope="row">{safe(family.pattern)}</th>
      {numbers.map((number) => {
        const row = family.members.get(number);
        const each = value(number);
        if (row === undefined || each === null) return <td key={number} />;
        const off = Math.max(-1, Math.min(1, (each - median) / (6 * spread)));
        const text = statistic === "zero_fraction" ? percent(each, 1) : short(each);
        return (
          <td
            key={number}
            class={off < 0 ? "below" : "above"}
            style={{ "--off": Math.abs(off).toFixed(3) }}
            title={`${safe(row.name)}: ${statistic} ${text}`}
          >
            <button type="button" tabIndex={-1} aria-label={`${safe(row.name)}: ${text}`} onClick={() => change({ tensor: row.name })}>
              {numbers.length <= SPACIOUS ? text : Math.abs(off) >= 0.75 ? "!" : ""}
            </button>
          </td>
        );
      })}
    </tr>
  );
}

function familiesOf(rows: Row[]): Family[] {
  const found = new Map<string, Family>();
  for (const row of rows) {
    if (row.stats === null) continue;
    const parts = row.name.split(".");
    const place = parts.findIndex((part) => /^\d{1,6}$/.test(part));
    if (place < 0) continue;
    const number = Number(parts[place]);
    const pattern = parts.map((part, index) => (index === place ? "*" : part)).join(".");
    const family = found.get(pattern) ?? { pattern, members: new Map<number, Row>() };
    family.members.set(number, row);
    found.set(pattern, family);
  }
  return [...found.values()].filter((each) => each.members.size > 2);
}
