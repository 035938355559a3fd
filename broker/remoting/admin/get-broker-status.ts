// GetBrokerStatus: the broker at a glance.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { haFields, haStatusOf } from "./ha-fields.ts";
import type { HaStatus, LogGap } from "./ha-port.ts";

type Answer = cometmq.v1.IGetBrokerStatusResponse;

/** The handler of GetBrokerStatus. */
export function getBrokerStatus(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetBrokerStatus, context.logger, (): Answer => {
    const { clients, config, metadata, traffic } = context;
    const status = context.brokerStatus();
    const ha = haStatusOf(context);
    const { producers, consumers } = clients.tally();
    let consumerCount = 0;
    for (const count of consumers.values()) consumerCount += count;
    const answer: Answer = {
      status: okStatus,
      cluster: config.values.brokerClusterName,
      brokerName: config.values.brokerName,
      brokerId: config.values.brokerId,
      role: ha.standing,
      softwareVersion: status.softwareVersion,
      startedAtMs: status.startedAtMs,
      logStartPosition: ha.logStart,
      logEndPosition: ha.logEnd,
      logConfirmedPosition: ha.logConfirmed,
      diskUsageRatio: status.diskUsageRatio,
      messagesPutTotal: traffic.total.in.messages,
      messagesGotTotal: traffic.total.out.messages,
      putTps: status.putTps,
      getTps: status.getTps,
      connections: status.connections,
      producers,
      consumers: consumerCount,
      topics: metadata.topicCount,
      groups: metadata.groupCount,
      rssBytes: status.rssBytes,
      nameServers: status.nameServers,
      ha: haFields(context, ha),
    };
    const rows = [
      ...rowsOf(answer, context.clock.now()),
      { name: "delayedMessages", value: String(status.delayedMessages) },
      ...replicationRows(ha),
    ];
    return { ...answer, rows };
  });
}

/** Everything as text, in the order in which people read it. */
function rowsOf(answer: Answer, nowMs: number): cometmq.v1.IStatusRow[] {
  const servers = Object.entries(answer.nameServers ?? {});
  const named = servers.map(([address, state]) => `${address} ${state}`).join("; ");
  const percent = ((answer.diskUsageRatio ?? 0) * 100).toFixed(1);
  const rows: Readonly<Record<string, string | number | null | undefined>> = {
    cluster: answer.cluster,
    brokerName: answer.brokerName,
    brokerId: answer.brokerId,
    role: answer.role,
    version: answer.softwareVersion,
    runtime: durationText(nowMs - (answer.startedAtMs ?? nowMs)),
    putMessagesTotal: answer.messagesPutTotal,
    getMessagesTotal: answer.messagesGotTotal,
    putTps: (answer.putTps ?? 0).toFixed(1),
    getTps: (answer.getTps ?? 0).toFixed(1),
    connections: answer.connections,
    producers: answer.producers,
    consumers: answer.consumers,
    topics: answer.topics,
    groups: answer.groups,
    commitLogMinOffset: answer.logStartPosition,
    commitLogMaxOffset: answer.logEndPosition,
    commitLogConfirmedOffset: answer.logConfirmedPosition,
    commitLogDiskRatio: `${percent} %`,
    rss: `${Math.round((answer.rssBytes ?? 0) / 2 ** 20)} MiB`,
    nameServers: named === "" ? "none configured" : named,
  };
  return Object.entries(rows).map(([name, value]) => ({ name, value: String(value) }));
}

/** What replication says, one row a fact and one a slave. */
function replicationRows(ha: HaStatus): cometmq.v1.IStatusRow[] {
  const rows: cometmq.v1.IStatusRow[] = [{ name: "epoch", value: String(ha.epoch) }];
  if (ha.reason !== "") rows.push({ name: "roleReason", value: ha.reason });
  if (ha.standing === "master") {
    const inSync = ha.slaves.filter((slave) => slave.isInSync).length;
    rows.push({ name: "slaves", value: `${ha.slaves.length} known, ${inSync} in sync` });
  }
  for (const slave of ha.slaves) {
    const link = slave.connectedSinceMs === undefined ? "not connected" : "connected";
    const sync = slave.isInSync ? "in sync" : "not in sync";
    const value = `${slave.address}, ${link}, ${sync}, ${gapText(slave.lag)}`;
    rows.push({ name: `slave ${slave.brokerId}`, value });
  }
  const { master } = ha;
  if (master !== undefined) {
    const link = master.connectedSinceMs === undefined ? `no link: ${master.reason}` : "connected";
    rows.push({ name: `master ${master.brokerId}`, value: `${master.address}, ${link}` });
    rows.push({ name: "replicationLag", value: gapText(master.lag) });
  }
  return rows;
}

function gapText({ bytes, messages, ms }: LogGap): string {
  return bytes === 0 ? "not behind" : `behind ${bytes} bytes, ${messages} messages, ${ms} ms`;
}

function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  return `${days} d ${hours} h ${Math.floor(seconds / 60) % 60} m ${seconds % 60} s`;
}
