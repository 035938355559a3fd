// Builds the three packages in the order of their floors: proto, client-sdk, then the server.
// Runs as `prepare`, so that a fresh `npm ci` leaves compiled programs behind.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));
const projects = ["proto/tsconfig.json", "client-sdk/tsconfig.json", "tsconfig.build.json"];
const outputs = ["proto/dist", "client-sdk/dist", "dist"];

if (process.argv.includes("--clean")) {
  for (const output of outputs)
    rmSync(new URL(output, import.meta.url), { recursive: true, force: true });
}
for (const project of projects) {
  if (!existsSync(new URL(project, import.meta.url))) continue;
  const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
  const { status } = spawnSync(process.execPath, [compiler, "-p", project], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}
