// Where the configuration sets and the programs are, also when this file runs from dist/.
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the package: the one with `bin/`. */
export function packageFolder(): string {
  const places = ["..", "../.."].map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const found = places.find((place) => existsSync(join(place, "bin/mqbroker")));
  if (found === undefined) throw new Error(`bin/ is missing: looked in ${places.join(", ")}`);
  return found;
}

/** A program of ours. */
export function programPath(name: string): string {
  return join(packageFolder(), "bin", name);
}

/** Names of the sets that come with the package. */
export function setNames(): readonly string[] {
  const folder = join(packageFolder(), "deploy");
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && hasConfiguration(join(folder, entry.name)))
    .map(({ name }) => name)
    .toSorted();
}

/** The folder of a set: one of ours by name, or any by its path. Undefined when it has no configuration of ours. */
export function setFolder(nameOrPath: string): string | undefined {
  const isPath = nameOrPath.includes("/");
  const folder = isPath ? resolve(nameOrPath) : join(packageFolder(), "deploy", nameOrPath);
  return existsSync(folder) && hasConfiguration(folder) ? folder : undefined;
}

/** Finds a program of somebody else on PATH. */
export function onPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":").filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** A path as it is shown: from here, when that is shorter. */
export function shownPath(path: string): string {
  const here = `${process.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}

function hasConfiguration(folder: string): boolean {
  return readdirSync(folder).some((file) => programOf(file) !== undefined);
}

/** The program that a configuration file is for, by the beginning of its name. */
export function programOf(file: string): "mqnamesrv" | "mqbroker" | "cometmq" | undefined {
  if (!file.endsWith(".conf")) return undefined;
  if (file.startsWith("namesrv")) return "mqnamesrv";
  if (file.startsWith("broker")) return "mqbroker";
  return file.startsWith("cometmq") ? "cometmq" : undefined;
}
