import { useDeferredValue } from "./later";
import { useMemo, useState } from "preact/hooks";
import type { Source } from "./data";
import { parseFilter } from "./filter";
import { bytes, count, percent, safe, shape, short } from "./format";
import { CopyButton, List, tsv, type Column, type Copied } from "./list";
import type { Module, Row } from "./model";
import { Spark } from "./spark";
import type { Change, State } from "./state";

interface Props {
  source: Source;
  rows: Row[];
  tree: Module;
  state: State;
  change: Change;
}

/** One line: a module, or a tensor. */
interface Item {
  level: number;
  label: string;
  module: Module | null;
  row: Row | null;
}

const MOST_LINES = 30;
const STATISTICS = ["mean", "std", "norm", "zero_fraction", "nan"];

export function Tensors({ source, rows, tree, state, change }: Props) {
  const [open, setOpen] = useState<Set<string>>(() => firstOpen(tree));
  const wanted = useDeferredValue(state.filter);
  const { statistics } = source;
  const columns = useMemo(() => columnsOf(source, rows), [source, rows]);
  const flat = wanted.trim() !== "" || state.sort !== "";
  const matching = useMemo(() => {
    const test = parseFilter(wanted, source.tensors.types);
    return wanted.trim() === "" ? rows : rows.filter(test);
  }, [rows, wanted, source]);
  const sorted = useMemo(() => sort(matching, state.sort), [matching, state.sort]);
  const items = useMemo(
    () => (flat ? sorted.map((row) => ({ level: 0, label: row.name, module: null, row })) : unfolded(tree, open)),
    [flat, sorted, tree, open],
  );
  const longest = useMemo(() => items.reduce((most, item) => Math.max(most, item.label.length + (item.row?.tiedTo?.length ?? 0)), 0), [items]);
  const template = templateOf(columns, longest);
  const toggle = (path: string, on: boolean) => {
    const next = new Set(open);
    if (on) next.add(path);
    else next.delete(path);
    setOpen(next);
  };
  const counted = matching.reduce((sum, row) => sum + row.counted, 0);
  return (
    <section class="tensors">
      <div class="bar">
        <input
          id="filter"
          type="search"
          aria-label="Filter tensors"
          placeholder="filter: attn   *.bias   Linear:*   dtype:bf   !norm"
          title="Words that must all match: part of a name, a glob, CLASS:glob, dtype:.., kind:.., !not"
          value={state.filter}
          onInput={(event) => change({ filter: event.currentTarget.value })}
          spellcheck={false}
        />
        <span role="status">
          {count(matching.length)} of {count(rows.length)} names, {count(counted)} parameters
        </span>
        {!flat && (
          <>
            <button type="button" onClick={() => setOpen(allModules(tree))}>unfold</button>
            <button type="button" onClick={() => setOpen(new Set())}>fold</button>
          </>
        )}
        <CopyButton text={() => tsv(table(flat ? sorted : rows, statistics?.columns ?? []))} />
      </div>
      <List<Item>
        label="Tensors"
        items={items}
        columns={columns}
        template={template}
        keyOf={(item) => item.row?.name ?? `${item.module?.path}.`}
        selected={state.tensor}
        level={(item) => ({ level: item.level + 1, expanded: item.module ? open.has(item.module.path) : undefined })}
        fold={(item, on) => item.module && toggle(item.module.path, on)}
        open={(item) => (item.row ? change({ tensor: item.row.name }) : item.module && toggle(item.module.path, !open.has(item.module.path)))}
        copied={(item) => (item.row ? copiedOf(item.row, statistics?.columns ?? []) : [item.module?.path ?? "", null, null, item.module?.numel ?? null, item.module?.nbytes ?? null, null])}
        sort={state.sort}
        onSort={(next) => change({ sort: next })}
        cells={(item) => columns.map((column) => cell(item, column.key, tree.numel, open))}
      />
    </section>
  );
}

function columnsOf(source: Source, rows: Row[]): Column[] {
  const columns: Column[] = [
    { key: "name", title: "name" },
    { key: "shape", title: "shape", sortable: false },
    { key: "dtype", title: "dtype" },
    { key: "numel", title: "elements", number: true },
    { key: "share", title: "share", sortable: false },
    { key: "nbytes", title: "size", number: true },
  ];
  for (const key of STATISTICS) {
    const place = source.statistics?.columns.indexOf(key) ?? -1;
    if (place >= 0 && source.statistics?.rows.some((row) => row[place])) columns.push({ key, title: key.replace("_fraction", "s"), number: true });
  }
  if (source.statistics) columns.push({ key: "histogram", title: "values", sortable: false });
  if (rows.some((row) => row.change)) columns.push({ key: "relative", title: "change", number: true });
  if (rows.some((row) => row.gradient)) columns.push({ key: "gradient", title: "gradient", number: true });
  return columns;
}

/** Rem of a letter of a name. */
const LETTER = 0.55;
const MOST_REM = 34;

function templateOf(columns: Column[], longest: number): string {
  const least = Math.min(Math.max(14, Math.ceil(longest * LETTER) + 2), MOST_REM);
  const widths: Record<string, string> = {
    name: `minmax(${least}rem, 3fr)`, shape: "minmax(6rem, 1fr)", dtype: "5.5rem", numel: "7.5rem", share: "6rem",
    nbytes: "5.5rem", mean: "5.6rem", std: "5.6rem", histogram: "4.6rem", relative: "6rem",
  }; // prettier-ignore
  return columns.map((column) => widths[column.key] ?? "5rem").join(" ");
}

function cell(item: Item, key: string, whole: number, open: Set<string>) {
  const { row, module } = item;
  const part = row ? row.counted : (module?.numel ?? 0);
  switch (key) {
    case "name":
      return (
        <span class={row ? "leaf" : "module"} style={{ paddingLeft: `${item.level * 0.9}rem` }} title={safe(row?.name ?? module?.path ?? "")}>
          {module && <span class="fold" aria-hidden="true">{open.has(module.path) ? "▾" : "▸"}</span>}
          {safe(item.label) || '""'}
          {module?.type && <span class="dim"> {safe(module.type.split(".").pop() ?? "")}</span>}
          {row?.tiedTo && <span class="tie"> = {safe(row.tiedTo)}</span>}
        </span>
      );
    case "shape":
      return row ? <span class="dim">{shape(row.shape)}</span> : <span class="dim">{count(module?.tensors)} tensor{module?.tensors === 1 ? "" : "s"}</span>;
    case "dtype":
      return row ? (row.encoding ?? row.dtype) : "";
    case "numel":
      return row?.tiedTo ? "" : count(part);
    case "share":
      return part > 0 ? (
        <span class="share" title={percent(part, whole)}>
          <span class="fill" style={{ width: `${Math.max((100 * part) / (whole || 1), 0.5)}%` }} />
          <span class="text">{percent(part, whole)}</span>
        </span>
      ) : "";
    case "nbytes":
      return row?.tiedTo ? "" : bytes(row ? row.nbytes : module?.nbytes);
    case "histogram":
      return row ? <Spark counts={row.histogram} /> : "";
    case "relative":
      return row?.change ? <span class={row.change.change}>{row.change.change === "values" ? short(row.change.relative) : row.change.change}</span> : "";
    case "gradient":
      return row?.gradient ? <span class={row.gradient.state}>{row.gradient.state === "ok" ? short(row.gradient.norm) : row.gradient.state}</span> : "";
    default: {
      const value = row?.stats?.[key] ?? null;
      return <span class={key === "nan" && value ? "danger" : value === 0 ? "dim" : ""}>{key === "zero_fraction" && value !== null ? percent(value, 1) : short(value)}</span>;
    }
  }
}

/** Module after module, the outer ones first, as long as all lines fit on a screen. */
function firstOpen(tree: Module): Set<string> {
  const open = new Set<string>();
  let queue = [tree];
  let lines = entriesOf(tree).length;
  while (queue.length > 0) {
    const next: Module[] = [];
    for (const module of queue) {
      for (const each of entriesOf(module)) {
        if ("index" in each) continue;
        const more = entriesOf(each).length;
        if (lines + more > MOST_LINES) continue;
        lines += more;
        open.add(each.path);
        next.push(each);
      }
    }
    queue = next;
  }
  return open;
}

/** What is directly in a module, in the order of the file; one that holds a single tensor is that tensor. */
function entriesOf(module: Module): (Module | Row)[] {
  const entries = [...[...module.children.values()].map((child) => onlyRow(child) ?? child), ...module.rows];
  const first = (each: Module | Row): number => ("index" in each ? each.index : firstIndex(each));
  return entries.sort((one, other) => first(one) - first(other));
}

function onlyRow(module: Module): Row | null {
  const [child] = module.children.values();
  if (module.rows.length + module.children.size !== 1) return null;
  return module.rows[0] ?? (child ? onlyRow(child) : null);
}

function allModules(tree: Module): Set<string> {
  const open = new Set<string>();
  const visit = (module: Module) => {
    for (const child of module.children.values()) {
      open.add(child.path);
      visit(child);
    }
  };
  visit(tree);
  return open;
}

function unfolded(tree: Module, open: Set<string>): Item[] {
  const items: Item[] = [];
  const visit = (module: Module, level: number) => {
    const outer = module.path === "" ? 0 : module.path.length + 1;
    for (const each of entriesOf(module)) {
      if ("index" in each) items.push({ level, label: each.name.slice(outer), module: null, row: each });
      else {
        items.push({ level, label: each.name, module: each, row: null });
        if (open.has(each.path)) visit(each, level + 1);
      }
    }
  };
  visit(tree, 0);
  return items;
}

const firsts = new WeakMap<Module, number>();

function firstIndex(module: Module): number {
  let known = firsts.get(module);
  if (known === undefined) {
    known = module.rows[0]?.index ?? Number.POSITIVE_INFINITY;
    for (const child of module.children.values()) known = Math.min(known, firstIndex(child));
    firsts.set(module, known);
  }
  return known;
}

function valueOf(row: Row, key: string): number | string | null {
  if (key === "name" || key === "dtype") return row[key];
  if (key === "numel") return row.counted;
  if (key === "nbytes") return row.countedBytes;
  if (key === "relative") return row.change ? (row.change.relative ?? Number.POSITIVE_INFINITY) : null;
  if (key === "gradient") return row.gradient?.norm ?? null;
  return row.stats?.[key] ?? null;
}

const natural = new Intl.Collator("en", { numeric: true });

function sort(rows: Row[], by: string): Row[] {
  if (by === "") return rows;
  const down = by.startsWith("-");
  const key = down ? by.slice(1) : by;
  const keyed = rows.map((row) => [valueOf(row, key), row] as const);
  const known = keyed.filter(([value]) => value !== null);
  known.sort(([one], [other]) =>
    typeof one === "string" ? natural.compare(one, String(other)) : Number(one) - Number(other),
  );
  if (down) known.reverse();
  return [...known, ...keyed.filter(([value]) => value === null)].map(([, row]) => row);
}

/** Tensors under headings, as they are copied. */
export function table(rows: Row[], columns: string[]): Copied[] {
  return [["name", "shape", "dtype", "numel", "nbytes", "tied_to", ...columns], ...rows.map((row) => copiedOf(row, columns))];
}

function copiedOf(row: Row, columns: string[]): Copied {
  const stats = columns.map((column) => row.stats?.[column] ?? null);
  return [row.name, shape(row.shape), row.dtype, row.numel, row.nbytes, row.tiedTo, ...stats];
}
