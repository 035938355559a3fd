// What every Network must do: the machine's, plain and with TLS and a secret, and the simulated one.
import assert from "node:assert/strict";
import { MqError, silentLogger, systemClock, systemRandom } from "../../../base/index.ts";
import type { Link, LinkListener, Network } from "../../../broker/ha/network.ts";
import { TcpNetwork } from "../../../broker/ha/tcp-network.ts";
import { SimulatedNetwork } from "../../../broker/ha/testkit/simulated-network.ts";
import { ManualClock } from "../../../broker/store/testkit/manual-clock.ts";
import { seededRandom } from "../../../broker/store/testkit/seeded-random.ts";
import { selfSignedPair } from "../../../transport/certificates.ts";

interface Subject {
  readonly server: Network;
  readonly client: Network;
  /** Where the server listens. */
  readonly host: string;
  /** Lets the world go on for a moment. */
  step(): Promise<void>;
}

/** Long enough for I/O to come in, however busy the machine is: conditions are looked at again and again. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };

const subjects: Readonly<Record<string, () => Promise<Subject>>> = {
  "tcp network": async () => {
    const network = new TcpNetwork({ ...parts, secret: "" });
    return { server: network, client: network, host: "127.0.0.1", step: turn };
  },
  "tcp network with TLS and a secret": async () => {
    const pair = { ...(await selfSignedPair(undefined, systemClock.now())), ca: undefined };
    const network = new TcpNetwork({ ...parts, secret: "of the cluster", tls: () => pair });
    return { server: network, client: network, host: "127.0.0.1", step: turn };
  },
  "simulated network": async () => {
    const clock = new ManualClock();
    const network = new SimulatedNetwork({ clock, random: seededRandom(7) });
    const step = async (): Promise<void> => {
      clock.pass(1);
      await turn();
    };
    return { server: network.host("one"), client: network.host("two"), host: "one", step };
  },
};

function withCode(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof MqError && error.code === code && words.test(error.message);
}

for (const [name, make] of Object.entries(subjects)) {
  describe(`network conformance: ${name}`, () => {
    let subject: Subject;
    let listener: LinkListener;
    let accepted: Link[];
    let dialled: Link[];

    beforeEach(async () => {
      subject = await make();
      accepted = [];
      dialled = [];
      listener = await subject.server.listen({ host: subject.host, port: 0 }, (link) => {
        accepted.push(link);
      });
    });

    afterEach(async () => {
      for (const link of [...accepted, ...dialled]) link.close("the test is over");
      await listener.close();
      await subject.step();
    });

    /** Goes on until the condition holds; mocha's own time limit ends what never comes. */
    async function until(condition: () => boolean): Promise<void> {
      while (!condition()) await subject.step();
    }

    async function settled<T>(promise: Promise<T>): Promise<T> {
      let isSettled = false;
      const settle = (): void => {
        isSettled = true;
      };
      promise.then(settle, settle);
      await until(() => isSettled);
      return await promise;
    }

    async function pair(): Promise<{ readonly here: Link; readonly there: Link }> {
      const port = listener.port;
      const here = await settled(subject.client.connect({ host: subject.host, port }));
      dialled.push(here);
      await until(() => accepted.length === dialled.length);
      const there = accepted.at(-1);
      assert.ok(there);
      return { here, there };
    }

    function collect(link: Link): { readonly got: Buffer[]; size(): number; text(): string } {
      const got: Buffer[] = [];
      link.onData((bytes) => got.push(Buffer.from(bytes)));
      return {
        got,
        size: () => got.reduce((sum, bytes) => sum + bytes.length, 0),
        text: () => Buffer.concat(got).toString(),
      };
    }

    function endOf(link: Link): { reasons: string[] } {
      const end = { reasons: new Array<string>() };
      link.onEnd((reason) => end.reasons.push(reason));
      return end;
    }

    it("carries bytes in order, both ways at once", async () => {
      const { here, there } = await pair();
      const [up, down] = [collect(there), collect(here)];
      const words = Array.from({ length: 200 }, (_, index) => `${index};`);
      for (const word of words) {
        here.send(Buffer.from(word));
        there.send(Buffer.from(word.toUpperCase()));
      }
      const whole = words.join("");
      await until(() => up.size() >= whole.length && down.size() >= whole.length);
      assert.equal(up.text(), whole);
      assert.equal(down.text(), whole);
    });

    it("keeps what came before somebody listened", async () => {
      const { here, there } = await pair();
      here.send(Buffer.from("early"));
      for (let turns = 0; turns < 20; turns += 1) await subject.step();
      const got = collect(there);
      await until(() => got.text() === "early");
    });

    it("calls no listener from inside a call", async () => {
      const { here, there } = await pair();
      let isInside = false;
      const outside = (): void => assert.ok(!isInside);
      there.onData(outside);
      here.onEnd(outside);
      isInside = true;
      here.send(Buffer.from("x"));
      here.close("done");
      here.onEnd(outside);
      isInside = false;
      const ends = endOf(there);
      await until(() => ends.reasons.length === 1);
    });

    it("names the other side", async () => {
      const { here, there } = await pair();
      assert.equal(here.peer, `${subject.host}:${listener.port}`);
      assert.equal(here.peerHost, subject.host);
      assert.equal(there.peer.startsWith(`${there.peerHost}:`), true);
    });

    it("stalls the sender while the receiver pauses, and loses nothing", async () => {
      const { here, there } = await pair();
      const got = collect(there);
      there.pause();
      const block = Buffer.alloc(1_048_576, 7);
      let sent = 0;
      // However much the systems hold, at some point they take no more.
      for (; sent < 64 && here.waitingBytes < 4 * block.length; sent += 1) {
        here.send(block);
        await subject.step();
      }
      assert.ok(here.waitingBytes >= 4 * block.length, `${here.waitingBytes} bytes wait`);
      let isDrained = false;
      const drained = (async () => {
        await here.drained();
        isDrained = true;
      })();
      for (let turns = 0; turns < 50; turns += 1) await subject.step();
      assert.equal(isDrained, false);
      const before = got.size();
      there.resume();
      await settled(drained);
      await until(() => got.size() === sent * block.length);
      assert.ok(before < got.size());
      assert.equal(here.waitingBytes, 0);
    });

    it("gives the last words before the end, and a reason at both sides", async () => {
      const { here, there } = await pair();
      const got = collect(there);
      const [mine, theirs] = [endOf(here), endOf(there)];
      // Unread bytes must not turn the farewell into a reset.
      there.send(Buffer.alloc(10_000));
      for (let turns = 0; turns < 20; turns += 1) await subject.step();
      here.send(Buffer.from("farewell"));
      here.close("had enough");
      await until(() => theirs.reasons.length > 0 && mine.reasons.length > 0);
      assert.equal(got.text(), "farewell");
      assert.deepEqual(mine.reasons, ["had enough"]);
      assert.match(theirs.reasons.join(), /the other side closed/);
      assert.deepEqual(endOf(there).reasons, []);
      const late = endOf(here);
      await until(() => late.reasons.length === 1);
      assert.deepEqual(late.reasons, ["had enough"]);
    });

    it("does nothing after the end", async () => {
      const { here, there } = await pair();
      const got = collect(here);
      here.close("had enough");
      here.send(Buffer.from("x"));
      there.send(Buffer.from("y"));
      here.pause();
      here.resume();
      here.close("again");
      await settled(here.drained());
      assert.equal(here.waitingBytes, 0);
      const [mine, theirs] = [endOf(here), endOf(there)];
      there.onData(() => assert.fail("nothing was sent"));
      await until(() => mine.reasons.length > 0 && theirs.reasons.length > 0);
      assert.deepEqual(mine.reasons, ["had enough"]);
      assert.equal(got.size(), 0);
    });

    it("wakes who waits for room when the link ends", async () => {
      const { here, there } = await pair();
      there.onData(() => {});
      there.pause();
      while (here.waitingBytes < 4_194_304) {
        here.send(Buffer.alloc(1_048_576));
        await subject.step();
      }
      const drained = here.drained();
      here.close("had enough");
      await settled(drained);
    });

    it("says when nobody listens there", async () => {
      const { port } = listener;
      await listener.close();
      const dial = subject.client.connect({ host: subject.host, port });
      await assert.rejects(settled(dial), withCode("HA_NOT_AVAILABLE", /refused/i));
    });

    it("keeps links when the port is closed", async () => {
      const { here, there } = await pair();
      await listener.close();
      const got = collect(there);
      here.send(Buffer.from("still"));
      await until(() => got.text() === "still");
    });

    it("stops dialling when it is told to", async () => {
      const { port } = listener;
      const stop = new AbortController();
      const dial = subject.client.connect({ host: subject.host, port }, stop.signal);
      stop.abort();
      await assert.rejects(settled(dial), withCode("HA_NOT_AVAILABLE", /given up/));
      const late = subject.client.connect({ host: subject.host, port }, stop.signal);
      await assert.rejects(settled(late), withCode("HA_NOT_AVAILABLE", /given up/));
    });

    it("refuses a port that is taken", async () => {
      const { port } = listener;
      const again = subject.server.listen({ host: subject.host, port }, () => {});
      await assert.rejects(again, withCode("BAD_CONFIG", new RegExp(`:${port}: .*in use`, "i")));
    });
  });
}
