// deleteSubGroup: removes a consumer group.
import { type Command, groupFlag, targetFlags } from "../command.ts";
import { completed, onEachMaster } from "../each-master.ts";

export const deleteSubGroup: Command = {
  name: "deleteSubGroup",
  summary: "delete a consumer group",
  flags: {
    ...targetFlags,
    ...groupFlag,
    removeOffset: {
      short: "r",
      type: "string",
      value: "true|false",
      about: "forget its progress too",
    },
  },
  async run(flags, session) {
    const name = flags.required("groupName");
    const removeOffset = flags.bool("removeOffset") ?? false;
    const outcomes = await onEachMaster(session, flags, async (broker) => {
      await session.call(broker.address, session.admin.DeleteGroup, { name, removeOffset });
      return { broker: broker.name };
    });
    const brokers = outcomes.done.map(({ broker }) => broker);
    return completed(outcomes, {
      json: { group: name, removeOffset, brokers },
      lines: brokers.map((broker) => `group ${name} deleted on ${broker}`),
    });
  },
};
