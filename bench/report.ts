// What the benchmark says: a table for people, JSON for comparison, with the machine it ran on.
import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";

/** One measured line. */
export interface ReportRow {
  /** Which load. */
  readonly load: string;
  /** What was measured, with unit. */
  readonly measured: string;
  /** What it is held against, with unit. */
  readonly baseline: string;
  /** The figure the bar is about. */
  readonly figure: number;
  readonly bar: { readonly atLeast: number } | { readonly atMost: number };
  /** Everything else worth keeping. */
  readonly details?: Readonly<Record<string, number | string>>;
}

/** Whether a row meets its bar. */
export function isMet(row: ReportRow): boolean {
  return "atLeast" in row.bar ? row.figure >= row.bar.atLeast : row.figure <= row.bar.atMost;
}

/** The lines of the table. */
export function tableOf(rows: readonly ReportRow[]): string {
  const cells = rows.map((row) => [
    row.load,
    row.measured,
    row.baseline,
    short(row.figure),
    "atLeast" in row.bar ? `≥ ${row.bar.atLeast}` : `≤ ${row.bar.atMost}`,
    isMet(row) ? "met" : "MISSED",
  ]);
  const all = [["load", "measured", "against", "figure", "bar", ""], ...cells];
  const widths = (all[0] ?? []).map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The machine, the commit and the Node version of this run. */
export function circumstances(): Readonly<Record<string, string | number>> {
  return {
    commit: git("rev-parse", "--short", "HEAD"),
    changed: git("status", "--porcelain") === "" ? "no" : "yes",
    node: process.version,
    cores: cpus().length,
    processor: cpus()[0]?.model ?? "unknown",
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    platform: `${process.platform} ${process.arch}`,
    at: new Date().toISOString(),
  };
}

/** A rate as text. */
export function perSecond(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k/s` : `${value.toFixed(0)} /s`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

function git(...args: string[]): string {
  try {
    return execFileSync("git", args, { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
