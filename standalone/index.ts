export { type EphemeralFolder, makeEphemeralFolder } from "./ephemeral-folder.ts";
export { Standalone, type StandaloneAddresses, type StandaloneOptions } from "./standalone.ts";
