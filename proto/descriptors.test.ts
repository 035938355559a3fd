// The descriptors that reflection hands out, read back by protobufjs.
import assert from "node:assert/strict";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import {
  brokerAdminService,
  loadFileDescriptors,
  messagingService,
  nameServerService,
} from "./index.ts";
import type { FileDescriptor } from "./scripts/file-descriptors.ts";

/** Reads what `encodeFile` has written; lists that are empty may be missing. */
function decodeFile(bytes: Uint8Array): FileDescriptor {
  const { FileDescriptorProto } = descriptor;
  const decoded: unknown = FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes), {
    arrays: true,
  });
  return decoded as FileDescriptor;
}

describe("file descriptors", () => {
  it("describe every call of every service, with all that they depend on", async () => {
    const { FileDescriptorSet } = descriptor;
    const descriptors = await loadFileDescriptors();
    const file = [...descriptors].map(([name, bytes]) => {
      const decoded = decodeFile(bytes);
      assert.equal(decoded.name, name);
      for (const dependency of decoded.dependency) assert.ok(descriptors.has(dependency));
      return decoded;
    });
    const root = protobuf.Root.fromDescriptor(
      FileDescriptorSet.encode(FileDescriptorSet.fromObject({ file })).finish(),
    );
    root.resolveAll();
    for (const { name, methods } of [messagingService, nameServerService, brokerAdminService]) {
      const service = root.lookupService(name);
      assert.deepEqual(
        service.methodsArray.map((method) => method.name),
        Object.keys(methods),
      );
      for (const method of service.methodsArray) assert.ok(method.resolvedResponseType !== null);
    }
  });

  it("tell presence, oneofs, maps and enums apart", async () => {
    const bytes = (await loadFileDescriptors()).get("apache/rocketmq/v2/definition.proto");
    assert.ok(bytes !== undefined);
    const { messageType, enumType } = decodeFile(bytes);
    const settings = messageType.find(({ name }) => name === "Settings");
    const field = (name: string) => settings?.field.find((one) => one.name === name);
    assert.equal(field("client_type")?.typeName, ".apache.rocketmq.v2.ClientType");
    assert.equal(field("client_type")?.proto3Optional, true);
    assert.deepEqual(
      settings?.oneofDecl.map(({ name }) => name),
      ["pub_sub", "_client_type", "_access_point", "_backoff_policy", "_request_timeout"],
    );
    assert.equal(field("subscription")?.oneofIndex, 0);
    assert.equal(
      field("client_properties")?.typeName,
      ".apache.rocketmq.v2.Settings.ClientPropertiesEntry",
    );
    assert.equal(settings?.nestedType[0]?.options?.mapEntry, true);
    const code = enumType.find(({ name }) => name === "Code");
    assert.equal(code?.value.find(({ name }) => name === "OK")?.number, 20000);
  });
});
