// Whether messages that are in no queue are held still: until their time, or until their producers end their transactions.
import { cometmq } from "@cometmq/proto";
import type { HeldEntry } from "../../metadata/index.ts";
import { RecordType, type RecordView } from "../../store/index.ts";
import type { AdminContext } from "./admin-context.ts";

const { HoldState } = cometmq.v1;

const pageCount = 4_096;

type Held = NonNullable<AdminContext["held"]>;

/** What has become of the held messages in `records` as the state says now, by position. */
export async function holdsOf(
  held: AdminContext["held"],
  records: readonly RecordView[],
): Promise<ReadonlyMap<number, cometmq.v1.IHold>> {
  const holds = new Map<number, cometmq.v1.IHold>();
  /** A transaction is due at another time after each check: those are found by a look at all. */
  const unknown = new Set<number>();
  for (const record of records) {
    const timer = held === undefined ? undefined : await timerOf(held, record);
    holds.set(record.position, timer === undefined ? ended : holdOf(timer));
    if (timer === undefined && record.type !== RecordType.delayedMessage) {
      unknown.add(record.position);
    }
  }
  if (held === undefined || unknown.size === 0) return holds;
  for await (const half of halves(held)) {
    if (unknown.has(half.position)) holds.set(half.position, holdOf(half));
  }
  return holds;
}

const ended: cometmq.v1.IHold = { state: HoldState.ENDED };

function holdOf({ kind, dueMs, count }: HeldEntry): cometmq.v1.IHold {
  if (kind === "timer") return { state: HoldState.DELAYED, dueMs };
  return { state: HoldState.HALF, dueMs, checkCount: count };
}

async function timerOf(
  held: Held,
  { type, dueMs, position }: RecordView,
): Promise<HeldEntry | undefined> {
  if (type === RecordType.halfMessage) return undefined;
  if (type === RecordType.delayedMessage) {
    const entry = await held.find({ kind: "timer", dueMs, id: position });
    // One that was carried on has a newer record, which is found as well.
    return entry?.position === position ? entry : undefined;
  }
  for await (const entry of entriesFrom(held, "timer", dueMs)) {
    if (entry.dueMs > dueMs) return undefined;
    if (entry.position === position) return entry;
  }
  return undefined;
}

function halves(held: Held): AsyncGenerator<HeldEntry> {
  return entriesFrom(held, "half", 0);
}

async function* entriesFrom(
  held: Held,
  kind: HeldEntry["kind"],
  fromMs: number,
): AsyncGenerator<HeldEntry> {
  let from = { dueMs: fromMs, id: 0 };
  for (;;) {
    const { entries, isLast } = await held.page(kind, from, pageCount);
    yield* entries;
    const last = entries.at(-1);
    if (isLast || last === undefined) return;
    from = { dueMs: last.dueMs, id: last.id + 1 };
  }
}
