// deleteTopic: removes a topic and its messages from one broker or from a cluster.
import { type Command, targetFlags, topicFlag } from "../command.ts";
import { completed, onEachMaster } from "../each-master.ts";

export const deleteTopic: Command = {
  name: "deleteTopic",
  summary: "delete a topic; its messages can no longer be received",
  flags: { ...targetFlags, ...topicFlag },
  async run(flags, session) {
    const name = flags.required("topic");
    const outcomes = await onEachMaster(session, flags, async (broker) => {
      await session.call(broker.address, session.admin.DeleteTopic, { name });
      return { broker: broker.name };
    });
    const brokers = outcomes.done.map(({ broker }) => broker);
    return completed(outcomes, {
      json: { topic: name, brokers },
      lines: brokers.map((broker) => `topic ${name} deleted on ${broker}`),
    });
  },
};
