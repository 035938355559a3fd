// updateTopic: creates a topic or changes the fields that are given.
import { parseAttributes } from "../attributes.ts";
import { type Command, targetFlags, topicFlag } from "../command.ts";
import { completed, onEachMaster } from "../each-master.ts";
import { shownTopic, topicTable } from "../topics.ts";

const unused = "accepted for compatibility; not used";
const queueRange = { min: 1, max: 65_536 };

export const updateTopic: Command = {
  name: "updateTopic",
  summary: "create a topic, or change what is given of an existing one",
  flags: {
    ...targetFlags,
    ...topicFlag,
    readQueueNums: {
      short: "r",
      type: "string",
      value: "N",
      about: "queues to read (8 for a new topic)",
    },
    writeQueueNums: {
      short: "w",
      type: "string",
      value: "N",
      about: "queues to write (8 for a new topic)",
    },
    perm: { short: "p", type: "string", value: "2|4|6", about: "2 write, 4 read, 6 both" },
    order: { short: "o", type: "string", value: "true|false", about: "ordered topic" },
    attributes: {
      short: "a",
      type: "string",
      value: "+NAME=VALUE,-NAME",
      about: "attributes, e.g. +message.type=NORMAL",
    },
    unit: { short: "u", type: "string", value: "true|false", about: unused },
    hasUnitSub: { short: "s", type: "string", value: "true|false", about: unused },
  },
  async run(flags, session) {
    const { set, removed } = parseAttributes(flags.text("attributes"));
    const { "message.type": messageType, ...attributes } = set;
    const readQueues = flags.int("readQueueNums", queueRange);
    const writeQueues = flags.int("writeQueueNums", queueRange);
    const perm = flags.int("perm", { min: 0, max: 6 });
    const order = flags.bool("order");
    const request = {
      name: flags.required("topic"),
      ...(readQueues === undefined ? {} : { readQueues }),
      ...(writeQueues === undefined ? {} : { writeQueues }),
      ...(perm === undefined ? {} : { perm }),
      ...(order === undefined ? {} : { order }),
      ...(messageType === undefined ? {} : { messageType }),
      attributes,
      removedAttributes: [...removed],
    };
    const outcomes = await onEachMaster(session, flags, async ({ name, address }) => {
      const { topic, created } = await session.call(address, session.admin.UpdateTopic, request);
      return { broker: name, created: created ?? false, topic: shownTopic(name, topic ?? {}) };
    });
    const { done } = outcomes;
    return completed(outcomes, {
      json: done,
      lines: done.map(
        ({ broker, created }) =>
          `topic ${request.name} ${created ? "created" : "updated"} on ${broker}`,
      ),
      table: topicTable(done.map(({ topic }) => topic)),
    });
  },
};
