// updateSubGroup: creates a consumer group or changes what is given of it.
import { parseAttributes } from "../attributes.ts";
import { type Command, groupFlag, targetFlags } from "../command.ts";
import { completed, onEachMaster } from "../each-master.ts";
import { UsageFailure } from "../failure.ts";
import type { Flags } from "../flags.ts";
import { groupTable, shownGroup } from "../groups.ts";
import { parseRetryPolicy } from "../retry-policy.ts";

const unused = "accepted for compatibility; not used";

export const updateSubGroup: Command = {
  name: "updateSubGroup",
  summary: "create a consumer group, or change what is given of an existing one",
  flags: {
    ...targetFlags,
    ...groupFlag,
    consumeEnable: {
      short: "s",
      type: "string",
      value: "true|false",
      about: "may the group consume",
    },
    consumeFromMinEnable: {
      short: "m",
      type: "string",
      value: "true|false",
      about: "start at the oldest message (the same as -a +consume.from=first)",
    },
    consumeBroadcastEnable: {
      short: "d",
      type: "string",
      value: "true|false",
      about: "may it broadcast",
    },
    consumeMessageOrderly: { short: "o", type: "string", value: "true|false", about: "FIFO order" },
    retryMaxTimes: {
      short: "r",
      type: "string",
      value: "N",
      about: "redeliveries before the dead letter",
    },
    groupRetryPolicy: {
      short: "p",
      type: "string",
      value: "JSON",
      about: `waits between deliveries, e.g. {"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,5000]}}`,
    },
    attributes: {
      short: "a",
      type: "string",
      value: "+NAME=VALUE,-NAME",
      about:
        "attributes, e.g. +consume.from=first|last|<ms>; or true|false: notify consumers of changes",
    },
    retryQueueNums: { short: "q", type: "string", value: "N", about: unused },
    brokerId: { short: "i", type: "string", value: "N", about: unused },
    whichBrokerWhenConsumeSlowly: { short: "w", type: "string", value: "N", about: unused },
  },
  async run(flags, session) {
    const request = requestOf(flags);
    const outcomes = await onEachMaster(session, flags, async ({ name, address }) => {
      const { group, created } = await session.call(address, session.admin.UpdateGroup, request);
      return { broker: name, created: created ?? false, group };
    });
    const { done } = outcomes;
    return completed(outcomes, {
      json: done,
      lines: done.map(
        ({ broker, created }) =>
          `group ${request.name} ${created ? "created" : "updated"} on ${broker}`,
      ),
      table: groupTable(done.map(({ broker, group }) => shownGroup(broker, group ?? {}))),
    });
  },
};

function requestOf(flags: Flags) {
  const written = flags.text("attributes");
  const notifies = written === "true" || written === "false" ? written === "true" : undefined;
  const { set, removed } = parseAttributes(notifies === undefined ? written : undefined);
  const { "consume.from": from, ...attributes } = set;
  const fromMin = flags.bool("consumeFromMinEnable");
  if (fromMin !== undefined && from !== undefined) {
    throw new UsageFailure("give --consumeFromMinEnable or consume.from, not both");
  }
  const reset = removed.includes("consume.from") ? "default" : undefined;
  const consumeFrom =
    from ?? reset ?? (fromMin === undefined ? undefined : fromMin ? "first" : "default");
  const retryPolicy = parseRetryPolicy(flags.text("groupRetryPolicy"));
  const optional = {
    consumeEnable: flags.bool("consumeEnable"),
    consumeBroadcastEnable: flags.bool("consumeBroadcastEnable"),
    consumeMessageOrderly: flags.bool("consumeMessageOrderly"),
    retryMaxTimes: flags.int("retryMaxTimes", { min: 0, max: 10_000 }),
    consumeFrom,
    retryPolicy,
    notifyConsumerIdsChangedEnable: notifies,
  };
  const given = Object.fromEntries(
    Object.entries(optional).filter(([, value]) => value !== undefined),
  );
  return {
    name: flags.required("groupName"),
    ...given,
    attributes,
    removedAttributes: removed.filter((name) => name !== "consume.from"),
  };
}
