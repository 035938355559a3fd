// The HTTP port of a server for people and programs that watch it: /metrics, /healthz, /readyz.
// Serves nothing else and takes no input.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import { background, type Logger, MqError } from "../base/index.ts";

/** What the server needs. */
export interface OpsServerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  /** `undefined` when the server takes calls, else why not. */
  readonly ready: () => string | undefined;
  readonly logger: Logger;
}

const headerTimeoutMs = 5_000;
const closeWaitMs = 500;

/** HTTP server of /metrics, /healthz and /readyz. */
export class OpsServer {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Listens. Throws BAD_CONFIG when the address or port cannot be had. */
  static async listen(options: OpsServerOptions): Promise<OpsServer> {
    const server = createServer(
      { headersTimeout: headerTimeoutMs, requestTimeout: headerTimeoutMs, maxHeaderSize: 16_384 },
      (request, response) => background(answer(options, request, response)),
    );
    server.maxConnections = 1_000;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        const where = `${isIPv6(options.host) ? `[${options.host}]` : options.host}:${options.port}`;
        const reason =
          error.code === "EADDRINUSE" ? "another process listens there" : error.message;
        reject(
          new MqError(
            "BAD_CONFIG",
            `metricsPromExporterPort: cannot listen on ${where}: ${reason}; set another port, or 0 for any free one`,
            { cause: error },
          ),
        );
      });
      server.listen(options.port, options.host, resolve);
    });
    // The type of address() depends on how the server listens; by port it is always this one.
    return new OpsServer(server, (server.address() as AddressInfo).port);
  }

  /** Stops listening; ends connections that are still open after half a second. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = AbortSignal.timeout(closeWaitMs);
    cut.addEventListener("abort", () => this.#server.closeAllConnections());
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function answer(
  options: OpsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, body: string, type = "text/plain; charset=utf-8"): void => {
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
    response.end(request.method === "HEAD" ? "" : body);
  };
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    send(405, "only GET and HEAD\n");
    return;
  }
  const path = (request.url ?? "/").split("?", 1)[0];
  if (path === "/healthz") send(200, "ok\n");
  else if (path === "/readyz") {
    const reason = options.ready();
    send(reason === undefined ? 200 : 503, reason === undefined ? "ready\n" : `${reason}\n`);
  } else if (path === "/metrics") {
    try {
      send(200, await options.metrics.text(), options.metrics.contentType);
    } catch (error) {
      options.logger.error("metrics failed", { reason: String(error) });
      send(500, "metrics failed; see the log\n");
    }
  } else send(404, "this port serves /metrics, /healthz and /readyz\n");
}
