// What the handlers of this folder stand on, handed to each of them by methods.ts.
import type { BrokerConfiguration, Clock, Logger } from "../../base/index.ts";
import type { ClientTable } from "../clients/index.ts";
import type { Delivery } from "../delivery/index.ts";
import type { Metadata } from "../metadata/index.ts";
import type { Store } from "../store/index.ts";
import type { Traffic } from "./traffic.ts";

/** The parts of the broker that requests act on. */
export interface RemotingContext {
  readonly config: BrokerConfiguration;
  readonly store: Pick<Store, "append">;
  readonly metadata: Metadata;
  readonly delivery: Pick<
    Delivery,
    "receive" | "giveBack" | "ack" | "changeInvisible" | "deadLetter" | "endPolls"
  >;
  readonly clients: ClientTable;
  readonly traffic: Traffic;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The port that clients dial; known once the server listens. */
  listenPort(): number;
  /** The broker is closing: nothing is handed out any more. */
  isStopping(): boolean;
}
