import assert from "node:assert/strict";
import protobuf from "protobufjs";
import { healthDescriptor } from "./health-descriptor.ts";
import { reflectionMethods } from "./reflection.ts";
import type { BidiStream } from "./types.ts";
import { MessageWriter } from "./wire.ts";

const { root } = protobuf.parse(`
  syntax = "proto3";
  message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
  message Request {
    string host = 1;
    oneof kind {
      string file_by_filename = 3;
      string file_containing_symbol = 4;
      ExtensionRequest file_containing_extension = 5;
      string all_extension_numbers_of_type = 6;
      string list_services = 7;
    }
  }
  message Files { repeated bytes file_descriptor_proto = 1; }
  message Numbers { string base_type_name = 1; repeated int32 extension_number = 2; }
  message Service { string name = 1; }
  message Services { repeated Service service = 1; }
  message Failure { int32 error_code = 1; string error_message = 2; }
  message Response {
    string valid_host = 1;
    Request original_request = 2;
    Files file_descriptor_response = 4;
    Numbers all_extension_numbers_response = 5;
    Services list_services_response = 6;
    Failure error_response = 7;
  }
`);
const requestType = root.lookupType("Request");
const responseType = root.lookupType("Response");

function named(name: string): MessageWriter {
  return new MessageWriter().bytes(1, name);
}

// a.proto: package p; imports b.proto; message M { field f; message N; enum E }; service S { rpc Do }.
const inner = named("N").finish();
const message = named("M")
  .bytes(2, named("f").finish())
  .bytes(3, inner)
  .bytes(4, named("E").finish());
const service = named("S").bytes(2, named("Do").finish());
const fileA = named("a.proto")
  .bytes(2, "p")
  .bytes(3, "b.proto")
  .bytes(4, message.finish())
  .bytes(6, service.finish())
  .finish();
// b.proto: no package; message B; extends p.M with number 100.
const extension = named("more").bytes(2, ".p.M").number(3, 100);
const fileB = named("b.proto").bytes(4, named("B").finish()).bytes(7, extension.finish()).finish();

const methods = reflectionMethods({
  names: ["p.S"],
  files: new Map([
    ["a.proto", fileA],
    ["b.proto", fileB],
  ]),
});

async function ask(request: Record<string, unknown>): Promise<Record<string, unknown>> {
  const method = methods.get("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  assert.equal(method?.kind, "bidi");
  const answers: Uint8Array[] = [];
  const stream: Pick<BidiStream, "messages" | "write"> = {
    messages: (async function* () {
      yield requestType.encode(requestType.fromObject(request)).finish();
    })(),
    write: (bytes) => answers.push(bytes) > 0,
  };
  await method?.handle(stream as BidiStream);
  const [answer] = answers;
  assert.ok(answer);
  return responseType.toObject(responseType.decode(answer), { bytes: String });
}

function files(answer: Record<string, unknown>): unknown {
  return (answer["fileDescriptorResponse"] as { fileDescriptorProto: string[] } | undefined)
    ?.fileDescriptorProto;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

describe("reflection", () => {
  it("lists the services and health", async () => {
    const answer = await ask({ listServices: "" });
    assert.deepEqual(answer["listServicesResponse"], {
      service: [{ name: "p.S" }, { name: "grpc.health.v1.Health" }],
    });
  });

  it("serves both versions", () => assert.equal(methods.size, 2));

  it("gives a file with what it imports", async () => {
    assert.deepEqual(files(await ask({ fileByFilename: "a.proto" })), [
      base64(fileA),
      base64(fileB),
    ]);
    assert.deepEqual(files(await ask({ fileByFilename: "b.proto" })), [base64(fileB)]);
  });

  it("finds every kind of symbol", async () => {
    for (const symbol of ["p.M", "p.M.N", "p.M.E", "p.M.f", "p.S", "p.S.Do"]) {
      assert.deepEqual(
        files(await ask({ fileContainingSymbol: symbol })),
        [base64(fileA), base64(fileB)],
        symbol,
      );
    }
    assert.deepEqual(files(await ask({ fileContainingSymbol: "B" })), [base64(fileB)]);
  });

  it("describes the health service", async () => {
    const found = files(await ask({ fileContainingSymbol: "grpc.health.v1.Health.Watch" }));
    assert.deepEqual(found, [base64(healthDescriptor())]);
    const enumName = "grpc.health.v1.HealthCheckResponse.ServingStatus";
    assert.deepEqual(files(await ask({ fileContainingSymbol: enumName })), found);
  });

  it("finds extensions", async () => {
    const one = { containingType: "p.M", extensionNumber: 100 };
    assert.deepEqual(files(await ask({ fileContainingExtension: one })), [base64(fileB)]);
    const all = await ask({ allExtensionNumbersOfType: "p.M" });
    assert.deepEqual(all["allExtensionNumbersResponse"], {
      baseTypeName: "p.M",
      extensionNumber: [100],
    });
  });

  it("says NOT_FOUND for what it does not know and repeats the question", async () => {
    const answer = await ask({ fileContainingSymbol: "p.X", host: "h" });
    assert.deepEqual(answer["errorResponse"], { errorCode: 5, errorMessage: "not found" });
    assert.deepEqual(answer["originalRequest"], { fileContainingSymbol: "p.X", host: "h" });
  });

  it("says INVALID_ARGUMENT when nothing is asked", async () => {
    const answer = await ask({ host: "h" });
    assert.equal((answer["errorResponse"] as { errorCode: number }).errorCode, 3);
  });
});
