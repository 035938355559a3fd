// A process that takes part in elections and does nothing else: what becomes of it stands on its standard output, a line of
// JSON each. Arguments: brokerId, leaseSeconds, etcd members. "handOver 2" or "resign" on its standard input is done.
import { createInterface } from "node:readline";
import { parseAddress, silentLogger, systemClock } from "../../base/index.ts";
import { ElectionRunner, openEtcdCoordinator } from "../../broker/ha/election/index.ts";

const [brokerId = "1", leaseSeconds = "2", ...addresses] = process.argv.slice(2);

function say(event: string, fields: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, brokerId: Number(brokerId), ...fields })}\n`);
}

const coordinator = await openEtcdCoordinator({
  members: addresses.map((text) => parseAddress(text) ?? { host: "127.0.0.1", port: 2379 }),
  clusterName: "test",
  brokerName: "electors",
  clock: systemClock,
  logger: silentLogger,
});
const slaves = new Set<number>();
const runner = new ElectionRunner({
  host: {
    brokerId: Number(brokerId),
    // Equal logs that are not empty: a member in sync with an empty one has lost its disk, and is not elected.
    logEnd: () => ({ epoch: 1, end: 1_000 }),
    becomeMaster: async ({ epoch, inSync }) => say("master", { epoch, inSync }),
    follow: (master, epoch) => say("follow", { master: master.brokerId, epoch }),
    stopServing: (reason) => say("stop", { reason }),
    inSyncChanged: (inSync) => say("set", { inSync }),
  },
  coordinator,
  clock: systemClock,
  logger: { ...silentLogger, warn: (message, fields) => say("warning", { message, ...fields }) },
  leaseSeconds: Number(leaseSeconds),
  priority: Number(brokerId),
  uncleanElection: false,
  grpcAddress: `127.0.0.1:${8_000 + Number(brokerId)}`,
  haAddress: `127.0.0.1:${9_000 + Number(brokerId)}`,
});
runner.start();
// Every live member counts as a slave that has everything.
systemClock.every(50, () => {
  const { group } = runner.status;
  for (const member of group?.members ?? []) slaves.add(member.brokerId);
  for (const id of slaves) {
    if (id === Number(brokerId)) continue;
    const isAlive = group?.members.some((member) => member.brokerId === id) === true;
    if (isAlive) runner.slaveCaughtUp(id);
    else runner.slaveBehind(id, "it is not alive");
  }
});
for await (const line of createInterface({ input: process.stdin })) {
  const [word, argument] = line.split(" ");
  const work = word === "handOver" ? runner.handOver(Number(argument)) : runner.resign();
  await work.then(
    () => say("done", { word }),
    (error: unknown) => say("refused", { word, reason: String(error) }),
  );
}
