// Before a master of fixed roles serves: asks every replica it knows, and takes over what only they have. It never cuts
// anybody's log. docs/replication.md.
import { type Address, limits, MqError, parseAddress } from "../base/index.ts";
import {
  type Asker,
  commonPoint,
  describeLog,
  extentOf,
  Follower,
  inspect,
  type NotedProgress,
  type ReplicaPlace,
  takeOverlay,
  type Welcome,
} from "./ha/index.ts";
import type { Peers } from "./peers.ts";
import type { Replica } from "./replica.ts";

/** A replica that has answered. */
export interface AnsweringReplica {
  readonly address: Address;
  readonly welcome: Welcome;
  /** Whether the bytes before the common point are the same. */
  readonly agrees: boolean;
}

/**
 * Brings the log of a starting master up to date with its replicas. Gives those that have an overlay. Throws
 * BAD_CONFIG when there is a master already, CORRUPT when the logs have diverged.
 */
export async function takeOverLogs(
  replica: Replica,
  peers: Peers,
): Promise<readonly AnsweringReplica[]> {
  const answers = await askReplicas(replica, peers);
  refuseSecondMaster(replica, answers);
  const best = longestContinuation(replica, answers);
  if (best !== undefined) await copyFrom(replica, best);
  return withOverlay(replica, answers);
}

/** Progress of a replica whose log is given up is about other messages at the same offsets: it is given up as well. */
function withOverlay(
  replica: Replica,
  answers: readonly AnsweringReplica[],
): readonly AnsweringReplica[] {
  return answers.filter((answer) => {
    const { hasOverlay, brokerId } = answer.welcome;
    if (!hasOverlay) return false;
    if (relationTo(replica, answer) !== "diverged") return true;
    replica.logger.error("the progress of an acting master is given up with its log", {
      id: brokerId,
      effect: "what was acknowledged there is delivered again",
    });
    return false;
  });
}

/** Takes the overlays of `answers` one after another. One that does not come is said, and kept where it is. */
export async function takeOverlays(
  replica: Replica,
  answers: readonly AnsweringReplica[],
  take: (noted: NotedProgress) => Promise<void>,
): Promise<void> {
  for (const { address, welcome } of answers) {
    try {
      await takeOverlay(askerOf(replica), address, take);
      replica.logger.info("the progress of the acting master is taken over", {
        id: welcome.brokerId,
      });
    } catch (error) {
      if (!(error instanceof MqError)) throw error;
      replica.logger.error("THE PROGRESS OF THE ACTING MASTER WAS NOT TAKEN OVER", {
        id: welcome.brokerId,
        reason: error.message,
        effect: "what was acknowledged there is delivered again",
      });
    }
  }
}

async function askReplicas(replica: Replica, peers: Peers): Promise<AnsweringReplica[]> {
  const { config, clock } = replica.options;
  const { preOnlineTimeout, brokerId } = config.values;
  const deadlineMs = clock.monotonicMs() + preOnlineTimeout;
  const known = new Map<string, ReplicaPlace>();
  const seen = await peers.ask(Math.min(preOnlineTimeout, limits.nameServerSilenceMaxMs));
  // A place that a NameServer names is newer than the one in the list.
  const ids = new Set(seen.map((place) => place.brokerId));
  for (const place of [...seen, ...replica.list.all().filter((old) => !ids.has(old.brokerId))]) {
    if (place.haAddress !== "") known.set(place.haAddress, place);
  }
  const places = [...known.values()];
  // Whoever had the own id was this broker most often, and does not answer any more.
  const answers = await Promise.all(
    places.map((place) => askOne(replica, place, place.brokerId === brokerId ? 0 : deadlineMs)),
  );
  const silent = places.filter(
    (place, index) => place.brokerId !== brokerId && answers[index] === undefined,
  );
  if (silent.length > 0) {
    replica.logger.error("STARTING WITHOUT HAVING ASKED EVERY REPLICA", {
      silent: silent.map((place) => `${place.brokerId} at ${place.haAddress}`).join(", "),
      waitedMs: preOnlineTimeout,
      effect: "what only they have is missing here; they do not follow until it is settled",
      brokerId,
    });
  }
  return answers.filter((answer) => answer !== undefined);
}

async function askOne(
  replica: Replica,
  place: ReplicaPlace,
  deadlineMs: number,
): Promise<AnsweringReplica | undefined> {
  const { clock } = replica.options;
  const address = parseAddress(place.haAddress);
  if (address === undefined) return undefined;
  for (;;) {
    try {
      const { store } = replica.slot.required();
      const { welcome, agrees } = await inspect(askerOf(replica), address, store);
      const { brokerName, cluster, instanceId } = replica.identity();
      const isItself = welcome.instanceId === instanceId;
      const isOurs = welcome.brokerName === brokerName && welcome.cluster === cluster && !isItself;
      return isOurs ? { address, welcome, agrees } : undefined;
    } catch (error) {
      if (!(error instanceof MqError)) throw error;
    }
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) return undefined;
    await new Promise<void>((resolve) => {
      clock.after(Math.min(leftMs, limits.haRetryMinMs * 4), resolve);
    });
  }
}

function refuseSecondMaster(replica: Replica, answers: readonly AnsweringReplica[]): void {
  const { brokerName, brokerId, instanceId } = replica.identity();
  const other = answers.find(
    ({ welcome }) => welcome.standing === "master" && welcome.instanceId !== instanceId,
  );
  if (other === undefined) return;
  const { host, port } = other.address;
  throw new MqError(
    "BAD_CONFIG",
    `brokerName ${brokerName} has a live master already: id ${other.welcome.brokerId}, replication at ${host}:${port}. ` +
      `Give this broker (id ${brokerId}) another brokerName, make it a SLAVE, or stop the other`,
  );
}

/** The replica whose log goes on where this one ends, and goes on longest; undefined when none does. */
function longestContinuation(
  replica: Replica,
  answers: readonly AnsweringReplica[],
): AnsweringReplica | undefined {
  let best: AnsweringReplica | undefined;
  for (const answer of answers) {
    const relation = relationTo(replica, answer);
    if (relation === "diverged") refuseDiverged(replica, answer);
    if (relation !== "longer") continue;
    if (best === undefined || answer.welcome.end > best.welcome.end) best = answer;
  }
  return best;
}

/** How the log of a replica relates to the own one: it goes on where that ends, has nothing that it has not, or differs. */
function relationTo(
  replica: Replica,
  { welcome, agrees }: AnsweringReplica,
): "longer" | "shorter" | "diverged" {
  const own = extentOf(replica.slot.required().store);
  const found = commonPoint(own, welcome);
  switch (found.kind) {
    case "empty":
      return welcome.end > welcome.start ? "longer" : "shorter";
    case "apart":
      return welcome.start >= own.end ? "longer" : "shorter";
    case "diverged":
      return "diverged";
    default:
      if (!agrees) return "diverged";
      if (found.position === welcome.end) return "shorter";
      return found.position === own.end ? "longer" : "diverged";
  }
}

function refuseDiverged(replica: Replica, { address, welcome }: AnsweringReplica): void {
  const own = extentOf(replica.slot.required().store);
  const what = `the log of this broker (${describeLog(own)}) and that of its replica ${welcome.brokerId} at ${address.host}:${address.port} (${describeLog(welcome)}) hold different records for the same places`;
  if (replica.options.config.values.haTruncateLongerReplica) {
    replica.logger.error("A REPLICA'S LOG WILL BE CUT, as haTruncateLongerReplica says", { what });
    return;
  }
  throw new MqError(
    "CORRUPT",
    `${what}. Keep the one that has what clients were promised, and empty the other's data folder; or set haTruncateLongerReplica = true to keep this one`,
  );
}

async function copyFrom(replica: Replica, { address, welcome }: AnsweringReplica): Promise<void> {
  const { network, clock } = replica.options;
  const { logger, slaveLog } = replica;
  const { end } = replica.slot.required().store;
  logger.warn("a replica has what this master has lost: it is copied before anything is served", {
    id: welcome.brokerId,
    from: end,
    bytes: welcome.end - end,
  });
  const follower = new Follower({
    network,
    clock,
    logger,
    host: slaveLog,
    master: address,
    purpose: "copy",
    epochMin: 0,
    mayCut: false,
  });
  const isCopied = await Promise.race([follower.copied(), lostForLong(replica)]);
  await follower.stop();
  if (isCopied) return;
  logger.error("STARTING WITHOUT ALL THAT A REPLICA HAD: it went away while it was copied", {
    id: welcome.brokerId,
    missingBytes: welcome.end - replica.slot.required().store.end,
  });
}

/** Resolves false when the link has been down for preOnlineTimeout. */
function lostForLong({ options, slaveLog }: Replica): Promise<boolean> {
  const { clock, config } = options;
  let upAtMs = clock.monotonicMs();
  return new Promise((resolve) => {
    const cancel = clock.every(limits.haTickMs, () => {
      const nowMs = clock.monotonicMs();
      if (slaveLog.word !== undefined) upAtMs = nowMs;
      if (nowMs - upAtMs <= config.values.preOnlineTimeout + limits.haHandshakeMs) return;
      cancel();
      resolve(false);
    });
  });
}

function askerOf(replica: Replica): Asker {
  const { network, clock } = replica.options;
  const { store } = replica.slot.required();
  return {
    network,
    clock,
    identity: replica.identity(),
    extent: extentOf(store),
    isFlushing: replica.slaveLog.isFlushing(),
    flushed: store.flushed,
  };
}
