import { hierarchy, treemap, type HierarchyRectangularNode } from "d3-hierarchy";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytes, count, percent, safe, shape } from "./format";
import { moduleAt, type Module, type Row } from "./model";
import type { Change, State } from "./state";

const HEIGHT = 420;
/** A cell that is smaller is not drawn: its module's colour says that there is something. */
const LEAST = 3;
const LEVELS = 3;
const HEAD = 18;

interface Cell {
  module: Module | null;
  row: Row | null;
  label: string;
  value: number;
  cells: Cell[];
}

export function Treemap({ tree, state, change }: { tree: Module; state: State; change: Change }) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);
  const root = useMemo(() => moduleAt(tree, state.module), [tree, state.module]);
  const size = (each: Module | Row) =>
    state.size === "bytes"
      ? "counted" in each ? each.countedBytes : each.nbytes
      : "counted" in each ? each.counted : each.numel; // prettier-ignore
  const laid = useMemo(() => layOut(root, size, width), [root, width, state.size]);
  const whole = size(tree);
  const tell = (value: number) => (state.size === "bytes" ? bytes(value) : count(value));
  const steps = state.module === "" ? [] : state.module.split(".");
  return (
    <>
      <div class="bar">
        <nav aria-label="Module" class="crumbs">
          <button type="button" onClick={() => change({ module: "" })}>the model</button>
          {steps.map((step, number) => (
            <button key={number} type="button" onClick={() => change({ module: steps.slice(0, number + 1).join(".") })}>
              {safe(step)}
            </button>
          ))}
          <span>{tell(size(root))} {steps.length > 0 && `(${percent(size(root), whole)})`}</span>
        </nav>
        <label>
          Size{" "}
          <select value={state.size} onChange={(event) => change({ size: event.currentTarget.value as State["size"] })}>
            <option value="parameters">parameters</option>
            <option value="bytes">bytes</option>
          </select>
        </label>
      </div>
      <div ref={place} class="treemap">
        {width > 0 && (
          <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} role="group" aria-label={`${state.size} by module`}>
            {laid.map((node) => (
              <Box key={keyOf(node)} node={node} tell={tell} whole={whole} change={change} />
            ))}
          </svg>
        )}
      </div>
    </>
  );
}

type Node = HierarchyRectangularNode<Cell>;

function layOut(root: Module, size: (each: Module | Row) => number, width: number): Node[] {
  const parts = (module: Module): (Module | Row)[] =>
    [...module.children.values(), ...module.rows].filter((each) => size(each) > 0);
  const cell = (module: Module, outer: string, level: number): Cell => {
    let inner = module;
    let below = parts(inner);
    while (below.length === 1 && below[0] !== undefined && !("index" in below[0])) {
      inner = below[0];
      below = parts(inner);
    }
    const [only] = below;
    if (below.length === 1 && only !== undefined && "index" in only) return leaf(only, outer);
    const cells =
      level === 0 ? [] : below.map((each) => ("index" in each ? leaf(each, inner.path) : cell(each, inner.path, level - 1)));
    return { module: inner, row: null, label: relative(inner.path, outer), value: size(inner), cells };
  };
  const leaf = (row: Row, outer: string): Cell => ({ module: null, row, label: relative(row.name, outer), value: size(row), cells: [] });
  const top = hierarchy(cell(root, root.path, LEVELS), (each) => each.cells)
    .sum((each) => (each.cells.length > 0 ? 0 : each.value))
    .sort((one, other) => (other.value ?? 0) - (one.value ?? 0));
  const laid = treemap<Cell>()
    .size([width, HEIGHT])
    .paddingInner(1)
    .paddingTop((node) => (node.depth > 0 && node.children && node.y1 - node.y0 > 2 * HEAD && node.x1 - node.x0 > 2 * HEAD ? HEAD : 1))
    .round(true)(top);
  return laid.descendants().filter((node) => node.depth > 0 && node.x1 - node.x0 >= LEAST && node.y1 - node.y0 >= LEAST);
}

function relative(name: string, outer: string): string {
  return outer !== "" && name.startsWith(`${outer}.`) ? name.slice(outer.length + 1) : name;
}

function keyOf(node: Node): string {
  return node.data.module?.path ?? node.data.row?.name ?? "";
}

function Box({ node, tell, whole, change }: { node: Node; tell: (value: number) => string; whole: number; change: Change }) {
  const { data, depth, x0, x1, y0, y1 } = node;
  const width = x1 - x0;
  const height = y1 - y0;
  const name = data.module?.path ?? data.row?.name ?? "";
  const what = `${safe(name)}: ${tell(data.value)} (${percent(data.value, whole)})${data.row ? ` ${shape(data.row.shape)} ${data.row.dtype}` : ""}`;
  const room = Math.floor((width - 8) / 6.6);
  const label = safe(data.label);
  const open = () => (data.row ? change({ tensor: name }) : change({ module: name }));
  return (
    <g
      class={`box depth${depth} ${data.row ? "leaf" : ""}`}
      role="button"
      tabIndex={depth === 1 ? 0 : -1}
      aria-label={what}
      onClick={open}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          open();
        }
      }}
    >
      <title>{what}</title>
      <rect x={x0} y={y0} width={width} height={height} />
      {room >= 3 && height >= 14 && (
        <text x={x0 + 4} y={y0 + 13}>{label.length > room ? `${label.slice(0, room - 1)}…` : label}</text>
      )}
    </g>
  );
}
