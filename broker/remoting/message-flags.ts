// The flag byte of message records in the log, documented in docs/format/commit-log.md.

/** Bits of `RecordDraft.flags` for records of type message. Values are in the log: never reuse one. */
export const messageFlags = {
  /** The sender gave no body digest that all clients read; one is computed when the message is handed out. */
  bodyDigestMissing: 1,
} as const;
