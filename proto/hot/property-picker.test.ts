// Picked properties against the readers that decode everything, over random and broken bytes.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { msOfTimestamp, ProtoError, rocketmq } from "../index.ts";
import { anySystemProperties, anyText, broken } from "../testkit/arbitraries.ts";
import {
  forEachUserProperty,
  type PickedValues,
  type SystemPropertyName,
  SystemPropertyPicker,
  UserPropertyPicker,
} from "./index.ts";

const { v2 } = rocketmq;

/** Entries as a stored record has them. */
function entries(properties: Readonly<Record<string, string>>): Uint8Array {
  return v2.Message.encode({ userProperties: properties }).finish();
}

const systemNames: readonly SystemPropertyName[] = [
  "tag",
  "keys",
  "messageId",
  "messageGroup",
  "bornTimestamp",
  "deliveryTimestamp",
  "deadLetterTopic",
  "deadLetterMessageId",
];

function expectedOf(system: rocketmq.v2.SystemProperties, name: SystemPropertyName): unknown {
  switch (name) {
    case "tag":
      return system.tag ?? undefined;
    case "keys":
      return system.keys.length === 0 ? undefined : system.keys.join(" ");
    case "messageId":
      return system.messageId === "" ? undefined : system.messageId;
    case "messageGroup":
      return system.messageGroup ?? undefined;
    case "bornTimestamp":
      return system.bornTimestamp ? String(msOfTimestamp(system.bornTimestamp)) : undefined;
    case "deliveryTimestamp":
      return system.deliveryTimestamp ? String(msOfTimestamp(system.deliveryTimestamp)) : undefined;
    case "deadLetterTopic":
      return system.deadLetterQueue?.topic || undefined;
    default:
      return system.deadLetterQueue?.messageId || undefined;
  }
}

describe("picked properties", () => {
  it("are the last value of each user property that is named, and no other", () => {
    const anyProperties = fc.array(fc.tuple(anyText, anyText), { maxLength: 12 });
    fc.assert(
      fc.property(anyProperties, fc.array(anyText, { maxLength: 6 }), (pairs, others) => {
        const bytes = Buffer.concat(pairs.map(([key, value]) => entries({ [key]: value })));
        const names = [...new Set([...pairs.slice(0, 4).map(([key]) => key), ...others])];
        const all = new Map<string, string>();
        forEachUserProperty(bytes, (key, value) => all.set(key, value));
        const values: PickedValues = names.map(() => undefined);
        new UserPropertyPicker(names).pick(bytes, values);
        assert.deepEqual(
          values,
          names.map((name) => all.get(name)),
        );
      }),
    );
  });

  it("may come with the value before the key, and with fields that nobody knows", () => {
    const bytes = Uint8Array.of(18, 11, 18, 1, 49, 24, 5, 10, 1, 97, 34, 1, 120);
    const values: PickedValues = [undefined];
    new UserPropertyPicker(["a"]).pick(bytes, values);
    assert.deepEqual(values, ["1"]);
  });

  it("are the system properties that are named, and no others", () => {
    fc.assert(
      fc.property(anySystemProperties, fc.subarray([...systemNames]), (properties, names) => {
        const bytes = v2.SystemProperties.encode(properties).finish();
        const system = v2.SystemProperties.decode(bytes);
        const values: PickedValues = ["untouched", ...names.map(() => undefined)];
        new SystemPropertyPicker(names).pick(bytes, values, 1);
        assert.deepEqual(values, ["untouched", ...names.map((name) => expectedOf(system, name))]);
      }),
    );
  });

  it("refuse broken bytes with ProtoError and nothing else", () => {
    const user = new UserPropertyPicker(["a", "b"]);
    const system = new SystemPropertyPicker(systemNames);
    const anyEntries = fc.dictionary(fc.constantFrom("a", "b", "cc"), anyText).map(entries);
    const anySystem = anySystemProperties.map((one) => v2.SystemProperties.encode(one).finish());
    const check = (pick: () => void): void => {
      try {
        pick();
      } catch (error) {
        assert.ok(error instanceof ProtoError, String(error));
      }
    };
    fc.assert(
      fc.property(broken(anyEntries), (bytes) => check(() => user.pick(bytes, [undefined]))),
    );
    fc.assert(fc.property(broken(anySystem), (bytes) => check(() => system.pick(bytes, [], 0))));
  });
});
