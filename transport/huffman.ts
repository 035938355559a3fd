// The Huffman code of HPACK (RFC 7541, appendix B): a canonical code, so the code lengths say it all.
// Decoding walks a table of half-bytes; encoding is not needed, the server writes plain literals.

/** Code length in bits of each of the 257 symbols (the last one is the end-of-string mark), one base-36 digit each. */
const codeLengths =
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca" +
  "d67777777777777777777777878djde6f56565666577666567655677777fbeds" +
  "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn" +
  "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq" +
  "u";

const symbolCount = 257;
const endOfString = 256;
const failed = 0xffff;

/** An inner node of the code tree: below `nodeMax` a node, else a symbol. */
type Tree = { readonly children: Int32Array; count: number };

function buildTree(): Tree {
  const tree: Tree = { children: new Int32Array(symbolCount * 2).fill(-1), count: 1 };
  const symbols = Array.from({ length: symbolCount }, (_, symbol) => ({
    symbol,
    bits: Number.parseInt(codeLengths.charAt(symbol), 36),
  }));
  symbols.sort((a, b) => a.bits - b.bits || a.symbol - b.symbol);
  let code = 0;
  let previousBits = 0;
  for (const { symbol, bits } of symbols) {
    code *= 2 ** (bits - previousBits);
    previousBits = bits;
    insert(tree, { code, bits, symbol });
    code += 1;
  }
  return tree;
}

/** Adds one code. Leaves are stored as -2 - symbol, inner nodes by number, nothing as -1. */
function insert(
  tree: Tree,
  entry: { readonly code: number; readonly bits: number; readonly symbol: number },
): void {
  let node = 0;
  for (let bit = entry.bits - 1; bit > 0; bit -= 1) {
    const place = node * 2 + ((entry.code >>> bit) & 1);
    let next = tree.children[place] ?? -1;
    if (next === -1) {
      next = tree.count;
      tree.count += 1;
      tree.children[place] = next;
    }
    node = next;
  }
  tree.children[node * 2 + (entry.code & 1)] = -2 - entry.symbol;
}

// transitions[node * 16 + halfByte] = next node | emitted symbol + 1 << 16, or `failed` as next node.
const tree = buildTree();
const transitions = new Uint32Array(tree.count * 16);
// acceptable[node] = 1 when the bits since the last symbol are a valid padding: at most 7 ones.
const acceptable = new Uint8Array(tree.count);

function step(from: number, halfByte: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next = tree.children[node * 2 + ((halfByte >>> bit) & 1)] ?? -1;
    if (next === -1 || next === -2 - endOfString) return failed;
    if (next < -1) {
      emitted = -2 - next + 1;
      node = 0;
    } else node = next;
  }
  return node | (emitted << 16);
}

for (let node = 0; node < tree.count; node += 1) {
  for (let halfByte = 0; halfByte < 16; halfByte += 1)
    transitions[node * 16 + halfByte] = step(node, halfByte);
}
for (let node = 0, ones = 0; ones <= 7; ones += 1) {
  acceptable[node] = 1;
  node = tree.children[node * 2 + 1] ?? 0;
}

let scratch = Buffer.allocUnsafeSlow(1024);

/**
 * Decodes the Huffman-coded bytes `[start, end)` as Latin-1 text.
 * Gives undefined when the code is broken: an end-of-string mark, or padding that is too long or not all ones.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  // The shortest code has 5 bits.
  const sizeMax = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < sizeMax) scratch = Buffer.allocUnsafeSlow(sizeMax * 2);
  const target = scratch;
  let size = 0;
  let node = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    const high = transitions[node * 16 + (byte >>> 4)] ?? failed;
    if (high === failed) return undefined;
    if (high > failed) target[size++] = (high >>> 16) - 1;
    const low = transitions[(high & 0xffff) * 16 + (byte & 15)] ?? failed;
    if (low === failed) return undefined;
    if (low > failed) target[size++] = (low >>> 16) - 1;
    node = low & 0xffff;
  }
  return acceptable[node] === 1 ? target.toString("latin1", 0, size) : undefined;
}
