// Replication as operators see it: who copies whom, how far behind, and since when.
import type { Clock } from "../base/index.ts";
import { addressOf, type ConnectedSlave } from "./ha/index.ts";
import type { HaMaster, HaPort, HaSlave, HaStatus, LogGap } from "./remoting/index.ts";
import type { Replica } from "./replica.ts";
import type { Role } from "./role.ts";
import type { Store } from "./store/index.ts";

interface Sample {
  readonly atMs: number;
  readonly sentBytes: number;
  readonly bytesPerSecond: number;
}

const rateWindowMs = 1_000;

/** The replication of one broker, for `mqadmin`. */
export class HaView implements HaPort {
  readonly #replica: Replica;
  readonly #role: Role;
  readonly #clock: Clock;
  readonly #rates = new Map<number, Sample>();

  constructor(replica: Replica, role: Role, clock: Clock) {
    this.#replica = replica;
    this.#role = role;
    this.#clock = clock;
  }

  status(): HaStatus {
    const replica = this.#replica;
    const { standing } = replica;
    const store = replica.slot.current?.store;
    return {
      standing: standing.kind,
      reason: standing.kind === "none" ? standing.reason : "",
      epoch: Math.max(standing.epoch, store?.epoch ?? 0),
      logStart: store?.start ?? 0,
      logEnd: store?.end ?? 0,
      logConfirmed: store?.confirmed ?? 0,
      slaves: standing.kind === "master" && store !== undefined ? this.#slaves(store) : [],
      master: standing.kind === "master" || store === undefined ? undefined : this.#master(store),
    };
  }

  syncState(): ReturnType<Role["syncState"]> {
    return this.#role.syncState();
  }

  controller(): ReturnType<Role["controller"]> {
    return this.#role.controller();
  }

  handOver(brokerId: number): Promise<void> {
    return this.#role.handOver(brokerId);
  }

  #slaves(store: Store): HaSlave[] {
    const connected = new Map(
      this.#replica.server.slaves().map((slave) => [slave.identity.brokerId, slave]),
    );
    const rows: HaSlave[] = [...connected.values()].map((slave) =>
      this.#connectedRow(slave, store),
    );
    for (const place of this.#replica.list.all()) {
      if (connected.has(place.brokerId) || place.brokerId === this.#replica.identity().brokerId) {
        continue;
      }
      rows.push({
        brokerId: place.brokerId,
        address: place.grpcAddress,
        isInSync: false,
        writtenPosition: 0,
        flushedPosition: 0,
        lag: { bytes: 0, messages: 0, ms: 0 },
        connectedSinceMs: undefined,
        bytesPerSecond: 0,
      });
    }
    return rows.sort((one, other) => one.brokerId - other.brokerId);
  }

  #connectedRow(slave: ConnectedSlave, store: Store): HaSlave {
    const { ack, identity } = slave;
    return {
      brokerId: identity.brokerId,
      address: slave.grpcAddress,
      isInSync: this.#replica.isInSync(identity.brokerId),
      writtenPosition: ack?.written ?? 0,
      flushedPosition: ack?.flushed ?? 0,
      lag: gap(
        { end: store.written, count: store.messageCount, newestMs: store.newestMs },
        { end: ack?.written ?? 0, count: ack?.messageCount ?? 0, newestMs: ack?.newestMs ?? 0 },
      ),
      connectedSinceMs: slave.sinceMs,
      bytesPerSecond: this.#rate(slave),
    };
  }

  #rate({ identity, sentBytes }: ConnectedSlave): number {
    const atMs = this.#clock.monotonicMs();
    const before = this.#rates.get(identity.brokerId);
    if (before === undefined || sentBytes < before.sentBytes) {
      this.#rates.set(identity.brokerId, { atMs, sentBytes, bytesPerSecond: 0 });
      return 0;
    }
    const passedMs = atMs - before.atMs;
    if (passedMs < rateWindowMs) return before.bytesPerSecond;
    const bytesPerSecond = Math.round(((sentBytes - before.sentBytes) * 1_000) / passedMs);
    this.#rates.set(identity.brokerId, { atMs, sentBytes, bytesPerSecond });
    return bytesPerSecond;
  }

  #master(store: Store): HaMaster | undefined {
    const { standing, slaveLog } = this.#replica;
    const { word, lostReason } = slaveLog;
    const known = standing.kind === "slave" ? standing.master : undefined;
    if (word === undefined) {
      return {
        brokerId: known?.brokerId ?? 0,
        address: known?.grpcAddress ?? "",
        connectedSinceMs: undefined,
        reason: lostReason,
        endPosition: 0,
        lag: { bytes: 0, messages: 0, ms: 0 },
      };
    }
    const { welcome, place, sinceMs } = word;
    const end = place?.end ?? welcome.end;
    return {
      brokerId: welcome.brokerId,
      address: known?.grpcAddress ?? addressOf(welcome.host, welcome.grpcPort),
      connectedSinceMs: sinceMs,
      reason: "",
      endPosition: end,
      lag: gap(
        { end, count: place?.messageCount ?? 0, newestMs: place?.newestMs ?? 0 },
        { end: store.written, count: store.messageCount, newestMs: store.newestMs },
      ),
    };
  }
}

interface Reached {
  readonly end: number;
  readonly count: number;
  readonly newestMs: number;
}

function gap(ahead: Reached, behind: Reached): LogGap {
  const bytes = Math.max(0, ahead.end - behind.end);
  if (bytes === 0) return { bytes: 0, messages: 0, ms: 0 };
  return {
    bytes,
    messages: Math.max(0, ahead.count - behind.count),
    ms: Math.max(0, ahead.newestMs - behind.newestMs),
  };
}
