// skipAccumulatedMessage: lets a group leave out everything that it has not consumed yet.
import type { Command } from "../command.ts";
import { resetFlags, resetOffsets } from "../offset-resets.ts";

export const skipAccumulatedMessage: Command = {
  name: "skipAccumulatedMessage",
  summary: "let a group go on behind the newest message; what it has not consumed is skipped",
  flags: resetFlags,
  run: (flags, session) => resetOffsets(flags, session, { end: true }),
};
