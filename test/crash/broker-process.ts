// A real server process on a data folder, and what a client does with it: send, receive, acknowledge.
import assert from "node:assert/strict";
import { type ProgramProcess, run } from "../e2e/program-process.ts";
import { brokerAdminService, messagingService, RawClient } from "../e2e/raw-client.ts";

const { methods } = messagingService;
const ok = 20_000;
let sentCount = 0;

/** What a send was answered with. */
export interface SendAnswer {
  readonly code: number;
  readonly text: string;
  readonly offset: number;
}

/** Starts `bin/cometmq` on `folder`; it need not become ready. */
export function runOn(folder: string, ...flags: string[]): ProgramProcess {
  const ports = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];
  return run("cometmq", "--data", folder, ...ports, ...flags);
}

/** A server that is ready, and a client of it. */
export class BrokerProcess {
  readonly program: ProgramProcess;
  readonly client: RawClient;

  private constructor(program: ProgramProcess, client: RawClient) {
    this.program = program;
    this.client = client;
  }

  static async start(folder: string, ...flags: string[]): Promise<BrokerProcess> {
    const program = runOn(folder, ...flags);
    const { grpc = "" } = await program.ready();
    return new BrokerProcess(program, new RawClient(grpc));
  }

  /** Everything it has written about itself. */
  get log(): string {
    return this.program.stdout + this.program.stderr;
  }

  /** Ends it; by SIGTERM it must end well. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    this.client.close();
    const { code } = await this.program.stop(signal);
    if (signal === "SIGTERM") assert.equal(code, 0, this.log);
  }

  /** Sends one message, by default to queue 1. */
  async send(
    topic: string,
    body: string,
    given: { readonly queueId?: number; readonly key?: string } = {},
  ): Promise<SendAnswer> {
    sentCount += 1;
    const { entries, status } = await this.client.call(methods.SendMessage, {
      messages: [
        {
          topic: { name: topic },
          systemProperties: {
            messageId: `crash-${process.pid}-${sentCount}`,
            keys: given.key === undefined ? [] : [given.key],
            messageType: 1,
            bodyEncoding: 1,
            bornHost: "test",
            queueId: given.queueId ?? 1,
          },
          body: Buffer.from(body),
        },
      ],
    });
    const entry = entries[0];
    const found = entry?.status ?? status;
    return { code: found?.code ?? 0, text: found?.message ?? "", offset: entry?.offset ?? 0 };
  }

  /** Sends one message that has to be stored. */
  async store(topic: string, body: string, given: { readonly key?: string } = {}): Promise<number> {
    const { code, text, offset } = await this.send(topic, body, given);
    assert.equal(code, ok, text);
    return offset;
  }

  /** Receives `count` messages at least and acknowledges them. Gives their bodies. */
  async consume(topic: string, group: string, count: number): Promise<string[]> {
    const bodies: string[] = [];
    while (bodies.length < count) {
      const found = await this.take(topic, group, Math.min(32, count - bodies.length));
      assert.ok(found.length > 0, `${bodies.length} of ${count} messages came`);
      bodies.push(...found);
    }
    return bodies;
  }

  /** One receive of up to `batchSize` messages, all acknowledged. Gives their bodies; none when none came in a second. */
  async take(topic: string, group: string, batchSize = 32): Promise<string[]> {
    const { messages } = await this.client.receive({
      group: { name: group },
      messageQueue: { topic: { name: topic }, id: -1 },
      filterExpression: { type: 1, expression: "*" },
      batchSize,
      invisibleDuration: { seconds: 60 },
      longPollingTimeout: { seconds: 1 },
    }).done;
    if (messages.length > 0) {
      const { status } = await this.client.call(methods.AckMessage, {
        group: { name: group },
        topic: { name: topic },
        entries: messages.map(({ systemProperties }) => ({
          messageId: systemProperties?.messageId ?? "",
          receiptHandle: systemProperties?.receiptHandle ?? "",
        })),
      });
      assert.equal(status?.code, ok, status?.message);
    }
    return messages.map(({ body }) => Buffer.from(body).toString());
  }

  /** First and next offset of queue 1; undefined when the topic is not known. */
  async bounds(topic: string): Promise<readonly [number, number] | undefined> {
    const { queues } = await this.client.call(brokerAdminService.methods.GetTopicStatus, {
      name: topic,
    });
    const queue = queues.find(({ queueId }) => queueId === 1);
    return queue === undefined ? undefined : [queue.minOffset, queue.maxOffset];
  }

  /** How many messages of a topic are found by a key. */
  async countByKey(topic: string, key: string): Promise<number> {
    const { messages } = await this.client.call(brokerAdminService.methods.QueryMessageByKey, {
      topic,
      key,
    });
    return messages.length;
  }
}
