import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { type Clock, type Logger, silentLogger, systemClock } from "../../base/index.ts";
import { selfSignedPair } from "../../transport/certificates.ts";
import { GrpcStatus } from "../../transport/index.ts";
import { TlsDoor } from "../../transport/tls-door.ts";
import { anyCertificate, ByteClient } from "./grpc-client.ts";
import { openServer } from "./test-server.ts";
import { until } from "./until.ts";

/** The fingerprint of the certificate that a port shows. */
async function certificateOf(port: number): Promise<string> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

async function codeOf(client: ByteClient): Promise<number> {
  const { code } = await client.unary("/t.T/Echo", Buffer.from("x"), {
    call: { deadline: Date.now() + 5000 },
  });
  client.close();
  return code;
}

describe("TLS on the same port", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-tls-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const expected = {
    permissive: { plaintext: GrpcStatus.ok, tls: GrpcStatus.ok },
    enforcing: { plaintext: GrpcStatus.unavailable, tls: GrpcStatus.ok },
    disabled: { plaintext: GrpcStatus.ok, tls: GrpcStatus.unavailable },
  } as const;
  for (const mode of ["permissive", "enforcing", "disabled"] as const) {
    it(`${mode}: says yes and no to the right ones`, async () => {
      await using under = await openServer({ tls: { mode, certificate: { kind: "selfSigned" } } });
      assert.equal(await codeOf(new ByteClient(under.port)), expected[mode].plaintext);
      const secure = new ByteClient(under.port, { credentials: anyCertificate() });
      assert.equal(await codeOf(secure), expected[mode].tls);
    });
  }

  it("makes the certificate at the first handshake, and keeps it for the next start", async () => {
    const tls = {
      mode: "permissive",
      certificate: { kind: "selfSigned", folder: join(folder, "tls") },
    } as const;
    const seen: string[] = [];
    for (let start = 0; start < 2; start += 1) {
      await using under = await openServer({ tls });
      seen.push(await certificateOf(under.port), await certificateOf(under.port));
    }
    assert.equal(new Set(seen).size, 1);
  });

  it("serves many first handshakes with one certificate", async () => {
    await using under = await openServer({
      tls: { mode: "permissive", certificate: { kind: "selfSigned" } },
    });
    const seen = await Promise.all(Array.from({ length: 10 }, () => certificateOf(under.port)));
    assert.equal(new Set(seen).size, 1);
  });

  it("goes on without TLS when the certificate cannot be kept, and says so", async () => {
    await writeFile(join(folder, "file"), "");
    const errors: string[] = [];
    const logger: Logger = { ...silentLogger, error: (message) => errors.push(message) };
    const certificate = { kind: "selfSigned", folder: join(folder, "file", "tls") } as const;
    await using under = await openServer({ logger, tls: { mode: "permissive", certificate } });
    const socket = connect({ port: under.port, host: "127.0.0.1", rejectUnauthorized: false });
    socket.on("error", () => {});
    await until("the close", () => socket.closed);
    assert.deepEqual(errors, ["no certificate for TLS"]);
    assert.equal(await codeOf(new ByteClient(under.port)), GrpcStatus.ok);
  });

  it("does not start with wrong configured files", async () => {
    const certificate = {
      kind: "files",
      certificateFile: join(folder, "none.crt"),
      keyFile: join(folder, "none.key"),
    } as const;
    await assert.rejects(
      openServer({ tls: { mode: "permissive", certificate } }),
      /cannot read .*none/,
    );
  });

  it("says in words that HTTP/1.1 is not spoken, also inside TLS", async () => {
    await using under = await openServer({
      tls: { mode: "enforcing", certificate: { kind: "selfSigned" } },
    });
    const socket = connect({
      port: under.port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
    socket.setEncoding("utf8");
    let text = "";
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await once(socket, "close");
    assert.match(text, /^HTTP\/1\.1 400 /);
  });

  it("cuts what only begins like TLS, or stops in the handshake", async () => {
    await using under = await openServer({
      limits: { handshakeMs: 200 },
      tls: { mode: "permissive", certificate: { kind: "selfSigned" } },
    });
    for (const bytes of [
      Buffer.concat([Buffer.from([0x16]), Buffer.alloc(500)]),
      Buffer.from([0x16, 3, 1]),
    ]) {
      const socket = connectPlain(under.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.write(bytes);
      await once(socket, "close");
    }
    assert.equal(await codeOf(new ByteClient(under.port)), GrpcStatus.ok);
  });

  it("takes a changed certificate, and keeps the old one when the new one is broken", async () => {
    const files = {
      certificateFile: join(folder, "server.crt"),
      keyFile: join(folder, "server.key"),
    };
    await selfSignedPair(folder, Date.now());
    const other = join(folder, "other");
    await selfSignedPair(other, Date.now());
    const lines: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      info: (message) => lines.push(message),
      error: (message) => lines.push(message),
    };
    let look: (() => void) | undefined;
    const clock: Clock = {
      ...systemClock,
      every: (_periodMs, task) => {
        look = task;
        return () => {};
      },
    };
    const secured: TLSSocket[] = [];
    const door = new TlsDoor({
      mode: "enforcing",
      certificate: { kind: "files", ...files },
      handshakeMs: 5000,
      clock,
      logger,
      onSecure: (socket) => secured.push(socket),
    });
    await door.open();
    const { createServer } = await import("node:net");
    const listener = createServer((socket) => {
      socket.once("data", (first: Buffer) => door.enter(socket, first));
    });
    await once(listener.listen(0, "127.0.0.1"), "listening");
    const address = listener.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const before = await certificateOf(port);

    await writeFile(files.certificateFile, "broken");
    look?.();
    await until("the complaint", () => lines.length === 1);
    assert.match(lines[0] ?? "", /the old one stays/);
    assert.equal(await certificateOf(port), before);

    await copyFile(join(other, "server.key"), files.keyFile);
    await copyFile(join(other, "server.crt"), files.certificateFile);
    look?.();
    await until("the reload", () => lines.includes("certificate reloaded"));
    assert.notEqual(await certificateOf(port), before);

    for (const socket of secured) socket.destroy();
    door.close();
    listener.close();
  });
});
