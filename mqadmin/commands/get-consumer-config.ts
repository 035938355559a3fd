// getConsumerConfig: a consumer group as each master has it.
import { type Command, groupFlag, targetFlags } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { groupTable, shownGroup } from "../groups.ts";

export const getConsumerConfig: Command = {
  name: "getConsumerConfig",
  summary: "show the configuration of a consumer group on each master",
  flags: { ...targetFlags, ...groupFlag },
  async run(flags, session) {
    const name = flags.required("groupName");
    const found = [];
    for (const master of await session.masters(flags)) {
      const { groups } = await session.call(master.address, session.admin.ListGroups, {});
      for (const group of groups ?? []) {
        if (group.name === name) found.push(shownGroup(master.name, group));
      }
    }
    if (found.length > 0) return { json: found, table: groupTable(found) };
    throw new CommandFailure(
      `there is no consumer group ${name}. Create it with: mqadmin updateSubGroup -g ${name}`,
    );
  },
};
