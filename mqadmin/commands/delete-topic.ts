// deleteTopic: removes a topic and its messages from one broker or from a cluster.
import { type Command, targetFlags, topicFlag } from "../command.ts";

export const deleteTopic: Command = {
  name: "deleteTopic",
  summary: "delete a topic; its messages can no longer be received",
  flags: { ...targetFlags, ...topicFlag },
  async run(flags, session) {
    const name = flags.required("topic");
    const brokers = await session.namedMasters(flags);
    for (const broker of brokers) {
      await session.call(broker.address, session.admin.DeleteTopic, { name });
    }
    return {
      json: { topic: name, brokers: brokers.map((broker) => broker.name) },
      lines: brokers.map((broker) => `topic ${name} deleted on ${broker.name}`),
    };
  },
};
