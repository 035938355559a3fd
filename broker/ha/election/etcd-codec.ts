// How a group stands in etcd's keys: JSON values, base64 on the way through the gateway. Read with suspicion: an operator
// may have written there. Keys and values are described in docs/election.md.
import { MqError } from "../../../base/index.ts";
import type { GroupRecord, GroupView, Holder, Member, MemberEntry } from "./coordinator.ts";
import { type JsonObject, objectOf, textOf } from "./etcd-gateway.ts";

/** UTF-8 as base64, as the gateway wants keys and values. */
export function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** The value of `record`. */
export function encodeRecord(record: GroupRecord): string {
  const { master, epoch, inSync } = record;
  return base64(JSON.stringify({ master, epoch, inSync }));
}

/** The value of `holder`. */
export function encodeHolder(holder: Holder): string {
  return base64(String(holder.brokerId));
}

/** The value of `members/<brokerId>`. */
export function encodeEntry(entry: MemberEntry): string {
  const { brokerId, grpcAddress, haAddress, epoch, logEnd, priority, round } = entry;
  return base64(
    JSON.stringify({ brokerId, grpcAddress, haAddress, epoch, logEnd, priority, round }),
  );
}

/** The group out of the answer to a range. Throws CORRUPT when a value is not what it should be. */
export function decodeView(answer: JsonObject, prefix: string): GroupView {
  let record: GroupView["record"];
  let holder: Holder | undefined;
  const members: Member[] = [];
  const pairs: readonly unknown[] = Array.isArray(answer["kvs"]) ? answer["kvs"] : [];
  for (const pair of pairs) {
    const { key, value, lease, mod_revision: revision } = objectOf(pair) ?? {};
    const path = text(key);
    const name = path.slice(prefix.length);
    const leaseId = textOf(lease);
    if (name === "record") {
      record = { value: recordOf(path, text(value)), revision: Number(revision) };
    } else if (name === "holder") {
      holder = { brokerId: whole(path, Number(text(value))), leaseId };
    } else if (name.startsWith("members/")) {
      members.push({ ...entryOf(path, text(value)), leaseId });
    }
  }
  return { record, holder, members: members.sort((one, other) => one.brokerId - other.brokerId) };
}

function recordOf(path: string, json: string): GroupRecord {
  const fields = fieldsOf(path, json);
  const inSync = fields["inSync"];
  if (!Array.isArray(inSync)) throw corrupt(path, "inSync is no list");
  return {
    master: whole(path, fields["master"]),
    epoch: whole(path, fields["epoch"]),
    inSync: inSync.map((id) => whole(path, id)).sort((one, other) => one - other),
  };
}

function entryOf(path: string, json: string): MemberEntry {
  const fields = fieldsOf(path, json);
  return {
    brokerId: whole(path, fields["brokerId"]),
    grpcAddress: word(path, fields["grpcAddress"]),
    haAddress: word(path, fields["haAddress"]),
    epoch: whole(path, fields["epoch"]),
    logEnd: whole(path, fields["logEnd"]),
    priority: whole(path, fields["priority"]),
    round: whole(path, fields["round"]),
  };
}

function fieldsOf(path: string, json: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  const fields = objectOf(value);
  if (fields === undefined) throw corrupt(path, "no JSON object");
  return fields;
}

function whole(path: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw corrupt(path, `${JSON.stringify(value)} is no whole number`);
}

function word(path: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw corrupt(path, `${JSON.stringify(value)} is no text`);
}

function text(value: unknown): string {
  return Buffer.from(textOf(value), "base64").toString("utf8");
}

function corrupt(path: string, what: string): MqError {
  return new MqError("CORRUPT", `the key ${path} in etcd cannot be understood: ${what}`);
}
