// The host that other brokers reach this one by, when the configuration does not say so.
import { networkInterfaces } from "node:os";
import { type BrokerConfig, listenHost } from "../base/index.ts";

/** `brokerIP1`, else the address that is listened on, else, when that is all of them, the first one of this machine. */
export function ownHost(values: BrokerConfig): string {
  if (values.brokerIP1 !== "") return values.brokerIP1;
  const host = listenHost(values);
  if (host !== "0.0.0.0" && host !== "::") return host;
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const outside = addresses.filter(({ internal }) => !internal);
  const chosen = outside.find(({ family }) => family === "IPv4") ?? outside[0];
  return chosen?.address ?? "127.0.0.1";
}
