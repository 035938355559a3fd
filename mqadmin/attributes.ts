// RocketMQ's notation for attributes: `+name=value` sets, `-name` removes, several with commas.
import { UsageFailure } from "./failure.ts";

/** Attributes to set and to remove. */
export interface AttributeChanges {
  readonly set: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
}

/** Reads `+message.type=FIFO,-consume.from`. Throws UsageFailure naming the part that is wrong. */
export function parseAttributes(text: string | undefined): AttributeChanges {
  const set: Record<string, string> = {};
  const removed: string[] = [];
  for (const part of (text ?? "").split(",").map((piece) => piece.trim())) {
    if (part === "") continue;
    const assignment = /^\+([^=\s]+)=(.+)$/.exec(part);
    const removal = /^-([^=\s]+)$/.exec(part);
    if (assignment !== null) set[assignment[1] ?? ""] = assignment[2] ?? "";
    else if (removal !== null) removed.push(removal[1] ?? "");
    else
      throw new UsageFailure(
        `"${part}" is no attribute: write +name=value to set, -name to remove`,
      );
  }
  return { set, removed };
}
