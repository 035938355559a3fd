// Copies another broker's log: dials, agrees on the common point, and takes the bytes as they come, until it is told to
// stop. A lost link is dialled again. What has to happen to the own log first (a cut, a snapshot) is its host's work.
import {
  type Address,
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  limits,
  MqError,
} from "../../base/index.ts";
import { Channel, RefusedError } from "./channel.ts";
import type { Identity, LogExtent, Welcome } from "./control-messages.ts";
import type { ConfirmFrame, DataFrame, Frame } from "./frames.ts";
import { commonPoint, describeLog } from "./log-fork.ts";
import { extentOf, proofOf, type ReplicatedStore } from "./log-source.ts";
import type { Network } from "./network.ts";
import { partBytes } from "./part-stream.ts";
import { type StateEntry, unpackPart } from "./snapshot-parts.ts";

/** The log that a follower fills, as it is now: a cut or a snapshot replaces it. */
export interface FollowedLog extends ReplicatedStore {
  /** Behind the last byte taken. */
  readonly taken: number;
  ingest(bytes: Buffer): void;
}

/** Who owns the log. */
export interface FollowerHost {
  identity(): Identity;
  /** Whether flushDiskType is SYNC_FLUSH. */
  isFlushing(): boolean;
  /** The log, recovered; it takes bytes once `ready` has resolved. */
  store(): FollowedLog;
  /** Makes the log take bytes from its end on, `emptyStart` when it has none. */
  ready(emptyStart: number): Promise<void>;
  /** Cuts the log at `position`; the rest is kept in a side file. */
  cut(position: number): Promise<void>;
  /** Position that a snapshot of the state reflects which was installed and whose log has not come so far; undefined without one. */
  snapshotAsOf(): Promise<number | undefined>;
  /** Replaces log and state: empty, and the state that is given, good from `asOf` on. */
  install(snapshot: {
    readonly asOf: number;
    readonly entries: AsyncIterable<readonly StateEntry[]>;
  }): Promise<void>;
  /** The master is followed: its words as they come. */
  followed(welcome: Welcome): void;
  masterSaid(place: Pick<ConfirmFrame, "confirmed"> & Partial<ConfirmFrame>): void;
  /** A link to the master has ended, or none can be had. */
  lost(reason: string): void;
}

/** What a follower stands on. */
export interface FollowerOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: FollowerHost;
  readonly master: Address;
  /** `copy`: takes the log of whatever broker is there, up to where it is now. */
  readonly purpose: "follow" | "copy";
  /** Reigns older than this are refused. */
  readonly epochMin: number;
  /** Whether the own log may be cut on the master's word alone. */
  readonly mayCut: boolean;
}

/** Follows one address from construction to `stop`. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #channel: Channel | undefined;
  #retryMs: number = limits.haRetryMinMs;
  #saidReason = "";
  #reachedEnd: (() => void) | undefined;
  /** Behind the last byte that this link has brought. */
  #brought = 0;
  #endWanted = Number.POSITIVE_INFINITY;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#running = this.#run();
    background(this.#running);
  }

  /** Resolves when the log has everything that the other side had when the link was made. For `copy`. */
  copied(): Promise<true> {
    return new Promise((resolve) => {
      this.#reachedEnd = () => resolve(true);
      this.#checkEnd();
    });
  }

  /** Ends the link; resolves when nothing more is taken. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#channel?.close("no longer followed");
    await this.#running;
  }

  async #run(): Promise<void> {
    const { host, logger, master } = this.#options;
    while (!this.#stopping.signal.aborted) {
      let reason: string;
      try {
        reason = await this.#follow();
      } catch (error) {
        // What the disk or the system says, like what the other side says, may be better the next time.
        if (!(error instanceof Error) || !("code" in error)) throw error;
        reason = error.message;
        // An operator has to act: asking again at once changes nothing.
        if (error instanceof RefusedError && error.refusal.code === "diverged") {
          this.#retryMs = limits.haRetryMaxMs;
        }
      }
      this.#channel?.close(reason);
      this.#channel = undefined;
      if (this.#stopping.signal.aborted) return;
      host.lost(reason);
      if (reason !== this.#saidReason && reason !== "") {
        logger.warn("the master's log is not followed now; trying again", {
          master: `${master.host}:${master.port}`,
          reason,
        });
      }
      this.#saidReason = reason;
      await this.#pause();
    }
  }

  /** One link from the first word to its end; gives why it ended. Empty: the log was changed, and it goes on at once. */
  async #follow(): Promise<string> {
    const { network, clock, master, host, purpose } = this.#options;
    const link = await network.connect(master, this.#stopping.signal);
    const channel = new Channel(link, clock);
    this.#channel = channel;
    const own = extentOf(host.store());
    const { flushed } = host.store();
    const isFlushing = host.isFlushing();
    channel.say({ kind: "hello", ...host.identity(), ...own, purpose, isFlushing, flushed });
    const welcome = await channel.expect("welcome");
    this.#check(welcome);
    const plan = this.#plan(own, welcome, await host.snapshotAsOf());
    if (plan.kind === "cut") {
      channel.close("the log is cut first");
      await host.cut(plan.position);
      return "";
    }
    if (plan.kind === "snapshot") {
      await this.#takeSnapshot(channel);
      return "";
    }
    const { position } = plan;
    const from = Math.max(own.start, welcome.start, position - limits.haProofSize);
    channel.say(await proofOf(host.store(), Math.min(from, position), position));
    const begin = await channel.expect("begin");
    await host.ready(begin.position);
    if (host.store().taken !== begin.position) {
      throw new MqError(
        "CORRUPT",
        `the master begins at ${begin.position}, not where this log ends`,
      );
    }
    return await this.#stream(channel, welcome);
  }

  #check(welcome: Welcome): void {
    const { host, epochMin, purpose } = this.#options;
    const own = host.identity();
    if (welcome.cluster !== own.cluster || welcome.brokerName !== own.brokerName) {
      throw new MqError(
        "HA_NOT_AVAILABLE",
        `there is ${welcome.brokerName} of the cluster ${welcome.cluster}, not ${own.brokerName} of ${own.cluster}`,
      );
    }
    if (purpose === "copy") return;
    if (welcome.standing !== "master") {
      throw new MqError(
        "HA_NOT_AVAILABLE",
        `the broker there is no master now (${welcome.standing})`,
      );
    }
    if (welcome.epoch < epochMin) {
      throw new MqError(
        "HA_NOT_AVAILABLE",
        `the master there rules epoch ${welcome.epoch}, but epoch ${epochMin} has begun: it is a former one`,
      );
    }
  }

  #plan(own: LogExtent, welcome: Welcome, snapshotAsOf: number | undefined): Plan {
    const isEmpty = own.end === own.start;
    const needsState = isEmpty && welcome.start > 0;
    if (isEmpty && (!needsState || (snapshotAsOf ?? -1) >= welcome.start)) {
      return { kind: "go", position: welcome.start };
    }
    const found = commonPoint(own, welcome);
    if (found.kind === "common" && found.position === own.end) {
      return { kind: "go", position: own.end };
    }
    // Everything it had is older than what the master has kept.
    const isTooOld = found.kind === "apart" && own.end <= welcome.start;
    if (isEmpty || isTooOld) return { kind: "snapshot" };
    const { mayCut } = this.#options;
    if (!mayCut && !welcome.mayCut) {
      throw new RefusedError({
        kind: "refuse",
        code: "diverged",
        message:
          `this log goes beyond its master's, or differs from it (here ${describeLog(own)}; master ${describeLog(welcome)}). ` +
          "Nothing is cut: restart the master while this broker runs, so that it takes over what only this one has, or set haTruncateLongerReplica = true on the master to give it up.",
      });
    }
    return { kind: "cut", position: found.kind === "common" ? found.position : own.start };
  }

  async #takeSnapshot(channel: Channel): Promise<void> {
    channel.say({ kind: "snapshotRequest" });
    const { asOf } = await channel.expect("snapshotBegin");
    this.#options.logger.info("taking a snapshot of the master's state", { asOf });
    await this.#options.host.install({ asOf, entries: partsOf(channel) });
  }

  #stream(channel: Channel, welcome: Welcome): Promise<string> {
    const { host, clock, logger, master } = this.#options;
    const store = host.store();
    this.#endWanted = welcome.end;
    this.#brought = 0;
    logger.info("the master's log is followed", {
      master: `${master.host}:${master.port}`,
      epoch: welcome.epoch,
      from: store.taken,
      behindBytes: welcome.end - store.taken,
    });
    host.followed(welcome);
    const from = store.written;
    let said = -1;
    const ack = (): void => {
      said = store.written + store.flushed;
      if (store.written > from || from >= welcome.end) this.#goesWell();
      if (store.taken < this.#brought) {
        // The master is not to wait until this slave counts as late.
        return channel.close("the disk of the slave is full: what came was taken back");
      }
      this.#ack(channel, store, welcome.epoch);
    };
    const ends: CancelTimer[] = [
      clock.every(limits.haHeartbeatMs, ack),
      store.onProgress(() => {
        // What has been confirmed meanwhile is no news to the master.
        if (store.written + store.flushed !== said) ack();
        this.#checkEnd();
        const waitingBytes = store.taken - store.written;
        if (waitingBytes <= limits.haReceiveBufferSize / 2) channel.link.resume();
      }),
    ];
    return new Promise((resolve) => {
      channel.onEnd((reason) => {
        for (const end of ends) end();
        resolve(reason);
      });
      channel.listen((frame) => this.#take(channel, store, { frame, epoch: welcome.epoch }));
      ack();
      this.#checkEnd();
    });
  }

  #take(
    channel: Channel,
    store: FollowedLog,
    { frame, epoch }: { readonly frame: Frame; readonly epoch: number },
  ): void {
    if (frame.kind === "data") return this.#takeData(channel, store, { frame, epoch });
    if (frame.kind === "confirm") {
      refuseOlder(frame.epoch, epoch);
      return this.#options.host.masterSaid(frame);
    }
    if (frame.kind === "control" && frame.message.kind === "refuse") {
      throw new RefusedError(frame.message);
    }
    throw new MqError("BAD_REQUEST", `the master sent ${frame.kind} among the bytes of its log`);
  }

  /** The log has grown, or nothing was missing: the next failure is a new one. */
  #goesWell(): void {
    this.#retryMs = limits.haRetryMinMs;
    this.#saidReason = "";
  }

  #takeData(
    channel: Channel,
    store: FollowedLog,
    { frame, epoch }: { readonly frame: DataFrame; readonly epoch: number },
  ): void {
    refuseOlder(frame.epoch, epoch);
    if (frame.position !== store.taken) {
      throw new MqError(
        "CORRUPT",
        `the master sent position ${frame.position}, but ${store.taken} comes next`,
      );
    }
    store.ingest(frame.bytes);
    this.#brought = frame.position + frame.bytes.length;
    this.#options.host.masterSaid({ confirmed: frame.confirmed });
    if (store.taken - store.written > limits.haReceiveBufferSize) channel.link.pause();
  }

  #ack(channel: Channel, store: FollowedLog, epoch: number): void {
    const { written, flushed, newestMs, confirmed, messageCount } = store;
    channel.send({
      kind: "ack",
      epoch,
      written,
      flushed,
      applied: confirmed,
      messageCount,
      newestMs,
    });
  }

  #checkEnd(): void {
    if (this.#reachedEnd === undefined) return;
    if (this.#options.host.store().durable < this.#endWanted) return;
    this.#reachedEnd();
    this.#reachedEnd = undefined;
  }

  async #pause(): Promise<void> {
    const waitMs = this.#saidReason === "" ? 0 : this.#retryMs;
    if (waitMs > 0) this.#retryMs = Math.min(this.#retryMs * 2, limits.haRetryMaxMs);
    const { signal } = this.#stopping;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#options.clock.after(waitMs, done, { unref: true });
      signal.addEventListener("abort", done);
    });
  }
}

type Plan =
  | { readonly kind: "go"; readonly position: number }
  | { readonly kind: "cut"; readonly position: number }
  | { readonly kind: "snapshot" };

/** The parts of a snapshot, to their end. Rejects when the link ends before. */
async function* partsOf(channel: Channel): AsyncGenerator<readonly StateEntry[]> {
  for await (const part of partBytes(channel)) yield unpackPart(part);
}

function refuseOlder(epoch: number, known: number): void {
  if (epoch >= known) return;
  throw new MqError("BAD_REQUEST", `bytes of epoch ${epoch}, which is over: epoch ${known} rules`);
}
