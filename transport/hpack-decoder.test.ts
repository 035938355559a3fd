import assert from "node:assert/strict";
import * as fc from "fast-check";
import { HeaderList, HpackDecoder } from "./hpack-decoder.ts";
import { encodeHeaders } from "./hpack-encoder.ts";
import { ConnectionError, ErrorCode } from "./http2.ts";

function decode(decoder: HpackDecoder, bytes: Uint8Array, sizeMax = 65_536): HeaderList {
  const list = new HeaderList(sizeMax);
  decoder.decode(Buffer.from(bytes), { start: 0, end: bytes.length }, list);
  return list;
}

function pairs(list: HeaderList): (readonly [string, string])[] {
  return list.fields.map(({ name, value }) => [name, value]);
}

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function refusesBlock(block: string): void {
  assert.throws(
    () => decode(new HpackDecoder(4096), hex(block)),
    (error) => error instanceof ConnectionError && error.code === ErrorCode.compressionError,
  );
}

const requests = [
  [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ],
  [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
    ["cache-control", "no-cache"],
  ],
  [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/index.html"],
    [":authority", "www.example.com"],
    ["custom-key", "custom-value"],
  ],
];

describe("HpackDecoder", () => {
  it("reads the plain requests of RFC 7541, C.3", () => {
    const decoder = new HpackDecoder(4096);
    const blocks = [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    assert.deepEqual(
      blocks.map((block) => pairs(decode(decoder, hex(block)))),
      requests,
    );
  });

  it("reads the Huffman-coded requests of RFC 7541, C.4", () => {
    const decoder = new HpackDecoder(4096);
    const blocks = [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    assert.deepEqual(
      blocks.map((block) => pairs(decode(decoder, hex(block)))),
      requests,
    );
  });

  it("evicts as in RFC 7541, C.6", () => {
    const decoder = new HpackDecoder(256);
    decode(
      decoder,
      hex(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      ),
    );
    const second = pairs(decode(decoder, hex("4883 640e ffc1 c0bf")));
    assert.deepEqual(second, [
      [":status", "307"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ]);
  });

  it("changes its version only when the table changes", () => {
    const decoder = new HpackDecoder(4096);
    const before = decoder.version;
    decode(decoder, hex("8286 84"));
    assert.equal(decoder.version, before);
    decode(decoder, hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"));
    assert.notEqual(decoder.version, before);
  });

  it("refuses broken blocks", () => {
    const blocks = {
      "index 0": "80",
      "index beyond the tables": "be",
      "name index beyond the tables": "7e 0161",
      "integer cut off": "ff",
      "integer too large": "ff ffffffff0f",
      "string cut off": "40 0361",
      "name without value": "40 0161",
      "size update above the limit": "3fe2 1f",
      "size update after a field": "82 20",
      "padding of zeros": "40 0161 8100",
    };
    for (const block of Object.values(blocks)) refusesBlock(block);
  });

  it("counts but does not keep what is beyond the list's size", () => {
    const list = decode(
      new HpackDecoder(4096),
      encodeHeaders([
        ["a", "1"],
        ["b", "x".repeat(100)],
      ]),
      100,
    );
    assert.equal(list.tooLarge, true);
    assert.deepEqual(pairs(list), [["a", "1"]]);
  });

  it("marks fields with characters that are not allowed", () => {
    const fields = [
      ["Upper", "v"],
      ["a b", "v"],
      ["a", "line\nbreak"],
      ["a", "zero\0"],
      ["a", " edge"],
      ["a", "edge\t"],
      ["a:b", "v"],
    ] as const;
    for (const field of fields) {
      const list = decode(new HpackDecoder(4096), encodeHeaders([field]));
      assert.equal(list.fields[0]?.malformed, true, field.join(": "));
    }
  });

  it("reads what the encoder writes", () => {
    const name = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
    const value = fc.string({
      unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
      maxLength: 300,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (fields) => {
        assert.deepEqual(pairs(decode(new HpackDecoder(4096), encodeHeaders(fields))), fields);
      }),
    );
  });

  it("never fails otherwise than with COMPRESSION_ERROR", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (blocks) => {
        const decoder = new HpackDecoder(4096);
        for (const block of blocks) {
          try {
            decode(decoder, block);
          } catch (error) {
            assert.ok(error instanceof ConnectionError, String(error));
            return;
          }
        }
      }),
    );
  });
});
