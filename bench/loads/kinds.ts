// Kinds of messages against NORMAL ones, from the send to the acknowledgement: 1 KiB, by raw HTTP/2 clients.
import { brokerAdminService } from "@cometmq/proto";
import { adminCall } from "../cluster.ts";
import type { RawRequest } from "../load/raw-connection.ts";
import { receiveLoad, sendLoad } from "../load/raw-load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { ackRequest, receivedHandle, receiveRequest, sendRequest } from "../requests.ts";
import { type RunningServer, startBroker } from "../servers.ts";

const connections = 4;
const group = "bench-group";
/** Messages that stay in the broker's memory. */
const roundCount = 20_000;
const rounds = 5;
const messageGroupCount = 1_000;

/** FIFO in 1,000 message groups against NORMAL. */
export async function measureKinds(): Promise<ReportRow[]> {
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  const { UpdateTopic } = brokerAdminService.methods;
  await adminCall(server, UpdateTopic, { name: "fifo", messageType: "FIFO" });
  const normal = await endToEnd(server, "normal", [sendRequest("normal", 1024)]);
  const groups = Array.from({ length: messageGroupCount }, (_, index) => `group ${index}`);
  const sends = groups.map((messageGroup) => sendRequest("fifo", 1024, { messageGroup }));
  const fifo = await endToEnd(server, "fifo", sends);
  return [
    {
      load: "FIFO, 1,000 message groups, sent to acknowledged",
      measured: perSecond(fifo),
      baseline: `NORMAL ${perSecond(normal)}`,
      figure: fifo / normal,
      bar: { atLeast: 0.6 },
    },
  ];
}

/** Messages a second from the first send to the last acknowledgement, in rounds. */
async function endToEnd(
  server: RunningServer,
  topic: string,
  requests: readonly RawRequest[],
): Promise<number> {
  const consumers = `${group}-${topic}`;
  const receive = receiveRequest(topic, consumers);
  let seconds = 0;
  // The first round makes topic and group, and warms up.
  for (let round = 0; round <= rounds; round++) {
    const common = { port: server.port, connections, countMax: roundCount, secondsMax: 120 };
    const sent = await sendLoad({ ...common, requests, inFlight: 64 });
    const received = await receiveLoad({
      ...common,
      receives: [receive],
      handleOf: receivedHandle,
      ackOf: (_, entries) => ackRequest(topic, consumers, entries),
      inFlight: 16,
    });
    if (round > 0) seconds += sent.seconds + received.seconds;
  }
  return (rounds * roundCount) / seconds;
}
