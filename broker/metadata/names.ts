// Which names topics and consumer groups may have, and the names the broker derives from them.
import { limits, MqError } from "../../base/index.ts";

const allowedName = /^[%|a-zA-Z0-9_-]+$/;
const systemTopicPrefix = "rmq_sys_";
const systemGroupPrefix = "CID_RMQ_SYS_";
const deadLetterPrefix = "%DLQ%";
const retryPrefix = "%RETRY%";

/** Topics that RocketMQ keeps for itself. Nobody may create them or send to them here. */
const systemTopics: ReadonlySet<string> = new Set([
  "TBW102",
  "SELF_TEST_TOPIC",
  "BenchmarkTest",
  "OFFSET_MOVED_EVENT",
  "SCHEDULE_TOPIC_XXXX",
  "RMQ_SYS_TRACE_TOPIC",
  "RMQ_SYS_TRANS_HALF_TOPIC",
  "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  "TRANS_CHECK_MAX_TIME_TOPIC",
  "CHECKPOINT_TOPIC",
  "DefaultHeartBeatSyncerTopic",
]);

/** The topic of half messages whose end no producer has told. Only the broker makes it and writes to it. */
export const givenUpTopic = "TRANS_CHECK_MAX_TIME_TOPIC";

/** Whether RocketMQ keeps this topic name for itself. */
export function isSystemTopic(name: string): boolean {
  return systemTopics.has(name) || name.startsWith(systemTopicPrefix);
}

/** Whether this is a dead-letter or retry topic, which the broker derives from a group's name. */
export function isDerivedTopic(name: string): boolean {
  return name.startsWith(deadLetterPrefix) || name.startsWith(retryPrefix);
}

/** The topic that takes the messages `group` could not consume. */
export function deadLetterTopic(group: string): string {
  return deadLetterPrefix + group;
}

/** Checks a topic name. Throws ILLEGAL_TOPIC that says what is allowed. */
export function checkTopicName(name: string): void {
  const lengthMax = isDerivedTopic(name) ? limits.derivedTopicLengthMax : limits.topicLengthMax;
  const problem = nameProblem(name, lengthMax);
  if (problem !== undefined) {
    throw new MqError("ILLEGAL_TOPIC", `topic name ${quoted(name)} ${problem}`);
  }
  if (isSystemTopic(name)) {
    throw new MqError(
      "ILLEGAL_TOPIC",
      `topic name ${quoted(name)} is kept for the system: choose another name, not starting with ${systemTopicPrefix}`,
    );
  }
}

/** Checks a consumer group name. Throws ILLEGAL_CONSUMER_GROUP that says what is allowed. */
export function checkGroupName(name: string): void {
  const problem = nameProblem(name, limits.consumerGroupLengthMax);
  if (problem !== undefined) {
    throw new MqError("ILLEGAL_CONSUMER_GROUP", `consumer group name ${quoted(name)} ${problem}`);
  }
  if (name.startsWith(systemGroupPrefix)) {
    throw new MqError(
      "ILLEGAL_CONSUMER_GROUP",
      `consumer group name ${quoted(name)} is kept for the system: choose one not starting with ${systemGroupPrefix}`,
    );
  }
}

function nameProblem(name: string, lengthMax: number): string | undefined {
  if (name.trim() === "") return "is blank: give 1 or more characters";
  if (name.length > lengthMax) {
    return `has ${name.length} characters: at most ${lengthMax} are allowed`;
  }
  if (!allowedName.test(name)) return "may only hold letters, digits, %, |, - and _";
  return undefined;
}

/** The name as people may safely read it in a log or on a terminal, cut when very long. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 160 ? `${name.slice(0, 160)}…` : name);
}
