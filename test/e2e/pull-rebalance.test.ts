// Members of a group that pulls come and go, two masters, real processes: each queue has one reader at a time, none is
// left without, and every message is read.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Producer, PullConsumer, type TopicQueue } from "@cometmq/client";
import { ClusterProcesses } from "./cluster-processes.ts";
import { ProgramProcess, stopAll } from "./program-process.ts";
import { until } from "./waiting.ts";

const topic = "shared";
const consumerGroup = "readers";
const queueTotal = 8;
const memberProgram = fileURLToPath(new URL("pull-member.ts", import.meta.url));

function nameOf({ brokerName, queueId }: TopicQueue): string {
  return `${brokerName}/${queueId}`;
}

/** Who reads what, as the members say it. */
class Readers {
  readonly byQueue = new Map<string, string>();
  readonly problems: string[] = [];

  assigned(member: string, names: readonly string[]): void {
    for (const name of names) {
      const other = this.byQueue.get(name);
      if (other !== undefined) this.problems.push(`${name} is read by ${other} and ${member}`);
      this.byQueue.set(name, member);
    }
  }

  revoked(member: string, names: readonly string[]): void {
    for (const name of names) if (this.byQueue.get(name) === member) this.byQueue.delete(name);
  }

  gone(member: string): void {
    for (const [name, reader] of this.byQueue) if (reader === member) this.byQueue.delete(name);
  }

  /** How many queues each member reads, the largest first. */
  get counts(): number[] {
    const counts = new Map<string, number>();
    for (const member of this.byQueue.values()) counts.set(member, (counts.get(member) ?? 0) + 1);
    return [...counts.values()].sort((a, b) => b - a);
  }
}

describe("members of a group that pulls", function () {
  this.timeout(120_000);
  let cluster: ClusterProcesses;
  let readers: Readers;
  /** Messages that somebody has got, and how often. */
  let got: Map<string, number>;

  before(async () => {
    cluster = await ClusterProcesses.start({ nameServers: 1, masters: 2 });
    await cluster.createTopic(topic, "-r", String(queueTotal / 2), "-w", String(queueTotal / 2));
  });
  after(async () => {
    await stopAll();
    await cluster.close();
  });
  beforeEach(() => {
    readers = new Readers();
    got = new Map();
  });

  const endpoints = (): string => cluster.nameServers.map(({ address }) => address).join(";");
  const note = (id: string): void => void got.set(id, (got.get(id) ?? 0) + 1);

  /** A member in this process. It reads until `leave`. */
  async function join(name: string): Promise<{ leave(): Promise<void> }> {
    const consumer = new PullConsumer({
      endpoints: endpoints(),
      consumerGroup,
      subscriptions: new Map([[topic, "*"]]),
      autoCommitInterval: 200,
      assignmentListener: {
        assigned: (queues) => readers.assigned(name, queues.map(nameOf)),
        revoked: (queues) => readers.revoked(name, queues.map(nameOf)),
      },
    });
    await consumer.startup();
    const reading = (async () => {
      for await (const message of consumer) note(message.messageId);
    })();
    return {
      leave: async () => {
        const leaving = consumer.shutdown();
        // It gives nothing any more, and what it has is stored before others hear of it.
        readers.gone(name);
        await leaving;
        await reading;
      },
    };
  }

  /** A member in a process of its own. */
  async function joinProcess(name: string): Promise<ProgramProcess> {
    const args = ["--import", "tsx", memberProgram, endpoints(), consumerGroup, topic];
    const program = new ProgramProcess(process.execPath, args);
    let rest = "";
    program.child.stdout?.on("data", (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const [what, ...names] of lines.map((line) => line.split(" "))) {
        if (what === "assigned") readers.assigned(name, names);
        else if (what === "revoked") readers.revoked(name, names);
        else if (what === "got") note(names[0] ?? "");
      }
    });
    await until("the member to be ready", () => /^ready$/m.test(program.stdout), 20_000);
    return program;
  }

  async function shared(...counts: number[]): Promise<void> {
    await until(
      `shares of ${counts.join()}`,
      () => readers.counts.join() === counts.join(),
      20_000,
    );
  }

  it("share the queues, hand them on when others come and go, and miss and repeat nothing", async () => {
    await using producer = new Producer({ endpoints: endpoints(), topics: [topic] });
    await producer.startup();
    const sent = new Set<string>();
    const sending = new AbortController();
    const sender = (async () => {
      while (!sending.signal.aborted) {
        const receipt = await producer.send({ topic, body: Buffer.from("x") });
        sent.add(receipt.messageId);
      }
    })();
    const one = await join("one");
    await shared(8);
    const two = await join("two");
    await shared(4, 4);
    const three = await join("three");
    await shared(3, 3, 2);
    await two.leave();
    await shared(4, 4);
    await one.leave();
    await shared(8);
    sending.abort();
    await sender;
    await until("the last message", () => got.size === sent.size);
    await three.leave();
    assert.deepEqual(readers.problems, []);
    const repeated = [...got.values()].filter((count) => count > 1);
    assert.deepEqual(repeated, [], `${repeated.length} of ${sent.size} messages came twice`);
  });

  it("take over from one that is killed with -9, after ten seconds, and miss nothing", async () => {
    await using producer = new Producer({ endpoints: endpoints(), topics: [topic] });
    await producer.startup();
    const sent = new Set<string>();
    const send = async (count: number): Promise<void> => {
      const bodies = Array.from({ length: count }, () => Buffer.from("x"));
      const receipts = await Promise.all(bodies.map((body) => producer.send({ topic, body })));
      for (const { messageId } of receipts) sent.add(messageId);
    };
    const victim = await joinProcess("victim");
    await shared(8);
    const heir = await join("heir");
    await shared(4, 4);
    await send(400);
    await until("both to read", () => got.size === sent.size);
    await send(400);
    await victim.stop("SIGKILL");
    readers.gone("victim");
    const killedMs = Date.now();
    await send(100);
    await shared(8);
    assert.ok(Date.now() - killedMs < 15_000);
    await until("the last message", () => got.size === sent.size);
    assert.deepEqual(readers.problems, []);
    await heir.leave();
  });

  it("go on when the broker that shares the queues out is gone, and when it is back", async () => {
    await using producer = new Producer({ endpoints: endpoints(), topics: [topic] });
    await producer.startup();
    const [one, two] = [await join("one"), await join("two")];
    await shared(4, 4);
    const first = cluster.masters.find(({ name }) => name === "m1") ?? assert.fail();
    await first.program.stop("SIGKILL");
    // Its queues cannot be read; the other master shares out its own, of which it knows from the members who reads them.
    await shared(2, 2);
    const sent = new Set<string>();
    for (let count = 0; count < 100; count++) {
      sent.add((await producer.send({ topic, body: Buffer.from("x") })).messageId);
    }
    await until("messages", () => [...sent].every((id) => got.has(id)));
    cluster.masters.splice(cluster.masters.indexOf(first), 1);
    await cluster.addMaster("m1");
    await shared(4, 4);
    assert.deepEqual(readers.problems, []);
    await Promise.all([one.leave(), two.leave()]);
  });
});
