// mqadmin as an operator runs it, and what came of it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/mqadmin", import.meta.url));

/** How a run ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it with `args`. */
export function mqadmin(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Runs a command that must succeed, at the NameServers `-n`; gives its JSON. */
export async function mqadminJson<T>(nameServers: string, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await mqadmin(...args, "-n", nameServers, "--json");
  assert.equal(code, 0, `mqadmin ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}
