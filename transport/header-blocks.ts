// Header blocks of a connection: HEADERS with their CONTINUATION frames put together, decoded in order, and
// turned into request heads, mostly from the cache.
import type { TransportLimits } from "../base/index.ts";
import type { Frame } from "./frame-splitter.ts";
import type { HeaderList } from "./hpack-decoder.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { ConnectionError, ErrorCode, Flag } from "./http2.ts";
import { HeadCache, type MethodTable, type RequestHead, requestHead } from "./request-head.ts";

/** The default of SETTINGS_HEADER_TABLE_SIZE, which we leave. */
const tableSize = 4096;

/** A complete header block. */
export interface HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  /** The frame said that the stream depends on itself: a stream error, but the block must be decoded. */
  readonly selfDependent: boolean;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

interface OpenBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly selfDependent: boolean;
  readonly pieces: Uint8Array[];
  size: number;
}

/** What header blocks share in a server; `list` is scratch. */
export interface HeaderContext {
  readonly limits: TransportLimits;
  readonly methods: MethodTable;
  readonly list: HeaderList;
}

/** The header blocks of one connection. */
export class HeaderBlocks {
  readonly #context: HeaderContext;
  readonly #decoder = new HpackDecoder(tableSize);
  readonly #cache = new HeadCache();
  #open: OpenBlock | undefined;

  constructor(context: HeaderContext) {
    this.#context = context;
  }

  /** True between HEADERS without END_HEADERS and its last CONTINUATION: no other frame may come. */
  get pending(): boolean {
    return this.#open !== undefined;
  }

  /** Takes a HEADERS frame; the block when it is complete. Throws ConnectionError. */
  headers(frame: Frame): HeaderBlock | undefined {
    let { start } = frame;
    const end = unpaddedEnd(frame);
    if ((frame.flags & Flag.padded) !== 0) start += 1;
    let selfDependent = false;
    if ((frame.flags & Flag.priority) !== 0) {
      if (end - start < 5) throw new ConnectionError(ErrorCode.frameSizeError, "HEADERS too short");
      selfDependent = (frame.view.getUint32(start) & 0x7fffffff) === frame.streamId;
      start += 5;
    }
    const { streamId, bytes } = frame;
    const endStream = (frame.flags & Flag.endStream) !== 0;
    if ((frame.flags & Flag.endHeaders) !== 0) {
      return { streamId, endStream, selfDependent, bytes, start, end };
    }
    const piece = new Uint8Array(bytes.subarray(start, end));
    this.#open = { streamId, endStream, selfDependent, pieces: [piece], size: piece.length };
    return undefined;
  }

  /** Takes a CONTINUATION frame; the block when it is complete. Throws ConnectionError. */
  continuation(frame: Frame): HeaderBlock | undefined {
    const open = this.#open;
    if (open === undefined || open.streamId !== frame.streamId) {
      throw new ConnectionError(ErrorCode.protocolError, "CONTINUATION without its HEADERS");
    }
    const piece = new Uint8Array(frame.bytes.subarray(frame.start, frame.end));
    open.pieces.push(piece);
    open.size += piece.length;
    const { headerBlockSizeMax, continuationCountMax } = this.#context.limits;
    if (open.size > headerBlockSizeMax || open.pieces.length - 1 > continuationCountMax) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "header block too large");
    }
    if ((frame.flags & Flag.endHeaders) === 0) return undefined;
    this.#open = undefined;
    const bytes = Buffer.concat(open.pieces);
    return { ...open, bytes, start: 0, end: bytes.length };
  }

  /** The head of a request; undefined when it is malformed. Throws ConnectionError COMPRESSION_ERROR. */
  head(block: HeaderBlock): RequestHead | undefined {
    const { version } = this.#decoder;
    const known = this.#cache.find(version, block);
    if (known !== undefined) return known;
    const head = requestHead(this.fields(block), this.#context.methods);
    if (head !== undefined && this.#decoder.version === version) {
      this.#cache.add(version, block.bytes.subarray(block.start, block.end), head);
    }
    return head;
  }

  /** The fields of a block; valid until the next block of any connection. Throws ConnectionError COMPRESSION_ERROR. */
  fields(block: HeaderBlock): HeaderList {
    const { list } = this.#context;
    list.clear();
    this.#decoder.decode(block.bytes, block, list);
    return list;
  }
}

/** End of the payload without its padding. Throws ConnectionError when the padding is longer than the frame. */
export function unpaddedEnd(frame: Frame): number {
  if ((frame.flags & Flag.padded) === 0) return frame.end;
  const end = frame.start < frame.end ? frame.end - frame.view.getUint8(frame.start) : -1;
  if (end <= frame.start) {
    throw new ConnectionError(ErrorCode.protocolError, "padding longer than the frame");
  }
  return end;
}
