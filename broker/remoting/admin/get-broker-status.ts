// GetBrokerStatus: the broker at a glance.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";

type Answer = cometmq.v1.IGetBrokerStatusResponse;

/** The handler of GetBrokerStatus. */
export function getBrokerStatus(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetBrokerStatus, context.logger, (): Answer => {
    const { clients, config, metadata, store, traffic } = context;
    const status = context.brokerStatus();
    const { producers, consumers } = clients.tally();
    let consumerCount = 0;
    for (const count of consumers.values()) consumerCount += count;
    const answer: Answer = {
      status: okStatus,
      cluster: config.values.brokerClusterName,
      brokerName: config.values.brokerName,
      brokerId: config.values.brokerId,
      role: "master",
      softwareVersion: status.softwareVersion,
      startedAtMs: status.startedAtMs,
      logStartPosition: store.start,
      logEndPosition: store.end,
      logConfirmedPosition: store.confirmed,
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
    };
    return { ...answer, rows: rowsOf(answer, context.clock.now()) };
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

function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  return `${days} d ${hours} h ${Math.floor(seconds / 60) % 60} m ${seconds % 60} s`;
}
