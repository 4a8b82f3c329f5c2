/* The filter box: words that must all match. `*attn*` is a glob over the whole name, `Linear:*` one inside modules of
   such a class, `dtype:bf*` one over types, `!x` what must not match, and anything else is looked for in the name. */

import type { Row } from "./model";

type Test = (row: Row) => boolean;

export function glob(pattern: string): RegExp {
  const text = pattern.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  try {
    return new RegExp(`^(?:${text})$`, "is");
  } catch {
    return /^$/; // an open bracket
  }
}

function one(word: string, types: { [module: string]: string }): Test {
  if (word.startsWith("!") && word.length > 1) {
    const inner = one(word.slice(1), types);
    return (row) => !inner(row);
  }
  const [, head, rest] = /^([^:]+):(.*)$/.exec(word) ?? [];
  if (head === "dtype" || head === "kind") {
    const pattern = glob(`${rest}*`);
    return (row) => pattern.test(head === "dtype" ? row.dtype : row.kind);
  }
  if (head !== undefined) {
    const wanted = glob(head);
    const name = glob(rest || "*");
    const modules = new Set(Object.keys(types).filter((path) => wanted.test(types[path]?.split(".").pop() ?? "")));
    return (row) => name.test(row.name) && inside(row.name, modules);
  }
  if (/[*?[]/.test(word)) {
    const pattern = glob(word);
    return (row) => pattern.test(row.name);
  }
  const part = word.toLowerCase();
  return (row) => row.name.toLowerCase().includes(part);
}

function inside(name: string, modules: Set<string>): boolean {
  if (modules.has("")) return true;
  for (let end = name.lastIndexOf("."); end > 0; end = name.lastIndexOf(".", end - 1)) {
    if (modules.has(name.slice(0, end))) return true;
  }
  return false;
}

export function parseFilter(text: string, types: { [module: string]: string }): Test {
  const tests = text.split(/\s+/).filter(Boolean).map((word) => one(word, types));
  return (row) => tests.every((test) => test(row));
}
