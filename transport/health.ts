// The standard health service, grpc.health.v1: Check and Watch.

import { GrpcStatus, RpcError } from "./status.ts";
import type { MethodHandler, ServerStream } from "./types.ts";
import { fieldsOf, MessageWriter, text } from "./wire.ts";

const serving = 1;
const notServing = 2;
const serviceUnknown = 3;

/** Says whether the server serves; the whole server ("") and each of its services alike. */
export class HealthService {
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<() => void>();
  #serving = true;
  #closed = false;

  constructor(serviceNames: readonly string[]) {
    this.#services = new Set(["", ...serviceNames]);
  }

  /** The methods to serve. */
  methods(): Map<string, MethodHandler> {
    return new Map<string, MethodHandler>([
      [
        "/grpc.health.v1.Health/Check",
        { kind: "unary", handle: (request) => this.#check(request), requestSizeMax: 1024 },
      ],
      [
        "/grpc.health.v1.Health/Watch",
        {
          kind: "serverStream",
          handle: (request, stream) => this.#watch(serviceOf(request), stream),
          requestSizeMax: 1024,
        },
      ],
    ]);
  }

  setServing(serving: boolean): void {
    this.#serving = serving;
    this.#tell();
  }

  /** Says NOT_SERVING to the watchers and ends their calls. */
  close(): void {
    this.#closed = true;
    this.setServing(false);
  }

  #status(service: string): number {
    if (!this.#services.has(service)) return serviceUnknown;
    return this.#serving ? serving : notServing;
  }

  #check(request: Uint8Array): Uint8Array {
    const status = this.#status(serviceOf(request));
    if (status === serviceUnknown) throw new RpcError(GrpcStatus.notFound, "unknown service");
    return response(status);
  }

  async #watch(service: string, stream: ServerStream): Promise<void> {
    let wake: (() => void) | undefined;
    const watcher = (): void => wake?.();
    const { signal } = stream;
    signal.addEventListener("abort", watcher);
    this.#watchers.add(watcher);
    let told = -1;
    while (!signal.aborted) {
      const status = this.#status(service);
      if (status !== told) stream.write(response(status));
      told = status;
      if (this.#closed) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    this.#watchers.delete(watcher);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

function serviceOf(request: Uint8Array): string {
  for (const field of fieldsOf(request)) if (field.number === 1) return text(field);
  return "";
}

function response(status: number): Uint8Array {
  return new MessageWriter().number(1, status).finish();
}
