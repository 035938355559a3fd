// gRPC status codes, the error that carries one, and how a status looks on the wire.

/** The 17 codes of gRPC. */
export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
export type GrpcStatus = (typeof GrpcStatus)[keyof typeof GrpcStatus];

/** A call that ends with a gRPC status other than OK. `message` reaches the client. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly status: GrpcStatus;

  constructor(status: GrpcStatus, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.status = status;
  }
}

/** Longest grpc-message sent, bytes before percent encoding; the rest is cut. */
const messageSizeMax = 1024;

/** Percent-encodes a grpc-message: printable ASCII other than % stays. */
export function encodeGrpcMessage(message: string): string {
  const bytes = Buffer.from(message, "utf8").subarray(0, messageSizeMax);
  let text = "";
  for (const byte of bytes) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

const unitsMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Milliseconds of a grpc-timeout such as `31535999M` (any size, as a double), or undefined when malformed. */
export function parseGrpcTimeout(text: string): number | undefined {
  if (!/^\d{1,8}[HMSmun]$/.test(text)) return undefined;
  return Number(text.slice(0, -1)) * (unitsMs[text.slice(-1)] ?? 0);
}

/** The text of a grpc-message. What is no valid percent encoding stays as it is. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const statuses = new Map<number, GrpcStatus>(
  Object.values(GrpcStatus).map((status) => [status, status]),
);

/** The status with this number; `unknown` for numbers that gRPC does not have. */
export function statusOf(code: number): GrpcStatus {
  return statuses.get(code) ?? GrpcStatus.unknown;
}
