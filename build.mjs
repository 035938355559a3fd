// Builds the three packages in the order of their floors: proto, client-sdk, then the server; then the server's programs.
// Runs as `prepare`, so that a fresh `npm ci` leaves compiled programs behind.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const projects = ["proto/tsconfig.json", "client-sdk/tsconfig.json", "tsconfig.build.json"];
const outputs = ["proto/dist", "client-sdk/dist", "dist"];
const programs = "dist/programs";

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

// Node.js takes longer to find and open the some 500 small files of a program than to run them: what `bin/` starts is put
// together into few files, libraries included. What is loaded late stays apart, and so does native code. All lie in one
// folder, since a program finds the index's thread beside the file that starts it.
rmSync(new URL(programs, import.meta.url), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: {
    cometmq: "dist/standalone/cometmq/main.js",
    mqbroker: "dist/standalone/mqbroker/main.js",
    mqnamesrv: "dist/standalone/mqnamesrv/main.js",
    mqadmin: "dist/mqadmin/main.js",
    "index-worker": "dist/broker/index/index-worker.js",
  },
  outdir: programs,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: ["level"],
  logLevel: "warning",
  // Libraries of the older module kind ask for Node.js' own modules by `require`.
  banner: {
    js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
  },
});
