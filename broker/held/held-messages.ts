// Held messages as those see them that change them: claimed by one at a time, changed in one atomic group of records
// with what belongs to the change, and known to be changed, or not, before anybody decides again.
import { type Clock, type Logger, limits, MqError, toMqError } from "../../base/index.ts";
import {
  encodeHeldChanges,
  type HeldChange,
  type HeldEntry,
  type HeldKey,
  type HeldState,
} from "../metadata/index.ts";
import { type RecordDraft, RecordType } from "../store/index.ts";
import { Claims } from "./claims.ts";
import type { HeldStore } from "./ports.ts";

/** What held messages stand on. */
export interface HeldMessagesOptions {
  readonly state: HeldState;
  readonly store: HeldStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A change on its way. */
export interface HeldCommit {
  /** As the store answers: resolves when the change is as durable as promised, rejects with its errors. */
  readonly answer: Promise<unknown>;
  /** Behind its last record. */
  readonly end: number;
  /** Resolves when it is known what became of it: undefined when it has been applied, else why it is not. */
  readonly fate: Promise<MqError | undefined>;
}

interface Step {
  readonly changes: readonly HeldChange[];
  /** Behind its last record. */
  end: number;
  isApplied: boolean;
}

const nothing = new Uint8Array(0);

/** The held messages of one broker, for as long as its log is open. */
export class HeldMessages {
  readonly state: HeldState;
  readonly store: HeldStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #claims = new Claims();
  readonly #steps = new Map<number, Step>();
  readonly #stopListening: () => void;
  #isClosed = false;
  /** Messages whose record was gone when it was needed. */
  lostCount = 0;

  constructor({ state, store, clock, logger }: HeldMessagesOptions) {
    this.state = state;
    this.store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#stopListening = state.onChange(({ before }) => {
      const step = before === undefined ? undefined : this.#steps.get(before.id);
      if (step !== undefined) step.isApplied = true;
    });
  }

  /** Claims a message that is known to be held; false when somebody else is changing it. `commit` or `free` gives it up. */
  claim({ id }: Pick<HeldKey, "id">): boolean {
    return this.#claims.claim(id);
  }

  /** Gives a claim up. */
  free({ id }: Pick<HeldKey, "id">): void {
    this.#claims.free(id);
  }

  /** Resolves when nobody is changing the message. */
  whenFree({ id }: Pick<HeldKey, "id">): Promise<void> {
    return this.#claims.whenFree(id);
  }

  /**
   * Claims a message, when whoever is changing it has come to an end, and gives it as it is then; undefined, and not
   * claimed, when it is not held (any more). Throws HA_NOT_AVAILABLE when that takes longer than `heldClaimWaitMs`.
   */
  async take(key: HeldKey): Promise<HeldEntry | undefined> {
    const deadlineMs = this.#clock.monotonicMs() + limits.heldClaimWaitMs;
    while (!this.claim(key)) {
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      if (leftMs <= 0) throw busy();
      await Promise.race([this.whenFree(key), this.#pause(leftMs)]);
    }
    let entry: HeldEntry | undefined;
    try {
      entry = await this.state.find(key);
      return entry;
    } catch (error) {
      // The database is closed with the log.
      if (this.#isClosed && !(error instanceof MqError)) throw notApplied();
      throw error;
    } finally {
      if (entry === undefined) this.free(key);
    }
  }

  /**
   * Appends changes of claimed messages, in one atomic group behind `copies`, and gives the claims up when their fate is
   * known. `how` it is answered: as what the broker appends by itself, or as what clients send.
   */
  commit(
    changes: readonly HeldChange[],
    copies: readonly RecordDraft[] = [],
    how: "append" | "send" = "append",
  ): HeldCommit {
    const group = [...copies, heldDraft(changes)];
    const { store } = this;
    const step: Step = { changes, end: 0, isApplied: false };
    for (const { id } of changes) this.#steps.set(id, step);
    const appended = how === "send" ? store.send(group) : store.append(group);
    step.end = store.end;
    return { answer: appended, end: step.end, fate: this.#settle(step, appended) };
  }

  /** Says that the record of a held message is gone, which never happens unless somebody takes files away. */
  noteLost({ kind, topic, id, position }: HeldEntry): void {
    this.lostCount += 1;
    const facts = { kind, topic, id, position };
    this.#logger.error("a held message is lost: its record is not in the log any more", facts);
  }

  /** Nothing will be applied any more: fates that are open are told to be bad. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening();
  }

  async #settle(step: Step, answer: Promise<unknown>): Promise<MqError | undefined> {
    try {
      return await this.#fateOf(step, answer);
    } finally {
      for (const change of step.changes) {
        this.#steps.delete(change.id);
        this.free(change);
      }
    }
  }

  async #fateOf(step: Step, answer: Promise<unknown>): Promise<MqError | undefined> {
    const failure = await answer.then(
      () => undefined,
      (error: unknown) => toMqError(error),
    );
    if (failure !== undefined && !mayBeStored(failure)) return failure;
    for (;;) {
      if (step.isApplied) return undefined;
      const isDecided = this.store.dispatched >= step.end || this.store.end < step.end;
      // A message whose topic was deleted meanwhile is gone: nothing is told of it.
      if (isDecided && step.changes.some((change) => !this.state.isDead(change))) {
        return failure ?? notApplied();
      }
      if (isDecided) return undefined;
      const end = this.store.failure ?? (this.#isClosed ? (failure ?? notApplied()) : undefined);
      if (end !== undefined) return end;
      await this.#pause(limits.heldFateLookMs);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, resolve, { unref: true }));
  }
}

/** The record of `changes`. */
function heldDraft(changes: readonly HeldChange[]): RecordDraft {
  return {
    type: RecordType.held,
    topic: "",
    queueId: -1,
    systemProperties: nothing,
    userProperties: nothing,
    body: encodeHeldChanges(changes),
  };
}

/** Whether the records may be in the log, or will be, although the answer is an error. */
function mayBeStored({ code, facts }: MqError): boolean {
  if (code === "HA_NOT_AVAILABLE") return facts["position"] !== undefined;
  return code === "MASTER_PERSISTENCE_TIMEOUT" || code === "SLAVE_PERSISTENCE_TIMEOUT";
}

function busy(): MqError {
  return new MqError(
    "HA_NOT_AVAILABLE",
    "the message is being delivered or changed, and the log does not confirm it; ask again",
  );
}

function notApplied(): MqError {
  return new MqError("SHUTTING_DOWN", "the log was closed before the change was confirmed");
}
