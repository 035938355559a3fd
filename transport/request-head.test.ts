import assert from "node:assert/strict";
import { callDeadlineMaxMs } from "../base/index.ts";
import { fieldOf } from "./header-field.ts";
import { HeaderList } from "./hpack-decoder.ts";
import { HeadCache, type RequestHead, requestHead } from "./request-head.ts";
import { GrpcStatus } from "./status.ts";
import type { MethodHandler } from "./types.ts";

type Pair = readonly [name: string, value: string];

const method: MethodHandler = { kind: "unary", handle: (request) => request };
const methods = new Map([["/a.B/C", method]]);
const pseudo: readonly Pair[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/a.B/C"],
  [":authority", "IPAuthority"],
];
const grpc: Pair = ["content-type", "application/grpc"];

function head(fields: readonly Pair[], sizeMax = 10_000): RequestHead | undefined {
  const list = new HeaderList(sizeMax);
  for (const [name, value] of fields) list.add(fieldOf(name, value));
  return requestHead(list, methods);
}

function refusal(fields: readonly Pair[]): GrpcStatus | undefined {
  const target = head(fields)?.target;
  return target?.kind === "refuse" ? target.status : undefined;
}

describe("requestHead", () => {
  it("finds the method and reads what matters", () => {
    const found = head([
      ...pseudo,
      grpc,
      ["grpc-timeout", "3S"],
      ["grpc-encoding", "gzip"],
      ["content-length", "7"],
    ]);
    assert.deepEqual(found?.target, { kind: "call", method });
    assert.equal(found?.timeoutMs, 3000);
    assert.equal(found?.gzip, true);
    assert.equal(found?.contentLength, 7);
    assert.equal(found?.authority, "IPAuthority");
  });

  it("accepts the content types of gRPC with protobuf only", () => {
    for (const type of [
      "application/grpc",
      "application/grpc+proto",
      "application/grpc;charset=utf-8",
    ]) {
      assert.equal(head([...pseudo, ["content-type", type]])?.target.kind, "call", type);
    }
    for (const type of [
      "application/grpc-web",
      "application/grpc+json",
      "text/plain",
      "application/grpcx",
    ]) {
      assert.equal(head([...pseudo, ["content-type", type]])?.target.kind, "http", type);
    }
    assert.equal(head(pseudo)?.target.kind, "http");
  });

  it("clamps deadlines to what a timer can hold", () => {
    assert.equal(
      head([...pseudo, grpc, ["grpc-timeout", "31535999M"]])?.timeoutMs,
      callDeadlineMaxMs,
    );
  });

  it("refuses calls that cannot be served with a status", () => {
    assert.equal(refusal([...pseudo, grpc, ["grpc-timeout", "soon"]]), GrpcStatus.internal);
    assert.equal(refusal([...pseudo, grpc, ["grpc-encoding", "snappy"]]), GrpcStatus.unimplemented);
    const elsewhere = pseudo.map(([name, value]): Pair => [name, name === ":path" ? "/x" : value]);
    assert.equal(refusal([...elsewhere, grpc]), GrpcStatus.unimplemented);
  });

  it("refuses header lists that are too large", () => {
    const target = head([...pseudo, grpc, ["x", "y".repeat(1000)]], 500)?.target;
    assert.equal(target?.kind === "refuse" && target.status, GrpcStatus.resourceExhausted);
  });

  it("gives nothing for malformed requests", () => {
    const malformed: readonly (readonly Pair[])[] = [
      pseudo.slice(1),
      [...pseudo, [":path", "/again"]],
      [...pseudo, ["Upper", "x"]],
      [...pseudo, [":unknown", "x"]],
      [...pseudo, [":status", "200"]],
      [grpc, ...pseudo],
      [...pseudo, ["connection", "keep-alive"]],
      [...pseudo, ["te", "gzip"]],
      [...pseudo, ["content-length", "x"]],
      [...pseudo, ["content-length", "1"], ["content-length", "2"]],
      [...pseudo.slice(0, 2), [":path", ""]],
    ];
    for (const fields of malformed) assert.equal(head(fields), undefined, JSON.stringify(fields));
  });
});

describe("HeadCache", () => {
  const found = head([...pseudo, grpc]);

  it("finds equal blocks of the same table version", () => {
    const cache = new HeadCache();
    assert.ok(found);
    cache.add(3, Uint8Array.of(1, 2, 3), found);
    const bytes = Uint8Array.of(0, 1, 2, 3, 4);
    assert.equal(cache.find(3, { bytes, start: 1, end: 4 }), found);
    assert.equal(cache.find(4, { bytes, start: 1, end: 4 }), undefined);
    assert.equal(cache.find(3, { bytes, start: 1, end: 5 }), undefined);
    assert.equal(cache.find(3, { bytes, start: 0, end: 3 }), undefined);
  });

  it("keeps the last few", () => {
    const cache = new HeadCache();
    assert.ok(found);
    for (let index = 0; index < 20; index += 1) cache.add(0, Uint8Array.of(index), found);
    const kept = Array.from({ length: 20 }, (_, index) =>
      cache.find(0, { bytes: Uint8Array.of(index), start: 0, end: 1 }),
    );
    assert.equal(kept.filter((each) => each !== undefined).length, 8);
    assert.equal(kept[19], found);
  });
});
