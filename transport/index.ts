export { type CallOptions, callStream, callUnary } from "./calls.ts";
export {
  type CertificateSource,
  type KeyPair,
  loadPair,
  readCertificates,
} from "./certificates.ts";
export { GrpcClient } from "./client.ts";
export type { DialledConnection } from "./dialled-connection.ts";
export { GrpcServer, type GrpcServerOptions, type ServiceDescriptions } from "./server.ts";
export { GrpcStatus, RpcError } from "./status.ts";
export type { TlsMode } from "./tls-door.ts";
export type {
  BidiHandler,
  BidiStream,
  Connection,
  CutReason,
  MethodHandler,
  MethodOptions,
  ServerCall,
  ServerStream,
  ServerStreamHandler,
  TransportObserver,
  UnaryHandler,
} from "./types.ts";
