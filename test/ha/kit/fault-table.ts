// What a run of faults came to: one row for each topology and fault, printed when all is done.

/** One row. */
export interface FaultRow {
  readonly topology: string;
  readonly fault: string;
  /** Acknowledged and never delivered. */
  readonly lost: number;
  /** Stored more than once. */
  readonly storedTwice?: number;
  /** Delivered again although the acknowledgement had been accepted before the progress bound. */
  readonly duplicated: number;
  /** Sends that failed in the end. */
  readonly failed?: number;
  readonly gap: string;
}

const rows: FaultRow[] = [];

/** Keeps a row for the table. */
export function noteFault(row: FaultRow): void {
  rows.push(row);
}

/** Prints the table, when there are rows. */
export function printFaults(): void {
  if (rows.length === 0) return;
  const head = [
    ...["topology", "fault", "lost", "delivered again", "stored twice", "failed sends"],
    "longest gap",
  ];
  const cells = rows.map((row) => [
    ...[row.topology, row.fault, String(row.lost), String(row.duplicated)],
    ...[String(row.storedTwice ?? "-"), String(row.failed ?? "-"), row.gap],
  ]);
  const all = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  for (const row of all) {
    console.log(`    ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`);
  }
  rows.length = 0;
}
