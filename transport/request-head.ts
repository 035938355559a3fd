// What the header block of a request says, checked as RFC 9113 section 8 demands, and what is to be done with
// it. A head is worked out once: clients repeat their blocks byte by byte, so connections keep the last few.
import { callDeadlineMaxMs } from "../base/index.ts";
import { FieldKind, type HeaderField } from "./header-field.ts";
import type { HeaderList } from "./hpack-decoder.ts";
import { GrpcStatus, parseGrpcTimeout } from "./status.ts";
import type { MethodHandler } from "./types.ts";

/** What happens to a call with this head. */
export type CallTarget =
  | { readonly kind: "call"; readonly method: MethodHandler }
  /** Answered at once with a gRPC status; `extra` are more headers of the answer. */
  | {
      readonly kind: "refuse";
      readonly status: GrpcStatus;
      readonly message: string;
      readonly extra?: readonly (readonly [string, string])[];
    }
  /** Not gRPC: answered with an HTTP status and a sentence when the request is complete. */
  | { readonly kind: "http"; readonly httpStatus: number; readonly text: string };

/** The head of a request. Shared by all calls whose block was the same. */
export interface RequestHead {
  readonly path: string;
  readonly authority: string;
  /** Fields without the pseudo header fields. */
  readonly fields: readonly HeaderField[];
  /** Infinity without grpc-timeout. */
  readonly timeoutMs: number;
  /** -1 without content-length. */
  readonly contentLength: number;
  readonly gzip: boolean;
  readonly target: CallTarget;
}

/** The sentence for whoever does not speak gRPC to this port. */
export const portText =
  "This port speaks gRPC over HTTP/2 (plaintext or TLS): call it with a gRPC client.\n";

/** The fields of a request, sorted out; `broken` when they do not make a request at all. */
class HeadDraft {
  httpMethod: string | undefined;
  scheme: string | undefined;
  path: string | undefined;
  authority: string | undefined;
  host: string | undefined;
  contentType: string | undefined;
  timeout: string | undefined;
  encoding = "identity";
  contentLength = -1;
  broken = false;
  readonly fields: HeaderField[] = [];

  add(field: HeaderField): void {
    if (field.malformed) this.broken = true;
    if (field.name.startsWith(":")) this.#addPseudo(field);
    else this.#addRegular(field);
  }

  #addPseudo(field: HeaderField): void {
    if (this.fields.length > 0) this.broken = true;
    switch (field.kind) {
      case FieldKind.method:
        this.broken ||= this.httpMethod !== undefined;
        this.httpMethod = field.value;
        break;
      case FieldKind.scheme:
        this.broken ||= this.scheme !== undefined;
        this.scheme = field.value;
        break;
      case FieldKind.path:
        this.broken ||= this.path !== undefined || field.value === "";
        this.path = field.value;
        break;
      case FieldKind.authority:
        this.broken ||= this.authority !== undefined;
        this.authority = field.value;
        break;
      default:
        this.broken = true;
    }
  }

  #addRegular(field: HeaderField): void {
    this.fields.push(field);
    switch (field.kind) {
      case FieldKind.contentType:
        this.contentType ??= field.value;
        break;
      case FieldKind.timeout:
        this.timeout ??= field.value;
        break;
      case FieldKind.encoding:
        this.encoding = field.value;
        break;
      case FieldKind.contentLength:
        this.#addContentLength(field.value);
        break;
      case FieldKind.te:
        this.broken ||= field.value.toLowerCase() !== "trailers";
        break;
      case FieldKind.forbidden:
        this.broken = true;
        break;
      case FieldKind.host:
        this.host ??= field.value;
        break;
      default:
    }
  }

  #addContentLength(value: string): void {
    const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
    this.broken ||= length < 0 || (this.contentLength >= 0 && this.contentLength !== length);
    this.contentLength = length;
  }
}

/** How paths become methods. */
export type MethodTable = ReadonlyMap<string, MethodHandler>;

/** Makes the head of a request; undefined when the request is malformed and its stream must be reset. */
export function requestHead(list: HeaderList, methods: MethodTable): RequestHead | undefined {
  const draft = new HeadDraft();
  for (const field of list.fields) draft.add(field);
  const { path, httpMethod, scheme } = draft;
  if (list.tooLarge) {
    const message = `the headers are larger than ${list.sizeMax} bytes`;
    return {
      ...emptyHead,
      target: { kind: "refuse", status: GrpcStatus.resourceExhausted, message },
    };
  }
  if (draft.broken || path === undefined || httpMethod === undefined || scheme === undefined) {
    return undefined;
  }
  const timeoutMs = draft.timeout === undefined ? Infinity : parseGrpcTimeout(draft.timeout);
  return {
    path,
    authority: draft.authority ?? draft.host ?? "",
    fields: draft.fields,
    timeoutMs: timeoutMs === Infinity ? Infinity : Math.min(timeoutMs ?? 0, callDeadlineMaxMs),
    contentLength: draft.contentLength,
    gzip: draft.encoding === "gzip",
    target: targetOf(draft, methods, timeoutMs !== undefined),
  };
}

const emptyHead = {
  path: "",
  authority: "",
  fields: [],
  timeoutMs: Infinity,
  contentLength: -1,
  gzip: false,
} as const;

function isGrpc(contentType: string | undefined): boolean {
  if (contentType === "application/grpc") return true;
  return contentType !== undefined && /^application\/grpc(\+proto)?(\s*;|$)/i.test(contentType);
}

function targetOf(draft: HeadDraft, methods: MethodTable, timeoutFits: boolean): CallTarget {
  if (!isGrpc(draft.contentType)) return { kind: "http", httpStatus: 415, text: portText };
  if (draft.httpMethod !== "POST") return { kind: "http", httpStatus: 405, text: portText };
  const { path = "", encoding, timeout = "" } = draft;
  const method = methods.get(path);
  if (method === undefined) {
    const message = `no method ${path} here`;
    return { kind: "refuse", status: GrpcStatus.unimplemented, message };
  }
  if (encoding !== "identity" && encoding !== "gzip") {
    const message = `grpc-encoding ${encoding} is not supported`;
    const extra = [["grpc-accept-encoding", "identity,gzip"]] as const;
    return { kind: "refuse", status: GrpcStatus.unimplemented, message, extra };
  }
  if (!timeoutFits) {
    const message = `malformed grpc-timeout "${timeout}"`;
    return { kind: "refuse", status: GrpcStatus.internal, message };
  }
  return { kind: "call", method };
}

/** True when the fields may stand in the trailers of a request. */
export function validTrailers(list: HeaderList): boolean {
  return list.fields.every((field) => !field.malformed && !field.name.startsWith(":"));
}

interface CachedHead {
  readonly tableVersion: number;
  readonly block: Uint8Array;
  readonly head: RequestHead;
}

const cachedCountMax = 8;
const cachedBlockSizeMax = 512;

/** The last few heads of a connection by their blocks, valid while the dynamic table has not changed. */
export class HeadCache {
  #entries: CachedHead[] = [];
  #next = 0;

  /** The head of an equal block decoded at the same table version. */
  find(
    tableVersion: number,
    block: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
  ): RequestHead | undefined {
    const size = block.end - block.start;
    for (const entry of this.#entries) {
      if (
        entry.tableVersion === tableVersion &&
        entry.block.length === size &&
        equalAt(entry.block, block.bytes, block.start)
      ) {
        return entry.head;
      }
    }
    return undefined;
  }

  /** Keeps a copy of the block. Only for blocks that did not change the table. */
  add(tableVersion: number, block: Uint8Array, head: RequestHead): void {
    if (block.length > cachedBlockSizeMax) return;
    const entry = { tableVersion, block: new Uint8Array(block), head };
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % cachedCountMax;
  }
}

function equalAt(expected: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < expected.length; index += 1) {
    if (expected[index] !== bytes[start + index]) return false;
  }
  return true;
}
