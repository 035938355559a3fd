// What the official Node.js client encodes, ours decodes, field by field, and the other way round.
// Its classes were made by protoc from the public definitions, so this also checks our .proto files.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import protobuf from "protobufjs";
import { admin } from "./admin.ts";
import {
  forEachUserProperty,
  google,
  readAckMessageRequest,
  readSendMessageRequest,
  rocketmq,
} from "./index.ts";
import { loadDefinitions, topLevelObjects } from "./scripts/definitions.ts";

/** A message object of google-protobuf, as far as it is used here. */
interface ClientMessage {
  serializeBinary(): Uint8Array;
}
interface ClientClass {
  new (): ClientMessage;
  deserializeBinary(bytes: Uint8Array): ClientMessage;
}
interface OurType {
  encode(value: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

const require = createRequire(import.meta.url);
const ofClient = createRequire(require.resolve("rocketmq-client-nodejs/package.json"));
const generated = "rocketmq-client-nodejs/proto/apache/rocketmq/v2";
const clientModules: readonly Record<string, unknown>[] = [
  require(`${generated}/definition_pb.js`),
  require(`${generated}/service_pb.js`),
  require(`${generated}/admin_pb.js`),
  ofClient("google-protobuf/google/protobuf/timestamp_pb.js"),
  ofClient("google-protobuf/google/protobuf/duration_pb.js"),
];
const ourModules: readonly Record<string, unknown>[] = [rocketmq.v2, admin, google.protobuf];

function find(modules: readonly Record<string, unknown>[], type: protobuf.Type): unknown {
  const { parent } = type;
  if (parent instanceof protobuf.Type) {
    const outer = find(modules, parent);
    return outer === undefined ? undefined : Reflect.get(outer as object, type.name);
  }
  return modules.map((module) => module[type.name]).find((value) => value !== undefined);
}

/** Fields that are newer than the client that is installed. */
const newerFields: ReadonlySet<string> = new Set([".apache.rocketmq.v2.Settings.clientProperties"]);

/** Values for a field, none twice; `variant` picks oneof members, signs and enum values. */
class Values {
  #count = 0;
  readonly variant: number;

  constructor(variant: number) {
    this.variant = variant;
  }

  scalar(field: protobuf.FieldBase): unknown {
    const count = ++this.#count;
    const sign = this.variant % 2 === 0 ? 1 : -1;
    if (field.resolvedType instanceof protobuf.Enum) {
      const values = Object.values(field.resolvedType.values);
      return values[(this.variant + 1) % values.length];
    }
    switch (field.type) {
      case "string":
        return `text ${count} ä`;
      case "bytes":
        return Buffer.from([count, 0, 255]);
      case "bool":
        return true;
      case "double":
      case "float":
        return count + 0.5;
      case "int64":
        return sign * (2 ** 40 + count);
      default:
        return sign * (100_000 + count);
    }
  }
}

/** Fills an object of the client's class through its setters; gives what ours should decode. */
function fill(target: ClientMessage, type: protobuf.Type, values: Values): Record<string, unknown> {
  const expected: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (newerFields.has(field.fullName)) continue;
    const { partOf } = field;
    if (partOf !== null && partOf.oneof.length > 1) {
      const chosen = partOf.oneof[values.variant % partOf.oneof.length];
      if (chosen !== field.name) continue;
    }
    const value = (): { client: unknown; ours: unknown } => {
      if (!(field.resolvedType instanceof protobuf.Type)) {
        const scalar = values.scalar(field);
        return { client: scalar, ours: scalar };
      }
      const inner = new (find(clientModules, field.resolvedType) as ClientClass)();
      return { ours: fill(inner, field.resolvedType, values), client: inner };
    };
    if (field.map) {
      const { client, ours } = value();
      const entries = call(target, `get${field.name}Map`) as Map<string, unknown>;
      entries.set("a key", client);
      expected[field.name] = { "a key": ours };
    } else if (field.repeated) {
      const both = [value(), value()];
      call(target, `set${field.name}List`, [both.map(({ client }) => client)]);
      expected[field.name] = both.map(({ ours }) => ours);
    } else {
      const { client, ours } = value();
      call(target, `set${field.name}`, [client]);
      expected[field.name] = ours;
    }
  }
  return expected;
}

/** Calls a method whose name differs from ours at most in upper and lower case. */
function call(target: ClientMessage, name: string, args: readonly unknown[] = []): unknown {
  const names = Object.keys(Object.getPrototypeOf(target) as object);
  const method = names.find((known) => known.toLowerCase() === name.toLowerCase());
  assert.ok(method !== undefined, `${target.constructor.name} has no ${name}`);
  return Reflect.apply(Reflect.get(target, method) as () => unknown, target, args);
}

/** Field by field, so that a failure names its place. */
function compare(actual: unknown, expected: unknown, place: string): void {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), place);
    assert.equal(actual.length, expected.length, place);
    expected.forEach((item, index) => compare(actual[index], item, `${place}[${index}]`));
  } else if (expected instanceof Uint8Array) {
    assert.ok(actual instanceof Uint8Array, place);
    assert.deepEqual(Buffer.from(actual), Buffer.from(expected), place);
  } else if (typeof expected === "object" && expected !== null) {
    assert.ok(typeof actual === "object" && actual !== null, place);
    for (const [name, value] of Object.entries(expected))
      compare(Reflect.get(actual, name), value, `${place}.${name}`);
  } else {
    assert.strictEqual(actual, expected, place);
  }
}

const types = topLevelObjects(loadDefinitions()).filter(
  (object) => object instanceof protobuf.Type,
);

function typeNamed(name: string): protobuf.Type {
  const type = types.find((one) => one.name === name);
  assert.ok(type !== undefined, name);
  return type;
}

/** Message types of the public contract that this version of the client has. */
const shared = types.filter(
  (type) => type.fullName.startsWith(".apache.") && find(clientModules, type) !== undefined,
);

describe("the official Node.js client's encoding", () => {
  it("covers the whole MessagingService", () => {
    const service = rocketmq.v2;
    const names = new Set(shared.map((type) => type.name));
    for (const name of Object.keys(service).filter((key) => /(Request|Response)$/.test(key)))
      assert.ok(names.has(name), `the client has no ${name}`);
    assert.ok(names.has("TelemetryCommand"));
  });

  for (const type of shared) {
    it(`is read by ours, and ours by it: ${type.name}`, () => {
      const clientClass = find(clientModules, type) as ClientClass;
      const ours = find(ourModules, type) as OurType;
      for (let variant = 0; variant < 8; variant++) {
        const message = new clientClass();
        const expected = fill(message, type, new Values(variant));
        const bytes = message.serializeBinary();
        compare(ours.decode(bytes), expected, type.name);
        const back = clientClass.deserializeBinary(ours.encode(expected).finish());
        assert.deepEqual(Buffer.from(back.serializeBinary()), Buffer.from(bytes));
      }
    });
  }

  it("of a message as its producer makes it is read by the codec over bytes", () => {
    const { PublishingMessage } =
      require("rocketmq-client-nodejs/dist/message/PublishingMessage.js") as {
        PublishingMessage: new (
          ...args: unknown[]
        ) => { messageId: string; toProtobuf(space: string, queue: unknown): ClientMessage };
      };
    const options = {
      topic: "TopicTest",
      tag: "TagA",
      keys: ["key-1", "key-2"],
      body: Buffer.from("hello"),
      properties: new Map([["color", "blau ü"]]),
      messageGroup: "group-1",
    };
    const message = new PublishingMessage(options, { maxBodySizeBytes: 1024 }, false);
    const request = new (find(clientModules, typeNamed("SendMessageRequest")) as ClientClass)();
    call(request, "setMessagesList", [[message.toProtobuf("space", { queueId: 3 })]]);
    const [view] = readSendMessageRequest(request.serializeBinary());
    assert.ok(view !== undefined);
    assert.equal(view.topicNamespace, "space");
    assert.equal(view.topic, "TopicTest");
    assert.equal(view.messageId, message.messageId);
    assert.equal(view.tag, "TagA");
    assert.deepEqual(view.keys, ["key-1", "key-2"]);
    assert.equal(view.messageGroup, "group-1");
    assert.equal(view.messageType, rocketmq.v2.MessageType.FIFO);
    assert.equal(view.bodyEncoding, rocketmq.v2.Encoding.IDENTITY);
    assert.equal(view.queueId, 3);
    assert.ok((view.bornTimestampMs ?? 0) > 1_700_000_000_000);
    assert.equal(view.bodyDigest, undefined);
    assert.equal(Buffer.from(view.body).toString(), "hello");
    const properties: string[] = [];
    forEachUserProperty(view.userProperties, (key, value) => properties.push(key, value));
    assert.deepEqual(properties, ["color", "blau ü"]);
  });

  it("of an acknowledgement is read by the codec over bytes", () => {
    const type = typeNamed("AckMessageRequest");
    const request = new (find(clientModules, type) as ClientClass)();
    const expected = fill(request, type, new Values(0));
    const view = readAckMessageRequest(request.serializeBinary());
    compare(
      {
        group: { resourceNamespace: view.groupNamespace, name: view.group },
        topic: { resourceNamespace: view.topicNamespace, name: view.topic },
        entries: view.entries,
      },
      expected,
      "AckMessageRequest",
    );
  });
});
