// How a broker makes itself known: the interface it uses, and how the state of each NameServer is told.
import type { Registration } from "../route/index.ts";

/** One NameServer as the broker sees it. */
export interface NameServerStatus {
  /** `host:port`, or `in this process`. */
  readonly address: string;
  readonly state: "registered" | "connecting" | "refused";
  /** Since when, milliseconds since 1970. */
  readonly sinceMs: number;
  /** Why it is not registered; empty when it is. */
  readonly reason: string;
}

/** Keeps a broker registered. Failures show in `status()` and the log, never in the caller. */
export interface Registrar {
  /** Makes this whole table known from now on. Returns at once; later tables replace earlier ones. */
  publish(registration: Registration): void;
  /** One entry a NameServer, in the configured order. */
  status(): readonly NameServerStatus[];
  /** Unregisters everywhere; bounded to half a second. `publish` does nothing afterwards. */
  close(): Promise<void>;
}

/** Several registrars as one. */
export function joinRegistrars(registrars: readonly Registrar[]): Registrar {
  return {
    publish: (registration) => {
      for (const registrar of registrars) registrar.publish(registration);
    },
    status: () => registrars.flatMap((registrar) => registrar.status()),
    close: async () => {
      await Promise.all(registrars.map((registrar) => registrar.close()));
    },
  };
}
