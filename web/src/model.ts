/* Tensors as rows, and as a tree of modules. */

import type { Change, Gradient, Source, Statistics } from "./data";

export interface Row {
  index: number;
  name: string;
  shape: number[] | null;
  dtype: string;
  kind: string;
  numel: number;
  nbytes: number;
  /** Of these two, what is counted: nothing of a second name. */
  counted: number;
  countedBytes: number;
  tiedTo: string | null;
  encoding: string | null;
  type: string;
  stats: { [column: string]: number | null } | null;
  histogram: number[] | null;
  change: Change | null;
  gradient: Gradient | null;
}

export interface Module {
  name: string;
  path: string;
  type: string;
  children: Map<string, Module>;
  rows: Row[];
  numel: number;
  nbytes: number;
  tensors: number;
}

export function rowsOf(source: Source, changes: Change[], gradients: Gradient[]): Row[] {
  const { tensors, statistics } = source;
  const changed = new Map(changes.map((each) => [each.name, each]));
  const grads = new Map(gradients.map((each) => [each.name, each]));
  return tensors.name.map((name, index) => {
    const shape = tensors.shape[index] ?? null;
    const numel = tensors.numel[index] ?? (shape ?? []).reduce((product, each) => product * each, 1);
    const tiedTo = tensors.tied_to[index] ?? null;
    const nbytes = tensors.nbytes[index] ?? 0;
    return {
      index,
      name,
      shape,
      dtype: tensors.dtypes[tensors.dtype[index] ?? 0] ?? "",
      kind: tensors.kinds[tensors.kind[index] ?? 0] ?? "",
      numel,
      nbytes,
      counted: tiedTo === null ? numel : 0,
      countedBytes: tiedTo === null ? nbytes : 0,
      tiedTo,
      encoding: tensors.encoding[index] ?? null,
      type: tensors.types[name.slice(0, Math.max(name.lastIndexOf("."), 0))] ?? "",
      stats: statsOf(statistics, index),
      histogram: statistics?.histogram[index] ?? null,
      change: changed.get(name) ?? null,
      gradient: grads.get(name) ?? null,
    };
  });
}

function statsOf(statistics: Statistics | null, index: number): Row["stats"] {
  const values = statistics?.rows[index];
  if (statistics === null || values === undefined || values.length === 0) return null;
  return Object.fromEntries(statistics.columns.map((column, place) => [column, values[place] ?? null]));
}

function newModule(name: string, path: string, type: string): Module {
  return { name, path, type, children: new Map(), rows: [], numel: 0, nbytes: 0, tensors: 0 };
}

export function treeOf(rows: Row[], types: { [module: string]: string }): Module {
  const root = newModule("", "", types[""] ?? "");
  for (const row of rows) {
    let module = root;
    const parts = row.name.split(".").slice(0, -1);
    let path = "";
    add(module, row);
    for (const part of parts) {
      path = path === "" ? part : `${path}.${part}`;
      let child = module.children.get(part);
      if (child === undefined) {
        child = newModule(part, path, types[path] ?? "");
        module.children.set(part, child);
      }
      module = child;
      add(module, row);
    }
    module.rows.push(row);
  }
  return root;
}

function add(module: Module, row: Row): void {
  module.numel += row.counted;
  module.nbytes += row.countedBytes;
  module.tensors += row.tiedTo === null ? 1 : 0;
}

export function moduleAt(root: Module, path: string): Module {
  let module = root;
  for (const part of path === "" ? [] : path.split(".")) {
    const child = module.children.get(part);
    if (child === undefined) return root;
    module = child;
  }
  return module;
}
