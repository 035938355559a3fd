export type { TransactionCounters } from "./counters.ts";
export type { Orphan, Producers } from "./ports.ts";
export { type TransactionEnd, Transactions } from "./transactions.ts";
