// The configuration table of a broker. RocketMQ's key names and meanings where it has one.
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { MqError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ConfigRole, ConfigTable, Configuration } from "./configuration.ts";
import type { Address } from "./keys.ts";
import * as key from "./keys.ts";
import { type ProcessConfig, processKeys, refuseHalfTls } from "./process.ts";
import { type ReplicationConfig, refuseWrongRole, replicationKeys } from "./replication.ts";

/** Values of a broker. Names and units are those of the file; the table says what each means. */
export interface BrokerConfig extends ProcessConfig, ReplicationConfig {
  readonly brokerClusterName: string;
  readonly brokerName: string;
  /** 0 = master. */
  readonly brokerId: number;
  readonly brokerRole: "ASYNC_MASTER" | "SYNC_MASTER" | "SLAVE";
  /** Empty = no NameServer. */
  readonly namesrvAddr: readonly Address[];
  /** Empty = the host that the client dialled. */
  readonly brokerIP1: string;
  /** 0 = any free port. */
  readonly grpcServerPort: number;
  /** 0 = any free port. */
  readonly haListenPort: number;
  /** Permission of the whole broker: sum of 4 (read) and 2 (write). */
  readonly brokerPermission: number;
  readonly storePathRootDir: string;
  /** Never empty once loaded. */
  readonly storePathCommitLog: string;
  /** Bytes. */
  readonly mappedFileSizeCommitLog: number;
  readonly flushDiskType: "SYNC_FLUSH" | "ASYNC_FLUSH";
  /** Milliseconds. */
  readonly syncFlushTimeout: number;
  /** Hours, may be a fraction. */
  readonly fileReservedTime: number;
  /** Hours of the day, local time. */
  readonly deleteWhen: readonly number[];
  /** Milliseconds. */
  readonly cleanResourceInterval: number;
  /** Percent. */
  readonly diskMaxUsedSpaceRatio: number;
  /** Percent. */
  readonly diskSpaceCleanForciblyRatio: number;
  /** Percent. */
  readonly diskSpaceWarningLevelRatio: number;
  /** Bytes. */
  readonly diskFreeSpaceMin: number;
  /** Bytes. */
  readonly tailCacheSize: number;
  readonly messageIndexEnable: boolean;
  /** Messages. */
  readonly sendWindowCount: number;
  /** Milliseconds. */
  readonly sendWindowAge: number;
  /** Bytes. */
  readonly sendWindowRebuildSize: number;
  readonly sendWindowAnyId: boolean;
  /** Bytes of a body. */
  readonly maxMessageSize: number;
  readonly autoCreateTopicEnable: boolean;
  readonly autoCreateSubscriptionGroup: boolean;
  readonly defaultTopicQueueNums: number;
  /** Milliseconds. */
  readonly renewMaxTimeMillis: number;
  readonly maxLmqConsumeQueueNum: number;
  readonly maxLiteSubscriptionCount: number;
  readonly popInflightMessageThreshold: number;
  readonly popInflightTotalThreshold: number;
  /** Seconds; 0 = no limit. */
  readonly timerMaxDelaySec: number;
  /** Messages. */
  readonly timerPendingMax: number;
  /** Milliseconds. */
  readonly transactionTimeOut: number;
  /** Milliseconds. */
  readonly transactionCheckInterval: number;
  readonly transactionCheckMax: number;
  /** Messages. */
  readonly transactionHalfMax: number;
}

const name = {
  pattern: /^[A-Za-z0-9._|%-]{1,127}$/,
  allowed: "1 to 127 letters, digits, . _ - | %",
};

const identityKeys = {
  brokerClusterName: key.text({
    default: "DefaultCluster",
    ...name,
    meaning: "Cluster that the broker belongs to.",
  }),
  brokerName: key.text({
    default:
      hostname()
        .replace(/[^A-Za-z0-9._-]/g, "-")
        .slice(0, 127) || "broker-a",
    defaultText: "the machine's host name",
    ...name,
    meaning: "Name of the broker; a master and its replicas share it.",
  }),
  brokerId: key.int({
    default: 0,
    min: 0,
    max: 65_535,
    meaning:
      "0 is the master, larger ids are slaves of the same brokerName. With enableControllerMode every broker has an id of its own from 1.",
  }),
  brokerRole: key.oneOf({
    default: "ASYNC_MASTER",
    values: ["ASYNC_MASTER", "SYNC_MASTER", "SLAVE"],
    meaning:
      "ASYNC_MASTER answers a send without waiting for slaves, SYNC_MASTER when inSyncReplicas have it, SLAVE copies its master. With enableControllerMode it says how the elected master answers.",
  }),
  namesrvAddr: key.addresses({
    default: [],
    meaning:
      "NameServers to register with, all of them. Also read from the environment's NAMESRV_ADDR. Empty: the broker serves its own routes only.",
  }),
  brokerIP1: key.text({
    default: "",
    pattern: /^(?:[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}|)$/,
    allowed: "a host name or an IP address, without a port",
    meaning: "Host that routes give to clients. Empty: the host that the client dialled.",
  }),
  grpcServerPort: key.int({
    default: 8081,
    min: 0,
    max: 65_535,
    meaning: "Port for clients and operators. 0: any free one.",
  }),
  haListenPort: key.int({
    default: 10_912,
    min: 0,
    max: 65_535,
    meaning: "Port for replication: slaves dial it. 0: any free one.",
  }),
  brokerPermission: key.int({
    default: 6,
    min: 4,
    max: 6,
    change: "live",
    meaning:
      "6 takes messages and gives them, 4 only gives them: what mqadmin wipeWritePerm and addWritePerm set. It is part of the routes.",
  }),
};

const diskKeys = {
  storePathRootDir: key.path({
    default: join(homedir(), "cometmq"),
    defaultText: "~/cometmq",
    meaning:
      "Data folder. Not RocketMQ's ~/store, whose files have the same names and another format.",
  }),
  storePathCommitLog: key.path({
    default: "",
    defaultText: "commitlog in storePathRootDir",
    meaning: "Folder of the commit log.",
  }),
  mappedFileSizeCommitLog: key.size({
    default: 2 ** 30,
    min: 2 ** 16,
    max: 2 ** 32,
    meaning: "Size of one segment file of the commit log. Must hold a message of maxMessageSize.",
  }),
  flushDiskType: key.oneOf({
    default: "SYNC_FLUSH",
    values: ["SYNC_FLUSH", "ASYNC_FLUSH"],
    meaning:
      "SYNC_FLUSH acknowledges a message when it is safe from a power cut, ASYNC_FLUSH when it is safe from a killed process. RocketMQ's default is ASYNC_FLUSH.",
  }),
  syncFlushTimeout: key.duration({
    default: 5_000,
    unit: "ms",
    min: 10,
    max: 600_000,
    meaning: "Longest wait for the disk before a send is answered MASTER_PERSISTENCE_TIMEOUT.",
  }),
  fileReservedTime: key.duration({
    default: 72,
    unit: "h",
    min: 0,
    max: 1_000_000,
    change: "live",
    meaning: "Age from which a segment file may be deleted.",
  }),
  deleteWhen: key.hours({
    default: [4],
    change: "live",
    meaning: "Hours of the day (local time) in which files over fileReservedTime are deleted.",
  }),
  cleanResourceInterval: key.duration({
    default: 10_000,
    unit: "ms",
    min: 50,
    max: 3_600_000,
    meaning: "How often age and disk space are looked at.",
  }),
  diskMaxUsedSpaceRatio: key.int({
    default: 75,
    min: 10,
    max: 99,
    unit: "%",
    change: "live",
    meaning: "Use of the disk from which files over fileReservedTime are deleted at any hour.",
  }),
  diskSpaceCleanForciblyRatio: key.int({
    default: 85,
    min: 10,
    max: 100,
    unit: "%",
    change: "live",
    meaning: "Use of the disk from which the oldest files are deleted whatever their age.",
  }),
  diskSpaceWarningLevelRatio: key.int({
    default: 90,
    min: 10,
    max: 100,
    unit: "%",
    change: "live",
    meaning: "Use of the disk from which sends are refused; receives go on.",
  }),
  diskFreeSpaceMin: key.size({
    default: 64 * 2 ** 20,
    min: 0,
    max: 2 ** 50,
    change: "live",
    meaning: "Free space under which sends are refused, whatever the ratios say.",
  }),
  tailCacheSize: key.size({
    default: 32 * 2 ** 20,
    min: 2 ** 20,
    max: 2 ** 36,
    meaning: "Memory that holds the newest records, so that reading them touches no file.",
  }),
  messageIndexEnable: key.boolean({
    default: true,
    meaning: "Whether messages can be looked up by key and id.",
  }),
  sendWindowCount: key.int({
    default: 262_144,
    min: 0,
    max: 16_777_216,
    unit: "messages",
    meaning:
      "Newest sent messages of which a repeated send is recognized and stored once, 40 bytes each; 0: none.",
  }),
  sendWindowAge: key.duration({
    unit: "ms",
    default: 600_000,
    min: 1_000,
    max: 86_400_000,
    meaning: "Age up to which a repeated send is recognized.",
  }),
  sendWindowRebuildSize: key.size({
    default: 64 * 2 ** 20,
    min: 0,
    max: 2 ** 32,
    meaning:
      "Bytes at the end of the log that are read for sent messages when the broker becomes master, before it takes sends.",
  }),
  sendWindowAnyId: key.boolean({
    default: false,
    meaning:
      "Whether repeated sends are recognized by ids of any form, not only those of the official clients.",
  }),
};

const useKeys = {
  maxMessageSize: key.size({
    default: 4 * 2 ** 20,
    min: 1,
    max: 64 * 2 ** 20,
    change: "live",
    meaning: "Largest body of a message. Some official clients receive at most 4 MiB.",
  }),
  autoCreateTopicEnable: key.boolean({
    default: false,
    change: "live",
    meaning: "Whether an unknown topic is created when a client asks for its route.",
  }),
  autoCreateSubscriptionGroup: key.boolean({
    default: true,
    change: "live",
    meaning: "Whether an unknown consumer group is created when a client names it.",
  }),
  defaultTopicQueueNums: key.int({
    default: 8,
    min: 1,
    max: 1_024,
    change: "live",
    meaning: "Queues of an automatically created topic.",
  }),
  renewMaxTimeMillis: key.duration({
    default: 10_800_000,
    unit: "ms",
    min: 60_000,
    max: 86_400_000,
    change: "live",
    meaning: "How long the server renews the invisible time of one delivery.",
  }),
  maxLmqConsumeQueueNum: key.int({
    default: 200_000,
    min: 1,
    max: 10_000_000,
    change: "live",
    meaning:
      "Lite topics with messages that this broker may have (RocketMQ keeps each as a queue of its own, and 20000 by default); beyond, sends to new ones are refused with LITE_TOPIC_QUOTA_EXCEEDED.",
  }),
  maxLiteSubscriptionCount: key.int({
    default: 200_000,
    min: 1,
    max: 10_000_000,
    change: "live",
    meaning:
      "Lite topics that all clients may subscribe to at this broker, counted once a client; beyond, they are refused with LITE_SUBSCRIPTION_QUOTA_EXCEEDED.",
  }),
  popInflightMessageThreshold: key.int({
    default: limits.pendingPerQueueMax,
    min: 1,
    max: 1_000_000,
    unit: "messages",
    meaning:
      "Messages of one queue that a group has been given and has not acknowledged, at most; at the bound it gets no new ones of that queue, and a poll that finds nothing else ends with TOO_MANY_REQUESTS. RocketMQ has this off by default, and 10000 when it is on.",
  }),
  popInflightTotalThreshold: key.int({
    default: limits.pendingTotalMax,
    min: 1_000,
    max: 100_000_000,
    unit: "messages",
    meaning:
      "Messages that all groups together have been given and have not acknowledged, at most; one takes some 300 bytes of memory. At the bound a group that has 100 or more gets no new ones, and a poll that finds nothing else ends with TOO_MANY_REQUESTS.",
  }),
  timerMaxDelaySec: key.duration({
    default: 0,
    unit: "s",
    min: 0,
    max: 3_153_600_000,
    change: "live",
    meaning:
      "How far ahead the delivery timestamp of a message may be; beyond, it is refused with ILLEGAL_DELIVERY_TIME. 0: any time up to the year 9999. RocketMQ's default is 3 days.",
  }),
  timerPendingMax: key.int({
    default: 10_000_000,
    min: 0,
    max: 1_000_000_000,
    change: "live",
    meaning:
      "Delayed messages that wait for their time at once; beyond, sends of delayed messages are refused with TOO_MANY_REQUESTS.",
  }),
  transactionTimeOut: key.duration({
    default: 6_000,
    unit: "ms",
    min: 100,
    max: 3_600_000,
    change: "live",
    meaning:
      "How long after a transactional message was sent a producer is first asked how its transaction ended, unless the message says otherwise.",
  }),
  transactionCheckInterval: key.duration({
    default: 30_000,
    unit: "ms",
    min: 1_000,
    max: 86_400_000,
    change: "live",
    meaning:
      "How long after it has been asked in vain a producer is asked again about a transaction.",
  }),
  transactionCheckMax: key.int({
    default: 15,
    min: 1,
    max: 10_000,
    change: "live",
    meaning:
      "How often producers are asked about one transaction; then its message goes to TRANS_CHECK_MAX_TIME_TOPIC.",
  }),
  transactionHalfMax: key.int({
    default: 100_000,
    min: 0,
    max: 1_000_000,
    change: "live",
    meaning:
      "Transactions open at once; beyond, sends of transactional messages are refused with TOO_MANY_REQUESTS.",
  }),
};

/** Rows of a broker, in the order of help and docs. */
export const brokerKeys: ConfigTable<BrokerConfig> = {
  ...identityKeys,
  ...processKeys,
  ...diskKeys,
  ...useKeys,
  ...replicationKeys,
};

/** Bytes that a stored message needs beside its largest body: properties, topic, header. */
const recordOverheadBytes = 2 ** 15;

/** Fills storePathCommitLog; refuses keys that contradict each other with BAD_CONFIG. */
export function finishBroker<C extends BrokerConfig>(values: C): C {
  const ratios = [
    "diskMaxUsedSpaceRatio",
    "diskSpaceCleanForciblyRatio",
    "diskSpaceWarningLevelRatio",
  ] as const;
  for (const [index, low] of ratios.entries()) {
    const high = ratios[index + 1];
    if (high === undefined || values[low] <= values[high]) continue;
    throw new MqError(
      "BAD_CONFIG",
      `${low} (${values[low]} %) must not be over ${high} (${values[high]} %)`,
    );
  }
  if (values.mappedFileSizeCommitLog < values.maxMessageSize + recordOverheadBytes) {
    throw new MqError(
      "BAD_CONFIG",
      `mappedFileSizeCommitLog (${values.mappedFileSizeCommitLog} bytes) must be at least maxMessageSize (${values.maxMessageSize} bytes) + ${recordOverheadBytes}`,
    );
  }
  refuseHalfTls(values);
  refuseWrongRole(values);
  if (values.storePathCommitLog !== "") return values;
  return { ...values, storePathCommitLog: join(values.storePathRootDir, "commitlog") };
}

/** The role of bin/mqbroker. */
export const brokerRole: ConfigRole<BrokerConfig> = {
  name: "broker",
  keys: brokerKeys,
  environmentNames: { NAMESRV_ADDR: "namesrvAddr" },
  finish: finishBroker,
};

/** What a broker needs of its configuration; that of a standalone process fits too. */
export type BrokerConfiguration = Pick<
  Configuration<BrokerConfig>,
  "values" | "entries" | "updateLive" | "onChange"
>;
