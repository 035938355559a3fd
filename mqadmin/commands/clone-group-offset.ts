// cloneGroupOffset: lets a group go on where another one is.
import { type Command, topicFlag } from "../command.ts";
import { cloneOffsets } from "../offset-resets.ts";
import { topicMasterFlags } from "../topic-masters.ts";

export const cloneGroupOffset: Command = {
  name: "cloneGroupOffset",
  summary: "let a group go on with what another one has not consumed of a topic",
  flags: {
    srcGroup: {
      short: "s",
      type: "string",
      value: "GROUP",
      about: "the group whose offsets are taken",
      required: true,
    },
    destGroup: {
      short: "d",
      type: "string",
      value: "GROUP",
      about: "the group that gets them; made when it is not there",
      required: true,
    },
    ...topicFlag,
    ...topicMasterFlags,
    offline: {
      short: "o",
      type: "string",
      value: "true|false",
      about: "accepted for compatibility; not used",
    },
  },
  run: (flags, session) => cloneOffsets(flags, session),
};
