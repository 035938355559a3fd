// The flag byte of message records in the log, documented in docs/format/commit-log.md.
import { sentFlag } from "../store/index.ts";

/** Bits of `RecordDraft.flags` for records of type message. Values are in the log: never reuse one. */
export const messageFlags: { readonly bodyDigestMissing: 1; readonly sent: typeof sentFlag } = {
  /** The sender gave no body digest that all clients read; one is computed when the message is handed out. */
  bodyDigestMissing: 1,
  /** A client has sent this very record: what the broker copies of it is not a send. */
  sent: sentFlag,
};
