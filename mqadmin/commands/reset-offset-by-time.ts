// resetOffsetByTime: lets a group go on from a moment, also back.
import type { Command } from "../command.ts";
import { UsageFailure } from "../failure.ts";
import { queueFlag, resetFlags, resetOffsets } from "../offset-resets.ts";

export const resetOffsetByTime: Command = {
  name: "resetOffsetByTime",
  summary: "let a group go on with the messages stored at a moment or later, also back",
  flags: {
    ...resetFlags,
    ...queueFlag,
    timestamp: {
      short: "s",
      type: "string",
      value: "TIME",
      about: "now, milliseconds, ISO 8601 or yyyy-MM-dd#HH:mm:ss:SSS",
      required: true,
    },
    offset: {
      short: "o",
      type: "string",
      value: "N",
      about: "with -q: this offset, whatever the time says",
    },
    cplus: { type: "boolean", about: "accepted for compatibility; not used" },
  },
  async run(flags, session) {
    const timeMs = flags.time("timestamp") ?? 0;
    const offset = flags.int("offset", { min: 0, max: Number.MAX_SAFE_INTEGER });
    if (offset === undefined) return await resetOffsets(flags, session, { timeMs });
    if (flags.text("queue") === undefined) {
      throw new UsageFailure("--offset is that of one queue: name it with -q");
    }
    return await resetOffsets(flags, session, { offset });
  },
};
