// getLiteClientInfo: what one client subscribes to, as each master knows it.
import type { Command } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { askEach, heard, holders, liteGroupFlag, parentTopicFlag } from "../lite.ts";
import { moment } from "../printing.ts";

export const getLiteClientInfo: Command = {
  name: "getLiteClientInfo",
  summary: "show how many lite topics a client subscribes to, and whether it asks for messages",
  flags: {
    ...parentTopicFlag,
    ...liteGroupFlag,
    clientId: { short: "c", type: "string", value: "ID", about: "client id", required: true },
    showDetail: { short: "s", type: "boolean", about: "show the lite topics" },
  },
  async run(flags, session) {
    const topic = flags.required("parentTopic");
    const group = flags.required("group");
    const clientId = flags.required("clientId");
    const request = { topic, group, clientId };
    const { answers, failures } = await askEach(await holders(session, topic), (address) =>
      session.call(address, session.admin.GetLiteClient, request),
    );
    const brokers = answers.map(({ broker, answer }) => ({
      broker,
      known: answer.known,
      liteTopics: answer.liteTopics,
      lag: answer.lag,
      polls: answer.polls,
      lastHeartbeat: moment(answer.lastHeartbeatMs),
    }));
    if (failures.length === 0 && brokers.every(({ known }) => !known)) {
      throw new CommandFailure(
        `no client ${clientId} of group ${group} subscribes to lite topics of ${topic}. List the clients with: mqadmin consumerConnection -g ${group}`,
      );
    }
    const detail = flags.bool("showDetail") ?? false;
    const answer = {
      json: brokers,
      ...(detail
        ? { lines: brokers.map((one) => `${one.broker}: ${one.liteTopics.join(", ") || "none"}`) }
        : {}),
      table: {
        columns: ["Broker", "Lite topics", "Lag", "Polls", "Last heartbeat"],
        rows: brokers.map((one) =>
          one.known
            ? [one.broker, one.liteTopics.length, one.lag, one.polls, one.lastHeartbeat]
            : [one.broker, "-", "-", "-", "-"],
        ),
      },
    };
    return heard(answer, failures);
  },
};
