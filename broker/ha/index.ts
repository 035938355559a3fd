export { CatchUp } from "./catch-up.ts";
export { Channel } from "./channel.ts";
export type { EpochEntry, Hello, Identity, LogExtent, Welcome } from "./control-messages.ts";
export { ElectedQuorum } from "./elected-quorum.ts";
export { FixedQuorum } from "./fixed-quorum.ts";
export { type FollowedLog, Follower, type FollowerHost } from "./follower.ts";
export type { AckFrame, ConfirmFrame } from "./frames.ts";
export { type Asker, inspect, takeOverlay } from "./inspection.ts";
export { commonPoint, describeLog } from "./log-fork.ts";
export { extentOf } from "./log-source.ts";
export type { Link, LinkListener, Network } from "./network.ts";
export { OverlayFile } from "./overlay-file.ts";
export {
  joinedProgress,
  missingProgress,
  type NotedProgress,
  notedUpTo,
} from "./progress-merge.ts";
export {
  addressOf,
  type ConnectedSlave,
  ReplicationServer,
  type ServerHost,
  type StateExport,
} from "./replication-server.ts";
export type { StateEntry } from "./snapshot-parts.ts";
export type { ReplicaPlace, Standing } from "./standing.ts";
export { TcpNetwork } from "./tcp-network.ts";
