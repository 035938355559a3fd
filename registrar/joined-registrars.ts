// Several registrars as one: a standalone process has its own NameServer and may have others.

import type { FirstAnswer, Registrar } from "./registrar.ts";
import { joinReplicas, mastersOf } from "./replicas-seen.ts";

/** All of `registrars`, in this order. */
export function joinRegistrars(registrars: readonly Registrar[]): Registrar {
  const replicas: Registrar["replicas"] = () =>
    joinReplicas(registrars.flatMap((registrar) => registrar.replicas()));
  return {
    publish: (registration) => {
      for (const registrar of registrars) registrar.publish(registration);
    },
    status: () => registrars.flatMap((registrar) => registrar.status()),
    replicas,
    mastersSeen: () => mastersOf(replicas()),
    settledCount: () => registrars.reduce((sum, registrar) => sum + registrar.settledCount(), 0),
    onChange: (listener) => {
      const ends = registrars.map((registrar) => registrar.onChange(listener));
      return () => {
        for (const end of ends) end();
      };
    },
    firstAnswer: async (timeoutMs) =>
      joinFirst(await Promise.all(registrars.map((registrar) => registrar.firstAnswer(timeoutMs)))),
    askTopic: (topic, timeoutMs) =>
      registrars.flatMap((registrar) => registrar.askTopic(topic, timeoutMs)),
    askBrokers: (brokerName, timeoutMs) =>
      registrars.flatMap((registrar) => registrar.askBrokers(brokerName, timeoutMs)),
    close: async () => {
      await Promise.all(registrars.map((registrar) => registrar.close()));
    },
  };
}

function joinFirst(answers: readonly FirstAnswer[]): FirstAnswer {
  const refused = answers.find(({ kind }) => kind === "refused");
  const registered = answers.find(({ kind }) => kind === "registered");
  return refused ?? registered ?? { kind: "silent" };
}
