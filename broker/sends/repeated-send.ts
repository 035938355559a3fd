// A send of which some messages may be in the log already: those are not stored again, and all are answered when what
// stands in the log is as durable as was promised. Rare: it may read the files.
import { assert, queueOffset } from "../../base/index.ts";
import {
  type Appended,
  isHeld,
  type RecordDraft,
  type RecordPlace,
  type RecordView,
  type Store,
} from "../store/index.ts";
import {
  checkSame,
  isRecordOf,
  type ReadRecords,
  type SendWindow,
  type Sent,
} from "./send-window.ts";

/** What of the store it needs. */
export type RepeatStore = Pick<Store, "start" | "read" | "readCold" | "send" | "sendAgain">;

/** Where the messages are now, in the order of the request. */
export interface SentAgain {
  readonly appended: readonly Appended[];
  /** The drafts, those of messages that were there before being what was stored then. */
  readonly stored: readonly RecordDraft[];
  /** Which of them were there before, by index. */
  readonly isRepeat: readonly boolean[];
}

/**
 * Stores those of `messages` that the log does not have, as one atomic group, and resolves when all of them may be
 * answered. Copies the drafts. Rejects with what `Store.send` does, and with ILLEGAL_MESSAGE_ID for another message of
 * the same id.
 */
export async function sendOnce(
  parts: { readonly window: SendWindow; readonly store: RepeatStore },
  messages: readonly Sent[],
  drafts: readonly RecordDraft[],
): Promise<SentAgain> {
  const { window, store } = parts;
  const kept = drafts.map(copyOf);
  const read = new Map<number, RecordView | undefined>();
  // Between two looks others may have sent the same, or the log may have lost what was found.
  for (;;) {
    const firsts = messages.map((message) => firstOf(parts, message, read));
    const cold = firsts.filter((first) => isPlace(first));
    if (cold.length > 0) {
      const place = cold[0];
      assert(place !== undefined, "a place to read");
      const [record] = await store.readCold([place]);
      read.set(place.position, record);
      continue;
    }
    const found = firsts.map((first) => (isPlace(first) ? undefined : first));
    return await settle({ window, store }, { messages, drafts: kept, found });
  }
}

async function settle(
  { window, store }: { readonly window: SendWindow; readonly store: RepeatStore },
  send: {
    readonly messages: readonly Sent[];
    readonly drafts: readonly RecordDraft[];
    readonly found: readonly (RecordView | undefined)[];
  },
): Promise<SentAgain> {
  const { messages, found } = send;
  let end = 0;
  const drafts = send.drafts.map((draft, index) => {
    const record = found[index];
    if (record === undefined) return draft;
    checkSame(record, draft);
    end = Math.max(end, record.position + record.size);
    return isHeld(record.type) ? { ...draft, type: record.type, dueMs: record.dueMs } : draft;
  });
  const isFresh = (_: unknown, index: number): boolean => found[index] === undefined;
  const fresh = drafts.filter(isFresh);
  window.prepare(messages.filter(isFresh));
  const storing = fresh.length > 0 ? store.send(fresh, window) : [];
  const repeating = end > 0 ? store.sendAgain(end) : undefined;
  const [stored] = await Promise.all([storing, repeating]);
  const rest = stored.values();
  const appended = found.map((record) =>
    record === undefined ? rest.next().value : placeOf(record),
  );
  return {
    appended: appended.filter((one) => one !== undefined),
    stored: drafts,
    isRepeat: found.map((record) => record !== undefined),
  };
}

/** As the store has said when it was appended: what is held has no queue offset. */
function placeOf(record: RecordView): Appended {
  const { position, size, storeTimeMs, type } = record;
  return {
    position,
    size,
    storeTimeMs,
    queueOffset: isHeld(type) ? queueOffset(0) : record.queueOffset,
  };
}

/** The record of the same topic and id; the place of one that has to be read first; undefined when there is none. */
function firstOf(
  { window, store }: { readonly window: SendWindow; readonly store: RepeatStore },
  message: Sent,
  read: ReadRecords,
): RecordView | RecordPlace | undefined {
  for (const place of window.places(message)) {
    const { position, size } = place;
    // What retention has deleted may be in memory still.
    if (position < store.start) continue;
    const record = read.get(position) ?? store.read(position, size);
    if (record === undefined && !read.has(position)) return place;
    if (record !== undefined && isRecordOf(record, message)) return record;
  }
  return undefined;
}

function isPlace(first: RecordView | RecordPlace | undefined): first is RecordPlace {
  return first !== undefined && !("systemProperties" in first);
}

/** The bytes of a request are good only until its handler has yielded. */
function copyOf(draft: RecordDraft): RecordDraft {
  return {
    ...draft,
    systemProperties: Uint8Array.from(draft.systemProperties),
    userProperties: Uint8Array.from(draft.userProperties),
    body: Uint8Array.from(draft.body),
  };
}
