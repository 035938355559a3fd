// Where the server's key and certificate come from: configured files, or a self-signed pair made once and kept.
// The only file of the transport that touches the disk.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MqError } from "../base/index.ts";

/** Where to get key and certificate. */
export type CertificateSource =
  /** PEM files of an operator; read again when they change. */
  | { readonly kind: "files"; readonly certificateFile: string; readonly keyFile: string }
  /** Made when first needed, and kept in `folder` for the next start; without one, in memory. */
  | { readonly kind: "selfSigned"; readonly folder?: string | undefined };

/** A private key and its certificate chain, PEM. */
export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

const certificateFileName = "server.crt";
const keyFileName = "server.key";
const validityMs = 10 * 365 * 24 * 3_600_000;

/** The key and certificate that `source` names, made when there is none yet. Rejects BAD_CONFIG naming the file. */
export function loadPair(source: CertificateSource, nowMs: number): Promise<KeyPair> {
  return source.kind === "files" ? readPair(source) : selfSignedPair(source.folder, nowMs);
}

/** Reads certificates to trust, PEM. Rejects BAD_CONFIG naming the file. */
export async function readCertificates(file: string): Promise<string> {
  const text = await read(file);
  try {
    new X509Certificate(text).checkHost("localhost");
    return text;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MqError("BAD_CONFIG", `${file} holds no certificate in PEM: ${why}`, {
      cause: error,
    });
  }
}

/** Reads and checks configured files. Rejects BAD_CONFIG naming the file when they cannot be used. */
export async function readPair(source: {
  readonly certificateFile: string;
  readonly keyFile: string;
}): Promise<KeyPair> {
  const { certificateFile, keyFile } = source;
  const [cert, key] = await Promise.all([read(certificateFile), read(keyFile)]);
  check({ key, cert }, source);
  return { key, cert };
}

/** A text that changes when one of the files does; "" when one is not there. */
export async function fingerprint(source: {
  readonly certificateFile: string;
  readonly keyFile: string;
}): Promise<string> {
  try {
    const stats = await Promise.all([stat(source.certificateFile), stat(source.keyFile)]);
    return stats.map(({ mtimeMs, size, ino }) => `${mtimeMs}:${size}:${ino}`).join();
  } catch {
    return "";
  }
}

/** The kept self-signed pair, or a new one; `nowMs` decides whether the kept one has expired. */
export async function selfSignedPair(folder: string | undefined, nowMs: number): Promise<KeyPair> {
  if (folder === undefined) return await makePair(nowMs);
  const files = {
    certificateFile: join(folder, certificateFileName),
    keyFile: join(folder, keyFileName),
  };
  const kept = await keptPair(files, nowMs);
  if (kept !== undefined) return kept;
  const pair = await makePair(nowMs);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await replace(files.keyFile, pair.key);
  await replace(files.certificateFile, pair.cert);
  return pair;
}

/** A kept pair that can still be used. A broken one is made anew: nothing depends on it but trust on first use. */
async function keptPair(
  files: { readonly certificateFile: string; readonly keyFile: string },
  nowMs: number,
): Promise<KeyPair | undefined> {
  try {
    const pair = await readPair(files);
    return Date.parse(new X509Certificate(pair.cert).validTo) > nowMs ? pair : undefined;
  } catch (error) {
    if (error instanceof MqError) return undefined;
    throw error;
  }
}

async function makePair(nowMs: number): Promise<KeyPair> {
  const { default: selfsigned } = await import("selfsigned");
  const made = await selfsigned.generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    // A little in the past: clocks of clients differ.
    notBeforeDate: new Date(nowMs - 3_600_000),
    notAfterDate: new Date(nowMs + validityMs),
    extensions: [
      { name: "basicConstraints", cA: false },
      { name: "keyUsage", digitalSignature: true, keyAgreement: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
          { type: 7, ip: "::1" },
        ],
      },
    ],
  });
  return { key: made.private, cert: made.cert };
}

/** Writes a file whole or not at all, readable by its owner only. */
async function replace(path: string, content: string): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  try {
    await writeFile(draft, content, { mode: 0o600 });
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MqError("BAD_CONFIG", `cannot read ${path}: ${why}`, {
      cause: error,
      facts: { file: path },
    });
  }
}

function check(
  pair: KeyPair,
  files: { readonly certificateFile: string; readonly keyFile: string },
): void {
  const { certificateFile, keyFile } = files;
  let fits: boolean;
  try {
    fits = new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MqError("BAD_CONFIG", `${certificateFile} or ${keyFile} is no PEM: ${why}`, {
      cause: error,
    });
  }
  if (!fits)
    throw new MqError("BAD_CONFIG", `the key ${keyFile} is not the key of ${certificateFile}`);
}
