// Addresses of brokers and NameServers: from the text a person types, from a route, and to a gRPC target.
import { isIPv4, isIPv6 } from "node:net";
import { ClientError } from "./client-error.ts";

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One server with one or more addresses, in the shape of the official client. */
export interface Endpoints {
  /** `host:port`, several joined by commas; names the server in messages and keys. */
  readonly facade: string;
  readonly addressesList: readonly Address[];
}

/** Values of `apache.rocketmq.v2.AddressScheme`. */
const scheme = { ipv4: 1, ipv6: 2, domainName: 3 } as const;

/** The port used when an address names none: that of RocketMQ 5 proxies and CometMQ brokers. */
export const defaultPort = 8081;

/**
 * Reads `host:port;host:port` (commas do too, IPv6 in brackets, the port may be left out) into one
 * Endpoints an address. Throws ClientError BAD_OPTION that names the part it cannot read.
 */
export function parseEndpoints(text: string): readonly Endpoints[] {
  const parts = text
    .split(/[;,]/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (parts.length === 0) {
    throw new ClientError(
      "BAD_OPTION",
      'endpoints is empty: give addresses as "host:port;host:port"',
    );
  }
  const unique = new Map(
    parts.map((part) => endpointsOf([parseAddress(part)])).map((e) => [e.facade, e]),
  );
  return [...unique.values()];
}

function parseAddress(part: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(part);
  const host = match?.[1] ?? match?.[2] ?? (isIPv6(part) ? part : undefined);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new ClientError(
      "BAD_OPTION",
      `endpoints: cannot read "${part}"; write host:port, an IPv6 address as [::1]:8081, no scheme and no path`,
    );
  }
  return { host, port };
}

/** One server with these addresses; `addresses` must not be empty. */
export function endpointsOf(addresses: readonly Address[]): Endpoints {
  return { facade: addresses.map(formatAddress).join(","), addressesList: addresses };
}

function formatAddress(address: Address): string {
  return isIPv6(address.host)
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** What grpc-js dials: all addresses when they are of one IP version, else the first one. */
export function grpcTarget(endpoints: Endpoints): string {
  const hosts = endpoints.addressesList.map((address) => address.host);
  if (hosts.every((host) => isIPv4(host))) return `ipv4:${endpoints.facade}`;
  if (hosts.every((host) => isIPv6(host))) return `ipv6:${endpoints.facade}`;
  return `dns:${endpoints.facade.split(",")[0]}`;
}

/** The same as an `apache.rocketmq.v2.Endpoints` message. */
export function endpointsMessage(list: readonly Endpoints[]): {
  scheme: number;
  addresses: Address[];
} {
  const addresses = list.flatMap((endpoints) => endpoints.addressesList);
  const hosts = addresses.map((address) => address.host);
  if (hosts.every((host) => isIPv4(host))) return { scheme: scheme.ipv4, addresses };
  if (hosts.every((host) => isIPv6(host))) return { scheme: scheme.ipv6, addresses };
  return { scheme: scheme.domainName, addresses: addresses.slice(0, 1) };
}
