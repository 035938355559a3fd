// What docs/messages tells a reader to type: the mqadmin line that makes the topic, and the examples in JavaScript, each page
// against a server of its own.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startBroker, type TestBroker } from "../../testing/index.ts";
import { mqadmin } from "./mqadmin-run.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { GetConsumerProgress, GetTopicStatus } = brokerAdminService.methods;

describe("the pages about messages", function () {
  this.timeout(60_000);
  let broker: TestBroker;
  let operator: RawClient;
  let children: ChildProcess[] = [];

  beforeEach(async () => {
    broker = await startBroker();
    operator = new RawClient(broker.endpoints);
  });

  afterEach(async () => {
    const ends = children
      .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      .map((child) => once(child, "close"));
    for (const child of children) child.kill();
    await Promise.all(ends);
    children = [];
    operator.close();
    await broker.close();
  });

  /** The page with the addresses of this server, its topic made as it says. */
  async function open(name: string): Promise<string> {
    const page = readFileSync(new URL(`../../docs/messages/${name}.md`, import.meta.url), "utf8");
    const text = page
      .replaceAll(/(127\.0\.0\.1|HOST):9876/g, broker.namesrvAddr)
      .replaceAll(/(127\.0\.0\.1|HOST):8081/g, broker.endpoints);
    const [line = ""] = /(?<=^ {4}(bin\/)?mqadmin ).*$/m.exec(text) ?? [];
    const { code, stderr } = await mqadmin(...line.split(" "));
    assert.equal(code, 0, stderr);
    return text;
  }

  /** Runs a program of this text; gives what it prints, as it grows. */
  function run(code: string): { readonly printed: string; readonly done: Promise<unknown> } {
    const child = spawn(process.execPath, ["--input-type=module"], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
    });
    children.push(child);
    const running = { printed: "", done: once(child, "close") };
    const note = (chunk: Buffer): void => {
      running.printed += chunk.toString();
    };
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    child.stdin.end(code);
    return running;
  }

  async function stored(name: string): Promise<number> {
    const { queues } = await operator.call(GetTopicStatus, { name });
    return queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
  }

  for (const [page, topic, group] of [
    ["normal", "hello", "readers"],
    ["fifo", "orders", "billing"],
  ] as const) {
    it(`${page}: what is sent is consumed`, async () => {
      const running = run(indented(await open(page)));
      await until("it is consumed", async () => {
        const { queues } = await operator.call(GetConsumerProgress, { group });
        return (await stored(topic)) === 1 && queues.some(isConsumed);
      });
      assert.equal(running.printed, "");
    });
  }

  it("transactions: what is committed is in its topic", async () => {
    const example = indented(await open("transactions"));
    const work = "const isBooked = async () => true, book = async () => {};";
    const running = run(`${work}\n${example}\nconsole.log("committed");`);
    await until("it is committed", () => running.printed !== "");
    assert.equal(running.printed, "committed\n");
    assert.equal(await stored("orders"), 1);
  });

  it("priority: consumers see the priority", async () => {
    const [example = ""] = fenced(await open("priority"), "ts");
    const { printed } = await ended(`
      import { Producer, SimpleConsumer } from "@cometmq/client";
      const endpoints = "${broker.endpoints}";
      const producer = new Producer({ endpoints });
      await producer.startup();
      const subscriptions = new Map([["tasks", "*"]]);
      const consumer = new SimpleConsumer({ endpoints, consumerGroup: "g", subscriptions });
      await consumer.startup();
      ${example}
      process.exit();`);
    assert.equal(printed, "10\n");
  });

  it("delay: what is recalled waits no more, by the SDK and by the official client", async () => {
    const text = await open("delay");
    const [ours = ""] = fenced(text, "ts");
    const [theirs = ""] = fenced(text, "js");
    const { printed } = await ended(`
      import { Producer } from "@cometmq/client";
      import * as official from "rocketmq-client-nodejs";
      const endpoints = "${broker.endpoints}";
      {
        const producer = new Producer({ endpoints });
        await producer.startup();
        ${ours}
        await producer.shutdown();
      }
      const quiet = () => {};
      const logger = { info: quiet, warn: quiet, error: quiet, debug: quiet };
      const options = { endpoints, namespace: "", logger, topics: ["reminders"] };
      const producer = new official.Producer(options);
      await producer.startup();
      const when = new Date(Date.now() + 60_000);
      ${theirs}
      await producer.shutdown();
      process.exit();`);
    assert.equal(printed, "");
    const metrics = await (await fetch(`http://${broker.metricsAddress}/metrics`)).text();
    assert.match(metrics, /^cometmq_timer_recalled_total\{[^}]*\} 2$/m);
  });

  /** Runs a program that has to end well. */
  async function ended(code: string): Promise<{ readonly printed: string }> {
    const running = run(code);
    const [exitCode] = (await running.done) as readonly unknown[];
    assert.equal(exitCode, 0, running.printed);
    return running;
  }
});

function isConsumed(queue: { readonly cursor: number; readonly lag: number }): boolean {
  return queue.cursor === 1 && queue.lag === 0;
}

/** The example that begins with an import and is indented. */
function indented(page: string): string {
  const [example] = /^ {4}import .*\n(?:(?: {4}.*)?\n)*/m.exec(page) ?? [];
  assert.ok(example !== undefined, "there is an example");
  return example;
}

/** The code of a language between its fences. */
function fenced(page: string, language: string): string[] {
  const blocks = page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"));
  return [...blocks].map((block) => block[1] ?? "");
}
