// How replication is shown.
import type { cometmq } from "@cometmq/proto";
import type { Answer, Row } from "./answer.ts";
import { moment } from "./printing.ts";

/** How far a log is behind. */
export interface ShownLag {
  readonly bytes: number;
  readonly messages: number;
  readonly ms: number;
}

/** A broker in its group, ready to be shown. */
export interface ShownHa {
  readonly cluster: string;
  readonly broker: string;
  readonly id: number;
  readonly address: string;
  readonly standing: string;
  readonly reason: string;
  readonly epoch: number;
  readonly logStart: number;
  readonly logEnd: number;
  readonly confirmed: number;
  readonly elected: boolean;
  readonly slaves: readonly ShownSlave[];
  readonly master: ShownMaster | null;
}

/** A slave as its master sees it. */
export interface ShownSlave {
  readonly id: number;
  readonly address: string;
  readonly inSync: boolean;
  readonly connected: boolean;
  readonly connectedSince: string;
  readonly written: number;
  readonly flushed: number;
  readonly lag: ShownLag;
  readonly bytesPerSecond: number;
}

/** A master as its slave sees it. */
export interface ShownMaster {
  readonly id: number;
  readonly address: string;
  readonly connected: boolean;
  readonly connectedSince: string;
  readonly reason: string;
  readonly end: number;
  readonly lag: ShownLag;
}

/** Takes the status off the wire; `address` is where it was asked. */
export function shownHa(address: string, ha: cometmq.v1.IHaStatus): ShownHa {
  return {
    cluster: ha.cluster ?? "",
    broker: ha.brokerName ?? "",
    id: ha.brokerId ?? 0,
    address,
    standing: ha.standing ?? "",
    reason: ha.reason ?? "",
    epoch: ha.epoch ?? 0,
    logStart: ha.logStartPosition ?? 0,
    logEnd: ha.logEndPosition ?? 0,
    confirmed: ha.logConfirmedPosition ?? 0,
    elected: ha.elected ?? false,
    slaves: (ha.slaves ?? []).map(shownSlave),
    master: ha.master ? shownMaster(ha.master) : null,
  };
}

/** What a broker says of itself, in one line, or two when it copies a master. */
export function haLines(ha: ShownHa): string[] {
  const where = `${ha.broker} id ${ha.id} at ${ha.address}`;
  const why = ha.reason === "" ? "" : `: ${ha.reason}`;
  const lines = [
    `${where}: ${ha.standing}${why}, epoch ${ha.epoch}, log ${ha.logStart} to ${ha.logEnd}, confirmed ${ha.confirmed}`,
  ];
  const { master } = ha;
  if (master !== null) {
    const link = master.connected
      ? `linked since ${master.connectedSince}`
      : `NO LINK: ${master.reason}`;
    lines.push(
      `  copies id ${master.id} at ${master.address || "an unknown address"}, ${link}, ${lagText(master.lag)}`,
    );
  } else if (ha.standing === "slave") lines.push("  knows of no master");
  else if (ha.slaves.length === 0) lines.push("  nobody copies it");
  return lines;
}

/** A line a slave, as their masters see them. */
export function slaveTable(all: readonly ShownHa[]): NonNullable<Answer["table"]> {
  return {
    columns: [
      "Broker",
      "Slave id",
      "Address",
      "In sync",
      "Written",
      "Flushed",
      "Behind bytes",
      "Messages",
      "ms",
      "Bytes/s",
      "Connected since",
    ],
    rows: all.flatMap((ha) =>
      ha.slaves.map(
        (slave): Row => [
          ha.broker,
          slave.id,
          slave.address,
          slave.inSync ? "yes" : "NO",
          slave.written,
          slave.flushed,
          slave.lag.bytes,
          slave.lag.messages,
          slave.lag.ms,
          Math.round(slave.bytesPerSecond),
          slave.connected ? slave.connectedSince : "NOT CONNECTED",
        ],
      ),
    ),
  };
}

/** The lag as people read it. */
export function lagText({ bytes, messages, ms }: ShownLag): string {
  return bytes === 0 ? "not behind" : `behind by ${bytes} bytes, ${messages} messages, ${ms} ms`;
}

function shownSlave(slave: cometmq.v1.ISlaveStatus): ShownSlave {
  return {
    id: slave.brokerId ?? 0,
    address: slave.address ?? "",
    inSync: slave.inSync ?? false,
    connected: slave.connected ?? false,
    connectedSince: moment(slave.connectedSinceMs ?? 0),
    written: slave.writtenPosition ?? 0,
    flushed: slave.flushedPosition ?? 0,
    lag: shownLag(slave),
    bytesPerSecond: slave.bytesPerSecond ?? 0,
  };
}

function shownMaster(master: cometmq.v1.IMasterLink): ShownMaster {
  return {
    id: master.brokerId ?? 0,
    address: master.address ?? "",
    connected: master.connected ?? false,
    connectedSince: moment(master.connectedSinceMs ?? 0),
    reason: master.reason ?? "",
    end: master.masterEndPosition ?? 0,
    lag: shownLag(master),
  };
}

function shownLag(wire: {
  readonly lagBytes?: number | null | undefined;
  readonly lagMessages?: number | null | undefined;
  readonly lagMs?: number | null | undefined;
}): ShownLag {
  return { bytes: wire.lagBytes ?? 0, messages: wire.lagMessages ?? 0, ms: wire.lagMs ?? 0 };
}
