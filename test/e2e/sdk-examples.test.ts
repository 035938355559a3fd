// The examples of the SDK, run as a reader of its documentation would run them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startBroker, type TestBroker } from "../../testing/index.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";

/** Runs an example against a broker; gives what it has printed. It has to end well. */
async function run(name: string, broker: TestBroker): Promise<string> {
  const path = fileURLToPath(new URL(`../../client-sdk/examples/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", path, broker.endpoints]);
  let printed = "";
  let complaints = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const [code] = await once(child, "close");
  assert.equal(code, 0, printed + complaints);
  return printed;
}

describe("the examples of the SDK", function () {
  this.timeout(60_000);
  let broker: TestBroker;

  before(async () => {
    broker = await startBroker();
  });

  after(() => broker.close());

  async function makeTopic(name: string, messageType: string): Promise<void> {
    const admin = new RawClient(broker.endpoints);
    const { UpdateTopic } = brokerAdminService.methods;
    const { status } = await admin.call(UpdateTopic, { name, messageType });
    assert.equal(status?.code, 20_000, status?.message);
    admin.close();
  }

  /** An ordered group that tries again soon. */
  async function makeGroup(name: string): Promise<void> {
    const admin = new RawClient(broker.endpoints);
    const { status } = await admin.call(brokerAdminService.methods.UpdateGroup, {
      name,
      consumeMessageOrderly: true,
      retryPolicy: { customizedBackoff: { next: [{ seconds: 1 }] } },
    });
    assert.equal(status?.code, 20_000, status?.message);
    admin.close();
  }

  it("priority: the highest that waits comes first", async () => {
    await makeTopic("priority-example", "PRIORITY");
    const printed = await run("priority", broker);
    assert.deepEqual(printed.trim().split("\n"), [
      "priority 10: reset a password",
      "priority 5: confirm an order",
      "priority 5: confirm another order",
      "priority 0: send the newsletter",
    ]);
  });

  it("fifo: a message group keeps its order past a failure, and holds up no other", async () => {
    await makeTopic("fifo-example", "FIFO");
    await makeGroup("fifo-example-group");
    const lines = (await run("fifo", broker)).trim().split("\n");
    const of = (customer: string): string[] => lines.filter((line) => line.includes(customer));
    assert.deepEqual(of("anna"), [
      "done: anna ordered",
      "failed: anna paid",
      "done: anna paid",
      "done: anna shipped",
    ]);
    assert.deepEqual(of("bert"), ["done: bert ordered", "done: bert paid", "done: bert shipped"]);
    assert.ok(lines.indexOf("done: bert shipped") < lines.indexOf("done: anna paid"));
  });

  it("delay: a message comes at its time, and one that was recalled does not", async () => {
    await makeTopic("delay-example", "DELAY");
    const printed = await run("delay", broker);
    assert.match(printed, /^recalled [0-9A-F]{34}$/m);
    assert.match(printed, /^a second time: MESSAGE_NOT_FOUND$/m);
    const late = /^received "remind me" (\d+) ms after its time$/m.exec(printed)?.[1];
    assert.ok(Number(late) < 1_000, printed);
  });
});
