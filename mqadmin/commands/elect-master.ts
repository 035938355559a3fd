// electMaster: the planned hand-over of a group to another of its brokers.
import {
  controllerAddress,
  controllerFlag,
  electingGroups,
  type FoundGroup,
} from "../broker-groups.ts";
import type { Command } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import type { Session } from "../session.ts";
import { shownGroup } from "./get-sync-state-set.ts";

export const electMaster: Command = {
  name: "electMaster",
  summary: "hand a group over to another of its brokers, for example before maintenance",
  flags: {
    ...controllerFlag,
    brokerId: {
      short: "b",
      type: "string",
      value: "ID",
      about: "brokerId of the new master; it must be in sync",
      required: true,
    },
    brokerName: {
      short: "bn",
      type: "string",
      value: "NAME",
      about: "group that is handed over",
      required: true,
    },
    clusterName: { short: "c", type: "string", value: "NAME", about: "cluster of the group" },
  },
  async run(flags, session) {
    const brokerName = flags.required("brokerName");
    const brokerId = flags.int("brokerId", { min: 1, max: 65_535 }) ?? 0;
    const [group] = await electingGroups(session, {
      address: controllerAddress(flags),
      cluster: flags.text("clusterName"),
      brokerName,
    });
    if (group === undefined) throw new CommandFailure(`${brokerName} gives no record of elections`);
    const address = await masterAddress(session, group);
    const before = group.sync.masterId ?? 0;
    const answer = await session.call(address, session.admin.ElectMaster, { brokerName, brokerId });
    const state = shownGroup(answer.syncState ?? {});
    const tookMs = answer.tookMs ?? 0;
    return {
      json: { before, tookMs, ...state },
      lines: [
        before === brokerId
          ? `${brokerName} is ruled by id ${brokerId} already`
          : `${brokerName}: id ${state.masterId} rules in epoch ${state.epoch}, before it was id ${before}; it took ${tookMs} ms`,
      ],
    };
  },
};

/** Where the group's master answers: the group's record names it, else the NameServers do. */
async function masterAddress(session: Session, { sync, askedAt }: FoundGroup): Promise<string> {
  const name = sync.brokerName ?? "";
  const masterId = sync.masterId ?? 0;
  if (masterId === 0) {
    throw new CommandFailure(
      `nobody rules ${name} now, so nobody can hand it over: it elects by itself as soon as a broker in sync lives. See mqadmin getSyncStateSet -b ${name}`,
    );
  }
  const member = (sync.members ?? []).find((one) => one.brokerId === masterId);
  if (member?.address) return member.address;
  const listed = (await session.brokers()).find((one) => one.name === name && one.id === masterId);
  return listed?.address ?? askedAt;
}
