// The programs of the official clients, built once for all verifications of a run. A missing toolchain is a failure, not
// a skip.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lastLine, run } from "./places.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A client's program. */
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

let folder = "";
let built: Promise<readonly Program[]> | undefined;
after(() => rm(folder, { recursive: true, force: true }));

/** The programs of all languages that are among the verifications: built by the first caller, before anything is timed. */
export function programs(): Promise<readonly Program[]> {
  built ??= buildAll();
  return built;
}

async function buildAll(): Promise<readonly Program[]> {
  folder = await mkdtemp(join(tmpdir(), "cometmq-clients-"));
  const building = Object.entries(builds).map(async ([name, build]) => {
    const [program = "", ...own] = await build(folder);
    return {
      name,
      run: (args: readonly string[]) => lastLine(program, [...own, ...args], folder),
    };
  });
  return Promise.all(building);
}
