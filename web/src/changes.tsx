import { useMemo, useState } from "preact/hooks";
import type { Change as Changed, Report, Source } from "./data";
import { count, safe, short } from "./format";
import { CopyButton, List, tsv, type Column, type Copied } from "./list";
import type { Change } from "./state";

const COLUMNS: Column[] = [
  { key: "name", title: "name" },
  { key: "change", title: "change" },
  { key: "before", title: "before", sortable: false },
  { key: "after", title: "after", sortable: false },
  { key: "relative", title: "relative", number: true },
  { key: "bar", title: "", sortable: false },
  { key: "max_abs", title: "largest", number: true },
];

/** Sums of modules by which one sees where most has changed. */
interface Part {
  path: string;
  changed: number;
  whole: number;
  most: number;
}

export function Changes({ changes, sources, change }: { changes: NonNullable<Report["changes"]>; sources: Source[]; change: Change }) {
  const [sort, setSort] = useState("");
  const rows = useMemo(() => ordered(changes.rows, sort), [changes, sort]);
  const most = useMemo(() => changes.rows.reduce((max, each) => Math.max(max, each.relative ?? 0), 0) || 1, [changes]);
  const parts = useMemo(() => partsOf(changes.rows, sources[sources.length - 1]), [changes, sources]);
  return (
    <section class="tensors">
      <div class="bar">
        <h2>What has changed</h2>
        <span>{count(changes.rows.length)} changes, {count(changes.unchanged)} unchanged</span>
        <CopyButton text={() => tsv([["name", "change", "before", "after", "relative", "max_abs"], ...rows.map(copiedOf)])} />
      </div>
      {parts.length > 1 && (
        <ul class="parts" aria-label="By module">
          {parts.map((part) => (
            <li key={part.path}>
              <span class="leaf">{safe(part.path) || "the model"}</span>
              <span class="share"><span class="fill" style={{ width: `${(100 * part.most) / most}%` }} /></span>
              <span class="dim">{count(part.changed)} of {count(part.whole)} tensor{part.whole === 1 ? "" : "s"}{part.most > 0 && `, at most ${short(part.most)}`}</span>
            </li>
          ))}
        </ul>
      )}
      {rows.length === 0 ? <p>Nothing.</p> : (
        <List<Changed>
          label="Changes"
          items={rows}
          columns={COLUMNS}
          template="minmax(14rem, 3fr) 5rem minmax(7rem, 1fr) minmax(7rem, 1fr) 6rem minmax(5rem, 1fr) 6rem"
          keyOf={(each) => `${each.name} ${each.change}`}
          open={(each) => change({ tensor: each.name })}
          copied={copiedOf}
          sort={sort}
          onSort={setSort}
          cells={(each) => [
            <span class="leaf" title={safe(each.name)}>{safe(each.name)}</span>,
            <span class={each.change}>{each.change}</span>,
            safe(each.before ?? ""),
            safe(each.after ?? ""),
            relativeOf(each),
            each.relative ? <span class="share"><span class="fill" style={{ width: `${(100 * each.relative) / most}%` }} /></span> : "",
            each.change === "values" && each.max_abs === null ? "" : short(each.max_abs),
          ]}
        />
      )}
    </section>
  );
}

function copiedOf(each: Changed): Copied {
  return [each.name, each.change, each.before, each.after, each.relative, each.max_abs];
}

/** A change of values whose size is no number has NaN or an infinity on one side. */
function relativeOf(each: Changed) {
  return each.change === "values" && each.relative === null ? <span class="nan">not finite</span> : short(each.relative);
}

function ordered(rows: Changed[], sort: string): Changed[] {
  if (sort === "") return rows;
  const down = sort.startsWith("-");
  const key = (down ? sort.slice(1) : sort) as keyof Changed;
  const sorted = [...rows].sort((one, other) => {
    const [left, right] = [one[key], other[key]];
    if (typeof left === "string" || typeof right === "string") return String(left).localeCompare(String(right), "en", { numeric: true });
    const size = (value: typeof left, row: Changed) => Number(value ?? (row.change === "values" ? Number.MAX_VALUE : -1));
    return size(left, one) - size(right, other);
  });
  return down ? sorted.reverse() : sorted;
}

const MOST_PARTS = 40;

/** By the first part of the name behind which there is a choice, and the number of the layer. */
function partsOf(rows: Changed[], after: Source | undefined): Part[] {
  const names = [...new Set([...(after?.tensors.name ?? []), ...rows.map((each) => each.name)])];
  const outer = commonModule(names);
  const found = new Map<string, Part>();
  const pathOf = (name: string) => {
    const parts = name.slice(outer.length).split(".");
    const deep = parts.length > 2 && /^\d+$/.test(parts[1] ?? "") ? 2 : 1;
    return outer + parts.slice(0, Math.min(deep, parts.length - 1) || 1).join(".");
  };
  for (const name of names) {
    const path = pathOf(name);
    const part = found.get(path) ?? { path, changed: 0, whole: 0, most: 0 };
    part.whole += 1;
    found.set(path, part);
  }
  for (const name of new Set(rows.map((each) => each.name))) {
    const part = found.get(pathOf(name));
    if (part !== undefined) part.changed += 1;
  }
  for (const each of rows) {
    const part = found.get(pathOf(each.name));
    if (part !== undefined) part.most = Math.max(part.most, each.relative ?? 0);
  }
  return [...found.values()].filter((part) => part.changed > 0).slice(0, MOST_PARTS);
}

function commonModule(names: string[]): string {
  const first = names[0]?.split(".") ?? [];
  let shared = 0;
  while (shared < first.length - 1 && names.every((name) => name.split(".")[shared] === first[shared])) shared += 1;
  return first.slice(0, shared).map((part) => `${part}.`).join("");
}
