// One gRPC call of a command: connect, ask, check the status, with a deadline.
import {
  type CallOptions,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { CommandFailure, UnreachableFailure } from "./failure.ts";

/** One unary method of a service table of @cometmq/proto. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly request: { encode(value: Request): Uint8Array };
  readonly response: { decode(bytes: Uint8Array): Response };
}

/** The status that every response carries. */
export interface Answered {
  status?: { code?: number | null; message?: string | null } | null;
}

const okCode = 20000;
/** Bytes: a message of the largest size, and lists of a whole cluster. */
const answerSizeMax = 256 * 1_048_576;

/** Connections of one mqadmin run, by address. */
export class Connections {
  readonly #clients = new Map<string, Client>();
  readonly #timeoutMs: number;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Calls `method` at `address` (host:port). Throws CommandFailure when nobody answers there in time,
   * or when the answer's status is not OK and not one of `allowed`.
   */
  async call<Request, Response extends Answered>(
    address: string,
    method: Method<Request, Response>,
    request: Request,
    allowed: readonly number[] = [],
  ): Promise<Response> {
    const response = await this.#unary(address, method, request);
    const code = response.status?.code ?? 0;
    if (code !== okCode && !allowed.includes(code)) {
      throw new CommandFailure(`${address}: ${response.status?.message ?? "no status"} (${code})`);
    }
    return response;
  }

  /** Closes every connection. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #unary<Request, Response>(
    address: string,
    method: Method<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const options: CallOptions = { deadline: Date.now() + this.#timeoutMs };
    const metadata = new Metadata();
    metadata.set("x-mq-client-id", `mqadmin@${process.pid}`);
    metadata.set("x-mq-language", "TYPESCRIPT");
    return new Promise((resolve, reject) => {
      this.#client(address).makeUnaryRequest(
        method.path,
        (value: Request) => Buffer.from(method.request.encode(value)),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        metadata,
        options,
        (error, response) => {
          if (error !== null) reject(failureOf(address, error));
          else if (response === undefined) reject(new CommandFailure(`${address}: empty answer`));
          else resolve(response);
        },
      );
    });
  }

  #client(address: string): Client {
    let client = this.#clients.get(address);
    if (client === undefined) {
      const options = { "grpc.max_receive_message_length": answerSizeMax };
      client = new Client(address, credentials.createInsecure(), options);
      this.#clients.set(address, client);
    }
    return client;
  }
}

function failureOf(address: string, error: ServiceError): CommandFailure {
  if (error.code === status.UNAVAILABLE) {
    const reason = /connect \w+/.exec(error.details)?.[0] ?? error.details;
    return new UnreachableFailure(
      `nobody answers at ${address}: ${reason}. Is it running there? Name another with -n or -b.`,
    );
  }
  if (error.code === status.DEADLINE_EXCEEDED) {
    return new UnreachableFailure(`${address} did not answer in time`);
  }
  if (error.code === status.UNIMPLEMENTED) {
    return new CommandFailure(
      `${address} does not serve this command: is it a NameServer where a broker is needed, or the reverse?`,
    );
  }
  return new CommandFailure(`${address}: ${error.details}`);
}
