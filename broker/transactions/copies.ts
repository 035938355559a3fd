// What a half message becomes: a message of its topic, or one of `TRANS_CHECK_MAX_TIME_TOPIC`.
import { readMessageProperties, rocketmq } from "@cometmq/proto";
import { givenUpTopic } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type RecordView, sentFlag } from "../store/index.ts";

/** The message that consumers see, in `queueId` of its topic. */
export function committedCopy(record: RecordView, queueId: number): RecordDraft {
  // Written out: it is done for each commit, and spreading an object that has been spread is slow.
  return {
    type: RecordType.message,
    flags: record.flags & ~sentFlag,
    topic: record.topic,
    queueId,
    systemProperties: record.systemProperties,
    userProperties: record.userProperties,
    body: record.body,
    tagHash: record.tagHash,
    messageGroupHash: record.messageGroupHash,
  };
}

/** The message that operators see. Its `dead_letter_queue` says where it comes from. */
export function givenUpCopy(record: RecordView): RecordDraft {
  const { messageId } = readMessageProperties(record.systemProperties);
  const deadLetterQueue = { topic: record.topic, messageId };
  const origin = rocketmq.v2.SystemProperties.encode({ deadLetterQueue }).finish();
  return {
    ...committedCopy(record, 0),
    topic: givenUpTopic,
    systemProperties: Buffer.concat([record.systemProperties, origin]),
  };
}
