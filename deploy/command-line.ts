// The command line of `npm run cluster`.
import { parseArgs } from "node:util";

/** What the user wants. */
export type ClusterRequest =
  | { readonly kind: "help" }
  | {
      readonly kind: "run";
      /** A set's name, or the path of a folder with a `/` in it. */
      readonly set: string;
      /** Undefined: ./data/cluster/ and the set's name. */
      readonly data: string | undefined;
      readonly ephemeral: boolean;
      /** Undefined: as the files say; 0: free ones. */
      readonly basePort: number | undefined;
    };

/** The command line makes no sense; the message says why. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads the arguments (without node and script). Throws UsageError. */
export function parseCommandLine(argv: readonly string[]): ClusterRequest {
  const { values, positionals } = parse(argv);
  if (values.help === true) return { kind: "help" };
  const [set, ...more] = positionals;
  if (set === undefined) throw new UsageError("name a set");
  if (more.length > 0) throw new UsageError(`one set at a time, not also ${more.join(" ")}`);
  if (values.ephemeral === true && values.data !== undefined) {
    throw new UsageError("--ephemeral and --data exclude each other; give one");
  }
  return {
    kind: "run",
    set,
    data: values.data,
    ephemeral: values.ephemeral ?? false,
    basePort: readPort(values["base-port"]),
  };
}

/** The text of --help. */
export function helpText(setNames: readonly string[]): string {
  return `Usage: npm run cluster -- SET [--data DIR | --ephemeral] [--base-port N]

Runs all processes of a configuration set on this machine, in this terminal. SET is one of
  ${setNames.join("  ")}
or a folder with such files, given as a path with a / in it.

  --data DIR       keep the data in DIR (data/cluster/SET)
  --ephemeral      keep it in a temporary folder that is removed at the end
  --base-port N    use ports from N on instead of those of the files; 0: free ones
  -h, --help

One line says where each process serves; then their warnings and errors follow, and what
becomes of a process that ends. Their whole logs are NAME.log in the data folder. Ctrl-C ends
all in order, a second one at once. Exit codes: 0 stopped as asked, 1 failed, 2 wrong flags.
`;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      strict: true,
      options: {
        data: { type: "string" },
        ephemeral: { type: "boolean" },
        "base-port": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UsageError(message.split(". ", 1)[0] ?? message, { cause: error });
  }
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d+$/.test(text) && (port === 0 || (port >= 1024 && port <= 65_000))) return port;
  throw new UsageError(`--base-port must be 0 or from 1024 to 65000, not "${text}"`);
}
