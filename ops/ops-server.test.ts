import assert from "node:assert/strict";
import { connect } from "node:net";
import { MqError, silentLogger } from "../base/index.ts";
import { Metrics, OpsServer, processMetrics } from "./index.ts";

describe("ops server", () => {
  let notReady: string | undefined;
  const metrics = new Metrics({ cluster: "c", node_type: "broker", node_id: "a" });
  let server: OpsServer;

  before(async () => {
    server = await OpsServer.listen({
      host: "127.0.0.1",
      port: 0,
      metrics,
      ready: () => notReady,
      logger: silentLogger,
    });
  });
  after(() => server.close());

  async function get(path: string, method = "GET"): Promise<[number, string]> {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, await response.text()];
  }

  it("serves counters, gauges and histograms with the labels of the server", async () => {
    let sent = 0;
    metrics.sampled(
      "counter",
      { name: "rocketmq_messages_in_total", help: "In.", labelNames: ["topic"] },
      (set) => set({ topic: "t" }, ++sent),
    );
    metrics.sampled("gauge", { name: "rocketmq_topic_number", help: "Topics." }, (set) =>
      set({}, 7),
    );
    const histogram = metrics.histogram({ name: "batch", help: "Batch.", buckets: [1, 10] });
    for (const value of [1, 5, 10, 11]) histogram.observe(value);
    await get("/metrics");
    histogram.observe(0);
    assert.throws(() => metrics.sampled("gauge", { name: "batch", help: "" }, () => {}), /twice/);
    const [status, text] = await get("/metrics");
    assert.equal(status, 200);
    const labels = 'cluster="c",node_type="broker",node_id="a"';
    assert.match(text, new RegExp(`^rocketmq_messages_in_total\\{topic="t",${labels}\\} 2$`, "m"));
    assert.match(text, new RegExp(`^rocketmq_topic_number\\{${labels}\\} 7$`, "m"));
    const batch = text.split("\n").filter((line) => line.includes("batch"));
    assert.deepEqual(batch, [
      "# HELP batch Batch.",
      "# TYPE batch histogram",
      `batch_bucket{le="1",${labels}} 2`,
      `batch_bucket{le="10",${labels}} 4`,
      `batch_bucket{le="+Inf",${labels}} 5`,
      `batch_sum{${labels}} 27`,
      `batch_count{${labels}} 5`,
    ]);
  });

  it("tells of the process", async () => {
    const measuring = processMetrics(metrics);
    const [, text] = await get("/metrics");
    measuring.close();
    for (const name of ["event_loop_delay_seconds", "memory_bytes", "cpu_seconds_total"]) {
      assert.match(text, new RegExp(`^cometmq_${name}\\{`, "m"));
    }
  });

  it("is healthy always, ready when the server says so", async () => {
    assert.deepEqual(await get("/healthz"), [200, "ok\n"]);
    assert.deepEqual(await get("/readyz"), [200, "ready\n"]);
    notReady = "replaying the log";
    assert.deepEqual(await get("/readyz?x=1"), [503, "replaying the log\n"]);
    notReady = undefined;
  });

  it("answers anything else with what it serves", async () => {
    assert.equal((await get("/"))[0], 404);
    assert.equal((await get("/metrics", "POST"))[0], 405);
    assert.deepEqual(await get("/healthz", "HEAD"), [200, ""]);
  });

  it("answers 500 when the metrics fail", async () => {
    const broken = await OpsServer.listen({
      host: "127.0.0.1",
      port: 0,
      metrics: { text: () => Promise.reject(new Error("x")), contentType: "" },
      ready: () => undefined,
      logger: silentLogger,
    });
    const response = await fetch(`http://127.0.0.1:${broken.port}/metrics`);
    assert.equal(response.status, 500);
    await broken.close();
  });

  it("says which key to change when the port is taken", async () => {
    const options = { host: "127.0.0.1", port: server.port, metrics, logger: silentLogger };
    await assert.rejects(
      OpsServer.listen({ ...options, ready: () => undefined }),
      (error: unknown) =>
        error instanceof MqError &&
        error.code === "BAD_CONFIG" &&
        /metricsPromExporterPort: cannot listen on 127\.0\.0\.1:\d+: another/.test(error.message),
    );
  });

  it("closes even when a client holds a connection", async () => {
    const held = await OpsServer.listen({
      host: "127.0.0.1",
      port: 0,
      metrics,
      ready: () => undefined,
      logger: silentLogger,
    });
    const socket = connect(held.port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write("GET /metrics HTTP/1.1\r\n");
    socket.on("error", () => {});
    await held.close();
    await held.close();
    socket.destroy();
  });
});
