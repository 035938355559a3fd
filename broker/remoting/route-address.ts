// Which address a route hands out for this broker: what the operator advertises, else what the client dialled,
// so that containers and port maps work without configuration.
import { isIP } from "node:net";

/** Values of `apache.rocketmq.v2.AddressScheme`. */
const schemes = { ipv4: 1, ipv6: 2, domainName: 3 } as const;

/** One reachable address, the only one of its broker: several clients cannot handle more. */
export interface RouteAddress {
  readonly scheme: number;
  readonly host: string;
  readonly port: number;
}

/** What is known when a client asks for a route. */
export interface RouteAddressFacts {
  /** `brokerIP1`, when set. */
  readonly advertisedHost: string | undefined;
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
  if (facts.advertisedHost !== undefined && facts.advertisedHost !== "") {
    return addressOf(facts.advertisedHost, facts.listenPort);
  }
  const [first] = facts.accessPoint;
  if (first !== undefined && facts.accessPoint.length === 1 && usable(first.host, first.port)) {
    return addressOf(first.host, first.port);
  }
  const dialled = parseAuthority(facts.authority);
  if (dialled !== undefined) return addressOf(dialled.host, dialled.port);
  return addressOf(facts.localHost, facts.localPort);
}

function usable(host: string, port: number): boolean {
  return host.trim() !== "" && Number.isInteger(port) && port > 0 && port < 65_536;
}

function parseAuthority(authority: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(authority);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? "";
  const port = Number(match[3]);
  return usable(host, port) ? { host, port } : undefined;
}

function addressOf(host: string, port: number): RouteAddress {
  const bare = host.replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:(?=\d+\.)/i, "");
  const version = isIP(bare);
  const scheme = version === 4 ? schemes.ipv4 : version === 6 ? schemes.ipv6 : schemes.domainName;
  return { scheme, host: bare, port };
}
