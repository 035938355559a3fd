// Which address a route hands out for this broker: what the operator advertises, else what the client dialled,
// so that containers and port maps work without configuration.
import { dialledHost } from "../../route/index.ts";

/** One reachable address, the only one of its broker: several clients cannot handle more. */
export interface RouteAddress {
  readonly host: string;
  readonly port: number;
}

/** What is known when a client asks for a route. */
export interface RouteAddressFacts {
  /** `brokerIP1`; empty when not set. */
  readonly advertisedHost: string;
  /** The port this broker listens on. */
  readonly listenPort: number;
  /** The `endpoints` of the request: the access point as the client was configured. */
  readonly accessPoint: readonly { readonly host: string; readonly port: number }[];
  /** `:authority` of the call; Java's is the literal `IPAuthority`. */
  readonly authority: string;
  /** The local end of the client's connection. */
  readonly localHost: string;
  readonly localPort: number;
}

/**
 * The address to hand out. `brokerIP1` with the listening port wins. Otherwise a single access point is what the
 * client dialled; of several, the one the authority names, then the one at our end of the connection.
 */
export function routeAddress(facts: RouteAddressFacts): RouteAddress {
  if (facts.advertisedHost !== "") {
    return { host: facts.advertisedHost, port: facts.listenPort };
  }
  const [first] = facts.accessPoint;
  if (first !== undefined && facts.accessPoint.length === 1 && usable(first.host, first.port)) {
    return { host: first.host, port: first.port };
  }
  const dialled = parseAuthority(facts.authority);
  if (dialled !== undefined) return dialled;
  return { host: facts.localHost, port: facts.localPort };
}

/** The longest name that DNS knows. What is longer would be repeated in every queue of the answer. */
const hostLengthMax = 253;

function usable(host: string, port: number): boolean {
  if (host.length > hostLengthMax || !/^[^\s\p{Cc}]+$/u.test(host)) return false;
  return Number.isInteger(port) && port > 0 && port < 65_536;
}

function parseAuthority(authority: string): RouteAddress | undefined {
  const host = dialledHost(authority) ?? "";
  const port = Number(authority.slice(authority.lastIndexOf(":") + 1));
  return usable(host, port) ? { host, port } : undefined;
}
