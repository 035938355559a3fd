// Clients at work while something happens to a cluster: sends and receives through one address, and what became of them.
import { Code } from "@cometmq/proto";
import type { ClusterProcesses } from "./cluster-processes.ts";
import { messagingService, type RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;

/** What the clients of a load do. */
export interface LoadOptions {
  /** Through which broker all calls go. */
  readonly through: string;
  readonly topic: string;
  /** Brokers whose queues are received from. */
  readonly brokers: readonly string[];
}

/** Runs from construction to `stop`. */
export class ClusterLoad {
  /** Bodies that were acknowledged to the sender. */
  readonly sent: Set<string> = new Set();
  readonly received: Set<string> = new Set();
  /** What failed, as text. */
  readonly failures: string[] = [];
  readonly #options: LoadOptions;
  readonly #client: RawClient;
  readonly #loops: Promise<void>[] = [];
  readonly #sender: Promise<void>;
  #isSending = true;
  #isOver = false;

  constructor(cluster: ClusterProcesses, options: LoadOptions) {
    this.#options = options;
    this.#client = cluster.client(cluster.addressOf(options.through), `load@${options.topic}`);
    this.#sender = this.#loop("send", () => this.#send());
    for (const broker of options.brokers) {
      this.#loops.push(this.#loop(`receive ${broker}`, () => this.#receive(broker)));
    }
    this.#loops.push(this.#loop("route", () => this.#route()));
  }

  /** Waits until so many more messages have been sent and received. */
  async advance(count: number): Promise<void> {
    const [sent, received] = [this.sent.size + count, this.received.size + count];
    await until(
      "the load to advance",
      () => this.failures.length > 0 || (this.sent.size >= sent && this.received.size >= received),
      20_000,
    );
  }

  /** Ends the sends, waits until all that was sent has been received, and ends the rest. */
  async stop(): Promise<void> {
    this.#isSending = false;
    await this.#sender;
    await until(
      "all messages",
      () => [...this.sent].every((body) => this.received.has(body)) || this.failures.length > 0,
      20_000,
    );
    this.#isOver = true;
    // Ends the polls that are held.
    this.#client.close();
    await Promise.all(this.#loops);
  }

  async #loop(what: string, task: () => Promise<void>): Promise<void> {
    const isSender = what === "send";
    const goesOn = (): boolean => !this.#isOver && (this.#isSending || !isSender);
    while (goesOn() && this.failures.length === 0) {
      try {
        await task();
      } catch (error) {
        if (!goesOn()) return;
        this.failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  async #send(): Promise<void> {
    const body = `b${this.sent.size}`;
    const { status } = await this.#client.call(methods.SendMessage, {
      messages: [
        {
          topic: { name: this.#options.topic },
          systemProperties: { messageId: body, messageType: 1, bodyEncoding: 1 },
          body: Buffer.from(body),
        },
      ],
    });
    if (status?.code !== Code.OK) throw new Error(`${status?.code} ${status?.message}`);
    this.sent.add(body);
  }

  async #route(): Promise<void> {
    const wish = { topic: { name: this.#options.topic } };
    const { status } = await this.#client.call(methods.QueryRoute, wish);
    if (status?.code !== Code.OK) throw new Error(`${status?.code} ${status?.message}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async #receive(broker: string): Promise<void> {
    const { topic } = this.#options;
    const group = { name: "load" };
    const { code, text, messages } = await this.#client.receive({
      group,
      messageQueue: { topic: { name: topic }, id: -1, broker: { name: broker } },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 32,
      invisibleDuration: { seconds: 30 },
      longPollingTimeout: { seconds: 5 },
    }).done;
    if (code !== Code.OK && code !== Code.MESSAGE_NOT_FOUND) throw new Error(`${code} ${text}`);
    if (messages.length === 0) return;
    const entries = messages.map(({ systemProperties }) => ({
      messageId: systemProperties?.messageId ?? "",
      receiptHandle: systemProperties?.receiptHandle ?? "",
    }));
    const acked = await this.#client.call(methods.AckMessage, {
      group,
      topic: { name: topic },
      entries,
    });
    if (acked.status?.code !== Code.OK) throw new Error(`ack: ${acked.status?.code}`);
    for (const { body } of messages) this.received.add(Buffer.from(body).toString());
  }
}
