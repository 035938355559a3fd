// Compares our apache.rocketmq.v2 definitions with a checkout of the public ones:
//   tsx proto/scripts/compare-definitions.ts FOLDER
// where FOLDER holds apache/rocketmq/v2/*.proto. Prints each difference in messages, fields, numbers,
// types, labels, presence, enums and services; exits with 1 when there is any. Comments, order and
// file options do not count. Not part of CI, because it needs the checkout.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import protobuf from "protobufjs";
import { loadDefinitions, packageFolder, topLevelObjects } from "./definitions.ts";
import { describeObject } from "./file-descriptors.ts";

const files = ["definition", "service", "admin"].map((name) => `apache/rocketmq/v2/${name}.proto`);

/** Every fact of the definitions below `folder`, by a name that tells what it is about. */
function factsOf(folder: string): Map<string, string> {
  const facts = new Map<string, string>();
  const root = loadDefinitions(folder, files, { keepCase: true });
  for (const object of topLevelObjects(root)) {
    if (!object.fullName.startsWith(".apache.rocketmq.v2.")) continue;
    facts.set(object.fullName, `a ${object.constructor.name} in ${shortFile(object)}`);
    collect(object.fullName, describeObject(object), facts);
    if (object instanceof protobuf.Type) collectOneofs(object, facts);
  }
  return facts;
}

/** Oneofs by the names of their members: an index would depend on the order. */
function collectOneofs(type: protobuf.Type, facts: Map<string, string>): void {
  for (const oneof of type.oneofsArray)
    facts.set(`${type.fullName} oneof/${oneof.name}`, [...oneof.oneof].sort().join(", "));
  for (const inner of type.nestedArray)
    if (inner instanceof protobuf.Type) collectOneofs(inner, facts);
}

function shortFile(object: protobuf.ReflectionObject): string {
  return object.filename?.replace(/^.*\//, "") ?? "no file";
}

/** Lists named things under their names, so that their order does not count. */
function collect(place: string, value: unknown, facts: Map<string, string>): void {
  if (Array.isArray(value)) {
    value.forEach((item: unknown, index) => {
      const name: unknown = Reflect.get(Object(item) as object, "name");
      collect(`${place}/${typeof name === "string" ? name : index}`, item, facts);
    });
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value))
      if (name !== "oneofIndex") collect(`${place} ${name}`, inner, facts);
  } else {
    facts.set(place, String(value));
  }
}

const folder = process.argv[2];
if (folder === undefined || !existsSync(resolve(folder, files[0] ?? ""))) {
  console.error(
    "usage: tsx proto/scripts/compare-definitions.ts FOLDER (with apache/rocketmq/v2/)",
  );
  process.exit(2);
}
const ours = factsOf(packageFolder);
const theirs = factsOf(resolve(folder));
const differences = [...new Set([...ours.keys(), ...theirs.keys()])]
  .filter((name) => ours.get(name) !== theirs.get(name))
  .map((name) => `${name}: ours ${ours.get(name) ?? "none"}, public ${theirs.get(name) ?? "none"}`);
for (const difference of differences) console.log(difference);
console.log(`${theirs.size} facts compared, ${differences.length} differences`);
process.exitCode = differences.length === 0 ? 0 : 1;
