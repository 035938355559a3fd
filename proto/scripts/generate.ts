// Makes proto/generated/ from the .proto files: `tsx scripts/generate.ts [--check]`. Running it
// again changes nothing; --check writes nothing and fails when a file is not what it would write.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatedFolder, loadDefinitions } from "./definitions.ts";
import { descriptorModule } from "./descriptor-module.ts";
import { messageModules } from "./message-modules.ts";
import { serviceModules } from "./service-modules.ts";

const root = loadDefinitions();
const wanted = new Map([
  ...messageModules(root),
  ...serviceModules(root),
  ["descriptors.ts", descriptorModule()] as const,
]);

mkdirSync(generatedFolder, { recursive: true });
const present = readdirSync(generatedFolder);
const stale = present.filter((name) => !wanted.has(name));
const different = [...wanted].filter(
  ([name, text]) =>
    !present.includes(name) || readFileSync(join(generatedFolder, name), "utf8") !== text,
);

if (process.argv.includes("--check")) {
  for (const name of stale) console.error(`generated/${name} is not made any more`);
  for (const [name] of different) console.error(`generated/${name} is not up to date`);
  if (stale.length + different.length > 0) {
    console.error("run: npm run generate -w proto");
    process.exitCode = 1;
  }
} else {
  for (const name of stale) rmSync(join(generatedFolder, name));
  for (const [name, text] of different) writeFileSync(join(generatedFolder, name), text);
  console.log(`${wanted.size} files, ${different.length} changed, ${stale.length} removed`);
}
