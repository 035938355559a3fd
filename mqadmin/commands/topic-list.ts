// topicList: every topic of the brokers.
import { type Command, targetFlags } from "../command.ts";
import { type ShownTopic, shownTopic, topicTable } from "../topics.ts";

export const topicList: Command = {
  name: "topicList",
  summary: "list topics, with the brokers that hold them",
  flags: targetFlags,
  async run(flags, session) {
    const found: ShownTopic[] = [];
    for (const master of await session.masters(flags)) {
      const { topics } = await session.call(master.address, session.admin.ListTopics, {});
      found.push(...topics.map((topic) => shownTopic(master.name, topic)));
    }
    found.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { json: found, table: topicTable(found) };
  },
};
