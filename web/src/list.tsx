/* Rows of which only those in sight are drawn, with arrow keys, and copied as tsv. */

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export const ROW = 26;
/** Rows of a printed page. */
const PRINTED = 2000;

export interface Column {
  key: string;
  title: string;
  number?: boolean;
  sortable?: boolean;
}

export type Copied = (string | number | null)[];

interface Props<Item> {
  label: string;
  items: Item[];
  columns: Column[];
  /** Of the grid of one row. */
  template: string;
  keyOf: (item: Item) => string;
  cells: (item: Item) => ComponentChildren[];
  open: (item: Item) => void;
  /** What is copied of one, under the same headings as of all. */
  copied: (item: Item) => Copied;
  /** For the left and right arrow: fold and unfold. */
  fold?: (item: Item, wanted: boolean) => void;
  level?: (item: Item) => { level: number; expanded: boolean | undefined };
  selected?: string;
  sort?: string;
  onSort?: (sort: string) => void;
}

export function List<Item>(props: Props<Item>) {
  const { items, columns, template, keyOf, cells, open, copied, fold, level, selected, sort, onSort } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const [, redraw] = useState(0);
  const [at, setAt] = useState(0);
  const [printing, setPrinting] = useState(false);
  const options = {
    count: items.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 12,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => redraw((before) => before + 1),
  };
  const virtual = useMemo(() => new Virtualizer<HTMLDivElement, HTMLDivElement>(options), []);
  virtual.setOptions(options);
  useLayoutEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => virtual._willUpdate());
  useEffect(() => setAt((before) => Math.min(before, Math.max(items.length - 1, 0))), [items.length]);
  useEffect(() => {
    const before = () => setPrinting(true);
    const after = () => setPrinting(false);
    addEventListener("beforeprint", before);
    addEventListener("afterprint", after);
    return () => {
      removeEventListener("beforeprint", before);
      removeEventListener("afterprint", after);
    };
  }, []);

  const press = (event: KeyboardEvent) => {
    const item = items[at];
    const page = Math.max(Math.floor((scroll.current?.clientHeight ?? 400) / ROW) - 1, 1);
    const to: Record<string, number> = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: items.length - 1,
    }; // prettier-ignore
    const wanted = to[event.key];
    if (wanted !== undefined) {
      event.preventDefault();
      const next = Math.max(0, Math.min(items.length - 1, wanted));
      setAt(next);
      virtual.scrollToIndex(next);
    } else if (item !== undefined && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      open(item);
    } else if (item !== undefined && fold && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      event.preventDefault();
      fold(item, event.key === "ArrowRight");
    } else if (item !== undefined && event.key === "c" && !event.altKey && getSelection()?.isCollapsed !== false) {
      event.preventDefault();
      void copyText(tsv([copied(item)]));
    }
  };
  const shown = printing
    ? items.slice(0, PRINTED).map((_, index) => ({ index, start: index * ROW }))
    : virtual.getVirtualItems();
  const active = items[at];
  const grid = { gridTemplateColumns: template, minWidth: `${leastWidth(template)}rem` };
  return (
    <div class="list">
      <div
        ref={scroll}
        class="scroll"
        role="treegrid"
        aria-label={props.label}
        aria-rowcount={items.length + 1}
        aria-colcount={columns.length}
        aria-activedescendant={active === undefined ? undefined : `row-${at}`}
        tabIndex={0}
        onKeyDown={press}
      >
        <div role="rowgroup" class="head">
          <div role="row" class="row" aria-rowindex={1} style={grid}>
            {columns.map((column) => (
              <div
                key={column.key}
                role="columnheader"
                class={column.number ? "number" : ""}
                aria-sort={sort === column.key ? "ascending" : sort === `-${column.key}` ? "descending" : undefined}
              >
                {onSort && column.sortable !== false && !printing ? (
                  <button type="button" class="sort" tabIndex={-1} onClick={() => onSort(nextSort(sort ?? "", column))}>
                    {column.title}
                    {sort === column.key ? " ↑" : sort === `-${column.key}` ? " ↓" : ""}
                  </button>
                ) : (
                  column.title
                )}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" class="rows" style={{ height: `${items.length * ROW}px` }}>
          {shown.map(({ index, start }) => {
            const item = items[index];
            if (item === undefined) return null;
            const where = level?.(item);
            return (
              <div
                key={keyOf(item)}
                id={`row-${index}`}
                role="row"
                aria-rowindex={index + 2}
                aria-level={where?.level}
                aria-expanded={where?.expanded}
                aria-selected={keyOf(item) === selected}
                class={`row ${index === at ? "at" : ""}`}
                style={{ ...grid, transform: `translateY(${start}px)` }}
                onClick={() => {
                  setAt(index);
                  open(item);
                }}
              >
                {cells(item).map((cell, place) => (
                  <div key={place} role="gridcell" class={columns[place]?.number ? "number" : ""}>{cell}</div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** Of all columns and the gaps between, in rem: narrower, and rows can be scrolled to the side. */
function leastWidth(template: string): number {
  const widths = [...template.matchAll(/([\d.]+)rem/g)].map((match) => Number(match[1]));
  return widths.reduce((sum, each) => sum + each + 0.7, 1.2);
}

/** The largest first of numbers, then the smallest, then as in the file; of text the other way round. */
function nextSort(sort: string, column: Column): string {
  const [first, second] = column.number ? [`-${column.key}`, column.key] : [column.key, `-${column.key}`];
  return sort === first ? second : sort === second ? "" : first;
}

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }
}

export function CopyButton({ text }: { text: () => string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      onClick={async () => {
        await copyText(text());
        setDone(true);
        setTimeout(() => setDone(false), 1500);
      }}
    >
      {done ? "copied" : "copy as tsv"}
    </button>
  );
}

export function tsv(rows: Copied[]): string {
  return rows.map((row) => row.map((cell) => (cell === null ? "" : String(cell).replace(/[\t\n\r]/g, " "))).join("\t")).join("\n");
}
