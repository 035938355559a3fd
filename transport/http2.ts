// The numbers of RFC 9113: frame types, flags, settings, error codes, and the two kinds of protocol errors.

/** Frame types. */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frame flags; ACK and END_STREAM share a bit. */
export const Flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Identifiers of settings. */
export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  concurrentStreamsMax: 3,
  initialWindowSize: 4,
  frameSizeMax: 5,
  headerListSizeMax: 6,
} as const;

/** HTTP/2 error codes as RST_STREAM and GOAWAY carry them. */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** What every HTTP/2 client sends first. */
export const preface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Bytes of a frame header. */
export const frameHeaderSize = 9;
/** Largest frame payload we accept and send; the protocol's default. */
export const frameSizeMax = 16_384;
/** Flow-control windows before any setting. */
export const windowSizeDefault = 65_535;
/** Largest flow-control window. */
export const windowSizeMax = 0x7fffffff;

/** The peer broke the protocol: the connection ends with GOAWAY and `code`. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
