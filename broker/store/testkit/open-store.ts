// Opens stores for tests and says what is in them.
import { type LogFields, type Logger, silentLogger } from "../../../base/index.ts";
import type { Appended } from "../ack-line.ts";
import { type RecordDraft, RecordType, type RecordView } from "../record.ts";
import { Store } from "../store.ts";
import type { StoreOptions } from "../store-options.ts";
import { ManualClock } from "./manual-clock.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

const noBytes = new Uint8Array(0);

/** A message to topic `t` with the given text as body. */
export function draft(text: string, given: Partial<RecordDraft> = {}): RecordDraft {
  return {
    type: RecordType.message,
    topic: "t",
    queueId: 0,
    systemProperties: noBytes,
    userProperties: noBytes,
    body: Buffer.from(text),
    ...given,
  };
}

/** What a record carries as text. */
export function textOf(record: RecordView | undefined): string | undefined {
  return record === undefined ? undefined : Buffer.from(record.body).toString();
}

/** Opens a store on a simulated disk, not begun. */
export function openStore(
  disk: SimulatedDisk = new SimulatedDisk(),
  given: Partial<StoreOptions> = {},
): Promise<Store> {
  const clock = new ManualClock();
  return Store.open({ disk, clock, logger: silentLogger, folder: "/data", ...given });
}

/** Opens a store and begins. */
export async function beginStore(
  disk: SimulatedDisk = new SimulatedDisk(),
  given: Partial<StoreOptions> = {},
): Promise<Store> {
  const store = await openStore(disk, given);
  await store.begin();
  return store;
}

/** Appends one message. */
export async function send(
  store: Store,
  text: string,
  given: Partial<RecordDraft> = {},
): Promise<Appended> {
  const [appended] = await store.append([draft(text, given)]);
  if (appended === undefined) throw new Error("nothing appended");
  return appended;
}

/** All bodies of a queue, read through its entries. */
export async function readQueue(store: Store, topic = "t", queueId = 0): Promise<string[]> {
  const queue = store.queue(topic, queueId);
  const texts: string[] = [];
  if (queue === undefined) return texts;
  for (let from = queue.minOffset; from < queue.endOffset; ) {
    const entries = queue.entries(from, 32) ?? (await queue.load(from, 32));
    for (let index = 0; index < entries.count; index += 1) {
      const place = { position: entries.position(index), size: entries.size(index) };
      const record = store.read(place.position, place.size) ?? (await store.readCold([place]))[0];
      if (record === undefined) throw new Error(`message ${entries.from + index} is missing`);
      if (record.queueOffset !== entries.from + index || record.topic !== topic) {
        throw new Error(`entry ${entries.from + index} points to the wrong record`);
      }
      texts.push(textOf(record) ?? "");
    }
    from = entries.from + entries.count;
  }
  return texts;
}

/** All records of the log. */
export async function scanAll(store: Store, from: number = store.start): Promise<RecordView[]> {
  const found: RecordView[] = [];
  for await (const batch of store.scan(from)) found.push(...batch);
  return found;
}

/** A logger that remembers warnings and errors. */
export class MemoryLogger implements Logger {
  readonly lines: { readonly message: string; readonly fields: LogFields }[] = [];

  error(message: string, fields: LogFields = {}): void {
    this.lines.push({ message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ message, fields });
  }

  info(): void {}

  debug(): void {}

  child(): Logger {
    return this;
  }
}

/** Waits until a condition holds; fails after a while. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("the condition did not come true");
}

/** A promise and what resolves it. */
export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: (() => void) | undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve?.() };
}
