// How connected clients are shown.
import { rocketmq } from "@cometmq/proto";
import type { Answer } from "./answer.ts";
import { moment } from "./printing.ts";

interface WireClient {
  readonly clientId?: string | null;
  readonly address?: string | null;
  readonly language?: string | null;
  readonly version?: string | null;
  readonly clientType?: number | null;
  readonly subscriptions?:
    | readonly {
        readonly topic?: { readonly name?: string | null } | null;
        readonly expression?: {
          readonly type?: number | null;
          readonly expression?: string | null;
        } | null;
      }[]
    | null;
  readonly topics?: readonly string[] | null;
  readonly sinceMs?: number | null;
  readonly lastHeartbeatMs?: number | null;
}

/** One client of one broker, ready to be shown. */
export interface ShownClient {
  readonly broker: string;
  readonly clientId: string;
  readonly type: string;
  readonly address: string;
  readonly language: string;
  readonly version: string;
  readonly uses: string;
  readonly since: string;
  readonly lastHeartbeat: string;
}

/** Takes a client off the wire. */
export function shownClient(broker: string, client: WireClient): ShownClient {
  const subscriptions = (client.subscriptions ?? []).map(({ topic, expression }) => {
    const isSql = expression?.type === rocketmq.v2.FilterType.SQL;
    return `${topic?.name ?? ""}(${isSql ? "SQL: " : ""}${expression?.expression || "*"})`;
  });
  return {
    broker,
    clientId: client.clientId ?? "",
    type: rocketmq.v2.ClientType[client.clientType ?? 0] ?? "",
    address: client.address ?? "",
    language: client.language ?? "",
    version: client.version ?? "",
    uses: [...subscriptions, ...(client.topics ?? [])].join(","),
    since: moment(client.sinceMs ?? 0),
    lastHeartbeat: moment(client.lastHeartbeatMs ?? 0),
  };
}

/** A line a client. */
export function clientTable(clients: readonly ShownClient[]): NonNullable<Answer["table"]> {
  return {
    columns: [
      "Broker",
      "Client",
      "Type",
      "Address",
      "Language",
      "Version",
      "Topics",
      "Last heartbeat",
    ],
    rows: clients.map((c) => [
      c.broker,
      c.clientId,
      c.type,
      c.address,
      c.language,
      c.version,
      c.uses,
      c.lastHeartbeat,
    ]),
  };
}
