// What the store asks of replication: how far the log may be seen, and how far sends are answered. Without
// replication the own disk alone decides.
import type { MqError } from "../../base/index.ts";

/** The say of other brokers. All positions are ends of atomic groups or beyond the log; asked often, must be cheap. */
export interface Quorum {
  /** Why clients' messages are refused before anything is written; undefined when they are taken. */
  refusal(): MqError | undefined;
  /** Up to where the log may be seen, when this broker has it durably up to `durable`. */
  confirmed(durable: number): number;
  /** Up to where sends are answered, when this broker has it durably up to `durable`. */
  answered(durable: number): number;
  /** With what a send is answered that ends at `end` and is not beyond `answered`: undefined is OK. */
  outcome(end: number): MqError | undefined;
}

/** Of a broker that nobody copies. */
export const loneQuorum: Quorum = {
  refusal: () => undefined,
  confirmed: (durable) => durable,
  answered: (durable) => durable,
  outcome: () => undefined,
};
