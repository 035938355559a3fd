// Configuration keys of replication and election: who copies from whom, what an acknowledgement waits for, how a
// group finds its master. RocketMQ's names and meanings where it has one.
import { MqError } from "../errors.ts";
import type { ConfigTable } from "./configuration.ts";
import type { Address } from "./keys.ts";
import * as key from "./keys.ts";

/** Values of a broker that belong to replication and election. */
export interface ReplicationConfig {
  /** Empty = learned from the NameServers. */
  readonly haMasterAddress: readonly Address[];
  /** Fixed roles: brokers that must have a message, the master included. */
  readonly inSyncReplicas: number;
  /** Bytes. */
  readonly haMaxGapNotInSync: number;
  /** Milliseconds. */
  readonly slaveTimeout: number;
  /** Milliseconds. */
  readonly preOnlineTimeout: number;
  readonly haTruncateLongerReplica: boolean;
  /** Empty = no secret. */
  readonly haSecret: string;
  readonly haTlsEnable: boolean;
  /** Empty = any certificate that the secret vouches for. */
  readonly haTlsCaPath: string;
  readonly enableControllerMode: boolean;
  /** etcd members. */
  readonly controllerAddr: readonly Address[];
  /** Seconds. */
  readonly controllerLeaseSeconds: number;
  /** Elected roles: members of the in-sync set, the master included, below which sends are refused. */
  readonly minInSyncReplicas: number;
  /** Milliseconds. */
  readonly haMaxTimeSlaveNotCatchup: number;
  readonly brokerElectionPriority: number;
  readonly enableElectUncleanMaster: boolean;
}

/** Rows of replication and election, in the order of help and docs. */
export const replicationKeys: ConfigTable<ReplicationConfig> = {
  haMasterAddress: key.addresses({
    default: [],
    meaning:
      "Replication address of the master, for a SLAVE without NameServers. Empty: learned from the NameServers.",
  }),
  inSyncReplicas: key.int({
    default: 2,
    min: 1,
    max: 16,
    meaning:
      "SYNC_MASTER in fixed roles: how many brokers, the master included, must have a message before it is acknowledged. RocketMQ's default of 1 waits for no slave.",
  }),
  haMaxGapNotInSync: key.size({
    default: 256 * 2 ** 20,
    min: 4_096,
    max: 2 ** 50,
    meaning: "A slave that is further behind than this is not in sync: no send waits for it.",
  }),
  slaveTimeout: key.duration({
    default: 3_000,
    unit: "ms",
    min: 10,
    max: 600_000,
    meaning:
      "How long a send of a SYNC_MASTER waits for slaves; then it is answered SLAVE_PERSISTENCE_TIMEOUT, and the late slave is not in sync.",
  }),
  preOnlineTimeout: key.duration({
    default: 10_000,
    unit: "ms",
    min: 0,
    max: 600_000,
    meaning:
      "How long a starting master waits for known replicas that do not answer, before it serves without having asked them.",
  }),
  haTruncateLongerReplica: key.boolean({
    default: false,
    meaning:
      "Let slaves whose log goes beyond this master's, or differs from it, cut theirs. Loses what only they have: they keep it in a side file.",
  }),
  haSecret: key.text({
    default: "",
    isSecret: true,
    defaultText: "none",
    pattern: /^[^\s]{0,256}$/,
    allowed: "up to 256 characters without spaces",
    meaning:
      "Secret of the cluster: with it, brokers prove to each other that they know it before anything is copied. The same on all of them.",
  }),
  haTlsEnable: key.boolean({
    default: false,
    meaning: "Replicate over TLS, with tlsCertPath and tlsKeyPath or a self-signed certificate.",
  }),
  haTlsCaPath: key.path({
    default: "",
    defaultText: "none: the certificate of the other broker is not checked",
    meaning:
      "Certificates, PEM, that signed those of the brokers: both sides then show theirs and check the other's.",
  }),
  enableControllerMode: key.boolean({
    default: false,
    meaning: "The brokers of a brokerName elect their master by themselves, through etcd.",
  }),
  controllerAddr: key.addresses({
    default: [],
    meaning: "Members of the etcd cluster that elections go through.",
  }),
  controllerLeaseSeconds: key.int({
    default: 2,
    min: 1,
    max: 60,
    unit: "s",
    meaning:
      "How long a master may rule without renewing. Shorter: faster failover, less patience with a slow etcd.",
  }),
  minInSyncReplicas: key.int({
    default: 2,
    min: 1,
    max: 16,
    meaning:
      "Elected roles: with fewer brokers in the in-sync set, the master included, a SYNC_MASTER refuses sends.",
  }),
  haMaxTimeSlaveNotCatchup: key.duration({
    default: 3_000,
    unit: "ms",
    min: 100,
    max: 600_000,
    meaning: "Elected roles: a slave that stays behind for so long leaves the in-sync set.",
  }),
  brokerElectionPriority: key.int({
    default: 2_147_483_647,
    min: 0,
    max: 2_147_483_647,
    meaning: "Elected roles: of several candidates with equal logs the one with the smallest wins.",
  }),
  enableElectUncleanMaster: key.boolean({
    default: false,
    meaning:
      "Elect a broker outside of the in-sync set when nobody of it lives. LOSES ACKNOWLEDGED MESSAGES.",
  }),
};

/** Refuses keys of role, id and election that contradict each other with BAD_CONFIG. */
export function refuseWrongRole(
  values: ReplicationConfig & {
    readonly brokerRole: "ASYNC_MASTER" | "SYNC_MASTER" | "SLAVE";
    readonly brokerId: number;
  },
): void {
  const { brokerRole, brokerId, enableControllerMode } = values;
  if (enableControllerMode) return refuseWrongElection(values);
  if (brokerRole === "SLAVE" && brokerId === 0) {
    throw new MqError("BAD_CONFIG", "brokerRole SLAVE needs a brokerId from 1; 0 is the master's");
  }
  if (brokerRole !== "SLAVE" && brokerId !== 0) {
    throw new MqError(
      "BAD_CONFIG",
      `brokerRole ${brokerRole} needs brokerId 0, not ${brokerId}; or set brokerRole = SLAVE`,
    );
  }
}

function refuseWrongElection(values: ReplicationConfig & { readonly brokerId: number }): void {
  if (values.brokerId === 0) {
    throw new MqError(
      "BAD_CONFIG",
      "enableControllerMode needs a brokerId from 1, another one for each broker of the brokerName",
    );
  }
  if (values.controllerAddr.length === 0) {
    throw new MqError(
      "BAD_CONFIG",
      "enableControllerMode needs controllerAddr, the HOST:PORT of the etcd members",
    );
  }
}
