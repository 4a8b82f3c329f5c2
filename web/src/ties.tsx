import type { Tie } from "./data";
import { bytes, safe, shape } from "./format";
import type { Row } from "./model";
import type { Change } from "./state";

export function Ties({ ties, rows, change }: { ties: Tie[]; rows: Row[]; change: Change }) {
  const known = new Map(rows.map((row) => [row.name, row]));
  return (
    <section>
      <h2>One tensor, several names</h2>
      <ul class="ties">
        {ties.map((tie) => {
          const row = known.get(tie.name);
          return (
            <li key={tie.name}>
              <span class="kind">{tie.kind}</span>
              {[tie.name, ...tie.aliases].map((name, number) => (
                <span key={name}>
                  {number > 0 && " = "}
                  <button type="button" class="link" onClick={() => change({ tensor: name })}>{safe(name)}</button>
                </span>
              ))}
              {row && <span class="dim"> {shape(row.shape)} {row.dtype}, {bytes(row.nbytes)}</span>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
