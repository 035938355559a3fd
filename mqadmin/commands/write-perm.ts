// wipeWritePerm and addWritePerm: take a broker out of the sending, and put it back.
import type { Command, FlagSpec } from "../command.ts";
import type { Session } from "../session.ts";

const key = "brokerPermission";
const write = 2;
const readOnly = "4";
const readWrite = "6";

const flags: Readonly<Record<string, FlagSpec>> = {
  brokerName: { short: "b", type: "string", value: "NAME", about: "broker name", required: true },
};

export const wipeWritePerm: Command = {
  name: "wipeWritePerm",
  summary: "let a broker take no messages; consumers drain what it has",
  flags,
  async run(flags, session) {
    const change = await setPermission(session, flags.required("brokerName"), readOnly);
    const said = change.changed
      ? `${change.broker} takes no messages now: ${change.topics} topics became unwritable`
      : `${change.broker} takes no messages already: 0 topics became unwritable`;
    return {
      json: change,
      lines: [
        `${said}.`,
        "Clients follow when they next ask for routes, each 30 s. Put it back with: " +
          `mqadmin addWritePerm -b ${change.broker}`,
        "A restart of the broker goes back to brokerPermission of its configuration.",
      ],
    };
  },
};

export const addWritePerm: Command = {
  name: "addWritePerm",
  summary: "let a broker take messages again after wipeWritePerm",
  flags,
  async run(flags, session) {
    const change = await setPermission(session, flags.required("brokerName"), readWrite);
    return {
      json: change,
      lines: [
        change.changed
          ? `${change.broker} takes messages again: ${change.topics} topics became writable.`
          : `${change.broker} takes messages already: 0 topics became writable.`,
      ],
    };
  },
};

interface PermissionChange {
  readonly broker: string;
  readonly address: string;
  readonly permission: number;
  readonly changed: boolean;
  /** Topics whose own permission allows sends: for them the change makes a difference. */
  readonly topics: number;
}

async function setPermission(
  session: Session,
  brokerName: string,
  value: string,
): Promise<PermissionChange> {
  const { address } = await session.masterOf(brokerName);
  const { admin } = session;
  const { rows } = await session.call(address, admin.GetBrokerConfig, { key });
  const changed = rows?.[0]?.value !== value;
  const { topics } = await session.call(address, admin.ListTopics, {});
  if (changed) await session.call(address, admin.UpdateBrokerConfig, { key, value });
  const writable = (topics ?? []).filter(({ perm }) => ((perm ?? 0) & write) !== 0).length;
  return {
    broker: brokerName,
    address,
    permission: Number(value),
    changed,
    topics: changed ? writable : 0,
  };
}
