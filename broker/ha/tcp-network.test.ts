import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { connect as connectTls } from "node:tls";
import {
  type LogFields,
  type Logger,
  limits,
  MqError,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { selfSignedPair } from "../../transport/certificates.ts";
import { ManualClock } from "../store/testkit/manual-clock.ts";
import type { Link, LinkListener } from "./network.ts";
import type { TcpNetworkOptions, TlsIdentity } from "./tcp-acceptor.ts";
import { TcpNetwork } from "./tcp-network.ts";

type Given = Partial<TcpNetworkOptions>;

/** Keeps every line as text, level first. */
class LineLogger implements Logger {
  readonly lines: string[] = [];

  error(message: string, fields?: LogFields): void {
    this.#note("error", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#note("warn", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#note("info", message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#note("debug", message, fields);
  }

  child(): Logger {
    return this;
  }

  #note(level: string, message: string, fields: LogFields = {}): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("the tcp network", () => {
  let logger: LineLogger;
  let closing: (() => unknown)[];

  beforeEach(() => {
    logger = new LineLogger();
    closing = [];
  });

  afterEach(async () => {
    for (const close of closing) await close();
  });

  function network(given: Given = {}): TcpNetwork {
    return new TcpNetwork({
      clock: systemClock,
      random: systemRandom,
      logger,
      secret: "",
      ...given,
    });
  }

  async function listen(given: Given = {}): Promise<LinkListener & { readonly links: Link[] }> {
    const links: Link[] = [];
    const place = { host: "127.0.0.1", port: 0 };
    const listener = await network(given).listen(place, (link) => links.push(link));
    closing.push(() => listener.close());
    closing.push(() => links.map((link) => link.close("the test is over")));
    return { port: listener.port, links, close: () => listener.close() };
  }

  async function dial(port: number, given: Given = {}): Promise<Link> {
    const link = await network(given).connect({ host: "127.0.0.1", port });
    closing.push(() => link.close("the test is over"));
    return link;
  }

  /** What the dialler is told and what the acceptor logs. */
  async function refusal(there: Given, here: Given): Promise<readonly [MqError, string]> {
    const { port, links } = await listen(there);
    const error = await dial(port, here).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(error instanceof MqError, "the link was made");
    await until(() => logger.lines.length > 0);
    assert.deepEqual(links, []);
    return [error, logger.lines.join("\n")];
  }

  function raw(
    port: number,
    first: string,
  ): { readonly socket: Socket; readonly got: () => string } {
    const socket = connect({ host: "127.0.0.1", port });
    closing.push(() => socket.destroy());
    const got: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => got.push(bytes)).on("error", () => {});
    socket.write(Buffer.from(first, "latin1"));
    return { socket, got: () => Buffer.concat(got).toString("latin1") };
  }

  async function selfSigned(): Promise<() => TlsIdentity> {
    const identity = { ...(await selfSignedPair(undefined, systemClock.now())), ca: undefined };
    return () => identity;
  }

  it("tells both sides that their secrets differ, and neither secret", async () => {
    const [error, line] = await refusal({ secret: "apple" }, { secret: "pear" });
    assert.equal(error.code, "UNAUTHORIZED");
    assert.match(error.message, /no replication with 127\.0\.0\.1:\d+: it has another haSecret/);
    assert.match(line, /warn.*was refused.*127\.0\.0\.1:\d+.*it has another haSecret/);
    assert.doesNotMatch(error.message + line, /apple|pear/);
  });

  it("tells both sides that one of them has no secret", async () => {
    const [error, line] = await refusal({ secret: "apple" }, {});
    assert.match(error.message, /it wants a haSecret, and this broker has none/);
    assert.match(line, /it has no haSecret, and this broker has one/);
  });

  it("tells both sides that only the acceptor has TLS", async () => {
    const [error, line] = await refusal({ tls: await selfSigned() }, {});
    assert.match(error.message, /it replicates over TLS, this broker without/);
    assert.match(line, /it replicates without TLS, this broker with it/);
  });

  it("tells both sides that only the dialler has TLS", async () => {
    const [error, line] = await refusal({}, { tls: await selfSigned() });
    assert.match(error.message, /the TLS handshake failed.*haTlsEnable must be the same on both/);
    assert.match(line, /it replicates over TLS, this broker without/);
  });

  it("says what a stranger speaks, once a minute, and gives it nothing", async () => {
    for (const tls of [undefined, await selfSigned()]) {
      const { port } = await listen({ tls });
      logger.lines.length = 0;
      for (let times = 0; times < 3; times += 1) {
        const { socket, got } = raw(port, "GET / HTTP/1.1\r\n\r\n");
        await until(() => socket.closed);
        assert.equal(got(), "");
      }
      const loud = logger.lines.filter((line) => line.startsWith("warn"));
      assert.equal(loud.length, 1, loud.join("\n"));
      assert.match(loud.join(), /speaks HTTP: is it the right port/);
    }
  });

  it("says so when it has dialled a stranger", async () => {
    const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    closing.push(() => server.close());
    const dialled = dial(portOf(server));
    await assert.rejects(dialled, /no replication with .*: it speaks HTTP: is it the right port/);
  });

  it("gives up somebody who says nothing, on either side, in a bounded time", async () => {
    const clock = new ManualClock();
    const { port } = await listen({ clock });
    const { socket } = raw(port, "");
    await until(() => socket.readyState === "open");
    const passing = async (condition: () => boolean): Promise<void> => {
      while (!condition()) {
        clock.pass(limits.haProofMs / 10);
        await turn();
      }
    };
    await passing(() => socket.closed);
    const mute = createServer((stranger) => closing.push(() => stranger.destroy()));
    await new Promise<void>((resolve) => void mute.listen(0, "127.0.0.1", resolve));
    closing.push(() => mute.close());
    let isOver = false;
    const dialled = dial(portOf(mute), { clock }).finally(() => {
      isOver = true;
    });
    dialled.catch(() => {});
    await passing(() => isOver);
    await assert.rejects(dialled, /did not (answer|prove itself) within 3000 ms/);
  });

  it("bounds how many may be about to prove themselves", async () => {
    const { port, links } = await listen({ secret: "s" });
    const strangers = Array.from({ length: limits.haUnprovedMax }, () => raw(port, "CMQ"));
    await until(() => strangers.every(({ socket }) => socket.readyState === "open"));
    const oneMore = raw(port, "CMQ");
    await until(() => oneMore.socket.closed);
    assert.match(logger.lines.join(), /64 connections are still to prove themselves/);
    strangers[0]?.socket.destroy();
    // The acceptor has to see that it is gone.
    for (;;) {
      const link = await dial(port, { secret: "s" }).catch(() => undefined);
      if (link !== undefined) break;
    }
    await until(() => links.length === 1);
  });

  it("does not make noise about somebody who looks whether the port is open", async () => {
    const { port } = await listen();
    const { socket } = raw(port, "");
    await until(() => socket.readyState === "open");
    socket.end();
    await until(() => logger.lines.length > 0);
    assert.match(logger.lines.join(), /^debug.*without a word/);
  });

  describe("with certificates of an authority", () => {
    let folder: string;
    const read = (name: string): string => readFileSync(`${folder}/${name}`, "utf8");
    const signedBy = (
      authority: string,
      name: string,
      checked = authority,
    ): (() => TlsIdentity) => {
      const [key, cert] = [read(`${authority}-${name}.key`), read(`${authority}-${name}.crt`)];
      const identity = { key, cert, ca: read(`${checked}.crt`) };
      return () => identity;
    };

    before(() => {
      folder = mkdtempSync(`${tmpdir()}/cometmq-ha-`);
      const openssl = (...words: string[]): void => {
        execFileSync("openssl", words, { cwd: folder, stdio: "ignore" });
      };
      const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      writeFileSync(`${folder}/leaf.cnf`, "basicConstraints = CA:FALSE\n");
      for (const authority of ["ours", "other"]) {
        const files = ["-keyout", `${authority}.key`, "-out", `${authority}.crt`];
        openssl("req", "-x509", ...fresh, ...files, "-subj", `/CN=${authority}`, "-days", "2");
        const leaf = `${authority}-broker`;
        openssl("req", ...fresh, "-keyout", `${leaf}.key`, "-out", "csr", "-subj", "/CN=broker");
        const signer = ["-CA", `${authority}.crt`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
        const out = ["-out", `${leaf}.crt`, "-days", "2", "-extfile", "leaf.cnf"];
        openssl("x509", "-req", "-in", "csr", ...signer, ...out);
      }
    });

    after(() => rmSync(folder, { recursive: true }));

    it("lets those in that it has signed", async () => {
      const tls = signedBy("ours", "broker");
      const { port, links } = await listen({ tls });
      const link = await dial(port, { tls });
      await until(() => links.length === 1);
      const got: Buffer[] = [];
      links[0]?.onData((bytes) => got.push(bytes));
      link.send(Buffer.from("hello"));
      await until(() => Buffer.concat(got).toString() === "hello");
    });

    it("tells both sides that the dialler's certificate is of another one", async () => {
      const [error, line] = await refusal(
        { tls: signedBy("ours", "broker") },
        { tls: signedBy("other", "broker", "ours") },
      );
      assert.equal(error.code, "UNAUTHORIZED");
      assert.match(error.message, /does not accept this broker's certificate/);
      assert.match(line, /its certificate is not accepted: \w+/);
    });

    it("tells the dialler that the acceptor's certificate is of another one", async () => {
      const [error] = await refusal(
        { tls: signedBy("other", "broker", "ours") },
        { tls: signedBy("ours", "broker") },
      );
      assert.equal(error.code, "UNAUTHORIZED");
      assert.match(error.message, /its certificate is not accepted: \w+/);
    });

    it("lets nobody in without a certificate, in a resumed session neither", async () => {
      const { port, links } = await listen({ tls: signedBy("ours", "broker") });
      const options = { host: "127.0.0.1", port, rejectUnauthorized: false };
      const sessions: Buffer[] = [];
      const greet = (session?: Buffer): Promise<void> =>
        new Promise((resolve) => {
          const given = session === undefined ? options : { ...options, session };
          const socket = connectTls(given, () => {
            socket.write(
              Buffer.concat([Buffer.from("CMQR\x01\x01\x02\0", "latin1"), Buffer.alloc(32)]),
            );
          });
          socket.on("session", (made: Buffer) => sessions.push(made));
          socket.on("error", () => {}).on("close", () => resolve());
          socket.resume();
        });
      await greet();
      assert.ok(sessions[0]);
      logger.lines.length = 0;
      await greet(sessions[0]);
      assert.match(
        logger.lines.join(),
        /its certificate is not accepted: the TLS session is a resumed/,
      );
      assert.deepEqual(links, []);
    });
  });

  it("uses a renewed certificate for the next link", async () => {
    let tls = await selfSigned();
    const { port } = await listen({ tls: () => tls() });
    const shown = (): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().fingerprint256);
          socket.destroy();
        });
      });
    const old = await shown();
    assert.equal(await shown(), old);
    tls = await selfSigned();
    assert.notEqual(await shown(), old);
  });
});
