// Decoder of header blocks (HPACK, RFC 7541): static and dynamic table, Huffman strings.
// It knows the few names that matter to a request, but not what a valid request is: see request-head.ts.

import { fieldOf, type HeaderField, staticFields } from "./header-field.ts";
import { HpackDynamicTable } from "./hpack-dynamic-table.ts";
import { ConnectionError, ErrorCode } from "./http2.ts";
import { decodeHuffman } from "./huffman.ts";

/** The fields of one header block, bounded: what is beyond `sizeMax` is counted but not kept. */
export class HeaderList {
  readonly fields: HeaderField[] = [];
  /** Sum of the fields' sizes as RFC 9113 counts them: name + value + 32 each. */
  size = 0;
  readonly sizeMax: number;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
  }

  get tooLarge(): boolean {
    return this.size > this.sizeMax;
  }

  clear(): void {
    this.fields.length = 0;
    this.size = 0;
  }

  add(field: HeaderField): void {
    this.size += field.size;
    if (this.size <= this.sizeMax) this.fields.push(field);
  }
}

/** Decodes the header blocks of one connection, in order. */
export class HpackDecoder {
  readonly #table: HpackDynamicTable;
  #bytes: Buffer = noBytes;
  #at = 0;
  #end = 0;

  /** `tableSizeMax` is what our SETTINGS_HEADER_TABLE_SIZE promises. */
  constructor(tableSizeMax: number) {
    this.#table = new HpackDynamicTable(tableSizeMax);
  }

  /** Changes whenever a block changed the dynamic table: equal bytes at an equal version decode equally. */
  get version(): number {
    return this.#table.version;
  }

  /** Appends the fields of the block `[start, end)` of `bytes` to `list`. Throws ConnectionError COMPRESSION_ERROR. */
  decode(
    bytes: Buffer,
    block: { readonly start: number; readonly end: number },
    list: HeaderList,
  ): void {
    this.#bytes = bytes;
    this.#at = block.start;
    this.#end = block.end;
    this.#sizeUpdates();
    while (this.#at < this.#end) list.add(this.#field());
    this.#bytes = noBytes;
  }

  #sizeUpdates(): void {
    while (this.#at < this.#end) {
      const byte = this.#bytes[this.#at] ?? 0;
      if ((byte & 0xe0) !== 0x20) return;
      if (!this.#table.resize(this.#integer(byte, 31)))
        throw broken("table size above the setting");
    }
  }

  #field(): HeaderField {
    const byte = this.#bytes[this.#at] ?? 0;
    if (byte >= 0x80) return this.#indexed(this.#integer(byte, 127));
    if (byte >= 0x40) {
      const field = this.#literal(this.#integer(byte, 63));
      this.#table.insert(field);
      return field;
    }
    if (byte >= 0x20) throw broken("table size update after a field");
    return this.#literal(this.#integer(byte, 15));
  }

  #indexed(index: number): HeaderField {
    const field =
      index < staticFields.length
        ? staticFields[index]
        : this.#table.get(index - staticFields.length);
    if (field === undefined) throw broken("index beyond the tables");
    return field;
  }

  #literal(nameIndex: number): HeaderField {
    if (nameIndex === 0) {
      const name = this.#string();
      return fieldOf(name, this.#string());
    }
    const named = this.#indexed(nameIndex);
    return fieldOf(named, this.#string());
  }

  #integer(first: number, mask: number): number {
    this.#at += 1;
    let value = first & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end || shift > 21) throw broken("integer cut off or too large");
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw broken("string cut off");
    const first = this.#bytes[this.#at] ?? 0;
    const size = this.#integer(first, 127);
    const start = this.#at;
    this.#at += size;
    if (this.#at > this.#end) throw broken("string cut off");
    if (first < 128) return this.#bytes.toString("latin1", start, this.#at);
    const text = decodeHuffman(this.#bytes, start, this.#at);
    if (text === undefined) throw broken("bad Huffman code");
    return text;
  }
}

const noBytes = Buffer.alloc(0);

function broken(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.compressionError, `header block: ${what}`);
}
