import assert from "node:assert/strict";
import { Code, messagingService } from "@cometmq/proto";
import { limits, systemRandom } from "../../base/index.ts";
import { memoryMetadata } from "../metadata/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { methods } = messagingService;
const hop = { "x-mq-client-id": "client-1", "x-cometmq-hop": "other" };

function message(topic: string): Uint8Array {
  return methods.SendMessage.request.encode({
    messages: [
      {
        topic: { name: topic },
        systemProperties: { messageId: "m", messageType: 1, bodyEncoding: 1 },
        body: Buffer.from("x"),
      },
    ],
  });
}

describe("a broker whose role changes", () => {
  let broker: TestBroker;

  beforeEach(() => {
    broker = new TestBroker();
  });

  async function send(headers?: Readonly<Record<string, string>>): Promise<number> {
    const options = headers === undefined ? {} : { headers };
    const bytes = await broker.unary(methods.SendMessage.path, message("t"), options);
    return methods.SendMessage.response.decode(bytes).status?.code ?? 0;
  }

  /** Lets what waits go on, and time pass. */
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= limits.masterLookMs) {
      await new Promise((resolve) => setImmediate(resolve));
      broker.clock.pass(limits.masterLookMs);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  function stepDown(): void {
    broker.local = undefined;
    broker.standing = { kind: "slave", epoch: 1, master: undefined };
  }

  it("lets a send wait while nobody is master, and takes it when it becomes one", async () => {
    stepDown();
    const code = send();
    await pass(1_000);
    assert.equal(broker.appended.length, 0);
    broker.local = broker.parts;
    await pass(100);
    assert.equal(await code, Code.OK);
    assert.equal(broker.appended.length, 1);
  });

  it("gives a send up after five seconds without a master", async () => {
    stepDown();
    const code = send();
    await pass(limits.masterWaitMs + 100);
    assert.equal(await code, Code.HA_NOT_AVAILABLE);
    assert.equal(broker.appended.length, 0);
  });

  it("takes no send while it acts for its master, and goes on to receive and acknowledge", async () => {
    await send();
    broker.local = { ...broker.parts, canSend: false };
    broker.standing = { kind: "acting", epoch: 1 };
    const code = send();
    await pass(limits.masterWaitMs + 100);
    assert.equal(await code, Code.HA_NOT_AVAILABLE);
    assert.equal(broker.appended.length, 1);
    broker.handles.add("h");
    const bytes = await broker.unary(
      methods.AckMessage.path,
      methods.AckMessage.request.encode({
        group: { name: "g" },
        topic: { name: "t" },
        entries: [{ messageId: "m", receiptHandle: "h" }],
      }),
    );
    assert.equal(methods.AckMessage.response.decode(bytes).status?.code, Code.OK);
  });

  it("refuses at once what another broker has passed on and it does not serve", async () => {
    stepDown();
    await assert.rejects(send(hop), /NOT_MASTER/);
    const ack = methods.AckMessage.request.encode({
      group: { name: "g" },
      topic: { name: "t" },
      entries: [{ messageId: "m", receiptHandle: "h" }],
    });
    await assert.rejects(
      broker.unary(methods.AckMessage.path, ack, { headers: hop }),
      /NOT_MASTER/,
    );
  });

  it("refuses a send that was passed on while it may not be written to, and one of its own when nobody may", async () => {
    await send();
    broker.context.config.updateLive("brokerPermission", "4");
    await assert.rejects(send(hop), /NOT_MASTER/);
    assert.equal(await send(), Code.FORBIDDEN);
    broker.context.config.updateLive("brokerPermission", "6");
    assert.equal(await send(), Code.OK);
  });

  it("forgets in a new reign what it knew of topics in the one before", async () => {
    assert.equal(await send(), Code.OK);
    const metadata = memoryMetadata({ clock: broker.clock, random: systemRandom });
    await metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1, perm: 4 });
    broker.local = { ...broker.parts, metadata };
    assert.equal(await send(), Code.FORBIDDEN);
  });
});
