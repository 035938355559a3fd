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
} as const;
