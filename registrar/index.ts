export type { Duty, RegisteredTopic, Registration } from "../route/index.ts";
export { type GrpcRegistrarOptions, openGrpcRegistrar } from "./grpc-registrar.ts";
export { joinRegistrars } from "./joined-registrars.ts";
export type {
  Asked,
  BrokerSeen,
  FirstAnswer,
  NameServerAnswer,
  NameServerStatus,
  Registrar,
  ReplicaSeen,
  TopicHolder,
} from "./registrar.ts";
export { mastersOf } from "./replicas-seen.ts";
