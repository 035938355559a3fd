import assert from "node:assert/strict";
import { decodeHuffman } from "./huffman.ts";

function decode(hex: string): string | undefined {
  const bytes = Buffer.from(hex, "hex");
  return decodeHuffman(bytes, 0, bytes.length);
}

describe("decodeHuffman", () => {
  // The strings of RFC 7541, appendix C.
  const examples: readonly (readonly [string, string])[] = [
    ["", ""],
    ["f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"],
    ["a8eb10649cbf", "no-cache"],
    ["25a849e95ba97d7f", "custom-key"],
    ["25a849e95bb8e8b4bf", "custom-value"],
    ["6402", "302"],
    ["d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"],
    [
      "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
      "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ],
  ];
  for (const [hex, text] of examples) {
    it(`reads "${text}"`, () => assert.equal(decode(hex), text));
  }

  it("refuses padding of more than 7 bits", () => assert.equal(decode("6402ff"), undefined));
  it("refuses padding that is not all ones", () => assert.equal(decode("00"), undefined));
  it("refuses the end-of-string mark", () => assert.equal(decode("fffffffc"), undefined));
});
