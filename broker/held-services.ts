// What a master does about held messages: delayed ones go when they are due, transactions end or are asked about.
import type { BrokerConfiguration, Clock, Logger } from "../base/index.ts";
import { queueOfMessageGroup } from "./delivery/index.ts";
import type { HeldMessages } from "./held/index.ts";
import type { Metadata } from "./metadata/index.ts";
import { Timers } from "./timers/index.ts";
import { type Producers, Transactions } from "./transactions/index.ts";

/** Both undefined while a broker acts for its master: delayed messages and transactions wait for that. */
export interface HeldServices {
  readonly timers: Timers | undefined;
  readonly transactions: Transactions | undefined;
}

/** Who is asked and told. */
export interface HeldHooks {
  /** Hears how late a delayed message was delivered, milliseconds. */
  readonly timerReleased?: (latenessMs: number) => void;
  /** Who is asked how transactions ended; nobody by default. */
  readonly producers?: Producers;
  /** Hears how long a transaction was open, milliseconds. */
  readonly transactionFinished?: (openMs: number) => void;
}

/** What they stand on. */
export interface HeldServicesOptions extends HeldHooks {
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Nothing is done about held messages. */
export const noHeldServices: HeldServices = { timers: undefined, transactions: undefined };

const nobody: Producers = { canAsk: () => false, ask: () => false };

/** Begins with a reign, to be closed with it. */
export function openHeldServices(
  options: HeldServicesOptions,
  held: HeldMessages,
  metadata: Metadata,
): HeldServices {
  const { config, clock, logger, timerReleased, producers, transactionFinished } = options;
  const { brokerName } = config.values;
  const common = { held, metadata, clock, brokerName, queueOfGroup: queueOfMessageGroup };
  const timers = Timers.open({
    ...common,
    logger: logger.child("timers"),
    pendingMax: () => config.values.timerPendingMax,
    ...(timerReleased === undefined ? {} : { released: timerReleased }),
  });
  const transactions = Transactions.open({
    ...common,
    logger: logger.child("transactions"),
    producers: producers ?? nobody,
    times: {
      firstMs: () => config.values.transactionTimeOut,
      intervalMs: () => config.values.transactionCheckInterval,
      countMax: () => config.values.transactionCheckMax,
    },
    halfMax: () => config.values.transactionHalfMax,
    ...(transactionFinished === undefined ? {} : { finished: transactionFinished }),
  });
  return { timers, transactions };
}
