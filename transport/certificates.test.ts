import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MqError } from "../base/index.ts";
import { fingerprint, readPair, selfSignedPair } from "./certificates.ts";

const nowMs = Date.UTC(2030, 0, 1);

function saying(text: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof MqError && error.code === "BAD_CONFIG" && text.test(error.message);
}

describe("certificates", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-tls-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("makes a certificate for localhost, valid for years", async () => {
    const pair = await selfSignedPair(undefined, nowMs);
    const certificate = new X509Certificate(pair.cert);
    assert.equal(certificate.checkHost("localhost"), "localhost");
    assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
    assert.equal(certificate.publicKey.asymmetricKeyType, "ec");
    assert.ok(Date.parse(certificate.validTo) > nowMs + 9 * 365 * 86_400_000);
  });

  it("makes it once and keeps it for its owner only", async () => {
    const inside = join(folder, "tls");
    const first = await selfSignedPair(inside, nowMs);
    assert.deepEqual(await selfSignedPair(inside, nowMs), first);
    assert.deepEqual((await readdir(inside)).sort(), ["server.crt", "server.key"]);
    assert.equal((await stat(join(inside, "server.key"))).mode & 0o777, 0o600);
  });

  it("makes a new one when the kept one is broken or has expired", async () => {
    const first = await selfSignedPair(folder, nowMs);
    const later = await selfSignedPair(folder, nowMs + 20 * 365 * 86_400_000);
    assert.notEqual(later.cert, first.cert);
    await writeFile(join(folder, "server.key"), "broken");
    const third = await selfSignedPair(folder, nowMs);
    assert.notEqual(third.key, later.key);
  });

  it("says what is wrong with configured files", async () => {
    const files = {
      certificateFile: join(folder, "server.crt"),
      keyFile: join(folder, "other.key"),
    };
    await selfSignedPair(folder, nowMs);
    await assert.rejects(readPair(files), saying(/cannot read .*other\.key/));
    await writeFile(files.keyFile, "nonsense");
    await assert.rejects(readPair(files), saying(/no PEM/));
    await writeFile(files.keyFile, (await selfSignedPair(undefined, nowMs)).key);
    await assert.rejects(readPair(files), saying(/is not the key of/));
  });

  it("sees that files have changed", async () => {
    const files = {
      certificateFile: join(folder, "server.crt"),
      keyFile: join(folder, "server.key"),
    };
    assert.equal(await fingerprint(files), "");
    await selfSignedPair(folder, nowMs);
    const before = await fingerprint(files);
    assert.equal(await fingerprint(files), before);
    await writeFile(files.certificateFile, "changed");
    assert.notEqual(await fingerprint(files), before);
  });
});
