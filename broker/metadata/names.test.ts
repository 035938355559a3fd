import { strict as assert } from "node:assert";
import { checkGroupName, checkTopicName, deadLetterTopic } from "./names.ts";

describe("names", () => {
  it("allow letters, digits, %, |, - and _ up to the limit", () => {
    for (const name of ["a", "A-b_9", "ns%topic", "x|y", "t".repeat(127)]) checkTopicName(name);
    for (const name of ["g", "GID_x-1", "ns%group", "g".repeat(120)]) checkGroupName(name);
    checkTopicName(deadLetterTopic("g".repeat(120)));
  });

  it("refuse others and say what is allowed", () => {
    const topics: [name: string, message: RegExp][] = [
      ["", /blank/],
      ["  ", /blank/],
      ["t".repeat(128), /128 characters: at most 127/],
      ["a b", /letters, digits/],
      ["a/b", /letters, digits/],
      ["täg", /letters, digits/],
      ["%DLQ%".padEnd(256, "g"), /at most 255/],
      ["TBW102", /kept for the system/],
      ["SCHEDULE_TOPIC_XXXX", /kept for the system/],
      ["RMQ_SYS_TRANS_HALF_TOPIC", /kept for the system/],
      ["rmq_sys_anything", /not starting with rmq_sys_/],
    ];
    for (const [name, message] of topics) {
      assert.throws(() => checkTopicName(name), { code: "ILLEGAL_TOPIC", message });
    }
    const groups: [name: string, message: RegExp][] = [
      ["", /blank/],
      ["g".repeat(121), /121 characters: at most 120/],
      ["a\u0000", /letters, digits/],
      ["CID_RMQ_SYS_TRANS", /not starting with CID_RMQ_SYS_/],
    ];
    for (const [name, message] of groups) {
      assert.throws(() => checkGroupName(name), { code: "ILLEGAL_CONSUMER_GROUP", message });
    }
  });
});
