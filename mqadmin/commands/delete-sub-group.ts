// deleteSubGroup: removes a consumer group.
import { type Command, groupFlag, targetFlags } from "../command.ts";

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
    const brokers = await session.namedMasters(flags);
    for (const broker of brokers) {
      await session.call(broker.address, session.admin.DeleteGroup, { name, removeOffset });
    }
    return {
      json: { group: name, removeOffset, brokers: brokers.map((broker) => broker.name) },
      lines: brokers.map((broker) => `group ${name} deleted on ${broker.name}`),
    };
  },
};
