// Which host somebody can dial who has asked about a broker: what the broker advertises, else where it was seen.
import { dialledHost } from "./message-queues.ts";

/** Who asks, and how he came here. */
export interface Asker {
  /** `:authority` of the call. */
  readonly authority: string;
  /** Our end of the connection. */
  readonly localAddress: string;
}

/**
 * The host to hand out for a broker. One that was seen on the loopback interface is on this machine: it is where the
 * asker has found us.
 */
export function reachableHost(
  broker: { readonly host: string; readonly observedHost: string },
  asker: Asker,
): string {
  if (broker.host !== "") return broker.host;
  if (!isLoopback(broker.observedHost)) return broker.observedHost;
  return dialledHost(asker.authority) ?? asker.localAddress;
}

/** Whether an address means the machine that says it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || /^(?:127\.|::1$|::ffff:127\.)/.test(host);
}
