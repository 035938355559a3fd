// The official clients of other languages with their default settings: each sends 1,000 messages and receives them with a
// simple and with a push consumer. A missing toolchain is a failure, not a skip.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assertSpread, count, lastLine, places, run } from "./places.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const all = { sent: count, simple: count, push: count };

/** A client that was built: the command that takes endpoint, topic and count. */
interface Client {
  readonly name: string;
  build(folder: string): Promise<readonly string[]>;
}

const clients: readonly Client[] = [
  {
    name: "Go (TLS)",
    async build(folder) {
      const program = join(folder, "go-clients");
      await run("go", ["build", "-o", program, "."], { cwd: here("go") });
      return [program];
    },
  },
  {
    name: "Java (TLS)",
    async build(folder) {
      const target = join(folder, "java");
      await run("mvn", ["-q", "-B", "package", `-DbuildFolder=${target}`], { cwd: here("java") });
      return ["java", "-cp", `${target}/classes:${target}/lib/*`, "cometmq.Clients"];
    },
  },
  {
    name: "Python (plaintext)",
    async build(folder) {
      const python = join(folder, "python/bin/python");
      await run("python3", ["-m", "venv", join(folder, "python")]);
      await run(python, ["-m", "pip", "install", "-q", "-r", here("python/requirements.txt")]);
      return [python, here("python/clients.py")];
    },
  },
];

describe("official clients with default settings", function () {
  this.timeout(400_000);
  let folder = "";
  let commands: readonly (readonly string[])[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-clients-"));
    commands = await Promise.all(clients.map((client) => client.build(folder)));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  // All at once: what takes long is the waiting of the clients.
  for (const [where, open] of Object.entries(places)) {
    it(`send and receive: ${where}`, async () => {
      const results = await Promise.all(
        clients.map(async ({ name }, index) => {
          await using place = await open("orders");
          const [program = "", ...args] = commands[index] ?? [];
          const given = [...args, place.endpoint, "orders", String(count)];
          const result = await lastLine(program, given, folder);
          await assertSpread(place);
          return [name, result];
        }),
      );
      assert.deepEqual(
        results,
        clients.map(({ name }) => [name, all]),
      );
    });
  }
});
