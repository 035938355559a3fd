// Whether a message that is in no queue is held still: until its time, or until its producer ends its transaction.
import { cometmq } from "@cometmq/proto";
import type { HeldEntry, HeldKind } from "../../metadata/index.ts";
import { RecordType, type RecordView } from "../../store/index.ts";
import type { AdminContext } from "./admin-context.ts";

const { HoldState } = cometmq.v1;

const pageCount = 4_096;

/** What has become of the held message in `record` as the state says now. */
export async function holdOf(
  held: AdminContext["held"],
  record: RecordView,
): Promise<cometmq.v1.IHold> {
  const entry = held === undefined ? undefined : await entryOf(held, record);
  if (entry === undefined) return { state: HoldState.ENDED };
  const { kind, dueMs, count } = entry;
  if (kind === "timer") return { state: HoldState.DELAYED, dueMs };
  return { state: HoldState.HALF, dueMs, checkCount: count };
}

type Held = NonNullable<AdminContext["held"]>;

async function entryOf(held: Held, record: RecordView): Promise<HeldEntry | undefined> {
  const { dueMs, position } = record;
  switch (record.type) {
    case RecordType.delayedMessage:
      // One that was carried on has a newer record, which is found as well.
      return atPlace(await held.find({ kind: "timer", dueMs, id: position }), position);
    case RecordType.halfMessage:
      // Its due time has changed with each check.
      return await search(held, {
        kind: "half",
        position,
        fromMs: 0,
        toMs: Number.MAX_SAFE_INTEGER,
      });
    default: {
      const timer = await search(held, { kind: "timer", position, fromMs: dueMs, toMs: dueMs });
      if (timer !== undefined) return timer;
      const whenever = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
      return await search(held, { kind: "half", position, ...whenever });
    }
  }
}

function atPlace(entry: HeldEntry | undefined, position: number): HeldEntry | undefined {
  return entry?.position === position ? entry : undefined;
}

/** The message whose newest record lies at `position`, among those due in `[fromMs, toMs]`. */
async function search(
  held: Held,
  sought: {
    readonly kind: HeldKind;
    readonly position: number;
    readonly fromMs: number;
    readonly toMs: number;
  },
): Promise<HeldEntry | undefined> {
  let from = { dueMs: sought.fromMs, id: 0 };
  for (;;) {
    const { entries, isLast } = await held.page(sought.kind, from, pageCount);
    for (const entry of entries) {
      if (entry.dueMs > sought.toMs) return undefined;
      if (entry.position === sought.position) return entry;
    }
    const last = entries.at(-1);
    if (isLast || last === undefined) return undefined;
    from = { dueMs: last.dueMs, id: last.id + 1 };
  }
}
