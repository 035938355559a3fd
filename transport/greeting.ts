// The first bytes of a connection decide what it is: TLS, HTTP/2, HTTP/1.1 or nonsense. Waits for them without
// holding memory, and for a bounded time.
import type { Socket } from "node:net";
import type { Clock } from "../base/index.ts";
import { preface } from "./http2.ts";
import { portText } from "./request-head.ts";

/** What the first bytes said. `rest` are the bytes after an HTTP/2 preface, or all bytes. */
export type Greeting =
  | { readonly kind: "http2"; readonly rest: Buffer }
  | { readonly kind: "tls"; readonly first: Buffer }
  | { readonly kind: "http1" | "nonsense" | "timeout" };

const tlsHandshakeByte = 0x16;
/** Longest request line of HTTP/1.1 that gets an answer, bytes. */
const requestLineSizeMax = 4096;

/** What `bytes` begin, or undefined when more are needed. */
export function classify(bytes: Buffer): Greeting | undefined {
  if (bytes[0] === tlsHandshakeByte) return { kind: "tls", first: bytes };
  const size = Math.min(bytes.length, preface.length);
  if (bytes.subarray(0, size).equals(preface.subarray(0, size))) {
    if (size < preface.length) return undefined;
    return { kind: "http2", rest: bytes.subarray(preface.length) };
  }
  const text = bytes.subarray(0, requestLineSizeMax).toString("latin1");
  const lineEnd = text.indexOf("\n");
  if (lineEnd < 0) {
    // The line may still be coming, as long as it begins like one.
    const plausible = bytes.length < requestLineSizeMax && /^[A-Z]{1,20}( |$)/.test(text);
    return plausible ? undefined : { kind: "nonsense" };
  }
  return { kind: /^[A-Z]{1,20} \S+ HTTP\/1\.\d\r?\n/.test(text) ? "http1" : "nonsense" };
}

/** Reads the greeting of `socket`, then calls `onGreeting` once, unless the socket closed before. */
export function awaitGreeting(
  socket: Socket,
  options: { readonly clock: Clock; readonly timeoutMs: number },
  onGreeting: (greeting: Greeting) => void,
): void {
  let bytes: Buffer | undefined;
  const finish = (greeting: Greeting): void => {
    cancelTimer();
    socket.off("data", onData);
    socket.off("close", onClose);
    onGreeting(greeting);
  };
  const onData = (chunk: Buffer): void => {
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
    const greeting = classify(bytes);
    if (greeting !== undefined) finish(greeting);
  };
  const onClose = (): void => cancelTimer();
  const cancelTimer = options.clock.after(options.timeoutMs, () => finish({ kind: "timeout" }), {
    unref: true,
  });
  socket.on("data", onData);
  socket.on("close", onClose);
}

/** The answer to an HTTP/1.1 request. */
export const http1Answer: string = [
  "HTTP/1.1 400 Bad Request",
  "Content-Type: text/plain; charset=utf-8",
  `Content-Length: ${Buffer.byteLength(portText)}`,
  "Connection: close",
  "",
  portText,
].join("\r\n");
