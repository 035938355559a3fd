// resendDLQ: gives a group's dead letters to that group again.
import { cometmq } from "@cometmq/proto";
import { type Command, groupFlag } from "../command.ts";
import { completed, type Master, type Outcomes } from "../each-master.ts";
import { CommandFailure, NoRouteFailure, UsageFailure } from "../failure.ts";
import type { Flags } from "../flags.ts";
import type { Session } from "../session.ts";
import { onMastersOf, topicMasterFlags } from "../topic-masters.ts";

const { ResendOutcome } = cometmq.v1;

const amountMax = 1_000_000;
const amountDefault = 1_000;

export const resendDLQ: Command = {
  name: "resendDLQ",
  summary: "give dead letters to their group again, with fresh attempts; other groups get nothing",
  flags: {
    ...groupFlag,
    ...topicMasterFlags,
    msgId: {
      short: "i",
      type: "string",
      value: "ID",
      about: "only this message (all that were not resent yet when not given)",
    },
    maxNum: {
      short: "m",
      type: "string",
      value: "N",
      about: `at most so many on each broker (${amountDefault}), up to ${amountMax}`,
    },
    fromStart: {
      short: "a",
      type: "boolean",
      about: "begin with the oldest dead letter that is kept, also if it was resent before",
    },
  },
  async run(flags, session) {
    const group = flags.required("groupName");
    const messageId = flags.text("msgId");
    const wish = wishOf(flags, messageId);
    const outcomes = await eachMaster(session, flags, async ({ name, address }) => {
      const found = await resendAt(session, { address, group, messageId }, wish);
      return { broker: name, ...found };
    });
    const done = outcomes.done.map(({ broker, messages, left }) => ({ broker, messages, left }));
    const all = done.flatMap(({ broker, messages }) =>
      messages.map((message) => ({ broker, ...message })),
    );
    if (messageId !== undefined && all.length === 0 && outcomes.failed.length === 0) {
      throw new CommandFailure(`the group ${group} has no dead letter with id ${messageId}`);
    }
    return completed(outcomes, {
      json: done,
      lines: done.map(({ broker, messages, left }) => summaryOf(broker, messages, left)),
      table: {
        columns: ["Broker", "Dead letter", "Message id", "Topic", "Queue", "Offset", "Outcome"],
        rows: all.map((one) => [
          one.broker,
          one.deadLetterOffset,
          one.messageId,
          one.topic,
          one.queueId,
          one.queueOffset,
          outcomeText[one.outcome] ?? one.outcome,
        ]),
      },
    });
  },
};

/** Asks every master that has dead letters of the group. */
async function eachMaster<T>(
  session: Session,
  flags: Flags,
  act: (master: Master) => Promise<T>,
): Promise<Outcomes<T>> {
  const group = flags.required("groupName");
  try {
    return await onMastersOf(session, { flags, topic: `%DLQ%${group}` }, act);
  } catch (error) {
    if (!(error instanceof NoRouteFailure)) throw error;
    throw new CommandFailure(`the group ${group} has no dead letters on any broker`);
  }
}

interface Resent {
  readonly messageId: string;
  readonly deadLetterOffset: number;
  /** Name of a `cometmq.v1.ResendOutcome`. */
  readonly outcome: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
}

interface Wish {
  readonly countMax: number;
  readonly fromStart: boolean;
}

const outcomeText: Readonly<Record<string, string>> = {
  RESENT: "resent",
  NOT_DONE: "not resent: the group has it before it already",
  ORIGINAL_GONE: "not resent: the original has expired",
  NO_PROGRESS: "not resent: the group has no progress on that queue",
};

function wishOf(flags: Flags, messageId: string | undefined): Wish {
  const countMax = flags.int("maxNum", { min: 1, max: amountMax });
  const fromStart = flags.bool("fromStart") ?? false;
  if (messageId !== undefined && (countMax !== undefined || fromStart)) {
    throw new UsageFailure("give --msgId, or --maxNum and --fromStart, not both");
  }
  return { countMax: countMax ?? amountDefault, fromStart };
}

/** What one broker did; `left` dead letters were not looked at. */
async function resendAt(
  session: Session,
  target: {
    readonly address: string;
    readonly group: string;
    readonly messageId: string | undefined;
  },
  { countMax, fromStart }: Wish,
): Promise<{ readonly messages: readonly Resent[]; readonly left: number }> {
  const { address, group, messageId } = target;
  const { ResendDeadLetters } = session.admin;
  const messages: Resent[] = [];
  if (messageId !== undefined) {
    const answer = await session.call(address, ResendDeadLetters, { group, messageId }, notFound);
    return { messages: (answer.messages ?? []).map((message) => shown(message)), left: 0 };
  }
  let from = fromStart ? { fromOffset: 0 } : {};
  for (let looked = 0; ; ) {
    const request = { group, maxMessages: countMax - looked, ...from };
    const answer = await session.call(address, ResendDeadLetters, request);
    const [nextOffset, endOffset] = [answer.nextOffset ?? 0, answer.endOffset ?? 0];
    const found = answer.messages ?? [];
    messages.push(...found.map((message) => shown(message)));
    looked += found.length;
    const left = endOffset - nextOffset;
    if (left <= 0 || looked >= countMax) return { messages, left: Math.max(0, left) };
    from = { fromOffset: nextOffset };
  }
}

const notFound: readonly number[] = [40_401];

function shown(message: cometmq.v1.IResentDeadLetter): Resent {
  return {
    messageId: message.messageId ?? "",
    deadLetterOffset: message.deadLetterOffset ?? 0,
    outcome: ResendOutcome[message.outcome ?? 0] ?? "",
    topic: message.topic ?? "",
    queueId: message.queueId ?? 0,
    queueOffset: message.queueOffset ?? 0,
  };
}

function summaryOf(broker: string, messages: readonly Resent[], left: number): string {
  const resent = messages.filter(({ outcome }) => outcome === "RESENT").length;
  const rest = left === 0 ? "" : `, ${left} not looked at: give the command again`;
  return `${broker}: ${resent} of ${messages.length} dead letters resent${rest}`;
}
