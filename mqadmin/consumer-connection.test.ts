import assert from "node:assert/strict";
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { consumerConnection } from "./commands/consumer-connection.ts";
import { Flags } from "./flags.ts";
import type { Session } from "./session.ts";

/** Clients by broker; no broker sees a difference by itself. */
function sessionOf(clients: Readonly<Record<string, cometmq.v1.IConnectedClient[]>>): Session {
  return {
    admin: brokerAdminService.methods,
    masters: async () => Object.keys(clients).map((name) => ({ name, address: name })),
    call: async (address: string) => ({ clients: clients[address], subscriptionsDiffer: false }),
  } as unknown as Session;
}

function client(clientId: string, topic: string, tags: string): cometmq.v1.IConnectedClient {
  const subscriptions = [{ topic: { name: topic }, expression: { type: 1, expression: tags } }];
  return { clientId, subscriptions };
}

async function differs(
  clients: Readonly<Record<string, cometmq.v1.IConnectedClient[]>>,
): Promise<boolean> {
  const flags = new Flags({ groupName: "g" });
  const { json } = await consumerConnection.run(flags, sessionOf(clients));
  return (json as { readonly subscriptionsDiffer: boolean }).subscriptionsDiffer;
}

describe("mqadmin consumerConnection", () => {
  it("says that consumers filter differently when no broker knows of both", async () => {
    assert.equal(
      await differs({ a: [client("1", "t", "red")], b: [client("2", "t", "blue")] }),
      true,
    );
    assert.equal(await differs({ a: [client("1", "t", "*")], b: [client("2", "t", "")] }), false);
  });

  it("takes it for no difference that brokers know of different topics of one consumer", async () => {
    assert.equal(await differs({ a: [client("1", "t", "x")], b: [client("1", "u", "y")] }), false);
  });
});
