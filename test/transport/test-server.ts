// A server with small methods of each kind, for the tests of this folder.
import { type Logger, silentLogger, systemClock, type TransportLimits } from "../../base/index.ts";
import {
  type CutReason,
  GrpcServer,
  type GrpcServerOptions,
  GrpcStatus,
  type MethodHandler,
  RpcError,
  type ServerCall,
} from "../../transport/index.ts";

/** What a server's observer saw. */
export interface Seen {
  readonly calls: { readonly path: string; readonly status: number }[];
  readonly cuts: CutReason[];
  opened: number;
  closed: number;
}

/** A server under test. */
export interface TestServer extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly port: number;
  readonly seen: Seen;
  /** Calls of /t.T/Hang that wait, and reasons why those before ended. */
  readonly hanging: Set<ServerCall>;
  readonly aborted: unknown[];
}

/** Opens a server on a free port. */
export async function openServer(
  options: {
    readonly limits?: Partial<TransportLimits>;
    readonly tls?: GrpcServerOptions["tls"];
    readonly logger?: Logger;
    readonly methods?: ReadonlyMap<string, MethodHandler>;
  } = {},
): Promise<TestServer> {
  const seen: Seen = { calls: [], cuts: [], opened: 0, closed: 0 };
  const hanging = new Set<ServerCall>();
  const aborted: unknown[] = [];
  const server = await GrpcServer.listen({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    logger: options.logger ?? silentLogger,
    services: { names: ["t.T"], files: new Map() },
    methods: new Map([...methods(hanging, aborted), ...(options.methods ?? [])]),
    observer: {
      callFinished: (path, status) => seen.calls.push({ path, status }),
      connectionCut: (reason) => seen.cuts.push(reason),
      connectionOpened: () => {
        seen.opened += 1;
      },
      connectionClosed: () => {
        seen.closed += 1;
      },
    },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  });
  return {
    server,
    port: server.port,
    seen,
    hanging,
    aborted,
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  };
}

function methods(hanging: Set<ServerCall>, aborted: unknown[]): Map<string, MethodHandler> {
  async function hang(call: ServerCall): Promise<void> {
    hanging.add(call);
    await new Promise((resolve) => {
      call.signal.addEventListener("abort", resolve);
    });
    hanging.delete(call);
    aborted.push(call.signal.reason);
  }
  return new Map<string, MethodHandler>([
    ["/t.T/Echo", { kind: "unary", handle: (request) => request }],
    [
      "/t.T/LateEcho",
      {
        kind: "unary",
        handle: async (request) => {
          const copy = Uint8Array.from(request);
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
          return copy;
        },
      },
    ],
    ["/t.T/Small", { kind: "unary", handle: (request) => request, requestSizeMax: 1000 }],
    [
      "/t.T/Fail",
      {
        kind: "unary",
        handle: () => {
          throw new RpcError(GrpcStatus.failedPrecondition, "nö, 100 %\n");
        },
      },
    ],
    [
      "/t.T/Hang",
      {
        kind: "unary",
        handle: async (_request, call) => {
          await hang(call);
          return new Uint8Array();
        },
      },
    ],
    [
      "/t.T/Header",
      {
        kind: "unary",
        handle: (request, call) => Buffer.from(call.header(Buffer.from(request).toString()) ?? ""),
      },
    ],
    [
      "/t.T/Chat",
      {
        kind: "bidi",
        ignoreDeadline: true,
        handle: async (stream) => {
          for await (const message of stream.messages) {
            if (!stream.write(message)) await stream.drained();
          }
        },
      },
    ],
    ["/t.T/Listen", { kind: "bidi", handle: (stream) => hang(stream) }],
  ]);
}
