// What the operators' calls stand on, beside what clients' calls do.
import type { Delivery } from "../../delivery/index.ts";
import type { Store } from "../../store/index.ts";
import type { RemotingContext } from "../context.ts";
import type { BrokerStatus } from "./broker-status.ts";

/** Where the index found a message. */
export interface FoundMessage {
  readonly position: number;
  readonly size: number;
}

/** Finds messages of a topic; newest first. */
export interface MessageFinder {
  byKey(query: {
    readonly topic: string;
    readonly key: string;
    /** Stored in `[beginMs, endMs]`. */
    readonly beginMs: number;
    readonly endMs: number;
    readonly countMax: number;
  }): Promise<readonly FoundMessage[]>;
  byId(topic: string, messageId: string): Promise<readonly FoundMessage[]>;
  /** Everything confirmed before this position can be found. */
  readonly indexedPosition: number;
}

/** The store as operators look into it. */
export type RecordSource = Pick<Store, "queue" | "read" | "readCold">;

/** The parts of the broker that operators' calls act on. */
export interface AdminContext extends Omit<RemotingContext, "store" | "delivery"> {
  readonly store: RecordSource & Pick<Store, "start" | "end" | "confirmed">;
  readonly delivery: Pick<Delivery, "progress">;
  /** Finds messages by key and id; undefined when messageIndexEnable is off. */
  readonly index: MessageFinder | undefined;
  /** What only the composition knows. */
  brokerStatus(): BrokerStatus;
}
