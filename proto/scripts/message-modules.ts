// One TypeScript module per group of .proto files: the functions are protobufjs' static code
// (pbjs -t static-module), cut into one constant per message; the types are written here, because
// those of pbts hide that a message field may be absent.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import protobuf from "protobufjs";
import {
  generatedHeader,
  localName,
  moduleFiles,
  moduleOf,
  packageFolder,
  protoFiles,
  topLevelObjects,
} from "./definitions.ts";
import { typesOf } from "./message-types.ts";

const preamble = `import protobuf from "protobufjs/minimal.js";
import type { EnumObject, MessageClass } from "../codec.ts";
`;

const aliases = `
const { Reader: $Reader, Writer: $Writer, util: $util } = protobuf;
const $Object = Object, $undefined = undefined, $Error = Error, $RangeError = RangeError;

// 64-bit integers are plain numbers here, also when another package has loaded \`long\`.
const $int64 = (reader) => {
  const value = reader.int64();
  return typeof value === "number" ? value : value.toNumber();
};
`;

/** Gives the text of each message module by file name. */
export function messageModules(root: protobuf.Root): Map<string, string> {
  const bodies = bodiesByName(staticCode());
  const modules = new Map<string, string>();
  for (const name of Object.keys(moduleFiles))
    modules.set(`${name}.ts`, moduleText(root, name, bodies));
  return modules;
}

function moduleText(
  root: protobuf.Root,
  name: string,
  bodies: ReadonlyMap<string, string>,
): string {
  const imports = new Imports(name);
  const parts: string[] = [];
  for (const object of topLevelObjects(root)) {
    if (object instanceof protobuf.Service || moduleOf(object) !== name) continue;
    const body = bodies.get(object.fullName);
    if (body === undefined) throw new Error(`pbjs has left out ${object.fullName}`);
    const types = typesOf(object, (other, asInit) => imports.type(other, asInit));
    const value = linked(body, (path) => imports.value(root.lookupTypeOrEnum(path)));
    parts.push(
      `${types.declarations}export const ${object.name}: ${types.valueType} = ${value};\n`,
    );
  }
  const head = `${generatedHeader}// @ts-nocheck\n${preamble}${imports.text()}${aliases}`;
  return `${head}\n${parts.join("\n")}`;
}

/** Names of other modules that one module needs, and how it calls them. */
class Imports {
  readonly #module: string;
  readonly #values = new Map<string, Set<string>>();
  readonly #types = new Map<string, Set<string>>();

  constructor(module: string) {
    this.#module = module;
  }

  value(object: protobuf.ReflectionObject): string {
    this.#need(this.#values, object, localName(object));
    return localName(object);
  }

  type(object: protobuf.ReflectionObject, asInit: boolean): string {
    const name = localName(object);
    const used = asInit ? name.replace(/(\w+)$/, "I$1") : name;
    this.#need(this.#types, object, used);
    return used;
  }

  text(): string {
    const modules = new Set([...this.#values.keys(), ...this.#types.keys()]);
    return [...modules]
      .map((module) => {
        const values = this.#values.get(module) ?? new Set();
        const types = [...(this.#types.get(module) ?? [])].filter((name) => !values.has(name));
        const names = [...[...values].sort(), ...types.sort().map((name) => `type ${name}`)];
        return `import { ${names.join(", ")} } from "./${module}.ts";\n`;
      })
      .join("");
  }

  #need(kind: Map<string, Set<string>>, object: protobuf.ReflectionObject, used: string): void {
    const module = moduleOf(object);
    if (module === this.#module) return;
    const names = kind.get(module) ?? new Set<string>();
    kind.set(module, names.add(used.split(".")[0] ?? used));
  }
}

/** Runs pbjs over all files. A process of its own, because it keeps state between runs. */
function staticCode(): string {
  const require = createRequire(import.meta.url);
  const pbjs = require.resolve("protobufjs-cli/bin/pbjs");
  const left = ["create", "verify", "convert", "delimited", "typeurl", "service", "comments"];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      pbjs,
      "--target=static-module",
      "--wrap=es6",
      "--force-number",
      "--null-semantics",
      ...left.map((part) => `--no-${part}`),
      `--path=${packageFolder.slice(0, -1)}`,
      ...protoFiles.map((file) => `${packageFolder}${file}`),
    ],
    { cwd: packageFolder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (status !== 0) throw new Error(`pbjs failed: ${stderr}`);
  return stdout;
}

/** Cuts pbjs' output: the function that makes each message or enum, by full name. */
function bodiesByName(code: string): Map<string, string> {
  const bodies = new Map<string, string>();
  const pattern = /^( +)(v2|v1|protobuf)\.(\w+) = (\(function\(\) \{\n[\s\S]*?\n\1\}\)\(\));/gm;
  const spaces: Readonly<Record<string, string>> = {
    v2: ".apache.rocketmq.v2.",
    v1: ".cometmq.v1.",
    protobuf: ".google.protobuf.",
  };
  for (const [, indent = "", space = "", name = "", body = ""] of code.matchAll(pattern))
    bodies.set(`${spaces[space]}${name}`, tidied(body, indent.length));
  for (const [name, body] of bodies) {
    // `$int64` is all that keeps 64-bit integers from becoming objects.
    if (/reader\.\w*64\w*\(/.test(body)) throw new Error(`${name}: of 64 bits use only int64`);
  }
  return bodies;
}

/** Code that keeps fields nobody knows; ours are never asked to, and it is a tenth of all code. */
const unknownsWritten =
  /\n *if \(message\.\$unknowns != null .*\n *for \(.*\n *writer\.raw\(message\.\$unknowns\[i\]\);/g;
const unknownsKept = /\n *if \(!reader\.discardUnknown\) \{\n(?:.*\n){2} *\}/g;

/** Two columns an indent; 64-bit integers read as numbers; unknown fields dropped. */
function tidied(body: string, indent: number): string {
  return body
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const text = line.trimStart();
      const depth = Math.max(0, line.length - text.length - indent);
      return " ".repeat(depth / 2) + text.trimEnd();
    })
    .join("\n")
    .replaceAll("$util.Long ? $util.Long.fromBits(0,0,false) : 0", "0")
    .replaceAll(
      'typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0',
      "(value = $int64(reader)) !== 0",
    )
    .replaceAll("reader.int64()", "$int64(reader)")
    .replaceAll(unknownsWritten, "")
    .replaceAll(unknownsKept, "");
}

/** Turns paths from pbjs' root object into what `nameOf` says. */
function linked(body: string, nameOf: (path: string) => string): string {
  return body.replace(
    /\$root\.((?:\w+\.)*?\w+)(?=\.(?:encode|decode)\b|\()/g,
    (_all, path: string) => nameOf(path),
  );
}
