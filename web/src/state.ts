/* What is looked at, kept in the URL behind "#", so that a link shows the same. */

import { useEffect, useState } from "preact/hooks";

export type View = "overview" | "tensors" | "layers" | "ties" | "gradients" | "changes";

export interface State {
  view: View;
  /** Which of two sources. */
  source: number;
  filter: string;
  /** Column, behind "-" if the largest come first; "" keeps the order of the file in a tree. */
  sort: string;
  /** Module that the map is zoomed into. */
  module: string;
  /** Tensor in the drawer. */
  tensor: string;
  size: "parameters" | "bytes";
  statistic: string;
}

const START: State = {
  view: "overview", source: 0, filter: "", sort: "", module: "", tensor: "", size: "parameters", statistic: "std",
}; // prettier-ignore

function read(): State {
  const given = new URLSearchParams(location.hash.slice(1));
  const state: State = { ...START };
  for (const [key, value] of given) {
    if (key === "source") state.source = value === "1" ? 1 : 0;
    else if (key in state) (state as unknown as Record<string, string>)[key] = value;
  }
  return state;
}

function write(state: State): void {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (value !== START[key as keyof State]) given.set(key, String(value));
  }
  const text = given.toString();
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname);
}

export type Change = (part: Partial<State>) => void;

export function useHash(): [State, Change] {
  const [state, set] = useState(read);
  useEffect(() => {
    const follow = () => set(read());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    try {
      write(state);
    } catch {
      // a page inside a frame of another origin has no history
    }
  }, [state]);
  return [state, (part) => set((before) => ({ ...before, ...part }))];
}
