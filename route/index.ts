export {
  dialledHost,
  endpointsOf,
  messageQueues,
  type RouteBroker,
  type RouteEndpoints,
  type RouteQueue,
} from "./message-queues.ts";
export {
  compareVersions,
  type DataVersion,
  type RegisteredTopic,
  type Registration,
  sameTopic,
} from "./registration.ts";
