// A producer and a consumer of the SDK that run while brokers fail, and what came of it.
import assert from "node:assert/strict";
import { Producer } from "@cometmq/client";
import { type FaultRow, noteFault } from "./fault-table.ts";
import type { HaCluster } from "./ha-cluster.ts";
import { SteadyReceiver } from "./steady-receiver.ts";
import { SteadySender } from "./steady-sender.ts";

/** Acknowledgements younger than this when a broker dies may be lost with it: 50 ms until they are logged, and the way to the slaves. */
export const progressBoundMs = 250;

/** Sends and receives until `finish`. */
export class Load {
  readonly sender: SteadySender;
  readonly receiver: SteadyReceiver;
  readonly #producer: Producer;
  /** When brokers died or stopped. */
  readonly #faultsMs: number[] = [];
  #isClosed = false;

  private constructor(parts: {
    readonly producer: Producer;
    readonly sender: SteadySender;
    readonly receiver: SteadyReceiver;
  }) {
    this.#producer = parts.producer;
    this.sender = parts.sender;
    this.receiver = parts.receiver;
  }

  /** Starts both; resolves when messages flow. */
  static async start(
    cluster: HaCluster,
    options: {
      readonly topic: string;
      readonly lanes?: number;
      readonly pauseMs?: number;
      readonly sizeBytes?: number;
    },
  ): Promise<Load> {
    const { endpoints } = cluster;
    const { topic } = options;
    const producer = new Producer({ endpoints, topics: [topic] });
    await producer.startup();
    const receiver = await SteadyReceiver.start({ endpoints, topic, group: `${topic}-group` });
    const send = (body: string): Promise<unknown> =>
      producer.send({ topic, body: Buffer.from(body) });
    const { lanes = 8, pauseMs = 5 } = options;
    const sender = new SteadySender(send, { lanes, pauseMs });
    await sender.more(50);
    return new Load({ producer, sender, receiver });
  }

  /** A broker dies or stops, now or at another time of `performance.now()`. Gives when. */
  fault(atMs: number = performance.now()): number {
    this.#faultsMs.push(atMs);
    return atMs;
  }

  /** Milliseconds from `act` to the first acknowledgement of a send that began after it. */
  async gapOf(act: () => unknown, withinMs = 60_000): Promise<number> {
    const atMs = this.sender.mark();
    this.fault();
    await act();
    return await this.sender.firstAckAfter(atMs, withinMs);
  }

  /** Messages that came again though their acknowledgement was older than the bound when a broker died. */
  deliveredAgain(): readonly string[] {
    const isExcused = (ackedMs: number): boolean =>
      this.#faultsMs.some((at) => ackedMs > at - progressBoundMs && ackedMs < at + progressBoundMs);
    return this.receiver.afterAck
      .filter(({ ackedMs }) => !isExcused(ackedMs))
      .map(({ body }) => body);
  }

  /** Ends both, also in the middle of a failure. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all([this.sender.stop(), this.receiver.stop()]);
    await this.#producer.shutdown();
  }

  /** Stops, waits for all that was acknowledged, and notes the row. Nothing may be lost or come again. */
  async finish(
    row: Pick<FaultRow, "topology" | "fault"> & { readonly gap?: string },
    options: { readonly mayFail?: boolean } = {},
  ): Promise<void> {
    const { sender, receiver } = this;
    const gapMs = sender.takeLongestGap();
    await sender.stop();
    const missing = await receiver.drain(sender.acknowledged.keys());
    const again = this.deliveredAgain();
    await this.close();
    noteFault({
      topology: row.topology,
      fault: row.fault,
      lost: missing.length,
      duplicated: again.length,
      storedTwice: receiver.storedTwice.size,
      failed: sender.failures.length,
      gap: row.gap ?? `${(gapMs / 1_000).toFixed(2)} s`,
    });
    assert.deepEqual(missing.slice(0, 5), [], `${missing.length} acknowledged messages are lost`);
    assert.deepEqual(again.slice(0, 5), [], `${again.length} came again after their ack`);
    if (options.mayFail !== true) assert.deepEqual(sender.failures.slice(0, 3), []);
  }
}
