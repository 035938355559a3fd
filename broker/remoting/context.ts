// What the handlers of this folder stand on, handed to each of them by methods.ts.
import type { BrokerConfiguration, Clock, Logger } from "../../base/index.ts";
import type { ClientTable } from "../clients/index.ts";
import type { Cluster } from "../cluster/index.ts";
import type { Delivery } from "../delivery/index.ts";
import type { Standing } from "../ha/index.ts";
import type { Metadata } from "../metadata/index.ts";
import type { SendWindow } from "../sends/index.ts";
import type { Store } from "../store/index.ts";
import type { Timers } from "../timers/index.ts";
import type { Transactions } from "../transactions/index.ts";
import type { Traffic } from "./traffic.ts";

/** What a broker serves by itself while it is a master or acts for one. Another object in each reign. */
export interface LocalParts {
  readonly store: Pick<Store, "start" | "send" | "sendAgain" | "read" | "readCold">;
  readonly metadata: Metadata;
  readonly delivery: Pick<
    Delivery,
    "receive" | "giveBack" | "ack" | "changeInvisible" | "deadLetter" | "clientLeft"
  > & {
    readonly lite: Pick<Delivery["lite"], "sync"> & {
      readonly topics: Pick<Delivery["lite"]["topics"], "admit">;
    };
    readonly pulls: Pick<Delivery["pulls"], "pull">;
    readonly offsets: Pick<Delivery["offsets"], "get" | "commit" | "reset" | "atTime" | "bounds">;
  };
  /** Recognizes repeated sends; none when that is switched off. */
  readonly sends?: SendWindow | undefined;
  /** Undefined while it acts for its master. */
  readonly timers: Pick<Timers, "nowMs" | "admit" | "settled" | "handleOf" | "recall"> | undefined;
  /** Undefined while it acts for its master. */
  readonly transactions:
    | Pick<Transactions, "firstCheckAtMs" | "admit" | "settled" | "idOf" | "end">
    | undefined;
  /** False while it acts for its master: it gives messages and takes none. */
  readonly canSend: boolean;
}

/** The parts of the broker that requests act on. */
export interface RemotingContext {
  readonly config: BrokerConfiguration;
  readonly clients: ClientTable;
  readonly traffic: Traffic;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is served here now; undefined while nothing is. Changes at any time: keep no part across an await. */
  local(): LocalParts | undefined;
  /** What this broker is in its group now. */
  standing(): Standing;
  /** The other brokers. */
  readonly cluster: Cluster;
  /** The port that clients dial; known once the server listens. */
  listenPort(): number;
  /** The broker is closing: nothing is handed out any more. */
  isStopping(): boolean;
}
