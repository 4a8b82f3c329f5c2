/* Numbers and names as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function count(value: number | null | undefined): string {
  return value == null ? "" : value.toLocaleString("en-US");
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return "";
  let unit = 0;
  let scaled = value;
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${scaled.toPrecision(3)} ${UNITS[unit]}`;
}

export function short(value: number | null | undefined): string {
  if (value == null) return "";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${((100 * part) / whole).toFixed(1)}%` : "";
}

export function shape(value: number[] | null): string {
  return value === null ? "[?]" : `[${value.join(",")}]`;
}

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Text of others on one line, with what would not be seen, or would turn the line around, written out. */
export function safe(text: string): string {
  return text.replace(HIDDEN, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
