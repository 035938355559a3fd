// Reads `key = value` files as Java's Properties does: the shape of RocketMQ's broker.conf and namesrv.conf.

/** One entry of a file. */
export interface Property {
  readonly key: string;
  readonly value: string;
  /** From 1, where the entry starts. */
  readonly line: number;
}

const escapes: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

function unescape(written: string): string {
  return written.replace(/\\(?:u([0-9a-f]{4})|(.))/gi, (_all, hex?: string, letter?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return escapes[letter ?? ""] ?? letter ?? "";
  });
}

function endsWithOddBackslashes(line: string): boolean {
  const tail = /\\+$/.exec(line);
  return tail !== null && tail[0].length % 2 === 1;
}

/**
 * Reads the entries in order. `#` and `!` start comment lines; `=`, `:` or blanks part key and value; a line
 * that ends with a backslash goes on in the next; `\n`, `\t`, `\uXXXX` and `\` before any other letter are escapes.
 */
export function parseProperties(text: string): Property[] {
  const properties: Property[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    let logical = (lines[index] ?? "").trimStart();
    if (logical === "" || logical.startsWith("#") || logical.startsWith("!")) continue;
    while (endsWithOddBackslashes(logical) && index + 1 < lines.length) {
      index++;
      logical = logical.slice(0, -1) + (lines[index] ?? "").trimStart();
    }
    const match = /^((?:\\.|[^\\\s=:])*)\s*[=:]?\s*(.*)$/s.exec(logical);
    if (match === null) continue;
    const [, key = "", value = ""] = match;
    properties.push({ key: unescape(key), value: unescape(value.trimEnd()), line });
  }
  return properties;
}
