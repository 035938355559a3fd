// What the commands that set offsets have in common: who is asked, and how it is told.
import type { cometmq } from "@cometmq/proto";
import type { Answer } from "./answer.ts";
import { type FlagSpec, groupFlag, topicFlag } from "./command.ts";
import { completed, type Outcomes } from "./each-master.ts";
import { CommandFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import type { Session } from "./session.ts";
import { onMastersOf, topicMasterFlags } from "./topic-masters.ts";

/** Flags of every reset, with RocketMQ's letters. */
export const resetFlags: Readonly<Record<string, FlagSpec>> = {
  ...groupFlag,
  ...topicFlag,
  ...topicMasterFlags,
  force: {
    short: "f",
    type: "string",
    value: "true|false",
    about: "false: go back only, and leave alone what would go forward (true)",
  },
};

/** The `-q` flag. */
export const queueFlag: Readonly<Record<string, FlagSpec>> = {
  queue: { short: "q", type: "string", value: "N", about: "only this queue of each broker" },
};

type Target = Pick<cometmq.v1.IResetGroupOffsetRequest, "offset" | "timeMs" | "end">;

/** The offsets of one broker after a change. */
export interface BrokerChanges {
  readonly broker: string;
  /** False: the group was never there. */
  readonly known: boolean;
  readonly queues: readonly cometmq.v1.IOffsetChange[];
}

const groupNotFound = 40_403;
const offsetNotFound = 40_404;
const queueMax = 65_535;

/** Resets the group that the flags name, wherever the topic is. */
export async function resetOffsets(
  flags: Flags,
  session: Session,
  target: Target,
): Promise<Answer> {
  const group = flags.required("groupName");
  const topic = flags.required("topic");
  const queueId = flags.int("queue", { min: 0, max: queueMax });
  const onlyBack = !(flags.bool("force") ?? true);
  const request = {
    group,
    topic,
    onlyBack,
    ...target,
    ...(queueId === undefined ? {} : { queueId }),
  };
  const { ResetGroupOffset } = session.admin;
  const outcomes = await onMastersOf(session, { flags, topic }, ({ name, address }) =>
    changesOf(name, session.call(address, ResetGroupOffset, request, [groupNotFound])),
  );
  return changesAnswer(outcomes, { group, topic });
}

/** Gives one group the offsets of another, wherever the topic is. */
export async function cloneOffsets(flags: Flags, session: Session): Promise<Answer> {
  const sourceGroup = flags.required("srcGroup");
  const targetGroup = flags.required("destGroup");
  const topic = flags.required("topic");
  const request = { sourceGroup, targetGroup, topic };
  const { CloneGroupOffset } = session.admin;
  const unknown = [groupNotFound, offsetNotFound];
  const outcomes = await onMastersOf(session, { flags, topic }, ({ name, address }) =>
    changesOf(name, session.call(address, CloneGroupOffset, request, unknown)),
  );
  return changesAnswer(outcomes, { group: sourceGroup, topic });
}

async function changesOf(
  broker: string,
  call: Promise<cometmq.v1.IResetGroupOffsetResponse>,
): Promise<BrokerChanges> {
  const { status, queues } = await call;
  const isUnknown = status?.code === groupNotFound || status?.code === offsetNotFound;
  return { broker, known: !isUnknown, queues: queues ?? [] };
}

function changesAnswer(
  outcomes: Outcomes<BrokerChanges>,
  { group, topic }: { readonly group: string; readonly topic: string },
): Answer {
  const { done, failed } = outcomes;
  const known = done.filter((changes) => changes.known);
  if (known.length === 0 && failed.length === 0) {
    throw new CommandFailure(
      `the group ${group} has never consumed ${topic}: no broker of the topic knows it`,
    );
  }
  const rows = known.flatMap(({ broker, queues }) =>
    queues.map((queue) => ({
      broker,
      queueId: queue.queueId ?? 0,
      before: queue.before ?? null,
      after: queue.after ?? 0,
      dropped: queue.dropped ?? 0,
      changed: queue.changed ?? false,
    })),
  );
  const strangers = done.filter((changes) => !changes.known).map(({ broker }) => broker);
  const answer: Answer = {
    json: rows,
    ...(strangers.length === 0
      ? {}
      : { lines: [`${group} is not known on ${strangers.join(", ")}`] }),
    table: {
      columns: ["Broker", "Queue", "Before", "After", "Dropped", "Changed"],
      rows: rows.map((row) => [
        row.broker,
        row.queueId,
        row.before ?? "-",
        row.after,
        row.dropped,
        row.changed,
      ]),
    },
  };
  const advice =
    "Repeat it for those alone, with -b: where it is done, it would undo what was consumed since.";
  return completed({ done: known, failed }, answer, advice);
}
