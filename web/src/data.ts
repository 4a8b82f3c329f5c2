/* What stands in the page as JSON; docs/report.md says what each key means. Names in it are untrusted text. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Info {
  source: string;
  format: string;
  version: string | null;
  files: string[];
  nbytes: number | null;
  tensors: number;
  parameters: number;
  logical_parameters: number | null;
  tied: number;
  dtypes: string[];
  training: { [key: string]: Json } | null;
  metadata: { [key: string]: string };
  safety: string;
  severity: Severity | null;
  model: { [key: string]: Json };
  others: { [key: string]: number };
}

export type Severity = "info" | "warning" | "error" | "danger";

export interface Finding {
  severity: Severity;
  code: string;
  name: string;
  message: string;
  hint: string | null;
}

/** Of each tensor one element; those that few tensors have are kept by its index. */
export interface Tensors {
  name: string[];
  shape: (number[] | null)[];
  dtype: number[];
  dtypes: string[];
  nbytes: (number | null)[];
  kind: number[];
  kinds: string[];
  numel: { [index: string]: number };
  tied_to: { [index: string]: string };
  encoding: { [index: string]: string };
  types: { [module: string]: string };
}

export interface Statistics {
  columns: string[];
  rows: (number | null)[][];
  histogram: (number[] | null)[];
}

export interface Tie {
  kind: string;
  name: string;
  aliases: string[];
}

export interface Change {
  name: string;
  change: "added" | "removed" | "shape" | "dtype" | "values" | "tie";
  before: string | null;
  after: string | null;
  max_abs: number | null;
  relative: number | null;
  cosine: number | null;
}

export interface Gradient {
  name: string;
  state: "ok" | "zero" | "none" | "frozen" | "nan" | "inf";
  norm: number | null;
  max_abs: number | null;
  zero_fraction: number | null;
  norm_ratio: number | null;
  uses: { module: string; op: string; norm: number | null; cosine: number | null }[];
  reason: string | null;
}

export interface Source {
  info: Info;
  notes: string[];
  findings: Finding[];
  tensors: Tensors;
  statistics: Statistics | null;
  ties: Tie[];
}

export interface Report {
  schema: 1;
  version: string;
  sources: Source[];
  changes: { rows: Change[]; unchanged: number } | null;
  gradients: { loss: number | null; total_norm: number | null; parameters: Gradient[] } | null;
}

export function readReport(): Report {
  return JSON.parse(document.getElementById("data")?.textContent ?? "null") as Report;
}
