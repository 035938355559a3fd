// Replication and election in the form of cometmq.v1.
import type { cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { AdminContext } from "./admin-context.ts";
import type { HaMaster, HaPort, HaSlave, HaStatus, SyncState } from "./ha-port.ts";

/** The status of this broker; without replication it is a master whom nobody copies. */
export function haStatusOf(context: AdminContext): HaStatus {
  if (context.ha !== undefined) return context.ha.status();
  const { store } = context;
  return {
    standing: "master",
    reason: "",
    epoch: store.epoch,
    logStart: store.start,
    logEnd: store.end,
    logConfirmed: store.confirmed,
    slaves: [],
    master: undefined,
  };
}

/** The status in the form of cometmq.v1. */
export function haFields(context: AdminContext, status: HaStatus): cometmq.v1.IHaStatus {
  const { brokerClusterName, brokerName, brokerId } = context.config.values;
  return {
    cluster: brokerClusterName,
    brokerName,
    brokerId,
    standing: status.standing,
    reason: status.reason,
    epoch: status.epoch,
    logStartPosition: status.logStart,
    logEndPosition: status.logEnd,
    logConfirmedPosition: status.logConfirmed,
    elected: context.ha?.syncState() !== undefined,
    slaves: status.slaves.map(slaveFields),
    master: status.master === undefined ? null : masterFields(status.master),
  };
}

/** The part of the broker that elects. Throws UNSUPPORTED when the roles are fixed. */
export function electing(context: AdminContext): { readonly ha: HaPort; readonly sync: SyncState } {
  const { ha } = context;
  const sync = ha?.syncState();
  if (ha !== undefined && sync !== undefined) return { ha, sync };
  const { brokerName } = context.config.values;
  throw new MqError(
    "UNSUPPORTED",
    `the roles of ${brokerName} are fixed by brokerId and brokerRole: its brokers elect nobody (enableControllerMode is off)`,
  );
}

/** The record of elections in the form of cometmq.v1. */
export function syncStateFields(sync: SyncState): cometmq.v1.ISyncState {
  const inSync = new Set(sync.inSyncIds);
  return {
    brokerName: sync.brokerName,
    masterId: sync.masterId ?? 0,
    epoch: sync.epoch,
    members: sync.members.map((member) => ({
      brokerId: member.brokerId,
      address: member.address,
      inSync: inSync.has(member.brokerId),
      alive: member.isAlive,
      logEndPosition: member.logEnd ?? 0,
    })),
  };
}

function slaveFields(slave: HaSlave): cometmq.v1.ISlaveStatus {
  return {
    brokerId: slave.brokerId,
    address: slave.address,
    inSync: slave.isInSync,
    connected: slave.connectedSinceMs !== undefined,
    writtenPosition: slave.writtenPosition,
    flushedPosition: slave.flushedPosition,
    lagBytes: slave.lag.bytes,
    lagMessages: slave.lag.messages,
    lagMs: slave.lag.ms,
    connectedSinceMs: slave.connectedSinceMs ?? 0,
    bytesPerSecond: slave.bytesPerSecond,
  };
}

function masterFields(master: HaMaster): cometmq.v1.IMasterLink {
  return {
    address: master.address,
    brokerId: master.brokerId,
    connected: master.connectedSinceMs !== undefined,
    reason: master.reason,
    connectedSinceMs: master.connectedSinceMs ?? 0,
    masterEndPosition: master.endPosition,
    lagBytes: master.lag.bytes,
    lagMessages: master.lag.messages,
    lagMs: master.lag.ms,
  };
}
