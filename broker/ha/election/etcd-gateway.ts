// Calls to etcd's own JSON gateway (`/v3/...`) over node:http: deadlines, and going on to the next member when one fails.
// https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import {
  type Address,
  type CancelTimer,
  type Clock,
  formatAddress,
  MqError,
} from "../../../base/index.ts";
import { timings } from "./timings.ts";

/** An object of JSON whose fields are looked at one by one. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Status codes of gRPC that the gateway passes on. */
const notFound = 5;
const memberFailures = new Set([1, 4, 14]);

/** A call to one member that failed. */
class MemberFailure extends Error {
  override readonly name = "MemberFailure";
  /** Whether the member may have acted on the request. */
  readonly sent: boolean;
  /** Whether another member may answer better. */
  readonly worthRetry: boolean;

  constructor(message: string, options: { readonly sent: boolean; readonly worthRetry: boolean }) {
    super(message);
    this.sent = options.sent;
    this.worthRetry = options.worthRetry;
  }
}

/** How a call is made. */
export interface GatewayCall {
  readonly path: string;
  readonly body: JsonObject;
  readonly timeoutMs: number;
  /** Whether it may be sent to another member when it is not known what became of it. */
  readonly repeatable: boolean;
}

/** Tells of a stream's life. */
export interface StreamListener {
  message(message: JsonObject): void;
  /** Called once, also when the stream never began. */
  ended(reason: string): void;
}

/** The members of an etcd cluster. */
export class EtcdGateway {
  readonly #clock: Clock;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: timings.etcdSocketCountMax });
  readonly #open = new Set<ClientRequest>();
  readonly members: readonly Address[];
  #current = 0;
  #closed = false;

  constructor(options: { readonly clock: Clock; readonly members: readonly Address[] }) {
    this.#clock = options.clock;
    this.members = options.members;
  }

  /** Index of the member that calls go to now. */
  get current(): number {
    return this.#current;
  }

  /** Asks one member after the other, each at most once, until one answers. `undefined`: etcd says "not found". */
  async call(call: GatewayCall): Promise<{ answer: JsonObject | undefined; sentAtMs: number }> {
    const endMs = this.#clock.monotonicMs() + call.timeoutMs;
    const failures: string[] = [];
    for (let left = this.members.length; left > 0; left--) {
      const sentAtMs = this.#clock.monotonicMs();
      const timeoutMs = (endMs - sentAtMs) / left;
      if (timeoutMs <= 0) break;
      const index = this.#current;
      try {
        return { answer: await this.callMember(index, { ...call, timeoutMs }), sentAtMs };
      } catch (error) {
        if (!(error instanceof MemberFailure)) throw error;
        failures.push(`${this.addressOf(index)}: ${error.message}`);
        this.moveOn(index);
        if (!error.worthRetry || (error.sent && !call.repeatable)) break;
      }
    }
    throw new MqError("COORDINATOR_UNREACHABLE", `etcd: ${failures.join("; ") || "no time left"}`);
  }

  /** Asks that member only. Throws a failure of the member as an Error that says why. */
  async callMember(
    index: number,
    call: Omit<GatewayCall, "repeatable">,
  ): Promise<JsonObject | undefined> {
    return checked(await this.#exchange(index, call));
  }

  /** Opens a stream of messages at that member. The answer ends it. */
  stream(
    index: number,
    call: Pick<GatewayCall, "path" | "body">,
    listener: StreamListener,
  ): () => void {
    let over = false;
    const end = (reason: string): void => {
      if (over) return;
      over = true;
      outgoing.destroy();
      listener.ended(reason);
    };
    const outgoing = this.#post(index, call, (incoming) => {
      const lines = new LineSplitter((line) => {
        if (!over) takeLine(line, { message: (message) => listener.message(message), ended: end });
      });
      incoming.on("data", (chunk: Buffer) => {
        if (!lines.push(chunk)) end("a message of the stream is too long");
      });
      incoming.on("error", (error) => end(error.message));
      incoming.on("end", () => end("the member ended the stream"));
    });
    outgoing.on("error", (error) => end(error.message));
    outgoing.on("socket", (socket) => socket.setKeepAlive(true, timings.etcdKeepAliveMs));
    return () => end("closed");
  }

  /** Lets later calls go to another member than that one. */
  moveOn(index: number): void {
    if (this.#current === index) this.#current = (index + 1) % this.members.length;
  }

  /** `host:port` of a member. */
  addressOf(index: number): string {
    const address = this.members[index];
    return address === undefined ? "?" : formatAddress(address);
  }

  /** Ends what is open. Later calls fail. */
  close(): void {
    this.#closed = true;
    for (const outgoing of this.#open) outgoing.destroy();
    this.#agent.destroy();
  }

  /** The text of the member's answer, within the time of the call. */
  #exchange(index: number, call: Omit<GatewayCall, "repeatable">): Promise<string> {
    return new Promise((resolve, reject) => {
      let sent = false;
      let cancel: CancelTimer | undefined;
      const fail = (message: string): void => {
        cancel?.();
        reject(new MemberFailure(message, { sent, worthRetry: true }));
      };
      const outgoing = this.#post(index, call, (incoming) => {
        const arrived = collect(incoming).then(resolve);
        arrived.finally(() => cancel?.()).catch((error: unknown) => fail(describe(error)));
      });
      outgoing.on("socket", (socket) => {
        if (!socket.connecting) sent = true;
        else socket.once("connect", () => (sent = true));
      });
      outgoing.on("error", (error) => fail(error.message));
      cancel = this.#clock.after(call.timeoutMs, () => {
        fail(`no answer in ${Math.round(call.timeoutMs)} ms`);
        outgoing.destroy();
      });
    });
  }

  #post(
    index: number,
    call: Pick<GatewayCall, "path" | "body">,
    answered: (incoming: IncomingMessage) => void,
  ): ClientRequest {
    const address = this.members[index];
    if (address === undefined || this.#closed)
      throw new MqError("COORDINATOR_UNREACHABLE", "etcd: the coordinator is closed");
    const body = Buffer.from(JSON.stringify(call.body));
    const outgoing = request({
      agent: this.#agent,
      host: address.host,
      port: address.port,
      path: call.path,
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": body.length,
        // A member that knows no leader says so at once and ends its watches, instead of being silent.
        "grpc-metadata-hasleader": "true",
      },
    });
    this.#open.add(outgoing);
    outgoing.on("close", () => this.#open.delete(outgoing));
    outgoing.on("response", answered);
    outgoing.end(body);
    return outgoing;
  }
}

async function collect(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > timings.etcdAnswerSizeMax) throw new Error(`answer of more than ${size} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The answer of a call; a stream's single answer stands in `result`. */
function checked(text: string): JsonObject | undefined {
  const answer = parsed(text.trim());
  const failure = failureOf(answer);
  if (failure === undefined) return objectOf(answer["result"]) ?? answer;
  if (failure.code === notFound) return undefined;
  throw new MemberFailure(failure.message, {
    sent: true,
    worthRetry: memberFailures.has(failure.code),
  });
}

function parsed(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text === "" ? "{}" : text);
  } catch {
    value = undefined;
  }
  const object = objectOf(value);
  if (object !== undefined) return object;
  throw new MemberFailure(`not an answer of etcd's gateway: ${JSON.stringify(text.slice(0, 80))}`, {
    sent: true,
    worthRetry: true,
  });
}

/** Unary calls put `code` beside `error`; streams put an object with `grpc_code` into it. */
function failureOf(answer: JsonObject): { code: number; message: string } | undefined {
  const { error } = answer;
  if (error === undefined) return undefined;
  const inner = objectOf(error);
  const code = Number(inner?.["grpc_code"] ?? inner?.["code"] ?? answer["code"] ?? 2);
  const message = textOf(inner?.["message"]) || textOf(error) || "unknown failure";
  return { code, message };
}

function takeLine(line: string, listener: StreamListener): void {
  try {
    const message = parsed(line);
    const failure = failureOf(message);
    if (failure !== undefined) listener.ended(failure.message);
    else listener.message(objectOf(message["result"]) ?? {});
  } catch (error) {
    listener.ended(describe(error));
  }
}

/** The value as an object, or `undefined` when it is none. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/** The value when it is a text, else an empty one. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Cuts a stream into lines, of bounded length. */
class LineSplitter {
  readonly #take: (line: string) => void;
  #rest = "";

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(chunk: Buffer): boolean {
    const lines = (this.#rest + chunk.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") this.#take(line);
    return this.#rest.length <= timings.etcdAnswerSizeMax;
  }
}
