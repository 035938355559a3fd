// Registers a broker with every configured NameServer over gRPC, each on its own link. The gRPC client takes time and
// memory to load, so it is loaded here and only when there is a NameServer to dial.
import {
  type Address,
  type Clock,
  formatAddress,
  type Logger,
  type Random,
  softwareVersion,
} from "../base/index.ts";
import { NameServerLink } from "./name-server-link.ts";
import type { Registrar } from "./registrar.ts";

/** What the registrar needs. */
export interface GrpcRegistrarOptions {
  readonly addresses: readonly Address[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Opens one link for each address. Fails never for reasons of the network: that is what the links' status tells. */
export async function openGrpcRegistrar(options: GrpcRegistrarOptions): Promise<Registrar> {
  const { clock, logger } = options;
  // Named one by one, because the package is CommonJS.
  const { Client, Metadata, credentials } = await import("@grpc/grpc-js");
  const facts = {
    instanceId: options.random.bytes(12).toString("hex"),
    startedAtMs: clock.now(),
    softwareVersion,
  };
  const links = options.addresses.map(
    (address) =>
      new NameServerLink({
        address: formatAddress(address),
        grpc: { Client, Metadata, credentials },
        facts,
        clock,
        logger,
      }),
  );
  return {
    publish: (registration) => {
      for (const link of links) link.publish(registration);
    },
    status: () => links.map((link) => link.status()),
    close: async () => {
      await Promise.all(links.map((link) => link.close()));
    },
  };
}
