import assert from "node:assert/strict";
import { type RouteAddressFacts, routeAddress } from "./route-address.ts";

const facts: RouteAddressFacts = {
  advertisedHost: "",
  listenPort: 8081,
  accessPoint: [],
  authority: "IPAuthority",
  localHost: "10.0.0.5",
  localPort: 8081,
};

describe("routeAddress", () => {
  it("hands out brokerIP1 with the listening port", () => {
    const set = { ...facts, accessPoint: [{ host: "lb", port: 1 }] };
    assert.deepEqual(routeAddress({ ...set, advertisedHost: "192.168.1.9" }), {
      host: "192.168.1.9",
      port: 8081,
    });
  });

  it("hands out the only access point, port included", () => {
    const accessPoint = [{ host: "localhost", port: 18_081 }];
    assert.deepEqual(routeAddress({ ...facts, accessPoint, authority: "other:1" }), {
      host: "localhost",
      port: 18_081,
    });
  });

  it("passes over an access point that can be no address", () => {
    for (const host of ["", " ", "a b", "a\nb", "h".repeat(254)]) {
      const accessPoint = [{ host, port: 18_081 }];
      assert.deepEqual(routeAddress({ ...facts, accessPoint }), { host: "10.0.0.5", port: 8081 });
    }
    for (const port of [0, -1, 65_536]) {
      const accessPoint = [{ host: "mq", port }];
      assert.deepEqual(routeAddress({ ...facts, accessPoint }), { host: "10.0.0.5", port: 8081 });
    }
  });

  it("picks of several access points the one that was dialled", () => {
    const accessPoint = [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
    ];
    assert.deepEqual(routeAddress({ ...facts, accessPoint, authority: "b:2" }), {
      host: "b",
      port: 2,
    });
  });

  it("uses the authority without an access point, IPv6 included", () => {
    assert.deepEqual(routeAddress({ ...facts, authority: "127.0.0.1:9000" }), {
      host: "127.0.0.1",
      port: 9000,
    });
    assert.deepEqual(routeAddress({ ...facts, authority: "[::1]:9000" }), {
      host: "::1",
      port: 9000,
    });
  });

  it("uses our end of the connection when Java hides what it dialled", () => {
    assert.deepEqual(routeAddress(facts), { host: "10.0.0.5", port: 8081 });
    assert.equal(
      routeAddress({ ...facts, accessPoint: [{ host: " ", port: 0 }] }).host,
      "10.0.0.5",
    );
  });
});
