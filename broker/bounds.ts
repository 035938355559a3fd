// Bounds of a broker that tests make small.

/** Bounds in place of those in `limits`; what is left out is as there. */
export interface BrokerBounds {
  readonly appendBacklogSizeMax?: number;
  readonly forwardedCallsMax?: number;
  readonly heldPollsMax?: number;
  readonly topicCountMax?: number;
  readonly groupCountMax?: number;
}
