// Short words for what tests do with lite topics: queue 0 of the LITE topic `t`, group `g`.
import assert from "node:assert/strict";
import type { LiteLoss, LiteSync } from "../lite/lite-sync.ts";
import { messageGroupHash } from "../order/message-group-hash.ts";
import type { Delivered } from "../request.ts";
import { Scene } from "./scene.ts";

/** A scene whose topic is of type LITE, with one queue. */
export async function open(options: Parameters<typeof Scene.open>[0] = {}): Promise<Scene> {
  const topic = { readQueueNums: 1, messageType: "LITE" as const, ...options.topic };
  return await Scene.open({ ...options, topic });
}

/** Sends a message whose body is the name of its lite topic and its queue offset. */
export function send(scene: Scene, name: string): void {
  const offset = scene.store.queue("t", 0)?.items.length ?? 0;
  scene.store.send("t", 0, { body: `${name}${offset}`, messageGroupHash: messageGroupHash(name) });
}

/** What a client says: of `c1`, that it adds nothing, unless `request` says otherwise. */
export async function sync(scene: Scene, request: Partial<LiteSync>): Promise<readonly LiteLoss[]> {
  const group = scene.metadata.group("g");
  const topic = scene.metadata.topic("t");
  assert(group !== undefined && topic !== undefined);
  const result = scene.delivery.lite.sync({
    group,
    topic,
    clientId: "c1",
    change: "add",
    names: [],
    isExclusive: false,
    clientMax: 2_000,
    countMax: 200_000,
    ...request,
  });
  await scene.clock.pass(0);
  return await result;
}

/** Adds lite topics to what a client wants. */
export async function subscribe(scene: Scene, clientId: string, ...names: string[]): Promise<void> {
  await sync(scene, { clientId, names });
}

/** What a receive gives that does not wait. */
export async function bodies(scene: Scene, clientId = "c1"): Promise<string[]> {
  return textOf(await scene.receive({ clientId }));
}

/** A receive that waits. */
export function poll(scene: Scene, clientId: string): Promise<readonly Delivered[]> {
  return scene.receive({ clientId, pollingMs: 20_000 });
}

/** The bodies of messages. */
export function textOf(messages: readonly Delivered[]): string[] {
  return messages.map(({ record }) => Buffer.from(record.body).toString());
}

/** Acknowledges what is there for `c1`, and lets that be written. */
export async function ackAll(scene: Scene): Promise<void> {
  for (const message of await scene.receive()) scene.ack(message);
  await scene.clock.pass(100);
}
