// Every bound of the server, named. A bound says what happens when it is reached.
// Values an operator may change live in the configuration tables; these are fixed.

export const limits = {
  /** Topic name, characters. Longer: ILLEGAL_TOPIC. */
  topicLengthMax: 127,
  /** Consumer group name, characters. Longer: ILLEGAL_CONSUMER_GROUP. */
  consumerGroupLengthMax: 120,
  /** User properties of a message. More: MESSAGE_PROPERTIES_TOO_LARGE. */
  userPropertyCountMax: 128,
  /** Keys, values, tag and message keys together, UTF-8 bytes. More: MESSAGE_PROPERTIES_TOO_LARGE. */
  userPropertySizeMax: 16_384,
  /** Message group, UTF-8 bytes. Longer: ILLEGAL_MESSAGE_GROUP. */
  messageGroupSizeMax: 63,
  /** Messages given to one ReceiveMessage; more are quietly not given. */
  receiveBatchCountMax: 32,
  /** Invisible time of a receive without auto-renew, milliseconds. Outside: ILLEGAL_INVISIBLE_TIME. */
  invisibleMinMs: 10_000,
  invisibleMaxMs: 43_200_000,
  /** Invisible time given when the server renews, milliseconds. */
  invisibleRenewedMs: 60_000,
  /** Long polling is held between these, milliseconds. */
  pollingMinMs: 5_000,
  pollingMaxMs: 20_000,
  /** Delivery timestamp, milliseconds ahead. Beyond: ILLEGAL_DELIVERY_TIME. */
  deliveryDelayMaxMs: 86_400_000,
  /** Recovery time of an orphaned transaction, milliseconds. Beyond: BAD_REQUEST. */
  orphanedRecoveryMaxMs: 3_600_000,
  /** A failed ReceiveMessage is answered this late at most, milliseconds, so that clients do not spin. */
  receiveErrorDelayMs: 1_000,
  /** Clients known at once. More: TOO_MANY_REQUESTS. */
  clientCountMax: 100_000,
  /** Topics one client publishes or subscribes to. More: BAD_REQUEST. */
  clientTopicCountMax: 4_096,
  /** A client that says nothing for so long is gone, milliseconds. */
  clientSilenceMaxMs: 120_000,
  /** A client without any connection is gone after so long, milliseconds. */
  clientReconnectGraceMs: 10_000,
  /** Pairs of client properties in settings. More: INVALID_CLIENT_PROPERTIES, as for the three below. */
  clientPropertyCountMax: 32,
  clientPropertyKeyLengthMax: 64,
  clientPropertyValueLengthMax: 256,
  clientPropertySizeMax: 4_096,
  // State: topics, groups and progress.
  /** Dead-letter and retry topic names, characters; the group's name is inside. Longer: ILLEGAL_TOPIC. */
  derivedTopicLengthMax: 255,
  /** Read or write queues of one topic on one broker. More: BAD_REQUEST. */
  topicQueueCountMax: 1_024,
  /** Topics of one broker. More: FORBIDDEN. */
  topicCountMax: 65_536,
  /** Consumer groups of one broker. More: FORBIDDEN. */
  groupCountMax: 65_536,
  /** Deliveries of a message to a group after the first one. More: BAD_REQUEST. */
  retryTimesMax: 10_000,
  /** Steps of a customized retry policy. More: BAD_REQUEST. */
  retryPolicyStepsMax: 64,
  /** Longest wait before a retry, milliseconds. More: BAD_REQUEST. */
  retryDelayMaxMs: 86_400_000,
} as const;
