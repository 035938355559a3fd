// The conformance suite of HTTP/2 and HPACK, h2spec, in strict mode, over plaintext and TLS: all cases must pass.
// Needs `go install github.com/summerwind/h2spec/cmd/h2spec@latest`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { openServer } from "./test-server.ts";

const caseCount = 146;

/** Runs h2spec; its output and exit code. */
async function run(
  port: number,
  options: readonly string[],
): Promise<{ readonly text: string; readonly code: number | null }> {
  const goBin = process.env["GOBIN"] ?? join(process.env["GOPATH"] ?? join(homedir(), "go"), "bin");
  const child = spawn(
    "h2spec",
    ["-S", "--strict", "-h", "127.0.0.1", "-p", String(port), ...options],
    {
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}${delimiter}${goBin}` },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (cause) => reject(new Error("h2spec is not installed", { cause })));
    child.on("close", resolve);
  });
  return { text, code };
}

describe("h2spec", () => {
  const transports = { plaintext: [], TLS: ["-t", "-k"] } as const;
  for (const [name, options] of Object.entries(transports)) {
    it(`passes all ${caseCount} cases over ${name}`, async function () {
      this.timeout(120_000);
      await using under = await openServer({
        tls: { mode: "permissive", certificate: { kind: "selfSigned" } },
      });
      const { text, code } = await run(under.port, options);
      const summary = /\d+ tests, .*/.exec(text)?.[0];
      const failures = text.slice(Math.max(0, text.indexOf("Failures:")));
      assert.equal(
        summary,
        `${caseCount} tests, ${caseCount} passed, 0 skipped, 0 failed`,
        failures,
      );
      assert.equal(code, 0);
    });
  }
});
