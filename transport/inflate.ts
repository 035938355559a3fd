// Bounded gzip for request messages.
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { GrpcStatus, RpcError } from "./status.ts";

const gunzipAsync = promisify(gunzip);

/** Inflates a gzip message. Rejects RESOURCE_EXHAUSTED above `sizeMax`, INTERNAL when it is no gzip. */
export async function inflate(bytes: Uint8Array, sizeMax: number): Promise<Uint8Array> {
  try {
    return await gunzipAsync(bytes, { maxOutputLength: Math.max(1, sizeMax) });
  } catch (error) {
    const tooLarge = error instanceof RangeError;
    throw tooLarge
      ? new RpcError(
          GrpcStatus.resourceExhausted,
          `the inflated message is larger than ${sizeMax} bytes`,
        )
      : new RpcError(GrpcStatus.internal, "the compressed message is not gzip", { cause: error });
  }
}
