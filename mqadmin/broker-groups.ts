// Groups of brokers that elect their master: how the commands for them find the ones that are meant.
import type { cometmq } from "@cometmq/proto";
import type { FlagSpec } from "./command.ts";
import { CommandFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import { checkAddress, type ListedBroker, type Session } from "./session.ts";

/** The `-a` flag: RocketMQ's controllers are in the brokers here. */
export const controllerFlag: Readonly<Record<string, FlagSpec>> = {
  controllerAddress: {
    short: "a",
    type: "string",
    value: "HOST:PORT",
    about: "any broker that takes part in elections (found through NameServers when not given)",
  },
};

/** Which groups a command is for. */
export interface GroupWish {
  /** A broker to ask, checked. */
  readonly address: string | undefined;
  readonly cluster: string | undefined;
  readonly brokerName: string | undefined;
}

/** A group's record and the broker that gave it. */
export interface FoundGroup {
  readonly sync: cometmq.v1.ISyncState;
  readonly askedAt: string;
}

const unsupported = 50_500;

/** The address that `-a` gives, checked. */
export function controllerAddress(flags: Flags): string | undefined {
  const address = flags.text("controllerAddress");
  return address === undefined ? undefined : checkAddress(address, "--controllerAddress");
}

/** The groups that are meant, by name. Throws CommandFailure when there is none, or one cannot be asked. */
export async function electingGroups(session: Session, wish: GroupWish): Promise<FoundGroup[]> {
  const { address, brokerName, cluster } = wish;
  if (address !== undefined && cluster === undefined) {
    const sync = await syncStateAt(session, address);
    if (brokerName === undefined || sync.brokerName === brokerName) {
      return [{ sync, askedAt: address }];
    }
  }
  const wanted = (await session.brokers(cluster)).filter(
    (broker) => brokerName === undefined || broker.name === brokerName,
  );
  if (wanted.length === 0) throw await noSuchGroup(session, wish);
  const names = [...new Set(wanted.map((broker) => broker.name))];
  const found: FoundGroup[] = [];
  let fixed: CommandFailure | undefined;
  for (const name of names) {
    const group = await anyAnswer(
      wanted.filter((broker) => broker.name === name),
      (broker) => electionOf(session, broker),
    );
    if (group instanceof CommandFailure) fixed ??= group;
    else found.push(group);
  }
  if (found.length === 0 && fixed !== undefined) throw fixed;
  return found;
}

/** The first answer that one of `brokers` gives. Throws the last failure when none does. */
export async function anyAnswer<T>(
  brokers: readonly ListedBroker[],
  ask: (broker: ListedBroker) => Promise<T>,
): Promise<T> {
  let last = new CommandFailure("no broker is registered");
  for (const broker of brokers) {
    try {
      return await ask(broker);
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      last = error;
    }
  }
  throw last;
}

/** The record at one broker; a failure as value when its roles are fixed: its replicas would say the same. */
async function electionOf(
  session: Session,
  { address }: ListedBroker,
): Promise<FoundGroup | CommandFailure> {
  const answer = await session.call(address, session.admin.GetSyncState, {}, [unsupported]);
  if (answer.syncState) return { sync: answer.syncState, askedAt: address };
  return new CommandFailure(`${address}: ${answer.status?.message ?? "no record of elections"}`);
}

async function syncStateAt(session: Session, address: string): Promise<cometmq.v1.ISyncState> {
  const { syncState } = await session.call(address, session.admin.GetSyncState, {});
  if (syncState) return syncState;
  throw new CommandFailure(`${address}: gives no record of elections`);
}

async function noSuchGroup(session: Session, wish: GroupWish): Promise<CommandFailure> {
  const names = [...new Set((await session.brokers()).map((broker) => broker.name))].join(", ");
  const where = wish.cluster === undefined ? "" : ` in cluster ${wish.cluster}`;
  return new CommandFailure(
    `no broker ${wish.brokerName === undefined ? "" : `of ${wish.brokerName} `}is registered${where}. Registered: ${names || "none"}`,
  );
}
