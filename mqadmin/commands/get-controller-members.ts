// getControllerMetaData: the etcd members behind elections, as a broker sees them.
import { anyAnswer, controllerAddress, controllerFlag } from "../broker-groups.ts";
import type { Command } from "../command.ts";

export const getControllerMetaData: Command = {
  name: "getControllerMetaData",
  summary: "show the etcd members that elections go through",
  flags: controllerFlag,
  async run(flags, session) {
    const given = controllerAddress(flags);
    const ask = (address: string) => session.call(address, session.admin.GetControllerState, {});
    const answer =
      given === undefined
        ? await anyAnswer(await session.brokers(), ({ address }) => ask(address))
        : await ask(given);
    const members = (answer.members ?? []).map((member) => ({
      address: member.address ?? "",
      name: member.name ?? "",
      reachable: member.reachable ?? false,
      leader: member.leader ?? false,
      version: member.version ?? "",
      databaseBytes: member.databaseBytes ?? 0,
      reason: member.reason ?? "",
    }));
    const leaseSeconds = answer.leaseSeconds ?? 0;
    const leader = members.find((member) => member.leader)?.address;
    return {
      json: { leaseSeconds, members },
      lines: [
        leader === undefined ? "NO LEADER: nobody can be elected now" : `leader: ${leader}`,
        `lease of a master: ${leaseSeconds} s`,
      ],
      table: {
        columns: ["Address", "Name", "Leader", "Reachable", "Version", "Database bytes"],
        rows: members.map((member) => [
          member.address,
          member.name,
          member.leader ? "yes" : "no",
          member.reachable ? "yes" : `NO: ${member.reason}`,
          member.version,
          member.databaseBytes,
        ]),
      },
    };
  },
};
