// checkMsgSendRT: sends messages one after the other, and says how long each took from the send to its answer.
import { messagingService } from "@cometmq/proto";
import { type Command, topicFlag } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { newSystemProperties } from "../new-message.ts";
import type { RouteEntry, Session } from "../session.ts";

const amountMax = 100_000;
const sizeMax = 4 * 1024 * 1024;

export const checkMsgSendRT: Command = {
  name: "checkMsgSendRT",
  summary: "send test messages to a topic, and show how long each took",
  flags: {
    ...topicFlag,
    amount: { short: "a", type: "string", value: "N", about: "messages to send (100)" },
    size: { short: "s", type: "string", value: "BYTES", about: "size of a body (128)" },
  },
  async run(flags, session) {
    const topic = flags.required("topic");
    const amount = flags.int("amount", { min: 1, max: amountMax }) ?? 100;
    const size = flags.int("size", { min: 1, max: sizeMax }) ?? 128;
    const owners = await session.owners(topic);
    const body = Buffer.alloc(size, "a");
    const sends: Send[] = [];
    for (let number = 0; number < amount; number++) {
      const owner = owners[number % owners.length];
      if (owner !== undefined) sends.push(await send(session, owner, { topic, body }));
    }
    // The first of each broker also connects.
    const settled = sends.length > owners.length ? sends.slice(owners.length) : sends;
    const good = settled.filter(({ failure }) => failure === undefined).map(({ rtMs }) => rtMs);
    const failed = sends.filter(({ failure }) => failure !== undefined);
    if (failed.length === sends.length) {
      throw new CommandFailure(`no message was sent: ${failed[0]?.failure ?? "no broker"}`);
    }
    const sorted = good.toSorted((a, b) => a - b);
    const summary = {
      sent: sends.length - failed.length,
      failed: failed.length,
      averageMs: rounded(good.reduce((sum, rtMs) => sum + rtMs, 0) / Math.max(1, good.length)),
      medianMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
      maxMs: sorted.at(-1) ?? 0,
    };
    return {
      json: { ...summary, sends },
      lines: [
        `${summary.sent} sent, ${summary.failed} failed; average ${summary.averageMs} ms, median ${summary.medianMs} ms, ` +
          `longest ${summary.maxMs} ms, without the first at each broker, which connects`,
      ],
      table: {
        columns: ["Broker", "Offset", "ms", "Result"],
        rows: sends.map(({ broker, offset, rtMs, failure }) => [
          broker,
          offset,
          rtMs,
          failure ?? "ok",
        ]),
      },
    };
  },
};

interface Send {
  readonly broker: string;
  readonly offset: number;
  /** From the send to its answer, milliseconds. */
  readonly rtMs: number;
  readonly failure?: string;
}

async function send(
  session: Session,
  owner: RouteEntry,
  { topic, body }: { readonly topic: string; readonly body: Buffer },
): Promise<Send> {
  const message = { topic: { name: topic }, systemProperties: newSystemProperties(), body };
  const { SendMessage } = messagingService.methods;
  const start = performance.now();
  const { broker } = owner;
  try {
    const { entries } = await session.call(owner.address, SendMessage, { messages: [message] });
    const rtMs = rounded(performance.now() - start);
    return { broker, offset: entries?.[0]?.offset ?? 0, rtMs };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const rtMs = rounded(performance.now() - start);
    return { broker, offset: 0, rtMs, failure: error.message };
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
