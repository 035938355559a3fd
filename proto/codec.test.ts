// The codecs of the service tables.
import assert from "node:assert/strict";
import { adminService } from "./admin.ts";
import {
  brokerAdminService,
  Code,
  cometmq,
  messagingService,
  nameServerService,
  ProtoError,
  rocketmq,
} from "./index.ts";

describe("the service tables", () => {
  it("name each call with its path and kind", () => {
    const { methods } = messagingService;
    assert.equal(methods.SendMessage.path, "/apache.rocketmq.v2.MessagingService/SendMessage");
    assert.equal(methods.SendMessage.kind, "unary");
    assert.equal(methods.ReceiveMessage.kind, "serverStream");
    assert.equal(methods.Telemetry.kind, "bidi");
    assert.equal(Object.keys(methods).length, 17);
    assert.equal(Object.keys(adminService.methods).length, 16);
    assert.equal(nameServerService.methods.Register.kind, "bidi");
    assert.equal(
      brokerAdminService.methods.UpdateTopic.path,
      "/cometmq.v1.BrokerAdmin/UpdateTopic",
    );
  });

  it("encode plain objects and decode messages with their defaults", () => {
    const { request } = messagingService.methods.ReceiveMessage;
    const decoded = request.decode(
      request.encode({ group: { name: "G" }, invisibleDuration: { seconds: 30 }, attemptId: "" }),
    );
    assert.equal(decoded.group?.name, "G");
    assert.equal(decoded.messageQueue, null);
    assert.equal(decoded.batchSize, 0);
    assert.equal(decoded.invisibleDuration?.seconds, 30);
    assert.equal(decoded.longPollingTimeout, null);
    assert.equal(decoded.attemptId, "", "present, though empty");
  });

  it("give 64-bit integers as numbers, negative ones too", () => {
    const { response } = messagingService.methods.GetOffset;
    for (const offset of [0, 1, -1, 2 ** 31, -(2 ** 40), Number.MAX_SAFE_INTEGER]) {
      assert.strictEqual(response.decode(response.encode({ offset })).offset, offset);
    }
    const { methods } = brokerAdminService;
    const rows = methods.GetTopicStatus.response;
    const status = rows.decode(rows.encode({ queues: [{ queueId: 1, maxOffset: 2 ** 52 }] }));
    assert.strictEqual(status.queues[0]?.maxOffset, 2 ** 52);
  });

  it("tell which member of a oneof is set", () => {
    const { request } = nameServerService.methods.Register;
    const event = request.decode(request.encode({ heartbeat: { version: { counter: 5 } } }));
    assert.equal(event.event, "heartbeat");
    assert.equal(event.heartbeat?.version?.counter, 5);
    assert.equal(new cometmq.v1.BrokerEvent().event, undefined);
  });

  it("keep status codes that they do not know", () => {
    const { response } = messagingService.methods.Heartbeat;
    assert.equal(response.decode(response.encode({ status: { code: 49999 } })).status?.code, 49999);
    assert.equal(Code[Code.TOPIC_NOT_FOUND], "TOPIC_NOT_FOUND");
    assert.equal(Code[49999], undefined);
  });

  it("refuse broken bytes with a ProtoError that names the message", () => {
    const { request } = messagingService.methods.QueryRoute;
    assert.throws(
      () => request.decode(Uint8Array.of(10, 9, 1)),
      (error) =>
        error instanceof ProtoError && error.message.startsWith("not a valid QueryRouteRequest: "),
    );
  });

  it("give bytes fields as views of what was decoded", () => {
    const bytes = rocketmq.v2.Message.encode({ body: Buffer.from("body") }).finish();
    assert.equal(rocketmq.v2.Message.decode(bytes).body.buffer, bytes.buffer);
  });
});
