import { useEffect, useMemo, useRef } from "preact/hooks";
import { Changes } from "./changes";
import type { Report } from "./data";
import { Drawer } from "./drawer";
import { safe } from "./format";
import { Gradients } from "./gradients";
import { Layers } from "./layers";
import { rowsOf, treeOf } from "./model";
import { Overview } from "./overview";
import { useHash, type View } from "./state";
import { Tensors } from "./tensors";
import { Ties } from "./ties";

const TITLES: Record<View, string> = {
  overview: "Overview",
  tensors: "Tensors",
  layers: "Layers",
  ties: "Ties",
  gradients: "Gradients",
  changes: "Changes",
};

function viewsOf(report: Report, source: number): View[] {
  const shown = report.sources[source];
  const views: View[] = ["overview", "tensors"];
  if (shown?.statistics) views.push("layers");
  if (shown?.ties.length) views.push("ties");
  if (report.gradients) views.push("gradients");
  if (report.changes) views.push("changes");
  return views;
}

export function App({ report }: { report: Report }) {
  const [state, change] = useHash();
  const last = report.sources.length - 1;
  const which = report.sources.length > 1 && state.source === 0 ? 0 : last;
  const source = report.sources[which];
  const main = useRef<HTMLElement>(null);
  const rows = useMemo(
    () => (source ? rowsOf(source, report.changes?.rows ?? [], report.gradients?.parameters ?? []) : []),
    [report, source],
  );
  const tree = useMemo(() => treeOf(rows, source?.tensors.types ?? {}), [rows, source]);
  const views = viewsOf(report, which);
  const view = views.includes(state.view) ? state.view : "overview";
  const open = state.tensor === "" ? undefined : rows.find((row) => row.name === state.tensor);

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") {
        if (state.tensor !== "") change({ tensor: "" });
        else if (event.target instanceof HTMLElement) event.target.blur();
        return;
      }
      if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
      const wanted = views[Number(event.key) - 1];
      if (wanted !== undefined) change({ view: wanted });
      if (event.key === "/") {
        event.preventDefault();
        change({ view: "tensors" });
        setTimeout(() => document.getElementById("filter")?.focus());
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [state.tensor, views.join()]);

  useEffect(() => {
    document.title = `${safe(report.sources.map((each) => base(each.info.source)).join(" → "))} · paraminspect`;
  }, [report]);

  if (source === undefined) return <p>There is nothing in this report.</p>;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>
        To the content
      </a>
      <header>
        <h1>{safe(report.sources.map((each) => base(each.info.source)).join(" → "))}</h1>
        <nav aria-label="Views">
          {views.map((each, number) => (
            <button
              key={each}
              type="button"
              class="tab"
              aria-current={each === view ? "page" : undefined}
              title={`Key ${number + 1}`}
              onClick={() => change({ view: each })}
            >
              {TITLES[each]}
            </button>
          ))}
        </nav>
        {last > 0 && view !== "changes" && (
          <div class="sources" role="group" aria-label="Source">
            {report.sources.map((each, number) => (
              <button key={number} type="button" aria-pressed={number === which} onClick={() => change({ source: number, tensor: "" })}>
                {safe(base(each.info.source))}
              </button>
            ))}
          </div>
        )}
      </header>
      <main id="main" ref={main} tabIndex={-1} class={open ? "beside" : ""}>
        {view === "overview" && <Overview source={source} tree={tree} state={state} change={change} />}
        {view === "tensors" && <Tensors source={source} rows={rows} tree={tree} state={state} change={change} />}
        {view === "layers" && <Layers rows={rows} columns={source.statistics?.columns ?? []} state={state} change={change} />}
        {view === "ties" && <Ties ties={source.ties} rows={rows} change={change} />}
        {view === "gradients" && report.gradients && <Gradients gradients={report.gradients} change={change} />}
        {view === "changes" && report.changes && (
          <Changes changes={report.changes} sources={report.sources} change={change} />
        )}
      </main>
      {open && <Drawer row={open} rows={rows} ties={source.ties} change={change} />}
      <footer>
        Written by paraminspect {report.version}. Keys: <kbd>/</kbd> filter, <kbd>1</kbd>–<kbd>{views.length}</kbd>{" "}
        views, arrows move, <kbd>Enter</kbd> opens, <kbd>c</kbd> copies a
        row, <kbd>Esc</kbd> closes.
      </footer>
    </>
  );
}

function base(source: string): string {
  return source.replace(/\/+$/, "").split("/").pop() || source;
}
