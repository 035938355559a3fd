// getSyncStateSet: the records that elections go by, a group each.
import type { cometmq } from "@cometmq/proto";
import type { Row } from "../answer.ts";
import { controllerAddress, controllerFlag, electingGroups } from "../broker-groups.ts";
import { type Command, intervalFlag } from "../command.ts";

export const getSyncStateSet: Command = {
  name: "getSyncStateSet",
  summary: "show who rules each group that elects its master, and who may be elected",
  flags: {
    ...controllerFlag,
    clusterName: { short: "c", type: "string", value: "NAME", about: "all groups of this cluster" },
    brokerName: { short: "b", type: "string", value: "NAME", about: "only this group" },
    ...intervalFlag,
  },
  async run(flags, session) {
    const found = await electingGroups(session, {
      address: controllerAddress(flags),
      cluster: flags.text("clusterName"),
      brokerName: flags.text("brokerName"),
    });
    const groups = found.map(({ sync }) => shownGroup(sync));
    return {
      json: groups,
      lines: groups.map((group) =>
        group.masterId === 0
          ? `${group.brokerName}: NOBODY RULES, epoch ${group.epoch}`
          : `${group.brokerName}: ruled by id ${group.masterId}, epoch ${group.epoch}`,
      ),
      table: {
        columns: ["Group", "Id", "Address", "Role", "In sync", "Alive", "Log end"],
        rows: groups.flatMap((group) =>
          group.members.map(
            (member): Row => [
              group.brokerName,
              member.id,
              member.address,
              member.id === group.masterId ? "master" : "slave",
              member.inSync ? "yes" : "NO",
              member.alive ? "yes" : "NO",
              member.logEnd,
            ],
          ),
        ),
      },
    };
  },
};

/** A group's record, ready to be shown. */
export interface ShownGroup {
  readonly brokerName: string;
  /** 0: nobody. */
  readonly masterId: number;
  readonly epoch: number;
  readonly members: readonly {
    readonly id: number;
    readonly address: string;
    readonly inSync: boolean;
    readonly alive: boolean;
    readonly logEnd: number;
  }[];
}

/** Takes a record off the wire. */
export function shownGroup(sync: cometmq.v1.ISyncState): ShownGroup {
  return {
    brokerName: sync.brokerName ?? "",
    masterId: sync.masterId ?? 0,
    epoch: sync.epoch ?? 0,
    members: (sync.members ?? []).map((member) => ({
      id: member.brokerId ?? 0,
      address: member.address ?? "",
      inSync: member.inSync ?? false,
      alive: member.alive ?? false,
      logEnd: member.logEndPosition ?? 0,
    })),
  };
}
