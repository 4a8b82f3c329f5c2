import { useMemo } from "preact/hooks";
import type { Gradient, Report } from "./data";
import { count, safe, short } from "./format";
import { CopyButton, List, tsv, type Column, type Copied } from "./list";
import type { Change } from "./state";

const COLUMNS: Column[] = [
  { key: "name", title: "parameter" },
  { key: "state", title: "state" },
  { key: "norm", title: "norm", number: true },
  { key: "bar", title: "on a logarithmic scale" },
  { key: "uses", title: "uses, or the reason" },
];

export function Gradients({ gradients, change }: { gradients: NonNullable<Report["gradients"]>; change: Change }) {
  const { parameters, loss, total_norm } = gradients;
  const [low, high] = useMemo(() => scaleOf(parameters), [parameters]);
  const states = useMemo(() => {
    const found = new Map<string, number>();
    for (const each of parameters) found.set(each.state, (found.get(each.state) ?? 0) + 1);
    return [...found];
  }, [parameters]);
  return (
    <section class="tensors">
      <div class="bar">
        <h2>Gradients</h2>
        <span>
          loss {short(loss)}, total norm {short(total_norm)};{" "}
          {states.map(([state, number]) => <span key={state} class={`state ${state}`}>{count(number)} {state} </span>)}
        </span>
        <CopyButton text={() => tsv([["name", "state", "norm", "reason"], ...parameters.map(copiedOf)])} />
      </div>
      <List<Gradient>
        label="Gradients"
        items={parameters}
        columns={COLUMNS}
        template="minmax(14rem, 2fr) 4.5rem 6rem minmax(8rem, 3fr) minmax(8rem, 2fr)"
        keyOf={(each) => each.name}
        open={(each) => change({ tensor: each.name })}
        copied={copiedOf}
        cells={(each) => [
          <span class="leaf" title={safe(each.name)}>{safe(each.name)}</span>,
          <span class={each.state}>{each.state}</span>,
          short(each.norm),
          each.norm ? <span class="share"><span class="fill" style={{ width: `${width(each.norm, low, high)}%` }} /></span> : "",
          each.reason ? safe(each.reason) : each.uses.length > 1 ? each.uses.map((use) => `${safe(use.module) || "the model"} ${short(use.norm)}`).join(" + ") : "",
        ]}
      />
    </section>
  );
}

function copiedOf(each: Gradient): Copied {
  return [each.name, each.state, each.norm, each.reason];
}

function scaleOf(parameters: Gradient[]): [number, number] {
  const norms = parameters.map((each) => each.norm ?? 0).filter((norm) => norm > 0 && Number.isFinite(norm));
  if (norms.length === 0) return [0, 1];
  const low = Math.floor(Math.log10(norms.reduce((one, other) => Math.min(one, other))));
  const high = Math.ceil(Math.log10(norms.reduce((one, other) => Math.max(one, other))));
  return [low, Math.max(high, low + 1)];
}

function width(norm: number, low: number, high: number): number {
  return Math.max(1, Math.min(100, (100 * (Math.log10(norm) - low)) / (high - low)));
}
