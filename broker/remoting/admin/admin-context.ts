// What the operators' calls stand on, beside what clients' calls do.
import type { Delivery } from "../../delivery/index.ts";
import type { KeyIndex } from "../../index/index.ts";
import type { HeldState, Metadata } from "../../metadata/index.ts";
import type { Store } from "../../store/index.ts";
import type { RemotingContext } from "../context.ts";
import type { BrokerStatus } from "./broker-status.ts";
import type { HaPort } from "./ha-port.ts";

/** The index as operators ask it. */
export type MessageFinder = Pick<KeyIndex, "byKey" | "byId" | "indexedPosition">;

/** The store as operators look into it. */
export type RecordSource = Pick<Store, "queue" | "read" | "readCold">;

/** The parts of the broker that operators' calls act on. */
export interface AdminContext extends RemotingContext {
  readonly metadata: Metadata;
  readonly store: RecordSource & Pick<Store, "start" | "end" | "confirmed" | "epoch">;
  readonly delivery: Pick<Delivery, "progress"> & {
    /** These are undefined where nothing is delivered. */
    readonly tracking?: Pick<Delivery["tracking"], "standings" | "giveAgain" | "written">;
    readonly lite?: Pick<Delivery["lite"], "view" | "state">;
  };
  /** Messages that are delayed, or whose transactions are open; undefined before there is a state. */
  readonly held: Pick<HeldState, "find" | "page"> | undefined;
  /** Finds messages by key and id; undefined when messageIndexEnable is off. */
  readonly index: MessageFinder | undefined;
  /** Replication and election; absent: a master on its own. */
  readonly ha?: HaPort;
  /** What only the composition knows. */
  brokerStatus(): BrokerStatus;
}
