// The one table of failures. Each row says what happened, what to do, whether the same call may
// succeed later, the apache.rocketmq.v2 status code and the gRPC status of transport-level failures.
// docs/errors.md and this table are compared both ways by a test.

/** One row: what clients get and what people read. */
export interface ErrorRow {
  /** Code of `apache.rocketmq.v2.Code` that clients see in `Status`. */
  readonly status: number;
  /** gRPC status when the failure cannot travel in a response message. */
  readonly grpcStatus: number;
  readonly retryable: boolean;
  readonly meaning: string;
  readonly action: string;
}

const bad = { grpcStatus: 3, retryable: false } as const;

/** Names of the failures, one a row of the table. */
export type ErrorCode =
  | "BAD_REQUEST"
  | "ILLEGAL_TOPIC"
  | "ILLEGAL_CONSUMER_GROUP"
  | "ILLEGAL_MESSAGE_TAG"
  | "ILLEGAL_MESSAGE_KEY"
  | "ILLEGAL_MESSAGE_GROUP"
  | "ILLEGAL_MESSAGE_PROPERTY_KEY"
  | "INVALID_TRANSACTION_ID"
  | "ILLEGAL_MESSAGE_ID"
  | "ILLEGAL_FILTER_EXPRESSION"
  | "ILLEGAL_INVISIBLE_TIME"
  | "ILLEGAL_DELIVERY_TIME"
  | "INVALID_RECEIPT_HANDLE"
  | "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE"
  | "UNRECOGNIZED_CLIENT_TYPE"
  | "MESSAGE_CORRUPTED"
  | "CLIENT_ID_REQUIRED"
  | "ILLEGAL_POLLING_TIME"
  | "ILLEGAL_OFFSET"
  | "ILLEGAL_LITE_TOPIC"
  | "INVALID_CLIENT_PROPERTIES"
  | "UNAUTHORIZED"
  | "FORBIDDEN"
  | "MESSAGE_NOT_FOUND"
  | "TOPIC_NOT_FOUND"
  | "CONSUMER_GROUP_NOT_FOUND"
  | "OFFSET_NOT_FOUND"
  | "REQUEST_TIMEOUT"
  | "MESSAGE_BODY_TOO_LARGE"
  | "MESSAGE_BODY_EMPTY"
  | "TOO_MANY_REQUESTS"
  | "LITE_TOPIC_QUOTA_EXCEEDED"
  | "LITE_SUBSCRIPTION_QUOTA_EXCEEDED"
  | "MESSAGE_PROPERTIES_TOO_LARGE"
  | "INTERNAL_SERVER_ERROR"
  | "HA_NOT_AVAILABLE"
  | "NOT_IMPLEMENTED"
  | "MASTER_PERSISTENCE_TIMEOUT"
  | "SLAVE_PERSISTENCE_TIMEOUT"
  | "NOT_MASTER"
  | "COORDINATOR_UNREACHABLE"
  | "UNSUPPORTED"
  | "DISK_FULL"
  | "STORE_FAILED"
  | "READ_FAILED"
  | "CORRUPT"
  | "FOLDER_IN_USE"
  | "BAD_CONFIG"
  | "SHUTTING_DOWN";

/** Every failure the server answers with. */
export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = {
  BAD_REQUEST: {
    ...bad,
    status: 40000,
    meaning: "A field of the request is missing or out of range.",
    action: "Correct the named field.",
  },
  ILLEGAL_TOPIC: {
    ...bad,
    status: 40002,
    meaning: "The topic name is not allowed.",
    action:
      "Use 1 to 127 characters of letters, digits, %, -, _ and the vertical bar, no system name.",
  },
  ILLEGAL_CONSUMER_GROUP: {
    ...bad,
    status: 40003,
    meaning: "The consumer group name is not allowed.",
    action:
      "Use 1 to 120 characters of letters, digits, %, -, _ and the vertical bar, no system prefix.",
  },
  ILLEGAL_MESSAGE_TAG: {
    ...bad,
    status: 40004,
    meaning: "The tag is blank or holds a vertical bar or a control character.",
    action: "Choose another tag.",
  },
  ILLEGAL_MESSAGE_KEY: {
    ...bad,
    status: 40005,
    meaning: "A message key is blank or holds a control character.",
    action: "Choose another key.",
  },
  ILLEGAL_MESSAGE_GROUP: {
    ...bad,
    status: 40006,
    meaning: "The message group is blank, too long or holds a control character.",
    action: "Use 1 to 63 bytes without control characters.",
  },
  ILLEGAL_MESSAGE_PROPERTY_KEY: {
    ...bad,
    status: 40007,
    meaning: "A user property uses a reserved name or a control character.",
    action: "Rename the property.",
  },
  INVALID_TRANSACTION_ID: {
    ...bad,
    status: 40008,
    meaning:
      "The transaction id is blank or unknown, or the transaction has ended and how is forgotten.",
    action: "Use the id of the send receipt.",
  },
  ILLEGAL_MESSAGE_ID: {
    ...bad,
    status: 40009,
    meaning: "The message id is blank, or another message was sent with it.",
    action: "Set a unique message id.",
  },
  ILLEGAL_FILTER_EXPRESSION: {
    ...bad,
    status: 40010,
    meaning: "The filter expression cannot be understood.",
    action: "Correct the expression at the named place.",
  },
  ILLEGAL_INVISIBLE_TIME: {
    ...bad,
    status: 40011,
    meaning: "The invisible time is outside the allowed range.",
    action: "Choose a duration inside the named range.",
  },
  ILLEGAL_DELIVERY_TIME: {
    ...bad,
    status: 40012,
    meaning: "The delivery timestamp is not allowed.",
    action: "Choose an earlier timestamp, in seconds since 1970.",
  },
  INVALID_RECEIPT_HANDLE: {
    ...bad,
    status: 40013,
    meaning: "The receipt or recall handle is malformed, foreign or no longer valid.",
    action: "Use the handle of the newest delivery, or of the send receipt.",
  },
  MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: {
    ...bad,
    status: 40014,
    meaning: "The message type is not what the topic accepts.",
    action: "Send to a topic of that type, or change the topic's message.type.",
  },
  UNRECOGNIZED_CLIENT_TYPE: {
    ...bad,
    status: 40015,
    meaning: "The client type is missing or unknown.",
    action: "Send settings or a heartbeat with a client type.",
  },
  MESSAGE_CORRUPTED: {
    ...bad,
    status: 40016,
    meaning: "The request holds no message, messages of several topics, or broken bytes.",
    action: "Send one or more messages of one topic.",
  },
  CLIENT_ID_REQUIRED: {
    ...bad,
    status: 40017,
    meaning: "The x-mq-client-id header is missing.",
    action: "Set the header.",
  },
  ILLEGAL_POLLING_TIME: {
    ...bad,
    status: 40018,
    meaning: "The long-polling time does not fit the deadline of the call.",
    action: "Give the call a later deadline.",
  },
  ILLEGAL_OFFSET: {
    ...bad,
    status: 40019,
    meaning: "The offset is not allowed.",
    action: "Use an offset between the queue's minimum and maximum.",
  },
  ILLEGAL_LITE_TOPIC: {
    ...bad,
    status: 40020,
    meaning: "The name of a lite topic is blank, too long or holds a control character.",
    action: "Use 1 to 64 bytes without control characters.",
  },
  INVALID_CLIENT_PROPERTIES: {
    ...bad,
    status: 40021,
    meaning: "The client properties break a limit.",
    action: "At most 32 pairs, keys of 64 and values of 256 characters, 4 KiB in all.",
  },
  UNAUTHORIZED: {
    status: 40100,
    grpcStatus: 16,
    retryable: false,
    meaning: "The credentials are missing or wrong.",
    action: "Check access key and secret.",
  },
  FORBIDDEN: {
    status: 40300,
    grpcStatus: 7,
    retryable: false,
    meaning: "The resource does not allow this use.",
    action: "Check the permission of the topic or group.",
  },
  MESSAGE_NOT_FOUND: {
    status: 40401,
    grpcStatus: 5,
    retryable: true,
    meaning: "There is no such message, or none now; a recall comes too late, or twice.",
    action: "Ask again later; of a recall the text says which.",
  },
  TOPIC_NOT_FOUND: {
    status: 40402,
    grpcStatus: 5,
    retryable: false,
    meaning: "The topic does not exist.",
    action: "Create it with mqadmin updateTopic, or allow autoCreateTopicEnable.",
  },
  CONSUMER_GROUP_NOT_FOUND: {
    status: 40403,
    grpcStatus: 5,
    retryable: false,
    meaning: "The consumer group does not exist.",
    action: "Create it with mqadmin updateSubGroup, or allow autoCreateSubscriptionGroup.",
  },
  OFFSET_NOT_FOUND: {
    status: 40404,
    grpcStatus: 5,
    retryable: false,
    meaning: "The group has no offset on that queue.",
    action: "Consume or set one first.",
  },
  REQUEST_TIMEOUT: {
    status: 40800,
    grpcStatus: 4,
    retryable: true,
    meaning: "The deadline of the call passed.",
    action: "Retry, or give more time.",
  },
  MESSAGE_BODY_TOO_LARGE: {
    status: 41301,
    grpcStatus: 8,
    retryable: false,
    meaning: "The body is larger than maxMessageSize.",
    action: "Send a smaller body, or raise maxMessageSize.",
  },
  MESSAGE_BODY_EMPTY: {
    status: 41302,
    grpcStatus: 3,
    retryable: false,
    meaning: "The body is empty.",
    action: "Send at least one byte.",
  },
  TOO_MANY_REQUESTS: {
    status: 42900,
    grpcStatus: 8,
    retryable: true,
    meaning: "A queue of the server is full.",
    action: "Back off and retry.",
  },
  LITE_TOPIC_QUOTA_EXCEEDED: {
    status: 42901,
    grpcStatus: 8,
    retryable: true,
    meaning: "The broker has as many lite topics as it may have.",
    action:
      "Let idle ones expire (attribute lite.topic.expiration), or raise maxLmqConsumeQueueNum.",
  },
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: {
    status: 42902,
    grpcStatus: 8,
    retryable: true,
    meaning:
      "The client, or all clients of the broker, subscribe to as many lite topics as they may.",
    action:
      "Unsubscribe from others, or raise lite.sub.client.quota of the group or maxLiteSubscriptionCount.",
  },
  MESSAGE_PROPERTIES_TOO_LARGE: {
    status: 43101,
    grpcStatus: 8,
    retryable: false,
    meaning: "The properties are too many or too large.",
    action: "At most 128 properties and 16384 bytes in all.",
  },
  INTERNAL_SERVER_ERROR: {
    status: 50001,
    grpcStatus: 13,
    retryable: true,
    meaning: "The server failed in a way it did not expect.",
    action: "Look at the server's log.",
  },
  HA_NOT_AVAILABLE: {
    status: 50002,
    grpcStatus: 14,
    retryable: true,
    meaning: "No replica or master can take the message now.",
    action: "Retry; check the cluster.",
  },
  NOT_IMPLEMENTED: {
    status: 50100,
    grpcStatus: 12,
    retryable: false,
    meaning: "The server does not do this.",
    action: "Check the server's version.",
  },
  MASTER_PERSISTENCE_TIMEOUT: {
    status: 50401,
    grpcStatus: 4,
    retryable: true,
    meaning: "The disk did not confirm the write in time; the message may be stored.",
    action: "Retry; check the disk.",
  },
  SLAVE_PERSISTENCE_TIMEOUT: {
    status: 50402,
    grpcStatus: 4,
    retryable: true,
    meaning: "No slave confirmed the message in time (FLUSH_SLAVE_TIMEOUT); it is stored here.",
    action: "Check the slaves and the network between the brokers; mqadmin haStatus shows both.",
  },
  NOT_MASTER: {
    status: 50002,
    grpcStatus: 14,
    retryable: true,
    meaning: "This broker is not the master of its group now, and no master could be reached.",
    action: "Retry; mqadmin clusterList shows who is master.",
  },
  COORDINATOR_UNREACHABLE: {
    status: 50002,
    grpcStatus: 14,
    retryable: true,
    meaning: "etcd, through which the brokers elect, gave no clear answer in time.",
    action: "Check the etcd members in controllerAddr and the network to them.",
  },
  UNSUPPORTED: {
    status: 50500,
    grpcStatus: 12,
    retryable: false,
    meaning: "This use is not supported by the server.",
    action: "Check the documentation.",
  },
  DISK_FULL: {
    status: 50001,
    grpcStatus: 8,
    retryable: true,
    meaning:
      "The disk is over diskSpaceWarningLevelRatio or has no space left: sends are refused, receives go on.",
    action: "Free space or add a broker; sending resumes by itself.",
  },
  STORE_FAILED: {
    status: 50001,
    grpcStatus: 14,
    retryable: true,
    meaning: "A write or flush failed; the store takes no writes until restart.",
    action: "Check the disk, then restart the broker.",
  },
  READ_FAILED: {
    status: 50001,
    grpcStatus: 14,
    retryable: true,
    meaning: "The disk failed to read stored bytes of the named file.",
    action: "Check the disk; a slave has the same bytes.",
  },
  CORRUPT: {
    status: 50001,
    grpcStatus: 15,
    retryable: false,
    meaning: "Stored bytes are damaged at the named file and position.",
    action: "Restore the file from a replica or backup.",
  },
  FOLDER_IN_USE: {
    status: 50001,
    grpcStatus: 9,
    retryable: false,
    meaning: "Another process uses the data folder.",
    action: "Stop the named process, or choose another folder.",
  },
  BAD_CONFIG: {
    status: 40000,
    grpcStatus: 3,
    retryable: false,
    meaning: "A configuration value is not allowed.",
    action: "Set the named key to a value in the named range.",
  },
  SHUTTING_DOWN: {
    status: 50002,
    grpcStatus: 14,
    retryable: true,
    meaning: "The server is stopping.",
    action: "Retry on another broker.",
  },
};

/** Facts that help to find the cause: topic, queueId, position, file, … */
export type ErrorFacts = Readonly<Record<string, string | number | boolean>>;

/** A failure of the outside world or of input. `message` says what was wrong and what is allowed. */
export class MqError extends Error {
  override readonly name = "MqError";
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly facts?: ErrorFacts } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.facts = options.facts ?? {};
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  /** The code of `apache.rocketmq.v2.Code`. */
  get status(): number {
    return errorTable[this.code].status;
  }

  get grpcStatus(): number {
    return errorTable[this.code].grpcStatus;
  }
}

/** Turns anything thrown into an MqError; what is unknown becomes INTERNAL_SERVER_ERROR with its cause. */
export function toMqError(error: unknown): MqError {
  if (error instanceof MqError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MqError("INTERNAL_SERVER_ERROR", message, { cause: error });
}
