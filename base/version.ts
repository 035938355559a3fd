// The version of the program, so that no process has to read package.json.

/** Version of all packages; a test compares it with package.json. */
export const softwareVersion = "0.1.0";
