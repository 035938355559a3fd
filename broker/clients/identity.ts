// Who a client says it is, from the headers that every official client sends, and which retry policies it understands.
import { limits, MqError } from "../../base/index.ts";

/** A client instance. `id` is unique to one producer or consumer object. */
export interface ClientIdentity {
  readonly id: string;
  /** As sent: JAVA, GO, PYTHON, RUST, DOTNET, CPP, NODE_JS; Node.js says HTTP. Empty when it said none. */
  readonly language: string;
  readonly version: string;
  /** Its `host:port`, where its calls come through another broker. */
  readonly address?: string;
}

/** Reads one header by its lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

const textLengthMax = 255;

/** The identity in the headers. Throws CLIENT_ID_REQUIRED when there is no client id. */
export function identify(header: HeaderReader): ClientIdentity {
  return {
    id: requireClientId(header("x-mq-client-id")),
    language: (header("x-mq-language") ?? "").slice(0, textLengthMax).toUpperCase(),
    version: (header("x-mq-client-version") ?? "").slice(0, textLengthMax),
  };
}

/** `id`, unless it is blank or over 255 characters: CLIENT_ID_REQUIRED. */
export function requireClientId(id: string | undefined): string {
  if (id === undefined || id.trim() === "") {
    throw new MqError("CLIENT_ID_REQUIRED", "the header x-mq-client-id is missing or blank");
  }
  if (id.length > textLengthMax) {
    throw new MqError(
      "CLIENT_ID_REQUIRED",
      `the header x-mq-client-id has ${id.length} characters, at most ${textLengthMax}`,
    );
  }
  return id;
}

/** Retry policies a consumer can read: `customized` is a list of waits, `exponential` a formula. */
export type RetryDialect = "any" | "customized" | "exponential";

/** Node.js has no branch for customized back-off, Python none for exponential; the others read both. */
export function retryDialect(language: string): RetryDialect {
  if (isNodeClient(language)) return "exponential";
  if (language === "PYTHON") return "customized";
  return "any";
}

/**
 * How many messages a push consumer of an ordered group may get at once. Go's goes on with the next message of what it
 * got while a failed one waits for its next attempt, also within a message group: with one at a time there is none.
 */
export function orderedBatchSize(language: string): number {
  return language === "GO" ? 1 : limits.receiveBatchCountMax;
}

/**
 * Whether it is the official Node.js client. It loses settings that arrive while it still asks for routes and then waits
 * for ever, so it gets its first settings again a little later. A status on the telemetry stream ends its start with
 * that text; an end of the stream never does, and makes it open the stream again for ever.
 */
export function isNodeClient(language: string): boolean {
  return language === "HTTP" || language === "NODE_JS";
}
