import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Tie } from "./data";
import { bytes, count, safe, shape, short } from "./format";
import { CopyButton, tsv } from "./list";
import type { Row } from "./model";
import { Histogram } from "./spark";
import type { Change } from "./state";
import { table } from "./tensors";

export function Drawer({ row, rows, ties, change }: { row: Row; rows: Row[]; ties: Tie[]; change: Change }) {
  const [shared, setShared] = useState(false);
  const [log, setLog] = useState(false);
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus({ preventScroll: true }), [row.name]);
  const ends = useMemo(() => {
    const all = rows.flatMap((each) => [each.stats?.["min"] ?? [], each.stats?.["max"] ?? []].flat());
    return { low: all.reduce((low, each) => Math.min(low, each), 0), high: all.reduce((high, each) => Math.max(high, each), 0) };
  }, [rows]);
  const tie = ties.find((each) => each.name === row.name || each.aliases.includes(row.name));
  const min = row.stats?.["min"] ?? null;
  const max = row.stats?.["max"] ?? null;
  const facts: [string, string][] = [
    ["shape", shape(row.shape)],
    ["dtype", row.dtype],
    ["elements", count(row.numel)],
    ["size", bytes(row.nbytes)],
    ["kind", row.kind],
    ["module", row.type],
    ["packed", row.encoding ?? ""],
    ["tied to", row.tiedTo ?? ""],
  ];
  return (
    <aside class="drawer" aria-label="Tensor">
      <div class="bar">
        <h2>{safe(row.name) || '""'}</h2>
        <button ref={close} type="button" aria-label="Close" onClick={() => change({ tensor: "" })}>✕</button>
      </div>
      <dl class="facts">
        {facts.filter(([, value]) => value !== "").map(([key, value]) => (
          <div key={key}><dt>{key}</dt><dd>{safe(value)}</dd></div>
        ))}
      </dl>
      {tie && (
        <p>
          <strong>{tie.kind}</strong>: {[tie.name, ...tie.aliases].map((name) => (
            <button key={name} type="button" class="link" onClick={() => change({ tensor: name })}>{safe(name)}</button>
          ))}
        </p>
      )}
      {row.histogram && min !== null && max !== null && (
        <>
          <Histogram
            counts={row.histogram}
            min={min}
            max={max}
            from={shared ? ends.low : min}
            to={shared ? ends.high : max}
            log={log}
          />
          <div class="bar">
            <label><input type="checkbox" checked={shared} onChange={() => setShared(!shared)} /> one axis for all tensors</label>
            <label><input type="checkbox" checked={log} onChange={() => setLog(!log)} /> logarithmic</label>
          </div>
        </>
      )}
      {row.stats && (
        <dl class="facts numbers">
          {Object.entries(row.stats).filter(([, value]) => value !== null).map(([key, value]) => (
            <div key={key}><dt>{key}</dt><dd>{key === "zeros" || key === "nan" || key === "inf" ? count(value) : short(value)}</dd></div>
          ))}
        </dl>
      )}
      <div class="bar">
        <CopyButton text={() => tsv(table([row], Object.keys(row.stats ?? {})))} />
      </div>
      {row.change && (
        <p>
          <strong class={row.change.change}>{row.change.change}</strong> {safe(row.change.before ?? "")} → {safe(row.change.after ?? "")}
          {row.change.relative !== null && ` (relative ${short(row.change.relative)}, largest ${short(row.change.max_abs)})`}
        </p>
      )}
      {row.gradient && (
        <p>
          gradient <strong class={row.gradient.state}>{row.gradient.state}</strong>
          {row.gradient.norm !== null && `, norm ${short(row.gradient.norm)}`}
          {row.gradient.reason && `: ${safe(row.gradient.reason)}`}
        </p>
      )}
    </aside>
  );
}
