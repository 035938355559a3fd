// The shape of the tree is a test: floors, doors, cycles, names, and where time, randomness and files may be touched.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Each room and the rooms below it whose doors it may use. */
const floors: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: [],
  transport: ["base"],
  ops: ["base"],
  route: ["base"],
  registrar: ["base", "route"],
  "client-sdk": [],
  nameserver: ["base", "ops", "route", "transport"],
  "broker/store": ["base"],
  "broker/index": ["base", "broker/store"],
  "broker/metadata": ["base", "broker/store"],
  "broker/held": ["base", "broker/metadata", "broker/store"],
  "broker/timers": ["base", "broker/held", "broker/metadata", "broker/store"],
  "broker/transactions": ["base", "broker/held", "broker/metadata", "broker/store"],
  "broker/clients": ["base", "broker/metadata"],
  "broker/filter": ["base"],
  "broker/delivery": ["base", "broker/filter", "broker/metadata", "broker/store"],
  "broker/cluster": ["base", "broker/ha", "broker/metadata", "registrar", "route", "transport"],
  "broker/ha": ["base", "broker/metadata", "broker/store"],
  "broker/ha/election": ["base"],
  "broker/sends": ["base", "broker/metadata", "broker/store"],
  "broker/remoting": [
    "base",
    "broker/clients",
    "broker/cluster",
    "broker/delivery",
    "broker/ha",
    "broker/held",
    "broker/index",
    "broker/metadata",
    "broker/sends",
    "broker/store",
    "broker/timers",
    "broker/transactions",
    "registrar",
    "route",
    "transport",
  ],
  broker: [
    "base",
    "broker/clients",
    "broker/cluster",
    "broker/delivery",
    "broker/ha",
    "broker/ha/election",
    "broker/held",
    "broker/index",
    "broker/metadata",
    "broker/remoting",
    "broker/sends",
    "broker/store",
    "broker/timers",
    "broker/transactions",
    "ops",
    "registrar",
    "route",
    "transport",
  ],
  mqadmin: ["base"],
  standalone: ["base", "broker", "mqadmin", "nameserver", "ops", "registrar"],
  testing: ["base", "standalone"],
  demo: [],
  deploy: ["base"],
};

/** The files that touch the outside world; nothing else may. */
const edges: Readonly<Record<string, readonly RegExp[]>> = {
  "Date.now": [/^base\/clock\.ts$/, /^client-sdk\//, /^mqadmin\//, /^demo\//],
  "Math.random": [/^base\/random\.ts$/, /^client-sdk\//],
  setTimeout: [/^base\/clock\.ts$/, /^client-sdk\//, /^mqadmin\//, /^demo\//],
  setInterval: [/^base\/clock\.ts$/, /^client-sdk\//, /^demo\//],
  "node:fs": [
    /^base\/config\//,
    /^broker\/store\/(node-disk|folder-lock)\.ts$/,
    /^transport\/tls\//,
    /^transport\/certificate/,
    /^standalone\//,
    /^mqadmin\//,
    /^client-sdk\//,
    /^demo\//,
    /^deploy\//,
  ],
};

const bannedNames = /(^|[-/])(utils?|helpers?|common|misc|impl|manager|data|info)(\.|-|\/)/;

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^;"']*?from\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.ts)["']/g;

function sources(): SourceFile[] {
  const listed = execFileSync(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  return listed
    .split("\n")
    .filter((path) => path !== "" && !path.startsWith("test/") && !path.startsWith("bench/"))
    .filter((path) => !/generated\/|\.d\.ts$|\/scripts\//.test(path))
    .map((path) => {
      const text = readFileSync(join(root, path), "utf8");
      const imports = [...text.matchAll(importPattern)].map(
        (match) => match[1] ?? match[2] ?? match[3] ?? "",
      );
      return { path, text, imports };
    });
}

function roomOf(path: string): string {
  const parts = path.split("/");
  const deepest = [3, 2].map((depth) => parts.slice(0, depth).join("/"));
  return deepest.find((room) => room in floors) ?? parts[0] ?? "";
}

function resolved(file: SourceFile, specifier: string): string {
  return normalize(join(dirname(file.path), specifier));
}

describe("the shape of the tree", () => {
  const files = sources();
  const isTest = (path: string): boolean => path.endsWith(".test.ts") || path.includes("/testkit/");
  const production = files.filter((file) => !isTest(file.path));

  it("imports only go down, and through doors", () => {
    const wrong: string[] = [];
    for (const file of production) {
      const room = roomOf(file.path);
      const allowed = floors[room];
      if (allowed === undefined) wrong.push(`${file.path}: the folder ${room} has no floor`);
      for (const specifier of file.imports.filter((name) => name.startsWith("."))) {
        const target = resolved(file, specifier);
        const targetRoom = roomOf(target);
        if (targetRoom === room) continue;
        if (!(allowed ?? []).includes(targetRoom))
          wrong.push(`${file.path} must not import ${target}`);
        else if (target !== `${targetRoom}/index.ts`)
          wrong.push(`${file.path} goes past the door: ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("has no import cycle, types included", () => {
    const graph = new Map(
      production.map((file) => [
        file.path,
        file.imports.filter((name) => name.startsWith(".")).map((name) => resolved(file, name)),
      ]),
    );
    const done = new Set<string>();
    const visit = (path: string, trail: readonly string[]): void => {
      assert.ok(!trail.includes(path), `import cycle: ${[...trail, path].join(" > ")}`);
      if (done.has(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
  });

  it("has no file that nothing imports", () => {
    const used = new Set(
      files.flatMap((file) =>
        file.imports.filter((name) => name.startsWith(".")).map((name) => resolved(file, name)),
      ),
    );
    const entries =
      /(^|\/)(index|main|[a-z-]*worker[a-z-]*)\.ts$|^demo\/|^mqadmin\/commands\/|^client-sdk\/examples\//;
    const orphans = production.filter((file) => !used.has(file.path) && !entries.test(file.path));
    assert.deepEqual(
      orphans.map((file) => file.path),
      [],
    );
  });

  it("re-exports by name and has no default export", () => {
    const wrong = production.filter((file) => /^export (\*|default)/m.test(file.text));
    assert.deepEqual(
      wrong.map((file) => file.path),
      [],
    );
  });

  it("names files by one thing, in kebab-case, at most 500 lines", () => {
    const wrong = files.filter(
      (file) =>
        bannedNames.test(file.path) ||
        !/^[a-z0-9./-]+$/.test(file.path) ||
        file.text.split("\n").length > 501,
    );
    assert.deepEqual(
      wrong.map((file) => file.path),
      [],
    );
  });

  it("opens each file with what it is for", () => {
    const wrong = production.filter(
      (file) => !file.path.endsWith("index.ts") && !/^(#!.*\n)?\/[/*]/.test(file.text),
    );
    assert.deepEqual(
      wrong.map((file) => file.path),
      [],
    );
  });

  it("touches time, randomness and files only at its edges", () => {
    const wrong: string[] = [];
    for (const file of production) {
      for (const [word, allowed] of Object.entries(edges)) {
        const used = new RegExp(`(?<![.\\w#])${word.replace(".", "\\.")}(?=\\(|/|["'])`).test(
          file.text.replace(/\/\/.*$|\/\*[\s\S]*?\*\//gm, ""),
        );
        if (used && !allowed.some((pattern) => pattern.test(file.path)))
          wrong.push(`${file.path}: ${word}`);
      }
    }
    assert.deepEqual(wrong, []);
  });
});
