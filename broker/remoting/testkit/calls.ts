// Calls without a network, for tests of handlers.
import type { BidiStream, Connection, ServerCall, ServerStream } from "../../../transport/index.ts";

let connectionCount = 0;

/** A connection that a test can close. */
export class TestConnection implements Connection {
  readonly id: number = ++connectionCount;
  readonly remoteAddress = "10.1.1.1";
  readonly remotePort: number = 5000 + connectionCount;
  readonly localAddress = "10.0.0.1";
  readonly localPort = 8081;
  readonly tls = false;
  readonly #controller = new AbortController();
  get closed(): AbortSignal {
    return this.#controller.signal;
  }
  close(): void {
    this.#controller.abort();
  }
}

/** What a test may choose of a call. */
export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly connection?: Connection;
  readonly authority?: string;
  readonly remainingMs?: number;
}

/** A unary call. */
export class TestCall implements ServerCall {
  readonly path = "/test";
  readonly connection: Connection;
  readonly authority: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #remainingMs: number;
  readonly controller: AbortController = new AbortController();

  constructor(options: CallOptions = {}) {
    this.connection = options.connection ?? new TestConnection();
    this.authority = options.authority ?? "IPAuthority";
    this.#headers = options.headers ?? { "x-mq-client-id": "client-1", "x-mq-language": "JAVA" };
    this.#remainingMs = options.remainingMs ?? Number.POSITIVE_INFINITY;
  }
  header(name: string): string | undefined {
    return this.#headers[name];
  }
  remainingMs(): number {
    return this.#remainingMs;
  }
  get signal(): AbortSignal {
    return this.controller.signal;
  }
}

/** A call answered with a stream; keeps what is written, without length prefixes. */
export class TestStream extends TestCall implements ServerStream {
  readonly written: Uint8Array[] = [];
  outcome: "written" | "reset" = "written";
  finished = false;
  write(message: Uint8Array): boolean {
    this.written.push(message);
    return true;
  }
  writeFramed(framed: Uint8Array): boolean {
    const view = new DataView(framed.buffer, framed.byteOffset, framed.byteLength);
    for (let place = 0; place < framed.length; ) {
      const size = view.getUint32(place + 1);
      this.written.push(framed.subarray(place + 5, place + 5 + size));
      place += 5 + size;
    }
    return true;
  }
  async drained(): Promise<void> {}
  async finish(): Promise<"written" | "reset"> {
    this.finished = true;
    return this.outcome;
  }
}

/** A call with streams both ways: `say` is what the client sends, `hangUp` its end. */
export class TestBidi extends TestStream implements BidiStream {
  readonly #inbox: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  say(message: Uint8Array): void {
    this.#inbox.push(message);
    this.#wake?.();
  }
  hangUp(): void {
    this.#ended = true;
    this.#wake?.();
  }
  get messages(): AsyncIterable<Uint8Array> {
    return this.#read();
  }
  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.#inbox.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
