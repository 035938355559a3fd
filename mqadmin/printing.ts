// Answers on a terminal: aligned columns, times people can read, JSON for scripts.
import type { Answer, Row } from "./answer.ts";

/** The text of an answer: JSON when `json`, else lines and an aligned table. */
export function render(answer: Answer, json: boolean): string {
  if (json) return `${JSON.stringify(answer.json, (_key, value: unknown) => plain(value), 2)}\n`;
  const out = [...(answer.lines ?? [])];
  if (answer.table !== undefined) {
    out.push(...table(answer.table.columns, answer.table.rows));
    if (answer.table.rows.length === 0) out.push("(none)");
  }
  return `${out.join("\n")}\n`;
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

function table(columns: readonly string[], rows: readonly Row[]): string[] {
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...rows.map((row) => String(row[i] ?? "").length)),
  );
  const line = (row: Row): string =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return typeof cell === "number" ? String(cell).padStart(width) : String(cell).padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(columns), ...rows.map(line)];
}

/** A moment as ISO 8601 text; "-" for 0. */
export function moment(ms: number): string {
  return ms > 0 ? new Date(ms).toISOString() : "-";
}
