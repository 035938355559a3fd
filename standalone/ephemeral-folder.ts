// A temporary data folder that goes with its process, in whatever way short of SIGKILL the process ends.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder to be removed at the end. */
export interface EphemeralFolder {
  readonly path: string;
  /** Removes it with all it holds. Synchronous, so that it works while the process exits. May be called again. */
  remove(): void;
}

/** Makes a folder in the machine's folder for temporary files. */
export function makeEphemeralFolder(): EphemeralFolder {
  const path = mkdtempSync(join(tmpdir(), "cometmq-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}
