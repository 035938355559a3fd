// getLiteGroupInfo: how far a group is in one lite topic, or where it is farthest behind.
import type { cometmq } from "@cometmq/proto";
import type { Row } from "../answer.ts";
import type { Command } from "../command.ts";
import {
  type Answers,
  askEach,
  heard,
  holders,
  liteGroupFlag,
  liteTopicFlag,
  parentTopicFlag,
} from "../lite.ts";
import { moment } from "../printing.ts";

const shownMax = 100;
const shownDefault = 20;

export const getLiteGroupInfo: Command = {
  name: "getLiteGroupInfo",
  summary: "show how far a group is in a lite topic, or in which it is farthest behind",
  flags: {
    ...parentTopicFlag,
    ...liteGroupFlag,
    liteTopic: { ...liteTopicFlag, about: "only this lite topic" },
    topK: {
      short: "k",
      type: "string",
      value: "N",
      about: `so many lite topics in each list (${shownDefault}), up to ${shownMax}`,
    },
  },
  async run(flags, session) {
    const topic = flags.required("parentTopic");
    const liteTopic = flags.text("liteTopic");
    const countMax = flags.int("topK", { min: 1, max: shownMax }) ?? shownDefault;
    const request = {
      topic,
      group: flags.required("group"),
      countMax,
      ...(liteTopic === undefined ? {} : { liteTopic }),
    };
    const asked = await askEach(await holders(session, topic), (address) =>
      session.call(address, session.admin.GetLiteGroup, request),
    );
    const answer = liteTopic === undefined ? farthestBehind(asked, countMax) : ofOne(asked);
    return heard(answer, asked.failures);
  },
};

type Asked = Answers<cometmq.v1.GetLiteGroupResponse>;
type Shown = ReturnType<typeof shown>;

function ofOne({ answers }: Asked) {
  const places = answers.flatMap(({ broker, answer }) =>
    answer.places.map((place) => shown(broker, place)),
  );
  return {
    json: { ...sumsOf(answers), places },
    lines: [sumLine(answers)],
    table: {
      columns: ["Broker", "Queue", "Oldest", "Next", "Max", "Lag", "Pending", "Stored"],
      rows: places.map((one): Row => {
        const { broker, queueId, oldestOffset, nextOffset, maxOffset, lag, pending, oldest } = one;
        const first = lag > 0 ? oldestOffset : "-";
        return [broker, queueId, first, nextOffset, maxOffset, lag, pending, oldest];
      }),
    },
  };
}

function farthestBehind({ answers }: Asked, countMax: number) {
  const all = (list: "byLag" | "byAge"): Shown[] =>
    answers.flatMap(({ broker, answer }) => answer[list].map((one) => shown(broker, one)));
  const byLag = all("byLag").sort((a, b) => b.lag - a.lag);
  const byAge = all("byAge").sort((a, b) => (a.oldest < b.oldest ? -1 : 1));
  const lists = { byLag: byLag.slice(0, countMax), byAge: byAge.slice(0, countMax) };
  return {
    json: { ...sumsOf(answers), ...lists },
    lines: [sumLine(answers)],
    table: {
      columns: ["First by", "No", "Lite topic", "Broker", "Queue", "Lag", "Pending", "Oldest"],
      rows: [...rowsOf("lag", lists.byLag), ...rowsOf("age", lists.byAge)],
    },
  };
}

function rowsOf(order: string, list: readonly Shown[]): readonly Row[] {
  return list.map((one, index) => {
    const { liteTopic, broker, queueId, lag, pending, oldest } = one;
    return [order, index + 1, liteTopic, broker, queueId, lag, pending, oldest];
  });
}

function sumsOf(answers: Asked["answers"]) {
  return {
    lag: answers.reduce((sum, { answer }) => sum + answer.lag, 0),
    pending: answers.reduce((sum, { answer }) => sum + answer.pending, 0),
  };
}

function sumLine(answers: Asked["answers"]): string {
  const { lag, pending } = sumsOf(answers);
  return `lag in all: ${lag}, handed out of that: ${pending}`;
}

function shown(broker: string, progress: cometmq.v1.ILiteProgress) {
  return {
    liteTopic: progress.liteTopic ?? "",
    broker,
    queueId: progress.queueId ?? 0,
    maxOffset: progress.maxOffset ?? 0,
    oldestOffset: progress.oldestOffset ?? 0,
    nextOffset: progress.nextOffset ?? 0,
    lag: progress.lag ?? 0,
    pending: progress.pending ?? 0,
    oldest: moment(progress.oldestMs ?? 0),
  };
}
