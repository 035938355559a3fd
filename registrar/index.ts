export type { RegisteredTopic, Registration } from "../route/index.ts";
export { type GrpcRegistrarOptions, openGrpcRegistrar } from "./grpc-registrar.ts";
export { joinRegistrars, type NameServerStatus, type Registrar } from "./registrar.ts";
