// @grpc/grpc-js as a client of raw bytes, in promises, for tests.

import * as grpc from "@grpc/grpc-js";

/** How a call ended. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly messages: readonly Buffer[];
  readonly metadata: grpc.Metadata;
}

const raw = (bytes: Buffer): Buffer => bytes;

/** Credentials that trust any certificate. */
export function anyCertificate(): grpc.ChannelCredentials {
  return grpc.credentials.createSsl(null, null, null, { rejectUnauthorized: false });
}

/** A client of one server that sends and receives bytes. */
export class ByteClient {
  readonly client: grpc.Client;

  constructor(
    port: number,
    options: {
      readonly credentials?: grpc.ChannelCredentials;
      readonly channel?: grpc.ChannelOptions;
    } = {},
  ) {
    this.client = new grpc.Client(
      `127.0.0.1:${port}`,
      options.credentials ?? grpc.credentials.createInsecure(),
      {
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        "grpc.use_local_subchannel_pool": 1,
        ...options.channel,
      },
    );
  }

  unary(
    path: string,
    request: Uint8Array,
    options: {
      readonly call?: grpc.CallOptions;
      readonly metadata?: grpc.Metadata;
      readonly started?: (call: grpc.ClientUnaryCall) => void;
    } = {},
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const messages: Buffer[] = [];
      const call = this.client.makeUnaryRequest(
        path,
        raw,
        raw,
        Buffer.from(request),
        options.metadata ?? new grpc.Metadata(),
        options.call ?? {},
        (_error, message) => {
          if (message !== undefined) messages.push(message);
        },
      );
      call.on("status", (status) => resolve({ ...status, messages }));
      options.started?.(call);
    });
  }

  serverStream(
    path: string,
    request: Uint8Array,
    options: grpc.CallOptions = {},
  ): grpc.ClientReadableStream<Buffer> {
    return this.client.makeServerStreamRequest(
      path,
      raw,
      raw,
      Buffer.from(request),
      new grpc.Metadata(),
      options,
    );
  }

  bidi(path: string, options: grpc.CallOptions = {}): grpc.ClientDuplexStream<Buffer, Buffer> {
    return this.client.makeBidiStreamRequest(path, raw, raw, new grpc.Metadata(), options);
  }

  close(): void {
    this.client.close();
  }
}

/** Reads a stream to its end. */
export async function outcomeOf(
  call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>,
): Promise<Outcome> {
  const messages: Buffer[] = [];
  call.on("data", (message: Buffer) => messages.push(message));
  call.on("error", () => {});
  const status = await new Promise<grpc.StatusObject>((resolve) => {
    call.on("status", resolve);
  });
  return { ...status, messages };
}
