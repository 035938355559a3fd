// The descriptor of grpc/health/v1/health.proto, so that tools can call the health service through reflection.
import { MessageWriter } from "./wire.ts";

// Field numbers and values of descriptor.proto.
const optionalLabel = 1;
const stringType = 9;
const enumType = 14;

function named(name: string): MessageWriter {
  return new MessageWriter().bytes(1, name);
}

function field(name: string, type: number): MessageWriter {
  return named(name).number(3, 1).number(4, optionalLabel).number(5, type);
}

function method(name: string): MessageWriter {
  return named(name)
    .bytes(2, ".grpc.health.v1.HealthCheckRequest")
    .bytes(3, ".grpc.health.v1.HealthCheckResponse");
}

/** Name of the file. */
export const healthFileName = "grpc/health/v1/health.proto";

/** Its serialized FileDescriptorProto. */
export function healthDescriptor(): Uint8Array {
  const status = named("ServingStatus");
  for (const [number, name] of ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].entries()) {
    status.bytes(2, named(name).number(2, number).finish());
  }
  const statusField = field("status", enumType).bytes(
    6,
    ".grpc.health.v1.HealthCheckResponse.ServingStatus",
  );
  const request = named("HealthCheckRequest").bytes(2, field("service", stringType).finish());
  const response = named("HealthCheckResponse")
    .bytes(2, statusField.finish())
    .bytes(4, status.finish());
  const service = named("Health")
    .bytes(2, method("Check").finish())
    .bytes(2, method("Watch").number(6, 1).finish());
  return named(healthFileName)
    .bytes(2, "grpc.health.v1")
    .bytes(4, request.finish())
    .bytes(4, response.finish())
    .bytes(6, service.finish())
    .bytes(12, "proto3")
    .finish();
}
