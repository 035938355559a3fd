// The steps that a schedule is made of, each with how often it is taken: what clients do, and what happens to the broker.
import type { SeededRandom } from "../simulation/seeded-random.ts";
import type { Clients } from "./clients.ts";
import type { Expectation } from "./expectation.ts";
import {
  isPulled,
  isRepeatable,
  type Kind,
  kindOf,
  kinds,
  messageGroups,
  priorities,
} from "./kinds.ts";
import { drawStart, liteOffset } from "./lite-places.ts";
import { liteTopics } from "./lite-sets.ts";
import type { ModelBroker } from "./model-broker.ts";
import { isKept } from "./renewals.ts";
import type { Draft, KindName, Sent } from "./sent.ts";
import { amounts, everything, filters } from "./wanted.ts";

/** What a step may do something with. */
export interface Scene {
  readonly random: SeededRandom;
  readonly broker: ModelBroker;
  readonly expectation: Expectation;
  readonly clients: Clients;
  /** Whether a power cut takes what was answered OK. */
  readonly isForgiving: boolean;
  /** Whether there are so many messages that there is no room for all of them. */
  readonly isCrowded: boolean;
  /** The kind that every second message is of, so that more happens to fewer. */
  readonly favourite: Kind;
  crashes: number;
}

/** Does something, and says what. */
export type Step = (scene: Scene) => Promise<string> | string;

function pickSent(
  { random, expectation }: Scene,
  isFit: (sent: Sent) => boolean,
): Sent | undefined {
  const fit = [...expectation.sent.values()].filter(isFit);
  return fit.length === 0 ? undefined : random.pick(fit);
}

/** A message with a receipt handle, mostly the newest. */
function pickHandle(scene: Scene): readonly [Sent, string] | undefined {
  const { random } = scene;
  if (random.next() < 0.85) {
    const sent = pickSent(scene, ({ handle, done }) => handle !== "" && done === "no");
    return sent && [sent, sent.handle];
  }
  const sent = pickSent(scene, ({ oldHandles, handle }) => oldHandles.size > 0 || handle !== "");
  return sent && [sent, random.pick([...sent.oldHandles, sent.handle].filter(Boolean))];
}

function draftOf({ random, broker }: Scene, { name }: Kind): Draft {
  const delayMs = random.pick([-1_000, 0, 200, 1_500, 6_000, 15_000]);
  return {
    tag: random.pick(["a", "b"]),
    amount: random.pick(amounts),
    messageGroup: name === "FIFO" ? random.pick(messageGroups) : "",
    liteTopic: name === "LITE" ? random.pick(liteTopics) : "",
    priority: name === "PRIORITY" ? random.pick(priorities) : 0,
    dueMs: name === "DELAY" ? Math.floor(broker.nowMs) + delayMs : 0,
  };
}

function pickKind({ random, favourite }: Scene): Kind {
  return random.next() < 0.5 ? favourite : random.pick(kinds);
}

function send(scene: Scene): string {
  const { random, clients } = scene;
  const kind = pickKind(scene);
  const count = random.next() < 0.7 ? 1 : 2 + random.below(3);
  clients.producers.send(
    kind,
    Array.from({ length: count }, () => draftOf(scene, kind)),
  );
  return `send ${count} ${kind.name}`;
}

/** Many messages are sent and received. */
async function flood(scene: Scene): Promise<string> {
  const { random, clients } = scene;
  const kind = kindOf("NORMAL");
  const batches = [0, 1, 2, 3];
  for (const _ of batches) {
    const drafts = Array.from({ length: 30 }, () => draftOf(scene, kind));
    clients.producers.send(kind, drafts);
  }
  await clients.settle();
  for (const client of [...kind.clients, ...kind.clients]) {
    const invisibleMs = random.pick([10_000, 60_000]);
    clients.consumers.receive({ kind, client, count: 32, invisibleMs, wanted: everything });
  }
  return "send and receive very many";
}

/** Half the age up to which a broker knows what it was sent. */
const repeatMs = 300_000;

function repeat(scene: Scene): string {
  const { random, clients, broker } = scene;
  const sent = pickSent(scene, ({ kind, sentAtMs }) => {
    return isRepeatable(kindOf(kind)) && broker.nowMs - sentAtMs < repeatMs;
  });
  if (sent === undefined) return "nothing to send again";
  const isOther = sent.stored === "yes" && random.next() < 0.15;
  clients.producers.repeat(kindOf(sent.kind), sent, isOther ? "other" : "same");
  return `send ${sent.id} again${isOther ? " with another body" : ""}`;
}

function receive(scene: Scene): string {
  const { random, clients } = scene;
  const kind = pickKind(scene);
  const client = random.pick(kind.clients);
  const count = 1 + random.below(4);
  const invisibleMs = random.pick([0, 0, 10_000, 15_000]);
  // What a filter skips need not come any more: with many filters nothing would be expected to come.
  const filterShares: Partial<Record<KindName, number>> = { NORMAL: 0.3, FIFO: 0.1 };
  const isFiltered = random.next() < (filterShares[kind.name] ?? 0);
  const wanted = isFiltered ? random.pick(filters) : everything;
  clients.consumers.receive({ kind, client, count, invisibleMs, wanted });
  const term = invisibleMs === 0 ? "as long as it lives" : `for ${invisibleMs} ms`;
  return `${client} receives up to ${count} ${kind.name} ${term}, ${wanted.expression}`;
}

function subscribe({ random, clients }: Scene): string {
  const kind = kindOf("LITE");
  const client = random.pick(kind.clients);
  const change = clients.consumers.lite.draw(client, random);
  clients.consumers.subscribe(kind, client, change);
  return `${client} wants the lite topics ${change.set.join(", ")}`;
}

/** Reads the dead letters there are: those of before a new start are told apart from those of after. */
async function buryAll({ broker, clients }: Scene): Promise<void> {
  clients.consumers.bury();
  await clients.settle();
  // What has to be read from files is there a moment later.
  await broker.time.pass(50);
  clients.consumers.bury();
  await clients.settle();
}

/** A client says where its group goes on in lite topics. */
async function startLite(scene: Scene): Promise<string> {
  const { random, broker, clients, expectation } = scene;
  await clients.settle();
  const { consumers } = clients;
  await buryAll(scene);
  const kind = kindOf("LITE");
  const client = random.pick(kind.clients);
  const lite = [...expectation.sent.values()].filter((sent) => sent.kind === "LITE");
  const end = Math.max(0, ...lite.map((sent) => liteOffset(sent) + 1));
  const start = drawStart(random, { nowMs: broker.nowMs, end });
  const change = consumers.lite.drawMore(client, random);
  consumers.subscribe(kind, client, change, start);
  await clients.settle();
  return `${client} wants the lite topics ${change.names.join(", ")} from ${start.words} on`;
}

/** Clients say again what they want when a broker's process is new; some take longer than others. */
function subscribeAgain({ random, clients }: Scene): void {
  const kind = kindOf("LITE");
  for (const client of kind.clients) {
    if (random.next() < 0.7)
      clients.consumers.subscribe(kind, client, clients.consumers.lite.again(client));
  }
}

function heartbeat({ random, clients }: Scene): string {
  const kind = random.pick(kinds);
  const client = random.pick(kind.clients);
  clients.consumers.heartbeat(kind, client);
  return `${client} says that it is there`;
}

/** A client takes long for what it has and says that it is there, while others ask for more. */
async function workLong(scene: Scene): Promise<string> {
  const { random, broker, clients } = scene;
  const sent = pickSent(scene, (one) => isKept(one) && one.done === "no");
  if (sent === undefined) return "nobody works long";
  const { id, renewedFor } = sent;
  const kind = kindOf(sent.kind);
  const seconds = 25 * (3 + random.below(6));
  const stopsAt = random.next() < 0.3 ? 50 : 0;
  for (let at = 25; at <= seconds; at += 25) {
    await broker.time.pass(25_000);
    clients.consumers.heartbeat(kind, renewedFor);
    // Whatever else is there comes first.
    for (const count of [16, 16]) {
      const client = random.pick(kind.clients);
      clients.consumers.receive({ kind, client, count, invisibleMs: 10_000, wanted: everything });
      await clients.settle();
    }
    if (at === stopsAt) await restart(scene);
  }
  return `${renewedFor} works on ${id} for ${seconds} s`;
}

function pull(scene: Scene): string {
  const { random, broker, clients, expectation } = scene;
  const { pullers } = clients;
  const favourite = pickKind(scene);
  const kind = isPulled(favourite) ? favourite : kindOf("NORMAL");
  const queueId = random.pick(kind.queueIds);
  const name = `${kind.name} ${queueId}`;
  const known = [...expectation.sent.values()].filter((sent) => {
    return sent.kind === kind.name && sent.queueId === queueId && sent.stored === "yes";
  });
  const end = Math.max(0, ...known.map(({ offset }) => offset + 1));
  const offset = random.below(end + 1);
  // The offset of a group in lite topics moves with those that go.
  switch (kind.name === "LITE" ? 2 + random.below(4) : random.below(6)) {
    case 0:
      pullers.update({ kind, queueId, offset });
      return `store ${offset} of ${name}`;
    case 1:
      if (random.next() < 0.2) pullers.updateBeyond({ kind, queueId });
      else pullers.get({ kind, queueId });
      return `ask for the stored offset of ${name}`;
    case 2:
      pullers.query(
        { kind, queueId },
        Math.floor(broker.nowMs - random.pick([0, 10, 1_000, 30_000])),
      );
      return `ask for the offsets of ${name}`;
    default: {
      const wanted = random.next() < 0.6 ? everything : random.pick(filters);
      const count = random.pick([1, 3, 32]);
      const from = random.next() < 0.1 ? offset + 5 : offset;
      pullers.pull({ kind, queueId, offset: from, count, wanted });
      return `pull up to ${count} of ${name} from ${from}, ${wanted.expression}`;
    }
  }
}

async function leave({ random, clients }: Scene): Promise<string> {
  await clients.settle();
  const kind = random.pick(kinds);
  const client = random.pick(kind.clients);
  clients.consumers.leave(kind, client);
  await clients.settle();
  if (kind.name === "LITE" && random.next() < 0.7) {
    clients.consumers.subscribe(kind, client, clients.consumers.lite.again(client));
  }
  return `${client} says goodbye`;
}

async function disconnect({ random, clients }: Scene): Promise<string> {
  await clients.settle();
  const client = random.pick(random.pick(kinds).clients);
  clients.consumers.disconnect(client);
  return `${client} loses its connection`;
}

function acknowledge(scene: Scene): string {
  const [sent, handle] = pickHandle(scene) ?? [];
  if (sent === undefined || handle === undefined) return "nothing to acknowledge";
  scene.clients.consumers.acknowledge(sent, handle);
  return `acknowledge ${sent.id}${handle === sent.handle ? "" : " by an old handle"}`;
}

function changeInvisible(scene: Scene): string {
  const [sent, handle] = pickHandle(scene) ?? [];
  if (sent === undefined || handle === undefined) return "nothing to change";
  const invisibleMs = scene.random.pick([0, 0, 1_000, 20_000]);
  scene.clients.consumers.changeInvisible(sent, handle, invisibleMs);
  return `hide ${sent.id} for ${invisibleMs} ms`;
}

function deadLetter(scene: Scene): string {
  const [sent, handle] = pickHandle(scene) ?? [];
  if (sent === undefined || handle === undefined) return "nothing to give up";
  scene.clients.consumers.deadLetter(sent, handle);
  return `give ${sent.id} up`;
}

function recall(scene: Scene): string {
  const sent = pickSent(scene, ({ recallHandle }) => recallHandle !== "");
  if (sent === undefined) return "nothing to recall";
  const { recallHandle } = sent;
  const isForged = scene.random.next() < 0.1;
  const last = recallHandle.endsWith("A") ? "B" : "A";
  const at = Math.floor(recallHandle.length / 2);
  const forged = `${recallHandle.slice(0, at)}${recallHandle[at] === "A" ? "B" : last}${recallHandle.slice(at + 1)}`;
  scene.clients.producers.recall(sent, isForged ? forged : recallHandle);
  return `recall ${sent.id}${isForged ? " by a forged handle" : ""}`;
}

function end(scene: Scene): string {
  const sent = pickSent(scene, ({ transactionId }) => transactionId !== "");
  if (sent === undefined) return "no transaction to end";
  const resolution = scene.random.pick(["commit", "commit", "rollback", "unknown"] as const);
  scene.clients.producers.end(sent, resolution);
  return `end ${sent.id}: ${resolution}`;
}

async function pass({ random, broker }: Scene): Promise<string> {
  const ms = random.pick([1, 30, 60, 500, 2_000, 10_000, 15_000, 15_000, 60_000, 125_000]);
  await broker.time.pass(ms);
  return `wait ${ms} ms`;
}

async function reset(scene: Scene): Promise<string> {
  const { random, broker, clients, expectation } = scene;
  await clients.settle();
  // Lite topics have no offsets that operators set.
  const kind = random.pick(kinds.filter(({ name }) => name !== "LITE"));
  const queueId = random.pick(kind.queueIds);
  const place = { group: kind.group, topic: kind.topic, queueId };
  const { offsets } = broker.local.delivery;
  const { minOffset, endOffset } = offsets.bounds(place);
  const offset = random.pick([
    minOffset,
    endOffset,
    minOffset + random.below(endOffset - minOffset + 1),
  ]);
  await buryAll(scene);
  await broker.time.run(offsets.reset([{ place, offset }]));
  expectation.reset(kind.name, queueId, offset);
  return `set ${kind.name} ${queueId} to ${offset}`;
}

async function connectProducer({ clients }: Scene): Promise<string> {
  clients.producers.connect();
  return "a producer comes";
}

async function restart(scene: Scene): Promise<string> {
  const { broker, clients, expectation } = scene;
  await clients.settle();
  await broker.close();
  expectation.renewals.ended(broker.nowMs);
  clients.stopped();
  await start(scene);
  subscribeAgain(scene);
  return "stop and start";
}

async function start({ broker, expectation: { renewals, idleLite } }: Scene): Promise<void> {
  const fromMs = broker.nowMs;
  await broker.start();
  renewals.began(fromMs, broker.nowMs);
  idleLite.restarted();
}

async function crash(scene: Scene): Promise<string> {
  const { broker, clients, expectation, random, isForgiving } = scene;
  scene.crashes += 1;
  const isPowerCut = random.next() < 0.5;
  clients.crash();
  expectation.crash(broker.nowMs);
  if (isPowerCut) broker.cutPower();
  else broker.kill();
  if (isPowerCut && isForgiving) {
    expectation.forgive();
    clients.pullers.committed.forgive();
  }
  await start(scene);
  subscribeAgain(scene);
  return isPowerCut ? "the power goes" : "killed";
}

const weighted: readonly (readonly [number, Step])[] = [
  [10, send],
  [2, repeat],
  [10, receive],
  [2, subscribe],
  [1.5, startLite],
  [4, pull],
  [1, heartbeat],
  [2, workLong],
  [0.7, leave],
  [0.7, disconnect],
  [9, acknowledge],
  [4, changeInvisible],
  [1, deadLetter],
  [2, recall],
  [4, end],
  [7, pass],
  [1, reset],
  [1, connectProducer],
  [1, restart],
  [1.5, crash],
];

/** One of the steps. */
export function pickStep({ random, isCrowded, expectation }: Scene): Step {
  if (isCrowded && expectation.sent.size < 300 && random.next() < 0.1) return flood;
  const total = weighted.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const [weight, step] of weighted) {
    left -= weight;
    if (left < 0) return step;
  }
  throw new Error("no weight is left");
}
