import type { Finding, Json, Source } from "./data";
import { bytes, count, safe } from "./format";
import type { Module } from "./model";
import type { Change, State } from "./state";
import { Treemap } from "./treemap";

interface Props {
  source: Source;
  tree: Module;
  state: State;
  change: Change;
}

export function Overview({ source, tree, state, change }: Props) {
  const { info, findings, notes } = source;
  const facts = factsOf(source);
  return (
    <>
      <section class="cards" aria-label="In short">
        <Card title="parameters" value={count(info.parameters)} below={info.tied > 0 ? `${count(info.tied)} tied` : ""} />
        <Card title="tensors" value={count(info.tensors)} below={info.dtypes.join(", ")} />
        <Card
          title="size"
          value={info.nbytes === null ? "–" : bytes(info.nbytes)}
          below={info.nbytes === null ? "in memory only" : `${info.format}, ${count(Math.max(info.files.length, 1))} file${info.files.length > 1 ? "s" : ""}`}
        />
        <Card title="safety" value={info.severity ?? "ok"} below={safe(info.safety)} tone={info.severity ?? "good"} />
      </section>
      {findings.length > 0 && <Findings findings={findings} />}
      <section>
        <h2>Where the {state.size} are</h2>
        <Treemap tree={tree} state={state} change={change} />
      </section>
      <section>
        <h2>What it says of itself</h2>
        <dl class="facts">
          {facts.map(([key, value]) => (
            <div key={key}>
              <dt>{safe(key)}</dt>
              <dd>{safe(value)}</dd>
            </div>
          ))}
        </dl>
        {notes.length > 0 && (
          <ul class="notes">
            {notes.map((note) => (
              <li key={note}>{safe(note)}</li>
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

function Card({ title, value, below, tone }: { title: string; value: string; below: string; tone?: string }) {
  return (
    <div class={`card ${tone ?? ""}`}>
      <div class="title">{title}</div>
      <div class="value">{value}</div>
      <div class="below">{below}</div>
    </div>
  );
}

function Findings({ findings }: { findings: Finding[] }) {
  return (
    <section>
      <h2>Findings</h2>
      <ul class="findings">
        {findings.map((each, number) => (
          <li key={number} class={each.severity}>
            <strong>{each.severity}</strong> <code>{each.code}</code> {each.name && <code>{safe(each.name)}</code>}
            <div>{safe(each.message)}</div>
            {each.hint && <div class="hint">{safe(each.hint)}</div>}
          </li>
        ))}
      </ul>
    </section>
  );
}

const MOST = 60;

function factsOf(source: Source): [string, string][] {
  const { info } = source;
  const facts: [string, string][] = [
    ["source", info.source],
    ["format", info.version ? `${info.format}, version ${info.version}` : info.format],
  ];
  for (const [key, value] of Object.entries(info.model)) facts.push([key.replaceAll("_", " "), words(value)]);
  for (const [key, value] of Object.entries(info.training ?? {})) {
    const text = words(value);
    if (text !== "" && text !== "{}" && text !== "[]") facts.push([`training: ${key.replaceAll("_", " ")}`, text]);
  }
  for (const [key, value] of Object.entries(info.others)) if (value > 0) facts.push([`besides: ${key}`, count(value)]);
  for (const [key, value] of Object.entries(info.metadata).slice(0, MOST)) facts.push([key, value]);
  return facts.map(([key, value]) => [key, value.length > 400 ? `${value.slice(0, 399)}…` : value]);
}

function words(value: Json): string {
  if (value === null) return "";
  if (typeof value === "object") return JSON.stringify(value);
  return typeof value === "number" && Number.isInteger(value) ? count(value) : String(value);
}
