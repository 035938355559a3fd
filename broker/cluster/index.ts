export { Cluster, type ClusterOptions, type Notice } from "./cluster.ts";
export type { ClusterView } from "./cluster-view.ts";
export { ForwardFailure, type ForwardOutcome } from "./forward-failure.ts";
export type { Forward, Forwarder } from "./forwarder.ts";
export {
  clientHost,
  type Headers,
  hopHeaders,
  type IncomingCall,
  isPassedOn,
  passedHeaders,
  passedMs,
  passedOnBy,
} from "./hop.ts";
export type { Passengers } from "./passengers.ts";
export { isWritable, type Place, type TopicPlace } from "./place.ts";
