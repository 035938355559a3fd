// resetOffsetByOffset: lets a group go on from an offset, also back.
import type { Command } from "../command.ts";
import { queueFlag, resetFlags, resetOffsets } from "../offset-resets.ts";

export const resetOffsetByOffset: Command = {
  name: "resetOffsetByOffset",
  summary: "let a group go on at an offset, which each of the queues must have, also back",
  flags: {
    ...resetFlags,
    ...queueFlag,
    offset: { short: "o", type: "string", value: "N", about: "queue offset", required: true },
  },
  async run(flags, session) {
    const offset = flags.int("offset", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0;
    return await resetOffsets(flags, session, { offset });
  },
};
