// Runs one seed: a cluster under faults and clients, then healed; gives what was found wrong.
import { createHash } from "node:crypto";
import { onBackgroundFailure } from "../../base/index.ts";
import type { Store } from "../../broker/store/index.ts";
import { Faults } from "./faults.ts";
import type { Machine } from "./machine.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

/** What came of a seed. */
export interface Outcome {
  readonly seed: number;
  readonly mode: string;
  readonly problems: readonly string[];
  readonly acked: number;
  readonly consumed: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Of everything that happened. */
  readonly traceHash: string;
  readonly trace: readonly string[];
}

const harmMs = 12_000;
const healMs = 60_000;

/** Runs a seed to its end. */
export async function simulate(seed: number): Promise<Outcome> {
  const world = new World(seed);
  const { time, mode } = world;
  const problems: string[] = [];
  onBackgroundFailure((error) => {
    problems.push(`BUG ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  });
  const watch = new ConfirmedWatch(world, problems);
  time.onStep = () => watch.look();
  for (const machine of world.machines) machine.start();
  await time.pass(3_000);
  const traffic = new Traffic(world);
  await time.pass(500);
  const faults = new Faults(world);
  await time.pass(harmMs);
  faults.heal();
  world.trace("HEALED");
  const isLevel = await levels(world, traffic);
  if (!isLevel)
    problems.push(`not level ${healMs} ms after everything was healed: ${describe(world)}`);
  problems.push(...traffic.faults);
  if (isLevel) problems.push(...(await compare(world, traffic, faults)));
  return {
    seed,
    mode: `${mode.isElected ? "elected" : "fixed"} ${mode.role} ${mode.flush} x${mode.brokers}`,
    problems,
    acked: traffic.acked.size,
    consumed: traffic.consumed.size,
    faults: Object.fromEntries(faults.counts),
    traceHash: createHash("sha256").update(world.lines.join("\n")).digest("hex"),
    trace: world.lines,
  };
}

/** Whether a master serves again and all have its log, within the time that healing may take. */
async function levels(world: World, traffic: Traffic): Promise<boolean> {
  try {
    await world.time.until(() => isServed(world), healMs);
    await world.time.pass(1_500);
    traffic.stop();
    await world.time.until(() => isAllLevel(world), healMs);
    return true;
  } catch {
    traffic.stop();
    return false;
  }
}

function isServed({ machines }: World): boolean {
  return machines.some(({ local }) => local?.canSend === true);
}

function isAllLevel({ machines }: World): boolean {
  const stores = machines.map(storeOf);
  const ruler = machines.find(({ local }) => local?.canSend === true);
  const master = ruler === undefined ? undefined : storeOf(ruler);
  if (master === undefined) return false;
  return stores.every(
    (store) => store !== undefined && store.end === master.end && store.confirmed === master.end,
  );
}

function storeOf(machine: Machine): Store | undefined {
  return machine.life?.replica?.slot.current?.store;
}

function describe({ machines }: World): string {
  return machines
    .map((machine) => {
      const store = storeOf(machine);
      const { life, startFailure } = machine;
      const standing = life?.replica?.standing.kind ?? `down ${startFailure}`;
      return `${machine.name} ${standing} end ${store?.end} confirmed ${store?.confirmed}`;
    })
    .join("; ");
}

/** Notes when a confirmed position goes back in a store's life. */
class ConfirmedWatch {
  readonly #world: World;
  readonly #problems: string[];
  readonly #known = new WeakMap<Store, number>();

  constructor(world: World, problems: string[]) {
    this.#world = world;
    this.#problems = problems;
  }

  look(): void {
    for (const machine of this.#world.machines) {
      const store = storeOf(machine);
      if (store === undefined) continue;
      const before = this.#known.get(store) ?? 0;
      if (store.confirmed < before) {
        this.#problems.push(
          `the confirmed position of ${machine.name} went back from ${before} to ${store.confirmed}`,
        );
      }
      this.#known.set(store, store.confirmed);
    }
  }
}

/** Compares what clients were told with what the logs hold in the end. */
async function compare(world: World, traffic: Traffic, faults: Faults): Promise<string[]> {
  const problems: string[] = [];
  const logs: Buffer[] = [];
  const stores = world.machines.flatMap((machine) => storeOf(machine) ?? []);
  // A slave removes what has expired a moment after its master.
  const start = Math.max(...stores.map((one) => one.start));
  // Progress may still be appended: what was level a moment ago is compared.
  const end = Math.min(...stores.map((one) => one.written));
  for (const one of stores) logs.push(await world.time.run(bytesOf(one, start, end)));
  for (const [index, log] of logs.entries()) {
    const at = firstDifference(logs[0] ?? log, log);
    if (at === undefined) continue;
    const epochs = stores[index]?.epochs.map(({ epoch, position }) => `${epoch} from ${position}`);
    problems.push(
      `log ${index + 1} differs from the first one at ${start + at}; epochs ${epochs?.join(", ")}`,
    );
  }
  const ruler = world.machines.find(({ local }) => local?.canSend === true);
  const store = ruler === undefined ? undefined : storeOf(ruler);
  if (store === undefined) return [...problems, "nobody rules any more"];
  const kept = await world.time.run(messagesOf(store, problems));
  const { mode } = world;
  const hadPowerCut = faults.counts.has("powerCut");
  // What is only in memory, a power cut may take: that is what ASYNC_FLUSH says.
  const isWeak = mode.flush === "ASYNC_FLUSH" && hadPowerCut;
  // An elected ASYNC_MASTER answers before the others have it.
  const isEarly = mode.isElected && mode.role === "ASYNC_MASTER";
  if (!isWeak && !isEarly) {
    for (const [body, { brokerId, epoch, atMs }] of traffic.acked) {
      if (!kept.has(body))
        problems.push(`LOST ${body}, acknowledged by ${brokerId} in epoch ${epoch} at ${atMs}`);
    }
  }
  if (!isWeak) {
    for (const { body, queueId, offset } of traffic.seen.values()) {
      if (kept.get(body) !== `${queueId}/${offset}`) {
        problems.push(
          `${body} was seen at ${queueId}/${offset}, and is at ${kept.get(body) ?? "no place"}`,
        );
      }
    }
  }
  if (mode.isElected && !isWeak) problems.push(...deliveredAgain(traffic, faults));
  return problems;
}

/** What came again although nothing had gone wrong around its acknowledgement. */
function deliveredAgain(traffic: Traffic, faults: Faults): string[] {
  return traffic.again
    .filter(
      ({ ackedAtMs }) =>
        !faults.atMs.some((atMs) => atMs > ackedAtMs - 100 && atMs < ackedAtMs + 3_000),
    )
    .map(
      ({ body, ackedAtMs, atMs }) =>
        `${body} was acknowledged at ${ackedAtMs} and came again at ${atMs}`,
    );
}

async function bytesOf(store: Store, start: number, end: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = start; at < end; ) {
    const bytes = await store.readLog(at, Math.min(65_536, end - at));
    if (bytes === undefined || bytes.length === 0) break;
    parts.push(bytes);
    at += bytes.length;
  }
  return Buffer.concat(parts);
}

/** Where each message is, by body; offsets of a queue have no gap. */
async function messagesOf(store: Store, problems: string[]): Promise<Map<string, string>> {
  const kept = new Map<string, string>();
  const next = new Map<number, number>();
  for await (const records of store.scan(store.start)) {
    for (const record of records) {
      if (record.topic !== "t") continue;
      const { queueId, queueOffset } = record;
      const expected = next.get(queueId) ?? queueOffset;
      if (queueOffset !== expected)
        problems.push(`queue ${queueId} goes from ${expected - 1} to ${queueOffset}`);
      next.set(queueId, queueOffset + 1);
      kept.set(Buffer.from(record.body).toString().trim(), `${queueId}/${queueOffset}`);
    }
  }
  return kept;
}

/** The first byte in which two logs differ, also when one of them ends there; undefined: they are the same. */
function firstDifference(one: Buffer, other: Buffer): number | undefined {
  if (one.equals(other)) return undefined;
  const end = Math.min(one.length, other.length);
  for (let at = 0; at < end; at += 1) if (one[at] !== other[at]) return at;
  return end;
}
