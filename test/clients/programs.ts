// The programs of the official clients, built once for all verifications of a run. A missing toolchain is a failure, not
// a skip.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lastLine, run } from "./places.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A client's program, which is built when it is first used. */
export interface Program {
  readonly name: string;
  /** Runs it to its end; gives its last line of output, which is JSON. */
  run(args: readonly string[]): Promise<unknown>;
}

/** By the name in tests: builds into a folder, and gives the command. */
const builds: Readonly<Record<string, (folder: string) => Promise<readonly string[]>>> = {
  async "Go (TLS)"(folder) {
    const program = join(folder, "go-clients");
    await run("go", ["build", "-o", program, "."], { cwd: here("go") });
    return [program];
  },
  async "Java (TLS)"(folder) {
    const target = join(folder, "java");
    await run("mvn", ["-q", "-B", "package", `-DbuildFolder=${target}`], { cwd: here("java") });
    return ["java", "-cp", `${target}/classes:${target}/lib/*`, "cometmq.Clients"];
  },
  async "Python (plaintext)"(folder) {
    const python = join(folder, "python/bin/python");
    await run("python3", ["-m", "venv", join(folder, "python")]);
    await run(python, ["-m", "pip", "install", "-q", "-r", here("python/requirements.txt")]);
    return [python, here("python/clients.py")];
  },
};

/** The folder of all programs; empty before the first is built. */
let folder: Promise<string> | undefined;
after(async () => {
  if (folder !== undefined) await rm(await folder, { recursive: true, force: true });
});

/** The programs of all languages that are among the verifications. */
export const programs: readonly Program[] = Object.entries(builds).map(([name, build]) => {
  let command: Promise<readonly string[]> | undefined;
  return {
    name,
    async run(args) {
      folder ??= mkdtemp(join(tmpdir(), "cometmq-clients-"));
      const into = await folder;
      command ??= build(into);
      const [program = "", ...own] = await command;
      return lastLine(program, [...own, ...args], into);
    },
  };
});
