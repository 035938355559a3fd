// Runs h2load (Debian package nghttp2-client) with one gRPC request body and reads its figures.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** What one h2load run says. */
export interface H2loadResult {
  readonly requestsPerSecond: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Mean time of a request, milliseconds. */
  readonly meanMs: number;
}

/** Load of one run. */
export interface H2loadOptions {
  readonly port: number;
  readonly path: string;
  readonly body: Buffer;
  readonly folder: string;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** 4 connections with 64 streams each, for `seconds` after `warmUpSeconds`. Throws when h2load is missing or requests failed. */
export async function h2load(options: H2loadOptions): Promise<H2loadResult> {
  const file = join(options.folder, "h2load-body");
  await writeFile(file, options.body);
  const { stdout } = await promisify(execFile)(
    "h2load",
    [
      ...["-c", "4", "-m", "64", "-t", "1", "-D", String(options.seconds)],
      ...["--warm-up-time", String(options.warmUpSeconds), "-d", file],
      ...[
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        "-H",
        "x-mq-client-id: bench",
      ],
      `http://127.0.0.1:${options.port}${options.path}`,
    ],
    { maxBuffer: 1 << 24 },
  );
  const figure = (pattern: RegExp): number => Number(stdout.match(pattern)?.[1] ?? Number.NaN);
  const result = {
    requestsPerSecond: figure(/finished in [^,]+, ([\d.]+) req\/s/),
    succeeded: figure(/(\d+) succeeded/),
    failed: figure(/(\d+) failed/),
    meanMs: toMs(stdout.match(/time for request:\s+\S+\s+\S+\s+(\S+)/)?.[1] ?? ""),
  };
  if (!(result.succeeded > 0) || result.failed > 0) throw new Error(`h2load: ${stdout}`);
  return result;
}

function toMs(text: string): number {
  const value = Number.parseFloat(text);
  if (text.endsWith("us")) return value / 1000;
  return text.endsWith("ms") ? value : value * 1000;
}
