export { activeBrokers, type Candidate } from "./active-brokers.ts";
export {
  dialledHost,
  endpointsOf,
  messageQueues,
  type RouteBroker,
  type RouteEndpoints,
  type RouteQueue,
} from "./message-queues.ts";
export { type Asker, isLoopback, reachableHost } from "./reachable-host.ts";
export {
  compareVersions,
  type DataVersion,
  type Duty,
  dutyOf,
  type RegisteredTopic,
  type Registration,
  sameTopic,
} from "./registration.ts";
