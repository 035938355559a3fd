// What a half message becomes: a message of its topic, or one of `TRANS_CHECK_MAX_TIME_TOPIC`.
import { readMessageProperties, rocketmq } from "@cometmq/proto";
import { givenUpTopic } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type RecordView, sentFlag } from "../store/index.ts";

/** The message that consumers see, in `queueId` of its topic. */
export function committedCopy(record: RecordView, queueId: number): RecordDraft {
  return { ...contentOf(record), topic: record.topic, queueId };
}

/** The message that operators see. Its `dead_letter_queue` says where it comes from. */
export function givenUpCopy(record: RecordView): RecordDraft {
  const { messageId } = readMessageProperties(record.systemProperties);
  const deadLetterQueue = { topic: record.topic, messageId };
  const origin = rocketmq.v2.SystemProperties.encode({ deadLetterQueue }).finish();
  return {
    ...contentOf(record),
    topic: givenUpTopic,
    queueId: 0,
    systemProperties: Buffer.concat([record.systemProperties, origin]),
  };
}

function contentOf(record: RecordView): Omit<RecordDraft, "topic" | "queueId"> {
  return {
    type: RecordType.message,
    flags: record.flags & ~sentFlag,
    systemProperties: record.systemProperties,
    userProperties: record.userProperties,
    body: record.body,
    tagHash: record.tagHash,
    messageGroupHash: record.messageGroupHash,
  };
}
