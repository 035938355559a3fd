// What operators' calls ask of the part of the broker that replicates and elects. The composition implements it.

/** What a broker is to the others of its name; `acting` is a slave that serves for its lost master. */
export type HaStanding = "master" | "slave" | "acting" | "none";

/** How far one log is behind another. */
export interface LogGap {
  readonly bytes: number;
  /** 0 when it is not known. */
  readonly messages: number;
  /** Age of the oldest record that is missing, milliseconds; 0 when nothing is. */
  readonly ms: number;
}

/** A broker that copies this master, or has copied it in its reign. */
export interface HaSlave {
  readonly brokerId: number;
  /** `host:port` for clients and operators; empty when not known. */
  readonly address: string;
  readonly isInSync: boolean;
  /** Behind the last byte that it has written, and that it has flushed. */
  readonly writtenPosition: number;
  readonly flushedPosition: number;
  readonly lag: LogGap;
  /** Milliseconds since 1970; undefined while it is not connected. */
  readonly connectedSinceMs: number | undefined;
  readonly bytesPerSecond: number;
}

/** What a slave, or an acting master, knows of its master. */
export interface HaMaster {
  readonly brokerId: number;
  /** `host:port` for clients and operators; empty when not known. */
  readonly address: string;
  /** Milliseconds since 1970; undefined while there is no link. */
  readonly connectedSinceMs: number | undefined;
  /** Why there is no link; empty when there is one. */
  readonly reason: string;
  /** The end of the master's log as last heard. */
  readonly endPosition: number;
  readonly lag: LogGap;
}

/** A broker among those of its name, at one moment. */
export interface HaStatus {
  readonly standing: HaStanding;
  /** Why it is `none`; else empty. */
  readonly reason: string;
  /** Reign of the master; 0 before there is one. */
  readonly epoch: number;
  readonly logStart: number;
  readonly logEnd: number;
  readonly logConfirmed: number;
  /** Of a master: one row a slave that it knows, by id. */
  readonly slaves: readonly HaSlave[];
  /** Of a slave and an acting master; undefined when none is known. */
  readonly master: HaMaster | undefined;
}

/** A broker of a group that elects its master. */
export interface SyncMember {
  readonly brokerId: number;
  /** `host:port` for clients and operators; empty when not known. */
  readonly address: string;
  readonly isAlive: boolean;
  /** End of its log as it has last said; undefined when it has not. */
  readonly logEnd: number | undefined;
}

/** The record that elections of one group go by. */
export interface SyncState {
  readonly brokerName: string;
  /** Undefined: nobody rules. */
  readonly masterId: number | undefined;
  readonly epoch: number;
  readonly inSyncIds: readonly number[];
  readonly members: readonly SyncMember[];
}

/** One member of the etcd cluster behind elections. */
export interface ControllerMember {
  /** `host:port` as configured. */
  readonly address: string;
  readonly isReachable: boolean;
  /** Why it cannot be reached; else empty. */
  readonly reason: string;
  /** What it says of itself; empty and 0 when it cannot be reached. */
  readonly name: string;
  readonly version: string;
  readonly isLeader: boolean;
  readonly databaseBytes: number;
}

/** What stands behind elections. */
export interface ControllerState {
  readonly members: readonly ControllerMember[];
  readonly leaseSeconds: number;
}

/** Replication and election as operators see and steer them. */
export interface HaPort {
  status(): HaStatus;
  /** Undefined: the roles are fixed. */
  syncState(): SyncState | undefined;
  /** Undefined: the roles are fixed. */
  controller(): Promise<ControllerState | undefined>;
  /**
   * Makes `brokerId` master of this group; resolves when it rules. Throws NOT_MASTER on a broker that does not rule,
   * BAD_REQUEST for an id that may not be elected, and UNSUPPORTED with fixed roles.
   */
  handOver(brokerId: number): Promise<void>;
}
