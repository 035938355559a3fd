// Where the official clients are tried: at one standalone broker, and at a cluster of which they know one address.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { startBroker } from "../../bench/servers.ts";
import { HaCluster } from "../ha/kit/ha-cluster.ts";

/** Runs a program to its end. On failure the error carries what it printed. */
export const run: (
  program: string,
  args: readonly string[],
  options?: { readonly cwd?: string; readonly maxBuffer?: number; readonly timeout?: number },
) => Promise<{ readonly stdout: string }> = promisify(execFile);

/** Runs a program; gives its last line of output, which is JSON. */
export async function lastLine(
  program: string,
  args: readonly string[],
  cwd?: string,
): Promise<unknown> {
  const options = { maxBuffer: 1 << 26, timeout: 240_000, ...(cwd === undefined ? {} : { cwd }) };
  const { stdout } = await run(program, [...args], options);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/** Bytes of the smallest record. */
const recordSizeMin = 80;

/** Messages that each program sends, and has to receive. */
export const count = 1000;

/** Brokers that serve. */
export interface Place extends AsyncDisposable {
  /** `host:port` of the one address that clients are given. */
  readonly endpoint: string;
  /** Where the log of each broker ends. */
  logEnds(): Promise<readonly number[]>;
}

/** Opens a place where this topic can be used. */
export type OpenPlace = (topic: string) => Promise<Place>;

/** Each broker has stored some of the messages: bytes of a fifth of them at least. */
export async function assertSpread(place: Place): Promise<void> {
  for (const end of await place.logEnds()) {
    assert.ok(end > (count / 5) * recordSizeMin, `a log ends at ${end}`);
  }
}

/** By their names in tests. */
export const places: Readonly<Record<string, OpenPlace>> = {
  "one broker": async () => {
    const broker = await startBroker();
    return {
      endpoint: `127.0.0.1:${broker.port}`,
      logEnds: async () => [],
      [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
    };
  },
  "two masters, by the address of one": async (topic) => {
    const cluster = await HaCluster.start();
    const masters = ["a", "b"].map((brokerName) => cluster.add({ brokerName, brokerId: 0 }));
    await Promise.all(masters.map((master) => master.start()));
    await cluster.makeTopic(topic, ["a", "b"]);
    return {
      endpoint: masters[0]?.address ?? "",
      logEnds: () =>
        Promise.all(masters.map(async (master) => (await master.status())?.logEndPosition ?? 0)),
      [Symbol.asyncDispose]: () => cluster.close(),
    };
  },
};
