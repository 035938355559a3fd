// Registers a broker with every configured NameServer over gRPC, each on its own link. The gRPC client takes time and
// memory to load, so it is loaded here and only when there is a NameServer to dial.
import {
  type Address,
  type Clock,
  formatAddress,
  type Logger,
  limits,
  type Random,
  softwareVersion,
} from "../base/index.ts";
import type { Registration } from "../route/index.ts";
import { NameServerLink } from "./name-server-link.ts";
import { NameServerQuestions } from "./name-server-questions.ts";
import type {
  Asked,
  BrokerSeen,
  FirstAnswer,
  NameServerStatus,
  Registrar,
  ReplicaSeen,
  TopicHolder,
} from "./registrar.ts";
import { joinReplicas, mastersOf } from "./replicas-seen.ts";

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
  const { Client, Metadata, credentials } = await import("./grpc.ts");
  const grpc = { Client, Metadata, credentials };
  const facts = {
    instanceId: options.random.bytes(12).toString("hex"),
    startedAtMs: clock.now(),
    softwareVersion,
  };
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const addresses = options.addresses.map(formatAddress);
  const links = addresses.map(
    (address) => new NameServerLink({ address, grpc, facts, clock, logger, changed }),
  );
  const questions = addresses.map((address) => new NameServerQuestions({ address, clock, grpc }));
  return new GrpcRegistrar({ clock, links, questions, listeners });
}

interface Parts {
  readonly clock: Clock;
  readonly links: readonly NameServerLink[];
  readonly questions: readonly NameServerQuestions[];
  readonly listeners: Set<() => void>;
}

class GrpcRegistrar implements Registrar {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  publish(registration: Registration): void {
    for (const link of this.#parts.links) link.publish(registration);
  }

  status(): readonly NameServerStatus[] {
    return this.#parts.links.map((link) => link.status());
  }

  replicas(): readonly ReplicaSeen[] {
    return joinReplicas(this.#parts.links.flatMap((link) => link.replicas()));
  }

  mastersSeen(): readonly ReplicaSeen[] {
    return mastersOf(this.replicas());
  }

  settledCount(): number {
    return this.#parts.links.filter((link) => link.isSettled).length;
  }

  onChange(listener: () => void): () => void {
    const { listeners } = this.#parts;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  firstAnswer(timeoutMs: number): Promise<FirstAnswer> {
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + timeoutMs;
    return new Promise((resolve) => {
      let graceMs = Number.POSITIVE_INFINITY;
      const look = (): void => {
        const states = this.status();
        const refused = states.find(({ state }) => state === "refused");
        const registered = states.filter(({ state }) => state === "registered").length;
        const nowMs = clock.monotonicMs();
        if (registered > 0) graceMs = Math.min(graceMs, nowMs + limits.nameServerGraceMs);
        const isOver = registered === states.length || nowMs >= Math.min(untilMs, graceMs);
        if (refused === undefined && !isOver) return;
        end();
        stop();
        const { address, reason } = refused ?? { address: "", reason: "" };
        if (refused !== undefined) resolve({ kind: "refused", address, reason });
        else resolve({ kind: registered > 0 ? "registered" : "silent" });
      };
      const end = this.onChange(look);
      const stop = clock.every(firstAnswerTickMs, look);
      look();
    });
  }

  askTopic(topic: string, timeoutMs: number): readonly Asked<TopicHolder>[] {
    return this.#parts.questions.map((server) => server.askTopic(topic, timeoutMs));
  }

  askBrokers(brokerName: string, timeoutMs: number): readonly Asked<BrokerSeen>[] {
    return this.#parts.questions.map((server) => server.askBrokers(brokerName, timeoutMs));
  }

  async close(): Promise<void> {
    for (const server of this.#parts.questions) server.close();
    await Promise.all(this.#parts.links.map((link) => link.close()));
  }
}

const firstAnswerTickMs = 20;
