// What the commands about lite topics share: their flags, the brokers they ask, and what is said when one gives no answer.
import type { Answer } from "./answer.ts";
import type { FlagSpec } from "./command.ts";
import { type Master, onEach } from "./each-master.ts";
import { CommandFailure, PartialFailure } from "./failure.ts";
import type { Session } from "./session.ts";

/** `-p`: the LITE topic. */
export const parentTopicFlag: Readonly<Record<string, FlagSpec>> = {
  parentTopic: {
    short: "p",
    type: "string",
    value: "TOPIC",
    about: "the topic of type LITE",
    required: true,
  },
};

/** `-l`: the lite topic. */
export const liteTopicFlag: FlagSpec = {
  short: "l",
  type: "string",
  value: "NAME",
  about: "lite topic",
};

/** `-g`: the consumer group. */
export const liteGroupFlag: Readonly<Record<string, FlagSpec>> = {
  group: { short: "g", type: "string", value: "GROUP", about: "consumer group", required: true },
};

/** What brokers have answered. */
export interface Answers<T> {
  /** At least one. */
  readonly answers: readonly { readonly broker: string; readonly answer: T }[];
  /** Who gave no answer, and why. */
  readonly failures: readonly string[];
}

/** The masters that hold a topic, and those that act for one. */
export async function holders(session: Session, topic: string): Promise<readonly Master[]> {
  const owners = await session.owners(topic);
  return owners.map(({ broker, address }) => ({ name: broker, address }));
}

/** Asks each of `brokers`. Throws CommandFailure when none of them answers. */
export async function askEach<T>(
  brokers: readonly Master[],
  ask: (address: string) => Promise<T>,
): Promise<Answers<T>> {
  const { done, failed } = await onEach(brokers, async ({ name, address }) => ({
    broker: name,
    answer: await ask(address),
  }));
  const failures = failed.map(({ broker, failure }) => `${broker}: ${failure}`);
  if (done.length === 0) throw new CommandFailure(unheard(failures));
  return { answers: done, failures };
}

/** Gives `answer` when all brokers have answered; else throws it as PartialFailure. */
export function heard(answer: Answer, failures: readonly string[]): Answer {
  if (failures.length > 0) throw new PartialFailure(unheard(failures), answer);
  return answer;
}

function unheard(failures: readonly string[]): string {
  return `no answer from ${failures.length} brokers:\n  ${failures.join("\n  ")}`;
}

/** What `lite.topic.expiration` says. */
export function expirationText(minutes: number): string {
  return minutes > 0 ? `${minutes} min` : "never";
}
