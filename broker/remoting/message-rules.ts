// What a message must look like to be accepted. Pure checks over the views of the hot codec; nothing is decoded
// that a rule does not need.
import { forEachUserProperty, type MessageView } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";

/** Names that the protocol keeps for itself; as user properties they would be lost or misread. */
const reservedProperties: ReadonlySet<string> = new Set(
  (
    "TRACE_ON MSG_REGION KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET " +
    "BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME UNIQ_KEY MAX_RECONSUME_TIMES " +
    "CONSUME_START_TIME POP_CK POP_CK_OFFSET 1ST_POP_TIME TRAN_PREPARED_QUEUE_OFFSET DUP_INFO EXTEND_UNIQ_INFO " +
    "INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME PUSH_REPLY_TIME CLUSTER MSG_TYPE " +
    "INNER_MULTI_QUEUE_OFFSET TIMER_DELAY_MS TIMER_DELAY_SEC TIMER_DELIVER_MS TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS " +
    "TIMER_ROLL_TIMES TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_LEVEL __BORNHOST BORN_TIMESTAMP DLQ_ORIGIN_TOPIC " +
    "DLQ_ORIGIN_MESSAGE_ID __CRC32#"
  ).split(" "),
);

// Java's Character.isISOControl, which RocketMQ uses.
// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/;

/** Throws the MqError of the first rule that `message` breaks. `bodySizeMax` is in bytes. */
export function checkMessage(message: MessageView, bodySizeMax: number): void {
  checkBody(message, bodySizeMax);
  if (message.messageId.trim() === "") {
    throw new MqError("ILLEGAL_MESSAGE_ID", "the message id is blank; each message needs one");
  }
  if (message.userPropertyCount > 0) checkUserProperties(message);
  if (message.tag !== undefined) checkTag(message.tag);
  if (message.keys.length > 0) message.keys.forEach(checkKey);
  checkPropertySize(message);
  if (message.messageGroup) checkMessageGroup(message.messageGroup);
  checkRecoveryTime(message);
  checkPriority(message);
}

function checkBody(message: MessageView, bodySizeMax: number): void {
  const size = message.body.length;
  if (size === 0) throw new MqError("MESSAGE_BODY_EMPTY", "the message body is empty");
  if (size > bodySizeMax) {
    throw new MqError(
      "MESSAGE_BODY_TOO_LARGE",
      `the message body has ${size} bytes, at most ${bodySizeMax} are allowed (maxMessageSize)`,
    );
  }
}

function checkUserProperties(message: MessageView): void {
  if (message.userPropertyCount > limits.userPropertyCountMax) {
    throw new MqError(
      "MESSAGE_PROPERTIES_TOO_LARGE",
      `the message has ${message.userPropertyCount} user properties, at most ${limits.userPropertyCountMax} are allowed`,
    );
  }
  forEachUserProperty(message.userProperties, (key, value) => {
    if (reservedProperties.has(key)) {
      throw new MqError(
        "ILLEGAL_MESSAGE_PROPERTY_KEY",
        `the user property "${key}" uses a reserved name`,
      );
    }
    if (controlCharacter.test(key)) {
      throw new MqError(
        "ILLEGAL_MESSAGE_PROPERTY_KEY",
        "the key of a user property holds a control character",
      );
    }
    if (controlCharacter.test(value)) {
      throw new MqError(
        "ILLEGAL_MESSAGE_PROPERTY_KEY",
        `the value of the user property "${key}" holds a control character`,
      );
    }
  });
}

function checkPropertySize(message: MessageView): void {
  let size = message.userPropertySize;
  if (message.tag !== undefined) size += Buffer.byteLength(message.tag);
  for (const key of message.keys) size += Buffer.byteLength(key);
  if (size > limits.userPropertySizeMax) {
    throw new MqError(
      "MESSAGE_PROPERTIES_TOO_LARGE",
      `user properties, tag and keys have ${size} bytes in all, at most ${limits.userPropertySizeMax} are allowed`,
    );
  }
}

function checkTag(tag: string): void {
  if (tag === "") return;
  if (tag.trim() === "") throw new MqError("ILLEGAL_MESSAGE_TAG", "the tag is blank");
  if (tag.includes("|"))
    throw new MqError("ILLEGAL_MESSAGE_TAG", `the tag "${tag}" holds the character |`);
  if (controlCharacter.test(tag)) {
    throw new MqError("ILLEGAL_MESSAGE_TAG", "the tag holds a control character");
  }
}

function checkKey(key: string): void {
  if (key.trim() === "") throw new MqError("ILLEGAL_MESSAGE_KEY", "a message key is blank");
  if (controlCharacter.test(key)) {
    throw new MqError("ILLEGAL_MESSAGE_KEY", "a message key holds a control character");
  }
}

function checkMessageGroup(group: string): void {
  if (group.trim() === "") throw new MqError("ILLEGAL_MESSAGE_GROUP", "the message group is blank");
  const size = Buffer.byteLength(group);
  if (size > limits.messageGroupSizeMax) {
    throw new MqError(
      "ILLEGAL_MESSAGE_GROUP",
      `the message group has ${size} bytes, at most ${limits.messageGroupSizeMax} are allowed`,
    );
  }
  if (controlCharacter.test(group)) {
    throw new MqError("ILLEGAL_MESSAGE_GROUP", "the message group holds a control character");
  }
}

function checkPriority({ priority }: MessageView): void {
  if (priority === undefined || priority >= 0) return;
  throw new MqError(
    "BAD_REQUEST",
    `the priority is ${priority}; allowed are whole numbers from 0, of which all over ${limits.priorityMax} count as ${limits.priorityMax}`,
  );
}

function checkRecoveryTime(message: MessageView): void {
  const recoveryMs = message.orphanedRecoveryMs;
  if (recoveryMs !== undefined && recoveryMs > limits.orphanedRecoveryMaxMs) {
    throw new MqError(
      "BAD_REQUEST",
      `the orphaned transaction recovery time is ${recoveryMs} ms, at most ${limits.orphanedRecoveryMaxMs} ms are allowed`,
    );
  }
}
