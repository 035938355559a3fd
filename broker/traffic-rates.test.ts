import assert from "node:assert/strict";
import { Traffic } from "./remoting/index.ts";
import { ManualClock } from "./remoting/testkit/index.ts";
import { TrafficRates } from "./traffic-rates.ts";

describe("TrafficRates", () => {
  it("gives messages a second over the last ten seconds", () => {
    const clock = new ManualClock();
    const traffic = new Traffic();
    const rates = new TrafficRates(traffic, clock);
    assert.deepEqual(rates.now, { putTps: 0, getTps: 0 });
    for (let second = 0; second < 30; second++) {
      traffic.total.in.messages += second < 15 ? 1_000 : 20;
      traffic.total.out.messages += 5;
      clock.pass(1_000);
    }
    assert.deepEqual(rates.now, { putTps: 20, getTps: 5 });
    rates.close();
    assert.equal(clock.timerCount, 0);
  });
});

describe("Traffic", () => {
  it("keeps one counter a topic and a group", () => {
    const traffic = new Traffic();
    traffic.sent("t").messages += 2;
    assert.equal(traffic.sent("t"), traffic.sent("t"));
    traffic.received("g", "t").bytes += 3;
    traffic.received("g", "u").bytes += 4;
    traffic.received("h", "t").bytes += 5;
    assert.deepEqual([...traffic.ins()], [["t", { messages: 2, bytes: 0 }]]);
    assert.deepEqual(
      [...traffic.outs()].map(({ group, topic, bytes }) => `${group} ${topic} ${bytes}`),
      ["g t 3", "g u 4", "h t 5"],
    );
    traffic.forgetGroup("h");
    traffic.forgetTopic("t");
    assert.deepEqual([...traffic.ins()], []);
    assert.deepEqual(
      [...traffic.outs()].map(({ group, topic }) => `${group} ${topic}`),
      ["g u"],
    );
  });
});
