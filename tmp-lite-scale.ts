import { spawn } from "node:child_process";
import { readFileSync, mkdtempSync } from "node:fs";
import { messagingService, brokerAdminService } from "@cometmq/proto";
import { RawClient } from "./test/e2e/raw-client.ts";
const { methods } = messagingService;
const dir = mkdtempSync("/tmp/lite-scale-");
const port = "18987";
function start() {
  const child = spawn(process.execPath, ["bin/mqbroker", "--storePathRootDir", dir, "--grpcServerPort", port, "--haListenPort","0","--metricsPromExporterPort", "18988","--flushDiskType","ASYNC_FLUSH","--brokerName","b"], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise<any>((r) => child.stdout.on("data", (d) => { process.stdout.write(d.toString().slice(0,200)); r(child); }));
}
const rss = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
let child = await start();
await new Promise((r) => setTimeout(r, 1500));
const client = new RawClient(`127.0.0.1:${port}`, "c0");
let a: any = await client.call(brokerAdminService.methods.UpdateTopic, { name: "lite", messageType: "LITE" });
console.log("topic", a.status?.message);
console.log("rss idle", rss(child.pid).toFixed(0));
const count = 100_000;
const body = Buffer.alloc(100);
async function par(n: number, conc: number, f: (i: number) => Promise<void>) {
  let next = 0; 
  await Promise.all(Array.from({ length: conc }, async () => { while (next < n) await f(next++); }));
}
async function sendAll(round: number) {
  const t = Date.now();
  await par(count, 64, async (i) => {
    const r: any = await client.call(methods.SendMessage, { messages: [{ topic: { name: "lite" }, body, systemProperties: { messageId: `${round}-${i}`, messageType: 5, liteTopic: `session-${i}` } }] });
    if (r.status?.code !== 20000) throw new Error(r.status?.message);
  });
  console.log("send rate", Math.round(count / ((Date.now() - t) / 1000)), "rss", rss(child.pid).toFixed(0));
}
await sendAll(0);
// 100 clients x 1000 subs
const t0 = Date.now();
const clients = Array.from({ length: 100 }, (_, i) => new RawClient(`127.0.0.1:${port}`, `c${i + 1}`));
for (let c = 0; c < 100; c++) {
  const names = Array.from({ length: 1000 }, (_, i) => `session-${c * 1000 + i}`);
  const r: any = await clients[c]!.call(methods.SyncLiteSubscription, { topic: { name: "lite" }, group: { name: "g" }, action: 2, liteTopicSet: names });
  if (r.status?.code !== 20000) throw new Error(r.status?.message);
}
console.log("100,000 subscriptions in ms", Date.now() - t0, "rss", rss(child.pid).toFixed(0));
async function drain(wanted: number) {
  const t = Date.now(); let got = 0; let lat: number[] = [];
  await Promise.all(clients.map(async (c) => {
    let mine = 0;
    while (mine < wanted / 100) {
      const s = performance.now();
      const rs: any[] = (await c.receive({ group: { name: "g" }, messageQueue: { topic: { name: "lite" }, id: -1, broker: { name: "b" } }, batchSize: 32, invisibleDuration: { seconds: 60 }, longPollingTimeout: { seconds: 6 } }).done).messages.map((m: any) => ({ message: m }));
      lat.push(performance.now() - s);
      const ms = rs.flatMap((r: any) => r.message ? [r.message] : []);
      if (ms.length === 0) { console.log("empty", mine); break; }
      mine += ms.length; got += ms.length;
      await c.call(methods.AckMessage, { group: { name: "g" }, topic: { name: "lite" }, entries: ms.map((m: any) => ({ messageId: m.systemProperties.messageId, receiptHandle: m.systemProperties.receiptHandle })) });
    }
  }));
  console.log("received+acked", got, "rate", Math.round(got / ((Date.now() - t) / 1000)), "rss", rss(child.pid).toFixed(0));
}
await drain(count);
await sendAll(1);
await drain(count);
await sendAll(2);
// one more client with 10 subs of 100,000 waiting
const one = new RawClient(`127.0.0.1:${port}`, "one");
await one.call(methods.SyncLiteSubscription, { topic: { name: "lite" }, group: { name: "g2" }, action: 2, liteTopicSet: Array.from({ length: 10 }, (_, i) => `session-${i * 777}`) });
const s = performance.now();
const rs: any[] = (await one.receive({ group: { name: "g2" }, messageQueue: { topic: { name: "lite" }, id: -1, broker: { name: "b" } }, batchSize: 32, invisibleDuration: { seconds: 60 }, longPollingTimeout: { seconds: 6 } }).done).messages.map((m: any) => ({ message: m }));
console.log("one with 10 of 100,000:", rs.filter((r) => r.message).length, (performance.now() - s).toFixed(1), "ms");
await new Promise((r) => setTimeout(r, 32000));
console.log("after upkeep rss", rss(child.pid).toFixed(0));
console.log((await (await fetch("http://127.0.0.1:18988/metrics")).text()).split("\n").filter((l) => /lite|lag_messages/.test(l) && !l.startsWith("#")).slice(0, 12).join("\n"));
child.kill("SIGKILL");
await new Promise((r) => child.once("exit", r));
const t1 = Date.now();
child = await start();
await new Promise((r) => setTimeout(r, 3000));
console.log("restarted rss", rss(child.pid).toFixed(0), (await (await fetch("http://127.0.0.1:18988/metrics")).text()).split("\n").filter((l) => /cometmq_lite/.test(l) && !l.startsWith("#")).join(" "));
child.kill("SIGKILL");
process.exit(0);
