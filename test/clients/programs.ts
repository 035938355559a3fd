// The programs of the official clients, built anew in each run. A missing toolchain is a failure, not
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

/** Runs a compiler, behind the tests that run beside it. */
const build: typeof run = (program, args, options) => run("nice", [program, ...args], options);

/** By the name in tests: builds into a folder, and gives the command. */
const builds: Readonly<Record<string, (folder: string) => Promise<readonly string[]>>> = {
  async "Go (TLS)"(folder) {
    const program = join(folder, "go-clients");
    await build("go", ["build", "-o", program, "."], { cwd: here("go") });
    return [program];
  },
  async "Java (TLS)"(folder) {
    const target = join(folder, "java");
    await build("mvn", ["-q", "-B", "package", `-DbuildFolder=${target}`], { cwd: here("java") });
    return ["java", "-cp", `${target}/classes:${target}/lib/*`, "cometmq.Clients"];
  },
  async "Python (plaintext)"(folder) {
    const python = join(folder, "python/bin/python");
    await run("python3", ["-m", "venv", join(folder, "python")]);
    await run(python, ["-m", "pip", "install", "-q", "-r", here("python/requirements.txt")]);
    return [python, here("python/clients.py")];
  },
  async "Rust (plaintext)"(folder) {
    const target = ["--target-dir", join(folder, "rust")];
    await build("cargo", ["build", "--quiet", "--locked", ...target], {
      cwd: here("rust"),
      maxBuffer: 1 << 26,
    });
    return [join(folder, "rust/debug/cometmq-clients")];
  },
};

/** What a program says of a feature that its client lacks. */
export const lacking = "the client lacks it";

let folder = "";
after(() => rm(folder, { recursive: true, force: true }));

/** Builds the programs of all languages. */
export async function programs(): Promise<readonly Program[]> {
  folder = await mkdtemp(join(tmpdir(), "cometmq-clients-"));
  const building = Object.entries(builds).map(async ([name, make]) => {
    const [program = "", ...own] = await make(folder);
    return {
      name,
      run: (args: readonly string[]) => lastLine(program, [...own, ...args], folder),
    };
  });
  return Promise.all(building);
}
